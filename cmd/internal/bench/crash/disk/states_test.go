package disk

import (
	"errors"
	"fmt"
	"hash/maphash"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

// A script writes a trace of a program that works below /r.
type script struct{ lines []string }

func (s *script) call(format string, args ...any) {
	s.lines = append(s.lines, fmt.Sprintf("10 1.%06d ", len(s.lines))+fmt.Sprintf(format, args...))
}

func (s *script) open(fd int, path, flags string) {
	s.call("openat(AT_FDCWD, %s, %s, 0600) = %d", hexed(path), flags, fd)
}

func (s *script) write(fd int, text string) {
	s.call("write(%d, %s, %d) = %d", fd, hexed(text), len(text), len(text))
}

func (s *script) rename(from, to string) {
	s.call("renameat(AT_FDCWD, %s, AT_FDCWD, %s) = 0", hexed(from), hexed(to))
}

func (s *script) sync(fd int) { s.call("fsync(%d) = 0", fd) }

func (s *script) history(t *testing.T, begin Tree) *History {
	t.Helper()
	x := NewReader("/r", begin)
	require.NoError(t, x.ReadTrace(strings.NewReader(strings.Join(s.lines, "\n")+"\n")))
	return x.History()
}

// text lays a tree out as "name=bytes name2/".
func text(t Tree) string {
	var all []string
	for _, p := range slices.Sorted(maps.Keys(t)) {
		if t[p] == nil {
			all = append(all, p+"/")
		} else {
			all = append(all, p+"="+strings.ReplaceAll(string(t[p].bytes()), "\x00", "0"))
		}
	}
	return strings.Join(all, " ")
}

// cuts are all trees that a cut after the last op may leave.
func cuts(h *History, m Model, dropped int) (all []string) {
	d := New(h, m, dropped)
	for i := h.First; i < len(h.Ops); i++ {
		d.Step(i)
	}
	d.Cuts(func(_ string, tr Tree) {
		if s := text(tr); !slices.Contains(all, s) {
			all = append(all, s)
		}
	})
	slices.Sort(all)
	return all
}

var posix, ext4 = Models[0], Models[1]

// replaced writes a file beside another and renames it over that.
func replaced(syncs ...string) *script {
	s := &script{}
	s.open(3, "/r", "O_RDONLY")
	s.open(4, "/r/a.tmp", "O_RDWR|O_CREAT|O_EXCL")
	s.write(4, "new!")
	if slices.Contains(syncs, "file") {
		s.sync(4)
	}
	s.rename("/r/a.tmp", "/r/a")
	if slices.Contains(syncs, "dir") {
		s.sync(3)
	}
	return s
}

func TestWhatACutLeavesOfAReplacedFile(t *testing.T) {
	begin := Tree{"a": Given([]byte("old"))}
	whole := []string{"a=new!"}
	require.Equal(t, whole, cuts(replaced("file", "dir").history(t, begin), posix, None))
	require.Equal(t, whole, cuts(replaced("file", "dir").history(t, begin), ext4, None))
	require.Equal(t, []string{"a=new!", "a=old", "a=old a.tmp=new!"}, cuts(replaced("file").history(t, begin), posix, None))
	require.Equal(t, []string{"a=new!", "a=old a.tmp=new!"}, cuts(replaced("file").history(t, begin), ext4, None),
		"a new file's sync keeps its name")
	require.Equal(t, []string{"a=", "a=0000", "a=ne", "a=new!"}, cuts(replaced("dir").history(t, begin), posix, None),
		"nothing, its length, half of it, all")
	require.Contains(t, cuts(replaced().history(t, begin), posix, None), "a=old a.tmp=")
}

func TestADroppedSyncDoesNothing(t *testing.T) {
	h := replaced("file", "dir").history(t, Tree{"a": Given([]byte("old"))})
	require.Equal(t, []string{"sync a.tmp after write a.tmp", "syncdir ROOT after rename a.tmp to a"},
		[]string{h.Describe(h.Syncs()[0]), h.Describe(h.Syncs()[1])})
	require.Contains(t, cuts(h, posix, h.Syncs()[0]), "a=0000")
	require.Contains(t, cuts(h, posix, h.Syncs()[1]), "a=old")
	for _, sync := range h.Syncs() {
		require.False(t, h.Idle(sync))
		require.False(t, h.Repeated(sync))
	}
}

func TestASyncKeepsWhatWasDoneWhenItBegan(t *testing.T) {
	s := &script{}
	s.open(4, "/r/a", "O_RDWR|O_CREAT|O_EXCL")
	s.open(3, "/r", "O_RDONLY")
	s.sync(3)
	s.call("fsync(4 <unfinished ...>")
	s.lines = append(s.lines, `11 1.000009 write(4, `+hexed("late")+`, 4) = 4`)
	s.call("<... fsync resumed>) = 0")
	require.Contains(t, cuts(s.history(t, nil), posix, None), "a=")
	s.sync(4)
	require.Equal(t, []string{"a=late"}, cuts(s.history(t, nil), posix, None))
}

// TestANumberIsGivenAnew: a descriptor's number is free as soon as a close has
// begun, and strace may write its end later.
func TestANumberIsGivenAnew(t *testing.T) {
	s := &script{}
	s.open(4, "/elsewhere/x", "O_RDWR|O_CREAT")
	s.call("close(4 <unfinished ...>")
	s.lines = append(s.lines, `11 1.000009 openat(AT_FDCWD, `+hexed("/r/a")+`, O_RDWR|O_CREAT, 0600) = 4`)
	s.call("<... close resumed>) = 0")
	s.write(4, "a")
	s.call("close(4) = 0")
	s.write(4, "not ours any more")
	require.Equal(t, []string{"", "a=", "a=0", "a=a"}, cuts(s.history(t, nil), posix, None))
}

func TestNamesBelowALostNameAreLost(t *testing.T) {
	s := &script{}
	s.call("mkdirat(AT_FDCWD, %s, 0700) = 0", hexed("/r/d"))
	s.open(4, "/r/d/a", "O_RDWR|O_CREAT|O_EXCL")
	s.open(5, "/r/d", "O_RDONLY")
	s.sync(4)
	s.sync(5)
	h := s.history(t, nil)
	require.Equal(t, []string{"", "d/ d/a="}, cuts(h, posix, None))
	s.sync(5)
	h = s.history(t, nil)
	require.True(t, h.Idle(h.Syncs()[2]))
	require.True(t, h.Repeated(h.Syncs()[1]))
}

func TestLinksOffsetsAndRemovals(t *testing.T) {
	s := &script{}
	s.open(4, "/r/a", "O_RDWR|O_CREAT|O_EXCL")
	s.call("ftruncate(4, 4) = 0")
	s.call("pwrite64(4, %s, 2, 2) = 2", hexed("xy"))
	s.write(4, "1")
	s.write(4, "2")
	s.call("lseek(4, 3, SEEK_SET) = 3")
	s.write(4, "34")
	s.call("linkat(AT_FDCWD, %s, AT_FDCWD, %s, 0) = 0", hexed("/r/a"), hexed("/r/b"))
	s.call("ftruncate(4, 1) = 0")
	s.call("unlinkat(AT_FDCWD, %s, 0) = 0", hexed("/r/a"))
	d := New(s.history(t, nil), posix, None)
	for i, want := range []string{"a=", "a=0000", "a=00xy", "a=10xy", "a=12xy", "a=12x34", "a=12x34 b=12x34", "a=1 b=1", "b=1"} {
		d.Step(i)
		require.Equal(t, want, text(d.Live()))
	}
}

// TestLaidOut: two names of one file are that on the disk, too.
func TestLaidOut(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "x")
	one := Given([]byte("one"))
	tree := Tree{"d": nil, "d/a": one, "b": one, "c": Given([]byte("one")), "e": Given(nil)}
	require.NoError(t, os.MkdirAll(filepath.Join(dir, "old"), 0o700))
	require.NoError(t, tree.Write(dir))
	require.NoDirExists(t, filepath.Join(dir, "old"))
	stat := func(p string) os.FileInfo {
		st, err := os.Stat(filepath.Join(dir, p))
		require.NoError(t, err)
		return st
	}
	require.True(t, os.SameFile(stat("d/a"), stat("b")))
	require.False(t, os.SameFile(stat("c"), stat("b")))
	require.Zero(t, stat("e").Size())
	seed := maphash.MakeSeed()
	require.Equal(t, Digest(seed, Tree{"a": one}), Digest(seed, Tree{"a": Given([]byte("one"))}))
	require.NotEqual(t, Digest(seed, Tree{"a": one}), Digest(seed, Tree{"a": nil}))
	require.NotEqual(t, Digest(seed, Tree{"a": one}, nil), Digest(seed, nil, Tree{"a": one}))
}

// TestCallsThatTheModelDoesNotKnow: on files of the program they end the sweep,
// elsewhere they are none of its business.
func TestCallsThatTheModelDoesNotKnow(t *testing.T) {
	for _, format := range []string{
		"mmap(NULL, 4096, PROT_READ|PROT_WRITE, MAP_SHARED, %d, 0) = 0x7f0000000000",
		"writev(%d, [{iov_base=\"\\x41\", iov_len=1}], 1) = 1",
		"copy_file_range(9, NULL, %d, NULL, 10, 0) = 10",
		"splice(9, NULL, %d, NULL, 10, 0) = 10",
		"sendfile(%d, 9, NULL, 10) = 10",
		"dup3(%d, 20, O_CLOEXEC) = 20",
		"fcntl(%d, F_DUPFD_CLOEXEC, 0) = 20",
		"fallocate(%d, 0, 0, 10) = 0",
		"sync_file_range(%d, 0, 10, SYNC_FILE_RANGE_WRITE) = 0",
	} {
		for fd, ours := range map[int]bool{4: true, 5: false} {
			s := &script{}
			s.open(4, "/r/a", "O_RDWR|O_CREAT")
			s.open(5, "/elsewhere/a", "O_RDWR|O_CREAT")
			s.call(format, fd)
			err := NewReader("/r", nil).ReadTrace(strings.NewReader(strings.Join(s.lines, "\n") + "\n"))
			var u *Unmodelled
			require.Equal(t, ours, errors.As(err, &u), "%s: %v", s.lines[2], err)
		}
	}
	for _, line := range []string{
		"io_uring_setup(8, 0xc000) = 7",
		"openat2(3, \"\\x41\", {flags=O_RDWR, resolve=0}, 24) = 4",
		"renameat(AT_FDCWD, " + hexed("/r/d/x") + ", AT_FDCWD, " + hexed("/r/x") + ") = 0",
		"renameat(AT_FDCWD, " + hexed("/r/d/x") + ", AT_FDCWD, " + hexed("/elsewhere") + ") = 0",
		"renameat(AT_FDCWD, " + hexed("/r/d") + ", AT_FDCWD, " + hexed("/r/e") + ") = 0",
		"unlinkat(AT_FDCWD, " + hexed("/r/d") + ", AT_REMOVEDIR) = 0",
		"openat(AT_FDCWD, " + hexed("/r/d/x") + ", O_WRONLY|O_APPEND) = 9",
		"syncfs(4) = 0",
	} {
		s := &script{}
		s.call("%s", line)
		err := NewReader("/r", Tree{"d": nil, "d/x": Given([]byte("x"))}).ReadTrace(strings.NewReader(s.lines[0] + "\n"))
		require.ErrorAs(t, err, new(*Unmodelled), line)
	}
}
