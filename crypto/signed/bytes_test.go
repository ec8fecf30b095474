package signed_test

import (
	"bytes"
	"crypto/elliptic"
	"fmt"
	"testing"

	"github.com/stretchr/testify/require"

	"roadseal/crypto/signed"
	"roadseal/crypto/signed/sign"
)

// bare publishes everything so that timestamp and snapshot list versions only:
// what keeps a changed file out is then its signatures, and no hash.
func (w *world) bare() {
	w.publish()
	entry := func(data []byte) string {
		return fmt.Sprintf(`"hashes":%s,"length":%s,`, between(data, `"hashes":`, `,"length"`), between(data, `"length":`, `,"version"`))
	}
	w.resign("1.snapshot", signed.Snapshot, entry(w.files["1.snapshot"]), "")
	w.resign(signed.Timestamp, signed.Timestamp, entry(w.files[signed.Timestamp]), "")
}

// between returns what stands between two texts.
func between(data []byte, from, to string) []byte {
	_, rest, _ := bytes.Cut(data, []byte(from))
	found, _, _ := bytes.Cut(rest, []byte(to))
	return found
}

// takes returns what takes a file of each role: on top of all that it needs,
// and as if nothing of its own kind was trusted yet.
func (w *world) takes() map[string]func(data []byte) error {
	upTo := func(n int) *signed.Trusted {
		t, err := signed.New(w.files["1.root"], options)
		require.NoError(w.t, err)
		if n > 0 {
			_, err = t.UpdateTimestamp(w.files[signed.Timestamp], today, false)
			require.NoError(w.t, err)
		}
		if n > 1 {
			require.NoError(w.t, t.UpdateSnapshot(w.files["1.snapshot"], today, false))
		}
		return t
	}
	root, timestamp, snapshot, targets := upTo(0), upTo(0), upTo(1), upTo(2)
	return map[string]func([]byte) error{
		"2.root":         func(b []byte) error { _, err := root.UpdateRoot(b); return err },
		signed.Timestamp: func(b []byte) error { _, err := timestamp.UpdateTimestamp(b, today, false); return err },
		"1.snapshot":     func(b []byte) error { return snapshot.UpdateSnapshot(b, today, false) },
		"1.targets":      func(b []byte) error { return targets.UpdateTargets(b, today) },
	}
}

// flips changes one byte after another, to each value that other returns, and
// demands that each is refused.
func flips(t *testing.T, name string, good []byte, step int, take func([]byte) error, other func(i int, b byte) []byte) {
	bad := bytes.Clone(good)
	for i := 0; i < len(good); i += step {
		for _, v := range other(i, good[i]) {
			if v == good[i] {
				continue
			}
			bad[i] = v
			if take(bad) == nil {
				t.Fatalf("%s: byte %d of %d can be %q instead of %q", name, i, len(good), v, good[i])
			}
		}
		bad[i] = good[i]
	}
	require.NoError(t, take(good), name)
}

// TestEveryByteIsSigned: no byte of any file of a hybrid repository can be
// another.
func TestEveryByteIsSigned(t *testing.T) {
	w := newWorld(t)
	for role := range w.pairs { // a root of few keys is a shorter one
		w.pairs[role] = w.pairs[signed.Root]
		w.root.Roles[role] = w.pairs[role].role()
	}
	w.bare()
	w.root.Header.Version = 2
	w.publishRoot(w.pairs[signed.Root].signers()...)
	step := 1
	if testing.Short() {
		step = 53
	}
	for name, take := range w.takes() {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			// A digit of a signature becomes another digit, or upper case.
			flips(t, name, w.files[name], step, take, func(i int, b byte) []byte {
				return []byte{b ^ []byte{1, 2, 4, 0x20}[i%4]}
			})
		})
	}
}

// TestEveryBitIsSigned is the same with each bit of files that one classical key
// has signed, and with all other values of each byte of the smallest.
func TestEveryBitIsSigned(t *testing.T) {
	w := newWorld(t)
	all := make([]byte, 256)
	for i := range all {
		all[i] = byte(i)
	}
	step := 1
	if testing.Short() {
		step = 29
	}
	for _, s := range []sign.Signer{w.pairs[signed.Root].classic, newECDSA(t, elliptic.P256())} {
		w.classic(s)
		for name, take := range w.takes() {
			good := w.files[name]
			t.Run(s.Key().Scheme+" "+name, func(t *testing.T) {
				t.Parallel()
				flips(t, name, good, step, take, func(_ int, b byte) []byte {
					if name == signed.Timestamp && s.Key().Scheme == "ed25519" {
						return all
					}
					return []byte{b ^ 1, b ^ 2, b ^ 4, b ^ 8, b ^ 16, b ^ 32, b ^ 64, b ^ 128}
				})
			})
		}
	}
}

// classic publishes a repository that has one key for all roles.
func (w *world) classic(s sign.Signer) {
	for role := range w.root.Roles {
		w.root.Roles[role] = sign.Role{Keys: []sign.Key{s.Key()}, Threshold: 1}
	}
	targets, err := w.targets.Document()
	require.NoError(w.t, err)
	w.root.Header.Version = 1
	w.files["1.root"] = w.signedBy(w.root.Document(), s)
	w.root.Header.Version = 2
	w.files["2.root"] = w.signedBy(w.root.Document(), s)
	w.files["1.targets"] = w.signedBy(targets, s)
	w.snapshot.Files = map[string]sign.File{signed.Targets: {Version: 1, Data: w.files["1.targets"]}}
	w.files["1.snapshot"] = w.signedBy(w.snapshot.Document(), s)
	w.timestamp.Snapshot = w.files["1.snapshot"]
	w.files[signed.Timestamp] = w.signedBy(w.timestamp.Document(), s)
}
