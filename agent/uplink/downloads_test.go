package uplink_test

import (
	"bytes"
	"math/bits"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"roadseal/agent/downlink"
	"roadseal/agent/uplink"
	"roadseal/agent/wire"
	"roadseal/crypto/signed"
	"roadseal/firmware/fetch/fetchtest"
)

// The downlink and the interface must fit.
var _ uplink.Downloads = (*downlink.Downlink)(nil)

const targets = "director/2.targets.json"

// fetching starts a download of a file of n blocks. The function that it returns
// waits for its end and fails the test unless the file came.
func (w *world) fetching(n int) (wait func()) {
	w.d = downlink.New()
	file := fetchtest.Noise(uint64(n), n*wire.BlockSize-7)
	w.c.files.Put(targets, file)
	done := make(chan error, 1)
	var got []byte
	go func() {
		var err error
		got, err = w.d.Fetch(w.t.Context(), targets, 64<<20)
		done <- err
	}()
	return func() {
		w.t.Helper()
		require.NoError(w.t, <-done)
		require.True(w.t, bytes.Equal(file, got), "the file that was asked for")
	}
}

// TestUploadsAreNotSlowed: with an upload in hand one block is outstanding at
// most, and the uploads take no longer than alone, but for that block.
func TestUploadsAreNotSlowed(t *testing.T) {
	const rate = 500_000
	took := func(downloads bool) (d time.Duration) {
		synctest.Test(t, func(t *testing.T) {
			w := newWorld(t)
			w.rate, w.down = rate, rate
			for range 20 {
				w.q.add(-1, 1_000_000)
			}
			wait := func() {}
			if downloads {
				wait = w.fetching(500)
			}
			d = w.finish(5 * time.Minute)
			if !downloads {
				return
			}
			require.Greater(t, len(w.asked), 30, "it is not starved")
			for _, a := range w.asked {
				if a.inHand > 0 {
					require.Equal(t, 1, bits.OnesCount8(a.Wanted))
					require.Equal(t, 1, a.outstanding)
				}
			}
			require.Zero(t, w.u.Status().Resent)
			defer w.run()()
			wait()
		})
		return d
	}
	alone := took(false)
	block := wire.BlockSize * time.Second / rate
	require.InDelta(t, alone.Seconds(), took(true).Seconds(), (block + 200*time.Millisecond).Seconds(), "a block, and the poll of the test")
}

// TestDownloadIsNotStarved: there is always an upload in hand.
func TestDownloadIsNotStarved(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t)
		w.rate = 100_000 // a DATA message takes more than a second
		for range 300 {
			w.q.add(-1, 1_000_000)
		}
		wait, start := w.fetching(30), time.Now()
		stop := w.run()
		wait()
		require.Less(t, time.Since(start), 8*time.Minute, "an ASK waits for a window of DATA at most")
		require.NotEmpty(t, w.q.pending())
		for _, a := range w.asked {
			require.Positive(t, a.inHand)
			require.Equal(t, 1, a.outstanding)
		}
		stop()
	})
}

// TestWindowOpens: when nothing is left to upload.
func TestWindowOpens(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t)
		wait := w.fetching(50)
		stop := w.run()
		wait()
		most := 0
		for _, a := range w.asked {
			most = max(most, a.outstanding)
		}
		require.Equal(t, wire.MaxAsk, most)
		require.Less(t, len(w.asked), 20)
		stop()
	})
}

// TestIdleSession: a download begins at once though nothing else happens, and
// what is lost is asked for in time.
func TestIdleSession(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t)
		w.d = downlink.New()
		w.c.files.Put(targets, []byte("here"))
		defer w.run()()
		time.Sleep(61 * time.Second)
		for _, lost := range []time.Duration{0, 1} {
			w.mu.Lock()
			first := w.n
			w.fate = func(n int, _ wire.Message) string { return map[bool]string{true: "drop"}[n == first && lost > 0] }
			w.mu.Unlock()
			start := time.Now()
			got, err := w.d.Fetch(t.Context(), targets, 1000)
			require.NoError(t, err)
			require.Equal(t, "here", string(got))
			require.Equal(t, lost*2*time.Second+2*w.delay, time.Since(start))
			time.Sleep(3 * time.Second) // not at a time when the session beats
		}
	})
}

// TestCutDownloads: the link is cut at every message of a run that goes both
// ways. No block is asked for twice that was not outstanding.
func TestCutDownloads(t *testing.T) {
	run := func(t *testing.T, k int) (messages int) {
		synctest.Test(t, func(t *testing.T) {
			w := newWorld(t)
			w.q.add(-1, 9*wire.BlockSize+5)
			w.fate = func(n int, _ wire.Message) string { return map[bool]string{true: "cut"}[n == k] }
			wait := w.fetching(14)
			start := time.Now()
			stop := w.run()
			wait()
			require.Less(t, time.Since(start), 10*time.Second)
			for len(w.q.pending()) > 0 {
				time.Sleep(time.Second)
			}
			stop()
			wanted, came := 0, map[uint32]int{}
			for _, m := range w.trace {
				switch m := m.(type) {
				case wire.Ask:
					require.Zero(t, came[m.First], "what came is not asked for")
					wanted += bits.OnesCount8(m.Wanted)
				case wire.Part:
					came[m.Index]++
				}
			}
			require.LessOrEqual(t, wanted, 14+map[bool]int{true: wire.MaxAsk}[k >= 0])
			require.Len(t, came, 14)
			messages = w.n
		})
		return messages
	}
	for k := range run(t, -1) {
		run(t, k)
	}
}

// TestBlocksAreProgress: a download alone over a link that never lasts connects
// again as soon as an upload would.
func TestBlocksAreProgress(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t)
		w.fate = func(n int, _ wire.Message) string { return map[bool]string{true: "cut"}[n%12 == 11] }
		wait, start := w.fetching(100), time.Now()
		stop := w.run()
		wait()
		stop()
		require.GreaterOrEqual(t, w.sessions(), 8)
		require.Less(t, time.Since(start), 4*time.Duration(w.sessions())*time.Second)
	})
}

// TestUnaskedParts: nobody asked for them, with downloads or without. They are
// nothing that the collector says about an upload either.
func TestUnaskedParts(t *testing.T) {
	for _, downloads := range []bool{false, true} {
		synctest.Test(t, func(t *testing.T) {
			w := newWorld(t)
			if downloads {
				w.d = downlink.New()
			}
			e := w.q.add(-1, 20*wire.BlockSize)
			w.q.add(-1, 100)
			part := wire.Part{File: e.Name, Size: e.Size, Block: make([]byte, wire.BlockSize)}
			absent := wire.Absent{Reason: wire.AbsentNone}
			w.noise = []wire.Message{part, part, absent, wire.Ask{File: e.Name, Wanted: 1, Name: targets}}
			w.finish(time.Minute)
			require.Equal(t, 1, w.sessions())

			w.noise = nil
			w.c.evil = func(wire.Message) []wire.Message { return []wire.Message{part, absent} }
			w.q.add(-1, 20*wire.BlockSize+1)
			before := w.sessions()
			stop := w.run()
			time.Sleep(18 * time.Second)
			require.Contains(t, w.u.Status().LastError, "collector is silent")
			require.Greater(t, w.sessions(), before)
			stop()
		})
	}
}

// TestFloodsBesideUploads: whatever comes down with every message, even with the
// right request, the uploads go on, and the download ends.
func TestFloodsBesideUploads(t *testing.T) {
	for what, flood := range map[string]func(wire.Ask) wire.Message{
		"another file": func(a wire.Ask) wire.Message { return partOf(a, 1, 5*wire.BlockSize, 0) },
		"another size": func(a wire.Ask) wire.Message {
			return wire.Part{Request: a.Request, File: a.File, Size: 1, Block: []byte{1}}
		},
		"another request": func(a wire.Ask) wire.Message { a.Request[0]++; return partOf(a, 0, 5*wire.BlockSize, 1) },
		"not there":       func(a wire.Ask) wire.Message { return wire.Absent{Reason: wire.AbsentNone} },
		"changed":         func(a wire.Ask) wire.Message { return wire.Absent{Request: a.Request, Reason: wire.AbsentChanged} },
		"not now":         func(a wire.Ask) wire.Message { return wire.Absent{Request: a.Request, Reason: wire.AbsentLater} },
		"giant":           func(a wire.Ask) wire.Message { return partOf(a, 1, wire.MaxFile, 0) },
	} {
		t.Run(what, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				w := newWorld(t)
				w.d = downlink.New()
				w.q.add(-1, 60*wire.BlockSize)
				last := wire.Ask{}
				var evil func(wire.Message) []wire.Message
				evil = func(m wire.Message) (out []wire.Message) {
					if a, ok := m.(wire.Ask); ok {
						last = a
					} else {
						w.c.evil = nil // uploads find an honest one
						out = w.c.handle(m)
						w.c.evil = evil
					}
					for range 20 * min(1, int(last.Wanted)) {
						out = append(out, flood(last))
					}
					return out
				}
				w.c.evil = evil
				done := make(chan error, 1)
				go func() {
					_, err := w.d.Fetch(t.Context(), targets, 1<<20)
					done <- err
				}()
				require.Less(t, w.finish(time.Minute), 3*time.Second)
				require.Zero(t, w.u.Status().Resent)
				defer w.run()()
				err := <-done
				require.Error(t, err)
				if e := new(signed.Error); what == "giant" {
					require.ErrorAs(t, err, &e)
					require.Equal(t, signed.EndlessData, e.Attack)
				}
			})
		})
	}
}

// partOf is a well-formed block of a file of zeros.
func partOf(a wire.Ask, file byte, size int64, index uint32) wire.Part {
	a.File[0] += file
	return wire.Part{Request: a.Request, File: a.File, Size: size, Index: index, Block: make([]byte, wire.BlockSize)}
}
