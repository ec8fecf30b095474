package durable_test

import (
	"io/fs"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"roadseal/hal/durable"
)

func TestLinkNeverOverwrites(t *testing.T) {
	dir := t.TempDir()
	d, err := durable.OpenDisk(dir)
	require.NoError(t, err)
	defer d.Close()
	require.ErrorIs(t, d.Link("a", "b"), fs.ErrNotExist)
	for name, text := range map[string]string{"a": "one", "c": "other"} {
		require.NoError(t, os.WriteFile(filepath.Join(dir, name), []byte(text), 0o600))
	}
	require.NoError(t, d.Link("a", "b"))
	require.ErrorIs(t, d.Link("c", "b"), fs.ErrExist)
	require.Error(t, d.Link("a", "../b"))
	require.NoError(t, d.Remove("a"))
	got, err := durable.ReadFile(d, "b", 10)
	require.NoError(t, err)
	require.Equal(t, "one", string(got))
}

func TestSetTimeAndTruncate(t *testing.T) {
	dir := t.TempDir()
	d, err := durable.OpenDisk(dir)
	require.NoError(t, err)
	defer d.Close()
	f, err := d.Create("a")
	require.NoError(t, err)
	require.NoError(t, f.Truncate(1000))
	size, err := f.Size()
	require.NoError(t, err)
	require.EqualValues(t, 1000, size)
	require.NoError(t, f.Truncate(1))
	at := time.Date(2026, 11, 24, 0, 0, 0, 0, time.UTC)
	require.NoError(t, d.SetTime("a", at))
	require.NoError(t, f.Sync())
	require.NoError(t, f.Close())
	st, err := os.Stat(filepath.Join(dir, "a"))
	require.NoError(t, err)
	require.Equal(t, at, st.ModTime().UTC())
	require.EqualValues(t, 1, st.Size())
	require.ErrorIs(t, d.SetTime("b", at), fs.ErrNotExist)
}
