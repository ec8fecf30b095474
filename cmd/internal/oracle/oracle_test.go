// Package oracle compares the vehicle's verification of signed metadata with
// go-tuf's, on classical keys: go-tuf knows no others. It is a module of its
// own, so that nothing else depends on go-tuf.
//
// Side: desk.
package oracle

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"github.com/theupdateframework/go-tuf/v2/metadata/trustedmetadata"

	"roadseal/crypto/signed"
	"roadseal/crypto/signed/sign"
)

var today = time.Date(2026, 11, 24, 12, 0, 0, 0, time.UTC)

// delegated is the role that the top-level targets delegate to.
const delegated = "delegated"

// roles are in the order in which a client takes them.
var roles = []string{signed.Root, signed.Timestamp, signed.Snapshot, signed.Targets, delegated}

// A repository is one good set of files, by role, and who signs what. It lists
// files by version only, so that a changed one is read and not just hashed.
type repository struct {
	first   []byte // root that everybody starts from
	signers map[string][]sign.Signer
	bodies  map[string]string // "signed" of each role
	files   map[string][]byte
}

func newRepository(tb testing.TB) *repository {
	r := &repository{signers: map[string][]sign.Signer{}, bodies: map[string]string{}, files: map[string][]byte{}}
	head := sign.Header{Version: 1, Expires: today.AddDate(1, 0, 0)}
	seed := byte(0)
	role := func(name string) sign.Role {
		var keys []sign.Key
		for range 2 {
			seed++
			s, err := sign.FromSeed("ed25519", []byte(strings.Repeat(string(rune('A'+seed)), sign.SeedSize)))
			require.NoError(tb, err)
			r.signers[name] = append(r.signers[name], s)
			keys = append(keys, s.Key())
		}
		return sign.Role{Keys: keys, Threshold: 2}
	}
	root := sign.Root{Header: head, Roles: map[string]sign.Role{}}
	for _, name := range roles[:4] {
		root.Roles[name] = role(name)
	}
	d := root.Document()
	require.NoError(tb, d.Sign(r.signers[signed.Root]...))
	r.first = d.Bytes()
	root.Version = 2
	r.bodies[signed.Root] = string(root.Document().Signed())
	list := fmt.Sprintf(`"expires":"2027-11-24T12:00:00Z","meta":{%%s},"spec_version":"1.0.34","version":1}`)
	r.bodies[signed.Timestamp] = `{"_type":"timestamp",` + fmt.Sprintf(list, `"snapshot.json":{"version":1}`)
	r.bodies[signed.Snapshot] = `{"_type":"snapshot",` + fmt.Sprintf(list, `"delegated.json":{"version":1},"targets.json":{"version":1}`)
	targets, err := sign.Targets{Header: head, Files: map[string]sign.Target{"a": {Data: []byte("a"), Custom: map[string]any{"n": 1}}},
		Delegations: []sign.Delegation{{Name: delegated, Role: role(delegated), Paths: []string{"b/*"}, Terminating: true}}}.Document()
	require.NoError(tb, err)
	r.bodies[signed.Targets] = string(targets.Signed())
	more, err := sign.Targets{Header: head, Files: map[string]sign.Target{"b/1": {Data: []byte("b")}}}.Document()
	require.NoError(tb, err)
	r.bodies[delegated] = string(more.Signed())
	for _, name := range roles {
		r.files[name] = r.file(name, r.bodies[name])
	}
	return r
}

// file signs a body, if it is in canonical form; else nobody could have.
func (r *repository) file(role, body string) []byte {
	text := []byte(`{"signatures":[],"signed":` + body + `}`)
	d, err := sign.Parse(text)
	if err != nil || d.Sign(r.signers[role]...) != nil {
		return text
	}
	return d.Bytes()
}

// Fetch implements signed.Source.
func (r *repository) Fetch(_ context.Context, role string, version int64, limit int) ([]byte, error) {
	data := r.files[role]
	if role == signed.Root && version != 2 {
		return nil, fs.ErrNotExist
	}
	return data[:min(len(data), limit+1)], nil
}

// ours is what the vehicle says of a file in the place of a role's, when all
// that comes before is good.
func (r *repository) ours(role string, data []byte) error {
	changed := &repository{files: map[string][]byte{}}
	for name, good := range r.files {
		changed.files[name] = good
	}
	changed.files[role] = data
	c, err := signed.Open(r.first, changed, nothing{}, signed.Options{Name: "r"})
	if err != nil {
		return err
	}
	if role != delegated {
		// A file that comes later may no longer fit.
		return until(role, c.Refresh(context.Background(), today))
	}
	if err := c.Refresh(context.Background(), today); err != nil {
		return err
	}
	_, err = c.Find(context.Background(), "b/none", today)
	if errors.Is(err, signed.ErrNoTarget) {
		return nil
	}
	return err
}

// until passes over errors of roles behind one.
func until(role string, err error) error {
	var e *signed.Error
	if !errors.As(err, &e) {
		return err
	}
	for _, name := range roles {
		if name == e.Role {
			return err
		}
		if name == role {
			return nil
		}
	}
	return err
}

// nothing is a store that forgets.
type nothing struct{}

func (nothing) Load(string) ([]byte, error) { return nil, fs.ErrNotExist }
func (nothing) Save(string, []byte) error   { return nil }
func (nothing) Remove(string) error         { return nil }

// errPanic is what go-tuf says of some files before it looks at signatures.
var errPanic = errors.New("go-tuf panics")

// theirs is what go-tuf says of the same.
func (r *repository) theirs(role string, data []byte) (err error) {
	defer func() {
		if p := recover(); p != nil {
			err = fmt.Errorf("%w: %v", errPanic, p)
		}
	}()
	t, err := trustedmetadata.New(r.first)
	if err != nil {
		return err
	}
	t.RefTime = today
	for _, name := range roles {
		file := r.files[name]
		if name == role {
			file = data
		}
		switch name {
		case signed.Root:
			_, err = t.UpdateRoot(file)
		case signed.Timestamp:
			_, err = t.UpdateTimestamp(file)
		case signed.Snapshot:
			_, err = t.UpdateSnapshot(file, false)
		case signed.Targets:
			_, err = t.UpdateTargets(file)
		default:
			_, err = t.UpdateDelegatedTargets(file, delegated, signed.Targets)
		}
		if err != nil || name == role {
			break
		}
	}
	if role == signed.Root && err == nil && t.Root.Signed.IsExpired(today) {
		err = errors.New("root.json is expired") // go-tuf says so at the timestamp
	}
	return err
}
