package broker_test

import (
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"roadseal/agent/mqttlink"
	"roadseal/agent/wire"
	"roadseal/cmd/internal/broker"
	"roadseal/cmd/internal/broker/brokertest"
)

// limited is a scene with limits, and what was violated.
func limited(t *testing.T, l broker.Limits) (s *scene, violations func() []string) {
	s = &scene{t: t, ca: brokertest.NewCA(t)}
	var mu sync.Mutex
	var all []string
	s.broker = s.ca.Start(broker.Options{Address: "127.0.0.1:0", Limits: &l, Violation: func(what string) {
		mu.Lock()
		defer mu.Unlock()
		all = append(all, what)
	}})
	t.Cleanup(func() { require.NoError(t, s.broker.Close()) })
	return s, func() []string {
		mu.Lock()
		defer mu.Unlock()
		return all
	}
}

// TestWhoViolatesALimitIsCutOff: each limit, reached and passed.
func TestWhoViolatesALimitIsCutOff(t *testing.T) {
	aws, err := broker.Like("aws")
	require.NoError(t, err)
	aws.Lag = 0
	up := func(car string, n, size int) func(*mqttlink.Session) {
		return func(c *mqttlink.Session) {
			for range n {
				_ = c.Publish(wire.UpTopic(car), make([]byte, size)) // may learn at once that the session is over
			}
		}
	}
	filters := func(n int) func(*mqttlink.Session) {
		return func(c *mqttlink.Session) {
			for range n {
				_ = c.Subscribe(t.Context(), wire.UpFilter("00")) // the same again: counted all the same
			}
		}
	}
	car := brokertest.Device(t)
	for _, c := range []struct {
		limits     broker.Limits
		who        string
		good, evil func(*mqttlink.Session)
		violation  string
	}{
		{aws, car, up(car, 1, 131_072), up(car, 1, 131_073), "payload of 131073 bytes, at most 131072"},
		{aws, car, up(car, 100, 10), up(car, 120, 10), "more than 100 messages a second"},
		{aws, car, up(car, 4, 122_926), up(car, 9, 122_926), "more than 524288 bytes a second"},
		{broker.Limits{InFlight: 10, Lag: time.Second}, car, up(car, 10, 1), up(car, 11, 1), "more than 10 messages in flight"},
		{aws, "collector", filters(49), filters(51), "more than 50 subscriptions"},
		{aws, "collector", func(*mqttlink.Session) {}, func(c *mqttlink.Session) {
			_ = c.Publish("v1/down/3/4/5/6/7/8/9", nil) // eight
		}, "topic with more than 7 slashes"},
		{broker.Limits{Topic: 30}, car, func(*mqttlink.Session) {}, up(car, 1, 1), "topic of 31 bytes, at most 30"},
	} {
		s, violations := limited(t, c.limits)
		session := s.client(c.who)
		c.good(session)
		require.Error(t, session.Subscribe(t.Context(), "x"), "answered, and refused") // all before it was read
		require.Empty(t, violations())
		require.NoError(t, session.Close())

		s, violations = limited(t, c.limits)
		session = s.client(c.who)
		c.evil(session)
		await(t, session.Done())
		require.Contains(t, violations(), c.violation)
	}
}

func TestConnectionsHaveLimits(t *testing.T) {
	s, violations := limited(t, broker.Limits{Connects: 1})
	car := brokertest.Device(t)
	s.client(car)
	s.client(brokertest.Device(t)) // another client
	_, err := s.dial(car, car)
	require.Error(t, err)
	require.Equal(t, []string{"more than 1 CONNECT a second"}, violations())

	s, violations = limited(t, broker.Limits{ClientID: 21})
	_, err = s.dial(car, car)
	require.Error(t, err)
	require.Equal(t, []string{"client id of 22 bytes, at most 21"}, violations())
}

// TestForbiddenMessagesMayBeDropped as mosquitto and nats-server do: they are
// acknowledged, the session goes on, and nobody gets them.
func TestForbiddenMessagesMayBeDropped(t *testing.T) {
	s, violations := limited(t, broker.Limits{Drops: true})
	car, other := brokertest.Device(t), brokertest.Device(t)
	c, collector := s.client(car), s.client("collector")
	require.NoError(t, collector.Subscribe(t.Context(), "v1/up/+/+"))
	require.NoError(t, c.Publish(wire.UpTopic(other), []byte("forged")))
	require.NoError(t, c.Publish(wire.UpTopic(car), []byte("own")))
	m := await(t, collector.Messages())
	require.Equal(t, "own", string(m.Payload))
	m.Ack()
	require.NoError(t, c.Err())
	require.Empty(t, violations())
}

func TestNobodyIsLikeAnUnknownBroker(t *testing.T) {
	_, err := broker.Like("awss")
	require.ErrorContains(t, err, "expected one of aws, emqx, hivemq, mosquitto, nats")
	require.False(t, strings.Contains(err.Error(), "\n"))
}
