package collector_test

import (
	"encoding/binary"
	"runtime"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"roadseal/agent/wire"
	"roadseal/cmd/internal/objstore"
	"roadseal/hal/durable"
)

// TestMemoryOfAVehicle: what it costs the collector that a vehicle has as many
// objects arriving as it may, and as many set aside. Each is an open file too,
// so a machine that allows few has fewer vehicles.
func TestMemoryOfAVehicle(t *testing.T) {
	var files syscall.Rlimit
	require.NoError(t, syscall.Getrlimit(syscall.RLIMIT_NOFILE, &files))
	vehicles := int(min(100, (files.Cur-100)/8))
	free := int64(1) << 60
	for what, c := range map[string]struct {
		size  int64
		limit int // bytes a vehicle
	}{
		"objects of 100 kB": {int64(len(own(1))), 16_000},
		"objects of 3 GiB":  {hugeSize, 216_000}, // a bitmap here and one in the store, 6.6 kB each
	} {
		t.Run(what, func(t *testing.T) {
			virtual(t, func(r *rig) {
				r.options.Quota.Total, r.options.Quota.Bytes = vehicles*8, 1<<40
				r.inFolder(objstore.Limits{Count: vehicles * 16, Bytes: 1 << 60, Age: 48 * time.Hour},
					func(d *durable.Disk) durable.FS { return smallFS{d, &free} })
			}, func(t *testing.T, r *rig) {
				before := heap()
				for i := range vehicles {
					for k := range 16 {
						o := wire.Offer{Size: c.size, Class: 1}
						binary.BigEndian.PutUint64(o.Object[:], uint64(k))
						r.send(device(i), o)
						r.send(device(i), wire.Data{Object: o.Object, Size: o.Size, Blocks: own(1)[:wire.BlockSize]})
					}
					require.Equal(t, 16, len(kinds(r.answers(device(i)))))
				}
				cost := int(heap()-before) / vehicles
				sleep(10 * time.Second)
				s, _ := r.last()
				require.Equal(t, vehicles*8, s.Arriving)
				t.Logf("%d vehicles, 8 objects arriving and 8 set aside each: %d bytes a vehicle", vehicles, cost)
				require.Less(t, cost, c.limit)
			})
		})
	}
}

func heap() uint64 {
	runtime.GC()
	var m runtime.MemStats
	runtime.ReadMemStats(&m)
	return m.HeapAlloc
}
