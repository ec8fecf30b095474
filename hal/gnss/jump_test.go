package gnss_test

import (
	"fmt"
	"maps"
	"math/rand/v2"
	"slices"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"roadseal/hal/gnss"
)

// timeMarks are those that a wrong time may cause.
const timeMarks = gnss.MarkTimeBack | gnss.MarkTimeJump | gnss.MarkTimeRepeat | gnss.MarkBeforeFloor | gnss.MarkRollover |
	gnss.MarkFuture | gnss.MarkNoDate | gnss.MarkBadTime

// A saying is what a receiver says of the time: fields of RMC and GGA, and of a
// ZDA before them if there is one.
type saying struct{ clock, date, zda string }

func honest(utc time.Time) saying {
	return saying{clock: utc.Format("150405.000"), date: utc.Format("020106")}
}

// wrong are the faults of receivers' clocks, each at a true time.
var wrong = map[string]func(utc time.Time, rng *rand.Rand) saying{
	"ten years": func(utc time.Time, rng *rand.Rand) saying {
		return honest(utc.Add(time.Duration(rng.Int64N(int64(20*8766*time.Hour))) - 10*8766*time.Hour))
	},
	"ten years ahead": func(utc time.Time, _ *rand.Rand) saying { return honest(utc.AddDate(10, 0, 0)) },
	"ten years back":  func(utc time.Time, _ *rand.Rand) saying { return honest(utc.AddDate(-10, 0, 0)) },
	"rollover":        func(utc time.Time, _ *rand.Rand) saying { return honest(utc.Add(-weeks1024)) },
	"two rollovers":   func(utc time.Time, _ *rand.Rand) saying { return honest(utc.Add(-2 * weeks1024)) },
	"rollover ahead":  func(utc time.Time, _ *rand.Rand) saying { return honest(utc.Add(weeks1024)) },
	"GPS began":       func(time.Time, *rand.Rand) saying { return saying{clock: "000000.000", date: "060180"} },
	"never set":       func(time.Time, *rand.Rand) saying { return saying{clock: "000000.000", date: "010100"} },
	"last date":       func(time.Time, *rand.Rand) saying { return saying{clock: "235959.999", date: "311279"} },
	"leap second": func(utc time.Time, _ *rand.Rand) saying {
		return saying{clock: "235960.000", date: utc.Format("020106")}
	},
	"leap second at noon": func(utc time.Time, _ *rand.Rand) saying {
		return saying{clock: "115960.000", date: utc.Format("020106")}
	},
	"hour 24": func(utc time.Time, _ *rand.Rand) saying {
		return saying{clock: "240000.000", date: utc.Format("020106")}
	},
	"31 February": func(utc time.Time, _ *rand.Rand) saying {
		return saying{clock: utc.Format("150405.000"), date: "310226"}
	},
	"date 00": func(utc time.Time, _ *rand.Rand) saying {
		return saying{clock: utc.Format("150405.000"), date: "000000"}
	},
	"no date":      func(utc time.Time, _ *rand.Rand) saying { return saying{clock: utc.Format("150405.000")} },
	"no time":      func(time.Time, *rand.Rand) saying { return saying{} },
	"stands still": func(time.Time, *rand.Rand) saying { return saying{clock: "120000.000", date: "010826"} },
	"year 9999": func(time.Time, *rand.Rand) saying {
		return saying{"000000.000", "", "GPZDA,235959.99,31,12,9999,00,00"}
	},
	"year 0": func(time.Time, *rand.Rand) saying {
		return saying{"235959.999", "", "GPZDA,000000.00,01,01,0000,00,00"}
	},
	"year 0, later": func(utc time.Time, _ *rand.Rand) saying {
		return saying{clock: utc.Format("150405.000"), date: "311299"}
	},
}

// travel lets a receiver say n places, one a second, with the times that say
// gives them.
func travel(n int, say func(i int, utc time.Time) saying) *bench {
	b := newBench()
	b.floor = said
	utc := said.Add(time.Hour)
	for i := range n {
		s := say(i, utc)
		if s.zda != "" {
			b.say(s.zda)
		}
		place := fmt.Sprintf("48%08.5f,N,01131.00000,E", 7+float64(i)/100)
		b.say("GPRMC,"+s.clock+",A,"+place+",36.0,0.0,"+s.date+",,,A", "GPGGA,"+s.clock+","+place+",1,08,0.90,545.4,M,46.9,M,,")
		b.clock, utc = b.clock+time.Second, utc.Add(time.Second)
	}
	b.Reset()
	return b
}

// requireSamePlaces wants the fixes of a receiver that told the true time, but
// for what is said about the time.
func requireSamePlaces(t *testing.T, want, got *bench) {
	t.Helper()
	require.Equal(t, want.Stats().Fixes, got.Stats().Fixes)
	require.Zero(t, got.Stats().NoFix)
	timeless := func(f gnss.Fix) gnss.Fix {
		f.UTC, f.Clock, f.Marks = time.Time{}, gnss.ClockNone, f.Marks&^timeMarks
		return f
	}
	for i, f := range got.fixes {
		require.Equal(t, plain(timeless(want.fixes[i])), plain(timeless(f)), "fix %d", i)
		require.Equal(t, f.UTC.IsZero(), f.Clock == gnss.ClockNone)
		require.LessOrEqual(t, f.UTC.Year(), 2200)
		require.True(t, f.UTC.IsZero() || f.UTC.Year() >= 1980, f.UTC)
	}
}

// TestTimeChangesNothingButMarks: 1,000 faults of the receiver's time, of each
// kind alone and mixed, cost no fix and move none. Once the time is true again
// for a while, it is believed again.
func TestTimeChangesNothingButMarks(t *testing.T) {
	const n, after = 1000, 30
	truth := travel(n+after, func(_ int, utc time.Time) saying { return honest(utc) })
	for _, f := range truth.fixes {
		require.Zero(t, f.Marks)
	}
	names := slices.Sorted(maps.Keys(wrong)) // the same at each run, as the seeds
	for _, name := range names {
		kind := wrong[name]
		t.Run(name, func(t *testing.T) {
			rng := rand.New(rand.NewPCG(1, 0))
			every := travel(n+after, func(i int, utc time.Time) saying {
				if i < n {
					return kind(utc, rng)
				}
				return honest(utc)
			})
			requireSamePlaces(t, truth, every)
			requireTrueAgain(t, every)
		})
	}
	for seed := range uint64(20) {
		rng := rand.New(rand.NewPCG(seed, 0))
		jumps := 0
		mixed := travel(2*n+after, func(i int, utc time.Time) saying {
			if i < 2*n && rng.IntN(2) == 0 {
				jumps++
				return wrong[names[rng.IntN(len(names))]](utc, rng)
			}
			return honest(utc)
		})
		require.Greater(t, jumps, n*9/10)
		requireSamePlaces(t, travel(2*n+after, func(_ int, utc time.Time) saying { return honest(utc) }), mixed)
		requireTrueAgain(t, mixed)
	}
}

// requireTrueAgain wants the last ten fixes unmarked and at their true times.
func requireTrueAgain(t *testing.T, b *bench) {
	t.Helper()
	for i := len(b.fixes) - 10; i < len(b.fixes); i++ {
		f := b.fixes[i]
		require.Zero(t, f.Marks, "fix %d: %v", i, f.Marks)
		require.Equal(t, said.Add(time.Hour+time.Duration(i)*time.Second), f.UTC)
	}
}
