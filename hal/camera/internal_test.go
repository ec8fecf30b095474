package camera

import (
	"encoding/binary"
	"fmt"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"golang.org/x/sys/unix"

	"roadseal/hal/red"
)

// TestOpenSame: between the look and the opening the file becomes another.
// These moments cannot be hit from outside.
func TestOpenSame(t *testing.T) {
	for what, replace := range map[string]func(path string) error{
		"link":      func(path string) error { return os.Symlink("other", path) },
		"hard link": func(path string) error { return os.Link(filepath.Join(filepath.Dir(path), "other"), path) },
		"fifo":      func(path string) error { return unix.Mkfifo(path, 0o666) },
		"directory": func(path string) error { return os.Mkdir(path, 0o755) },
	} {
		t.Run(what, func(t *testing.T) {
			dir := t.TempDir()
			require.NoError(t, os.WriteFile(filepath.Join(dir, "clip"), []byte("clip"), 0o600))
			require.NoError(t, os.WriteFile(filepath.Join(dir, "other"), []byte("evil"), 0o600))
			root, err := os.OpenRoot(dir)
			require.NoError(t, err)
			defer root.Close()
			info, err := root.Lstat("clip")
			require.NoError(t, err)
			file, err := openSame(root, "clip", info)
			require.NoError(t, err)
			require.NoError(t, file.Close())

			require.NoError(t, os.Rename(filepath.Join(dir, "clip"), filepath.Join(dir, "moved")))
			require.NoError(t, replace(filepath.Join(dir, "clip")))
			_, err = openSame(root, "clip", info)
			require.ErrorIs(t, err, ErrChanged)
		})
	}
}

// TestSettle: the same twice, and far enough apart by the monotonic clock.
func TestSettle(t *testing.T) {
	now := time.Now()
	tb := newTable(time.Second)
	s := Segment{File: "a", Size: 1, ModTime: now.Add(-time.Hour)}
	after := func(d time.Duration) bool { return tb.observe(s, now.Add(d)) }
	require.False(t, after(0), "old as it is, it was seen only once")
	require.False(t, after(999*time.Millisecond))
	require.True(t, after(1000*time.Millisecond))
	s.Size++
	require.False(t, after(2000*time.Millisecond), "grown")
	require.False(t, after(2999*time.Millisecond))
	s.ModTime = s.ModTime.Add(1)
	require.False(t, after(3000*time.Millisecond), "touched")
	require.False(t, after(3999*time.Millisecond))
	require.True(t, after(4000*time.Millisecond))
}

// TestRetriesGrowRare: a file that cannot be taken leaves the others their turn,
// and starts afresh once it changes.
func TestRetriesGrowRare(t *testing.T) {
	now := time.Now()
	tb := newTable(time.Second)
	s := Segment{File: "a", Size: 1, ModTime: now}
	tb.observe(s, now)
	wait := func() time.Duration {
		tb.finish(s, now)
		tb.mu.Lock()
		tb.makeReady(tb.files["a"]) // finish lets what was handed out settle first
		tb.mu.Unlock()
		_, err := tb.next(t.Context())
		require.NoError(t, err)
		tb.retry(s, now)
		for begin := now; ; now = now.Add(time.Second / 2) {
			if tb.observe(s, now) {
				return now.Sub(begin)
			}
		}
	}
	for _, want := range []time.Duration{1, 2, 4, 8, 16, 32, 64, 128, 128} {
		require.Equal(t, want*time.Second, wait())
	}
	s.Size++
	require.False(t, tb.observe(s, now))
	require.Equal(t, time.Second, wait())
}

// TestCrowded: more files than the table holds cost no memory and no segment.
func TestCrowded(t *testing.T) {
	now := time.Now()
	tb := newTable(time.Second)
	clip := func(i int) Segment { return Segment{File: red.Text(fmt.Sprint(i)), Kind: kindNormal, Size: 1} }
	scan := func(from, n int) bool {
		tb.begin()
		for i := range n {
			if tb.observe(clip(from+i), now) {
				tb.finish(clip(from+i), now)
			}
		}
		return tb.end(false)
	}
	require.False(t, scan(0, maxFiles))
	require.True(t, scan(0, maxFiles+1))
	require.Len(t, tb.files, maxFiles)
	now = now.Add(time.Second)
	scan(0, maxFiles+1)
	require.Equal(t, maxFiles, tb.pending())
	_, complete := tb.tags()
	require.False(t, complete)

	s, err := tb.next(t.Context())
	require.NoError(t, err)
	tb.tagged(s, [16]byte{1})
	tb.finish(clip(maxFiles), now) // takes the room of the one handed out
	require.Len(t, tb.files, maxFiles)
	require.Contains(t, tb.files, clip(maxFiles).File)
	require.NotContains(t, tb.files, s.File)
	require.Zero(t, tb.handed)

	// The recorder deletes most of them: there is room again.
	for range 2 {
		require.False(t, scan(10, 100))
	}
	require.Len(t, tb.files, 100)
}

// TestMissedOnce: a file that one scan does not see, because it is just being
// renamed, keeps its tag; it is not handed out meanwhile.
func TestMissedOnce(t *testing.T) {
	now := time.Now()
	tb := newTable(0)
	a, b := Segment{File: "a", Size: 1}, Segment{File: "b", Size: 1}
	scan := func(files ...Segment) {
		tb.begin()
		for _, s := range files {
			tb.observe(s, now)
		}
		tb.end(false)
	}
	tb.finish(a, now)
	tb.finish(b, now)
	for range 2 {
		s, err := tb.next(t.Context())
		require.NoError(t, err)
		tb.tagged(s, [16]byte{s.File.Reveal()[0]})
	}
	scan(a, b)
	scan(b)
	tags, complete := tb.tags()
	require.True(t, complete)
	require.ElementsMatch(t, [][16]byte{{'a'}, {'b'}}, tags)
	scan(a, b)
	scan(b)
	scan(b)
	tags, complete = tb.tags()
	require.True(t, complete)
	require.Equal(t, [][16]byte{{'b'}}, tags)

	// One that was moved away keeps its tag until its new name has been seen.
	tb.gone("b", true)
	tags, _ = tb.tags()
	require.Equal(t, [][16]byte{{'b'}}, tags)
	scan(b)

	// Nor does a scan count that did not see everything.
	tb.begin()
	tb.end(true)
	tb.begin()
	tb.end(true)
	tags, complete = tb.tags()
	require.False(t, complete)
	require.Equal(t, [][16]byte{{'b'}}, tags)
}

// TestEventRecords: what a kernel that lies could send does no harm, and a
// name that fills its field is read whole.
func TestEventRecords(t *testing.T) {
	record := func(wd int32, mask uint32, name string, size uint32) []byte {
		field := make([]byte, min(size, 32))
		copy(field, name)
		b := binary.NativeEndian.AppendUint32(nil, uint32(wd))
		b = binary.NativeEndian.AppendUint32(b, mask)
		b = binary.NativeEndian.AppendUint32(b, 0)
		b = binary.NativeEndian.AppendUint32(b, size)
		return append(b, field...)
	}
	w := &watch{dirs: map[int32]string{1: ".", 2: "sub"}}
	b := record(1, unix.IN_CLOSE_WRITE, "a", 16)
	b = append(b, record(2, unix.IN_MOVED_TO, "0123456789abcdef", 16)...)
	b = append(b, record(3, unix.IN_CLOSE_WRITE, "stranger", 16)...)
	b = append(b, record(-1, unix.IN_Q_OVERFLOW, "", 0)...)
	b = append(b, record(2, unix.IN_IGNORED, "", 0)...)
	b = append(b, record(1, unix.IN_CREATE|unix.IN_ISDIR, "new", 16)...)
	want := []event{{closed, "a"}, {movedIn, "sub/0123456789abcdef"}, {lost, ""}, {unsure, "sub"}, {unsure, "new"}}
	require.Equal(t, want, w.parse(b))
	for cut := range b {
		w.parse(b[:cut])
	}
	require.Empty(t, w.parse(record(1, unix.IN_CLOSE_WRITE, "a", 1<<31)))
}

// FuzzName: what the preset takes for a segment can be put together again from
// its fields, byte for byte, and everything else is refused with a reason.
func FuzzName(f *testing.F) {
	for _, s := range []string{"20251124_102030_NF.mp4", "20251124_102030_EIS.mp4", "20251399_102030_NF.mp4", "a/b/20251124_102030_NF.mp4", "\xff", ""} {
		f.Add(s)
	}
	p, err := Preset("blackvue")
	require.NoError(f, err)
	kinds, channels := presets()[0].kinds, presets()[0].channels
	f.Fuzz(func(t *testing.T, file string) {
		s, reason := p.parse(file)
		require.Equal(t, file, s.File.Reveal())
		if reason != "" {
			return
		}
		for k, kind := range kinds {
			for c, channel := range channels {
				if kind == s.Kind && channel == s.Channel && filepath.Base(file) == s.Start.Format("20060102_150405_")+k+c+".mp4" {
					return
				}
			}
		}
		t.Fatalf("%q gives %v %q %q", file, s.Start, s.Kind, s.Channel)
	})
}
