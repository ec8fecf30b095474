package bench

import (
	"os"
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/require"
)

func TestFolderOfAFormerRunIsEmptied(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "out", "demo")
	f, err := prepare(dir)
	require.NoError(t, err)
	left := filepath.Join(f.store(), "pool")
	require.NoError(t, os.WriteFile(left, nil, 0o400))

	f, err = prepare(dir)
	require.NoError(t, err)
	require.NoFileExists(t, left)
	require.DirExists(t, f.capture())
	require.FileExists(t, f.path(marker))
}

func TestFolderOfOthersIsLeftAlone(t *testing.T) {
	dir := t.TempDir()
	precious := filepath.Join(dir, "thesis.txt")
	require.NoError(t, os.WriteFile(precious, nil, 0o600))
	_, err := prepare(dir)
	require.ErrorContains(t, err, "is not empty and was not made by roadseal-bench")
	require.FileExists(t, precious)
	_, err = prepare(precious)
	require.ErrorContains(t, err, "cannot use the output folder")
	_, err = prepare(precious + "/sub")
	require.Error(t, err)
}

func TestEmptyFolderIsFine(t *testing.T) {
	dir := t.TempDir()
	_, err := prepare(dir)
	require.NoError(t, err)
}
