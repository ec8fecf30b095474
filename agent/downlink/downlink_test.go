package downlink_test

import (
	"context"
	"errors"
	"io/fs"
	"math/bits"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"roadseal/agent/wire"
	"roadseal/crypto/signed"
	"roadseal/firmware/fetch"
	"roadseal/firmware/fetch/fetchtest"
)

// TestFetcher: what every fetcher must do, in real time and without delays.
func TestFetcher(t *testing.T) {
	fetchtest.Run(t, func(t *testing.T, files *fetchtest.Files) fetch.Fetcher {
		r := newRig(t)
		r.files, r.delay, r.answer = files, 0, files.Answer
		t.Cleanup(r.run())
		return r.d
	})
}

// TestPipeStaysFull: eight blocks under way are enough for a link with a delay,
// and are never more.
func TestPipeStaysFull(t *testing.T) {
	file := fetchtest.Noise(1, 100*block+1)
	bubble(t, func(r *rig) {
		r.rate, r.delay = 1_000_000, 100*time.Millisecond
		r.files.Put(name, file)
	}, func(t *testing.T, r *rig) {
		require.Less(t, r.get(file), 7*time.Second, "6.1 MB at 1 MB/s")
		require.Equal(t, wire.MaxAsk, r.most)
		require.LessOrEqual(t, len(r.asks), 1+100/(wire.MaxAsk/2)+1, "one ASK for half a window")
		wanted := 0
		for _, a := range r.asks {
			wanted += bits.OnesCount8(a.Wanted)
			require.Equal(t, name, a.Name)
		}
		require.Equal(t, 101, wanted, "each block once")
		require.Equal(t, 101, r.news)
		require.Less(t, r.calls, 10*len(r.came), "the session does not turn for nothing")
	})
}

// TestBesideAnUpload: one block at a time.
func TestBesideAnUpload(t *testing.T) {
	file := fetchtest.Noise(1, 20*block)
	bubble(t, func(r *rig) {
		r.busy = func() bool { return true }
		r.files.Put(name, file)
	}, func(t *testing.T, r *rig) {
		require.Equal(t, 20*2*r.delay, r.get(file))
		require.Equal(t, 1, r.most)
		require.Len(t, r.asks, 20)
	})
}

// TestAnUploadBegins: what is outstanding comes, and from then on one block at a
// time is asked for.
func TestAnUploadBegins(t *testing.T) {
	file := fetchtest.Noise(1, 40*block)
	bubble(t, func(r *rig) {
		r.rate = 1_000_000
		r.busy = func() bool { return len(r.came) >= 10 }
		r.files.Put(name, file)
	}, func(t *testing.T, r *rig) {
		r.get(file)
		for _, times := range r.came {
			require.Equal(t, 1, times)
		}
		singles := 0
		for _, a := range r.asks[4:] {
			require.Equal(t, 1, bits.OnesCount8(a.Wanted))
			singles++
		}
		require.Greater(t, singles, 20)
	})
}

// faults fetches a file of 20 blocks with a fault at each of the messages that
// this takes.
func faults(t *testing.T, fate func(k, n int) string, check func(*testing.T, *rig, time.Duration)) {
	file, messages := fetchtest.Noise(1, 19*block+5), 0
	once := func(fate func(int, wire.Message) string, check func(*testing.T, *rig, time.Duration)) {
		bubble(t, func(r *rig) { r.rate, r.fate, r.pause = 2_000_000, fate, time.Second; r.files.Put(name, file) },
			func(t *testing.T, r *rig) { check(t, r, r.get(file)) })
	}
	once(nil, func(_ *testing.T, r *rig, _ time.Duration) { messages = r.n })
	require.GreaterOrEqual(t, messages, 24)
	for k := range messages {
		once(func(n int, _ wire.Message) string { return fate(k, n) }, check)
	}
}

// at is a fate for the k-th message.
func at(fate string) func(k, n int) string {
	return func(k, n int) string { return map[bool]string{true: fate}[n == k] }
}

// TestCutAtEveryMessage: the next session asks for what is missing. What came is
// not asked for again, and what was outstanding is all that could come twice.
func TestCutAtEveryMessage(t *testing.T) {
	faults(t, at("cut"), func(t *testing.T, r *rig, took time.Duration) {
		require.Equal(t, 2, r.sessions)
		require.Less(t, took, 2500*time.Millisecond, "a second of it without a session")
		wanted := 0
		for _, a := range r.asks {
			wanted += bits.OnesCount8(a.Wanted)
		}
		require.LessOrEqual(t, wanted, 20+wire.MaxAsk)
		for _, times := range r.came {
			require.LessOrEqual(t, times, 1, "the line of the first session is lost with it")
		}
		require.Equal(t, 20, r.news)
		for _, a := range r.asks {
			require.Equal(t, r.asks[0].Request, a.Request, "the same request goes on")
		}
	})
}

func TestEveryMessageLost(t *testing.T) {
	faults(t, at("drop"), func(t *testing.T, r *rig, took time.Duration) {
		require.Less(t, took, 4*time.Second)
		require.Equal(t, 1, r.sessions)
		require.Equal(t, 20, r.news)
	})
}

func TestEveryMessageTwice(t *testing.T) {
	faults(t, func(int, int) string { return "twice" }, func(t *testing.T, r *rig, _ time.Duration) {
		require.Equal(t, 20, r.news)
		require.LessOrEqual(t, r.most, 4*wire.MaxAsk) // of which three quarters were not asked for
	})
}

// TestEveryOrder: a block that comes late is taken and not asked for again.
func TestEveryOrder(t *testing.T) {
	faults(t, func(k, n int) string { return map[bool]string{true: "late"}[n%(k+2) == k] }, func(t *testing.T, r *rig, took time.Duration) {
		require.Less(t, took, 20*time.Second)
		require.Equal(t, 20, r.news)
		for _, times := range r.came {
			require.Equal(t, 1, times)
		}
	})
}

// TestNobodyAnswers: the ASK is repeated after 2, 4, 8, 10 s. After a minute that
// is no attack: a collector that is down, or knows no downloads, is as silent.
func TestNobodyAnswers(t *testing.T) {
	bubble(t, func(r *rig) { r.answer = func(wire.Ask) []wire.Message { return nil } }, func(t *testing.T, r *rig) {
		took, err := r.fails(1000)
		requireNoAttack(t, fetch.NoAnswer, err)
		require.Equal(t, fetch.Patience, took)
		want := []time.Duration{}
		for _, s := range []time.Duration{0, 2, 6, 14, 24, 34, 44, 54} {
			want = append(want, s*time.Second)
		}
		require.Equal(t, want, r.at)
	})
}

func requireAttack(t *testing.T, want signed.Attack, err error) {
	t.Helper()
	var e *signed.Error
	require.ErrorAs(t, err, &e)
	require.Equal(t, want, e.Attack)
	require.Equal(t, "director", e.Repository)
}

func requireNoAttack(t *testing.T, why signed.Unserved, err error) {
	t.Helper()
	var e *signed.Error
	require.False(t, errors.As(err, &e), "%v", err)
	require.ErrorIs(t, err, why)
	require.EqualError(t, err, "director/2.targets.json: "+why.Error())
}

// TestSlowDrip: a block a minute is 1 KiB/s. Below that is an attack, above it
// is not.
func TestSlowDrip(t *testing.T) {
	file := fetchtest.Noise(1, 5*block)
	for every, attack := range map[time.Duration]bool{59 * time.Second: false, 61 * time.Second: true} {
		bubble(t, func(r *rig) {
			r.files.Put(name, file)
			r.answer = func(a wire.Ask) []wire.Message {
				if len(r.asks) == 1 { // whatever is asked for later
					for i := range 5 {
						a.First = uint32(i)
						r.line = append(r.line, timed{time.Now().Add(2*r.delay + time.Duration(i)*every), r.files.Answer(a)[0]})
					}
				}
				return nil
			}
		}, func(t *testing.T, r *rig) {
			if !attack {
				require.Equal(t, 4*every+2*r.delay, r.get(file))
				return
			}
			took, err := r.fails(64 << 20)
			requireAttack(t, signed.SlowRetrieval, err)
			require.Equal(t, fetch.Patience+2*r.delay, took)
		})
	}
}

// TestRepeatedBlocksAreNoNews: who sends what is there already is as slow as
// who sends nothing.
func TestRepeatedBlocksAreNoNews(t *testing.T) {
	bubble(t, func(r *rig) {
		r.files.Put(name, fetchtest.Noise(1, 5*block))
		r.answer = func(a wire.Ask) []wire.Message {
			a.First, a.Wanted = 0, 3
			return r.files.Answer(a)
		}
	}, func(t *testing.T, r *rig) {
		took, err := r.fails(64 << 20)
		requireAttack(t, signed.SlowRetrieval, err)
		require.Less(t, took, fetch.Patience+time.Second)
		require.Equal(t, 2, r.news)
	})
}

// TestNoConnectionIsNoAttack: neither before the first session nor between two.
func TestNoConnectionIsNoAttack(t *testing.T) {
	file := fetchtest.Noise(1, 30*block)
	bubble(t, func(r *rig) {
		r.files.Put(name, file)
		r.pause = time.Hour
		r.fate = func(n int, _ wire.Message) string { return map[bool]string{true: "cut"}[n == 0 || n == 10 || n == 20] }
	}, func(t *testing.T, r *rig) {
		require.Greater(t, r.get(file), 3*time.Hour)
		require.Equal(t, 4, r.sessions)
	})
	synctest.Test(t, func(t *testing.T) { // never
		r := newRig(t)
		ctx, cancel := context.WithTimeout(t.Context(), 24*time.Hour)
		defer cancel()
		_, err := r.d.Fetch(ctx, name, 1000)
		require.ErrorIs(t, err, context.DeadlineExceeded)
	})
}

// TestLinksThatDoNotLastAreNoExcuse: the minute is counted over all sessions.
func TestLinksThatDoNotLastAreNoExcuse(t *testing.T) {
	bubble(t, func(r *rig) {
		first := true
		r.answer = func(wire.Ask) []wire.Message {
			return []wire.Message{wire.Absent{Request: wire.Request{1}, Reason: wire.AbsentNone}}
		}
		r.fate = func(n int, m wire.Message) string { // at the second ASK of each session
			if _, ask := m.(wire.Ask); !ask {
				return ""
			}
			first = !first
			return map[bool]string{true: "cut"}[first]
		}
	}, func(t *testing.T, r *rig) {
		_, err := r.fails(1000)
		requireNoAttack(t, fetch.NoAnswer, err)
		require.Greater(t, r.sessions, 6)
	})
}

// TestSlowLinkIsAskedOnce: after the first answer the time to wait is known.
func TestSlowLinkIsAskedOnce(t *testing.T) {
	file := fetchtest.Noise(1, 10*block)
	bubble(t, func(r *rig) {
		r.delay = 2 * time.Second
		r.busy = func() bool { return true }
		r.files.Put("image/small.json", []byte("x"))
		r.files.Put(name, file)
	}, func(t *testing.T, r *rig) {
		_, err := r.d.Fetch(t.Context(), "image/small.json", 1)
		require.NoError(t, err)
		_, err = r.d.Fetch(t.Context(), "image/small.json", 1)
		require.NoError(t, err)
		synctest.Wait()
		asked := len(r.asks)
		r.get(file)
		require.Equal(t, 10, len(r.asks)-asked)
	})
}

// TestPatienceReturns: after a time of silence an answer shows how fast the
// link is now.
func TestPatienceReturns(t *testing.T) {
	file := fetchtest.Noise(1, 2*block)
	bubble(t, func(r *rig) {
		r.files.Put(name, file)
		r.answer = func(wire.Ask) []wire.Message { return nil }
	}, func(t *testing.T, r *rig) {
		r.fails(1000)
		asked := len(r.asks)
		r.answer = func(a wire.Ask) []wire.Message {
			if len(r.asks) == asked+2 {
				return nil
			}
			return r.files.Answer(a)
		}
		require.Equal(t, 2*time.Second+4*r.delay, r.get(file))
	})
}

func TestAbsent(t *testing.T) {
	bubble(t, func(*rig) {}, func(t *testing.T, r *rig) {
		took, err := r.fails(1000)
		require.ErrorIs(t, err, fs.ErrNotExist)
		require.Equal(t, 2*r.delay, took)
		require.EqualError(t, err, "director/2.targets.json: file does not exist")
	})
}

// TestNothingIsServed: it is said at once, and no attack.
func TestNothingIsServed(t *testing.T) {
	bubble(t, func(r *rig) {
		r.answer = func(a wire.Ask) []wire.Message {
			return []wire.Message{wire.Absent{Request: a.Request, Reason: wire.AbsentAll}}
		}
	}, func(t *testing.T, r *rig) {
		took, err := r.fails(1000)
		requireNoAttack(t, fetch.NoRepository, err)
		require.NotErrorIs(t, err, fs.ErrNotExist, "it would end a chain of roots")
		require.Equal(t, 2*r.delay, took)
	})
}

// TestNotNow: the vehicle asks again after 30 s, and a minute of it is enough. It
// is no attack, unless blocks came and no more do.
func TestNotNow(t *testing.T) {
	for _, reason := range []wire.Absence{wire.AbsentLater, 5, 255} {
		for _, times := range []int{1, 2} {
			left := times
			bubble(t, func(r *rig) {
				r.files.Put(name, []byte("here"))
				r.answer = func(a wire.Ask) []wire.Message {
					if left--; left >= 0 {
						not := wire.Absent{Request: a.Request, Reason: reason}
						return []wire.Message{not, not}
					}
					return r.files.Answer(a)
				}
			}, func(t *testing.T, r *rig) {
				if times == 1 {
					require.Equal(t, 30*time.Second+4*r.delay, r.get([]byte("here")))
					require.Len(t, r.asks, 2)
					return
				}
				took, err := r.fails(1000)
				requireNoAttack(t, fetch.NotNow, err)
				require.Equal(t, fetch.Patience, took)
			})
		}
	}
}

// TestNotNowAndThenNothing: a word between blocks is no excuse for what is kept
// back after it.
func TestNotNowAndThenNothing(t *testing.T) {
	file := fetchtest.Noise(1, 20*block)
	bubble(t, func(r *rig) {
		r.files.Put(name, file)
		r.answer = func(a wire.Ask) []wire.Message {
			switch len(r.asks) {
			case 1, 3:
				return r.files.Answer(a)
			case 2:
				return []wire.Message{wire.Absent{Request: a.Request, Reason: wire.AbsentLater}}
			}
			return nil
		}
	}, func(t *testing.T, r *rig) {
		_, err := r.fails(64 << 20)
		requireAttack(t, signed.SlowRetrieval, err)
	})
}

// TestFileChanges: what follows is the new file, under a new request, so that
// blocks of the old one that are still on the way count for nothing.
func TestFileChanges(t *testing.T) {
	old, file := fetchtest.Noise(1, 30*block), fetchtest.Noise(2, 20*block+1)
	for _, after := range []int{1, 2, 3, 5} {
		bubble(t, func(r *rig) {
			r.rate = 1_000_000
			r.files.Put(name, old)
			r.answer = func(a wire.Ask) []wire.Message {
				if len(r.asks) == after+1 {
					r.files.Put(name, file)
				}
				return r.files.Answer(a)
			}
		}, func(t *testing.T, r *rig) {
			r.get(file)
			require.NotEqual(t, r.asks[0].Request, r.asks[len(r.asks)-1].Request)
			require.Zero(t, r.asks[after+1].First)
		})
	}
}

// TestFileChangesWithoutEnd, or is not what its name in the messages says: after
// four new starts that is enough.
func TestFileChangesWithoutEnd(t *testing.T) {
	for what, change := range map[string]func(*rig, *wire.Part) bool{
		"changes":      func(r *rig, p *wire.Part) bool { return p.Index > 0 },
		"false bytes":  func(r *rig, p *wire.Part) bool { p.Block = make([]byte, len(p.Block)); return false },
		"false length": func(r *rig, p *wire.Part) bool { p.Size, p.Block = 7, p.Block[:7]; return false },
	} {
		t.Run(what, func(t *testing.T) {
			bubble(t, func(r *rig) {
				r.files.Put(name, fetchtest.Noise(1, 3*block))
				r.answer = func(a wire.Ask) []wire.Message {
					out := r.files.Answer(a)
					for i, m := range out {
						p := m.(wire.Part)
						if change(r, &p) {
							return []wire.Message{wire.Absent{Request: a.Request, Reason: wire.AbsentChanged}}
						}
						out[i] = p
					}
					return out
				}
			}, func(t *testing.T, r *rig) {
				took, err := r.fails(64 << 20)
				require.ErrorContains(t, err, "another one again and again")
				var e *signed.Error
				require.False(t, errors.As(err, &e))
				require.Less(t, took, 3*time.Second)
				seen := map[wire.Request]bool{}
				for _, a := range r.asks {
					seen[a.Request] = true
				}
				require.Len(t, seen, 5)
			})
		})
	}
}

// TestEndless: one message is what a file that is too long costs.
func TestEndless(t *testing.T) {
	bubble(t, func(r *rig) { r.files.Put(name, fetchtest.Noise(1, 20*block)) }, func(t *testing.T, r *rig) {
		_, err := r.fails(20*block - 1)
		requireAttack(t, signed.EndlessData, err)
		require.Len(t, r.came, 1)
		require.Len(t, r.asks, 1)
	})
}

// TestTurns: a second call waits for the first one, or for the end of its
// context; what was asked for by a call that has ended is not taken for an
// answer to the next.
func TestTurns(t *testing.T) {
	bubble(t, func(r *rig) {
		r.files.Put(name, fetchtest.Noise(1, 2*block))
		r.files.Put("image/a.json", []byte("a"))
	}, func(t *testing.T, r *rig) {
		short, cancel := context.WithTimeout(t.Context(), r.delay)
		defer cancel()
		second, cancel := context.WithTimeout(t.Context(), r.delay/2)
		defer cancel()
		done := make(chan error)
		go func() {
			_, err := r.d.Fetch(short, name, 64<<20)
			done <- err
		}()
		synctest.Wait()
		_, err := r.d.Fetch(second, "image/a.json", 10)
		require.ErrorIs(t, err, context.DeadlineExceeded)
		require.ErrorIs(t, <-done, context.DeadlineExceeded)
		got, err := r.d.Fetch(t.Context(), "image/a.json", 10)
		require.NoError(t, err)
		require.Equal(t, "a", string(got))
		synctest.Wait()
		require.Equal(t, 1, r.news, "the answer to the first call came and was nobody's")
		require.Len(t, r.came, 1)
		require.Equal(t, 2, r.came[0])
	})
}
