package signed_test

import (
	"bytes"
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/sha256"
	"crypto/sha512"
	"crypto/x509"
	"encoding/pem"
	"fmt"
	"io/fs"
	"strconv"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"roadseal/crypto/signed"
	"roadseal/crypto/signed/sign"
)

// today is when the tests take place.
var today = time.Date(2026, 11, 24, 12, 0, 0, 0, time.UTC)

const vehicle = "Zm9vYmFyZm9vYmFyZm9vYg"

// memory is a store that lasts as long as a test.
type memory map[string][]byte

func (m memory) Load(name string) ([]byte, error) {
	if data, ok := m[name]; ok {
		return data, nil
	}
	return nil, fs.ErrNotExist
}

func (m memory) Save(name string, data []byte) error { m[name] = bytes.Clone(data); return nil }

func (m memory) Remove(name string) error { delete(m, name); return nil }

// A pair signs by both kinds.
type pair struct {
	classic sign.Ed25519
	later   sign.MLDSA65
}

func newPair(t *testing.T) pair {
	c, l, err := sign.Generate()
	require.NoError(t, err)
	return pair{c, l}
}

func (p pair) signers() []sign.Signer { return []sign.Signer{p.classic, p.later} }

// role demands both signatures of a pair.
func (p pair) role() sign.Role {
	return sign.Role{Keys: []sign.Key{p.classic.Key(), p.later.Key()}, Threshold: 2,
		Thresholds: map[string]int{"ed25519": 1, "ml-dsa-65": 1}}
}

// A world is a repository and its signers. Its files are what a vehicle is
// served; tests tamper with them.
type world struct {
	t     *testing.T
	pairs map[string]pair // by role
	files map[string][]byte
	asked []string // names of files, in order

	root      sign.Root
	timestamp sign.Timestamp
	snapshot  sign.Snapshot
	targets   sign.Targets
}

func newWorld(t *testing.T) *world {
	w := &world{t: t, pairs: map[string]pair{}, files: map[string][]byte{}}
	head := sign.Header{Version: 1, Expires: today.AddDate(1, 0, 0), Audience: signed.Fleet}
	w.root = sign.Root{Header: head, Roles: map[string]sign.Role{}}
	for _, name := range []string{signed.Root, signed.Timestamp, signed.Snapshot, signed.Targets} {
		w.pairs[name] = newPair(t)
		w.root.Roles[name] = w.pairs[name].role()
	}
	w.timestamp.Header, w.snapshot.Header, w.targets.Header = head, head, head
	w.targets.Files = map[string]sign.Target{"unit/1.img": {Data: []byte("an image"), Custom: map[string]any{"releaseCounter": 3}}}
	w.publish()
	return w
}

func (w *world) Fetch(_ context.Context, role string, version int64, limit int) ([]byte, error) {
	name := role
	if version > 0 {
		name = strconv.FormatInt(version, 10) + "." + role
	}
	w.asked = append(w.asked, name)
	data, ok := w.files[name]
	if !ok {
		return nil, fs.ErrNotExist
	}
	return data[:min(len(data), limit+1)], nil
}

// signedBy returns the file of a document.
func (w *world) signedBy(d *sign.Document, signers ...sign.Signer) []byte {
	require.NoError(w.t, d.Sign(signers...))
	return d.Bytes()
}

// publish writes all files anew, the root under its version.
func (w *world) publish() {
	w.publishRoot(w.pairs[signed.Root].signers()...)
	w.publishTargets()
}

func (w *world) publishRoot(signers ...sign.Signer) {
	w.files[strconv.FormatInt(w.root.Version, 10)+".root"] = w.signedBy(w.root.Document(), signers...)
}

func (w *world) publishTargets() {
	d, err := w.targets.Document()
	require.NoError(w.t, err)
	data := w.signedBy(d, w.pairs[signed.Targets].signers()...)
	w.files[strconv.FormatInt(w.targets.Version, 10)+".targets"] = data
	w.snapshot.Files = map[string]sign.File{signed.Targets: {Version: w.targets.Version, Data: data}}
	w.publishSnapshot()
}

func (w *world) publishSnapshot() {
	data := w.signedBy(w.snapshot.Document(), w.pairs[signed.Snapshot].signers()...)
	w.files[strconv.FormatInt(w.snapshot.Header.Version, 10)+".snapshot"] = data
	w.timestamp.Snapshot, w.timestamp.SnapshotVersion = data, w.snapshot.Header.Version
	w.publishTimestamp()
}

func (w *world) publishTimestamp() {
	w.files[signed.Timestamp] = w.signedBy(w.timestamp.Document(), w.pairs[signed.Timestamp].signers()...)
}

// next raises the versions of timestamp, snapshot and targets and publishes.
func (w *world) next() {
	w.timestamp.Header.Version++
	w.snapshot.Header.Version++
	w.targets.Header.Version++
	w.publishTargets()
}

func sha256Hex(text string) string { return fmt.Sprintf("%x", sha256.Sum256([]byte(text))) }

func sha512Hex(text string) string { return fmt.Sprintf("%x", sha512.Sum512([]byte(text))) }

var options = signed.Options{Name: "images", Vehicle: vehicle, Addressed: true, Canonical: true}

// open takes the client of a vehicle that was built with the first root.
func (w *world) open(store memory) *signed.Client {
	c, err := signed.Open(w.files["1.root"], w, store, options)
	require.NoError(w.t, err)
	return c
}

func (w *world) refresh(store memory) error {
	c, err := signed.Open(w.files["1.root"], w, store, options)
	if err != nil {
		return err
	}
	return c.Refresh(w.t.Context(), today)
}

// ecdsaSigner is a signer by FIPS 186-5: an HSM would be one.
type ecdsaSigner struct{ *ecdsa.PrivateKey }

func newECDSA(t *testing.T, curve elliptic.Curve) ecdsaSigner {
	key, err := ecdsa.GenerateKey(curve, rand.Reader)
	require.NoError(t, err)
	return ecdsaSigner{key}
}

func (s ecdsaSigner) Key() sign.Key {
	der, err := x509.MarshalPKIXPublicKey(s.Public())
	if err != nil {
		panic(err)
	}
	return sign.Key{Type: "ecdsa", Scheme: "ecdsa-sha2-nistp256", Public: string(pem.EncodeToMemory(&pem.Block{Type: "PUBLIC KEY", Bytes: der}))}
}

func (s ecdsaSigner) Sign(message []byte) ([]byte, error) {
	digest := sha256.Sum256(message)
	return ecdsa.SignASN1(rand.Reader, s.PrivateKey, digest[:])
}
