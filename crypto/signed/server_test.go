package signed_test

import (
	"fmt"
	"maps"
	"runtime"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"roadseal/crypto/signed"
)

// What a server can try that holds no key.

// TestTheFleetsInThePlaceOfItsOwn: a vehicle that has had metadata of its own
// takes that for the fleet no more, until its signers have changed. Who holds the
// server, and no key, could else choose what it is to install.
func TestTheFleetsInThePlaceOfItsOwn(t *testing.T) {
	w, store := newWorld(t), memory{}
	require.NoError(t, w.refresh(store), "the fleet's first")
	w.timestamp.Audience = vehicle
	w.next()
	require.NoError(t, w.refresh(store))
	before := maps.Clone(store)
	w.timestamp.Audience = signed.Fleet
	w.next()
	for range 2 {
		err := w.refresh(store)
		require.Equal(t, signed.WrongVehicle, attackOf(t, err))
		require.ErrorContains(t, err, "this vehicle has had its own")
		require.Equal(t, before, store)
	}
	w.timestamp.Audience = vehicle
	w.next()
	require.NoError(t, w.refresh(store))
	w.timestamp.Audience = signed.Fleet
	w.pairs[signed.Timestamp] = newPair(t)
	w.root.Roles[signed.Timestamp] = w.pairs[signed.Timestamp].role()
	w.root.Version = 2
	w.publish()
	require.NoError(t, w.refresh(store))
}

// TestTargetsAlone: of a repository without snapshots, older targets are refused
// also after a restart; new keys make lower versions good again.
func TestTargetsAlone(t *testing.T) {
	o := options
	o.RootAndTargets = true
	w, store := newWorld(t), memory{}
	refresh := func(version int64) error {
		w.targets.Version = version
		w.publishTargets()
		w.files[signed.Targets] = w.files[fmt.Sprintf("%d.targets", version)]
		c, err := signed.Open(w.files["1.root"], w, store, o)
		require.NoError(t, err)
		return c.Refresh(t.Context(), today)
	}
	require.NoError(t, refresh(1<<40))
	before := maps.Clone(store)
	require.Equal(t, signed.Rollback, attackOf(t, refresh(3)))
	require.Equal(t, before, store)
	w.pairs[signed.Targets] = newPair(t)
	w.root.Roles[signed.Targets] = w.pairs[signed.Targets].role()
	w.root.Version = 2
	w.publishRoot(w.pairs[signed.Root].signers()...)
	require.NoError(t, refresh(3))
}

// TestLongNamesCostLittle: a member with a long name has many members. Neither
// memory nor time grows with the product of both.
func TestLongNamesCostLittle(t *testing.T) {
	w := newWorld(t)
	trusted, err := signed.New(w.files["1.root"], options)
	require.NoError(t, err)
	var hashes []string
	for i := range 30_000 {
		hashes = append(hashes, fmt.Sprintf(`"%05d":""`, i))
	}
	file := []byte(`{"signatures":[],"signed":{"_type":"snapshot","expires":"2027-11-24T12:00:00Z","meta":{"` + strings.Repeat("x", 512<<10) +
		`":{"hashes":{` + strings.Join(hashes, ",") + `},"version":1}},"spec_version":"1.0.34","version":1}}`)
	var before, after runtime.MemStats
	runtime.ReadMemStats(&before)
	require.Equal(t, signed.Arbitrary, attackOf(t, trusted.UpdateSnapshot(file, today, true)))
	runtime.ReadMemStats(&after)
	require.Less(t, after.TotalAlloc-before.TotalAlloc, uint64(64<<20))
}

// TestFindBeforeRefresh is an error of the caller, and no panic.
func TestFindBeforeRefresh(t *testing.T) {
	w := newWorld(t)
	_, err := w.open(memory{}).Find(t.Context(), "unit/1.img", today)
	require.ErrorContains(t, err, "internal error")
	trusted, err := signed.New(w.files["1.root"], options)
	require.NoError(t, err)
	require.ErrorContains(t, trusted.UpdateTargets(w.files["1.targets"], today), "internal error")
}
