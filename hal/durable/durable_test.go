package durable_test

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"syscall"
	"testing"

	"github.com/stretchr/testify/require"

	"roadseal/hal/durable"
)

func disk(t *testing.T) *durable.Disk {
	t.Helper()
	d, err := durable.OpenDisk(filepath.Join(t.TempDir(), "a", "b"))
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, d.Close()) })
	return d
}

func TestCreateNeverOverwrites(t *testing.T) {
	d := disk(t)
	f, err := d.Create("x")
	require.NoError(t, err)
	require.NoError(t, f.Close())
	_, err = d.Create("x")
	require.ErrorIs(t, err, fs.ErrExist)
	st, err := os.Stat(filepath.Join(d.Path(), "x"))
	require.NoError(t, err)
	require.Equal(t, fs.FileMode(0o600), st.Mode().Perm(), "private to the agent's user")
}

func TestWriteFileReplacesWhole(t *testing.T) {
	d := disk(t)
	require.NoError(t, d.Mkdir("sub"))
	require.NoError(t, d.Mkdir("sub/deep"))
	for name, write := range map[string]func(durable.FS, string, string, []byte) error{
		"durable": durable.WriteFile, "volatile": durable.WriteVolatile,
	} {
		for _, content := range []string{"one", "", "three"} {
			require.NoError(t, write(d, "sub/deep", name, []byte(content)))
			b, err := durable.ReadFile(d, "sub/deep/"+name, 10)
			require.NoError(t, err)
			require.Equal(t, content, string(b))
		}
		// The litter of a crash does not stop the next write.
		require.NoError(t, os.WriteFile(filepath.Join(d.Path(), "sub/deep", name+durable.TmpSuffix), []byte("half"), 0o600))
		require.NoError(t, write(d, "sub/deep", name, []byte("four")))
	}
	_, err := durable.ReadFile(d, "sub/deep/durable", 3)
	require.ErrorContains(t, err, "larger")
	_, err = durable.ReadFile(d, "none", 3)
	require.ErrorIs(t, err, fs.ErrNotExist)
}

func TestListReadsInPieces(t *testing.T) {
	d := disk(t)
	const files = 2500
	for i := range files {
		f, err := d.Create(fmt.Sprint(i))
		require.NoError(t, err)
		require.NoError(t, f.Close())
	}
	seen := map[string]bool{}
	require.NoError(t, d.List(".", func(e fs.DirEntry) error {
		seen[e.Name()] = true
		return nil
	}))
	require.Len(t, seen, files)
	stop := errors.New("enough")
	n := 0
	require.ErrorIs(t, d.List(".", func(fs.DirEntry) error { n++; return stop }), stop)
	require.Equal(t, 1, n)
}

// TestNothingOutside: no name or link leaves the root, no FIFO is waited for.
func TestNothingOutside(t *testing.T) {
	d := disk(t)
	outside := filepath.Join(t.TempDir(), "secret")
	require.NoError(t, os.WriteFile(outside, []byte("x"), 0o600))
	require.NoError(t, os.Symlink(outside, filepath.Join(d.Path(), "link")))
	require.NoError(t, os.WriteFile(filepath.Join(d.Path(), "inner"), nil, 0o600))
	require.NoError(t, syscall.Mkfifo(filepath.Join(d.Path(), "fifo"), 0o600))
	for _, name := range []string{"link", "../secret", outside} {
		_, err := d.Open(name)
		require.Error(t, err, name)
	}
	_, err := d.Create("../x")
	require.Error(t, err)
	require.Error(t, d.Rename("inner", "../x"))
	f, err := d.Open("fifo")
	if err == nil {
		require.NoError(t, f.Close())
	}
}

func TestLock(t *testing.T) {
	d := disk(t)
	lock, err := d.Lock("lock")
	require.NoError(t, err)
	again, err := durable.OpenExisting(d.Path())
	require.NoError(t, err)
	defer again.Close()
	_, err = again.Lock("lock")
	require.ErrorIs(t, err, durable.ErrLocked)
	require.NoError(t, lock.Close())
	lock, err = again.Lock("lock")
	require.NoError(t, err)
	require.NoError(t, lock.Close())
}

func TestOpenExistingMakesNothing(t *testing.T) {
	path := filepath.Join(t.TempDir(), "none")
	_, err := durable.OpenExisting(path)
	require.ErrorIs(t, err, fs.ErrNotExist)
	require.NoDirExists(t, path)
}

func TestFree(t *testing.T) {
	free, err := disk(t).Free()
	require.NoError(t, err)
	require.Positive(t, free)
}
