package collector_test

import (
	"context"
	"crypto/sha256"
	"encoding/base64"
	"encoding/binary"
	"errors"
	"io/fs"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"roadseal/agent/wire"
	"roadseal/cmd/internal/objstore"
	"roadseal/crypto/envelope"
)

// device is one of many device ids.
func device(i int) string {
	var id [16]byte
	binary.BigEndian.PutUint64(id[8:], uint64(i)<<8)
	return base64.RawURLEncoding.EncodeToString(id[:])
}

// A hugeStore has objects that are said to be large, and reads one back only
// when it is let through.
type hugeStore struct {
	objstore.Store
	gate chan struct{}
	size int64

	asked   chan struct{} // if set, Get waits for it
	mu      sync.Mutex
	known   map[envelope.Name][]byte // what is read
	reading int
	most    int
	reads   int
}

type hugeObject struct {
	objstore.Object
	s *hugeStore
}

func (s *hugeStore) Get(ctx context.Context, key objstore.Key) (objstore.Object, error) {
	s.mu.Lock()
	_, ok := s.known[key.Name]
	s.mu.Unlock()
	if !ok {
		return s.Store.Get(ctx, key)
	}
	if s.asked != nil {
		<-s.asked
	}
	if key.Class != 1 {
		return nil, fs.ErrNotExist
	}
	return hugeObject{nil, s}, nil
}

func (o hugeObject) Size() int64  { return o.s.size }
func (o hugeObject) Close() error { return nil }

// Settle waits at the gate, and then fails: the rest is not what these tests
// are about.
func (o hugeObject) Settle(context.Context) error {
	o.s.mu.Lock()
	o.s.reading++
	o.s.reads++
	o.s.most = max(o.s.most, o.s.reading)
	o.s.mu.Unlock()
	<-o.s.gate
	o.s.mu.Lock()
	o.s.reading--
	o.s.mu.Unlock()
	return errors.New("enough")
}

// huge runs a test with a collector over a hugeStore, whose objects have names
// from 1 on.
func huge(t *testing.T, size int64, test func(t *testing.T, r *rig, s *hugeStore)) {
	var s *hugeStore
	virtual(t, func(r *rig) {
		s = &hugeStore{Store: r.options.Store, gate: make(chan struct{}), size: size, known: map[envelope.Name][]byte{}}
		for i := range 100 {
			s.known[hugeName(i)] = nil
		}
		r.options.Store = s
	}, func(t *testing.T, r *rig) { test(t, r, s) })
}

func hugeName(i int) envelope.Name { return sha256.Sum256([]byte{byte(i)}) }

// The largest sizes on the grid with four stanzas.
var (
	hugeSize  = envelope.SealedSize(4, envelope.Padme(3<<30))
	largeSize = envelope.SealedSize(4, envelope.Padme(100<<20))
)

// honest uploads an object of two blocks and requires that nothing keeps it.
func (r *rig) honest(device string, seed uint64) {
	r.t.Helper()
	require.Equal(r.t, []string{"have"}, kinds(r.offer(device, object(seed), 1)))
	require.Equal(r.t, []string{"have", "stored"}, kinds(r.blocks(device, object(seed), 0, 2)))
	require.Equal(r.t, []string{"stored"}, kinds(r.offer(device, object(seed), 1)), "and once more, as if the receipt had been lost")
}

// TestHugeObjectsReadBackBlockNobody: vehicles that ask for many large objects
// over and over, on a disk that takes for ever.
func TestHugeObjectsReadBackBlockNobody(t *testing.T) {
	for what, size := range map[string]int64{"as it is": hugeSize, "said to be small": envelope.SealedSize(4, 4096)} {
		t.Run(what, func(t *testing.T) {
			huge(t, hugeSize, func(t *testing.T, r *rig, s *hugeStore) {
				r.options.Quota.Bytes = 1 << 40
				const vehicles, rounds = 10, 100
				for range rounds {
					for v := range vehicles {
						for i := range 2 {
							r.send(device(v), wire.Offer{Object: hugeName(i), Size: size, Class: 1})
						}
					}
				}
				r.honest(deviceB, 1)
				require.Equal(t, 2, s.most, "two workers are left for others")
				require.Equal(t, 2, s.reads, "what is under way is not begun again")
				close(s.gate)
				synctest.Wait()
				require.LessOrEqual(t, s.reads, 2*vehicles)
			})
		})
	}
}

// TestLargeObjectsReadBackLeaveAWorker for those who only ask, and the next who
// wants more than that has its turn before those who had theirs.
func TestLargeObjectsReadBackLeaveAWorker(t *testing.T) {
	huge(t, largeSize, func(t *testing.T, r *rig, s *hugeStore) {
		for v := range 3 {
			for i := range 8 {
				r.send(device(v), wire.Offer{Object: hugeName(i), Size: largeSize, Class: 1})
			}
		}
		require.Equal(t, 3, s.most)
		require.Equal(t, []string{"have"}, kinds(r.offer(deviceB, object(1), 1)), "a worker is left")
		require.Equal(t, []string{"have"}, kinds(r.blocks(deviceB, object(1), 0, 2)), "and the others are busy")
		sleep(time.Minute)
		s.gate <- struct{}{} // one of 24 ends
		synctest.Wait()
		require.Equal(t, []string{"stored"}, kinds(r.answers(deviceB)), "before the 21 that came earlier")
		require.Equal(t, 4, s.reads)
		close(s.gate)
	})
}

// TestOneWhoAsksForMuchLeavesWorkers to others who ask, also if the store is slow
// to answer.
func TestOneWhoAsksForMuchLeavesWorkers(t *testing.T) {
	huge(t, hugeSize, func(t *testing.T, r *rig, s *hugeStore) {
		s.asked = make(chan struct{})
		for i := range 8 {
			r.send(deviceA, wire.Offer{Object: hugeName(i), Size: envelope.SealedSize(4, 4096), Class: 1})
		}
		r.honest(deviceB, 1)
		close(s.asked)
		close(s.gate)
	})
}

// TestAnOfferDuringTheReadBack is answered at once: the vehicle is not to think
// that nobody is there, nor to send what the store has.
func TestAnOfferDuringTheReadBack(t *testing.T) {
	slow(t, 40*time.Second, func(t *testing.T, r *rig) {
		b := object(1)
		r.upload(deviceA, b)
		require.Empty(t, r.offer(deviceB, b, 1), "the receipt may come soon")
		for range 4 {
			sleep(8 * time.Second)
			answers := r.offer(deviceB, b, 1)
			require.Equal(t, []string{"have"}, kinds(answers))
			require.True(t, answers[0].(wire.Have).Blocks.Full(int64(len(b))))
		}
		require.Empty(t, r.blocks(deviceB, b, 0, 1), "falls on deaf ears")
		sleep(8 * time.Second)
		require.Equal(t, []string{"stored"}, kinds(r.answers(deviceB)))

		o := offerOf(b, 1)
		o.Size = envelope.SealedSize(4, 4096)
		for range 4 {
			r.send(deviceB, o)
			sleep(8 * time.Second)
			require.Empty(t, r.answers(deviceB), "an object of that size is not there")
		}
		sleep(10 * time.Second)
		require.Equal(t, []string{wire.ReasonSize.String()}, kinds(r.answers(deviceB)))
	})
}

// TestAReceiptThatComesLateIsKept: the vehicle has turned to other objects by
// then, and reading the object back again would be as late.
func TestAReceiptThatComesLateIsKept(t *testing.T) {
	slow(t, 40*time.Second, func(t *testing.T, r *rig) {
		b := object(1)
		r.upload(deviceA, b)
		r.offer(deviceB, b, 2)
		sleep(time.Minute)
		first := r.answers(deviceB)
		require.Equal(t, []string{"stored"}, kinds(first))
		for range 2 {
			sleep(10 * time.Minute)
			require.Equal(t, first, r.offer(deviceB, b, 2), "the same receipt")
		}
		require.Empty(t, r.offer(deviceB, b, 1), "another class is another receipt")
		require.Empty(t, r.offer(device(7), b, 2), "another vehicle asks itself")
		sleep(2 * time.Hour)
		r.answers(deviceB)
		require.Empty(t, r.offer(deviceB, b, 2), "after an hour it is read back again")
	})
	slow(t, 40*time.Second, func(t *testing.T, r *rig) {
		for i := range 9 {
			r.upload(deviceA, own(i))
			r.offer(deviceB, own(i), 1)
			sleep(time.Minute)
		}
		r.answers(deviceB)
		require.Empty(t, r.offer(deviceB, own(0), 1), "one too many")
		for i := 1; i < 9; i++ {
			require.Equal(t, []string{"stored"}, kinds(r.offer(deviceB, own(i), 1)))
		}
		s, _ := r.last()
		require.Equal(t, 1, s.Vehicles, "who was served quickly is forgotten at once")
		sleep(2 * time.Hour)
		s, _ = r.last()
		require.Zero(t, s.Vehicles, "in the end so is everybody")
	})
	slow(t, time.Second, func(t *testing.T, r *rig) {
		b := object(1)
		r.upload(deviceA, b)
		for range 2 {
			require.Empty(t, r.offer(deviceB, b, 1), "one that came in time is not kept")
			sleep(2 * time.Second)
			require.Equal(t, []string{"stored"}, kinds(r.answers(deviceB)))
		}
	})
}

// A slowStore takes its time to make durable what it has.
type slowStore struct {
	objstore.Store
	takes time.Duration
}

type slowObject struct {
	objstore.Object
	takes time.Duration
}

func (s slowStore) Get(ctx context.Context, key objstore.Key) (objstore.Object, error) {
	o, err := s.Store.Get(ctx, key)
	if err != nil {
		return nil, err
	}
	return slowObject{o, s.takes}, nil
}

func (o slowObject) Settle(ctx context.Context) error {
	time.Sleep(o.takes)
	return o.Object.Settle(ctx)
}

func slow(t *testing.T, takes time.Duration, test func(t *testing.T, r *rig)) {
	virtual(t, func(r *rig) { r.options.Store = slowStore{r.options.Store, takes} }, test)
}

func (r *rig) upload(device string, b []byte) {
	r.t.Helper()
	require.Equal(r.t, []string{"have"}, kinds(r.offer(device, b, 1)))
	require.Equal(r.t, []string{"have", "stored"}, kinds(r.blocks(device, b, 0, wire.Blocks(int64(len(b))))))
}
