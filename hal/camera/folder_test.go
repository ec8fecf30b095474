package camera_test

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"golang.org/x/sys/unix"

	"roadseal/hal/camera"
)

// TestGrowing: a file that pauses for longer than the settle time while it is
// written is taken once, whole, and only after it was closed.
func TestGrowing(t *testing.T) {
	dir := t.TempDir()
	f, _ := start(t, options(t, dir))
	eventually(t, f, "present", present)

	w, err := os.Create(filepath.Join(dir, name(1, "NF")))
	require.NoError(t, err)
	for range 3 {
		_, err = w.WriteString("part ")
		require.NoError(t, err)
		nothing(t, f)
	}
	require.NoError(t, w.Close())
	require.Equal(t, "part part part ", read(t, f, take(t, f)))
	nothing(t, f)
}

// TestGrowingAtStart: the writer was there before the watch, so no event tells
// of it. The kernel's count of writers does.
func TestGrowingAtStart(t *testing.T) {
	dir := t.TempDir()
	write(t, dir, name(0, "NF"), "finished before")
	w, err := os.Create(filepath.Join(dir, name(1, "NF")))
	require.NoError(t, err)
	_, err = w.WriteString("half")
	require.NoError(t, err)

	f, _ := start(t, options(t, dir))
	require.Equal(t, "finished before", read(t, f, take(t, f)))
	nothing(t, f)
	_, err = w.WriteString(" and half")
	require.NoError(t, err)
	require.NoError(t, w.Close())
	require.Equal(t, "half and half", read(t, f, take(t, f)))
	nothing(t, f)
}

// TestEventsAlone: without rescans, a close and a move are enough, and each
// gives the segment at once.
func TestEventsAlone(t *testing.T) {
	dir := t.TempDir()
	o := options(t, dir)
	o.Rescan, o.Settle = never, never
	f, _ := start(t, o)
	eventually(t, f, "present", present)

	write(t, dir, name(1, "NF"), "closed")
	require.Equal(t, "closed", read(t, f, take(t, f)))
	moveIn(t, dir, name(2, "NR"), "moved in")
	s := take(t, f)
	require.Equal(t, "moved in", read(t, f, s))
	require.Equal(t, camera.Segment{Camera: "dash", File: s.File, Start: time.Date(2025, 11, 24, 0, 2, 0, 0, time.UTC),
		Channel: "rear", Kind: "normal", Size: 8, ModTime: s.ModTime}, s)
	require.Equal(t, name(2, "NR"), s.File.Reveal())
}

// TestOverflow lets the event queue run over while the folder is kept from
// reading it; the event of the only good file is lost.
func TestOverflow(t *testing.T) {
	limit, err := os.ReadFile("/proc/sys/fs/inotify/max_queued_events")
	require.NoError(t, err)
	n, err := strconv.Atoi(strings.TrimSpace(string(limit)))
	require.NoError(t, err)
	if n > 1<<17 {
		t.Skip("the event queue is too long to be filled")
	}
	dir := t.TempDir()
	book := &logbook{hold: make(chan struct{})}
	o := options(t, dir)
	o.Rescan, o.Log = never, book.logger()
	f, _ := start(t, o)
	eventually(t, f, "present", present) // and held in its first log line

	for i := range n/2 + 1 { // rename: two events, and no two alike in a row
		from, to := fmt.Sprint("x", i%2), fmt.Sprint("x", 1-i%2)
		if i == 0 {
			write(t, dir, from, "junk")
		}
		require.NoError(t, os.Rename(filepath.Join(dir, from), filepath.Join(dir, to)))
	}
	moveIn(t, dir, name(1, "NF"), "its event is lost")
	close(book.hold)
	require.Equal(t, "its event is lost", read(t, f, take(t, f)))
}

// TestOrder: event clips, then by time, then by name.
func TestOrder(t *testing.T) {
	dir := t.TempDir()
	want := []string{name(3, "EF"), name(4, "IR"), name(1, "NF"), name(2, "MF"), name(2, "NF"), name(2, "NR"), name(5, "PF")}
	for i := range want {
		moveIn(t, dir, want[len(want)-1-i], "x")
	}
	f, _ := start(t, options(t, dir))
	eventually(t, f, "all", waiting(len(want)))
	for _, w := range want {
		require.Equal(t, w, take(t, f).File.Reveal())
	}
	ctx, cancel := context.WithCancel(context.Background())
	cancel()
	_, err := f.Next(ctx)
	require.ErrorIs(t, err, context.Canceled)
}

// TestLock: a lock file keeps its segment back until it goes, and also for a
// scan.
func TestLock(t *testing.T) {
	dir := t.TempDir()
	f, _ := start(t, options(t, dir))
	eventually(t, f, "present", present)
	lock := filepath.Join(dir, name(1, "NF")+".lock")
	write(t, lock, "")
	write(t, dir, name(1, "NF"), "locked")
	nothing(t, f)
	require.NoError(t, os.Remove(lock))
	require.Equal(t, "locked", read(t, f, take(t, f)))

	// Unlocked, but not closed: the close is still to come.
	lock = filepath.Join(dir, name(2, "NF")+".lock")
	write(t, lock, "")
	w, err := os.Create(filepath.Join(dir, name(2, "NF")))
	require.NoError(t, err)
	_, err = w.WriteString("half")
	require.NoError(t, err)
	require.NoError(t, os.Remove(lock))
	nothing(t, f)
	require.NoError(t, w.Close())
	require.Equal(t, "half", read(t, f, take(t, f)))
}

// TestRenamedWhileWritten: the final name does not mean that the writer is done.
func TestRenamedWhileWritten(t *testing.T) {
	dir := t.TempDir()
	f, _ := start(t, options(t, dir))
	eventually(t, f, "present", present)
	w, err := os.Create(filepath.Join(dir, "recording.tmp"))
	require.NoError(t, err)
	_, err = w.WriteString("half")
	require.NoError(t, err)
	require.NoError(t, os.Rename(w.Name(), filepath.Join(dir, name(1, "NF"))))
	nothing(t, f)
	_, err = w.WriteString(" and half")
	require.NoError(t, err)
	require.NoError(t, w.Close())
	require.Equal(t, "half and half", read(t, f, take(t, f)))
	nothing(t, f)
}

// TestSubfolders: those that are there, those that come, and those too deep.
func TestSubfolders(t *testing.T) {
	dir := t.TempDir()
	deep := filepath.Join(dir, "1", "2", "3")
	require.NoError(t, os.MkdirAll(filepath.Join(deep, "4"), 0o755))
	write(t, deep, name(1, "NF"), "three down")
	write(t, deep, "4", name(2, "NF"), "four down")
	o := options(t, dir)
	o.Rescan = never
	f, _ := start(t, o)
	require.Equal(t, "three down", read(t, f, take(t, f)))
	write(t, deep, name(3, "NF"), "by event")
	require.Equal(t, "by event", read(t, f, take(t, f)))

	require.NoError(t, os.Mkdir(filepath.Join(dir, "new.mp4"), 0o755))
	write(t, dir, "new.mp4", name(4, "NF"), "in a new folder")
	s := take(t, f)
	require.Equal(t, "new.mp4/"+name(4, "NF"), s.File.Reveal())
	require.Equal(t, "in a new folder", read(t, f, s))

	require.NoError(t, os.Rename(filepath.Join(dir, "new.mp4"), filepath.Join(dir, "renamed")))
	require.Equal(t, "renamed/"+name(4, "NF"), take(t, f).File.Reveal())
	write(t, dir, "renamed", name(5, "NF"), "watched under its new name")
	require.Equal(t, "watched under its new name", read(t, f, take(t, f)))
	require.Zero(t, f.State().Pending)

	require.Equal(t, 5, watches(t))
	require.NoError(t, os.Rename(filepath.Join(dir, "renamed"), filepath.Join(t.TempDir(), "away")))
	require.Eventually(t, func() bool { return watches(t) == 4 }, patience, time.Millisecond)
}

// watches counts the directories that this process watches.
func watches(t *testing.T) int {
	files, err := filepath.Glob("/proc/self/fdinfo/*")
	require.NoError(t, err)
	n := 0
	for _, f := range files {
		b, _ := os.ReadFile(f) // one is of the glob itself
		n += strings.Count(string(b), "inotify wd:")
	}
	return n
}

// TestScansAreFew: a process that makes folders all the time causes no more
// than a scan every Settle.
func TestScansAreFew(t *testing.T) {
	dir := t.TempDir()
	o := options(t, dir)
	o.Rescan, o.Settle = never, never
	f, _ := start(t, o)
	eventually(t, f, "present", present)
	first := f.State().Scanned
	for i := range 10 {
		mkdir(t, dir, fmt.Sprint(i))
		write(t, dir, name(i, "NF"), "x")
		take(t, f) // the event of the folder came before
	}
	require.Equal(t, first, f.State().Scanned)
}

// TestComesAndGoes: a missing folder is said once, found when it appears, and
// found again after it was replaced.
func TestComesAndGoes(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "Record")
	book := &logbook{}
	o := options(t, dir)
	o.Log = book.logger()
	o.Rescan = never // only the retry and events may find it
	f, _ := start(t, o)
	absent := func(s camera.State) bool { return !s.Present && strings.Contains(s.Reason, "is the card in") }
	eventually(t, f, "absent", absent)
	for range 10 { // it goes on trying
		time.Sleep(settle)
	}
	require.Len(t, book.lines(), 1, "said once")

	for round := range 3 {
		tmp := t.TempDir()
		write(t, tmp, name(1, "NF"), fmt.Sprint("round ", round))
		require.NoError(t, os.Rename(tmp, dir))
		require.Equal(t, fmt.Sprint("round ", round), read(t, f, take(t, f)))
		write(t, dir, name(2, "NF"), "by event")
		require.Equal(t, "by event", read(t, f, take(t, f)))
		require.NoError(t, os.RemoveAll(dir))
		eventually(t, f, "absent", absent)
	}
	require.Len(t, book.lines(), 7)
	require.NotContains(t, strings.Join(book.lines(), "\n"), "20251124")

	// The same card once more: it may have been elsewhere, so all is handed out.
	mkdir(t, dir)
	write(t, dir, name(1, "NF"), "again")
	require.Equal(t, "again", read(t, f, take(t, f)))
	require.NoError(t, os.Rename(dir, dir+"2"))
	eventually(t, f, "absent", absent)
	require.NoError(t, os.Rename(dir+"2", dir))
	require.Equal(t, "again", read(t, f, take(t, f)))
	require.NoError(t, os.RemoveAll(dir))
	eventually(t, f, "absent", absent)

	// Replaced in one step: no moment without a folder.
	tmp := t.TempDir()
	require.NoError(t, os.Mkdir(dir, 0o755))
	eventually(t, f, "present", present)
	write(t, tmp, name(3, "NF"), "exchanged")
	require.NoError(t, unix.Renameat2(unix.AT_FDCWD, tmp, unix.AT_FDCWD, dir, unix.RENAME_EXCHANGE))
	require.Equal(t, "exchanged", read(t, f, take(t, f)))
}

// TestMount: the card can be unmounted while the folder is watched, and what
// is mounted again is found. The empty mount point costs no tags.
func TestMount(t *testing.T) {
	needRoot(t)
	dir := t.TempDir()
	mount := func() {
		if err := unix.Mount("tmpfs", dir, "tmpfs", 0, "size=1m"); err != nil {
			t.Skip("cannot mount here: ", err)
		}
	}
	mount()
	t.Cleanup(func() { _ = unix.Unmount(dir, unix.MNT_DETACH) })
	write(t, dir, name(1, "NF"), "first card")
	f, _ := start(t, options(t, dir))
	s := take(t, f)
	f.Tagged(s, tagOf(t, f, s))
	require.Eventually(t, func() bool { _, ok := f.Tags(); return ok }, patience, time.Millisecond)

	// Busy during a scan, never for longer.
	require.Eventually(t, func() bool { return unix.Unmount(dir, 0) == nil }, patience, time.Millisecond, "something is kept open")
	scans(t, f, 4)
	_, complete := f.Tags()
	require.False(t, complete)
	mount()
	write(t, dir, name(2, "NF"), "second card")
	require.Equal(t, "second card", read(t, f, take(t, f)))
	write(t, dir, name(3, "NF"), "watched again")
	require.Equal(t, "watched again", read(t, f, take(t, f)))
}

// TestCancel: Run ends while it waits for events, and leaves nothing open.
func TestCancel(t *testing.T) {
	open := func() int {
		fds, err := os.ReadDir("/proc/self/fd")
		require.NoError(t, err)
		return len(fds)
	}
	dir := t.TempDir()
	require.NoError(t, os.MkdirAll(filepath.Join(dir, "a", "b"), 0o755))
	write(t, dir, "a", name(1, "NF"), "x")
	var before int
	for round := range 20 {
		o := options(t, dir)
		o.Rescan, o.Settle = never, never
		f, stop := start(t, o)
		eventually(t, f, "present", present)
		write(t, dir, name(2, "NF"), "x")
		read(t, f, take(t, f))
		_, err := f.List(canceled())
		require.ErrorIs(t, err, context.Canceled)
		stop()
		if round == 0 {
			before = open()
		}
	}
	require.Equal(t, before, open(), "open files")
}

func canceled() context.Context {
	ctx, cancel := context.WithCancel(context.Background())
	cancel()
	return ctx
}

// TestOwnerUnknown: the reason names the field and what was expected.
func TestOwnerUnknown(t *testing.T) {
	o := options(t, t.TempDir())
	o.Owner = "no-such-user"
	f, _ := start(t, o)
	eventually(t, f, "reason", func(s camera.State) bool {
		return s.Reason == `owner "no-such-user" is no user of this machine: expected a user name or number`
	})
}

// TestLockedByASecondName: a clip that the recorder links to its locked ones is
// handed out under that name, too, whether that is seen or found; not under a
// further one of the same kind.
func TestLockedByASecondName(t *testing.T) {
	dir := t.TempDir()
	link := func(from, to string) {
		require.NoError(t, os.Link(filepath.Join(dir, from), filepath.Join(dir, to)))
	}
	o := options(t, dir)
	o.Rescan = never
	f, stop := start(t, o)
	eventually(t, f, "watching", present)
	write(t, dir, name(1, "NF"), "x")
	first := take(t, f)
	link(name(1, "NF"), name(1, "EF"))
	second := take(t, f)
	require.Equal(t, []string{"normal", "event"}, []string{first.Kind, second.Kind})
	require.Equal(t, tagOf(t, f, first), tagOf(t, f, second))
	stop()
	link(name(1, "NF"), name(2, "EF"))
	all, err := f.List(context.Background())
	require.NoError(t, err)
	require.Equal(t, map[string]int{"": 2, "another name, of the same kind, of a file already seen": 1}, count(all))
	o.Rescan = 10 * time.Millisecond
	f, _ = start(t, o)
	eventually(t, f, "both", waiting(2))
	require.Equal(t, "event", take(t, f).Kind, "events first")
	require.Equal(t, "normal", take(t, f).Kind)
	nothing(t, f)
}

func count(all []camera.Listing) map[string]int {
	n := map[string]int{}
	for _, l := range all {
		n[l.Reason]++
	}
	return n
}

// TestManyNames: a folder of 10^5 names is listed and its segments are found.
func TestManyNames(t *testing.T) {
	if testing.Short() {
		t.Skip("makes 100,000 files")
	}
	dir := t.TempDir()
	file := filepath.Join(dir, "0")
	write(t, file, "x")
	for i := range 100_000 {
		// Hard links cost no space; a file has 65,000 at most on ext4.
		if i%50_000 == 0 {
			file = filepath.Join(dir, fmt.Sprint("first", i))
			write(t, file, "x")
		}
		require.NoError(t, os.Link(file, filepath.Join(dir, fmt.Sprint("name", i))))
	}
	write(t, dir, name(1, "NF"), "found")
	f, _ := start(t, options(t, dir))
	require.Equal(t, "found", read(t, f, take(t, f)))
	all, err := f.List(context.Background())
	require.NoError(t, err)
	require.Len(t, all, 1<<15+1, "of what is no segment no more than a Folder remembers")
}
