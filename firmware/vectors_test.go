package firmware_test

import (
	"archive/tar"
	"bytes"
	"compress/gzip"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"roadseal/crypto/signed"
	"roadseal/firmware"
)

// vectors is where the Uptane test vectors lie beside the project.
const vectors = "../../shared/data/uptane-vectors"

// An outcome is what the vectors' own server says of one repository's step.
type outcome struct {
	Update  verdict            `json:"update"`
	Targets map[string]verdict `json:"targets"`
}

type verdict struct {
	OK  bool   `json:"is_success"`
	Err string `json:"err"`
}

// older is the dialect of the vectors: see their README.
var older = signed.Dialect{TitleTypes: true, NoSpecVersion: true, NoScheme: true, Base64: true, Canonical: true, SameVersion: true,
	KeyID: func(_ []byte, public string) string {
		sum := sha256.Sum256([]byte(`"` + public + `"`))
		return hex.EncodeToString(sum[:])
	}}

// memory is a store that lasts as long as the test.
type memory map[string][]byte

func (m memory) Load(name string) ([]byte, error) {
	if data, ok := m[name]; ok {
		return data, nil
	}
	return nil, fs.ErrNotExist
}

func (m memory) Save(name string, data []byte) error { m[name] = bytes.Clone(data); return nil }

func (m memory) Remove(name string) error { delete(m, name); return nil }

// A step is a repository as the vectors serve it in one step.
type step struct {
	files map[string][]byte // by path below the repository
}

func (s step) Fetch(_ context.Context, role string, version int64, limit int) ([]byte, error) {
	name := role + ".json"
	switch role {
	case signed.Root:
		name = fmt.Sprintf("%d.root.json", version)
	case signed.Timestamp, signed.Snapshot, signed.Targets:
	default:
		name = "delegations/" + name
	}
	data, ok := s.files[name]
	if !ok {
		return nil, fs.ErrNotExist
	}
	return data[:min(len(data), limit+1)], nil
}

func unpack(t *testing.T) map[string][]byte {
	f, err := os.Open(filepath.Join(vectors, "uptane-vectors.tar.gz"))
	if errors.Is(err, fs.ErrNotExist) {
		t.Skip("the Uptane test vectors are not beside the project")
	}
	require.NoError(t, err)
	defer f.Close()
	z, err := gzip.NewReader(f)
	require.NoError(t, err)
	files := map[string][]byte{}
	for r := tar.NewReader(z); ; {
		h, err := r.Next()
		if errors.Is(err, io.EOF) {
			return files
		}
		require.NoError(t, err)
		if h.Typeflag == tar.TypeReg {
			files[strings.TrimPrefix(h.Name, "uptane-vectors/")], err = io.ReadAll(r)
			require.NoError(t, err)
		}
	}
}

// below returns the files of one repository in one step.
func below(files map[string][]byte, dir string) step {
	s := step{map[string][]byte{}}
	for name, data := range files {
		if rest, ok := strings.CutPrefix(name, dir+"/"); ok {
			s.files[rest] = data
		}
	}
	return s
}

func TestUptaneVectors(t *testing.T) {
	files := unpack(t)
	raw, err := os.ReadFile(filepath.Join(vectors, "expected.json"))
	require.NoError(t, err)
	var expected map[string][]map[string]outcome
	require.NoError(t, json.Unmarshal(raw, &expected))
	require.Len(t, expected, 86)
	for name, steps := range expected {
		t.Run(name, func(t *testing.T) {
			director, images := memory{}, memory{}
			for i, want := range steps {
				dir := fmt.Sprintf("%s/%d/", name, i)
				d, m := below(files, dir+"director"), below(files, dir+"image_repo")
				first := fmt.Sprintf("%s/0/", name)
				for repository, s := range map[string]step{"director": d, "image_repo": m} {
					if name == repository+"_targets_too_large" {
						s.files["targets.json"] = bytes.Repeat([]byte(" "), signed.MaxTargets+1)
					}
				}
				err := check(t, d, m, director, images, files[first+"director/1.root.json"], files[first+"image_repo/1.root.json"])
				expect(t, want, err)
			}
		})
	}
}

func check(t *testing.T, d, m step, director, images memory, directorRoot, imagesRoot []byte) error {
	v := firmware.Verifier{Unit: firmware.Unit{ECU: "ecu1", Hardware: "hw1"}, AnyHardware: true}
	var err error
	if v.Director, err = signed.Open(directorRoot, d, director, signed.Options{Name: "director", RootAndTargets: true, Dialect: older}); err != nil {
		return err
	}
	if v.Images, err = signed.Open(imagesRoot, m, images, signed.Options{Name: "image_repo", Dialect: older}); err != nil {
		return err
	}
	image, err := v.Check(t.Context(), func() time.Time { return time.Date(2026, 11, 24, 0, 0, 0, 0, time.UTC) })
	if err != nil {
		return err
	}
	require.NotNil(t, image)
	return image.Verify(m.files[image.Path])
}

// attacks says what we call the vectors' errors.
var attacks = map[string][]signed.Attack{
	"ExpiredMetadata":       {signed.Freeze},
	"UnmetThreshold":        {signed.Arbitrary},
	"NonUniqueSignatures":   {signed.Malformed},
	"IllegalThreshold":      {signed.Malformed},
	"BadKeyId":              {signed.Malformed, signed.Arbitrary},
	"SecurityException":     {signed.Malformed},
	"RootRotationError":     {signed.Rollback, signed.Arbitrary},
	"VersionMismatch":       {signed.MixAndMatch},
	"DirectorDelegation":    {signed.Arbitrary},
	"DirectorRepeatedEcuId": {signed.MixAndMatch},
	"BadEcuId":              {signed.WrongVehicle},
	"BadHardwareId":         {firmware.WrongHardware},
	"TargetMismatch":        {signed.MixAndMatch, firmware.WrongHardware, signed.Freeze},
	"MetadataFetchFailure":  {signed.EndlessData},
}

// unnamed are errors of an image that was fetched, and of a file that is not there:
// no attack by metadata.
var unnamed = []string{"OversizedTarget", "TargetHashMismatch", "DelegationMissing"}

func expect(t *testing.T, want map[string]outcome, err error) {
	t.Helper()
	var faults []string
	for _, o := range want {
		if !o.Update.OK {
			faults = append(faults, o.Update.Err)
		}
		for _, v := range o.Targets {
			if !v.OK {
				faults = append(faults, v.Err)
			}
		}
	}
	if len(faults) == 0 {
		require.NoError(t, err)
		return
	}
	require.Error(t, err, faults)
	t.Log(faults, "->", err)
	var e *signed.Error
	var named []signed.Attack
	plain := false
	for _, f := range faults {
		kind, _, _ := strings.Cut(f, "::")
		named = append(named, attacks[kind]...)
		plain = plain || slices.Contains(unnamed, kind)
	}
	if !errors.As(err, &e) {
		require.True(t, plain, "%v: %v", faults, err)
		return
	}
	require.True(t, slices.Contains(named, e.Attack), "%v: %v", faults, err)
}
