package durable_test

import (
	"io/fs"
	"os"
	"path/filepath"
	"syscall"
	"testing"

	"github.com/stretchr/testify/require"

	"roadseal/hal/durable"
	"roadseal/hal/durable/durabletest"
)

func disk(t *testing.T) *durable.Disk {
	t.Helper()
	d, err := durable.OpenDisk(filepath.Join(t.TempDir(), "a", "b"))
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, d.Close()) })
	return d
}

func TestConforms(t *testing.T) {
	durabletest.Run(t, func(t *testing.T) durable.FS { return disk(t) })
}

func TestFilesArePrivate(t *testing.T) {
	d := disk(t)
	f, err := d.Create("x")
	require.NoError(t, err)
	require.NoError(t, f.Close())
	require.NoError(t, d.Mkdir("y"))
	for name, mode := range map[string]fs.FileMode{"x": 0o600, "y": 0o700, ".": 0o700} {
		st, err := os.Stat(filepath.Join(d.Path(), name))
		require.NoError(t, err)
		require.Equal(t, mode, st.Mode().Perm(), "only for the agent's user")
	}
}

// TestNoLinkLeadsOutside: nor is a FIFO waited for.
func TestNoLinkLeadsOutside(t *testing.T) {
	d := disk(t)
	outside := filepath.Join(t.TempDir(), "secret")
	require.NoError(t, os.WriteFile(outside, []byte("x"), 0o600))
	require.NoError(t, os.Symlink(outside, filepath.Join(d.Path(), "link")))
	require.NoError(t, syscall.Mkfifo(filepath.Join(d.Path(), "fifo"), 0o600))
	_, err := d.Open("link")
	require.Error(t, err)
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
