package spool_test

import (
	"context"
	"fmt"
	"math/rand/v2"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"testing"

	"github.com/stretchr/testify/require"

	"roadseal/agent/spool"
	"roadseal/hal/durable"
	"roadseal/hal/durable/crashfs"
)

// path is where an object's file is.
func (r *rig) path(e spool.Entry) string {
	r.t.Helper()
	names, err := filepath.Glob(filepath.Join(r.disk.Path(), "*."+e.Name.String()+".*"))
	require.NoError(r.t, err)
	require.Len(r.t, names, 1)
	return names[0]
}

func TestADamagedObjectIsPutAside(t *testing.T) {
	for name, damage := range map[string]func(path string) error{
		"one bit": func(path string) error {
			b, err := os.ReadFile(path)
			if err != nil {
				return err
			}
			b[len(b)/2] ^= 8
			return os.WriteFile(path, b, 0o600)
		},
		"cut short": func(path string) error { return os.Truncate(path, 100) },
		"longer":    func(path string) error { return os.Truncate(path, 1<<20) },
		"empty":     func(path string) error { return os.Truncate(path, 0) },
	} {
		r := newRig(t)
		e, other := r.put(meta(1, 1, "event", 1), "a"), r.put(meta(1, 2, "event", 2), "b")
		intact, err := r.Verify(t.Context(), e)
		require.NoError(t, err)
		require.True(t, intact)
		require.NoError(t, damage(r.path(e)))
		for range 2 {
			require.Equal(t, []string{"event/1", "event/2"}, names(slices.Collect(r.Pending())), name)
			r.reopen()
		}
		intact, err = r.Verify(t.Context(), e)
		require.NoError(t, err, name)
		require.False(t, intact, name)
		for range 2 {
			require.Equal(t, []string{"event/2"}, names(slices.Collect(r.Pending())), "the rest goes on")
			require.False(t, r.HasTag(spool.Tag{1}), "the recorder's clip is sealed anew")
			require.True(t, r.HasTag(spool.Tag{2}))
			require.Equal(t, []spool.Loss{{Reason: spool.Damaged, Entry: e}}, r.Losses())
			u := r.Usage()
			require.Equal(t, 1, u.DamagedObjects)
			require.Equal(t, e.Size, u.DamagedBytes)
			require.Equal(t, spool.Total{Objects: 1, Bytes: e.Size}, u.Damaged[0])
			require.True(t, strings.HasSuffix(r.path(e), ".damaged"))
			r.reopen()
		}
		tags, err := spool.ReadTags(r.disk)
		require.NoError(t, err)
		require.Equal(t, map[spool.Tag]bool{{2}: true}, tags)

		require.NoError(t, r.Reported(r.Losses()))
		r.opt.MaxBytes = other.Size + e.Size
		r.reopen()
		require.Empty(t, r.Losses())
		require.Equal(t, spool.Total{Objects: 1, Bytes: e.Size}, r.Usage().Damaged[0], "totals never forget")
		draft, err := r.Create(4, 1)
		require.NoError(t, err)
		require.NoError(t, draft.Discard())
		require.Zero(t, r.Usage().DamagedObjects, "kept until room is needed")
		require.False(t, r.HasTag(spool.Tag{1}))
	}
}

// TestADamagedObjectOfAnEvictionThatWasTakenBack: its tag is on record already.
func TestADamagedObjectOfAnEvictionThatWasTakenBack(t *testing.T) {
	r := newRig(t)
	e := r.put(meta(1, 1, "event", 1), "a")
	tags := "roadseal source tags 1\n" + checked(fmt.Sprintf("%x", e.Tag)) + checked(fmt.Sprintf("%x", spool.Tag{2}))
	require.NoError(t, os.WriteFile(filepath.Join(r.disk.Path(), "tags"), []byte(tags), 0o600))
	r.reopen()
	require.NoError(t, os.Truncate(r.path(e), 100))
	intact, err := r.Verify(t.Context(), e)
	require.NoError(t, err)
	require.False(t, intact)
	for range 2 {
		require.False(t, r.HasTag(e.Tag), "the recorder's clip is sealed anew")
		require.True(t, r.HasTag(spool.Tag{2}))
		r.reopen()
	}
}

// TestNoVerdict: what may be over soon proves nothing.
func TestNoVerdict(t *testing.T) {
	for want, call := range map[error]string{syscall.ENXIO: "read", syscall.ENODEV: "read", syscall.ENOENT: "open", syscall.EIO: "open"} {
		fsys, s, e := oneObject(t)
		fsys.Inject(func(op crashfs.Op) error {
			if op.Call == call {
				return want
			}
			return nil
		})
		_, err := s.Verify(t.Context(), e)
		require.ErrorIs(t, err, want)
		fsys.Inject(nil)
		require.Len(t, slices.Collect(s.Pending()), 1)
		require.Empty(t, s.Losses())
	}
	_, s, e := oneObject(t)
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	_, err := s.Verify(ctx, e)
	require.ErrorIs(t, err, context.Canceled)
	require.Len(t, slices.Collect(s.Pending()), 1)
}

// TestASectorThatCannotBeRead is damage.
func TestASectorThatCannotBeRead(t *testing.T) {
	fsys, s, e := oneObject(t)
	fsys.Inject(func(op crashfs.Op) error {
		if op.Call == "read" {
			return syscall.EIO
		}
		return nil
	})
	intact, err := s.Verify(t.Context(), e)
	require.NoError(t, err)
	require.False(t, intact)
	require.Equal(t, []spool.Loss{{Reason: spool.Damaged, Entry: e}}, s.Losses())
}

func TestADeliveredObjectIsNotPutAside(t *testing.T) {
	_, s, e := oneObject(t)
	require.NoError(t, s.MarkStored(e))
	_, err := s.Verify(t.Context(), e)
	require.Error(t, err)
	require.Equal(t, 1, s.Usage().StoredObjects)
}

func oneObject(t *testing.T) (*crashfs.FS, *spool.Spool, spool.Entry) {
	t.Helper()
	fsys := crashfs.New(crashfs.Options{})
	s, err := spool.Open(fsys, spool.Options{MaxBytes: 1 << 30, Slots: slots, Order: order})
	require.NoError(t, err)
	return fsys, s, put(t, s, meta(3, 1, "video", 1), fake(1, 1))
}

func put(t *testing.T, s *spool.Spool, m spool.Meta, b []byte) spool.Entry {
	t.Helper()
	d, err := s.Create(m.Class, int64(len(b)))
	require.NoError(t, err)
	_, err = d.Write(b)
	require.NoError(t, err)
	e, err := d.Commit(m, nameOf(b), int64(len(b)))
	require.NoError(t, err)
	return e
}

// TestOneBitCostsOneObject flips bits over all files of a spool, one at a time,
// and the bits of the records' every byte.
func TestOneBitCostsOneObject(t *testing.T) {
	fsys, s, _ := oneObject(t)
	opt := spool.Options{MaxBytes: 1 << 30, Slots: slots, Order: order}
	size := int64(len(sealedOnce()))
	for i := range uint32(7) {
		put(t, s, meta(3, 2+i, "video", byte(2+i)), fake(2, int(i)))
	}
	gone := slices.Collect(s.Pending())
	require.NoError(t, s.MarkStored(gone[0]))
	opt.MaxBytes = 8*size - 3*size
	s, err := spool.Open(fsys, opt)
	require.NoError(t, err)
	for range 2 { // one that is delivered and then two that are not make room
		d, err := s.Create(3, size)
		if err == nil {
			require.NoError(t, d.Discard())
		}
	}
	rng := rand.New(rand.NewPCG(1, 1))
	before, tags, losses := slices.Collect(s.Pending()), 0, s.Losses()
	for b := range 256 {
		if s.HasTag(spool.Tag{byte(b)}) {
			tags++
		}
	}
	files, err := ls(fsys)
	require.NoError(t, err)
	flip := func(file string, at int64, bit int) {
		c := fsys.Crash(0) // a copy, for all is durable
		b, err := durable.ReadFile(c, file, 1<<20)
		require.NoError(t, err)
		f, err := c.Update(file)
		require.NoError(t, err)
		_, err = f.WriteAt([]byte{b[at] ^ 1<<bit}, at)
		require.NoError(t, err)
		require.NoError(t, f.Close())
		what := fmt.Sprintf("bit %d of byte %d of %s", bit, at, file)
		s, err := spool.Open(c, opt)
		require.NoError(t, err, what)
		for _, e := range before {
			intact, err := s.Verify(t.Context(), e)
			require.NoError(t, err, what)
			require.Equal(t, !strings.Contains(file, e.Name.String()), intact, what)
		}
		u, known := s.Usage(), 0
		for b := range 256 {
			if s.HasTag(spool.Tag{byte(b)}) {
				known++
			}
		}
		switch {
		case strings.HasSuffix(file, ".age"):
			require.Equal(t, 1, u.DamagedObjects, what)
			require.Len(t, s.Losses(), len(losses)+1, what)
			require.Equal(t, tags-1, known, what)
		default:
			require.Equal(t, 1, u.UnreadLines, what)
			require.GreaterOrEqual(t, known, tags-1, what)
			require.GreaterOrEqual(t, len(s.Losses()), len(losses)-1, what)
			require.Len(t, slices.Collect(s.Pending()), len(before), what)
		}
	}
	flips := 0
	for _, file := range files {
		if file == "reserve" || strings.HasSuffix(file, ".stored") {
			continue // nobody reads them
		}
		b, err := durable.ReadFile(fsys, file, 1<<20)
		require.NoError(t, err)
		for n := range 300 {
			at := rng.Int64N(int64(len(b)))
			if !strings.Contains(file, ".") {
				at = int64(n % len(b))
			}
			flip(file, at, rng.IntN(8))
			flips++
		}
	}
	t.Logf("%d single bits flipped in %d files", flips, len(files))
	require.GreaterOrEqual(t, flips, 1000)
	require.NotEmpty(t, losses)
}
