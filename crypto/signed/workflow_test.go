package signed_test

import (
	"bytes"
	"fmt"
	"io/fs"
	"maps"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"roadseal/crypto/signed"
	"roadseal/crypto/signed/sign"
)

// asks returns what was asked for since the last call, in order.
func (w *world) asks() []string {
	asked := w.asked
	w.asked = nil
	return asked
}

func attackOf(t testing.TB, err error) signed.Attack {
	t.Helper()
	var e *signed.Error
	require.ErrorAs(t, err, &e)
	return e.Attack
}

// TestWhatIsAskedFor: a refresh asks for what it needs, in TUF's order, and for
// nothing else; what is stored and still holds is not asked for again.
func TestWhatIsAskedFor(t *testing.T) {
	w := newWorld(t)
	store := memory{}
	for _, step := range []struct {
		name   string
		change func()
		asks   string
	}{
		{"the first start", func() {}, "2.root timestamp 1.snapshot 1.targets"},
		{"nothing new", func() {}, "2.root timestamp"},
		{"a new timestamp", func() { w.timestamp.Version++; w.publishTimestamp() }, "2.root timestamp"},
		{"a new release", w.next, "2.root timestamp 2.snapshot 2.targets"},
		{"a new snapshot of the same targets", func() {
			w.snapshot.Version++
			w.timestamp.Version++
			w.publishSnapshot()
		}, "2.root timestamp 3.snapshot"},
		{"three new roots", func() {
			for range 3 {
				w.root.Version++
				w.publishRoot(w.pairs[signed.Root].signers()...)
			}
		}, "2.root 3.root 4.root 5.root timestamp"},
		{"a root that changes who signs timestamps", func() {
			w.pairs[signed.Timestamp] = newPair(t)
			w.root.Roles[signed.Timestamp] = w.pairs[signed.Timestamp].role()
			w.root.Version++
			w.publishRoot(w.pairs[signed.Root].signers()...)
			w.publishTimestamp()
		}, "5.root 6.root timestamp 3.snapshot 2.targets"},
	} {
		step.change()
		c := w.open(store)
		require.Empty(t, w.asks(), step.name)
		require.NoError(t, c.Refresh(t.Context(), today), step.name)
		require.Equal(t, step.asks, strings.Join(w.asks(), " "), step.name)
		_, err := c.Find(t.Context(), "unit/2.img", today)
		require.ErrorIs(t, err, signed.ErrNoTarget)
		require.Empty(t, w.asks(), step.name)
		require.NoError(t, c.Refresh(t.Context(), today), step.name)
		require.Equal(t, fmt.Sprintf("%d.root timestamp", c.RootVersion()+1), strings.Join(w.asks(), " "), "%s, once more", step.name)
	}
}

// TestNamesWithoutVersions: only roots are asked for by version if the root says
// that snapshots are not consistent.
func TestNamesWithoutVersions(t *testing.T) {
	w := newWorld(t)
	w.resign("1.root", signed.Root, `"consistent_snapshot":true`, `"consistent_snapshot":false`)
	w.files[signed.Snapshot], w.files[signed.Targets] = w.files["1.snapshot"], w.files["1.targets"]
	require.NoError(t, w.refresh(memory{}))
	require.Equal(t, []string{"2.root", "timestamp", "snapshot", "targets"}, w.asks())
}

// TestBadFirstRoot: nothing is asked of anybody, and nothing stored, on the word
// of a built-in root that is none.
func TestBadFirstRoot(t *testing.T) {
	for _, c := range []struct {
		name   string
		attack signed.Attack
		spoil  func(w *world)
	}{
		{"without a version", signed.Malformed, func(w *world) { w.resign("1.root", signed.Root, `,"version":1`, "") }},
		{"nobody signed it", signed.Arbitrary, func(w *world) { w.files["1.root"] = w.root.Document().Bytes() }},
		{"others signed it", signed.Arbitrary, func(w *world) { w.publishRoot(w.pairs[signed.Targets].signers()...) }},
		{"too few signed it", signed.Arbitrary, func(w *world) { w.publishRoot(w.pairs[signed.Root].later) }},
		{"it was changed afterwards", signed.Arbitrary, func(w *world) { w.replace("1.root", `"expires":"2027`, `"expires":"2037`) }},
		{"it is a timestamp", signed.Malformed, func(w *world) { w.files["1.root"] = w.files[signed.Timestamp] }},
		{"there is none", signed.Malformed, func(w *world) { delete(w.files, "1.root") }},
	} {
		t.Run(c.name, func(t *testing.T) {
			w, store := newWorld(t), memory{}
			c.spoil(w)
			require.Equal(t, c.attack, attackOf(t, w.refresh(store)))
			require.Empty(t, w.asks())
			require.Empty(t, store)
		})
	}
}

// TestExpiredFirstRoot: it leads to a newer one, and to nothing else.
func TestExpiredFirstRoot(t *testing.T) {
	w, store := newWorld(t), memory{}
	w.root.Expires = today.AddDate(0, 0, -1)
	w.publishRoot(w.pairs[signed.Root].signers()...)
	require.Equal(t, signed.Freeze, attackOf(t, w.refresh(store)))
	require.Equal(t, []string{"2.root"}, w.asks())
	w.root.Version, w.root.Expires = 2, today.AddDate(0, 0, 1)
	w.publishRoot(w.pairs[signed.Root].signers()...)
	require.NoError(t, w.refresh(store))
	require.Equal(t, []string{"2.root", "3.root", "timestamp", "1.snapshot", "1.targets"}, w.asks())
}

// TestWhatIsNotThere: a refresh ends at the file that is missing, keeps what came
// before it, and goes on from there when the file comes.
func TestWhatIsNotThere(t *testing.T) {
	for _, c := range []struct{ missing, asks, stored, then string }{
		{"timestamp", "2.root 3.root timestamp", "2 1 1 1", "3.root timestamp 2.snapshot 2.targets"},
		{"2.snapshot", "2.root 3.root timestamp 2.snapshot", "2 2 1 1", "3.root timestamp 2.snapshot 2.targets"},
		{"2.targets", "2.root 3.root timestamp 2.snapshot 2.targets", "2 2 2 1", "3.root timestamp 2.targets"},
	} {
		t.Run(c.missing, func(t *testing.T) {
			w, store := newWorld(t), memory{}
			require.NoError(t, w.refresh(store))
			w.root.Version = 2
			w.publishRoot(w.pairs[signed.Root].signers()...)
			w.next()
			w.asks()
			all := maps.Clone(w.files)
			delete(w.files, c.missing)
			require.ErrorIs(t, w.refresh(store), fs.ErrNotExist)
			require.Equal(t, c.asks, strings.Join(w.asks(), " "))
			for i, version := range strings.Fields(c.stored) {
				require.Contains(t, string(store[inOrder[i]]), `"version":`+version+`}}`, inOrder[i])
			}
			w.files = all
			require.NoError(t, w.refresh(store))
			require.Equal(t, c.then, strings.Join(w.asks(), " "))
		})
	}
}

// TestUnknownMembersAreKept: they are signed, they count for the hashes that
// others list and for the id of a key, and they are stored as they came.
func TestUnknownMembersAreKept(t *testing.T) {
	w, store := newWorld(t), memory{}
	const unknown = `"a-new-member":{"a":[1,"b",null]},`
	w.resign("1.targets", signed.Targets, `"expires"`, unknown+`"expires"`)
	w.snapshot.Files[signed.Targets] = sign.File{Version: 1, Data: w.files["1.targets"]}
	w.publishSnapshot()
	w.resign("1.snapshot", signed.Snapshot, `"hashes"`, unknown+`"hashes"`)
	w.timestamp.Snapshot = w.files["1.snapshot"]
	w.publishTimestamp()
	w.resign(signed.Timestamp, signed.Timestamp, `"expires"`, unknown+`"expires"`)

	// One of the timestamp's keys says more than its value.
	k := w.pairs[signed.Timestamp].classic.Key()
	entry := `{"keytype":"ed25519","keyval":{"public":"` + k.Public + `"},"scheme":"ed25519"}`
	longer := `{"keyid_hash_algorithms":["sha512"],` + entry[1:]
	id := sha256Hex(longer)
	w.resign("1.root", signed.Root, `"`+k.ID()+`":`+entry, `"`+id+`":`+longer)
	w.resign("1.root", signed.Root, `"keyids":["`+k.ID()+`"`, `"keyids":["`+id+`"`)
	w.resign("1.root", signed.Root, `"expires"`, unknown+`"expires"`)
	w.replace(signed.Timestamp, k.ID(), id)

	require.NoError(t, w.refresh(store))
	for role, file := range map[string]string{signed.Root: "1.root", signed.Timestamp: "timestamp", signed.Snapshot: "1.snapshot", signed.Targets: "1.targets"} {
		require.Equal(t, string(w.files[file]), string(store[role]))
	}
	w.replace(signed.Timestamp, `[1,"b",null]`, `[1,"c",null]`)
	require.Equal(t, signed.Arbitrary, attackOf(t, w.refresh(memory{})))
}

// TestTimestampOfTheSameVersion: the one that was seen first stands, whatever a
// second one says, and is all that counts.
func TestTimestampOfTheSameVersion(t *testing.T) {
	w, store := newWorld(t), memory{}
	month := today.AddDate(0, 1, 0) // before all others
	w.timestamp.Expires = month
	w.publishTimestamp()
	require.NoError(t, w.refresh(store))
	first := bytes.Clone(store[signed.Timestamp])
	w.asks()

	require.NoError(t, w.refresh(store))
	w.timestamp.SnapshotVersion = 100
	w.timestamp.Expires = today.AddDate(5, 0, 0)
	w.publishTimestamp()
	require.NoError(t, w.refresh(store))
	require.Equal(t, []string{"2.root", "timestamp", "2.root", "timestamp"}, w.asks())
	require.Equal(t, string(first), string(store[signed.Timestamp]))

	// It expires when the first one does.
	c := w.open(store)
	require.Equal(t, signed.Freeze, attackOf(t, c.Refresh(t.Context(), month)))

	// A second one is judged as every other.
	w.publishTimestamp()
	w.files[signed.Timestamp] = w.timestamp.Document().Bytes()
	require.Equal(t, signed.Arbitrary, attackOf(t, w.refresh(store)))

	// Uptane only demands that the version is not lower; a dialect can say so.
	w.snapshot.Version = 2
	w.publishSnapshot()
	o := options
	o.Dialect.SameVersion = true
	c, err := signed.Open(w.files["1.root"], w, store, o)
	require.NoError(t, err)
	require.NoError(t, c.Refresh(t.Context(), today))
	require.EqualValues(t, 2, c.Versions().Snapshot)
}

// TestASnapshotThatListsNothing: there is nothing to trust then, and nothing is
// asked for that is not listed.
func TestASnapshotThatListsNothing(t *testing.T) {
	w, store := newWorld(t), memory{}
	w.snapshot.Files = nil
	w.publishSnapshot()
	err := w.refresh(store)
	require.Equal(t, signed.MixAndMatch, attackOf(t, err))
	require.ErrorContains(t, err, "the snapshot does not list it")
	require.Equal(t, []string{"2.root", "timestamp", "1.snapshot"}, w.asks())
	require.Empty(t, store[signed.Targets])
	w.next()
	require.NoError(t, w.refresh(store))
}

// TestWhatIsStoredMayHaveExpired: it does not keep newer files out, and still
// keeps older ones out.
func TestWhatIsStoredMayHaveExpired(t *testing.T) {
	later := today.AddDate(0, 6, 0)
	w, store := newWorld(t), memory{}
	w.timestamp.Expires, w.snapshot.Expires, w.targets.Expires = today.AddDate(0, 1, 0), today.AddDate(0, 1, 0), today.AddDate(0, 1, 0)
	w.timestamp.Version, w.snapshot.Version, w.targets.Version = 5, 5, 5
	w.publishTargets()
	require.NoError(t, w.refresh(store))
	require.Equal(t, signed.Freeze, attackOf(t, w.open(store).Refresh(t.Context(), later)))
	w.timestamp.Expires, w.snapshot.Expires, w.targets.Expires = later.AddDate(0, 1, 0), later.AddDate(0, 1, 0), later.AddDate(0, 1, 0)
	for _, c := range []struct {
		timestamp, snapshot, targets int64
		attack                       signed.Attack
	}{{4, 5, 5, signed.Rollback}, {6, 4, 5, signed.Rollback}, {6, 6, 4, signed.Rollback}, {6, 6, 6, ""}} {
		w.timestamp.Version, w.snapshot.Version, w.targets.Version = c.timestamp, c.snapshot, c.targets
		w.publishTargets()
		kept := maps.Clone(store)
		err := w.open(kept).Refresh(t.Context(), later)
		if c.attack == "" {
			require.NoError(t, err)
			continue
		}
		require.Equal(t, c.attack, attackOf(t, err), "%+v: %v", c, err)
	}
}

// TestHashesOfATarget: of several all that are known must hold, and one must be
// known.
func TestHashesOfATarget(t *testing.T) {
	good256, good512 := sha256Hex("an image"), sha512Hex("an image")
	for hashes, good := range map[string]bool{
		`"sha256":"` + good256 + `"`:                                         true,
		`"sha512":"` + good512 + `"`:                                         true,
		`"sha256":"` + good256 + `","sha512":"` + good512 + `"`:              true,
		`"sha256":"` + good256 + `","sha3":"1234"`:                           true,
		`"sha256":"` + good256 + `","sha512":"` + sha512Hex("another") + `"`: false,
		`"sha256":"` + sha256Hex("another") + `","sha512":"` + good512 + `"`: false,
		`"sha3":"1234"`:                          false,
		`"sha256":"","sha512":"` + good512 + `"`: false,
		`"sha256":"` + good256[:62] + `"`:        false,
		`"sha256":"` + good512 + `"`:             false,
	} {
		w := newWorld(t)
		w.targetsWith(`"sha256":"`+good256+`"`, hashes)
		c := w.open(memory{})
		require.NoError(t, c.Refresh(t.Context(), today), hashes)
		target, err := c.Find(t.Context(), "unit/1.img", today)
		require.NoError(t, err, hashes)
		require.Equal(t, good, target.Verify([]byte("an image")) == nil, hashes)
		require.Error(t, target.Verify([]byte("another")), hashes)
	}
}
