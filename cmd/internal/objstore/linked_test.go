package objstore_test

import (
	"os"
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/require"

	"roadseal/cmd/internal/objstore"
	"roadseal/cmd/internal/objstore/objstoretest"
)

// TestWhatWasStoredLeavesStaging: a crash after the object had its name in pool
// leaves the one in staging, for which nobody will ask again.
func TestWhatWasStoredLeavesStaging(t *testing.T) {
	dir := t.TempDir()
	f := open(t, dir, roomy)
	b, name := objstoretest.Bytes(1, 100)
	objstoretest.Put(t, f, objstore.Key{Class: 3, Name: name}, b)
	_, other := objstoretest.Bytes(2, 100)
	s, _, err := f.Stage(t.Context(), other.String(), 100)
	require.NoError(t, err)
	require.NoError(t, s.Close())
	stored, left := filepath.Join(dir, "pool", "3", name.String()), filepath.Join(dir, "staging", name.String())
	require.NoError(t, os.Link(stored, left))

	open(t, dir, roomy)
	require.NoFileExists(t, left)
	require.FileExists(t, filepath.Join(dir, "staging", other.String()), "one that is arriving stays")
	got, err := os.ReadFile(stored)
	require.NoError(t, err)
	require.Equal(t, b, got)
}
