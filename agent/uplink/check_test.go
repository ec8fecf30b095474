package uplink_test

import (
	"context"
	"encoding/json"
	"errors"
	"io"
	"runtime"
	"slices"
	"strings"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"roadseal/agent/spool"
	"roadseal/agent/wire"
)

// TestDamagedObjects: an object that the collector calls wrong, or that cannot
// be read, is looked at once. A damaged one is gone, without a receipt and
// without going up again; the others go on.
func TestDamagedObjects(t *testing.T) {
	for name, damage := range map[string]func(w *world, e spool.Entry){
		"a flipped bit": func(w *world, e spool.Entry) { w.q.bytes[e.Name][70_000] ^= 1 },
		"header": func(w *world, e spool.Entry) {
			w.q.bytes[e.Name][10] ^= 1
			w.c.refuse = func(o wire.Offer) wire.Reason {
				return map[bool]wire.Reason{true: wire.ReasonHeader}[o.Object == e.Name]
			}
		},
		"cut short": func(w *world, e spool.Entry) { w.q.bytes[e.Name] = w.q.bytes[e.Name][:90_000] },
		"unreadable": func(w *world, e spool.Entry) {
			w.q.broken[e.Name] = errors.New("input/output error")
			w.q.bytes[e.Name][0] ^= 1
		},
	} {
		synctest.Test(t, func(t *testing.T) {
			w := newWorld(t)
			bad := w.q.add(-1, 200_000)
			var good []spool.Entry
			for range 6 {
				good = append(good, w.q.add(-1, 100_000))
			}
			damage(w, bad)
			stop := w.run()
			time.Sleep(time.Minute)
			synctest.Wait()
			require.Equal(t, names(good...), w.q.marked(), name)
			require.Empty(t, w.q.pending(), name)
			require.Equal(t, names(bad), w.q.checks, name)
			st := w.u.Status()
			require.Empty(t, st.Deferred)
			require.LessOrEqual(t, st.Sent, int64(800_000), "it does not go up again")
			stop()
			require.Equal(t, 1, strings.Count(w.log.String(), "damaged"), w.log.String())
			require.NotContains(t, w.log.String(), bad.Name.String()[:12])
		})
	}
}

// TestTheCollectorIsWrong: what is intact waits as after any refusal, and is
// read once a day at most.
func TestTheCollectorIsWrong(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t)
		for range 40 {
			w.q.add(-1, 1000)
		}
		w.c.refuse = func(wire.Offer) wire.Reason { return wire.ReasonHash }
		stop := w.run()
		time.Sleep(71 * time.Hour)
		synctest.Wait()
		require.Len(t, w.q.pending(), 40)
		st := w.u.Status()
		require.Equal(t, 40, st.PutOff)
		require.Equal(t, "bytes do not match the name", st.Deferred[0].Reason)
		require.LessOrEqual(t, time.Until(st.Deferred[0].Until), time.Hour)
		count := map[string]int{}
		for _, n := range w.q.checks {
			count[n.String()]++
		}
		require.Len(t, count, 40)
		for _, n := range count {
			require.Equal(t, 3, n, "once a day")
		}
		w.mu.Lock()
		w.c.refuse = nil
		w.mu.Unlock()
		time.Sleep(2 * time.Hour)
		synctest.Wait()
		require.Empty(t, w.q.pending())
		stop()
	})
}

// TestCheckingHoldsUpNothing: while an object is being read the others go on,
// one object is read at a time, and the end of the uplink ends the reading.
func TestCheckingHoldsUpNothing(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t)
		bad := []spool.Entry{w.q.add(-1, 1000), w.q.add(-1, 1001)}
		for range 6 {
			w.q.add(-1, 1_000_000)
		}
		w.c.refuse = func(o wire.Offer) wire.Reason {
			return map[bool]wire.Reason{true: wire.ReasonHash}[slices.Contains(names(bad...), o.Object)]
		}
		var reading, most atomic.Int32
		w.q.verify = func(ctx context.Context, _ spool.Entry) (bool, error) {
			most.Store(max(most.Load(), reading.Add(1)))
			defer reading.Add(-1)
			select {
			case <-ctx.Done():
				for range 1000 { // it takes a moment, though none that the clock shows
					runtime.Gosched()
				}
				return false, ctx.Err()
			case <-time.After(10 * time.Minute):
				return true, nil
			}
		}
		stop := w.run()
		time.Sleep(5 * time.Minute)
		synctest.Wait()
		require.ElementsMatch(t, names(bad...), names(w.q.pending()...))
		require.EqualValues(t, 1, reading.Load())
		time.Sleep(10 * time.Minute)
		synctest.Wait()
		require.Len(t, w.q.checks, 2)
		require.EqualValues(t, 1, reading.Load())
		stop() // looks at the clock
		require.Zero(t, reading.Load())
		require.EqualValues(t, 1, most.Load())
		require.NotContains(t, w.log.String(), "damaged", "a reading that was broken off says nothing")
	})
}

// TestCheckFails: a card that does not answer proves nothing.
func TestCheckFails(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t)
		e := w.q.add(-1, 100_000)
		w.q.broken[e.Name] = io.ErrUnexpectedEOF
		w.q.verify = func(context.Context, spool.Entry) (bool, error) { return false, io.ErrUnexpectedEOF }
		stop := w.run()
		time.Sleep(5 * time.Hour)
		synctest.Wait()
		require.Len(t, w.q.pending(), 1)
		require.Greater(t, len(w.q.checks), 5, "each failure is looked into anew")
		w.q.mu.Lock()
		delete(w.q.broken, e.Name)
		w.q.mu.Unlock()
		time.Sleep(2 * time.Hour)
		synctest.Wait()
		require.Equal(t, names(e), w.q.marked())
		stop()
		require.Less(t, strings.Count(w.log.String(), "\n"), 8*5)
	})
}

func TestStatusAsJSON(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t)
		stop := w.run()
		time.Sleep(time.Second)
		b, err := json.Marshal(w.u.Status())
		require.NoError(t, err)
		require.Contains(t, string(b), `"put_off":0,"deferred":[]`)
		stop()
	})
}
