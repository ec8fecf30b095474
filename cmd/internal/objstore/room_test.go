package objstore_test

import (
	"io/fs"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"roadseal/agent/wire"
	"roadseal/cmd/internal/objstore"
	"roadseal/cmd/internal/objstore/objstoretest"
	"roadseal/hal/durable"
	"roadseal/hal/durable/crashfs"
)

// A meter says how much space is free.
type meter struct {
	*durable.Disk
	free int64
}

func (m *meter) Free() (int64, error) { return m.free, nil }

const (
	kept  = 4 * wire.BlockSize
	three = 3*wire.BlockSize - 3 // bytes of an object of three blocks
)

// metered is a folder that keeps four blocks free on a file system with so many.
func metered(t *testing.T, blocks int64, l objstore.Limits) (m *meter, f *objstore.Folder) {
	t.Helper()
	disk, err := durable.OpenDisk(t.TempDir())
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, disk.Close()) })
	m, l.Free = &meter{disk, blocks * wire.BlockSize}, kept
	f, err = objstore.NewFolder(m, l)
	require.NoError(t, err)
	return m, f
}

// TestSpaceIsKeptFree also once all that is staged is whole.
func TestSpaceIsKeptFree(t *testing.T) {
	m, f := metered(t, 4+6, roomy)
	stage := func(id uint64) (objstore.Staged, error) {
		s, _, err := f.Stage(t.Context(), objstoretest.ID(id), three)
		return s, err
	}
	a, err := stage(1)
	require.NoError(t, err)
	_, err = stage(2)
	require.NoError(t, err)
	_, err = stage(3)
	require.ErrorIs(t, err, objstore.ErrSpace, "the two have nothing yet, but they will")
	require.ErrorContains(t, err, "614400 bytes are free and 245760 are kept free; what is arriving needs 184311 more")
	for i := range 2 {
		m.free -= wire.BlockSize
		require.NoError(t, a.WriteBlock(i, make([]byte, wire.BlockSize)))
		require.NoError(t, a.WriteBlock(i, make([]byte, wire.BlockSize)), "once more takes nothing more")
		_, err = stage(3)
		require.ErrorContains(t, err, "needs 184311 more", "what has come takes space and is missing no longer")
	}
	require.NoError(t, a.Close())
	_, err = stage(3)
	require.NoError(t, err, "what is closed makes room")
	m.free += 2 * wire.BlockSize
	_, _, err = f.Resume(t.Context(), objstoretest.ID(1), three)
	require.ErrorIs(t, err, fs.ErrNotExist)
	_, err = stage(4)
	require.ErrorIs(t, err, objstore.ErrSpace)
}

// TestSpaceIsCountedAtTheStart: what an earlier process has left lacks what it
// has not written.
func TestSpaceIsCountedAtTheStart(t *testing.T) {
	m, f := metered(t, 4+6, roomy)
	s, _, err := f.Stage(t.Context(), objstoretest.ID(1), three)
	require.NoError(t, err)
	require.NoError(t, s.WriteBlock(0, make([]byte, wire.BlockSize)))
	require.NoError(t, s.Close())
	l := roomy
	l.Free = kept
	m.free = (4 + 3) * wire.BlockSize
	f, err = objstore.NewFolder(m, l)
	require.NoError(t, err)
	s, _, err = f.Resume(t.Context(), objstoretest.ID(1), three)
	require.NoError(t, err)
	require.NoError(t, s.Close())
	m.free = (4 + 1) * wire.BlockSize
	f, err = objstore.NewFolder(m, l)
	require.NoError(t, err)
	_, _, err = f.Resume(t.Context(), objstoretest.ID(1), three)
	require.ErrorIs(t, err, fs.ErrNotExist)
}

// TestNothingIsDroppedForNothing: an object that will not fit must not cost
// others what has come of theirs.
func TestNothingIsDroppedForNothing(t *testing.T) {
	for what, l := range map[string]objstore.Limits{
		"bytes": {Count: 9, Bytes: 10 * wire.BlockSize, Age: time.Hour},
		"space": roomy,
	} {
		t.Run(what, func(t *testing.T) {
			_, f := metered(t, 4+8, l)
			a, _, err := f.Stage(t.Context(), objstoretest.ID(1), three)
			require.NoError(t, err)
			require.NoError(t, a.WriteBlock(0, make([]byte, wire.BlockSize)))
			require.NoError(t, a.Close())
			_, _, err = f.Stage(t.Context(), objstoretest.ID(2), 11*wire.BlockSize)
			require.Error(t, err)
			s, have, err := f.Resume(t.Context(), objstoretest.ID(1), three)
			require.NoError(t, err)
			require.Equal(t, 1, have.Count())
			require.NoError(t, s.Close())
		})
	}
}

// TestAFullFileSystemIsNoReasonNotToStart: what is stored can still be read.
func TestAFullFileSystemIsNoReasonNotToStart(t *testing.T) {
	fsys := crashfs.New(crashfs.Options{Capacity: 12 * wire.BlockSize})
	f, err := objstore.NewFolder(fsys, roomy)
	require.NoError(t, err)
	b, name := objstoretest.Bytes(1, 9*wire.BlockSize)
	key := objstore.Key{Class: 1, Name: name}
	objstoretest.Put(t, f, key, b)
	l := roomy
	l.Free = kept
	f, err = objstore.NewFolder(fsys, l)
	require.NoError(t, err)
	o, err := f.Get(t.Context(), key)
	require.NoError(t, err)
	require.NoError(t, o.Close())
	require.NoError(t, f.Add(t.Context(), key, objstore.Key{Class: 2, Name: name}), "a link takes no space")
	_, _, err = f.Stage(t.Context(), objstoretest.ID(1), 10)
	require.ErrorIs(t, err, objstore.ErrSpace)
}

// TestACopyThatCannotBeReadBeginsAnew, whichever call shows it: it would be
// refused for as long as it lies there.
func TestACopyThatCannotBeReadBeginsAnew(t *testing.T) {
	for _, call := range []string{"update", "read"} {
		fsys := crashfs.New(crashfs.Options{})
		f, err := objstore.NewFolder(fsys, roomy)
		require.NoError(t, err)
		b, name := objstoretest.Bytes(1, 3*wire.BlockSize)
		st := objstoretest.Write(t, f, objstoretest.ID(1), b)
		require.NoError(t, st.Close())
		bad := func(op crashfs.Op) error {
			if op.Call == call && strings.HasPrefix(op.Name, "staging/") {
				return syscall.EIO
			}
			return nil
		}
		fsys.Inject(bad)
		_, _, err = f.Resume(t.Context(), objstoretest.ID(1), int64(len(b)))
		require.Error(t, err)
		st, have, err := f.Stage(t.Context(), objstoretest.ID(1), int64(len(b)))
		require.NoError(t, err, call)
		require.Zero(t, have.Count())
		fsys.Inject(nil)
		require.NoError(t, st.Discard())
		objstoretest.Put(t, f, objstore.Key{Class: 1, Name: name}, b)
	}
}

// TestWhatIsNotStagedCostsNoCall: DATA of what nobody has offered comes as fast
// as a hostile vehicle likes.
func TestWhatIsNotStagedCostsNoCall(t *testing.T) {
	fsys := crashfs.New(crashfs.Options{})
	f, err := objstore.NewFolder(fsys, roomy)
	require.NoError(t, err)
	fsys.Inject(func(op crashfs.Op) error { t.Error(op.Call); return nil })
	_, _, err = f.Resume(t.Context(), objstoretest.ID(1), 1000)
	require.ErrorIs(t, err, fs.ErrNotExist)
}
