package wallclock

import (
	"math/rand/v2"
	"os/exec"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

const year = 365 * 24 * time.Hour

// oddTimes are those of clips of a recorder whose clock was never set, has
// just rolled over, or is a lifetime ahead.
func oddTimes() []time.Time {
	return []time.Time{
		time.Unix(0, 0), time.Date(1980, 1, 1, 0, 0, 0, 0, time.UTC), time.Now().Add(-1024 * 7 * 24 * time.Hour),
		time.Now().Add(10 * year), time.Date(2038, 1, 19, 3, 14, 8, 0, time.UTC), time.Date(2106, 2, 7, 6, 28, 16, 0, time.UTC),
	}
}

// TestBoot: a unit that starts at any wall clock connects, and delivers all
// clips, whatever their times, and all fixes. Its log is that of a unit with
// the true clock.
func TestBoot(t *testing.T) {
	t.Parallel()
	var once sync.Once
	var first []string
	for name, at := range map[string]time.Time{
		"now": {}, "1970": time.Unix(0, 0), "1980": time.Date(1980, 1, 6, 0, 0, 0, 0, time.UTC), "2050": time.Date(2050, 1, 1, 0, 0, 0, 0, time.UTC),
		"2106": time.Date(2106, 2, 7, 6, 28, 15, 0, time.UTC),
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			var offset time.Duration
			if !at.IsZero() {
				offset = time.Until(at)
			}
			w := newWorld(t, offset)
			for i, odd := range oddTimes() {
				w.record(i%ways, odd) // before the start
			}
			w.startAgent()
			for i, odd := range oddTimes() {
				w.record((i+1)%ways, odd)
				w.say()
			}
			w.arrive()
			s, log := w.stop()
			if !at.IsZero() {
				require.WithinRange(t, s.Started, at, at.Add(time.Hour), "the clock was false")
			}
			require.Empty(t, s.Problems)
			require.EqualValues(t, 1, w.connects.Load())
			require.EqualValues(t, w.fixes, s.GNSS.Fixes)
			once.Do(func() { first = log })
			require.Equal(t, first, log)
		})
	}
}

// TestJumps: 1,000 jumps of the wall clock while the vehicle records and
// uploads. Each is met by the agent before the next. After every 250 the clock
// stays at one end, and all must arrive: nothing may wait for years, or for the
// next jump.
func TestJumps(t *testing.T) {
	t.Parallel()
	const rounds, jumps, seed = 4, 250, 11
	rng := rand.New(rand.NewPCG(seed, 0))
	w := newWorld(t, 0)
	w.record(growing, time.Time{}) // found at the start, and watched for a while whether it grows
	w.startAgent()
	met := 1
	jump := func(offset time.Duration) {
		require.NoError(t, Set(w.clock, offset))
		w.say()
		met++
		awaitSeen(t, w.clock, met)
	}
	pace := time.NewTicker(15 * time.Millisecond)
	defer pace.Stop()
	odd := oddTimes()
	for round := range rounds {
		for i := range jumps - 1 {
			jump(jumpTo(rng))
			if i%20 == 0 {
				n := len(w.clips)
				w.record(n%ways, odd[n%len(odd)])
				require.NotNil(t, w.status(), "it can be read at any time")
			}
			<-pace.C
		}
		jump([]time.Duration{-11 * year, 11 * year}[round%2])
		w.arrive()
	}
	for _, offset := range []time.Duration{10 * year, -10 * year} {
		require.NoError(t, Set(w.clock, offset))
		require.Contains(t, w.statusCommand(), "running, pid", "though the last status is of another decade")
	}

	s, log := w.stop()
	require.EqualValues(t, 1, w.connects.Load(), "no connection was lost")
	require.Zero(t, s.Uplink.Resent)
	require.Zero(t, s.Uplink.PutOff)
	require.Zero(t, s.Uplink.BadReceipts)
	require.Empty(t, s.Problems)
	require.EqualValues(t, w.fixes, s.GNSS.Fixes)
	for _, line := range log {
		require.True(t, strings.Contains(line, "BENCH") || !strings.Contains(line, "level=WARN"), line)
	}
	t.Logf("%d jumps, %d clips, %d fixes, %d connection; seed %d", met-1, len(w.clips), w.fixes, w.connects.Load(), seed)
}

// jumpTo draws an offset: anything within ten years, its ends, a rollover of
// the week number, or the true time, and never the same twice.
func jumpTo(rng *rand.Rand) time.Duration {
	odd := time.Duration(rng.IntN(1e9))
	switch rng.IntN(6) {
	case 0:
		return 10*year - odd
	case 1:
		return odd - 10*year
	case 2:
		return odd - 1024*7*24*time.Hour
	case 3:
		return odd
	}
	return time.Duration(rng.Int64N(int64(20*year))) - 10*year
}

// statusCommand runs "roadseal-agent status" with the vehicle's clock.
func (w *world) statusCommand() string {
	line := w.vehicle("status", "--run", w.path("run"))
	out, err := exec.Command(line[0], line[1:]...).CombinedOutput()
	require.NoError(w.t, err, "%s", out)
	return string(out)
}
