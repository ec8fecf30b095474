package uplink_test

import (
	"errors"
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"roadseal/agent/mqttlink"
	"roadseal/agent/spool"
	"roadseal/agent/uplink"
	"roadseal/agent/wire"
	"roadseal/crypto/envelope"
)

// The session and the interface must fit.
var _ uplink.Link = (*mqttlink.Session)(nil)

const window = wire.Window * wire.MaxBlocks // blocks

func TestUpload(t *testing.T) {
	for _, blocks := range []int{1, 2} {
		synctest.Test(t, func(t *testing.T) {
			w := newWorld(t)
			w.blocks = blocks
			total := int64(0)
			for _, size := range []int64{1, wire.BlockSize, 40*wire.BlockSize + 17, 2*wire.BlockSize + 1, 100, 33 * wire.BlockSize} {
				w.q.add(-1, size)
				total += size
			}
			all := names(w.q.pending()...)
			w.finish(time.Minute)

			require.ElementsMatch(t, all, w.q.marked(), "each once")
			require.Len(t, w.c.stored, len(all))
			require.Zero(t, w.c.dup)
			require.Len(t, w.got, len(all))
			require.Equal(t, len(all), w.q.forgot, "pages are dropped")
			require.Equal(t, wire.Window, w.most, "the window is used and kept")
			st := w.u.Status()
			require.Equal(t, []int64{total, 0, 0, int64(len(all))}, []int64{st.Sent, st.Resent, st.BadReceipts, st.Delivered})
			require.Empty(t, st.LastError)
			require.WithinDuration(t, time.Now(), st.LastReceipt, time.Minute)
			require.Equal(t, 1, w.sessions())
			require.Equal(t, 1, strings.Count(w.log.String(), "\n"), w.log.String())
		})
	}
}

// TestPipeStaysFull: on a link with delay the window is what limits, and
// nothing else does. 8 messages of 120 KiB cover 1 MB/s and 400 ms.
func TestPipeStaysFull(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t)
		w.delay, w.rate = 100*time.Millisecond, 1_000_000
		w.q.add(-1, 15_000_000)
		for range 15 {
			w.q.add(-1, 1_000_000)
		}
		took := w.finish(5 * time.Minute)
		require.Less(t, took, 31*time.Second, "30 MB at 1 MB/s: 97 % of the line")
		require.Zero(t, w.u.Status().Resent)
	})
}

// TestWindowFitsTheLink: where messages are confirmed at once the window widens,
// and on any other link it never does. One that slows down gets the small one
// back with the next confirmation.
func TestWindowFitsTheLink(t *testing.T) {
	for delay, most := range map[time.Duration]int{
		time.Millisecond:                 wire.Wide,
		wire.Prompt/2 - time.Millisecond: wire.Wide,
		wire.Prompt / 2:                  wire.Window,
		time.Second / 2:                  wire.Window,
	} {
		synctest.Test(t, func(t *testing.T) {
			w := newWorld(t)
			w.delay = delay
			w.q.add(-1, 200*wire.BlockSize)
			w.q.add(-1, 200*wire.BlockSize)
			w.finish(time.Minute)
			require.Equal(t, most, w.most, "round trip %v", 2*delay)
			require.Zero(t, w.u.Status().Resent)
		})
	}
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t)
		w.delay = 0
		w.q.add(-1, 2000*wire.BlockSize)
		data := 0
		w.fate = func(_ int, m wire.Message) string {
			if _, ok := m.(wire.Data); ok {
				if data++; data == 200 {
					w.delay = time.Second
				}
				if data == 300 {
					w.most = 0
				}
			}
			return ""
		}
		w.finish(5 * time.Minute)
		require.Greater(t, data, 900)
		require.Equal(t, wire.Window, w.most)
	})
}

// faults are run against a world of three objects, once for each message that
// a run without faults exchanges.
func faults(t *testing.T, fate func(k int, w *world) func(n int, m wire.Message) string, check func(*testing.T, *world)) {
	fill := func(w *world) {
		w.q.add(-1, 25*wire.BlockSize+5)
		w.q.add(-1, 10)
		w.q.add(-1, 5*wire.BlockSize)
	}
	messages := 0
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t)
		fill(w)
		w.finish(time.Minute)
		messages = w.n
	})
	require.Greater(t, messages, 25)
	for k := range messages {
		synctest.Test(t, func(t *testing.T) {
			w := newWorld(t)
			fill(w)
			w.fate = fate(k, w)
			w.finish(5 * time.Minute)
			require.Len(t, w.q.marked(), 3)
			for name, times := range w.c.stored {
				require.Equal(t, 1, times, "object %v after a fault at message %d", name, k)
			}
			check(t, w)
		})
	}
}

func TestCutAtEveryMessage(t *testing.T) {
	faults(t, func(k int, _ *world) func(int, wire.Message) string {
		return func(n int, _ wire.Message) string { return map[bool]string{true: "cut"}[n == k] }
	}, func(t *testing.T, w *world) {
		require.Equal(t, 2, w.sessions())
		require.LessOrEqual(t, w.u.Status().Resent, int64(window*wire.BlockSize))
		require.LessOrEqual(t, w.most, wire.Window)
		require.Less(t, w.dialled[1].Sub(w.dialled[0]), 4*time.Second)
	})
}

func TestEveryMessageLost(t *testing.T) {
	faults(t, func(k int, _ *world) func(int, wire.Message) string {
		return func(n int, _ wire.Message) string { return map[bool]string{true: "drop"}[n == k] }
	}, func(t *testing.T, w *world) {
		require.Equal(t, 1, w.sessions())
		require.LessOrEqual(t, w.u.Status().Resent, int64(window*wire.BlockSize))
	})
}

func TestEveryMessageTwice(t *testing.T) {
	faults(t, func(int, *world) func(int, wire.Message) string {
		return func(int, wire.Message) string { return "twice" }
	}, func(t *testing.T, w *world) { require.Zero(t, w.u.Status().Resent) })
}

// TestLossShowsAtOnce: what went up later arrives, so nobody waits for a timer.
func TestLossShowsAtOnce(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t)
		w.q.add(-1, 80*wire.BlockSize)
		lost := false
		w.fate = func(_ int, m wire.Message) string {
			if d, data := m.(wire.Data); !data || d.Index != 20 || lost {
				return ""
			}
			lost = true
			return "drop"
		}
		require.Less(t, w.finish(time.Minute), 2*time.Second)
		require.Equal(t, int64(2*wire.BlockSize), w.u.Status().Resent)
	})
}

// TestLostTail: where nothing follows, offers find out. The answer to the first
// one confirms what arrived, that to the second one has nothing new to say.
func TestLostTail(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t)
		w.q.add(-1, 40*wire.BlockSize)
		lost := false
		w.fate = func(_ int, m wire.Message) string {
			if d, data := m.(wire.Data); !data || d.Index != 38 || lost {
				return ""
			}
			lost = true
			return "drop"
		}
		require.Less(t, w.finish(time.Minute), 6*time.Second)
		require.Equal(t, int64(2*wire.BlockSize), w.u.Status().Resent)
	})
}

// TestWordsBeforeTheEndCount: a receipt that comes just before the connection
// is lost is not asked for again.
func TestWordsBeforeTheEndCount(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t)
		for range 20 {
			w.q.add(-1, 1000)
		}
		w.fate = func(_ int, m wire.Message) string {
			_, receipt := m.(wire.Receipt)
			return map[bool]string{true: "last"}[receipt]
		}
		w.finish(10 * time.Minute)
		delivered := map[envelope.Name]bool{}
		for _, m := range w.trace {
			switch m.(type) {
			case wire.Receipt:
				delivered[m.Subject()] = true
			case wire.Offer:
				require.False(t, delivered[m.Subject()])
			}
		}
		require.Len(t, delivered, 20)
	})
}

// TestCollectorForgets: it restarts and has lost the partial objects, with the
// connection to the broker unharmed.
func TestCollectorForgets(t *testing.T) {
	faults(t, func(k int, w *world) func(int, wire.Message) string {
		return func(n int, _ wire.Message) string {
			if n == k {
				clear(w.c.parts)
			}
			return ""
		}
	}, func(t *testing.T, w *world) { require.Equal(t, 1, w.sessions()) })
}

// TestChaos throws everything at the uplink, seed by seed.
func TestChaos(t *testing.T) {
	for seed := range uint64(60) {
		synctest.Test(t, func(t *testing.T) {
			r := rand.New(rand.NewPCG(seed, 1))
			w := newWorld(t)
			w.delay = time.Duration(r.IntN(400)) * time.Millisecond
			w.rate = []int{0, 100_000, 1_000_000}[r.IntN(3)]
			w.blocks = 1 + r.IntN(2)
			for range 6 {
				w.q.add(-1, 1+r.Int64N(20*wire.BlockSize))
			}
			all := names(w.q.pending()...)
			w.fate = func(int, wire.Message) string {
				switch r.IntN(60) {
				case 0, 1:
					return "drop"
				case 2:
					return "cut"
				case 3, 4:
					return "twice"
				case 5:
					clear(w.c.parts)
				}
				return ""
			}
			w.c.forge = func(rec *wire.Receipt) {
				if r.IntN(4) == 0 {
					rec.Size++
				}
			}
			w.c.refuse = func(wire.Offer) wire.Reason {
				if r.IntN(20) == 0 {
					return wire.ReasonBusy
				}
				return 0
			}
			w.finish(3 * time.Hour)
			require.ElementsMatch(t, all, w.q.marked(), "seed %d", seed)
			for _, name := range all {
				require.Positive(t, w.c.stored[name], "marked without being stored, seed %d", seed)
			}
		})
	}
}

func TestDialErrors(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t)
		w.q.add(-1, 1000)
		w.dial = func() error { return fmt.Errorf("broker is away, attempt %d", w.sessions()/1000) }
		stop := w.run()
		time.Sleep(24 * time.Hour)
		synctest.Wait()
		st := w.u.Status()
		require.Equal(t, "broker is away, attempt "+fmt.Sprint(w.sessions()/1000), st.LastError)
		require.False(t, st.Connected)
		require.WithinDuration(t, time.Now().Add(-24*time.Hour), st.Since, time.Second)
		stop()
		// Pauses grow from 1-2 s to 30-60 s.
		require.Less(t, w.dialled[1].Sub(w.dialled[0]), 2*time.Second)
		require.GreaterOrEqual(t, w.dialled[1].Sub(w.dialled[0]), time.Second)
		require.InDelta(t, 24*60*60/45, w.sessions(), 100)
		require.LessOrEqual(t, strings.Count(w.log.String(), "\n"), 2*24, "at most some lines an hour")
	})
}

// TestFlapping: a link that is cut every minute for a day, each time for a
// reason that reads differently, does not fill the log.
func TestFlapping(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t)
		w.q.add(-1, 1000)
		w.dial = func() error {
			if w.sessions()%2 == 0 {
				return fmt.Errorf("reason %d", w.sessions())
			}
			return nil
		}
		w.fate = func(int, wire.Message) string { return "cut" }
		stop := w.run()
		time.Sleep(24 * time.Hour)
		stop()
		require.Greater(t, w.sessions(), 1000)
		require.LessOrEqual(t, strings.Count(w.log.String(), "\n"), 24*20)
	})
}

func TestPauseIsShortAfterProgress(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t)
		w.q.add(-1, 200*wire.BlockSize)
		w.fate = func(n int, _ wire.Message) string { return map[bool]string{true: "cut"}[n%12 == 11] }
		w.finish(10 * time.Minute)
		require.Greater(t, w.sessions(), 10)
		for i := range w.sessions() - 1 {
			require.Less(t, w.dialled[i+1].Sub(w.dialled[i]), 6*time.Second)
		}
	})
}

func TestSilentCollector(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t)
		stop := w.run()
		time.Sleep(time.Hour)
		synctest.Wait()
		require.Equal(t, 1, w.sessions(), "nothing to upload, nothing to hear")
		require.True(t, w.u.Status().Connected)

		mute := func(f func(wire.Message) bool) {
			w.mu.Lock()
			defer w.mu.Unlock()
			w.c.mute = f
		}
		mute(func(wire.Message) bool { return true })
		w.q.add(-1, 1000)
		start := time.Now()
		for w.u.Status().LastError == "" {
			time.Sleep(time.Second)
		}
		require.InDelta(t, 15, time.Since(start).Seconds(), 1.1)
		require.Contains(t, w.u.Status().LastError, "collector is silent: is one running that owns shard "+wire.Shard(device))
		time.Sleep(time.Hour)
		mute(nil)
		time.Sleep(2 * time.Minute)
		synctest.Wait()
		require.Empty(t, w.q.pending())
		stop()
	})
}

// TestSlowLink: a link that takes half a minute for a window is used, not cut
// again and again.
func TestSlowLink(t *testing.T) {
	for rate, sessions := range map[int]int{400_000: 1, 100_000: 1, 40_000: 2, 20_000: 2, 10_000: 3} {
		synctest.Test(t, func(t *testing.T) {
			w := newWorld(t)
			w.rate = rate
			w.q.add(-1, 6_000_000)
			w.q.add(-1, 3000)
			took := w.finish(time.Hour)
			require.LessOrEqual(t, w.sessions(), sessions, "rate %d", rate)
			require.Less(t, took.Seconds(), 1.2*6_000_000/float64(rate)+60, "rate %d", rate)
			require.LessOrEqual(t, w.u.Status().Resent, int64(2*window*wire.BlockSize), "rate %d", rate)
		})
	}
}

// TestSlowLinkRecovers: a link that was slow for a while is used in full again.
func TestSlowLinkRecovers(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t)
		w.rate = 20_000
		w.q.add(-1, 32_000_000)
		stop := w.run()
		time.Sleep(3 * time.Minute)
		w.mu.Lock()
		w.rate = 2_000_000
		w.mu.Unlock()
		start := time.Now()
		for len(w.q.pending()) > 0 {
			time.Sleep(100 * time.Millisecond)
		}
		require.Less(t, time.Since(start), 35*time.Second)
		stop()
	})
}

func TestContextEndsAtOnce(t *testing.T) {
	for _, after := range []time.Duration{0, 10 * time.Millisecond, 130 * time.Millisecond, 700 * time.Millisecond, 3 * time.Second} {
		synctest.Test(t, func(t *testing.T) {
			w := newWorld(t)
			w.rate = 100_000
			w.q.add(-1, 5_000_000)
			stop := w.run()
			time.Sleep(after)
			stop() // looks at the clock
		})
	}
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t)
		w.dial = func() error { return errors.New("no") }
		stop := w.run()
		time.Sleep(90 * time.Second) // in a pause
		stop()
	})
}

// TestPromoted: an object that gets a longer class is offered for that at once,
// ahead of the others, wherever its upload is. A receipt for the shorter class,
// which is true, does not count, and is nothing to complain of.
func TestPromoted(t *testing.T) {
	for what, when := range map[string]func(m wire.Message, e spool.Entry) bool{
		"offered": func(m wire.Message, e spool.Entry) bool { o, ok := m.(wire.Offer); return ok && o.Object == e.Name },
		"going up": func(m wire.Message, e spool.Entry) bool {
			d, ok := m.(wire.Data)
			return ok && d.Object == e.Name && d.Index > 8
		},
		"receipted": func(m wire.Message, e spool.Entry) bool { r, ok := m.(wire.Receipt); return ok && r.Object == e.Name },
	} {
		t.Run(what, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				w := newWorld(t)
				w.q.add(-1, 60*wire.BlockSize)
				e := w.q.add(-1, 20*wire.BlockSize)
				require.Equal(t, 2, e.Class)
				var once sync.Once
				at := 0
				w.fate = func(n int, m wire.Message) string {
					if when(m, e) {
						once.Do(func() { w.q.promote(e); at = len(w.trace) })
					}
					return ""
				}
				w.finish(time.Minute)
				require.Positive(t, at)
				last := w.got[slices.IndexFunc(w.got, func(r wire.Receipt) bool { return r.Object == e.Name && r.Class == 1 })]
				require.EqualValues(t, 1, last.Class)
				require.Len(t, w.q.marked(), 2)
				st := w.u.Status()
				require.Zero(t, st.BadReceipts)
				require.Zero(t, st.Resent)
				require.NotContains(t, w.log.String(), "refused")
				again := slices.IndexFunc(w.trace[at:], func(m wire.Message) bool { o, ok := m.(wire.Offer); return ok && o.Object == e.Name })
				require.LessOrEqual(t, again, wire.Window, "at once")
			})
		})
	}
}
