package mqttlink_test

import (
	"bytes"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/eclipse/paho.mqtt.golang/packets"
	"github.com/stretchr/testify/require"

	"roadseal/agent/mqttlink"
	"roadseal/agent/profile"
)

// A gauge notes when packets came and how long they were.
type gauge struct {
	mu    sync.Mutex
	at    []time.Time
	bytes []int
}

func (m *gauge) note(in packets.ControlPacket) {
	var b bytes.Buffer
	if err := in.Write(&b); err != nil {
		panic(err)
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	m.at, m.bytes = append(m.at, time.Now()), append(m.bytes, b.Len())
}

// most is the largest number of bytes in any one second.
func (m *gauge) most() (most int) {
	for i := range m.at {
		sum := 0
		for j := i; j < len(m.at) && m.at[j].Sub(m.at[i]) < time.Second; j++ {
			sum += m.bytes[j]
		}
		most = max(most, sum)
	}
	return most
}

// TestPaceOverSessions: all packets of one session after the other, CONNECT and
// acknowledgements too, stay within the limits, and a session begins a second
// after the last.
func TestPaceOverSessions(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		const bandwidth = 300_000
		var m gauge
		pace := profile.NewPace(profile.Limits{Bandwidth: bandwidth})
		start := time.Now()
		for range 5 {
			p := &peer{}
			p.on = func(in packets.ControlPacket) ([]byte, bool) {
				m.note(in)
				if _, pub := in.(*packets.PublishPacket); pub { // say something that wants an acknowledgement, too
					return append(answer(in), message(7, "v1/down/x", make([]byte, 100))...), true
				}
				return nil, false
			}
			o, done := pipe(p)
			o.Pace = pace
			s, err := mqttlink.Dial(t.Context(), o)
			require.NoError(t, err)
			for range 4 {
				require.NoError(t, s.Publish("v1/up/00/x", make([]byte, 100_000)))
			}
			require.NoError(t, s.Close())
			closed(t, done)
		}
		require.LessOrEqual(t, m.most(), bandwidth)
		require.Greater(t, m.most(), 2*100_000)
		require.GreaterOrEqual(t, time.Since(start), 4*time.Second)
	})
}

// TestInFlight: no more publications than allowed are unacknowledged at a time,
// all go in the end, and a broker that stays silent ends the session.
func TestInFlight(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		const limit = 3
		var held [][]byte
		var mu sync.Mutex
		most, silent := 0, false
		p := &peer{}
		p.on = func(in packets.ControlPacket) ([]byte, bool) {
			if _, pub := in.(*packets.PublishPacket); !pub {
				return nil, false
			}
			mu.Lock()
			defer mu.Unlock()
			held = append(held, answer(in))
			most = max(most, len(held))
			return nil, true
		}
		o, done := pipe(p)
		o.InFlight = limit
		s, err := mqttlink.Dial(t.Context(), o)
		require.NoError(t, err)
		go func() { // acknowledges one every 100 ms
			for range time.Tick(100 * time.Millisecond) {
				mu.Lock()
				if len(held) > 0 && !silent {
					p.out <- held[0]
					held = held[1:]
				}
				stop := silent
				mu.Unlock()
				if stop {
					return
				}
			}
		}()
		for range 20 {
			require.NoError(t, s.Publish("v1/up/00/x", []byte("x")))
		}
		mu.Lock()
		require.Equal(t, limit, most)
		silent = true
		mu.Unlock()
		start := time.Now()
		for err == nil {
			err = s.Publish("v1/up/00/x", []byte("x"))
		}
		require.ErrorContains(t, err, "broker acknowledges nothing: 3 publications wait")
		require.Equal(t, 10*time.Second, time.Since(start))
		require.NoError(t, s.Close())
		<-done
	})
}
