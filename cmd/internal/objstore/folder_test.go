package objstore_test

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"roadseal/agent/wire"
	"roadseal/cmd/internal/objstore"
	"roadseal/cmd/internal/objstore/objstoretest"
	"roadseal/hal/durable"
)

var roomy = objstore.Limits{Count: 16, Bytes: 64 << 20, Age: time.Hour}

func open(t *testing.T, dir string, l objstore.Limits) *objstore.Folder {
	t.Helper()
	disk, err := durable.OpenDisk(dir)
	require.NoError(t, err)
	f, err := objstore.NewFolder(disk, l)
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, f.Close()) })
	return f
}

func TestFolder(t *testing.T) {
	objstoretest.Run(t, func(t *testing.T) func() objstore.Store {
		dir := t.TempDir()
		return func() objstore.Store { return open(t, dir, roomy) }
	})
}

func TestLayout(t *testing.T) {
	dir := t.TempDir()
	f := open(t, dir, roomy)
	b, name := objstoretest.Bytes(1, 100)
	objstoretest.Put(t, f, objstore.Key{Class: 3, Name: name}, b)
	path := filepath.Join(dir, "pool", "3", name.String())
	got, err := os.ReadFile(path)
	require.NoError(t, err)
	require.Equal(t, b, got)
	st, err := os.Stat(path)
	require.NoError(t, err)
	require.Zero(t, st.ModTime().Unix()%86400, "the time of a stored object is a day")
	require.EqualValues(t, 0o600, st.Mode().Perm())
	left, err := os.ReadDir(filepath.Join(dir, "staging"))
	require.NoError(t, err)
	require.Empty(t, left)
}

func TestStagingIsBounded(t *testing.T) {
	size := int64(2 * wire.BlockSize)
	stage := func(f *objstore.Folder, id uint64) (objstore.Staged, wire.Bitmap, error) {
		return f.Stage(t.Context(), objstoretest.ID(id), size)
	}
	t.Run("count", func(t *testing.T) {
		f := open(t, t.TempDir(), objstore.Limits{Count: 2, Bytes: 1 << 30, Age: time.Hour})
		a, _, err := stage(f, 1)
		require.NoError(t, err)
		require.NoError(t, a.WriteBlock(0, make([]byte, wire.BlockSize)))
		_, _, err = stage(f, 2)
		require.NoError(t, err)
		_, _, err = stage(f, 3)
		require.ErrorIs(t, err, objstore.ErrFull, "what is open is never dropped")
		require.NoError(t, a.Close())
		_, _, err = stage(f, 3)
		require.NoError(t, err, "what is closed makes room")
		_, _, err = stage(f, 1)
		require.ErrorIs(t, err, objstore.ErrFull)
	})
	t.Run("bytes", func(t *testing.T) {
		f := open(t, t.TempDir(), objstore.Limits{Count: 9, Bytes: 2*size + 100, Age: time.Hour})
		for i := range uint64(2) {
			_, _, err := stage(f, i)
			require.NoError(t, err)
		}
		_, _, err := stage(f, 3)
		require.ErrorIs(t, err, objstore.ErrFull)
	})
	t.Run("age", func(t *testing.T) {
		dir := t.TempDir()
		f := open(t, dir, roomy)
		for i := range uint64(2) {
			a, _, err := stage(f, i)
			require.NoError(t, err)
			require.NoError(t, a.WriteBlock(0, make([]byte, wire.BlockSize)))
		}
		old := time.Now().Add(-2 * time.Hour)
		require.NoError(t, os.Chtimes(filepath.Join(dir, "staging", objstoretest.ID(0)), old, old))
		f = open(t, dir, roomy)
		_, have, err := stage(f, 0)
		require.NoError(t, err)
		require.Zero(t, have.Count())
		_, have, err = stage(f, 1)
		require.NoError(t, err)
		require.Equal(t, 1, have.Count())

		f = open(t, t.TempDir(), objstore.Limits{Count: 9, Bytes: 1 << 30, Age: 1})
		a, _, err := stage(f, 1)
		require.NoError(t, err)
		require.NoError(t, a.Close())
		_, _, err = stage(f, 2)
		require.NoError(t, err)
		_, _, err = f.Resume(t.Context(), objstoretest.ID(1), size)
		require.ErrorIs(t, err, fs.ErrNotExist, "it goes while the store is open, too")
	})
	t.Run("at start", func(t *testing.T) {
		dir := t.TempDir()
		f := open(t, dir, roomy)
		for i := range uint64(5) {
			_, _, err := stage(f, i)
			require.NoError(t, err)
			at := time.Now().Add(-time.Duration(i) * time.Minute)
			require.NoError(t, os.Chtimes(filepath.Join(dir, "staging", objstoretest.ID(i)), at, at))
		}
		open(t, dir, objstore.Limits{Count: 9, Bytes: 2*size + 100, Age: time.Hour})
		left, err := os.ReadDir(filepath.Join(dir, "staging"))
		require.NoError(t, err)
		require.Len(t, left, 2)
		names := []string{left[0].Name(), left[1].Name()}
		require.ElementsMatch(t, []string{objstoretest.ID(0), objstoretest.ID(1)}, names, "the youngest stay")
		open(t, dir, objstore.Limits{Count: 1, Bytes: 1 << 30, Age: time.Hour})
		left, err = os.ReadDir(filepath.Join(dir, "staging"))
		require.NoError(t, err)
		require.Len(t, left, 1)
		require.Equal(t, objstoretest.ID(0), left[0].Name())
	})
}

func TestDamagedStagingBeginsAnew(t *testing.T) {
	size := int64(3 * wire.BlockSize)
	for name, damage := range map[string]func(t *testing.T, path string){
		"empty":         func(t *testing.T, path string) { require.NoError(t, os.Truncate(path, 0)) },
		"too long":      func(t *testing.T, path string) { require.NoError(t, os.Truncate(path, size+2)) },
		"bits too many": func(t *testing.T, path string) { patch(t, path, size, 0xff) },
		"too short":     func(t *testing.T, path string) { require.NoError(t, os.Truncate(path, size-1)) },
	} {
		t.Run(name, func(t *testing.T) {
			dir := t.TempDir()
			b, _ := objstoretest.Bytes(1, int(size))
			require.NoError(t, objstoretest.Write(t, open(t, dir, roomy), objstoretest.ID(1), b).Close())
			path := filepath.Join(dir, "staging", objstoretest.ID(1))
			f := open(t, dir, roomy)
			damage(t, path)
			_, have, err := f.Stage(t.Context(), objstoretest.ID(1), size)
			require.NoError(t, err)
			require.Zero(t, have.Count())
		})
	}
}

// TestACopyThatWasBeingCommittedIsWhole: without its bitmap, all blocks of it
// are there.
func TestACopyThatWasBeingCommittedIsWhole(t *testing.T) {
	size := int64(3 * wire.BlockSize)
	dir := t.TempDir()
	b, name := objstoretest.Bytes(1, int(size))
	require.NoError(t, objstoretest.Write(t, open(t, dir, roomy), objstoretest.ID(1), b).Close())
	path := filepath.Join(dir, "staging", objstoretest.ID(1))
	require.NoError(t, os.Truncate(path, size))
	s, have, err := open(t, dir, roomy).Resume(t.Context(), objstoretest.ID(1), size)
	require.NoError(t, err)
	require.True(t, have.Full(size))
	require.NoError(t, s.Commit(t.Context(), objstore.Key{Class: 1, Name: name}))
	got, err := os.ReadFile(filepath.Join(dir, "pool", "1", name.String()))
	require.NoError(t, err)
	require.Equal(t, b, got)
	require.NoFileExists(t, path)
}

func TestResumeMakesNothing(t *testing.T) {
	dir := t.TempDir()
	_, _, err := open(t, dir, roomy).Resume(t.Context(), objstoretest.ID(1), 10)
	require.ErrorIs(t, err, fs.ErrNotExist)
	left, err := os.ReadDir(filepath.Join(dir, "staging"))
	require.NoError(t, err)
	require.Empty(t, left)
}

func patch(t *testing.T, path string, at int64, x byte) {
	t.Helper()
	f, err := os.OpenFile(path, os.O_RDWR, 0)
	require.NoError(t, err)
	_, err = f.WriteAt([]byte{x}, at)
	require.NoError(t, err)
	require.NoError(t, f.Close())
}

func TestForeignFilesAreToldApart(t *testing.T) {
	dir := t.TempDir()
	f := open(t, dir, roomy)
	b, name := objstoretest.Bytes(1, 100)
	objstoretest.Put(t, f, objstore.Key{Class: 3, Name: name}, b)
	require.NoError(t, objstoretest.Write(t, f, objstoretest.ID(1), b).Close())
	foreign := []string{"README", "pool/5/", "pool/01/", "pool/x", "pool/1/" + name.String() + ".tmp", "pool/1/" + strings.ToUpper(name.String()),
		"pool/2/" + name.String() + "/", "staging/1"}
	for _, p := range foreign {
		if strings.HasSuffix(p, "/") {
			require.NoError(t, os.Mkdir(filepath.Join(dir, p), 0o700))
		} else {
			require.NoError(t, os.WriteFile(filepath.Join(dir, p), b, 0o600))
		}
	}
	var got []string
	require.NoError(t, f.Foreign(t.Context(), func(path, expected string) error {
		require.NotEmpty(t, expected)
		got = append(got, path)
		return nil
	}))
	for i, p := range foreign {
		foreign[i] = strings.TrimSuffix(p, "/")
	}
	require.ElementsMatch(t, foreign, got)
	n := 0
	require.NoError(t, f.List(t.Context(), func(e objstore.Entry) error { n++; require.Equal(t, name, e.Name); return nil }))
	require.Equal(t, 1, n)
}

func TestOpenFolderWantsAStore(t *testing.T) {
	dir := t.TempDir()
	for path, text := range map[string]string{
		filepath.Join(dir, "none"): "there is no such folder; expected the store of a collector",
		dir:                        "not a store; expected a folder with pool/ in it",
		os.DevNull:                 "not a store",
	} {
		_, err := objstore.OpenFolder(path)
		require.ErrorContains(t, err, path+": "+text)
	}
	made, err := os.ReadDir(dir)
	require.NoError(t, err)
	require.Empty(t, made, "looking for a store makes none")
	open(t, dir, roomy)
	f, err := objstore.OpenFolder(dir)
	require.NoError(t, err)
	defer f.Close()
	_, _, err = f.Stage(t.Context(), objstoretest.ID(1), 1)
	require.ErrorIs(t, err, objstore.ErrFull)
}

// faultyFS notes the calls that change something, and fails the one with
// number failAt.
type faultyFS struct {
	durable.FS
	calls  []string
	failAt int
}

var errInjected = errors.New("injected")

func (f *faultyFS) call(format string, a ...any) error {
	f.calls = append(f.calls, fmt.Sprintf(format, a...))
	if len(f.calls) == f.failAt {
		return errInjected
	}
	return nil
}

func (f *faultyFS) Create(name string) (durable.File, error) {
	if err := f.call("create %s", name); err != nil {
		return nil, err
	}
	file, err := f.FS.Create(name)
	return faultyFile{file, f, name}, err
}

func (f *faultyFS) Open(name string) (durable.File, error) {
	file, err := f.FS.Open(name)
	return faultyFile{file, f, name}, err
}

func (f *faultyFS) Link(from, to string) error {
	return errors.Join(f.call("link %s %s", from, to), f.unlessFailed(func() error { return f.FS.Link(from, to) }))
}

func (f *faultyFS) SetTime(name string, t time.Time) error {
	return errors.Join(f.call("time %s", name), f.unlessFailed(func() error { return f.FS.SetTime(name, t) }))
}

func (f *faultyFS) Remove(name string) error {
	return errors.Join(f.call("remove %s", name), f.unlessFailed(func() error { return f.FS.Remove(name) }))
}

func (f *faultyFS) Sync(dir string) error {
	return errors.Join(f.call("syncdir %s", dir), f.unlessFailed(func() error { return f.FS.Sync(dir) }))
}

func (f *faultyFS) unlessFailed(do func() error) error {
	if len(f.calls) == f.failAt {
		return nil
	}
	return do()
}

type faultyFile struct {
	durable.File
	fs   *faultyFS
	name string
}

func (f faultyFile) Truncate(size int64) error {
	return errors.Join(f.fs.call("truncate %s %d", f.name, size), f.fs.unlessFailed(func() error { return f.File.Truncate(size) }))
}

func (f faultyFile) Sync() error {
	return errors.Join(f.fs.call("sync %s", f.name), f.fs.unlessFailed(f.File.Sync))
}

func (f faultyFile) Forget() {
	_ = f.fs.call("forget %s", f.name)
	f.File.Forget()
}

func (f faultyFile) WriteAt(b []byte, at int64) (int, error) {
	if err := f.fs.call("write %s %d %d", f.name, at, len(b)); err != nil {
		n, _ := f.File.WriteAt(b[:len(b)/2], at) // a full disk takes a part
		return n, err
	}
	return f.File.WriteAt(b, at)
}

// store runs one object through a folder on a faulty file system.
func store(t *testing.T, failAt int) (calls []string, dir string, err error) {
	dir = t.TempDir()
	disk, err := durable.OpenDisk(dir)
	require.NoError(t, err)
	defer disk.Close()
	_, err = objstore.NewFolder(disk, roomy) // makes the directories
	require.NoError(t, err)
	fsys := &faultyFS{FS: disk}
	f, err := objstore.NewFolder(fsys, roomy)
	require.NoError(t, err)
	fsys.calls, fsys.failAt = nil, failAt
	b, name := objstoretest.Bytes(1, wire.BlockSize+10)
	st, _, err := f.Stage(context.Background(), objstoretest.ID(1), int64(len(b)))
	if err != nil {
		return fsys.calls, dir, err
	}
	for i, block := range [][]byte{b[:wire.BlockSize], b[wire.BlockSize:]} {
		if err := st.WriteBlock(i, block); err != nil {
			require.NoError(t, st.Discard())
			return fsys.calls, dir, err
		}
	}
	err = st.Commit(context.Background(), objstore.Key{Class: 3, Name: name})
	return fsys.calls, dir, err
}

// The order of calls is the promise: what Commit returned for survives a power
// cut only if the bytes are synced before the name exists and the name before
// Commit returns; and a block's bit must not be there before the block.
func TestOrderOfCalls(t *testing.T) {
	calls, _, err := store(t, 0)
	require.NoError(t, err)
	staging := "staging/" + objstoretest.ID(1)
	_, name := objstoretest.Bytes(1, wire.BlockSize+10)
	pool := "pool/3/" + name.String()
	require.Equal(t, []string{
		"create " + staging,
		fmt.Sprintf("truncate %s %d", staging, wire.BlockSize+11),
		fmt.Sprintf("write %s 0 %d", staging, wire.BlockSize),
		fmt.Sprintf("write %s %d 1", staging, wire.BlockSize+10),
		fmt.Sprintf("write %s %d 10", staging, wire.BlockSize),
		fmt.Sprintf("write %s %d 1", staging, wire.BlockSize+10),
		fmt.Sprintf("truncate %s %d", staging, wire.BlockSize+10),
		"time " + staging,
		"sync " + staging,
		"link " + staging + " " + pool,
		"syncdir pool/3",
		"remove " + staging,
	}, calls)
}

// The same for the start, for an object that is there, and for a second class.
func TestOrderOfOtherCalls(t *testing.T) {
	disk, err := durable.OpenDisk(t.TempDir())
	require.NoError(t, err)
	defer disk.Close()
	fsys := &faultyFS{FS: disk}
	f, err := objstore.NewFolder(fsys, roomy)
	require.NoError(t, err)
	require.Equal(t, []string{"syncdir .", "syncdir pool"}, fsys.calls, "a start before this one may have been cut")
	b, name := objstoretest.Bytes(1, 1000)
	three, one := objstore.Key{Class: 3, Name: name}, objstore.Key{Class: 1, Name: name}
	objstoretest.Put(t, f, three, b)

	fsys.calls = nil
	o, err := f.Get(t.Context(), three)
	require.NoError(t, err)
	require.NoError(t, o.Settle(t.Context()))
	require.NoError(t, o.Close())
	require.Equal(t, []string{"sync " + three.String(), "forget " + three.String(), "syncdir pool/3"}, fsys.calls)

	fsys.calls = nil
	require.NoError(t, f.Add(t.Context(), three, one))
	require.Equal(t, []string{"link " + three.String() + " " + one.String(), "syncdir pool/1"}, fsys.calls)
}

func TestAnErrorAtAnyCallStoresNothingHalf(t *testing.T) {
	all, _, err := store(t, 0)
	require.NoError(t, err)
	want, name := objstoretest.Bytes(1, wire.BlockSize+10)
	for k := 1; k <= len(all); k++ {
		calls, dir, err := store(t, k)
		require.ErrorIs(t, err, errInjected, "call %d (%s) failed and nobody was told", k, calls[k-1])
		got, err := os.ReadFile(filepath.Join(dir, "pool", "3", name.String()))
		if lasts := slices.Index(all, calls[k-1]) > slices.Index(all, "syncdir pool/3"); !lasts {
			require.ErrorIs(t, err, fs.ErrNotExist, "call %d (%s) failed and the object has its name", k, calls[k-1])
			continue
		}
		require.NoError(t, err)
		require.Equal(t, want, got, "call %d (%s)", k, calls[k-1])
	}
}
