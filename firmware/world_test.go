package firmware_test

import (
	"bytes"
	"context"
	"crypto"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/sha256"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/hex"
	"io/fs"
	"log/slog"
	"maps"
	"math/big"
	"path"
	"slices"
	"strconv"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"roadseal/crypto/signed"
	"roadseal/crypto/signed/sign"
	"roadseal/firmware"
	"roadseal/firmware/report"
	"roadseal/hal/durable"
	"roadseal/hal/durable/crashfs"
)

// today is when the tests take place, whatever the wall clock says.
var today = time.Date(2026, 11, 24, 12, 0, 0, 0, time.UTC)

const vehicle = "Zm9vYmFyZm9vYmFyZm9vYg"

var unit = firmware.Unit{ECU: "telematics", Hardware: "board-3"}

// A repository signs and serves metadata. Tests tamper with its parts and with
// its files.
type repository struct {
	t       *testing.T
	signers map[string]sign.Ed25519 // by role
	files   map[string][]byte       // by name, as Source asks for it

	root      sign.Root
	timestamp sign.Timestamp
	snapshot  sign.Snapshot
	targets   sign.Targets
	delegated map[string]sign.Targets
}

func newSigner(t *testing.T) sign.Ed25519 {
	s, _, err := sign.Generate()
	require.NoError(t, err)
	return s
}

func roleOf(s sign.Ed25519) sign.Role { return sign.Role{Keys: []sign.Key{s.Key()}, Threshold: 1} }

func newRepository(t *testing.T, audience string) *repository {
	r := &repository{t: t, signers: map[string]sign.Ed25519{}, files: map[string][]byte{}, delegated: map[string]sign.Targets{}}
	head := sign.Header{Version: 1, Expires: today.AddDate(1, 0, 0), Issued: today.AddDate(0, 0, -1), Audience: audience}
	r.root.Header, r.timestamp.Header, r.snapshot.Header, r.targets.Header = head, head, head, head
	r.root.Roles = map[string]sign.Role{}
	for _, role := range []string{signed.Root, signed.Timestamp, signed.Snapshot, signed.Targets} {
		r.signers[role] = newSigner(t)
		r.root.Roles[role] = roleOf(r.signers[role])
	}
	r.publishRoot(r.signers[signed.Root])
	return r
}

func named(role string, version int64) string {
	if version == 0 {
		return role
	}
	return strconv.FormatInt(version, 10) + "." + role
}

// Fetch implements signed.Source.
func (r *repository) Fetch(_ context.Context, role string, version int64, limit int) ([]byte, error) {
	data, ok := r.files[named(role, version)]
	if !ok {
		return nil, fs.ErrNotExist
	}
	return data[:min(len(data), limit+1)], nil
}

func (r *repository) bytes(d *sign.Document, signers ...sign.Ed25519) []byte {
	for _, s := range signers {
		require.NoError(r.t, d.Sign(s))
	}
	return d.Bytes()
}

func (r *repository) publishRoot(signers ...sign.Ed25519) {
	r.files[named(signed.Root, r.root.Version)] = r.bytes(r.root.Document(), signers...)
}

// rotate gives a role a new key, by a new root.
func (r *repository) rotate(role string) {
	was := r.signers[signed.Root]
	r.signers[role] = newSigner(r.t)
	r.root.Roles[role] = roleOf(r.signers[role])
	r.root.Version++
	if role == signed.Root {
		r.publishRoot(was, r.signers[role])
	} else {
		r.publishRoot(was)
	}
}

// publish writes timestamp, snapshot and targets anew.
func (r *repository) publish() {
	r.snapshot.Files = map[string]sign.File{}
	for name, t := range r.delegated {
		r.publishTargets(name, t)
	}
	r.publishTargets(signed.Targets, r.targets)
	r.publishSnapshot()
}

func (r *repository) publishTargets(name string, t sign.Targets) {
	d, err := t.Document()
	require.NoError(r.t, err)
	data := r.bytes(d, r.signers[name])
	r.files[named(name, t.Version)] = data
	r.snapshot.Files[name] = sign.File{Version: t.Version, Data: data}
}

func (r *repository) publishSnapshot() {
	data := r.bytes(r.snapshot.Document(), r.signers[signed.Snapshot])
	r.files[named(signed.Snapshot, r.snapshot.Version)] = data
	r.timestamp.Snapshot, r.timestamp.SnapshotVersion = data, r.snapshot.Version
	r.publishTimestamp()
}

func (r *repository) publishTimestamp() {
	r.files[signed.Timestamp] = r.bytes(r.timestamp.Document(), r.signers[signed.Timestamp])
}

// next raises the versions of timestamp, snapshot and targets, and publishes.
func (r *repository) next() {
	for _, h := range []*sign.Header{&r.timestamp.Header, &r.snapshot.Header, &r.targets.Header} {
		h.Version++
	}
	r.publish()
}

// until sets when everything expires, and when it was issued.
func (r *repository) until(issued, expires time.Time) {
	for _, h := range []*sign.Header{&r.root.Header, &r.timestamp.Header, &r.snapshot.Header, &r.targets.Header} {
		h.Issued, h.Expires = issued, expires
	}
	for name, t := range r.delegated {
		t.Issued, t.Expires = issued, expires
		r.delegated[name] = t
	}
}

// A world is what stands around one vehicle.
type world struct {
	t                *testing.T
	director, images *repository
	fsys             *crashfs.FS
	now              time.Time // trusted
	key              crypto.Signer
	chain            [][]byte
	cas              *x509.CertPool
	reports          [][]byte
	refuse           error // of Report
	log              *bytes.Buffer
}

// newWorld has release 2 of what is installed as release 1, offered to the
// vehicle.
func newWorld(t *testing.T) *world {
	w := &world{t: t, director: newRepository(t, vehicle), images: newRepository(t, signed.Fleet),
		fsys: crashfs.New(crashfs.Options{}), now: today, cas: x509.NewCertPool(), log: &bytes.Buffer{}}
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	require.NoError(t, err)
	w.certify(key)
	w.provision(imageOf("unit/1.img", 1))
	w.offer("unit/2.img", 2)
	return w
}

// certify gives the vehicle a key, and a certificate by a CA of its own.
func (w *world) certify(key crypto.Signer) {
	caKey, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	require.NoError(w.t, err)
	ca := &x509.Certificate{SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: "CA"}, IsCA: true, BasicConstraintsValid: true,
		NotBefore: today.AddDate(-1, 0, 0), NotAfter: today.AddDate(9, 0, 0), KeyUsage: x509.KeyUsageCertSign}
	der, err := x509.CreateCertificate(rand.Reader, ca, ca, caKey.Public(), caKey)
	require.NoError(w.t, err)
	parsed, err := x509.ParseCertificate(der)
	require.NoError(w.t, err)
	w.cas.AddCert(parsed)
	leaf := &x509.Certificate{SerialNumber: big.NewInt(2), Subject: pkix.Name{CommonName: vehicle}, NotBefore: ca.NotBefore, NotAfter: ca.NotAfter,
		ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageClientAuth}}
	der, err = x509.CreateCertificate(rand.Reader, leaf, parsed, key.Public(), caKey)
	require.NoError(w.t, err)
	w.key, w.chain = key, [][]byte{der}
}

// contentOf is the image of a release.
func contentOf(name string) []byte { return []byte("the image " + name) }

func imageOf(name string, counter int64) report.Image {
	data := contentOf(name)
	sum := sha256.Sum256(data)
	return report.Image{Path: name, Length: int64(len(data)), SHA256: hex.EncodeToString(sum[:]), Counter: counter,
		RXSWIN: []string{"R79 " + strconv.FormatInt(counter, 10)}}
}

// provision writes what is installed.
func (w *world) provision(i report.Image) {
	data, err := report.Marshal(i)
	require.NoError(w.t, err)
	require.NoError(w.t, durable.WriteFile(w.fsys, ".", "installed", data))
}

type custom = map[string]any

// ordered is what the Director says of an image for our unit.
func ordered(counter int64) custom {
	return custom{"ecuIdentifiers": custom{unit.ECU: custom{"hardwareId": unit.Hardware, "releaseCounter": counter}}, "campaign": "autumn"}
}

// released is what the Image repository says of one.
func released(counter int64) custom {
	return custom{"hardwareIds": []string{"board-2", unit.Hardware}, "releaseCounter": counter, "rxswin": []string{"R79 " + strconv.FormatInt(counter, 10)}}
}

// offer puts an image on both repositories.
func (w *world) offer(name string, counter int64) {
	w.images.targets.Files = maps.Clone(w.images.targets.Files)
	if w.images.targets.Files == nil {
		w.images.targets.Files = map[string]sign.Target{}
	}
	w.images.targets.Files[name] = sign.Target{Data: contentOf(name), Custom: released(counter)}
	w.director.targets.Files = map[string]sign.Target{name: {Data: contentOf(name), Custom: ordered(counter)}}
	w.director.next()
	w.images.next()
}

func (w *world) options() firmware.Options {
	return firmware.Options{Director: w.director, Images: w.images,
		Roots: firmware.Roots{Director: w.director.files["1.root"], Images: w.images.files["1.root"]},
		State: w.fsys, Unit: unit, Now: func() time.Time { return w.now },
		Raise: func(t time.Time) {
			if t.After(w.now) {
				w.now = t
			}
		},
		Key: w.key, Chain: w.chain, Every: time.Hour, Log: slog.New(slog.NewTextHandler(w.log, nil)),
		Report: func(file []byte) error {
			if w.refuse != nil {
				return w.refuse
			}
			w.reports = append(w.reports, file)
			return nil
		}}
}

func (w *world) updater() *firmware.Updater {
	u, err := firmware.New(w.options())
	require.NoError(w.t, err)
	return u
}

// check makes one attempt, of a unit that has just been started.
func (w *world) check() error { return w.updater().Check(w.t.Context()) }

// last is the last report, which must be good.
func (w *world) last() *report.Report {
	require.NotEmpty(w.t, w.reports)
	r, err := report.Verify(w.reports[len(w.reports)-1], w.cas, w.now)
	require.NoError(w.t, err)
	return r
}

// files are those of the state folder.
func (w *world) files() map[string]string { return filesOf(w.t, w.fsys) }

func filesOf(t *testing.T, fsys durable.FS) map[string]string {
	all := map[string]string{}
	for _, dir := range []string{".", "director", "image"} {
		err := fsys.List(dir, func(e fs.DirEntry) error {
			if e.IsDir() {
				return nil
			}
			name := path.Join(dir, e.Name())
			data, err := durable.ReadFile(fsys, name, 1<<24)
			all[name] = string(data)
			return err
		})
		if dir == "." {
			require.NoError(t, err)
		}
	}
	return all
}

// metadata leaves out the reports.
func metadata(files map[string]string) map[string]string {
	files = maps.Clone(files)
	maps.DeleteFunc(files, func(name, _ string) bool { return slices.Contains([]string{"report", "reported"}, name) })
	return files
}
