package trip_test

import (
	"bytes"
	"context"
	"errors"
	"io"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"

	"github.com/stretchr/testify/require"

	"roadseal/cmd/internal/trip"
	"roadseal/crypto/envelope"
)

func TestEachOpensOnce(t *testing.T) {
	h := newHolder(t)
	path := h.add(clip(), []byte("content"))
	other := newHolder(t)
	other.dir = h.dir
	other.add(clip(), []byte("theirs"))
	sealed, err := os.ReadFile(path)
	require.NoError(t, err)
	for _, copied := range []string{"renamed", "2/" + filepath.Base(path)} {
		copied = filepath.Join(h.dir, copied)
		require.NoError(t, os.MkdirAll(filepath.Dir(copied), 0o700))
		require.NoError(t, os.WriteFile(copied, sealed, 0o600))
	}

	var got []string
	c, bad, err := h.each(func(e *trip.Entry) error {
		var b bytes.Buffer
		_, err := e.WriteTo(&b)
		got = append(got, b.String())
		require.Equal(t, filepath.Base(path), e.Name.String())
		require.EqualValues(t, len(sealed), e.Size)
		return err
	})
	require.NoError(t, err)
	require.Empty(t, bad)
	require.Equal(t, []string{"content"}, got)
	require.Equal(t, trip.Counts{Opened: 1, Others: 1, Twice: 2}, c)
}

// Whatever byte is altered, the file is a fault: never opened, and never taken
// for one that is sealed to others.
func TestEveryAlteredByteIsSeen(t *testing.T) {
	h := newHolder(t)
	path := h.add(clip(), []byte("content"))
	sealed, err := os.ReadFile(path)
	require.NoError(t, err)
	step := 7 // a stanza has 1,557 bytes: all offsets modulo it are met
	if testing.Short() {
		step = 97
	}
	for i := 0; i < len(sealed); i += step {
		altered := bytes.Clone(sealed)
		altered[i] ^= 0x40
		require.NoError(t, os.WriteFile(path, altered, 0o600))
		c, bad, err := h.each(func(e *trip.Entry) error {
			_, err := trip.NewOutput(filepath.Join(t.TempDir(), "out"), false).Save(t.Context(), e)
			return err
		})
		require.NoError(t, err)
		require.Equal(t, trip.Counts{Faults: 1}, c, "byte %d", i)
		require.Len(t, bad, 1)
	}
}

// Without Hash, damage to a reader's stanza looks like an object for others.
func TestWithoutHashOthersAreNotRead(t *testing.T) {
	h := newHolder(t)
	path := filepath.Join(h.dir, envelope.Name{}.String())
	require.NoError(t, os.Rename(newHolderIn(h).add(clip(), nil), path))
	files, _ := trip.Find([]string{path}, nil)
	for hash, want := range map[bool]trip.Counts{false: {Others: 1}, true: {Faults: 1}} {
		c, err := trip.Scan{Keys: h.keys, Hash: hash, Fault: func(string, error) {}}.Each(t.Context(), files, nil)
		require.NoError(t, err)
		require.Equal(t, want, c)
	}
}

// newHolderIn is another holder whose objects go to the same folder.
func newHolderIn(h *holder) *holder {
	other := newHolder(h.t)
	other.dir = h.dir
	return other
}

func TestAnErrorOfTheVisitorEndsTheScan(t *testing.T) {
	h := newHolder(t)
	h.add(clip(), []byte("a"))
	h.add(clip(), []byte("b"))
	stop := errors.New("the disk is full")
	visits := 0
	_, bad, err := h.each(func(*trip.Entry) error { visits++; return stop })
	require.ErrorIs(t, err, stop)
	require.Empty(t, bad)
	require.Equal(t, 1, visits)

	ctx, cancel := context.WithCancel(t.Context())
	files, _ := trip.Find([]string{h.dir}, nil)
	done := 0
	scan := trip.Scan{Keys: h.keys, Done: func(trip.File) { done++ }}
	_, err = scan.Each(ctx, files, func(*trip.Entry) error { cancel(); return nil })
	require.ErrorIs(t, err, context.Canceled)
	require.Equal(t, 1, done)
}

func TestFind(t *testing.T) {
	dir := t.TempDir()
	put := func(path string) {
		path = filepath.Join(dir, path)
		require.NoError(t, os.MkdirAll(filepath.Dir(path), 0o700))
		require.NoError(t, os.WriteFile(path, []byte("123"), 0o600))
	}
	put("store/pool/2/b")
	put("store/pool/1/c")
	put("store/staging/d")
	put("folder/x/y")
	put("folder/a")
	require.NoError(t, os.Symlink(filepath.Join(dir, "folder/a"), filepath.Join(dir, "folder/link")))
	require.NoError(t, os.Symlink("/", filepath.Join(dir, "folder/root")))
	require.NoError(t, syscall.Mkfifo(filepath.Join(dir, "folder/fifo"), 0o600))

	find := func(args ...string) (found []string, bad []string) {
		for i := range args {
			args[i] = filepath.Join(dir, args[i])
		}
		files, n := trip.Find(args, func(path string, err error) { bad = append(bad, strings.TrimPrefix(path, dir+"/")+": "+err.Error()) })
		require.Len(t, bad, n)
		for _, f := range files {
			found = append(found, strings.TrimPrefix(f.Path, dir+"/"))
			require.EqualValues(t, 3, f.Size)
		}
		return found, bad
	}
	found, bad := find("store", "folder", "folder/link")
	require.Equal(t, []string{"store/pool/1/c", "store/pool/2/b", "folder/a", "folder/x/y", "folder/link"}, found)
	require.Empty(t, bad)
	found, bad = find("nothing", "store/staging")
	require.Equal(t, []string{"store/staging/d"}, found)
	require.Equal(t, []string{"nothing: there is no such file or folder"}, bad)
}

// A FIFO in place of an object must not hang.
func TestAFIFOIsAFault(t *testing.T) {
	h := newHolder(t)
	fifo := filepath.Join(t.TempDir(), "fifo")
	require.NoError(t, syscall.Mkfifo(fifo, 0o600))
	bad := faults{}
	c, err := trip.Scan{Keys: h.keys, Fault: bad.add}.Each(t.Context(), []trip.File{{Path: fifo}}, nil)
	require.NoError(t, err)
	require.Equal(t, trip.Counts{Faults: 1}, c)
	require.Equal(t, faults{"fifo": "not a regular file"}, bad)
	require.Equal(t, "not a regular file", trip.Inspect(trip.File{Path: fifo}).Problem)
}

func TestSaveDropsWhatIsNotWhole(t *testing.T) {
	h := newHolder(t)
	long := bytes.Repeat([]byte("0123456789abcdef"), 50_000)
	path := h.add(clip(), long)
	sealed, err := os.ReadFile(path)
	require.NoError(t, err)
	sealed[len(sealed)/2] ^= 1
	require.NoError(t, os.WriteFile(path, sealed, 0o600))

	dir := filepath.Join(t.TempDir(), "out")
	out := trip.NewOutput(dir, false)
	defer out.Close()
	c, bad, err := h.each(func(e *trip.Entry) error { _, err := out.Save(t.Context(), e); return err })
	require.NoError(t, err)
	require.Equal(t, trip.Counts{Faults: 1}, c)
	require.Len(t, bad, 1)
	require.Empty(t, tree(t, dir), "neither the name nor its unfinished form")
}

func TestSaveStopsAtTheEndOfItsContext(t *testing.T) {
	h := newHolder(t)
	h.add(clip(), bytes.Repeat([]byte("0123456789abcdef"), 50_000))
	dir := filepath.Join(t.TempDir(), "out")
	out := trip.NewOutput(dir, false)
	defer out.Close()
	ctx, cancel := context.WithCancel(t.Context())
	_, bad, err := h.each(func(e *trip.Entry) error { cancel(); _, err := out.Save(ctx, e); return err })
	require.ErrorIs(t, err, context.Canceled)
	require.Empty(t, bad)
	require.Empty(t, tree(t, dir))
}

// A full disk is one error, not one for each object, and it does not show the
// recorder's name for the file.
func TestAFullDiskEndsTheScan(t *testing.T) {
	h := newHolder(t)
	for range 3 {
		r := clip()
		r.File = "secret_name.mp4"
		h.add(r, bytes.Repeat([]byte("x"), 1<<20))
	}
	var old syscall.Rlimit
	require.NoError(t, syscall.Getrlimit(syscall.RLIMIT_FSIZE, &old))
	require.NoError(t, syscall.Setrlimit(syscall.RLIMIT_FSIZE, &syscall.Rlimit{Cur: 1 << 19, Max: old.Max}))
	dir := filepath.Join(t.TempDir(), "out")
	out := trip.NewOutput(dir, false)
	defer out.Close()
	_, bad, err := h.each(func(e *trip.Entry) error { _, err := out.Save(t.Context(), e); return err })
	require.NoError(t, syscall.Setrlimit(syscall.RLIMIT_FSIZE, &old))
	require.EqualError(t, err, "cannot write to the output folder: file too large")
	require.Empty(t, bad)
	require.Empty(t, tree(t, dir))
}

// tree lists the files below a folder.
func tree(t *testing.T, dir string) (files []string) {
	t.Helper()
	require.NoError(t, filepath.WalkDir(dir, func(path string, e os.DirEntry, err error) error {
		if err == nil && !e.IsDir() {
			files = append(files, path)
		}
		return err
	}))
	return files
}

func TestWriteFile(t *testing.T) {
	path := filepath.Join(t.TempDir(), "file")
	say := func(s string, err error) func(io.Writer) error {
		return func(w io.Writer) error {
			_, e := io.WriteString(w, s)
			return errors.Join(e, err)
		}
	}
	broken := errors.New("broken")
	require.ErrorIs(t, trip.WriteFile(path, false, say("half", broken)), broken)
	require.NoFileExists(t, path)
	require.NoError(t, trip.WriteFile(path, false, say("one", nil)))
	require.ErrorIs(t, trip.WriteFile(path, false, say("two", nil)), os.ErrExist)
	require.ErrorIs(t, trip.WriteFile(path, true, say("half", broken)), broken)
	b, err := os.ReadFile(path)
	require.NoError(t, err)
	require.Equal(t, "one", string(b), "an error leaves the old file")
	require.NoError(t, trip.WriteFile(path, true, say("two", nil)))
	st, err := os.Stat(path)
	require.NoError(t, err)
	require.EqualValues(t, 0o600, st.Mode().Perm())
	require.Equal(t, []string{path}, tree(t, filepath.Dir(path)))

	require.ErrorIs(t, trip.WriteFile(filepath.Join(path, "x"), false, say("", nil)), syscall.ENOTDIR)
	require.ErrorIs(t, trip.WriteFile(filepath.Join(t.TempDir(), "no", "x"), false, say("", nil)), os.ErrNotExist)

	// A dangling link is a file that is there.
	link := filepath.Join(t.TempDir(), "link")
	require.NoError(t, os.Symlink("nowhere", link))
	require.ErrorIs(t, trip.WriteFile(link, false, say("", nil)), os.ErrExist)
}

func TestKeysNeverPrint(t *testing.T) {
	h := newHolder(t)
	r := clip()
	r.Vehicle, r.File = "M-RS 1", "secret.mp4"
	h.add(r, nil)
	_, _, err := h.each(func(e *trip.Entry) error {
		for _, s := range []string{string(e.Record.Vehicle), string(e.Record.File)} {
			require.NotContains(t, sprint(e.Record, h.keys), s)
		}
		return nil
	})
	require.NoError(t, err)
	require.NotContains(t, sprint(h.keys), "AGE-SECRET")
}
