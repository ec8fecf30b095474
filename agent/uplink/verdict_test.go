package uplink_test

import (
	"crypto/ed25519"
	"errors"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"roadseal/agent/spool"
	"roadseal/agent/uplink"
	"roadseal/agent/wire"
	"roadseal/crypto/envelope"
)

// lies are receipts that must change nothing.
var lies = map[string]struct {
	lie  func(c *collector)
	want string // in the status
}{
	"another key": {func(c *collector) { c.key = stranger },
		"receipt is signed by a key that [collector] receipt_keys does not list: key id " + public(stranger).ID().String() +
			"; hint: add the line that the collector logs at its start as receipt_key, if it is your collector"},
	"another key under our key's id": {func(c *collector) {
		c.key, c.forge = stranger, func(r *wire.Receipt) { r.Key = public(signer).ID() }
	}, "wrong signature"},
	"no signature": {func(c *collector) {
		c.after = func(r *wire.Receipt) { r.Signature = [ed25519.SignatureSize]byte{} }
	}, "wrong signature"},
	"changed after signing": {func(c *collector) { c.after = func(r *wire.Receipt) { r.Time = r.Time.Add(time.Second) } }, "wrong signature"},
	"another size":          {func(c *collector) { c.forge = func(r *wire.Receipt) { r.Size-- } }, "another size"},
	"a shorter class":       {func(c *collector) { c.forge = func(r *wire.Receipt) { r.Class = 4 } }, "another retention class"},
	"a page tag":            {func(c *collector) { c.forge = func(r *wire.Receipt) { r.Tag = new([32]byte) } }, "another page tag"},
}

// TestOnlyAGenuineReceiptCounts: while the collector lies nothing is delivered,
// however long it goes on; once it stops, everything is.
func TestOnlyAGenuineReceiptCounts(t *testing.T) {
	for name, test := range lies {
		synctest.Test(t, func(t *testing.T) {
			w := newWorld(t)
			w.q.add(-1, 100_000)
			w.q.add(-1, 10)
			test.lie(w.c)
			stop := w.run()
			time.Sleep(10 * time.Second)
			synctest.Wait()
			require.Contains(t, w.u.Status().LastError, test.want, name)
			time.Sleep(12 * time.Hour)
			synctest.Wait()
			st := w.u.Status()
			require.Empty(t, w.q.marked(), name)
			require.Greater(t, st.BadReceipts, int64(20))
			require.Contains(t, st.LastError, test.want, "says so to the end")
			require.Equal(t, 2, st.PutOff)
			require.Contains(t, st.Deferred[0].Reason, test.want)
			require.Less(t, st.Sent, int64(200_000), "data do not go up again and again")

			w.mu.Lock()
			w.c.key, w.c.forge, w.c.after = signer, nil, nil
			w.mu.Unlock()
			time.Sleep(2 * time.Hour)
			synctest.Wait()
			require.Len(t, w.q.marked(), 2)
			require.Empty(t, w.got[0].Tag)
			require.Empty(t, w.u.Status().LastError)
			stop()
			require.Less(t, strings.Count(w.log.String(), "\n"), 14*10)
		})
	}
}

// TestReceiptForAnotherObject swaps genuine receipts between objects.
func TestReceiptForAnotherObject(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t)
		a, b := w.q.add(-1, 1000), w.q.add(-1, 2000)
		missing := w.q.add(-1, 3000) // is never stored
		w.c.forge = func(r *wire.Receipt) {
			if r.Object == b.Name {
				r.Object = a.Name
			} else if r.Object == a.Name {
				r.Object = missing.Name
			}
		}
		w.c.mute = func(m wire.Message) bool { _, have := m.(wire.Have); return have && m.Subject() == missing.Name }
		stop := w.run()
		time.Sleep(6 * time.Hour)
		synctest.Wait()
		require.Empty(t, w.q.marked())
		stop()
	})
}

// TestAllThereIsNothing: a collector that says it has everything and sends no
// receipt holds up neither the vehicle nor other objects.
func TestAllThereIsNothing(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t)
		bad := w.q.add(-1, 500_000)
		good := []spool.Entry{w.q.add(-1, 1000), w.q.add(-1, 300_000)}
		w.c.mute = func(m wire.Message) bool { _, receipt := m.(wire.Receipt); return receipt && m.Subject() == bad.Name }
		w.fate = func(_ int, m wire.Message) string { // and forgets that it is stored
			if o, ok := m.(wire.Offer); ok && o.Object == bad.Name && w.c.stored[bad.Name] > 0 {
				delete(w.c.stored, bad.Name)
				w.c.parts[bad.Name] = &part{offer: o, bytes: slices.Clone(w.q.bytes[bad.Name]), have: full(o.Size)}
			}
			return ""
		}
		stop := w.run()
		time.Sleep(49 * time.Second)
		synctest.Wait()
		require.ElementsMatch(t, names(good...), w.q.marked(), "others go on")
		require.Equal(t, 1, w.sessions())
		time.Sleep(5 * time.Second)
		synctest.Wait()
		st := w.u.Status()
		require.Equal(t, 2, w.sessions(), "a new session")
		require.Contains(t, st.LastError, "sends no receipt")
		require.Len(t, st.Deferred, 1)
		require.Equal(t, bad.Name.String()[:12], st.Deferred[0].Object)
		require.Equal(t, int64(801_000), st.Sent, "nothing goes up twice")
		w.mu.Lock()
		w.c.mute, w.fate = nil, nil
		w.c.stored[bad.Name] = 1
		w.mu.Unlock()
		time.Sleep(time.Minute)
		synctest.Wait()
		require.Contains(t, w.q.marked(), bad.Name)
		stop()
	})
}

func full(size int64) wire.Bitmap {
	b := wire.NewBitmap(size)
	for i := range wire.Blocks(size) {
		b.Set(i)
	}
	return b
}

// TestDataNeverArrives: a broker that drops what is large, and acknowledges it.
func TestDataNeverArrives(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t)
		w.q.add(-1, 1_000_000)
		w.q.add(-1, 1000)
		w.fate = func(_ int, m wire.Message) string {
			d, data := m.(wire.Data)
			return map[bool]string{true: "drop"}[data && len(d.Blocks) > 100_000]
		}
		stop := w.run()
		time.Sleep(time.Hour)
		synctest.Wait()
		require.Len(t, w.q.marked(), 1, "the small one")
		require.Contains(t, w.u.Status().LastError+w.u.Status().Deferred[0].Reason, "message limit below 132 KiB")
		require.Less(t, w.u.Status().Sent, int64(60_000_000))
		stop()
	})
}

func TestRefused(t *testing.T) {
	for reason, first := range map[wire.Reason]time.Duration{
		wire.ReasonBusy: 30 * time.Second, wire.ReasonStorage: 30 * time.Second, wire.ReasonQuota: 10 * time.Minute,
		wire.ReasonShard: 10 * time.Minute, wire.Reason(99): 10 * time.Minute, wire.ReasonSize: time.Hour,
		wire.ReasonClass: time.Hour, wire.ReasonHeader: time.Hour, wire.ReasonHash: time.Hour, wire.ReasonClash: time.Hour,
	} {
		synctest.Test(t, func(t *testing.T) {
			w := newWorld(t)
			bad := w.q.add(-1, 200_000)
			for range 6 {
				w.q.add(-1, 100_000)
			}
			var offered []time.Time
			w.c.refuse = func(o wire.Offer) wire.Reason {
				if o.Object != bad.Name {
					return 0
				}
				if offered = append(offered, time.Now()); len(offered) > 9 {
					return 0
				}
				return reason
			}
			stop := w.run()
			time.Sleep(20 * time.Second)
			synctest.Wait()
			require.Equal(t, names(bad), names(w.q.pending()...), "others go on")
			st := w.u.Status()
			require.Equal(t, []uplink.Deferred{{Object: bad.Name.String()[:12], Reason: reason.String(), Until: st.Deferred[0].Until}}, st.Deferred)
			require.WithinDuration(t, offered[0].Add(first), st.Deferred[0].Until, time.Second)
			time.Sleep(12 * time.Hour)
			synctest.Wait()
			require.Empty(t, w.q.pending(), "taken in the end")
			require.Empty(t, w.u.Status().Deferred)
			stop()
			for i := range 9 {
				want := min(first<<i, time.Hour)
				require.InDelta(t, want.Seconds(), offered[i+1].Sub(offered[i]).Seconds(), 1, "delay %d for %v", i, reason)
			}
		})
	}
}

func TestRefusedInTheMiddle(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t)
		w.q.add(-1, 3_000_000)
		w.rate = 1_000_000
		said := false
		w.fate = func(n int, m wire.Message) string { // a HAVE turns into a refusal
			if h, ok := m.(wire.Have); ok && !said && h.Blocks.Count() > 20 {
				said = true
				w.c.refuse = func(wire.Offer) wire.Reason { w.c.refuse = nil; return wire.ReasonStorage }
			}
			return ""
		}
		took := w.finish(10 * time.Minute)
		require.Less(t, took, time.Minute)
		require.LessOrEqual(t, w.u.Status().Resent, int64(window*wire.BlockSize))
	})
}

// TestBrokenObject: what cannot be read, offered or noted holds up only itself.
func TestBrokenObject(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t)
		short, gone, classless := w.q.add(-1, 100_000), w.q.add(-1, 200_000), w.q.add(-1, 300)
		w.q.order[2].Class = 257
		var good []spool.Entry
		for range 10 {
			good = append(good, w.q.add(-1, 70_000))
		}
		w.q.bytes[short.Name] = w.q.bytes[short.Name][:50]
		w.q.broken[gone.Name] = errors.New("file does not exist")
		stop := w.run()
		time.Sleep(10 * time.Second)
		synctest.Wait()
		require.Equal(t, names(good...), w.q.marked(), "in order")
		reasons := map[string]string{}
		for _, d := range w.u.Status().Deferred {
			reasons[d.Object] = d.Reason
		}
		require.Len(t, reasons, 2)
		require.NotContains(t, names(w.q.pending()...), short.Name, "it is damaged, which is final")
		require.Contains(t, reasons[gone.Name.String()[:12]], "file does not exist")
		require.Contains(t, reasons[classless.Name.String()[:12]], "retention class 257")

		w.q.mu.Lock()
		delete(w.q.broken, gone.Name)
		w.q.mark = errors.New("input/output error")
		w.q.mu.Unlock()
		time.Sleep(40 * time.Second)
		synctest.Wait()
		require.Len(t, w.q.marked(), 10)
		require.Contains(t, w.u.Status().Deferred[0].Reason+w.u.Status().Deferred[1].Reason, "cannot note the receipt: input/output error")
		w.q.mu.Lock()
		w.q.mark = nil
		w.q.mu.Unlock()
		time.Sleep(3 * time.Minute)
		synctest.Wait()
		require.Contains(t, w.q.marked(), gone.Name)
		require.Equal(t, 1, w.c.stored[gone.Name])
		stop()
	})
}

// TestBrokenObjectMakesRoom: not only when something else happens.
func TestBrokenObjectMakesRoom(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t)
		bad := w.q.add(-1, 1000)
		w.q.broken[bad.Name] = errors.New("bad block")
		for range 3 {
			w.q.add(-1, 2000)
		}
		good := w.q.add(-1, 3000)
		w.c.mute = func(m wire.Message) bool { return m.Subject() != bad.Name && m.Subject() != good.Name }
		stop := w.run()
		time.Sleep(time.Second)
		synctest.Wait()
		require.Equal(t, names(good), w.q.marked())
		stop()
	})
}

// data returns the objects of the DATA that went up, in order.
func (w *world) data() (n []envelope.Name) {
	for _, m := range w.trace {
		if d, ok := m.(wire.Data); ok {
			n = append(n, d.Object)
		}
	}
	return n
}

// TestOvertaking: an event clip that comes while large objects go up is next.
func TestOvertaking(t *testing.T) {
	for low := 1; low <= 6; low++ { // with and without room in hand
		synctest.Test(t, func(t *testing.T) {
			w := newWorld(t)
			w.rate = 1_000_000
			for range low {
				w.q.add(-1, 12_000_000)
			}
			stop := w.run()
			time.Sleep(5 * time.Second)
			clip := w.q.add(0, 4_000_000)
			start := time.Now()
			for len(w.q.marked()) == 0 {
				time.Sleep(100 * time.Millisecond)
			}
			synctest.Wait()
			require.Equal(t, clip.Name, w.q.marked()[0])
			// A window of what was under way, the clip, and some round trips.
			require.Less(t, time.Since(start), (1+4+2)*time.Second)
			require.Equal(t, 1, w.sessions())
			require.Zero(t, w.u.Status().Resent)
			require.LessOrEqual(t, w.most, wire.Window)
			stop()
			up := w.data()
			from, to := slices.Index(up, clip.Name), len(up)-1
			for up[to] != clip.Name {
				to--
			}
			require.Len(t, slices.Compact(up[from:to+1]), 1, "nothing of lower priority goes up between")
		})
	}
}

// TestOvertakingWithUnconfirmed: three objects overtake each other while less
// than HaveEvery messages of each are under way. Nobody waits for a timer.
func TestOvertakingWithUnconfirmed(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t)
		w.delay = 200 * time.Millisecond
		stop := w.run()
		time.Sleep(time.Second)
		start := time.Now()
		for range 30 {
			w.q.add(0, 9*wire.BlockSize)
			time.Sleep(130 * time.Millisecond)
		}
		for len(w.q.pending()) > 0 {
			time.Sleep(100 * time.Millisecond)
		}
		// 5 messages each, 8 in 400 ms at most: 30 x 5 / 8 x 0.4 s = 7.5 s.
		require.Less(t, time.Since(start), 15*time.Second)
		require.Zero(t, w.u.Status().Resent)
		stop()
	})
}

// TestQueueChanges: objects that the spool evicts are dropped, also in hand.
func TestQueueChanges(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t)
		w.rate = 500_000
		a, b := w.q.add(-1, 5_000_000), w.q.add(-1, 1_000_000)
		stop := w.run()
		time.Sleep(2 * time.Second)
		w.q.mu.Lock()
		w.q.remove(a.Name)
		w.q.mu.Unlock()
		time.Sleep(20 * time.Second)
		synctest.Wait()
		require.Equal(t, names(b), w.q.marked())
		require.Zero(t, w.u.Status().InHand)
		require.Zero(t, w.q.open)
		stop()
	})
}

// TestForeignMessages: what is not an answer about an object in hand changes
// nothing.
func TestForeignMessages(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t)
		e := w.q.add(-1, 1_000_000)
		other := envelope.Name{1}
		w.noise = []wire.Message{
			wire.Have{Object: other, Size: 5, Blocks: wire.Bitmap{1}},
			wire.Have{Object: e.Name, Size: e.Size + 1, Blocks: full(e.Size + 1)},
			wire.Have{Object: e.Name, Size: 1, Blocks: full(1)},
			wire.Refused{Object: other, Reason: wire.ReasonBusy},
			wire.Offer{Object: e.Name, Size: e.Size, Class: 1},
			w.c.receipt(wire.Offer{Object: other, Size: 5, Class: 1}),
		}
		took := w.finish(time.Minute)
		require.Less(t, took, 2*time.Second)
		require.Zero(t, w.u.Status().Resent)
		require.Zero(t, w.u.Status().BadReceipts)
	})
}
