package collector_test

import (
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"roadseal/agent/wire"
	"roadseal/cmd/internal/objstore"
	"roadseal/crypto/envelope"
	"roadseal/hal/durable"
)

// TestTheNewestOfferPushesOutTheVehiclesOwn: what a vehicle offers is what it
// wants now, so it need not wait for what it has left alone.
func TestTheNewestOfferPushesOutTheVehiclesOwn(t *testing.T) {
	virtual(t, func(r *rig) { r.options.Quota.Objects = 2 }, func(t *testing.T, r *rig) {
		for i := range uint64(2) {
			require.Equal(t, []string{"have"}, kinds(r.offer(deviceA, object(i), 1)))
			r.blocks(deviceA, object(i), 0, 1)
			sleep(time.Second)
		}
		r.blocks(deviceA, object(0), 0, 1) // now the other one is idler
		require.Equal(t, []string{"have"}, kinds(r.offer(deviceA, object(2), 1)))
		require.Equal(t, []string{"have", "stored"}, kinds(r.blocks(deviceA, object(0), 1, 2)), "it has kept its place")
		require.Empty(t, r.blocks(deviceA, object(1), 1, 2), "its place was needed")
		have := r.offer(deviceA, object(1), 1)
		require.Equal(t, 1, have[0].(wire.Have).Blocks.Count(), "what had come is still there")
		require.Equal(t, []string{"have", "stored"}, kinds(r.blocks(deviceA, object(1), 1, 2)))
	})
}

// TestWhatAVehicleHasSetAsideIsBounded by the same number again, and with what
// is arriving by its bytes.
func TestWhatAVehicleHasSetAsideIsBounded(t *testing.T) {
	virtual(t, func(r *rig) { r.options.Quota.Objects = 3 }, func(t *testing.T, r *rig) {
		r.offer(deviceB, object(99), 1)
		r.blocks(deviceB, object(99), 0, 1)
		for i := range uint64(50) {
			require.Equal(t, []string{"have"}, kinds(r.offer(deviceA, object(i), 1)))
			r.blocks(deviceA, object(i), 0, 1)
			sleep(time.Second)
			require.LessOrEqual(t, r.staged(), 1+6)
		}
		require.Equal(t, 1+6, r.staged())
		have := r.offer(deviceA, object(44), 1)
		require.Equal(t, 1, have[0].(wire.Have).Blocks.Count(), "the youngest stay")
		have = r.offer(deviceA, object(43), 1)
		require.Zero(t, have[0].(wire.Have).Blocks.Count())
		require.Equal(t, []string{"have", "stored"}, kinds(r.blocks(deviceB, object(99), 1, 2)), "nobody else's goes")
		sleep(r.options.Quota.Age + time.Minute)
		require.Zero(t, r.staged())
	})
	size := int64(len(object(0)))
	virtual(t, func(r *rig) { r.options.Quota.Objects, r.options.Quota.Bytes = 2, 3*size }, func(t *testing.T, r *rig) {
		for i := range uint64(20) {
			r.offer(deviceA, object(i), 1)
			r.blocks(deviceA, object(i), 0, 1)
			require.LessOrEqual(t, r.staged(), 3)
		}
	})
	// One name with many sizes makes as many copies.
	virtual(t, func(r *rig) { r.options.Quota.Objects = 2 }, func(t *testing.T, r *rig) {
		for i := range int64(20) {
			o := wire.Offer{Object: envelope.Name{1}, Size: envelope.SealedSize(4, 65536*(1+i)), Class: 1}
			r.send(deviceA, o)
			r.send(deviceA, wire.Data{Object: o.Object, Size: o.Size, Blocks: own(1)[:wire.BlockSize]})
			sleep(time.Second)
			for k := range 2 {
				require.Equal(t, "have", kinds(r.offer(deviceA, own(k), 1))[0])
			}
			require.LessOrEqual(t, r.staged(), 4)
		}
	})
}

// TestBytesBeyondTheQuotaWait until nothing has come of an object for long:
// pushing it out at once would make large objects push each other out in turn.
func TestBytesBeyondTheQuotaWait(t *testing.T) {
	size := int64(len(object(0)))
	virtual(t, func(r *rig) { r.options.Quota.Bytes = 2 * size }, func(t *testing.T, r *rig) {
		for i := range uint64(2) {
			require.Equal(t, []string{"have"}, kinds(r.offer(deviceA, object(i), 1)))
			sleep(time.Minute)
		}
		require.Equal(t, []string{"quota used up"}, kinds(r.offer(deviceA, object(2), 1)))
		sleep(r.options.Quota.Idle - 90*time.Second)
		require.Equal(t, []string{"have"}, kinds(r.offer(deviceA, object(2), 1)), "the first one was idle for long enough")
		require.Equal(t, []string{"quota used up"}, kinds(r.offer(deviceA, object(3), 1)))
		require.Equal(t, 2, r.staged())
	})
}

// TestWhoHasMostGivesWay: nobody is kept out by those who take every place, and
// two who have the same do not push each other out.
func TestWhoHasMostGivesWay(t *testing.T) {
	fill := func(t *testing.T, r *rig, n uint64) {
		for i := range n {
			require.Equal(t, []string{"have"}, kinds(r.offer(deviceA, object(i), 1)))
			r.blocks(deviceA, object(i), 0, 1)
			sleep(time.Second)
		}
	}
	t.Run("places", func(t *testing.T) {
		virtual(t, func(r *rig) { r.options.Quota.Total = 5 }, func(t *testing.T, r *rig) {
			fill(t, r, 5)
			for i := range uint64(2) {
				require.Equal(t, []string{"have"}, kinds(r.offer(deviceB, object(10+i), 1)))
			}
			require.Equal(t, []string{"collector is busy"}, kinds(r.offer(deviceB, object(12), 1)))
			for range 3 { // what it had goes on, in its own places
				for i := range uint64(3) {
					have := r.offer(deviceA, object(2+i), 1)
					require.Equal(t, 1, have[0].(wire.Have).Blocks.Count())
				}
			}
			require.Equal(t, []string{"collector is busy"}, kinds(r.offer(deviceA, object(0), 1)))
			require.Equal(t, []string{"have", "stored"}, kinds(r.blocks(deviceB, object(10), 0, 2)))
			r.blocks(deviceA, object(0), 1, 2) // without an OFFER it stays where it is
			have := r.offer(deviceA, object(0), 1)
			require.Equal(t, 1, have[0].(wire.Have).Blocks.Count(), "what had come is still there")
		})
	})
	t.Run("bytes", func(t *testing.T) {
		size := int64(len(object(0)))
		virtual(t, func(r *rig) { r.inFolder(objstore.Limits{Count: 100, Bytes: 5 * size, Age: time.Hour}, nil) }, func(t *testing.T, r *rig) {
			fill(t, r, 5)
			for i := range uint64(2) {
				require.Equal(t, []string{"have"}, kinds(r.offer(deviceB, object(10+i), 1)), "no need to ask twice")
			}
			require.Equal(t, []string{"collector is busy"}, kinds(r.offer(deviceB, object(12), 1)))
			require.Equal(t, 5, r.staged())
			require.Equal(t, []string{"have", "stored"}, kinds(r.blocks(deviceB, object(10), 0, 2)))
			require.Zero(t, r.lines("ERROR"), "that is no fault")
		})
	})
}

// inFolder puts a store with limits of its own into the rig.
func (r *rig) inFolder(l objstore.Limits, fsys func(*durable.Disk) durable.FS) {
	r.t.Helper()
	disk, err := durable.OpenDisk(r.dir)
	require.NoError(r.t, err)
	r.t.Cleanup(func() { require.NoError(r.t, disk.Close()) })
	var f durable.FS = disk
	if fsys != nil {
		f = fsys(disk)
	}
	r.options.Store, err = objstore.NewFolder(f, l)
	require.NoError(r.t, err)
}

// smallFS is a file system with so much free space.
type smallFS struct {
	*durable.Disk
	free *int64
}

func (f smallFS) Free() (int64, error) { return *f.free, nil }

// TestFreeSpaceIsKept: objects that are only promised cannot keep out those that
// come, and a medium that is full is said to be once.
func TestFreeSpaceIsKept(t *testing.T) {
	const keep = 1 << 30
	size := int64(len(object(0)))
	free := keep + 5*size
	virtual(t, func(r *rig) {
		r.inFolder(objstore.Limits{Count: 100, Bytes: 1 << 40, Free: keep, Age: time.Hour},
			func(d *durable.Disk) durable.FS { return smallFS{d, &free} })
	}, func(t *testing.T, r *rig) {
		for i := range uint64(5) {
			require.Equal(t, []string{"have"}, kinds(r.offer(deviceA, object(i), 1)))
		}
		require.Equal(t, []string{"have"}, kinds(r.offer(deviceB, object(50), 1)))
		require.Equal(t, []string{"have", "stored"}, kinds(r.blocks(deviceB, object(50), 0, 2)))
		require.Zero(t, r.lines("ERROR"))

		free = keep + size/2
		for i := range uint64(20) {
			require.Equal(t, []string{"store cannot write"}, kinds(r.offer(deviceB, object(60+i), 1)))
			require.Equal(t, []string{"stored"}, kinds(r.offer(deviceB, object(50), 1)), "what is there is there")
		}
		require.Equal(t, 1, r.lines("ERROR"))
		require.Contains(t, r.log.String(), "short of space")
		require.Contains(t, r.log.String(), "1073741824 are kept free")
		free = 10 * keep
		sleep(time.Minute)
		require.Equal(t, []string{"have"}, kinds(r.offer(deviceB, object(60), 1)))
		require.Equal(t, []string{"have", "stored"}, kinds(r.blocks(deviceB, object(60), 0, 2)))
		require.Equal(t, 2, r.lines("INFO"), "connected, and well again")
	})
}

// TestAStoreThatFailsNowAndThenIsNotLoggedEachTime: what comes and goes with
// what vehicles do must not fill the log.
func TestAStoreThatFailsNowAndThenIsNotLoggedEachTime(t *testing.T) {
	gated(t, nil, func(t *testing.T, r *rig, s *gatedStore) {
		for i := range uint64(50) {
			s.writeErr = syscall.EIO
			r.offer(deviceA, object(i), 1)
			require.Equal(t, []string{"store cannot write"}, kinds(r.blocks(deviceA, object(i), 0, 1)))
			s.writeErr = nil
			r.offer(deviceB, object(i), 1)
			require.Equal(t, []string{"have", "stored"}, kinds(r.blocks(deviceB, object(i), 0, 2)))
			sleep(10 * time.Second)
		}
		require.Equal(t, 1, r.lines("ERROR"))
		require.Equal(t, 1, r.lines("INFO"))
		sleep(time.Minute)
		r.offer(deviceB, object(90), 1)
		r.blocks(deviceB, object(90), 0, 2)
		require.Equal(t, 2, r.lines("INFO"))
	})
}

// TestAFleetOfSquattersKeepsNobodyOut: each with a certificate of its own, and
// together more than there are places.
func TestAFleetOfSquattersKeepsNobodyOut(t *testing.T) {
	virtual(t, func(r *rig) { r.options.Quota.Total = 64 }, func(t *testing.T, r *rig) {
		squat := func() {
			for i := range 20 {
				for k := range 8 {
					r.send(device(i), offerOf(own(k), 1))
				}
			}
		}
		for step := range hostileSteps {
			squat()
			require.Equal(t, []string{"have"}, kinds(r.offer(deviceB, honestObject(step), 2)))
			squat()
			require.Empty(t, r.blocks(deviceB, honestObject(step), 0, 1))
			squat()
			require.Equal(t, []string{"have", "stored"}, kinds(r.blocks(deviceB, honestObject(step), 1, 2)))
		}
		require.LessOrEqual(t, r.staged(), 64)
		r.poolHolds(0)
	})
}
