package uplink_test

import (
	"bytes"
	"math/rand/v2"
	"runtime"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"roadseal/agent/spool"
	"roadseal/agent/wire"
	"roadseal/crypto/envelope"
)

// liesOfASession are what a broker or a false collector does for one session.
// old is a receipt that was genuine once.
func (w *world) liesOfASession(r *rand.Rand, old []byte) []func() {
	receipts := func(change func([]byte) []byte) func() {
		return func() {
			w.garble = func(b []byte) []byte {
				if m, err := wire.Parse(b); err == nil {
					if _, ok := m.(wire.Receipt); ok {
						return change(b)
					}
				}
				return b
			}
		}
	}
	forge := func(f func(*wire.Receipt)) func() { return func() { w.c.forge = f } }
	after := func(f func(*wire.Receipt)) func() { return func() { w.c.after = f } }
	return []func(){
		func() { // acknowledges, and drops what it should store
			w.c.evil = func(wire.Message) []wire.Message { return nil }
		},
		func() { w.c.mute = func(m wire.Message) bool { _, ok := m.(wire.Receipt); return ok } },
		receipts(func([]byte) []byte { return old }),
		receipts(func(b []byte) []byte { // one bit
			b = bytes.Clone(b)
			b[r.IntN(len(b))] ^= 1 << r.IntN(8)
			return b
		}),
		receipts(func(b []byte) []byte { return b[:r.IntN(len(b))] }),
		forge(func(r *wire.Receipt) { r.Size++ }),
		forge(func(r *wire.Receipt) { r.Class = r.Class%wire.MaxClass + 1 }),
		forge(func(r *wire.Receipt) { r.Tag = &[32]byte{1} }),
		forge(func(r *wire.Receipt) { r.Object[0]++ }),
		after(func(r *wire.Receipt) { r.Store[3]++ }),
		after(func(r *wire.Receipt) { r.Time = r.Time.Add(time.Second) }),
		func() { w.c.key = stranger },
		func() { w.c.key = stranger; w.c.forge = func(r *wire.Receipt) { r.Key = public(signer).ID() } },
	}
}

// mustBeGenuine fails the test if no genuine receipt went out for an object.
func (w *world) mustBeGenuine(name envelope.Name) {
	w.mu.Lock()
	defer w.mu.Unlock()
	assert.True(w.t, w.c.honest[name], "marked without a genuine receipt")
}

func (w *world) truth() {
	w.c.key, w.c.forge, w.c.after, w.c.mute, w.c.evil, w.garble = signer, nil, nil, nil, nil, nil
}

// TestLyingSessions: 10,000 sessions that each lie in some way. No object is
// marked in them, and each is delivered once somebody tells the truth.
func TestLyingSessions(t *testing.T) {
	seed := rand.Uint64N(1 << 32)
	sessions, bad := 0, int64(0)
	for n := uint64(0); sessions < some(10_000, 500); n++ {
		synctest.Test(t, func(t *testing.T) {
			r := rand.New(rand.NewPCG(seed, n))
			w := newWorld(t)
			w.delay = time.Millisecond
			w.q.marking = w.mustBeGenuine
			first := w.q.add(-1, 1000)
			stop := w.run()
			time.Sleep(time.Second)
			require.Equal(t, names(first), w.q.marked())
			old, err := w.c.receipt(wire.Offer{Object: first.Name, Size: first.Size, Class: uint8(first.Class)}).MarshalBinary()
			require.NoError(t, err)
			w.mu.Lock()
			lies, until, left := w.liesOfASession(r, old), 0, 250
			w.dial = func() error { // a lie, and the end of the link before it is put off
				w.mu.Lock()
				defer w.mu.Unlock()
				w.trace = nil
				w.truth()
				if left--; left >= 0 {
					sessions++
					lies[r.IntN(len(lies))]()
				}
				until = w.n + 4 + r.IntN(20)
				return nil
			}
			w.fate = func(n int, _ wire.Message) string {
				return map[bool]string{true: "cut"}[n >= until && left >= 0]
			}
			w.mu.Unlock()
			for range 3 {
				w.q.add(-1, 1+r.Int64N(3*wire.BlockSize))
			}
			for len(w.q.pending()) > 0 {
				time.Sleep(time.Minute)
				synctest.Wait()
				require.True(t, len(w.q.marked()) == 1 || left < 0, "seed %d", seed)
			}
			stop()
			bad += w.u.Status().BadReceipts
			require.Len(t, w.c.stored, 4)
		})
	}
	t.Logf("%d sessions, %d false receipts, seed %d", sessions, bad, seed)
	require.Greater(t, bad, int64(some(1000, 100)))
}

// hostile are peers that a vehicle must outlive. What each does to bad must not
// keep good from being delivered, unless nothing can be.
var hostile = map[string]struct {
	do      func(w *world, bad spool.Entry)
	starves bool  // nothing is delivered as long as it goes on
	most    int64 // bytes that go up in a day
}{
	"acknowledges and drops everything": {func(w *world, _ spool.Entry) {
		w.c.evil = func(wire.Message) []wire.Message { return nil }
	}, true, 0},
	"drops the data of one object": {func(w *world, bad spool.Entry) {
		w.fate = func(_ int, m wire.Message) string {
			d, data := m.(wire.Data)
			return map[bool]string{true: "drop"}[data && d.Object == bad.Name]
		}
	}, false, 100_000_000},
	"another class in the offer":  {alterOffer(func(o *wire.Offer) { o.Class = o.Class%wire.MaxClass + 1 }), false, 10_000_000},
	"another size in the offer":   {alterOffer(func(o *wire.Offer) { o.Size++ }), false, 10_000_000},
	"a page tag in the offer":     {alterOffer(func(o *wire.Offer) { o.Tag = &[32]byte{1} }), false, 10_000_000},
	"another object in the offer": {alterOffer(func(o *wire.Offer) { o.Object[0]++ }), false, 10_000_000},
	"HAVE all and no receipt": {func(w *world, bad spool.Entry) {
		evilFor(w, bad, func(m wire.Message) []wire.Message {
			return []wire.Message{wire.Have{Object: bad.Name, Size: bad.Size, Blocks: full(bad.Size)}}
		})
	}, false, 10_000_000},
	"takes everything and says nothing of it": {func(w *world, bad spool.Entry) {
		evilFor(w, bad, func(m wire.Message) []wire.Message {
			return []wire.Message{wire.Have{Object: bad.Name, Size: bad.Size, Blocks: wire.NewBitmap(bad.Size)}}
		})
	}, false, 80_000_000},
	"takes everything and forgets it": {func(w *world, bad spool.Entry) {
		have := wire.NewBitmap(bad.Size)
		evilFor(w, bad, func(m wire.Message) []wire.Message {
			if d, ok := m.(wire.Data); ok {
				for i := range wire.Blocks(int64(len(d.Blocks))) {
					have.Set(int(d.Index) + i)
				}
			}
			if have.Full(bad.Size) {
				clear(have)
			}
			return []wire.Message{wire.Have{Object: bad.Name, Size: bad.Size, Blocks: slices.Clone(have)}}
		})
	}, false, 80_000_000},
	"remembers the last message only": {func(w *world, bad spool.Entry) {
		evilFor(w, bad, func(m wire.Message) []wire.Message {
			have := wire.NewBitmap(bad.Size)
			if d, ok := m.(wire.Data); ok {
				for i := range wire.Blocks(int64(len(d.Blocks))) {
					have.Set(int(d.Index) + i)
				}
			}
			return []wire.Message{wire.Have{Object: bad.Name, Size: bad.Size, Blocks: have}}
		})
	}, false, 80_000_000},
	"takes it over and over and then says that it is wrong": {func(w *world, bad spool.Entry) {
		evilFor(w, bad, func(m wire.Message) []wire.Message {
			if d, ok := m.(wire.Data); ok && int64(d.Index)*wire.BlockSize+int64(len(d.Blocks)) == bad.Size {
				return []wire.Message{wire.Refused{Object: bad.Name, Reason: wire.ReasonHash}}
			}
			blocks := full(bad.Size)
			if o, ok := m.(wire.Data); ok {
				for i := int(o.Index) + 2; i < wire.Blocks(bad.Size); i++ {
					blocks[i/8] &^= 1 << (i % 8)
				}
			} else {
				clear(blocks)
			}
			return []wire.Message{wire.Have{Object: bad.Name, Size: bad.Size, Blocks: blocks}}
		})
	}, false, 80_000_000},
	"takes the session over again and again": {func(w *world, _ spool.Entry) {
		w.fate = func(n int, _ wire.Message) string { return map[bool]string{true: "cut"}[n%23 == 22] }
	}, false, 100_000_000},
	"takes the session over at once": {func(w *world, _ spool.Entry) {
		w.fate = func(int, wire.Message) string { return "cut" }
	}, true, 0},
	"a key that is not pinned": {func(w *world, _ spool.Entry) { w.c.key = stranger }, true, 30_000_000},
	"another vehicle's words": {func(w *world, bad spool.Entry) {
		w.noise = []wire.Message{wire.Refused{Object: envelope.Name{1}, Reason: 1}, wire.Have{Object: envelope.Name{2}, Size: 1, Blocks: wire.Bitmap{1}},
			w.c.receipt(wire.Offer{Object: envelope.Name{3}, Size: 5, Class: 1})}
		clear(w.c.honest)
	}, false, 30_000_000},
}

func alterOffer(change func(*wire.Offer)) func(*world, spool.Entry) {
	return func(w *world, bad spool.Entry) {
		w.alter = func(m wire.Message) wire.Message {
			if o, ok := m.(wire.Offer); ok && o.Object == bad.Name {
				change(&o)
				return o
			}
			return m
		}
	}
}

// evilFor answers for one object.
func evilFor(w *world, bad spool.Entry, answer func(wire.Message) []wire.Message) {
	w.c.evil = func(m wire.Message) []wire.Message {
		if m.Subject() == bad.Name {
			return answer(m)
		}
		evil := w.c.evil
		w.c.evil = nil
		defer func() { w.c.evil = evil }()
		return w.c.handle(m)
	}
}

// TestHostilePeers: for a day, and then they stop. Nothing is marked without a
// genuine receipt, others go on, traffic and log are bounded, memory too.
func TestHostilePeers(t *testing.T) {
	for name, peer := range hostile {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				w := newWorld(t)
				bad := w.q.add(-1, 5_000_000)
				w.q.marking = w.mustBeGenuine
				var good []spool.Entry
				for range 8 {
					good = append(good, w.q.add(-1, 500_000))
				}
				peer.do(w, bad)
				stop := w.run()
				before := heap()
				time.Sleep(20 * time.Minute)
				synctest.Wait()
				if peer.starves {
					require.Empty(t, w.q.marked())
				} else {
					for _, name := range names(good...) {
						require.True(t, slices.Contains(w.q.marked(), name), "others go on")
					}
				}
				day(w, 23*time.Hour+40*time.Minute)
				require.LessOrEqual(t, w.u.Status().Sent, peer.most)
				first := w.u.Status().Sent
				day(w, 24*time.Hour)
				day(w, 24*time.Hour)
				second := (w.u.Status().Sent - first) / 2
				t.Logf("%d kB on the first day, %d kB on a later one, heap +%d kB", first/1000, second/1000, (heap()-before)/1000)
				require.LessOrEqual(t, second, int64(16_000_000))
				require.Less(t, strings.Count(w.log.String(), "\n"), 3*24*10)
				require.Less(t, heap()-before, int64(8<<20))
				w.mu.Lock()
				w.truth()
				w.alter, w.fate, w.noise = nil, nil, nil
				clear(w.c.parts) // with sizes that nobody offers any more
				w.mu.Unlock()
				time.Sleep(25 * time.Hour)
				synctest.Wait()
				require.Empty(t, w.q.pending(), "it has recovered")
				stop()
			})
		})
	}
}

// day passes, without the trace.
func day(w *world, d time.Duration) {
	for range int(d / time.Minute) {
		time.Sleep(time.Minute)
		w.mu.Lock()
		w.trace = nil
		w.mu.Unlock()
	}
	synctest.Wait()
}

func heap() int64 {
	runtime.GC()
	var m runtime.MemStats
	runtime.ReadMemStats(&m)
	return int64(m.HeapAlloc)
}

// TestFlood: hundreds of thousands of words that are none of ours come between
// the answers to an upload.
func TestFlood(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t)
		w.q.marking = w.mustBeGenuine
		var all []spool.Entry
		for range 20 {
			all = append(all, w.q.add(-1, 500_000))
		}
		e := all[0]
		forged := wire.Receipt{Key: public(signer).ID(), Object: all[19].Name, Size: 500_000, Class: uint8(all[19].Class), Time: time.Now()}
		for i := range 4000 {
			w.noise = append(w.noise, []wire.Message{
				wire.Have{Object: envelope.Name{byte(i)}, Size: 500_000, Blocks: wire.NewBitmap(500_000)},
				wire.Have{Object: e.Name, Size: wire.MaxObject, Blocks: wire.NewBitmap(wire.MaxObject)}, // the largest there is
				wire.Refused{Object: envelope.Name{byte(i)}, Reason: wire.Reason(1 + i%255)},
				wire.Offer{Object: e.Name, Size: 5, Class: 1},
				wire.Data{Object: e.Name, Size: 5, Blocks: make([]byte, 5)},
			}[i%5])
		}
		w.noise = append(w.noise, forged)
		before, most, words := heap(), int64(0), 0
		w.garble = func(b []byte) []byte {
			if words++; words%20_000 == 0 {
				most = max(most, heap()-before)
			}
			return b
		}
		w.finish(time.Hour)
		require.Greater(t, words, 300_000)
		require.Less(t, most, int64(16<<20))
		require.Less(t, w.u.Status().Sent, int64(12_000_000))
		require.Less(t, strings.Count(w.log.String(), "\n"), 10)
		t.Logf("%d words, heap at most +%d kB", words, most/1000)
	})
}

// TestRefusedFlood: whoever refuses every object, for every reason there is,
// costs little memory and traffic, and nothing once it stops.
func TestRefusedFlood(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t)
		for i := range int64(500) {
			w.q.add(-1, 1+i)
		}
		before := heap()
		offers, busiest, minute := 0, 0, map[int64]int{}
		w.c.refuse = func(wire.Offer) wire.Reason {
			offers++
			now := time.Now().Unix() / 60
			minute[now]++
			busiest = max(busiest, minute[now])
			return wire.Reason(1 + offers%255)
		}
		stop := w.run()
		day(w, 6*time.Hour)
		t.Logf("%d offers, %d sessions, heap +%d kB in 6 h", offers, w.sessions(), (heap()-before)/1000)
		require.Less(t, busiest, 300, "offers in one minute")
		require.Less(t, heap()-before, int64(4<<20))
		require.Less(t, strings.Count(w.log.String(), "\n"), 6*10)
		require.Empty(t, w.q.marked())
		w.mu.Lock()
		w.c.refuse = nil
		w.mu.Unlock()
		day(w, 2*time.Hour)
		require.Empty(t, w.q.pending())
		stop()
	})
}
