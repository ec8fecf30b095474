package collector_test

import (
	"crypto/tls"
	"math/rand/v2"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"roadseal/agent/profile"
	"roadseal/agent/wire"
	"roadseal/cmd/internal/broker"
	"roadseal/cmd/internal/broker/brokertest"
	"roadseal/hal/pipenet"
)

// rented is a broker that enforces limits, and what the two ends think they are.
type rented struct {
	limits    profile.Limits // that vehicle and collector keep
	vehicle   *profile.Pace
	collector *tls.Config
	limit     time.Duration // when a run is given up
	pipes     *pipenet.Listener
	broker    *broker.Broker

	mu         sync.Mutex
	violations []string
	up         []arrival // what the vehicle sent
}

type arrival struct {
	at   time.Time
	data bool
	n    int // bytes of the packet, without its fixed header
}

// rent puts a drive behind a broker that enforces limits.
func rent(d *drive, limits profile.Limits, enforced broker.Limits) *rented {
	r := &rented{limits: limits, vehicle: profile.NewPace(limits), pipes: pipenet.Listen(), limit: time.Hour}
	ca := brokertest.NewCA(d.t)
	r.broker = ca.Start(broker.Options{Listener: r.pipes, Limits: &enforced,
		Violation: func(what string) {
			r.mu.Lock()
			defer r.mu.Unlock()
			r.violations = append(r.violations, what)
		},
		Capture: func(topic string, payload []byte) {
			r.mu.Lock()
			defer r.mu.Unlock()
			if strings.HasPrefix(topic, "v1/up/") {
				r.up = append(r.up, arrival{time.Now(), payload[1] == 3, len(payload) + len(topic) + 4})
			}
		}})
	d.client, r.collector = ca.Client(d.device), ca.Client("collector")
	d.rented, d.blocks, d.delay = r, limits.Blocks(), 40*time.Millisecond
	return r
}

// through uploads objects of these sizes through a broker that enforces limits, for
// at most so long; 0 is an hour.
func through(t *testing.T, limits profile.Limits, enforced broker.Limits, plan []cut, sizes []int64, limit time.Duration) *rented {
	var out *rented
	synctest.Test(t, func(t *testing.T) {
		d := newDrive(t, 7, plan)
		d.sizes = sizes
		out = rent(d, limits, enforced)
		if limit > 0 {
			out.limit = limit
		}
		for range sizes {
			d.feed()
		}
		d.run()
	})
	return out
}

// most is the largest number of messages and bytes in any one second.
func (r *rented) most() (messages, bytes int) {
	for i := range r.up {
		n, sum := 0, 0
		for j := i; j < len(r.up) && r.up[j].at.Sub(r.up[i].at) < time.Second; j++ {
			n, sum = n+1, sum+r.up[j].n
		}
		messages, bytes = max(messages, n), max(bytes, sum)
	}
	return messages, bytes
}

// goodput is the bytes of objects a second, between the first and the last DATA.
func (r *rented) goodput() float64 {
	var first, last time.Time
	sum := 0
	for _, a := range r.up {
		if !a.data {
			continue
		}
		if first.IsZero() {
			first = a.at
		} else {
			sum += a.n - 46 - len(wire.UpTopic("AAECAwQFBgcICQoLDA0ODw")) - 4
		}
		last = a.at
	}
	return float64(sum) / last.Sub(first).Seconds()
}

func limitsOf(t *testing.T, name string, over profile.Limits) profile.Limits {
	return profile.Choose(name, over, func(_ []any, format string, args ...any) { t.Fatalf(format, args...) })
}

// nameless are brokers of which no profile is known: what [broker.limits] sets for
// them, and what they enforce.
var nameless = map[string]struct {
	over     profile.Limits
	enforced broker.Limits
}{
	"small and few":       {profile.Limits{Payload: 64_000, Rate: 10}, broker.Limits{Payload: 64_000, Rate: 10, ClientID: 23, Slashes: 8, Lag: 60 * time.Millisecond}},
	"slow to acknowledge": {profile.Limits{InFlight: 4}, broker.Limits{InFlight: 4, Lag: 250 * time.Millisecond}},
}

// of returns the limits to keep and those that are enforced.
func of(t *testing.T, name string) (profile.Limits, broker.Limits) {
	if o, ok := nameless[name]; ok {
		return limitsOf(t, "mosquitto", o.over), o.enforced
	}
	enforced, err := broker.Like(name)
	require.NoError(t, err)
	return limitsOf(t, name, profile.Limits{}), enforced
}

var megabytes = []int64{6_000_000, 50_000, 2_000_000}

// TestEachProfileKeepsWithinItsBroker: megabytes go through the broker that
// enforces its limits, complete and without one violation, as fast as they
// allow.
func TestEachProfileKeepsWithinItsBroker(t *testing.T) {
	for name, least := range map[string]float64{"aws": 0.9 * 524_288, "emqx": 2e6, "hivemq": 2e6, "mosquitto": 2e6, "nats": 2e6,
		"small and few": 0.9 * 10 * wire.BlockSize, "slow to acknowledge": 0.9 * 4 * 2 * wire.BlockSize / 0.33} {
		t.Run(name, func(t *testing.T) {
			limits, enforced := of(t, name)
			r := through(t, limits, enforced, nil, megabytes, 0)
			require.Empty(t, r.violations)
			require.GreaterOrEqual(t, r.goodput(), least)
			messages, bytes := r.most()
			t.Logf("%.0f kB/s; in one second at most %d messages, %d bytes", r.goodput()/1000, messages, bytes)
			if enforced.Rate > 0 {
				require.LessOrEqual(t, messages, enforced.Rate)
			}
			if enforced.Bytes > 0 {
				require.LessOrEqual(t, bytes, enforced.Bytes)
			}
		})
	}
}

// TestLimitsHoldOverCuts: also when the link is cut again and again, and what
// was under way goes up once more.
func TestLimitsHoldOverCuts(t *testing.T) {
	rng := rand.New(rand.NewPCG(11, 11))
	var plan []cut
	for range some(40, 10) {
		plan = append(plan, cut{up: true, at: 6000 + rng.IntN(1_500_000)})
	}
	for _, name := range []string{"aws", "hivemq"} {
		limits, enforced := of(t, name)
		r := through(t, limits, enforced, plan, []int64{2_000_000, 50_000, 300_000}, 24*time.Hour)
		require.Empty(t, r.violations, name)
		require.Greater(t, r.goodput(), 50_000.0, name)
	}
}

// TestTheWrongProfileIsCutOff: the tests above can fail.
func TestTheWrongProfileIsCutOff(t *testing.T) {
	for _, c := range []struct{ profile, broker, violation string }{
		{"mosquitto", "aws", "more than 524288 bytes a second"},
		{"mosquitto", "slow to acknowledge", "more than 4 messages in flight"},
		{"aws", "small and few", "payload of 122926 bytes, at most 64000"},
	} {
		limits, _ := of(t, c.profile)
		_, enforced := of(t, c.broker)
		r := through(t, limits, enforced, nil, megabytes, time.Minute)
		require.Contains(t, r.violations, c.violation, "%s at %s", c.profile, c.broker)
	}
}
