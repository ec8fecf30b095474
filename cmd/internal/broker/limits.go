package broker

import (
	"fmt"
	"maps"
	"slices"
	"strings"
	"sync"
	"time"

	mochi "github.com/mochi-mqtt/server/v2"
	"github.com/mochi-mqtt/server/v2/packets"
)

// Limits are what a broker of somebody else allows one client. Zero is no
// limit. A violation ends the connection at once, also where the broker would
// only delay or drop: nothing that a client does wrong goes unnoticed.
type Limits struct {
	Payload  int           // bytes of one message
	Rate     int           // messages a second
	Bytes    int           // bytes a second up; down, the broker itself sends no faster
	InFlight int           // messages not acknowledged
	Connects int           // CONNECT a second
	Slashes  int           // in a topic or filter
	Topic    int           // bytes of one
	ClientID int           // bytes
	Filters  int           // subscriptions of one connection
	Lag      time.Duration // after which an answer leaves; without it, nothing is ever in flight
	// Drops makes the broker acknowledge a forbidden message and drop it.
	Drops bool
}

// lag is the distance of a broker that is not on the same machine.
const lag = 60 * time.Millisecond

// others are brokers by the name of their profile. The figures are the brokers'
// own (docs/brokers/README.md has the sources), written down apart from those
// that agent/profile has the vehicles keep.
var others = map[string]Limits{
	"aws": {Payload: 131_072, Rate: 100, Bytes: 524_288, InFlight: 100, Connects: 1, Slashes: 7, Topic: 256, ClientID: 128, Filters: 50, Lag: lag},
	// EMQX, HiveMQ and NATS as they come.
	"emqx":   {Payload: 1_048_576, ClientID: 65_535, Lag: lag},
	"hivemq": {Payload: 268_435_460, InFlight: 10, ClientID: 65_535, Lag: lag},
	"nats":   {Payload: 1_048_576, Lag: lag, Drops: true},
	// docs/brokers/mosquitto.conf.
	"mosquitto": {Payload: 135_168, Lag: lag, Drops: true},
}

// Like returns the limits of the broker that a profile is for.
func Like(profile string) (Limits, error) {
	l, ok := others[profile]
	if !ok {
		return l, fmt.Errorf("no broker is known as %q; expected one of %s", profile, strings.Join(slices.Sorted(maps.Keys(others)), ", "))
	}
	return l, nil
}

// warden is the hook that enforces Limits.
type warden struct {
	mochi.HookBase
	Limits
	tell func(violation string)

	mu      sync.Mutex
	clients map[string]*account // by client id; they outlive connections
}

// An account is what a client has used up.
type account struct {
	messages, bytes, connects bucket
	filters                   int         // of this connection
	due                       []time.Time // when the acknowledgements of what came leave
}

// A bucket fills with so many tokens a second, up to those of one second.
type bucket struct {
	rate   int
	tokens float64
	at     time.Time
}

// take takes n tokens and reports whether they were there.
func (b *bucket) take(n int) bool {
	now, full := time.Now(), float64(b.rate)
	if b.at.IsZero() {
		b.tokens = full
	}
	b.tokens = min(full, b.tokens+full*now.Sub(b.at).Seconds())
	b.at = now
	b.tokens -= float64(n)
	return b.rate == 0 || b.tokens > -0.001 // fractions are not exact
}

func newWarden(l Limits, tell func(string)) *warden {
	if tell == nil {
		tell = func(string) {}
	}
	return &warden{Limits: l, tell: tell, clients: map[string]*account{}}
}

func (*warden) ID() string           { return "limits" }
func (*warden) Provides(b byte) bool { return b == mochi.OnConnect || b == mochi.OnPacketRead }

// over reports whether a value is above a limit.
func over(value, limit int) bool { return limit > 0 && value > limit }

// OnConnect refuses who comes too often or with too long a name.
func (w *warden) OnConnect(cl *mochi.Client, _ packets.Packet) error {
	w.mu.Lock()
	defer w.mu.Unlock()
	a := w.clients[cl.ID]
	if a == nil {
		a = &account{messages: bucket{rate: w.Rate}, bytes: bucket{rate: w.Bytes}, connects: bucket{rate: w.Connects}}
		w.clients[cl.ID] = a
	}
	a.filters, a.due = 0, nil
	switch {
	case over(len(cl.ID), w.ClientID):
		return w.violated("client id of %d bytes, at most %d", len(cl.ID), w.ClientID)
	case !a.connects.take(1):
		return w.violated("more than %d CONNECT a second", w.Connects)
	}
	return nil
}

// OnPacketRead judges each packet before it is handled.
func (w *warden) OnPacketRead(cl *mochi.Client, pk packets.Packet) (packets.Packet, error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	a := w.clients[cl.ID]
	if a == nil {
		return pk, nil // CONNECT: its client has no name yet
	}
	if !a.bytes.take(pk.FixedHeader.Remaining + 2) {
		return pk, w.violated("more than %d bytes a second", w.Bytes)
	}
	switch pk.FixedHeader.Type {
	case packets.Publish:
		return pk, w.message(a, pk)
	case packets.Subscribe:
		for _, f := range pk.Filters {
			if err := w.topic(f.Filter); err != nil {
				return pk, err
			}
		}
		if a.filters += len(pk.Filters); over(a.filters, w.Filters) {
			return pk, w.violated("more than %d subscriptions", w.Filters)
		}
	}
	return pk, nil
}

func (w *warden) message(a *account, pk packets.Packet) error {
	now := time.Now()
	a.due = append(slices.DeleteFunc(a.due, func(t time.Time) bool { return !t.After(now) }), now.Add(w.Lag))
	switch {
	case over(len(pk.Payload), w.Payload):
		return w.violated("payload of %d bytes, at most %d", len(pk.Payload), w.Payload)
	case !a.messages.take(1):
		return w.violated("more than %d messages a second", w.Rate)
	case over(len(a.due), w.InFlight):
		return w.violated("more than %d messages in flight", w.InFlight)
	}
	return w.topic(pk.TopicName)
}

func (w *warden) topic(t string) error {
	switch {
	case over(len(t), w.Topic):
		return w.violated("topic of %d bytes, at most %d", len(t), w.Topic)
	case w.Slashes > 0 && strings.Count(t, "/") > w.Slashes:
		return w.violated("topic with more than %d slashes", w.Slashes)
	}
	return nil
}

// violated tells of a violation. The error ends the connection.
func (w *warden) violated(format string, args ...any) error {
	w.tell(fmt.Sprintf(format, args...))
	return packets.ErrRejectPacket
}
