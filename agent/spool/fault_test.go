package spool_test

import (
	"errors"
	"slices"
	"strings"
	"syscall"
	"testing"

	"github.com/stretchr/testify/require"

	"roadseal/agent/spool"
	"roadseal/crypto/seal"
	"roadseal/hal/durable"
	"roadseal/hal/durable/crashfs"
)

var errIO = errors.New("input/output error")

// deaf is a file system whose directories cannot be synced while broken.
type deaf struct {
	*durable.Disk
	broken bool
}

func (d *deaf) Sync(dir string) error {
	if d.broken {
		return errIO
	}
	return d.Disk.Sync(dir)
}

// TestAFailedSyncIsNotAskedAgain: what cannot be made durable is dropped or
// done again from its source, never synced twice and never there twice.
func TestAFailedSyncIsNotAskedAgain(t *testing.T) {
	r := newRig(t)
	d := &deaf{Disk: r.disk}
	s, err := spool.Open(d, r.opt)
	require.NoError(t, err)
	r.Spool = s
	e := r.put(meta(3, 1, "video", 1), "a")

	d.broken = true
	draft, err := s.Create(3, 100)
	require.NoError(t, err)
	sealed, err := seal.Object(draft, strings.NewReader("b"), rec("video"), r.to, slots)
	require.NoError(t, err)
	_, err = draft.Commit(meta(3, 2, "video", 2), sealed.Name, sealed.Size)
	require.ErrorIs(t, err, errIO)
	require.Len(t, r.files(), 1, "the object is gone")
	require.False(t, s.HasTag(spool.Tag{2}), "its clip will be sealed anew")

	require.ErrorIs(t, s.MarkStored(e), errIO)
	require.Empty(t, slices.Collect(s.Pending()), "the receipt holds as long as we run")
	d.broken = false
	require.NoError(t, s.MarkStored(e))
	require.Len(t, r.files(), 1)
}

// TestNoFileIsSyncedAgainAfterAnError lets each sync of a file fail in the lives
// of the sweep. What was being written is then made anew, or dropped.
func TestNoFileIsSyncedAgainAfterAnError(t *testing.T) {
	failures := 0
	for seed := range uint64(3) {
		for k, more := 0, true; more; k++ {
			fsys, l := crashfs.New(crashfs.Options{}), newLife(seed).(*life)
			bad, n := map[string]bool{}, 0
			more = false
			fsys.Inject(func(op crashfs.Op) error {
				switch op.Call {
				case "create":
					delete(bad, op.Name)
				case "rename":
					delete(bad, strings.TrimSuffix(op.Name, durable.TmpSuffix))
				case "sync":
					require.False(t, bad[op.Name], "%s is synced again", op.Name)
					if n++; n == k+1 {
						bad[op.Name], more = true, true
						failures++
						return syscall.EIO
					}
				}
				return nil
			})
			for range 4 {
				require.NoError(t, l.Work(fsys))
			}
		}
	}
	t.Logf("%d syncs failed", failures)
	require.Greater(t, failures, 100)
}

// TestALineIsDurableBeforeItIsReliedOn: a start finds the line of a process that
// was killed before it could sync it.
func TestALineIsDurableBeforeItIsReliedOn(t *testing.T) {
	for seed := range uint64(50) {
		k := newTank(t, spool.Options{MaxBytes: 30}, "3s10 3s10 3s10")
		require.NoError(t, k.create(3, 10))
		dead := false
		k.disk.Inject(func(op crashfs.Op) error {
			if dead = dead || op.Call == "sync" && op.Name == "tags"; dead {
				return crashfs.ErrKilled
			}
			return nil
		})
		require.ErrorIs(t, k.create(3, 20), crashfs.ErrKilled)
		require.True(t, dead)
		k.disk.Inject(nil)
		k.open()
		require.NoError(t, k.create(3, 20))
		require.Len(t, k.gone(), 2)
		after, err := spool.Open(k.disk.Crash(seed), k.opt)
		require.NoError(t, err)
		require.True(t, after.HasTag(spool.Tag{2}), "its object is gone")
	}
}
