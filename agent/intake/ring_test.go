package intake_test

import (
	"os"
	"path/filepath"
	"strings"
	"sync/atomic"
	"testing"

	"github.com/stretchr/testify/require"

	"roadseal/hal/durable"
)

// A shelf is a disk that says what it is told is free.
type shelf struct {
	*durable.Disk
	free atomic.Int64
}

func (s *shelf) Free() (int64, error) { return s.free.Load(), nil }

// TestBelowKeepFreeTheRingIsNotSealed: the room belongs to the recorder, whose
// ring goes on. Events and fixes are sealed all the same, in the place of less
// valuable objects. What waits is sealed once there is room, if it is still there.
func TestBelowKeepFreeTheRingIsNotSealed(t *testing.T) {
	const keep = 100 << 20
	r := newRig(t)
	s := &shelf{Disk: r.disk}
	s.free.Store(1 << 40)
	r.fsys = s
	r.limits.KeepFree = keep
	r.remove = true
	for _, f := range []string{"20261124_052600_NF.mp4", "20261124_052700_NF.mp4", "20261124_052800_NF.mp4", "20261124_052900_NF.mp4"} {
		r.clip(f, "sealed before "+f)
	}
	r.start()
	r.until("sealed", func() bool { return r.Counts("dash").Sealed == 4 })

	s.free.Store(keep - 2<<20)
	r.clip("20261124_053000_NF.mp4", "waits")
	r.clip("20261124_053100_NF.mp4", "is overwritten")
	r.until("waits", func() bool { return r.Counts("dash").Waiting == 2 })
	r.clip("20261124_053200_EF.mp4", "a crash")
	r.until("sealed", func() bool { return r.Counts("dash").Sealed == 5 })
	r.track.Add(fix(1))
	r.track.Cut()
	r.until("sealed", func() bool { return r.track.Pending() == 0 })
	require.Empty(t, r.Problem(), "the others go on")
	require.Equal(t, 2, r.Counts("dash").Waiting)
	require.Zero(t, r.Counts("dash").Failed)
	require.FileExists(t, filepath.Join(r.record, "20261124_053000_NF.mp4"))
	require.Positive(t, r.spool.Usage().Evicted[2].Objects, "in the place of plain footage")
	require.Contains(t, r.log.String(), "keep_free")

	require.NoError(t, os.Remove(filepath.Join(r.record, "20261124_053100_NF.mp4")))
	r.until("overwritten", func() bool { return r.Counts("dash").Overwritten == 1 })
	s.free.Store(1 << 40)
	r.until("sealed", func() bool { return r.Counts("dash").Sealed == 6 })
	require.Zero(t, r.Counts("dash").Waiting)
	r.stop()
	sealed := r.opened()
	require.Equal(t, "waits", sealed["video 20261124_053000_NF.mp4"])
	require.Equal(t, "a crash", sealed["event 20261124_053200_EF.mp4"])
}

// TestDeliveredObjectsMakeRoomForTheRing: only what nobody needs any more.
func TestDeliveredObjectsMakeRoomForTheRing(t *testing.T) {
	const keep = 100 << 20
	r := newRig(t)
	s := &shelf{Disk: r.disk}
	s.free.Store(1 << 40)
	r.fsys = s
	r.limits.KeepFree = keep
	r.clip("20261124_052800_NF.mp4", strings.Repeat("delivered", 10_000))
	r.start()
	r.until("sealed", func() bool { return r.Counts("dash").Sealed == 1 })
	for e := range r.spool.Pending() {
		require.NoError(t, r.spool.MarkStored(e))
	}
	s.free.Store(keep - 50<<10)
	r.clip("20261124_053000_NF.mp4", "comes in its place")
	r.until("sealed", func() bool { return r.Counts("dash").Sealed == 2 })
	r.clip("20261124_053100_NF.mp4", "waits")
	r.until("waits", func() bool { return r.Counts("dash").Waiting == 1 })
	r.stop()
	require.Equal(t, map[string]string{"video 20261124_053000_NF.mp4": "comes in its place"}, r.opened())
}

// TestALockedClipWaitsNoLonger: it is not of the ring any more.
func TestALockedClipWaitsNoLonger(t *testing.T) {
	const keep = 100 << 20
	r := newRig(t)
	s := &shelf{Disk: r.disk}
	s.free.Store(1 << 40)
	r.fsys = s
	r.limits.KeepFree = keep
	for _, f := range []string{"20261124_052800_NF.mp4", "20261124_052900_NF.mp4"} {
		r.clip(f, "gives way "+f)
	}
	r.start()
	r.until("sealed", func() bool { return r.Counts("dash").Sealed == 2 })
	s.free.Store(keep - 2<<20)
	r.clip("20261124_053000_NF.mp4", "waits")
	r.until("waits", func() bool { return r.Counts("dash").Waiting == 1 })
	require.NoError(t, os.Rename(filepath.Join(r.record, "20261124_053000_NF.mp4"), filepath.Join(r.record, "20261124_053000_EF.mp4")))
	r.until("sealed", func() bool { return r.Counts("dash").Sealed == 3 })
	require.Zero(t, r.Counts("dash").Waiting)
	require.Zero(t, r.Counts("dash").Overwritten)
	r.stop()
	require.Equal(t, "waits", r.opened()["event 20261124_053000_EF.mp4"])
}

// TestAWaitingClipThatIsOverwritten in place is another one.
func TestAWaitingClipThatIsOverwritten(t *testing.T) {
	const keep = 100 << 20
	r := newRig(t)
	s := &shelf{Disk: r.disk}
	s.free.Store(keep - 2<<20)
	r.fsys = s
	r.limits.KeepFree = keep
	r.start()
	r.clip("20261124_053000_NF.mp4", "the old clip")
	r.until("waits", func() bool { return r.Counts("dash").Waiting == 1 })
	before, _ := r.folder.Tags()
	require.Len(t, before, 1)
	r.clip("20261124_053000_NF.mp4", "another under its name")
	r.until("noticed", func() bool { return r.Counts("dash").Overwritten == 1 })
	after, _ := r.folder.Tags()
	require.NotEqual(t, before, after)
	s.free.Store(1 << 40)
	r.until("sealed", func() bool { return r.Counts("dash").Sealed == 1 && r.Counts("dash").Waiting == 0 })
	r.stop()
	require.Equal(t, map[string]string{"video 20261124_053000_NF.mp4": "another under its name"}, r.opened())
}
