package mtls_test

import (
	"math/rand/v2"
	"testing"
	"testing/synctest"
	"time"
	"unsafe"

	"github.com/stretchr/testify/require"

	"roadseal/crypto/mtls"
)

const (
	day  = 24 * time.Hour
	year = 365 * day
)

var built = time.Date(2026, 3, 1, 0, 0, 0, 0, time.UTC)

// jumped is t after someone set the wall clock by d: the monotonic reading
// stays. It reaches into time.Time, see time.Time's own comments on wall.
func jumped(t time.Time, d time.Duration) time.Time {
	p := (*struct {
		wall uint64
		ext  int64
	})(unsafe.Pointer(&t))
	p.wall += uint64(int64(d/time.Second)) << 30
	return t
}

func TestJumpedIsAJumpOfTheWallClock(t *testing.T) {
	now := time.Now()
	for _, d := range []time.Duration{10 * year, -10 * year} {
		after := jumped(now, d)
		require.Zero(t, after.Sub(now), "monotonic")
		require.Equal(t, d, after.Round(0).Sub(now.Round(0)), "wall")
	}
}

// The times of a synctest bubble hold no monotonic reading, so this test
// scripts its own.
func TestWallClockChangesNothing(t *testing.T) {
	start, passed, jump := time.Now(), time.Duration(0), time.Duration(0)
	c := mtls.NewClockAt(built, func() time.Time { return jumped(start.Add(passed), jump) })
	for _, jump = range []time.Duration{0, 10 * year, -10 * year, 0} {
		passed += time.Hour
		require.Equal(t, built.Add(passed), c.Now(), "wall clock off by %v", jump)
		c.Plausible(built.Add(passed))
		require.Equal(t, built, c.Floor())
	}
}

// In a synctest bubble the wall clock says 2000.
func TestWallClockAtStartChangesNothing(t *testing.T) {
	for _, floor := range []time.Time{time.Date(1990, 1, 1, 0, 0, 0, 0, time.UTC), built} {
		synctest.Test(t, func(t *testing.T) {
			require.Equal(t, 2000, time.Now().UTC().Year())
			c := mtls.NewClock(floor)
			time.Sleep(day)
			require.Equal(t, floor.Add(day), c.Now())
		})
	}
}

func TestRaise(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := mtls.NewClock(built)
		require.False(t, c.Raise(built), "the same time raises nothing")
		require.False(t, c.Raise(built.Add(-time.Second)))
		require.False(t, c.Raise(time.Time{}))

		time.Sleep(10 * day)
		require.True(t, c.Raise(built.Add(day)), "above the durable floor")
		require.Equal(t, built.Add(day), c.Floor())
		require.Equal(t, built.Add(10*day), c.Now(), "the monotonic clock already knew better")

		local := time.FixedZone("", 3600)
		require.True(t, c.Raise(built.Add(year).In(local)))
		require.Equal(t, built.Add(year), c.Floor())
		time.Sleep(time.Hour)
		require.Equal(t, built.Add(year+time.Hour), c.Now())
	})
}

// drive offers n readings, one a second, that say offset more than true time,
// which is built at start.
func drive(c *mtls.Clock, start time.Time, n int, offset time.Duration) {
	for range n {
		time.Sleep(time.Second)
		c.Plausible(built.Add(time.Since(start) + offset))
	}
}

func TestPlausible(t *testing.T) {
	tests := map[string]struct {
		feed  func(c *mtls.Clock, start time.Time)
		ahead time.Duration // of built moved on, at the end
	}{
		"a minute that agrees": {func(c *mtls.Clock, s time.Time) { drive(c, s, 61, 30*day) }, 30 * day},
		"too short":            {func(c *mtls.Clock, s time.Time) { drive(c, s, 60, 30*day) }, 0},
		"too few": {func(c *mtls.Clock, s time.Time) {
			for range 9 {
				time.Sleep(time.Hour)
				c.Plausible(built.Add(time.Since(s) + day))
			}
		}, 0},
		"at the bound":   {func(c *mtls.Clock, s time.Time) { drive(c, s, 61, 90*day) }, 90 * day},
		"past the bound": {func(c *mtls.Clock, s time.Time) { drive(c, s, 600, 90*day+time.Second) }, 0},
		"1024 weeks off": {func(c *mtls.Clock, s time.Time) { drive(c, s, 600, 1024*7*day) }, 0},
		"1980":           {func(c *mtls.Clock, s time.Time) { drive(c, s, 600, -46*year) }, 0},
		"zero":           {func(c *mtls.Clock, s time.Time) { time.Sleep(time.Second); c.Plausible(time.Time{}) }, 0},
		"jumping about": {func(c *mtls.Clock, s time.Time) {
			for range 60 {
				drive(c, s, 5, day)
				drive(c, s, 5, 2*day)
			}
		}, 0},
		"creeping away": {func(c *mtls.Clock, s time.Time) {
			for i := range 1000 {
				drive(c, s, 1, time.Duration(i)*time.Second)
			}
		}, 0},
		"jitter": {func(c *mtls.Clock, s time.Time) {
			for range 40 {
				drive(c, s, 1, day)
				drive(c, s, 1, day-time.Second)
			}
		}, day - time.Second},
		"a lie, then the truth": {func(c *mtls.Clock, s time.Time) {
			drive(c, s, 100, 80*day)
			drive(c, s, 61, day)
		}, day},
		"silence keeps it": {func(c *mtls.Clock, s time.Time) {
			drive(c, s, 61, day)
			time.Sleep(year)
		}, day},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				c, start := mtls.NewClock(built), time.Now()
				tt.feed(c, start)
				require.Equal(t, tt.ahead, c.Now().Sub(built.Add(time.Since(start))))
				require.Equal(t, built, c.Floor(), "GNSS time is never durable")
			})
		})
	}
}

// TestJumpsOfGNSSTime: whatever a receiver says, 1,000 times with a pause of any
// length between, trusted time stays between signed time moved on and 90 days
// ahead of it, and nothing of it is durable. Not even a run that agrees, as of a
// spoofer, makes a certificate expire that ends later.
func TestJumpsOfGNSSTime(t *testing.T) {
	for seed := range uint64(3) {
		synctest.Test(t, func(t *testing.T) {
			rng := rand.New(rand.NewPCG(seed, 0))
			c, start := mtls.NewClock(built), time.Now()
			believed := 0
			for range 1000 {
				jump := time.Duration(rng.Int64N(int64(20*year))) - 10*year
				switch rng.IntN(4) {
				case 0:
					jump = -1024 * 7 * day
				case 1:
					jump = time.Duration(rng.Int64N(int64(100 * day)))
				}
				drive(c, start, 1+rng.IntN(100), jump)
				if rng.IntN(10) == 0 {
					time.Sleep(time.Duration(rng.Int64N(int64(day))))
				}
				ahead := c.Now().Sub(built.Add(time.Since(start)))
				require.GreaterOrEqual(t, ahead, time.Duration(0))
				require.LessOrEqual(t, ahead, 90*day)
				require.Equal(t, built, c.Floor())
				if ahead > 0 {
					believed++
				}
			}
			require.Positive(t, believed, "some runs were long enough")
		})
	}
}

func TestSignedTimeWidensWhatGNSSMaySay(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c, start := mtls.NewClock(built), time.Now()
		drive(c, start, 61, 200*day)
		require.Equal(t, built.Add(time.Since(start)), c.Now())
		c.Raise(built.Add(150 * day))
		drive(c, start, 1, 200*day)
		require.Equal(t, built.Add(200*day+time.Since(start)), c.Now())
		c.Raise(built.Add(year))
		require.Equal(t, built.Add(year), c.Now(), "and signed time stands above it")
	})
}

// TestBasis: what time stands on is said as it is.
func TestBasis(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c, start := mtls.NewClock(built), time.Now()
		require.Equal(t, mtls.OnFloor, c.Basis())
		time.Sleep(day)
		require.False(t, c.Raise(built.Add(-day)))
		require.Equal(t, mtls.OnFloor, c.Basis(), "an old time says nothing")
		require.True(t, c.Raise(built.Add(time.Hour)))
		require.Equal(t, mtls.OnFloor, c.Basis(), "it is later than that by the monotonic clock")
		drive(c, start, 61, 30*day)
		require.Equal(t, mtls.OnGNSS, c.Basis())
		require.True(t, c.Raise(built.Add(30*day+time.Since(start)-time.Second)))
		require.Equal(t, mtls.OnSigned, c.Basis(), "the receiver adds a second")
		drive(c, start, 61, 40*day)
		require.Equal(t, mtls.OnGNSS, c.Basis())
		require.True(t, c.Raise(built.Add(50*day)))
		require.Equal(t, mtls.OnSigned, c.Basis())
	})
}
