package collector_test

import (
	"crypto/sha256"
	"io/fs"
	"math/rand/v2"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"roadseal/agent/mqttlink"
	"roadseal/agent/wire"
	"roadseal/cmd/internal/objstore/objstoretest"
	"roadseal/crypto/envelope"
)

// hostileSteps is how many objects the honest vehicle uploads beside a hostile
// one, which has its turn before each message.
const hostileSteps = 6

// objects are made once: making one takes longer than all that is done with it.
var objects = sync.OnceValue(func() (all [100][]byte) {
	for i := range all {
		all[i] = object(uint64(i))
	}
	return all
})

// own is an object of the hostile vehicle.
func own(i int) []byte { return objects()[i] }

// honestObject is the one of a step; hostile vehicles know it.
func honestObject(step int) []byte { return objects()[80+step] }

// raw sends bytes from a device.
func (r *rig) raw(topic string, payload []byte) {
	r.current().in <- mqttlink.Message{Topic: topic, Payload: payload}
	synctest.Wait()
}

// A hostile vehicle has a valid certificate: its messages come under its own
// device id. Each does its worst before every message of an honest one.
var hostile = map[string]struct {
	act    func(r *rig, step int)
	stored int   // objects of its own that may get into the pool
	staged int   // files that it may leave in staging
	alarms int64 // that are due
}{
	"squats names with other bytes": {staged: 3, act: func(r *rig, step int) {
		for i := range 3 { // of what comes now and later
			b := honestObject(step + i)
			r.offer(deviceA, b, 1)
			bad := append([]byte(nil), b...)
			bad[len(bad)-1-i] ^= 1
			for k := range 2 {
				r.send(deviceA, wire.Data{Object: sha256.Sum256(b), Size: int64(len(b)), Index: uint32(k),
					Blocks: bad[k*wire.BlockSize : min(len(b), (k+1)*wire.BlockSize)]})
			}
		}
	}},
	"squats names with other sizes": {staged: 16, act: func(r *rig, step int) {
		for i := range 10 {
			o := offerOf(honestObject(step), 1)
			o.Size = envelope.SealedSize(4, 65536*int64(2+i))
			r.send(deviceA, o)
			r.send(deviceA, wire.Data{Object: o.Object, Size: o.Size, Blocks: own(1)[:wire.BlockSize]})
			r.offer(deviceA, own(i+3*step), 1)
		}
	}},
	"offers and never sends": {staged: 8, act: func(r *rig, step int) {
		for i := range 40 {
			r.offer(deviceA, own(i), 1)
		}
	}},
	"never ends what it begins": {staged: 16, act: func(r *rig, step int) {
		for i := range 30 {
			r.offer(deviceA, own(i), 1)
			r.blocks(deviceA, own(i), 0, 1)
		}
	}},
	"sends a block every nine minutes": {staged: 8, act: func(r *rig, step int) {
		sleep(9 * time.Minute)
		for i := range 8 {
			b, _ := objstoretest.Sealed(uint64(i), 4, envelope.Padme(13*wire.BlockSize))
			if step == 0 {
				r.offer(deviceA, b, 1)
			}
			r.blocks(deviceA, b, step%13, step%13+1)
		}
	}},
	"takes all bytes": {staged: 8, act: func(r *rig, step int) {
		for i := range 20 {
			o := offerOf(own(i), 1)
			o.Size = hugeSize
			r.send(deviceA, o)
		}
	}},
	"sends what it never offered": {act: func(r *rig, step int) {
		for i := range 40 {
			r.blocks(deviceA, own(i), 0, 2)
		}
	}},
	"offers what is stored over and over": {stored: 1, act: func(r *rig, step int) {
		if len(r.offer(deviceA, own(1), 1)) > 0 {
			r.blocks(deviceA, own(1), 0, 2)
		}
		for range 40 {
			r.offer(deviceA, own(1), 1)
		}
	}},
	"offers what others have stored, with another size and other bytes": {act: func(r *rig, step int) {
		for i := range step {
			o := offerOf(honestObject(i), 1)
			o.Size = envelope.SealedSize(4, 4096)
			r.send(deviceA, o)
			r.offer(deviceA, honestObject(i), 2)
			bad := make([]byte, o.Size)
			r.send(deviceA, wire.Data{Object: o.Object, Size: o.Size, Blocks: bad})
		}
	}},
	"speaks under other shards": {staged: 1, act: func(r *rig, step int) {
		answers := r.offer(deviceA, own(1), 1)
		require.Zero(r.t, answers[0].(wire.Have).Blocks.Count())
		for i := range 40 {
			m, _ := offerOf(own(i), 1).MarshalBinary()
			shard := "0123456789abcdef"[i%16 : i%16+1]
			if topic := "v1/up/" + shard + "f/" + deviceA; topic != wire.UpTopic(deviceA) {
				r.raw(topic, m)
				d, _ := wire.Data{Object: sha256.Sum256(own(1)), Size: int64(len(own(1))), Blocks: own(1)[:wire.BlockSize]}.MarshalBinary()
				r.raw(topic, d)
			}
		}
		r.answers(deviceA)
	}},
	"sends rubbish": {act: func(r *rig, step int) {
		rng := rand.New(rand.NewPCG(uint64(step), 0))
		offer, _ := offerOf(own(1), 1).MarshalBinary()
		for range 40 {
			b := append([]byte(nil), offer...)
			switch rng.IntN(4) {
			case 0:
				b = b[:rng.IntN(len(b))]
			case 1:
				b = append(b, 0)
			case 2:
				b[rng.IntN(2)] ^= 1 << (1 + rng.IntN(7))
			case 3:
				for i := range b {
					b[i] = byte(rng.Uint32())
				}
			}
			r.raw(wire.UpTopic(deviceA), b)
		}
	}},
	"sends the same blocks over and over": {staged: 1, act: func(r *rig, step int) {
		r.offer(deviceA, own(1), 1)
		for range 40 {
			r.blocks(deviceA, own(1), 0, 1)
			r.send(deviceA, wire.Data{Object: sha256.Sum256(own(1)), Size: int64(len(own(1))), Blocks: make([]byte, wire.BlockSize)})
		}
	}},
	"speaks as a collector": {act: func(r *rig, step int) {
		b := honestObject(step)
		full := wire.NewBitmap(int64(len(b)))
		full.Set(0)
		full.Set(1)
		r.send(deviceA, wire.Have{Object: sha256.Sum256(b), Size: int64(len(b)), Blocks: full})
		r.send(deviceA, wire.Refused{Object: sha256.Sum256(b), Reason: wire.ReasonClash})
		r.send(deviceA, wire.Receipt{Object: sha256.Sum256(b), Size: int64(len(b)), Class: 1, Time: time.Now().UTC().Truncate(time.Second)})
	}},
	"asks for pages and classes that are not kept": {act: func(r *rig, step int) {
		o := offerOf(honestObject(step), 1)
		o.Tag = new([32]byte)
		r.send(deviceA, o)
		m, _ := offerOf(honestObject(step), 1).MarshalBinary()
		for _, class := range []byte{0, 5, 255} {
			m[42] = class
			r.raw(wire.UpTopic(deviceA), m)
		}
	}},
	"sends what is not sealed": {act: func(r *rig, step int) {
		for i := range 20 {
			b := []byte(strings.Repeat("$GPRMC,123519,A\n", 10_000))[:len(own(1))]
			b[0] = byte(i)
			r.offer(deviceA, b, 1)
			r.blocks(deviceA, b, 0, 2)
		}
	}},
	"asks for what has gone bad in the store": {stored: 1, alarms: hostileSteps*3*10 + 2, act: func(r *rig, step int) {
		b := own(1)
		path := filepath.Join(r.dir, "pool", "2", envelope.Name(sha256.Sum256(b)).String())
		if step == 0 {
			r.offer(deviceA, b, 2) // also the second and the third time

			r.blocks(deviceA, b, 0, 2)
			bad := append([]byte(nil), b...)
			bad[99_999] ^= 1
			require.NoError(r.t, os.WriteFile(path, bad, 0o600))
		}
		for i := range uint8(10) {
			r.offer(deviceA, b, 1+i%4)
			r.blocks(deviceA, b, 0, 2)
		}
	}},
}

func TestHostileVehicleBesideAnHonestOne(t *testing.T) {
	for what, h := range hostile {
		t.Run(what, func(t *testing.T) {
			virtual(t, nil, func(t *testing.T, r *rig) {
				for step := range hostileSteps {
					b := honestObject(step)
					h.act(r, step)
					require.Equal(t, []string{"have"}, kinds(r.offer(deviceB, b, 2)))
					h.act(r, step)
					require.Empty(t, r.blocks(deviceB, b, 0, 1))
					h.act(r, step)
					require.Equal(t, []string{"have", "stored"}, kinds(r.blocks(deviceB, b, 1, 2)))
				}
				require.LessOrEqual(t, r.staged(), h.staged)
				sleep(10 * time.Second)
				s, _ := r.last()
				require.LessOrEqual(t, s.Arriving, r.options.Quota.Objects)
				require.Equal(t, h.alarms, s.Alarms)
				require.Zero(t, s.StoreErrs)
				require.LessOrEqual(t, strings.Count(r.log.String(), "\n"), 1+min(1, int(s.Alarms)), "lines for connected, and each bad object")
				require.NotContains(t, r.log.String(), deviceA)
				r.poolHolds(h.stored)
			})
		})
	}
}

// poolHolds checks that all objects of the honest vehicle are stored, each once
// and intact, and at most so many others.
func (r *rig) poolHolds(others int) {
	r.t.Helper()
	files := map[string]int{}
	require.NoError(r.t, filepath.WalkDir(filepath.Join(r.dir, "pool"), func(path string, e fs.DirEntry, err error) error {
		if err == nil && !e.IsDir() {
			files[e.Name()]++
		}
		return err
	}))
	for step := range hostileSteps {
		b := honestObject(step)
		name := envelope.Name(sha256.Sum256(b)).String()
		got, err := os.ReadFile(filepath.Join(r.dir, "pool", "2", name))
		require.NoError(r.t, err)
		require.Equal(r.t, b, got)
		require.Equal(r.t, 1, files[name])
	}
	require.LessOrEqual(r.t, len(files)-hostileSteps, others)
}
