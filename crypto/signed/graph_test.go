package signed_test

import (
	"crypto/sha256"
	"errors"
	"fmt"
	"io/fs"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"roadseal/crypto/signed"
	"roadseal/crypto/signed/sign"
	"roadseal/hal/durable/crashfs"
)

// An edge is a delegation: from speaks, to may speak for paths.
type edge struct {
	from, to string
	paths    string // parted by spaces
	last     bool   // terminating
}

// keyOf is the one key of a delegated role.
func keyOf(t testing.TB, name string) sign.Signer {
	seed := sha256.Sum256([]byte(name))
	s, err := sign.FromSeed("ed25519", seed[:])
	require.NoError(t, err)
	return s
}

// delegate publishes a graph of delegations, those of one role in their order.
// lists says which role lists a path; the content is path and role.
func (w *world) delegate(edges []edge, lists ...[2]string) {
	delegated := map[string]sign.Targets{signed.Targets: w.targets}
	change := func(role string, f func(t *sign.Targets)) {
		t, ok := delegated[role]
		if !ok {
			t = sign.Targets{Header: w.targets.Header, Files: map[string]sign.Target{}}
		}
		f(&t)
		delegated[role] = t
	}
	for _, e := range edges {
		change(e.to, func(*sign.Targets) {})
		change(e.from, func(t *sign.Targets) {
			role := sign.Role{Keys: []sign.Key{keyOf(w.t, e.to).Key()}, Threshold: 1}
			t.Delegations = append(t.Delegations, sign.Delegation{Name: e.to, Role: role, Paths: strings.Fields(e.paths), Terminating: e.last})
		})
	}
	for _, l := range lists {
		change(l[0], func(t *sign.Targets) { t.Files[l[1]] = sign.Target{Data: []byte(l[1] + " " + l[0])} })
	}
	w.targets = delegated[signed.Targets]
	delete(delegated, signed.Targets)
	w.publishTargets()
	for name, d := range delegated {
		w.publishDelegated(name, d, keyOf(w.t, name))
	}
	w.publishSnapshot()
}

func (w *world) publishDelegated(name string, d sign.Targets, signers ...sign.Signer) {
	doc, err := d.Document()
	require.NoError(w.t, err)
	data := w.signedBy(doc, signers...)
	w.files[fmt.Sprintf("%d.%s", d.Version, name)] = data
	w.snapshot.Files[name] = sign.File{Version: d.Version, Data: data}
}

// TestOrderOfDelegations: roles are asked for depth first, each once, and none
// behind a terminating one, nor below one that does not speak for the path.
func TestOrderOfDelegations(t *testing.T) {
	const top, all = signed.Targets, "*"
	for _, c := range []struct {
		name  string
		edges []edge
		asks  string
	}{
		{"one", []edge{{top, "a", all, false}}, "a"},
		{"two beside each other", []edge{{top, "a", all, false}, {top, "b", all, false}}, "a b"},
		{"in the order of the list, not of the names", []edge{{top, "b", all, false}, {top, "a", all, false}}, "b a"},
		{"one below the second", []edge{{top, "a", all, false}, {top, "b", all, false}, {"b", "c", all, false}}, "a b c"},
		{"two below the first", []edge{{top, "a", all, false}, {top, "b", all, false}, {"a", "c", all, false}, {"a", "d", all, false}}, "a c d b"},
		{"a line below the first", []edge{{top, "a", all, false}, {top, "b", all, false}, {"a", "c", all, false}, {"c", "d", all, false}}, "a c d b"},
		{"the first has the last word", []edge{{top, "a", all, true}, {top, "b", all, false}, {"a", "c", all, false}}, "a c"},
		{"one below has the last word, its sister", []edge{{top, "a", all, false}, {top, "b", all, false}, {"a", "c", all, true}, {"a", "d", all, false}}, "a c"},
		{"one below has the last word, its child", []edge{{top, "a", all, false}, {top, "b", all, false}, {"a", "c", all, true}, {"c", "d", all, false}}, "a c d"},
		{"the last word of who is not asked", []edge{{top, "a", "x/*", true}, {top, "b", all, false}}, "b"},
		{"not for this path", []edge{{top, "a", "*.img", false}, {top, "b", all, false}, {"a", "c", all, false}}, "b"},
		{"not for this path, one below", []edge{{top, "a", all, false}, {top, "b", all, false}, {"a", "c", "*.img", false}, {"c", "d", all, false}}, "a b"},
		{"a circle", []edge{{top, "a", all, false}, {top, "b", all, false}, {"b", "c", all, false}, {"c", "d", all, false}, {"d", "b", all, false}}, "a b c d"},
		{"to itself", []edge{{top, "a", all, false}, {"a", "a", all, false}, {top, "b", all, false}}, "a b"},
		{"a circle whose end has the last word", []edge{{top, "a", all, false}, {"a", "b", all, false}, {"b", "a", all, true}, {top, "c", all, false}}, "a b"},
		{"two to one third", []edge{{top, "a", all, false}, {top, "b", all, false}, {"b", "c", all, false}, {"a", "c", all, false}}, "a c b"},
		{"two to one third, the first not for this path", []edge{{top, "a", all, false}, {top, "b", all, false}, {"b", "c", all, false}, {"a", "c", "*.img", false}}, "a b c"},
	} {
		t.Run(c.name, func(t *testing.T) {
			w := newWorld(t)
			w.delegate(c.edges)
			client := w.open(memory{})
			require.NoError(t, client.Refresh(t.Context(), today))
			w.asks()
			_, err := client.Find(t.Context(), "missing", today)
			require.ErrorIs(t, err, signed.ErrNoTarget)
			require.Equal(t, c.asks, strings.ReplaceAll(strings.Join(w.asks(), " "), "1.", ""))
			_, err = client.Find(t.Context(), "missing", today)
			require.ErrorIs(t, err, signed.ErrNoTarget)
			require.Empty(t, w.asks(), "what is stored still holds")
		})
	}
}

// TestPathsOfDelegations: a role is asked only for the paths that all above it
// have let it speak for.
func TestPathsOfDelegations(t *testing.T) {
	w := newWorld(t)
	w.delegate([]edge{
		{signed.Targets, "a", "*.doc *.md unit-?.img", false},
		{signed.Targets, "b", "releases/*/*", false},
		{"b", "c", "releases/x/*", false},
		{"b", "d", "releases/y/*.zip", false},
	}, [][2]string{{signed.Targets, "top"}, {"a", "README.md"}, {"a", "releases/README.md"}, {"a", "unit-1.img"}, {"a", "unit-ten.img"},
		{"c", "releases/x/1"}, {"d", "releases/y/1.zip"}, {"d", "releases/z/1.zip"}}...)
	for path, want := range map[string]string{ // roles that are asked for; "!" if the last one lists it
		"top":                "targets!",
		"README.md":          "a!",
		"README.MD":          "",
		"releases/README.md": "",
		"unit-1.img":         "a!",
		"unit-ten.img":       "",
		"releases/x/1":       "b c!",
		"releases/y/1.zip":   "b d!",
		"releases/z/1.zip":   "b",
		"releases/x/y/1":     "",
	} {
		client := w.open(memory{})
		require.NoError(t, client.Refresh(t.Context(), today))
		asked := len(w.asks())
		target, err := client.Find(t.Context(), path, today)
		require.Equal(t, 4, asked)
		roles, found := strings.CutSuffix(want, "!")
		require.Equal(t, strings.TrimPrefix(roles, signed.Targets), strings.ReplaceAll(strings.Join(w.asks(), " "), "1.", ""), path)
		if !found {
			require.ErrorIs(t, err, signed.ErrNoTarget, path)
			continue
		}
		require.NoError(t, err, path)
		require.NoError(t, target.Verify([]byte(path+" "+target.Role)), path)
		require.True(t, strings.HasSuffix(roles, target.Role), path)
	}
}

// TestLimitOfDelegations: of a line that is as long as a search may be the end is
// found; one role more, and the search is given up. Roles that come up again are
// not counted.
func TestLimitOfDelegations(t *testing.T) {
	for _, extra := range []int{0, 1} {
		w := newWorld(t)
		before, edges := signed.Targets, []edge(nil)
		for i := range signed.MaxDelegations - 1 + extra {
			name := fmt.Sprint("role-", i)
			edges = append(edges, edge{before, name, "*", false})
			if i > 0 {
				edges = append(edges, edge{name, "role-0", "*", false}) // back to the first
			}
			before = name
		}
		w.delegate(edges, [2]string{before, "end"})
		client := w.open(memory{})
		require.NoError(t, client.Refresh(t.Context(), today))
		w.asks()
		target, err := client.Find(t.Context(), "end", today)
		require.Len(t, w.asks(), signed.MaxDelegations-1)
		if extra > 0 {
			require.Equal(t, signed.EndlessData, attackOf(t, err))
			continue
		}
		require.NoError(t, err)
		require.Equal(t, before, target.Role)
	}
}

// TestManyWaysToOneRole: roles that all delegate to all others cost one request
// each.
func TestManyWaysToOneRole(t *testing.T) {
	w := newWorld(t)
	var edges []edge
	for i := range 12 {
		edges = append(edges, edge{signed.Targets, fmt.Sprint("role-", i), "*", false})
		for j := range 12 {
			edges = append(edges, edge{fmt.Sprint("role-", i), fmt.Sprint("role-", j), "*", false})
		}
	}
	w.delegate(edges)
	client := w.open(memory{})
	require.NoError(t, client.Refresh(t.Context(), today))
	w.asks()
	_, err := client.Find(t.Context(), "missing", today)
	require.ErrorIs(t, err, signed.ErrNoTarget)
	require.Len(t, w.asks(), 12)
}

// TestDelegationThatTheSnapshotDoesNotList: it is not even asked for.
func TestDelegationThatTheSnapshotDoesNotList(t *testing.T) {
	w := newWorld(t)
	w.delegate([]edge{{signed.Targets, "a", "*", false}}, [2]string{"a", "x"})
	delete(w.snapshot.Files, "a")
	w.publishSnapshot()
	client := w.open(memory{})
	require.NoError(t, client.Refresh(t.Context(), today))
	w.asks()
	_, err := client.Find(t.Context(), "x", today)
	require.Equal(t, signed.MixAndMatch, attackOf(t, err))
	require.ErrorContains(t, err, "a: mix and match: the snapshot does not list it")
	require.Empty(t, w.asks())
}

// TestStoredRoleIsJudgedAnew: a role that one delegator vouched for is not good
// for another, who names other keys.
func TestStoredRoleIsJudgedAnew(t *testing.T) {
	w := newWorld(t)
	w.delegate([]edge{{signed.Targets, "team-a", "a/*", false}, {signed.Targets, "team-b", "b/*", false},
		{"team-a", "release", "a/*", false}, {"team-b", "release", "b/*", false}}, [2]string{"release", "a/1"}, [2]string{"release", "b/1"})
	other := keyOf(t, "another")
	b := sign.Targets{Header: w.targets.Header, Delegations: []sign.Delegation{{Name: "release", Paths: []string{"b/*"},
		Role: sign.Role{Keys: []sign.Key{other.Key()}, Threshold: 1}}}}
	w.publishDelegated("team-b", b, keyOf(t, "team-b"))
	w.publishSnapshot()
	store := memory{}
	client := w.open(store)
	require.NoError(t, client.Refresh(t.Context(), today))
	find := func(path string) error { _, err := client.Find(t.Context(), path, today); return err }
	for range 2 {
		require.NoError(t, find("a/1"))
		require.Equal(t, signed.Arbitrary, attackOf(t, find("b/1")))
	}
	before := string(store["release"])
	require.NotEmpty(t, before)

	// One that both sign is good for both, and fetched once.
	release, err := sign.Parse(w.files["1.release"])
	require.NoError(t, err)
	require.NoError(t, release.Sign(other))
	w.files["1.release"] = release.Bytes()
	w.snapshot.Files["release"] = sign.File{Version: 1, Data: release.Bytes()}
	w.snapshot.Version, w.timestamp.Version = 2, 2
	w.publishSnapshot()
	require.NoError(t, client.Refresh(t.Context(), today))
	w.asks()
	require.NoError(t, find("b/1"))
	require.NoError(t, find("a/1"))
	require.Equal(t, []string{"1.release"}, w.asks())
}

// TestDelegatedRoleIsNotThere: that a role cannot be had does not mean that
// another may speak in its place.
func TestDelegatedRoleIsNotThere(t *testing.T) {
	for _, name := range []string{"missing", "expired", "of another version", "by another key", "another vehicle's"} {
		t.Run(name, func(t *testing.T) {
			w := newWorld(t)
			w.delegate([]edge{{signed.Targets, "a", "*", false}, {signed.Targets, "b", "*", false}}, [2]string{"a", "x"}, [2]string{"b", "x"})
			d := sign.Targets{Header: w.targets.Header}
			signer, attack := keyOf(t, "a"), signed.Attack("")
			switch name {
			case "missing":
			case "expired":
				d.Expires, attack = today, signed.Freeze
			case "of another version":
				d.Version, attack = 2, signed.MixAndMatch
			case "by another key":
				signer, attack = keyOf(t, "b"), signed.Arbitrary
			default:
				d.Audience, attack = "YmFyYmFyYmFyYmFyYmFyYg", signed.WrongVehicle
			}
			w.publishDelegated("a", d, signer)
			w.files["1.a"] = w.files[fmt.Sprintf("%d.a", d.Version)]
			w.snapshot.Files["a"] = sign.File{Version: 1, Data: w.files["1.a"]}
			w.publishSnapshot()
			if attack == "" {
				delete(w.files, "1.a")
			}
			store := memory{}
			client := w.open(store)
			require.NoError(t, client.Refresh(t.Context(), today))
			_, err := client.Find(t.Context(), "x", today)
			require.False(t, err == nil || errors.Is(err, signed.ErrNoTarget), "%v", err)
			if attack != "" {
				require.Equal(t, attack, attackOf(t, err))
			}
			require.NotContains(t, store, "a")
			require.NotContains(t, store, "b")
		})
	}
}

// TestRolesThatComeAndGo: those of the past do not fill the disk.
func TestRolesThatComeAndGo(t *testing.T) {
	w := newWorld(t)
	fsys := crashfs.New(crashfs.Options{})
	for year := range 4 {
		w.targets.Delegations = nil
		var edges []edge
		for i := range 15 {
			edges = append(edges, edge{signed.Targets, fmt.Sprintf("supplier-%d-%d", year, i), "*", false})
		}
		files := w.snapshot.Files
		w.delegate(edges)
		for name, f := range files {
			if w.snapshot.Files[name].Version == 0 {
				w.snapshot.Files[name] = f // none may vanish
			}
		}
		w.snapshot.Version++
		w.timestamp.Version++
		w.publishSnapshot()
		dir, err := signed.OpenDir(fsys, "images")
		require.NoError(t, err)
		c, err := signed.Open(w.files["1.root"], w, dir, options)
		require.NoError(t, err)
		require.NoError(t, c.Refresh(t.Context(), today))
		for range 3 { // while some are dropped, some of these are as well
			w.asks()
			_, err = c.Find(t.Context(), "missing", today)
			require.ErrorIs(t, err, signed.ErrNoTarget)
		}
		require.Empty(t, w.asks(), "what was asked for last is kept")
		n := 0
		require.NoError(t, fsys.List("images", func(fs.DirEntry) error { n++; return nil }))
		require.LessOrEqual(t, n, signed.MaxDelegations+6)
	}
}
