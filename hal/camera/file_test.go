package camera_test

import (
	"context"
	"crypto/hmac"
	"crypto/sha256"
	"encoding/binary"
	"encoding/hex"
	"io"
	"io/fs"
	"math/rand/v2"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"golang.org/x/sys/unix"

	"roadseal/hal/camera"
)

// taken starts a folder with one segment and takes it.
func taken(t *testing.T, content string) (f *camera.Folder, s camera.Segment, path string) {
	dir := t.TempDir()
	path = filepath.Join(dir, name(1, "NF"))
	write(t, path, content)
	f, _ = start(t, options(t, dir))
	return f, take(t, f), path
}

// TestOpenAfterChange: what is at the name now is not what Next handed out.
func TestOpenAfterChange(t *testing.T) {
	replace := func(make func(path string) error) func(*testing.T, string) {
		return func(t *testing.T, path string) {
			require.NoError(t, os.Rename(path, path+".was"))
			require.NoError(t, make(path))
		}
	}
	for what, c := range map[string]struct {
		change func(t *testing.T, path string)
		want   error
	}{
		"gone":      {func(t *testing.T, path string) { require.NoError(t, os.Remove(path)) }, fs.ErrNotExist},
		"longer":    {func(t *testing.T, path string) { write(t, path, "content, and more") }, camera.ErrChanged},
		"rewritten": {func(t *testing.T, path string) { write(t, path, "CONTENT") }, camera.ErrChanged},
		"emptied":   {func(t *testing.T, path string) { require.NoError(t, os.Truncate(path, 0)) }, camera.ErrChanged},
		"fifo":      {replace(func(path string) error { return unix.Mkfifo(path, 0o666) }), camera.ErrRefused},
		"link":      {replace(func(path string) error { return os.Symlink(filepath.Base(path)+".was", path) }), camera.ErrRefused},
		"directory": {replace(func(path string) error { return os.Mkdir(path, 0o755) }), camera.ErrRefused},
	} {
		t.Run(what, func(t *testing.T) {
			f, s, path := taken(t, "content")
			c.change(t, path)
			_, err := f.Open(s)
			require.ErrorIs(t, err, c.want)
			require.ErrorContains(t, err, "camera dash: cannot open a segment: ")
			require.NotContains(t, err.Error(), name(1, "NF"))
			require.NotContains(t, err.Error(), filepath.Dir(path))
		})
	}
}

// TestUnchanged: a file that changes while it is read is noticed, however it
// changes; one that is only unlinked was still read whole.
func TestUnchanged(t *testing.T) {
	for what, c := range map[string]struct {
		change func(path string) error
		want   error
	}{
		"grown": {func(path string) error {
			w, err := os.OpenFile(path, os.O_APPEND|os.O_WRONLY, 0)
			if err == nil {
				_, err = w.WriteString("x")
				w.Close()
			}
			return err
		}, camera.ErrChanged},
		"rewritten": {func(path string) error { return os.WriteFile(path, []byte("CONTENT"), 0o644) }, camera.ErrChanged},
		"touched":   {func(path string) error { return os.Chtimes(path, time.Time{}, time.Unix(1, 0)) }, camera.ErrChanged},
		"removed":   {os.Remove, nil},
		"renamed":   {func(path string) error { return os.Rename(path, path+"2") }, nil},
		"nothing":   {func(string) error { return nil }, nil},
	} {
		t.Run(what, func(t *testing.T) {
			f, s, path := taken(t, "content")
			file, err := f.Open(s)
			require.NoError(t, err)
			defer file.Close()
			require.NoError(t, c.change(path))
			b, err := io.ReadAll(file)
			require.NoError(t, err)
			require.Len(t, b, len("content"), "the size is that of the opening")
			err = file.Unchanged()
			require.ErrorIs(t, err, c.want)
			if err != nil {
				require.NotContains(t, err.Error(), name(1, "NF"))
			}
		})
	}
}

// TestShortened: the end of a file that has become shorter is no end of file.
func TestShortened(t *testing.T) {
	f, s, path := taken(t, "content")
	file, err := f.Open(s)
	require.NoError(t, err)
	defer file.Close()
	require.NoError(t, os.Truncate(path, 3))
	b, err := io.ReadAll(file)
	require.ErrorIs(t, err, camera.ErrChanged)
	require.Equal(t, "con", string(b))
	_, err = file.Tag(nil)
	require.ErrorIs(t, err, camera.ErrChanged)
}

// TestTag compares tags with a second computation, at the sizes where the two
// spans meet, and with one frozen value.
func TestTag(t *testing.T) {
	const span = 64 << 10
	random := rand.NewChaCha8([32]byte{1})
	dir := t.TempDir()
	f, _ := start(t, options(t, dir))
	eventually(t, f, "present", present)
	for i, size := range []int{1, span - 1, span, span + 1, 2*span - 1, 2 * span, 2*span + 1, 300_000} {
		content := make([]byte, size)
		_, _ = random.Read(content)
		write(t, dir, name(i, "NF"), string(content))
		s := take(t, f)

		message := binary.BigEndian.AppendUint64(nil, uint64(size))
		message = append(message, content[:min(size, span)]...)
		message = append(message, content[max(0, size-span):]...)
		mac := hmac.New(sha256.New, []byte("key"))
		mac.Write(message)
		tag := tagOf(t, f, s)
		require.Equal(t, mac.Sum(nil)[:16], tag[:], "size %d", size)
	}
	write(t, dir, name(100, "NF"), "abc")
	tag := tagOf(t, f, take(t, f))
	// printf '\0\0\0\0\0\0\0\3abcabc' | openssl dgst -sha256 -hmac key
	require.Equal(t, "44880956599e2298d18cbcec768ac779", hex.EncodeToString(tag[:]))
}

// TestTagLeavesPosition: a tag taken in the middle of reading costs no byte.
func TestTagLeavesPosition(t *testing.T) {
	f, s, _ := taken(t, "content")
	file, err := f.Open(s)
	require.NoError(t, err)
	defer file.Close()
	b := make([]byte, 3)
	_, err = io.ReadFull(file, b)
	require.NoError(t, err)
	_, err = file.Tag([]byte("key"))
	require.NoError(t, err)
	rest, err := io.ReadAll(file)
	require.NoError(t, err)
	require.Equal(t, "tent", string(rest))
}

// TestRetry: a segment that is put back comes again, as it is then.
func TestRetry(t *testing.T) {
	f, s, path := taken(t, "content")
	f.Retry(s)
	again := take(t, f)
	require.Equal(t, s, again)
	nothing(t, f)

	write(t, path, "content, and more")
	_, err := f.Open(again)
	require.ErrorIs(t, err, camera.ErrChanged)
	f.Retry(again)
	require.Equal(t, "content, and more", read(t, f, take(t, f)))
	nothing(t, f)
}

// TestRelease: a segment that nobody could turn to is there again at once, also
// for one who waits.
func TestRelease(t *testing.T) {
	dir := t.TempDir()
	o := options(t, dir)
	o.Rescan, o.Settle = never, never
	f, stop := start(t, o)
	eventually(t, f, "present", present)
	write(t, dir, name(1, "NF"), "content")
	s := take(t, f)
	stop()
	require.Zero(t, f.State().Pending)
	again := make(chan camera.Segment)
	go func() {
		s, _ := f.Next(context.Background())
		again <- s
	}()
	f.Release(s)
	require.Equal(t, s, <-again)
	f.Release(s)
	f.Release(s)
	require.Equal(t, 1, f.State().Pending)
	require.Equal(t, s, take(t, f))
	f.Retry(s)
	f.Release(s) // has to settle by now
	require.Zero(t, f.State().Pending)
}

// TestWrittenAfterTaken: new bytes in a file that was taken are a new segment.
func TestWrittenAfterTaken(t *testing.T) {
	f, s, path := taken(t, "content")
	before := tagOf(t, f, s)
	f.Tagged(s, before)
	nothing(t, f)
	write(t, path, "CONTENT")
	eventually(t, f, "again", waiting(1))
	tags, complete := f.Tags()
	require.Empty(t, tags, "the old content is gone")
	require.False(t, complete)
	s = take(t, f)
	require.Equal(t, "CONTENT", read(t, f, s))
	require.NotEqual(t, before, tagOf(t, f, s))
	nothing(t, f)
}

// TestRename: a clip that the recorder locks by renaming it has the same tag
// and its new kind, and its tag is never dropped meanwhile.
func TestRename(t *testing.T) {
	f, s, path := taken(t, "content")
	tag := tagOf(t, f, s)
	_, complete := f.Tags()
	require.False(t, complete, "a segment without its tag")
	f.Tagged(s, tag)
	nothing(t, f)
	tags, complete := f.Tags()
	require.True(t, complete)
	require.Equal(t, [][16]byte{tag}, tags)

	require.NoError(t, os.Rename(path, filepath.Join(filepath.Dir(path), name(1, "EF"))))
	renamed := take(t, f)
	require.Equal(t, "event", renamed.Kind)
	require.Equal(t, tag, tagOf(t, f, renamed))
	_, complete = f.Tags()
	require.False(t, complete)
	f.Tagged(renamed, tag)
	nothing(t, f)
	tags, complete = f.Tags()
	require.True(t, complete)
	require.Equal(t, [][16]byte{tag}, tags)
}

// TestTags: a growing file does not count, a segment that nobody wants does
// not hold the others up, and a removed one takes its tag along.
func TestTags(t *testing.T) {
	f, first, path := taken(t, "first")
	dir := filepath.Dir(path)
	write(t, dir, name(2, "PF"), "unwanted")
	second := take(t, f)
	f.Tagged(first, [16]byte{1})
	_, complete := f.Tags()
	require.False(t, complete)
	f.Tagged(second, [16]byte{})
	w, err := os.Create(filepath.Join(dir, name(3, "NF")))
	require.NoError(t, err)
	defer w.Close()
	for range 2 {
		_, err = w.WriteString("x")
		require.NoError(t, err)
		scans(t, f, 2)
	}
	tags, complete := f.Tags()
	require.True(t, complete)
	require.Equal(t, [][16]byte{{1}}, tags)

	require.NoError(t, f.Remove(first))
	require.NoFileExists(t, path)
	tags, complete = f.Tags()
	require.True(t, complete)
	require.Empty(t, tags)
	require.NoError(t, f.Remove(first), "gone already")
}

// TestRemoveChanged: what was not sealed is not removed.
func TestRemoveChanged(t *testing.T) {
	f, s, path := taken(t, "content")
	write(t, path, "content, and more")
	err := f.Remove(s)
	require.ErrorIs(t, err, camera.ErrChanged)
	require.NotContains(t, err.Error(), name(1, "NF"))
	require.FileExists(t, path)
}

// TestFolderGone: a segment of a folder that is gone gives a clear error.
func TestFolderGone(t *testing.T) {
	f, s, path := taken(t, "content")
	require.NoError(t, os.RemoveAll(filepath.Dir(path)))
	_, err := f.Open(s)
	require.ErrorIs(t, err, fs.ErrNotExist)
	require.ErrorContains(t, err, "is the card in and mounted?")
}
