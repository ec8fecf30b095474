package collector_test

import (
	"context"
	"crypto/sha256"
	"errors"
	"os"
	"path/filepath"
	"sync"
	"syscall"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"roadseal/agent/wire"
	"roadseal/cmd/internal/collector"
	"roadseal/cmd/internal/objstore"
	"roadseal/crypto/envelope"
	"roadseal/hal/durable"
)

func TestReconnectsWithBackOffAndSaysSoOnce(t *testing.T) {
	virtual(t, func(r *rig) { r.dialErr = errors.New("broker is away") }, func(t *testing.T, r *rig) {
		sleep(time.Hour)
		s, dials := r.last()
		require.Less(t, dials, 3600/5+20)
		require.Greater(t, dials, 3600/15)
		require.Equal(t, 1, r.lines("WARN"))
		require.False(t, s.Connected)
		require.Equal(t, "broker is away", s.LastError)
		r.set(nil)
		sleep(time.Minute)
		s, dials = r.last()
		require.True(t, s.Connected)
		require.Equal(t, 1, r.lines("INFO"))
		sleep(time.Hour)
		_, later := r.last()
		require.Equal(t, dials, later)
		r.set(nil)
		sleep(time.Second)
		require.Equal(t, []string{"have"}, kinds(r.offer(deviceA, object(1), 1)), "served again within a second")
		require.Equal(t, 2, r.lines("WARN"))
		require.Equal(t, 2, r.lines("INFO"))
	})
}

func TestForeignShardsAreLeftAlone(t *testing.T) {
	virtual(t, func(r *rig) {
		r.options.Shards = collector.Shards{}
		for i := range r.options.Shards {
			r.options.Shards[i] = wire.Shard(deviceA) != string("0123456789abcdef"[i>>4])+string("0123456789abcdef"[i&15])
		}
	}, func(t *testing.T, r *rig) {
		require.Empty(t, r.offer(deviceA, object(1), 1), "another collector answers")
		require.Equal(t, []string{"have"}, kinds(r.offer(deviceB, object(1), 1)))
		r.stop()
		s, _ := r.last()
		require.EqualValues(t, 1, s.Ignored)
	})
}

func TestIdleObjectsOfOthersAreSetAside(t *testing.T) {
	virtual(t, func(r *rig) { r.options.Quota.Total = 1 }, func(t *testing.T, r *rig) {
		r.offer(deviceA, object(1), 1)
		r.blocks(deviceA, object(1), 0, 1)
		require.Equal(t, []string{"collector is busy"}, kinds(r.offer(deviceB, object(2), 1)))
		sleep(r.options.Quota.Idle)
		require.Equal(t, []string{"have"}, kinds(r.offer(deviceB, object(2), 1)))
		require.Equal(t, []string{"have", "stored"}, kinds(append(r.answers(deviceB), r.blocks(deviceB, object(2), 0, 2)...)))
		have := r.offer(deviceA, object(1), 1)
		require.Equal(t, 1, have[0].(wire.Have).Blocks.Count(), "what had come is still there")
	})
}

func TestIdleObjectsMakeRoomInTheStore(t *testing.T) {
	virtual(t, func(r *rig) {
		disk, err := durable.OpenDisk(r.dir)
		require.NoError(t, err)
		t.Cleanup(func() { require.NoError(t, disk.Close()) })
		// Room for one object, which no quota knows of.
		r.options.Store, err = objstore.NewFolder(disk, objstore.Limits{Count: 100, Bytes: 150_000, Age: 100 * 24 * time.Hour})
		require.NoError(t, err)
	}, func(t *testing.T, r *rig) {
		require.Equal(t, []string{"have"}, kinds(r.offer(deviceA, object(1), 1)))
		require.Equal(t, []string{"collector is busy"}, kinds(r.offer(deviceB, object(2), 1)))
		require.Equal(t, []string{"collector is busy"}, kinds(r.offer(deviceB, object(2), 1)))
		sleep(r.options.Quota.Idle)
		require.Equal(t, []string{"have"}, kinds(r.offer(deviceB, object(2), 1)))
		require.Zero(t, r.lines("ERROR"), "a full store is no fault")
	})
}

func TestOldObjectsAreDropped(t *testing.T) {
	virtual(t, nil, func(t *testing.T, r *rig) {
		r.offer(deviceA, object(1), 1)
		sleep(r.options.Quota.Age - time.Minute)
		require.Equal(t, 1, r.staged())
		sleep(2 * time.Minute)
		require.Zero(t, r.staged())
		s, _ := r.last()
		require.Zero(t, s.Arriving)
	})
}

// gatedStore holds every Commit until it is let through, and can fail calls.
type gatedStore struct {
	objstore.Store
	gate     chan struct{} // nil = open
	writeErr error
	before   func(objstore.Key) // called before each Commit and Add
	settled  int
	closed   int

	mu   sync.Mutex
	now  int // commits at the gate
	most int
}

type gatedStaged struct {
	objstore.Staged
	store *gatedStore
}

func (s *gatedStore) Stage(ctx context.Context, id string, size int64) (objstore.Staged, wire.Bitmap, error) {
	st, have, err := s.Store.Stage(ctx, id, size)
	if err != nil {
		return nil, nil, err
	}
	return gatedStaged{st, s}, have, nil
}

// Get counts what is made durable.
func (s *gatedStore) Get(ctx context.Context, key objstore.Key) (objstore.Object, error) {
	o, err := s.Store.Get(ctx, key)
	if err != nil {
		return nil, err
	}
	return gatedObject{o, s}, nil
}

type gatedObject struct {
	objstore.Object
	store *gatedStore
}

func (o gatedObject) Settle(ctx context.Context) error {
	o.store.mu.Lock()
	defer o.store.mu.Unlock()
	o.store.settled++
	return o.Object.Settle(ctx)
}

// Add lets somebody else be faster, if that is asked for.
func (s *gatedStore) Add(ctx context.Context, from, to objstore.Key) error {
	if s.before != nil {
		s.before(to)
	}
	return s.Store.Add(ctx, from, to)
}

func (s gatedStaged) Close() error {
	s.store.closed++
	return s.Staged.Close()
}

func (s gatedStaged) WriteBlock(i int, b []byte) error {
	return errors.Join(s.store.writeErr, s.Staged.WriteBlock(i, b))
}

func (s gatedStaged) Commit(ctx context.Context, key objstore.Key) error {
	s.store.mu.Lock()
	s.store.now++
	s.store.most = max(s.store.most, s.store.now)
	s.store.mu.Unlock()
	if s.store.gate != nil {
		<-s.store.gate
	}
	if s.store.before != nil {
		s.store.before(key)
	}
	s.store.mu.Lock()
	s.store.now--
	s.store.mu.Unlock()
	return s.Staged.Commit(ctx, key)
}

// gated runs a test with a collector over a gatedStore.
func gated(t *testing.T, gate chan struct{}, test func(t *testing.T, r *rig, s *gatedStore)) {
	var s *gatedStore
	virtual(t, func(r *rig) {
		s = &gatedStore{Store: r.options.Store}
		if gate != nil {
			s.gate = make(chan struct{}) // of this bubble
		}
		r.options.Store = s
	}, func(t *testing.T, r *rig) { test(t, r, s) })
}

func TestAStoreThatSyncsForLongBlocksNobodyElse(t *testing.T) {
	gated(t, make(chan struct{}), func(t *testing.T, r *rig, s *gatedStore) {
		for i := range uint64(3) { // three objects of one vehicle, complete
			r.offer(deviceA, object(i), 1)
			require.Equal(t, []string{"have"}, kinds(r.blocks(deviceA, object(i), 0, 2)))
		}
		require.Equal(t, 1, s.most, "one vehicle takes one worker")
		require.Equal(t, []string{"have"}, kinds(r.offer(deviceA, object(0), 1)), "the wait is answered")
		require.Equal(t, []string{"have"}, kinds(r.offer(deviceB, object(9), 1)), "another vehicle is served")
		require.Equal(t, []string{"have"}, kinds(r.blocks(deviceB, object(9), 0, 2)))
		require.Equal(t, 2, s.most)
		close(s.gate)
		synctest.Wait()
		require.Equal(t, []string{"stored", "stored", "stored"}, kinds(r.answers(deviceA)))
		require.Equal(t, []string{"stored"}, kinds(r.answers(deviceB)))
	})
}

func TestWhatIsBeingStoredDoesNotGiveWay(t *testing.T) {
	gated(t, make(chan struct{}), func(t *testing.T, r *rig, s *gatedStore) {
		for i := range uint64(r.options.Quota.Objects) {
			r.offer(deviceA, object(i), 1)
			r.blocks(deviceA, object(i), 0, 2)
		}
		sleep(2 * r.options.Quota.Age) // a very slow disk
		require.Equal(t, []string{"collector is busy"}, kinds(r.offer(deviceA, object(99), 1)))
		close(s.gate)
		synctest.Wait()
		require.Len(t, r.answers(deviceA), r.options.Quota.Objects)
	})
}

func TestRunEndsAfterItsWorkersAndClosesWhatItOpened(t *testing.T) {
	gated(t, make(chan struct{}), func(t *testing.T, r *rig, s *gatedStore) {
		r.offer(deviceA, object(1), 1)
		r.blocks(deviceA, object(1), 0, 2) // being stored
		r.offer(deviceA, object(2), 1)
		r.offer(deviceB, object(3), 1)
		ended := make(chan struct{})
		go func() {
			r.stop()
			close(ended)
		}()
		synctest.Wait()
		select {
		case <-ended:
			t.Fatal("Run has ended before its worker")
		default:
		}
		close(s.gate)
		<-ended
		require.Equal(t, 2, s.closed)
		require.Equal(t, 2, r.staged(), "they are kept for the next start")
	})
}

func TestALongerClassWhileTheObjectIsStored(t *testing.T) {
	gated(t, make(chan struct{}), func(t *testing.T, r *rig, s *gatedStore) {
		b := object(1)
		r.offer(deviceA, b, 3)
		r.blocks(deviceA, b, 0, 2)
		r.offer(deviceA, b, 1)
		close(s.gate)
		synctest.Wait()
		answers := r.answers(deviceA)
		require.Equal(t, []string{"stored"}, kinds(answers), "one receipt, for the longer class")
		require.NoError(t, answers[0].(wire.Receipt).Matches(offerOf(b, 1)))
		require.FileExists(t, filepath.Join(r.dir, "pool", "1", envelope.Name(sha256.Sum256(b)).String()))
	})
}

func TestAKnownObjectIsMadeDurableBeforeEachReceipt(t *testing.T) {
	gated(t, nil, func(t *testing.T, r *rig, s *gatedStore) {
		b := object(1)
		r.offer(deviceA, b, 2)
		r.blocks(deviceA, b, 0, 2)
		for i := range 3 {
			class := uint8(3 - i) // shorter, the same, longer
			require.Equal(t, []string{"stored"}, kinds(r.offer(deviceB, b, class)))
			require.Equal(t, i+1, s.settled)
		}
	})
}

func TestSomebodyElseWasFaster(t *testing.T) {
	put := func(r *rig, content []byte) func(objstore.Key) {
		return func(k objstore.Key) {
			require.NoError(r.t, os.WriteFile(filepath.Join(r.dir, k.String()), content, 0o600))
		}
	}
	gated(t, nil, func(t *testing.T, r *rig, s *gatedStore) {
		b := object(1)
		s.before = put(r, b)
		r.offer(deviceA, b, 1)
		require.Equal(t, []string{"have", "stored"}, kinds(r.blocks(deviceA, b, 0, 2)))
		s.before = nil
		d := object(3)
		r.offer(deviceA, d, 3)
		r.blocks(deviceA, d, 0, 2)
		s.before = put(r, d)
		require.Equal(t, []string{"stored"}, kinds(r.offer(deviceA, d, 2)))
		s.before = put(r, b) // other bytes
		require.Equal(t, []string{"store holds other bytes under this name"}, kinds(r.offer(deviceA, d, 1)))
		c := object(2)
		r.offer(deviceA, c, 1)
		require.Equal(t, []string{"have", "store holds other bytes under this name"}, kinds(r.blocks(deviceA, c, 0, 2)))
		r.stop()
		last, _ := r.last()
		require.EqualValues(t, 2, last.Alarms)
		require.EqualValues(t, 2, last.Known)
		require.Zero(t, r.staged())
	})
}

func TestAStoreThatCannotWriteRefusesAndRecovers(t *testing.T) {
	gated(t, nil, func(t *testing.T, r *rig, s *gatedStore) {
		s.writeErr = syscall.ENOSPC
		for i := range uint64(5) {
			require.Equal(t, []string{"have"}, kinds(r.offer(deviceA, object(i), 1)))
			require.Equal(t, []string{"store cannot write"}, kinds(r.blocks(deviceA, object(i), 0, 1)))
		}
		require.Zero(t, r.staged(), "a full disk is not filled further")
		s.writeErr = nil
		r.offer(deviceA, object(1), 1)
		require.Equal(t, []string{"have", "stored"}, kinds(r.blocks(deviceA, object(1), 0, 2)))
		r.stop()
		last, _ := r.last()
		require.EqualValues(t, 5, last.StoreErrs)
		require.Equal(t, 1, r.lines("ERROR"))
	})
}

func TestAReplyThatWasLostIsGivenAgain(t *testing.T) {
	gated(t, make(chan struct{}), func(t *testing.T, r *rig, s *gatedStore) {
		b := object(1)
		r.offer(deviceA, b, 1)
		r.blocks(deviceA, b, 0, 2)
		r.set(nil)
		synctest.Wait()
		close(s.gate) // it is stored while nobody can be told
		sleep(time.Minute)
		r.answers(deviceA)
		require.Equal(t, []string{"stored"}, kinds(r.offer(deviceA, b, 1)))
	})
}
