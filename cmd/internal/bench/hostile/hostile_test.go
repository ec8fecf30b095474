package hostile_test

import (
	"context"
	"crypto/sha256"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"roadseal/cmd/internal/bench/hostile"
)

const mark = "ROADSEAL-CANARY-7"

const patience = 20 * time.Second

// plant makes a field and lets it live until the test asks for its faults.
func plant(t *testing.T) (folder, outside string, f *hostile.Field, faults func() []string) {
	t.Helper()
	dir := t.TempDir()
	folder, outside = filepath.Join(dir, "record"), filepath.Join(dir, "outside")
	require.NoError(t, os.Mkdir(folder, 0o755))
	f, err := hostile.Plant(folder, outside, mark)
	require.NoError(t, err)
	ctx, cancel := context.WithCancel(t.Context())
	ended := make(chan error, 1)
	go func() { ended <- f.Run(ctx) }()
	return folder, outside, f, func() []string {
		cancel()
		require.NoError(t, <-ended)
		faults, err := f.Close()
		require.NoError(t, err)
		return faults
	}
}

// regular are the paths in folder of what a careless reader would open.
func regular(t *testing.T, folder string) (paths []string) {
	t.Helper()
	require.NoError(t, filepath.WalkDir(folder, func(path string, d fs.DirEntry, err error) error {
		if err == nil && d.Type()&(fs.ModeNamedPipe|fs.ModeSocket|fs.ModeDevice) == 0 && !d.IsDir() {
			paths = append(paths, path)
		}
		return err
	}))
	return paths
}

// TestFolder: all is there, and looking at it without opening is no fault.
func TestFolder(t *testing.T) {
	folder, _, f, faults := plant(t)
	var modes fs.FileMode
	sizes := map[int64]bool{}
	require.NoError(t, filepath.WalkDir(folder, func(_ string, d fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		info, err := d.Info()
		modes |= d.Type()
		sizes[info.Size()] = true
		return err
	}))
	require.GreaterOrEqual(t, f.Entries, 20)
	require.Equal(t, os.Geteuid() != 0, len(f.Skipped) > 0)
	require.Equal(t, fs.ModeSymlink|fs.ModeNamedPipe|fs.ModeSocket|fs.ModeDir, modes&^(fs.ModeDevice|fs.ModeCharDevice))
	require.True(t, sizes[1<<40] && sizes[0])
	require.Empty(t, faults())
}

// TestCarelessReader opens each entry: only those that go away or change while
// they are read may be, and the one that grows if it is not read.
func TestCarelessReader(t *testing.T) {
	folder, _, f, faults := plant(t)
	bytes := func() (n int64) {
		for _, path := range regular(t, folder) {
			if info, err := os.Lstat(path); err == nil {
				n += info.Size()
			}
		}
		return n
	}
	before := bytes()
	require.Eventually(t, func() bool { return bytes() > before }, patience, time.Millisecond, "nothing grows: there is nothing to read there")
	for _, path := range regular(t, folder) {
		file, err := os.Open(path)
		if err != nil {
			continue // a link to nothing
		}
		_, _ = file.Read(make([]byte, 64)) // there is a folder behind a link
		require.NoError(t, file.Close())
	}
	require.Eventually(t, f.Met, patience, time.Millisecond)
	got := strings.Join(faults(), "; ")
	for _, what := range []string{"what a link leads to", "sparse file of 1 TiB", "empty file", "file that is never closed", "folder called like a clip",
		"name with a line feed", "name that is no UTF-8", "hidden name", "folder of the file system", "folder of lost files"} {
		require.Contains(t, got, what+" was opened")
	}
	require.NotContains(t, got, "while it is read")
}

// TestOpenedForItsWriters: that is all right if nothing is read then.
func TestOpenedForItsWriters(t *testing.T) {
	folder, _, _, faults := plant(t)
	for _, path := range regular(t, folder) {
		if strings.HasSuffix(path, "00_EF.mp4") {
			if file, err := os.Open(path); err == nil {
				require.NoError(t, file.Close())
			}
		}
	}
	got := strings.Join(faults(), "; ")
	require.Contains(t, got, "sparse file of 1 TiB was opened")
	require.NotContains(t, got, "never closed")
}

// TestWhatIsTakenAwayWhileRead was whole, and nothing that is torn is.
func TestWhatIsTakenAwayWhileRead(t *testing.T) {
	folder, _, f, faults := plant(t)
	whole := 0
	for _, path := range regular(t, folder) {
		info, err := os.Stat(path)
		if err != nil || info.Size() < 1<<20 || info.Size() > 1<<30 {
			continue
		}
		file, err := os.Open(path)
		require.NoError(t, err)
		b := make([]byte, info.Size())
		n, err := file.Read(b)
		require.NoError(t, err)
		require.NoError(t, file.Close())
		require.True(t, f.Once(sha256.Sum256(b[:n])))
		require.False(t, f.Once(sha256.Sum256(b[:n-1])))
		whole++
	}
	require.Equal(t, 3, whole)
	require.Eventually(t, f.Met, patience, time.Millisecond)
	require.Empty(t, faults())
	left := 0
	for _, path := range regular(t, folder) {
		if info, err := os.Stat(path); err == nil && info.Size() > 1<<20 && info.Size() < 1<<30 {
			left++
		}
	}
	require.Equal(t, 2, left, "one is gone, one has another name, one has grown")
}
