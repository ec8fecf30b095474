package release

import (
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"path"
	"path/filepath"
	"regexp"
	"slices"

	"roadseal/crypto/signed"
	"roadseal/crypto/signed/sign"
	"roadseal/firmware/report"
	"roadseal/hal/durable"
)

// An Addition is an image to be released.
type Addition struct {
	File string // on this machine
	Path string // by which it is known from then on
	Role string // that speaks for it
	Released
}

var (
	imagePath = regexp.MustCompile(`^[A-Za-z0-9_-][A-Za-z0-9._-]*(/[A-Za-z0-9_-][A-Za-z0-9._-]*){0,2}$`)
	pattern   = regexp.MustCompile(`^[A-Za-z0-9_*-][A-Za-z0-9._*-]*(/[A-Za-z0-9_*-][A-Za-z0-9._*-]*){0,2}$`)
)

// maxPath keeps "image/files/SHA256.NAME" below 255 bytes.
const maxPath = 160

func checkImagePath(name string) error {
	if !imagePath.MatchString(name) || len(name) > maxPath {
		return fmt.Errorf("expected a path such as tcu/1.4.0.img: one to three parts of letters, digits, '.', '_' and '-', %d bytes at most, not %q", maxPath, name)
	}
	return nil
}

func checkPattern(p string) error {
	if !pattern.MatchString(p) || len(p) > maxPath {
		return fmt.Errorf("expected a path such as tcu/*, where \"*\" matches no \"/\", not %q", p)
	}
	return nil
}

// fileOfImage is the name of an image in the repository.
func fileOfImage(sha256, name string) string {
	return path.Join(filesDir, sha256+"."+path.Base(name))
}

// Add copies an image into the repository, where it waits, and stages targets
// that list it.
func (r *Repo) Add(a Addition, s Stamp) (*Doc, error) {
	if err := checkImagePath(a.Path); err != nil {
		return nil, err
	}
	state, err := r.tree().state(Image)
	if err != nil {
		return nil, err
	}
	for _, text := range slices.Concat(a.Hardware, a.RXSWIN) {
		if !report.IsText(text) {
			return nil, fmt.Errorf("expected 1 to %d characters of printable ASCII, which vehicles report, not %q", report.MaxText, text)
		}
	}
	if err := covered(state, a); err != nil {
		return nil, err
	}
	length, sum, err := r.copyImage(a)
	if err != nil {
		return nil, err
	}
	custom, err := json.Marshal(a.Released)
	if err != nil {
		return nil, err
	}
	if _, was, ok := state.find(a.Path); ok && (was.Hashes["sha256"] != sum || !bytes.Equal(was.Custom, custom)) {
		return nil, fmt.Errorf("%s was released before, as another image or for other hardware; hint: a path is released once, choose another", a.Path)
	}
	return r.stageTargets(Image, a.Role, s, func(t *sign.Targets) error {
		t.Files[a.Path] = sign.Target{Length: length, SHA256: sum, Custom: json.RawMessage(custom)}
		return nil
	})
}

// covered demands that the role may speak for the image.
func covered(s *state, a Addition) error {
	if a.Role == signed.Targets {
		return nil
	}
	if top := s.newest(signed.Targets); top != nil && top.Delegations != nil {
		for _, d := range top.Delegations.Roles {
			if d.Name != a.Role {
				continue
			}
			hit := slices.ContainsFunc(d.Paths, func(p string) bool { ok, err := path.Match(p, a.Path); return ok && err == nil })
			if !hit {
				return fmt.Errorf("the role %s speaks for %v, not for %s", a.Role, d.Paths, a.Path)
			}
			for _, h := range a.Hardware {
				if d.Custom.Hardware != nil && !slices.Contains(d.Custom.Hardware, h) {
					return fmt.Errorf("the role %s speaks for hardware %v, not for %q", a.Role, d.Custom.Hardware, h)
				}
			}
			return nil
		}
	}
	return fmt.Errorf("there is no role %q; hint: [image.delegated.%s] in the plan, then \"role\"", a.Role, a.Role)
}

// find returns what the image repository says of a path: the top-level role
// first, then the delegated ones in their order.
func (s *state) find(name string) (role string, t TargetMeta, ok bool) {
	top := s.newest(signed.Targets)
	if top == nil {
		return "", t, false
	}
	roles := []string{signed.Targets}
	if top.Delegations != nil {
		for _, d := range top.Delegations.Roles {
			roles = append(roles, d.Name)
		}
	}
	for _, role := range roles {
		if d := s.newest(role); d != nil {
			if t, ok := d.Metadata.Targets[name]; ok {
				return role, t, true
			}
		}
	}
	return "", t, false
}

// copyImage makes a copy durable in the staged files, without taking it into
// memory.
func (r *Repo) copyImage(a Addition) (length int64, sum string, err error) {
	in, err := os.Open(a.File)
	if err != nil {
		return 0, "", fmt.Errorf("cannot read the image %s: %w", a.File, reason(err))
	}
	defer in.Close()
	dir := path.Join(stagedDir, filesDir)
	if err := durable.MkdirAll(r.disk, dir); err != nil {
		return 0, "", err
	}
	tmp := path.Join(dir, "image"+durable.TmpSuffix)
	_ = r.disk.Remove(tmp) // what a killed run left
	out, err := r.disk.Create(tmp)
	if err != nil {
		return 0, "", fmt.Errorf("cannot copy the image: %w", err)
	}
	hash := sha256.New()
	length, err = io.Copy(io.MultiWriter(out, hash), in)
	if err == nil {
		err = out.Sync()
	}
	if err = errors.Join(err, out.Close()); err != nil {
		return 0, "", errors.Join(fmt.Errorf("cannot copy the image %s: %w", a.File, err), r.disk.Remove(tmp))
	}
	if length == 0 {
		return 0, "", errors.Join(fmt.Errorf("the image %s is empty", a.File), r.disk.Remove(tmp))
	}
	sum = hex.EncodeToString(hash.Sum(nil))
	name := path.Join(stagedDir, fileOfImage(sum, a.Path))
	if err := r.disk.Rename(tmp, name); err != nil {
		return 0, "", fmt.Errorf("cannot copy the image: %w", err)
	}
	return length, sum, r.disk.Sync(dir)
}

// An Order is what the Director has installed.
type Order struct {
	Path     string // of the image; "" = nothing
	Device   string // "" = the whole fleet
	ECU      string
	Hardware string
	Campaign string
}

// Order stages the Director's targets for the fleet or for one vehicle. It
// takes the place of the order before.
func (r *Repo) Order(o Order, s Stamp) (*Doc, error) {
	folder := Director
	if o.Device != "" {
		if err := CheckDevice(o.Device); err != nil {
			return nil, err
		}
		folder = path.Join(Director, o.Device)
	}
	for _, text := range []string{o.ECU, o.Hardware, o.Campaign} {
		if text != "" && !report.IsText(text) {
			return nil, fmt.Errorf("expected 1 to %d characters of printable ASCII, which vehicles report, not %q", report.MaxText, text)
		}
	}
	files := map[string]sign.Target{}
	if o.Path != "" {
		target, err := r.orderOf(o, folder)
		if err != nil {
			return nil, err
		}
		files[o.Path] = target
	}
	return r.stageTargets(folder, signed.Targets, s, func(t *sign.Targets) error {
		t.Files = files
		return nil
	})
}

func (r *Repo) orderOf(o Order, folder string) (sign.Target, error) {
	images, err := r.tree().state(Image)
	if err != nil {
		return sign.Target{}, err
	}
	_, t, ok := images.find(o.Path)
	if !ok {
		return sign.Target{}, fmt.Errorf("the image repository does not list %s; hint: \"image\" first", o.Path)
	}
	var released Released
	if err := json.Unmarshal(t.Custom, &released); err != nil {
		return sign.Target{}, fmt.Errorf("%s: custom: %w", o.Path, err)
	}
	if !slices.Contains(released.Hardware, o.Hardware) {
		return sign.Target{}, fmt.Errorf("%s was released for hardware %v, not for %q", o.Path, released.Hardware, o.Hardware)
	}
	if err := r.notLower(o, folder, released.Counter); err != nil {
		return sign.Target{}, err
	}
	custom := Ordered{map[string]OrderedECU{o.ECU: {o.Hardware, released.Counter}}, o.Campaign}
	return sign.Target{Length: t.Length, SHA256: t.Hashes["sha256"], Custom: custom}, nil
}

// notLower refuses an order that every unit would refuse which has taken the
// one before.
func (r *Repo) notLower(o Order, folder string, counter int64) error {
	for _, f := range slices.Compact([]string{Director, folder}) {
		docs, err := r.tree().current(f)
		if err != nil {
			return err
		}
		if docs[signed.Targets] == nil {
			continue
		}
		for name, t := range docs[signed.Targets].Metadata.Targets {
			var before Ordered
			if err := json.Unmarshal(t.Custom, &before); err != nil {
				return fmt.Errorf("%s: %s: custom: %w", docs[signed.Targets].Name, name, err)
			}
			if was, ok := before.ECUs[o.ECU]; ok && was.Counter > counter {
				return fmt.Errorf("%s has release counter %d, and %s with %d is ordered: units that have it refuse a lower one; hint: to go back, release the old image under a new path with a counter of %d or more",
					filepath.ToSlash(o.Path), counter, name, was.Counter, was.Counter)
			}
		}
	}
	return nil
}
