package mirror_test

import (
	"bytes"
	"crypto/sha256"
	"fmt"
	"io/fs"
	"math/rand/v2"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"roadseal/agent/wire"
	"roadseal/cmd/internal/mirror"
)

const (
	deviceA = "AAAAAAAAAAAAAAAAAAAAAA" // has a folder of its own
	deviceB = "AAAAAAAAAAAAAAAAAAAAAQ"
)

func write(t *testing.T, path string, content []byte) {
	t.Helper()
	require.NoError(t, os.MkdirAll(filepath.Dir(path), 0o700))
	require.NoError(t, os.WriteFile(path, content, 0o600))
}

// published is a repository in which each file holds its own path.
func published(t *testing.T) string {
	dir := filepath.Join(t.TempDir(), "repository")
	for _, name := range []string{
		"image/1.root.json", "image/timestamp.json", "image/files/aa.boot.img", "image/more/deep.json",
		"director/1.root.json", "director/2.root.json", "director/timestamp.json",
		"director/" + deviceA + "/1.root.json", "director/" + deviceA + "/timestamp.json",
		"keys/root.key", "secret",
	} {
		write(t, filepath.Join(dir, name), []byte(name))
	}
	return dir
}

func TestWhatADeviceSees(t *testing.T) {
	r := mirror.New(published(t))
	for _, test := range []struct{ device, name, path string }{
		{deviceB, "image/1.root.json", "image/1.root.json"},
		{deviceA, "image/1.root.json", "image/1.root.json"},
		{deviceB, "image/files/aa.boot.img", "image/files/aa.boot.img"},
		{deviceB, "director/timestamp.json", "director/timestamp.json"},
		{deviceB, "director/2.root.json", "director/2.root.json"},
		{deviceA, "director/timestamp.json", "director/" + deviceA + "/timestamp.json"},
	} {
		b, err := r.Block(test.device, test.name, 0)
		require.NoError(t, err, test.name)
		require.Equal(t, mirror.Block{File: sha256.Sum256([]byte(test.path)), Size: int64(len(test.path)), Bytes: []byte(test.path)}, b)
	}
}

func TestWhatNobodySees(t *testing.T) {
	dir := published(t)
	r := mirror.New(dir)
	require.NoError(t, os.WriteFile(filepath.Join(dir, "image/empty.json"), nil, 0o600))
	large, err := os.Create(filepath.Join(dir, "image/large.json"))
	require.NoError(t, err)
	require.NoError(t, large.Truncate(wire.MaxFile+1))
	require.NoError(t, large.Close())
	require.NoError(t, syscall.Mkfifo(filepath.Join(dir, "image/fifo.json"), 0o600))
	for _, name := range []string{
		"", "image", "director", "image/", "/image/1.root.json", "image//1.root.json", "image/../secret", "../repository/secret", "image/./1.root.json",
		"secret", "keys/root.key", "image/more/deep.json", "image/files", "image/more", "image/9.root.json", "image/files/none", "image/1.root.json/x",
		"image/empty.json", "image/large.json", "image/fifo.json", "image\x00/1.root.json", "image/1.root.json\x00", `image\1.root.json`, "image/%2e%2e/secret",
		"director/" + deviceA, "director/" + deviceA + "/timestamp.json", "director/" + deviceB + "/timestamp.json",
		"image/files/" + strings.Repeat("x", 300),
	} {
		for _, device := range []string{deviceA, deviceB} {
			b, err := r.Block(device, name, 0)
			require.ErrorIs(t, err, fs.ErrNotExist, "%q", name)
			require.Zero(t, b)
		}
	}
	_, err = r.Block(deviceA, "director/2.root.json", 0)
	require.ErrorIs(t, err, fs.ErrNotExist, "whoever has a folder has nothing of the fleet's")
	for _, device := range []string{"", ".", "..", "../image", deviceA + "/", "image"} {
		_, err := r.Block(device, "director/timestamp.json", 0)
		require.ErrorIs(t, err, fs.ErrNotExist, "%q is no device", device)
	}
}

// TestLinks: those inside the folder are followed, those that lead out never.
func TestLinks(t *testing.T) {
	dir := published(t)
	outside := filepath.Join(filepath.Dir(dir), "outside")
	write(t, filepath.Join(outside, "timestamp.json"), []byte("outside"))
	for link, to := range map[string]string{
		"image/inside.json": "timestamp.json", "image/relative.json": "../../outside/timestamp.json",
		"image/absolute.json": filepath.Join(outside, "timestamp.json"), "image/loop.json": "loop.json", "image/hanging.json": "nothing",
		"director/" + deviceB: "../../outside",
	} {
		require.NoError(t, os.Symlink(to, filepath.Join(dir, link)))
	}
	r := mirror.New(dir)
	b, err := r.Block(deviceB, "image/inside.json", 0)
	require.NoError(t, err)
	require.Equal(t, "image/timestamp.json", string(b.Bytes))
	for _, name := range []string{"image/relative.json", "image/absolute.json", "image/loop.json", "image/hanging.json", "director/timestamp.json"} {
		b, err := r.Block(deviceB, name, 0)
		require.Error(t, err, name)
		require.Zero(t, b)
		require.NotContains(t, err.Error(), deviceB)
	}
}

func TestBlocks(t *testing.T) {
	dir := published(t)
	content := make([]byte, 2*wire.BlockSize+1)
	for i := range content {
		content[i] = byte(rand.Uint32())
	}
	for size, blocks := range map[int]int{1: 1, wire.BlockSize: 1, wire.BlockSize + 1: 2, 2*wire.BlockSize + 1: 3} {
		write(t, filepath.Join(dir, "image/7.targets.json"), content[:size])
		r := mirror.New(dir)
		var got []byte
		for i := range 5 {
			b, err := r.Block(deviceB, "image/7.targets.json", uint32(i))
			require.NoError(t, err)
			require.Equal(t, sha256.Sum256(content[:size]), b.File)
			require.EqualValues(t, size, b.Size)
			require.Equal(t, i < blocks, b.Bytes != nil)
			got = append(got, b.Bytes...)
		}
		require.True(t, bytes.Equal(content[:size], got))
		b, err := r.Block(deviceB, "image/7.targets.json", 1<<32-1)
		require.NoError(t, err)
		require.Nil(t, b.Bytes)
	}
}

// TestNothingIsStale: whatever way a file or the folder is exchanged, the next
// block is the new one's.
func TestNothingIsStale(t *testing.T) {
	t.Run("as quick as can be", func(t *testing.T) {
		s := &stage{t: t, dir: published(t)}
		s.exchange(func(text string) { write(t, s.path(), []byte(text)) })
	})
	t.Run("remembered meanwhile", func(t *testing.T) {
		synctest.Test(t, func(t *testing.T) {
			time.Sleep(100 * 365 * 24 * time.Hour) // in 2100 all that is written now is old
			s := &stage{t: t, dir: published(t)}
			s.exchange(func(text string) {
				for before := s.changed(); s.changed() == before; { // the clock of files ticks slowly
					write(t, s.path(), []byte(text))
				}
			})
		})
	})
}

// A stage is a repository of which a file changes.
type stage struct {
	t   *testing.T
	dir string
}

func (s *stage) path() string { return filepath.Join(s.dir, "image/timestamp.json") }

func (s *stage) changed() syscall.Timespec {
	var st syscall.Stat_t
	require.NoError(s.t, syscall.Stat(s.path(), &st))
	return st.Ctim
}

func (s *stage) exchange(rewrite func(string)) {
	t, r := s.t, mirror.New(s.dir)
	see := func(want string) {
		t.Helper()
		for range 3 {
			b, err := r.Block(deviceB, "image/timestamp.json", 0)
			require.NoError(t, err)
			require.Equal(t, want, string(b.Bytes))
			require.Equal(t, sha256.Sum256(b.Bytes), b.File)
		}
	}
	hourAgo := time.Now().Add(-time.Hour)
	see("image/timestamp.json")
	for i := range 20 { // in place, of one size, the time set back
		text := strings.Repeat(string(rune('a'+i)), 20)
		rewrite(text)
		require.NoError(t, os.Chtimes(s.path(), hourAgo, hourAgo))
		see(text)
	}
	write(t, s.path()+".new", []byte("of another one"))
	require.NoError(t, os.Rename(s.path()+".new", s.path()))
	see("of another one")

	require.NoError(t, os.Rename(s.dir, s.dir+".old"))
	_, err := r.Block(deviceB, "image/timestamp.json", 0)
	require.Error(t, err)
	require.NotErrorIs(t, err, fs.ErrNotExist, "a folder that is away is no word on its files")
	write(t, s.path(), []byte("of the next folder"))
	see("of the next folder")
	require.NoError(t, os.Remove(s.path()))
	_, err = r.Block(deviceB, "image/timestamp.json", 0)
	require.ErrorIs(t, err, fs.ErrNotExist)
}

// TestALargeFileIsHashedOnce, and those that are asked for in turn as well.
func TestALargeFileIsHashedOnce(t *testing.T) {
	if _, err := os.Stat("/proc/self/io"); err != nil {
		t.Skip("needs /proc/self/io")
	}
	synctest.Test(t, func(t *testing.T) {
		dir := published(t)
		const size = 100 * wire.BlockSize
		names := []string{"image/files/one", "image/files/two", "image/files/three"}
		for _, name := range names {
			write(t, filepath.Join(dir, name), make([]byte, size))
		}
		time.Sleep(100 * 365 * 24 * time.Hour)
		r := mirror.New(dir)
		before := read(t)
		for i := range 100 {
			for _, name := range names {
				_, err := r.Block(deviceB, name, uint32(i))
				require.NoError(t, err)
			}
		}
		files := int64(len(names))
		require.Less(t, read(t)-before, 2*files*size+(1<<20), "each file twice: for its hash, and for its blocks")
	})
}

// read is how many bytes this process has read so far.
func read(t *testing.T) (n int64) {
	text, err := os.ReadFile("/proc/self/io")
	require.NoError(t, err)
	_, err = fmt.Sscanf(string(text), "rchar: %d", &n)
	require.NoError(t, err)
	return n
}

func TestCheck(t *testing.T) {
	dir := published(t)
	require.NoError(t, mirror.Check(dir))
	require.ErrorContains(t, mirror.Check(dir+"/none"), "there is no such folder")
	require.Error(t, mirror.Check(dir+"/secret"))
	if os.Getuid() != 0 { // who reads everything
		require.NoError(t, os.Chmod(filepath.Join(dir, "image/timestamp.json"), 0))
		require.ErrorContains(t, mirror.Check(dir), "copy them with other modes")
		require.NoError(t, os.Chmod(filepath.Join(dir, "image/timestamp.json"), 0o600))
	}
	require.NoError(t, os.RemoveAll(filepath.Join(dir, "director")))
	require.ErrorContains(t, mirror.Check(dir), "there is no folder director")
	require.NoError(t, os.WriteFile(filepath.Join(dir, "director"), nil, 0o600))
	require.ErrorContains(t, mirror.Check(dir), "there is no folder director")
}

// FuzzNames: whatever a device asks for, it gets a file of the published ones
// under the rules, or none.
func FuzzNames(f *testing.F) {
	dir := filepath.Join(f.TempDir(), "repository")
	for _, name := range []string{"image/a", "image/files/b", "director/a", "director/" + deviceA + "/a", "director/" + deviceB + "/b", "secret", "image/more/c"} {
		path := filepath.Join(dir, name)
		require.NoError(f, os.MkdirAll(filepath.Dir(path), 0o700))
		require.NoError(f, os.WriteFile(path, []byte(name), 0o600))
		f.Add(deviceA, name)
	}
	f.Add("..", "director/../secret")
	r := mirror.New(dir)
	sees := map[string][]string{
		deviceA: {"image/a", "image/files/b", "director/" + deviceA + "/a"},
		deviceB: {"image/a", "image/files/b", "director/" + deviceB + "/b"},
	}
	f.Fuzz(func(t *testing.T, device, name string) {
		b, err := r.Block(device, name, 0)
		if err != nil {
			require.ErrorIs(t, err, fs.ErrNotExist)
			return
		}
		list, ok := sees[device]
		if !ok {
			list = []string{"image/a", "image/files/b", "director/a"}
		}
		require.Contains(t, list, string(b.Bytes))
	})
}
