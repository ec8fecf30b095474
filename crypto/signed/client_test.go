package signed_test

import (
	"errors"
	"fmt"
	"maps"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"roadseal/crypto/signed"
	"roadseal/crypto/signed/sign"
)

func TestRefresh(t *testing.T) {
	w := newWorld(t)
	store := memory{}
	c := w.open(store)
	require.NoError(t, c.Refresh(t.Context(), today))
	target, err := c.Find(t.Context(), "unit/1.img", today)
	require.NoError(t, err)
	require.NoError(t, target.Verify([]byte("an image")))
	require.Error(t, target.Verify([]byte("an imagE")))
	require.Error(t, target.Verify([]byte("an image ")))
	require.JSONEq(t, `{"releaseCounter":3}`, target.Custom())
	_, err = c.Find(t.Context(), "unit/2.img", today)
	require.ErrorIs(t, err, signed.ErrNoTarget)
	for _, role := range []string{signed.Root, signed.Timestamp, signed.Snapshot, signed.Targets} {
		require.NotEmpty(t, store[role])
	}
}

// TestCatchUp: a unit that was off for two years, whatever its clock says,
// follows ten roots.
func TestCatchUp(t *testing.T) {
	w := newWorld(t)
	store := memory{}
	require.NoError(t, w.refresh(store))
	late := today.AddDate(2, 0, 0)
	for v := int64(2); v <= 11; v++ {
		old := w.pairs[signed.Root]
		w.pairs[signed.Root] = newPair(t)
		for _, role := range []string{signed.Root, signed.Timestamp} {
			if role == signed.Timestamp {
				w.pairs[role] = newPair(t)
			}
			w.root.Roles[role] = w.pairs[role].role()
		}
		w.root.Header.Version, w.root.Expires = v, today.AddDate(0, 3*int(v), 0)
		w.publishRoot(append(old.signers(), w.pairs[signed.Root].signers()...)...)
	}
	end := late.AddDate(1, 0, 0)
	w.timestamp.Expires, w.snapshot.Expires, w.targets.Expires = end, end, end
	w.next()
	for name, now := range map[string]time.Time{"on time": late, "1970": time.Unix(0, 0)} {
		t.Run(name, func(t *testing.T) {
			c := w.open(maps.Clone(store))
			require.NoError(t, c.Refresh(t.Context(), now))
			require.EqualValues(t, 11, c.RootVersion())
		})
	}
	// A time that is too late is no way to be locked out for good.
	kept := maps.Clone(store)
	err := w.open(kept).Refresh(t.Context(), time.Date(2050, 1, 1, 0, 0, 0, 0, time.UTC))
	var e *signed.Error
	require.ErrorAs(t, err, &e)
	require.Equal(t, signed.Freeze, e.Attack)
	require.NoError(t, w.open(kept).Refresh(t.Context(), late))
}

// TestFastForward: who had the keys of timestamp and snapshot may have let
// versions run ahead; new keys make lower versions good again.
func TestFastForward(t *testing.T) {
	for _, role := range []string{signed.Timestamp, signed.Snapshot} {
		t.Run(role, func(t *testing.T) {
			w := newWorld(t)
			store := memory{}
			w.timestamp.Header.Version, w.snapshot.Header.Version, w.targets.Header.Version = 1<<40, 1<<40, 1<<40
			w.publishTargets()
			require.NoError(t, w.refresh(store))
			w.timestamp.Header.Version, w.snapshot.Header.Version, w.targets.Header.Version = 2, 2, 2
			w.publishTargets()
			require.Error(t, w.refresh(store))
			w.pairs[role] = newPair(t)
			w.root.Roles[role] = w.pairs[role].role()
			w.root.Header.Version = 2
			w.publish()
			require.NoError(t, w.refresh(store))
		})
	}
}

// broken is a store in which one change fails, and all after it: power was cut.
type broken struct {
	memory
	left int
}

var errCut = errors.New("power was cut")

func (b *broken) cut() error {
	if b.left--; b.left < 0 {
		return errCut
	}
	return nil
}

func (b *broken) Save(name string, data []byte) error {
	if err := b.cut(); err != nil {
		return err
	}
	return b.memory.Save(name, data)
}

func (b *broken) Remove(name string) error {
	if err := b.cut(); err != nil {
		return err
	}
	return b.memory.Remove(name)
}

// TestPowerCut: wherever the store's changes end, the next start goes on, and
// never falls back behind what it was sure of.
func TestPowerCut(t *testing.T) {
	w := newWorld(t)
	stored := memory{}
	w.next()
	require.NoError(t, w.refresh(stored))
	stale := maps.Clone(w.files)
	w.pairs[signed.Timestamp] = newPair(t)
	w.root.Roles[signed.Timestamp] = w.pairs[signed.Timestamp].role()
	w.root.Header.Version = 2
	w.publishRoot(w.pairs[signed.Root].signers()...)
	w.next()
	fresh := maps.Clone(w.files)
	for cut := 0; ; cut++ {
		store := maps.Clone(stored)
		c, err := signed.Open(w.files["1.root"], w, &broken{store, cut}, options)
		require.NoError(t, err)
		err = c.Refresh(t.Context(), today)
		if err == nil {
			require.GreaterOrEqual(t, cut, 6)
			return
		}
		require.ErrorIs(t, err, errCut, "cut %d", cut)

		// The repository is in wrong hands meanwhile, and serves what was
		// good before the last refresh.
		w.files = maps.Clone(stale)
		delete(w.files, "2.root")
		w.timestamp.Header.Version = 1
		after := maps.Clone(store)
		c = w.open(after)
		if c.RootVersion() == 1 {
			require.NoError(t, c.Refresh(t.Context(), today), "nothing newer was seen")
		} else {
			require.Error(t, c.Refresh(t.Context(), today), "cut %d", cut)
		}
		w.files = maps.Clone(fresh)
		require.NoError(t, w.open(store).Refresh(t.Context(), today), "cut %d", cut)
		require.NoError(t, w.open(after).Refresh(t.Context(), today), "cut %d", cut)
	}
}

// TestDelegations: who may speak for a path is found in order, depth first,
// and never beyond a terminating role.
func TestDelegations(t *testing.T) {
	w := newWorld(t)
	pairs := map[string]pair{}
	role := func(name string) sign.Role {
		if _, ok := pairs[name]; !ok {
			pairs[name] = newPair(t)
		}
		return pairs[name].role()
	}
	head := w.targets.Header
	files := func(content string, paths ...string) map[string]sign.Target {
		m := map[string]sign.Target{}
		for _, p := range paths {
			m[p] = sign.Target{Data: []byte(content)}
		}
		return m
	}
	w.targets.Delegations = []sign.Delegation{
		{Name: "cameras", Role: role("cameras"), Paths: []string{"camera/*"}},
		{Name: "last-word", Role: role("last-word"), Paths: []string{"radio/*"}, Terminating: true},
		{Name: "all", Role: role("all"), Paths: []string{"*/*"}},
	}
	delegated := map[string]sign.Targets{
		"cameras":   {Header: head, Files: files("cameras", "camera/1"), Delegations: []sign.Delegation{{Name: "rear", Role: role("rear"), Paths: []string{"camera/rear-*"}}}},
		"rear":      {Header: head, Files: files("rear", "camera/rear-1", "camera/1")},
		"last-word": {Header: head, Files: files("last-word", "radio/1")},
		"all":       {Header: head, Files: files("all", "camera/1", "camera/2", "radio/2", "radio/1", "other/1")},
	}
	w.publishTargets()
	for name, d := range delegated {
		doc, err := d.Document()
		require.NoError(t, err)
		data := w.signedBy(doc, pairs[name].signers()...)
		w.files["1."+name] = data
		w.snapshot.Files[name] = sign.File{Version: 1, Data: data}
	}
	w.publishSnapshot()
	c := w.open(memory{})
	require.NoError(t, c.Refresh(t.Context(), today))
	for path, content := range map[string]string{"camera/1": "cameras", "camera/rear-1": "rear", "camera/2": "all", "radio/1": "last-word",
		"radio/2": "", "other/1": "all", "unit/1.img": "an image", "camera/rear/1": "", "x": ""} {
		target, err := c.Find(t.Context(), path, today)
		if content == "" {
			require.ErrorIs(t, err, signed.ErrNoTarget, path)
			continue
		}
		require.NoError(t, err, path)
		require.NoError(t, target.Verify([]byte(content)), path)
	}
}

// TestTooManyDelegations: a search ends.
func TestTooManyDelegations(t *testing.T) {
	w := newWorld(t)
	p := newPair(t)
	for i := range signed.MaxDelegations + 1 {
		w.targets.Delegations = append(w.targets.Delegations, sign.Delegation{Name: fmt.Sprint("role-", i), Role: p.role(), Paths: []string{"*"}})
	}
	w.publishTargets()
	for i := range signed.MaxDelegations + 1 {
		doc, err := sign.Targets{Header: w.targets.Header}.Document()
		require.NoError(t, err)
		name := fmt.Sprint("role-", i)
		data := w.signedBy(doc, p.signers()...)
		w.files["1."+name] = data
		w.snapshot.Files[name] = sign.File{Version: 1, Data: data}
	}
	w.publishSnapshot()
	c := w.open(memory{})
	require.NoError(t, c.Refresh(t.Context(), today))
	_, err := c.Find(t.Context(), "x", today)
	var e *signed.Error
	require.ErrorAs(t, err, &e)
	require.Equal(t, signed.EndlessData, e.Attack)
}

// TestRestrictedDelegations: a role that does not speak for this unit is passed
// over, also if it would have had the last word.
func TestRestrictedDelegations(t *testing.T) {
	w := newWorld(t)
	delegate := func(name string, hardware []string) sign.Delegation {
		p := newPair(t)
		doc, err := sign.Targets{Header: w.targets.Header, Files: map[string]sign.Target{"unit/2.img": {Data: []byte(name)}}}.Document()
		require.NoError(t, err)
		w.files["1."+name] = w.signedBy(doc, p.signers()...)
		return sign.Delegation{Name: name, Role: p.role(), Paths: []string{"unit/*"}, Hardware: hardware, Terminating: true}
	}
	w.targets.Delegations = []sign.Delegation{delegate("a", []string{"rev-1", "rev-2"}), delegate("b", []string{"rev-3"}), delegate("all", nil)}
	w.publishTargets()
	for _, d := range w.targets.Delegations {
		w.snapshot.Files[d.Name] = sign.File{Version: 1, Data: w.files["1."+d.Name]}
	}
	w.publishSnapshot()
	for hardware, want := range map[string]string{"rev-1": "a", "rev-2": "a", "rev-3": "b", "rev-4": "all", "": "a"} {
		o := options
		if hardware != "" {
			o.Concerns = func(custom string) bool { return strings.Contains(custom, `"`+hardware+`"`) }
		}
		c, err := signed.Open(w.files["1.root"], w, memory{}, o)
		require.NoError(t, err)
		require.NoError(t, c.Refresh(t.Context(), today))
		target, err := c.Find(t.Context(), "unit/2.img", today)
		require.NoError(t, err)
		require.Equal(t, want, target.Role, hardware)
		require.NoError(t, target.Verify([]byte(want)))
	}
}
