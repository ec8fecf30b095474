package profile_test

import (
	"fmt"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"roadseal/agent/profile"
)

// choose returns the faults, too.
func choose(name string, over profile.Limits) (l profile.Limits, faults []string) {
	l = profile.Choose(name, over, func(key []any, format string, args ...any) {
		faults = append(faults, fmt.Sprint(key)+" "+fmt.Sprintf(format, args...))
	})
	return l, faults
}

func TestEachProfileCarriesTwoBlocks(t *testing.T) {
	require.Equal(t, []string{"aws", "emqx", "hivemq", "mosquitto", "nats"}, profile.Names())
	for _, name := range profile.Names() {
		l, faults := choose(name, profile.Limits{})
		require.Empty(t, faults, name)
		require.Equal(t, 2, l.Blocks(), name)
	}
}

func TestSingleLimitsReplaceThoseOfTheProfile(t *testing.T) {
	l, faults := choose("aws", profile.Limits{Payload: 64_000, Rate: 10})
	require.Empty(t, faults)
	require.Equal(t, profile.Limits{Payload: 64_000, Rate: 10, Bandwidth: 512 << 10, InFlight: 100, Filters: 50}, l)
	require.Equal(t, 1, l.Blocks())
	l, faults = choose("", profile.Limits{})
	require.Empty(t, faults)
	require.Nil(t, profile.NewPace(l), "mosquitto is not paced")
}

func TestFaultsOfLimits(t *testing.T) {
	for want, over := range map[string]profile.Limits{
		"[broker limits payload] expected at least 61486B":  {Payload: 61_485},
		"[broker limits payload] expected at least":         {Payload: -1},
		"[broker limits rate] expected 1 to 10000 messages": {Rate: -1},
		"[broker limits rate] expected 1 to 10000":          {Rate: 10_001},
		"[broker limits bandwidth] expected at least 64KiB": {Bandwidth: 64<<10 - 1},
		"[broker limits in_flight] expected at least 1":     {InFlight: -1},
	} {
		_, faults := choose("aws", over)
		require.Len(t, faults, 1)
		require.Contains(t, faults[0], want)
	}
	_, faults := choose("awss", profile.Limits{})
	require.Len(t, faults, 1)
	require.Contains(t, faults[0], "[broker profile] expected one of aws, emqx, hivemq, mosquitto, nats")
}

// A log is what went through a pace, and when.
type log struct {
	at    []time.Time
	bytes []int64
}

func (l *log) add(n int) { l.at, l.bytes = append(l.at, time.Now()), append(l.bytes, int64(n)) }

// most is the largest number of packets and bytes in any one second.
func (l *log) most() (packets int, bytes int64) {
	for i := range l.at {
		n, sum := 0, int64(0)
		for j := i; j < len(l.at) && l.at[j].Sub(l.at[i]) < time.Second; j++ {
			n, sum = n+1, sum+l.bytes[j]
		}
		packets, bytes = max(packets, n), max(bytes, sum)
	}
	return packets, bytes
}

func TestPaceFillsEachSecondAndNoMore(t *testing.T) {
	for _, c := range []struct {
		limits profile.Limits
		bytes  int
		least  float64 // of the limit that counts
	}{
		{profile.Limits{Rate: 100, Bandwidth: 512 << 10}, 122_960, 0.93},
		{profile.Limits{Rate: 100, Bandwidth: 512 << 10}, 100, 0.99},
		{profile.Limits{Rate: 10}, 61_500, 0.99},
		{profile.Limits{Bandwidth: 64 << 10}, 122_960, 0.99}, // more than a second each
	} {
		synctest.Test(t, func(t *testing.T) {
			p, l := profile.NewPace(c.limits), log{}
			start := time.Now()
			for time.Since(start) < time.Minute {
				require.True(t, p.Packet(nil, c.bytes, true))
				l.add(c.bytes)
			}
			packets, bytes := l.most()
			took := time.Since(start).Seconds()
			used := 0.0
			if c.limits.Rate > 0 {
				require.LessOrEqual(t, packets, c.limits.Rate)
				used = float64(len(l.at)) / took / float64(c.limits.Rate)
			}
			if b := int64(c.limits.Bandwidth); b > 0 {
				require.LessOrEqual(t, bytes, max(b, int64(c.bytes)))
				used = max(used, float64(len(l.at)*c.bytes)/took/float64(b))
			}
			require.GreaterOrEqual(t, used, c.least)
			gap := l.at[len(l.at)-1].Sub(l.at[len(l.at)-2])
			require.Positive(t, gap, "spread over the second")
		})
	}
}

// TestPaceCountsWhatIsSmall: acknowledgements and pings wait for nobody but
// take their part.
func TestPaceCountsWhatIsSmall(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p, l := profile.NewPace(profile.Limits{Rate: 10, Bandwidth: 64 << 10}), log{}
		start := time.Now()
		for range 50 {
			require.True(t, p.Packet(nil, 60, false))
			l.add(60)
		}
		require.Zero(t, time.Since(start))
		for range 20 {
			require.True(t, p.Packet(nil, 16_000, true))
			l.add(16_000)
		}
		_, bytes := l.most()
		require.LessOrEqual(t, bytes, int64(64<<10))
	})
}

func TestPaceConnectsOnceASecond(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p := profile.NewPace(profile.Limits{Rate: 100})
		start := time.Now()
		for range 3 {
			require.True(t, p.Connect(nil))
		}
		require.Equal(t, 2*time.Second, time.Since(start))
	})
}

func TestNobodyWaitsAfterTheEnd(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p, done := profile.NewPace(profile.Limits{Rate: 1}), make(chan struct{})
		require.True(t, p.Packet(done, 1, true))
		time.AfterFunc(100*time.Millisecond, func() { close(done) })
		start := time.Now()
		require.False(t, p.Packet(done, 1, true))
		require.Equal(t, 100*time.Millisecond, time.Since(start))
		var none *profile.Pace
		require.True(t, none.Packet(nil, 1<<20, true))
		require.True(t, none.Connect(nil))
	})
}
