package mqttlink_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"net"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/eclipse/paho.mqtt.golang/packets"
	"github.com/stretchr/testify/require"
	"go.uber.org/goleak"

	"roadseal/agent/mqttlink"
)

func TestSession(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p := new(peer)
		s, done := connect(t, p)
		require.NoError(t, s.Subscribe(t.Context(), "v1/down/x"))
		require.NoError(t, s.Publish("v1/up/00/x", []byte("one")))
		require.NoError(t, s.Publish("v1/up/00/x", []byte("two")))
		synctest.Wait()
		p.out <- message(7, "v1/down/x", []byte("hello"))
		m := <-s.Messages()
		m.Ack() // without ManualAck: nothing more
		require.Equal(t, "v1/down/x", m.Topic)
		require.Equal(t, "hello", string(m.Payload))
		time.Sleep(10 * time.Minute)
		require.NoError(t, s.Err(), "pings keep an idle session")
		require.NoError(t, s.Close())
		require.NoError(t, s.Close(), "twice is once")
		require.ErrorContains(t, s.Err(), "closed")
		require.ErrorContains(t, s.Publish("v1/up/00/x", nil), "session is closed")
		<-s.Done()
		closed(t, done)

		hello := p.got[0].(*packets.ConnectPacket)
		require.Equal(t, client, hello.ClientIdentifier)
		require.EqualValues(t, 4, hello.ProtocolVersion)
		require.EqualValues(t, 30, hello.Keepalive)
		require.True(t, hello.CleanSession)
		require.Equal(t, 2, count[*packets.PublishPacket](p))
		require.Equal(t, 1, count[*packets.PubackPacket](p))
		require.Equal(t, 1, count[*packets.DisconnectPacket](p))
		for _, in := range p.got {
			if pub, ok := in.(*packets.PublishPacket); ok {
				require.Equal(t, []any{byte(1), false}, []any{pub.Qos, pub.Retain})
			}
		}
	})
}

// TestSend: what goes with QoS 0 needs no place among what waits for the
// broker, and its order among the rest is kept.
func TestSend(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var order []string
		p := &peer{on: func(in packets.ControlPacket) ([]byte, bool) {
			pub, ok := in.(*packets.PublishPacket)
			if ok {
				order = append(order, fmt.Sprintf("%d %t %s", pub.Qos, pub.Retain, pub.Payload))
			}
			return nil, ok // no acknowledgement ever
		}}
		o, done := pipe(p)
		o.InFlight = 1
		s, err := mqttlink.Dial(t.Context(), o)
		require.NoError(t, err)
		require.NoError(t, s.Publish("v1/down/x", []byte("one")))
		for _, text := range []string{"two", "three", "four"} {
			require.NoError(t, s.Send("v1/down/x", []byte(text)))
		}
		require.Error(t, s.Send("v1/down/+", nil))
		synctest.Wait()
		require.NoError(t, s.Close())
		closed(t, done)
		require.Equal(t, []string{"1 false one", "0 false two", "0 false three", "0 false four"}, order)
	})
}

func TestOptions(t *testing.T) {
	dial := func(context.Context, string, string) (net.Conn, error) { return nil, errors.New("no network") }
	for want, o := range map[string]mqttlink.Options{
		"without TLS": {ClientID: client},
		"client id":   {Dial: dial},
		"keep-alive":  {ClientID: client, Dial: dial, KeepAlive: 1500 * time.Millisecond},
		"no network":  {ClientID: client, Dial: dial},
	} {
		_, err := mqttlink.Dial(t.Context(), o)
		require.ErrorContains(t, err, want)
	}
}

func TestPersistentSession(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p := new(peer)
		p.on = func(in packets.ControlPacket) ([]byte, bool) {
			_, first := in.(*packets.ConnectPacket)
			// What waited comes at once, before anybody can subscribe.
			return append([]byte{0x20, 2, 1, 0}, message(3, "v1/up/00/x", []byte("waited"))...), first
		}
		o, done := pipe(p)
		o.Persistent, o.ManualAck = true, true
		s, err := mqttlink.Dial(t.Context(), o)
		require.NoError(t, err)
		m := <-s.Messages()
		require.Equal(t, "waited", string(m.Payload))
		synctest.Wait()
		require.Zero(t, count[*packets.PubackPacket](p), "not before Ack")
		m.Ack()
		m.Ack()
		require.NoError(t, s.Close())
		m.Ack() // too late: nothing
		closed(t, done)
		require.False(t, p.got[0].(*packets.ConnectPacket).CleanSession)
		require.Equal(t, 1, count[*packets.PubackPacket](p))
	})
}

func TestBrokerRefuses(t *testing.T) {
	for code, want := range map[byte]string{
		1: "3.1.1", 2: "common name", 3: "not available", 4: "user name", 5: "not authorised", 6: "code 6", 77: "code 77",
	} {
		synctest.Test(t, func(t *testing.T) {
			o, done := pipe(&peer{on: func(packets.ControlPacket) ([]byte, bool) { return []byte{0x20, 2, 0, code}, true }})
			_, err := mqttlink.Dial(t.Context(), o)
			require.ErrorContains(t, err, "broker refused the connection")
			require.ErrorContains(t, err, want)
			closed(t, done)
		})
	}
}

func TestSubscriptionRefused(t *testing.T) {
	for want, codes := range map[string][]byte{
		"return code 0x80": {0x80},
		"return code 0x00": {0},                // granted, but not so that everything arrives
		"at most 3":        {1, 1, 1},          // would make the library panic
		"in 10s":           nil,                // no answer
		"closed by":        {0xde, 0xad, 0xbe}, // hangs up
	} {
		synctest.Test(t, func(t *testing.T) {
			p := new(peer)
			p.on = func(in packets.ControlPacket) ([]byte, bool) {
				sub, ok := in.(*packets.SubscribePacket)
				if !ok || codes == nil {
					return nil, ok
				}
				if codes[0] == 0xde {
					p.Close()
				}
				return append([]byte{0x90, byte(2 + len(codes)), byte(sub.MessageID >> 8), byte(sub.MessageID)}, codes...), true
			}
			s, done := connect(t, p)
			require.ErrorContains(t, s.Subscribe(t.Context(), "v1/down/x"), want)
			require.NoError(t, s.Close())
			<-done
		})
	}
}

// TestDeadPeer: every way to wait for a peer ends, and soon.
func TestDeadPeer(t *testing.T) {
	silent := func(packets.ControlPacket) ([]byte, bool) { return nil, true }
	t.Run("no CONNACK", func(t *testing.T) {
		synctest.Test(t, func(t *testing.T) {
			o, done := pipe(&peer{on: silent})
			start := time.Now()
			_, err := mqttlink.Dial(t.Context(), o)
			require.ErrorContains(t, err, "nothing moves")
			require.Equal(t, 10*time.Second, time.Since(start))
			closed(t, done)
		})
	})
	t.Run("no TCP answer", func(t *testing.T) {
		synctest.Test(t, func(t *testing.T) {
			start := time.Now()
			_, err := mqttlink.Dial(t.Context(), mqttlink.Options{ClientID: client, Dial: func(ctx context.Context, _, _ string) (net.Conn, error) {
				<-ctx.Done()
				return nil, ctx.Err()
			}})
			require.ErrorIs(t, err, context.DeadlineExceeded)
			require.Equal(t, 10*time.Second, time.Since(start))
		})
	})
	t.Run("no answer to pings", func(t *testing.T) {
		synctest.Test(t, func(t *testing.T) {
			s, done := connect(t, &peer{on: func(in packets.ControlPacket) ([]byte, bool) {
				_, ping := in.(*packets.PingreqPacket)
				return nil, ping
			}})
			start := time.Now()
			<-s.Done()
			require.ErrorContains(t, s.Err(), "pingresp not received")
			require.LessOrEqual(t, time.Since(start), 45*time.Second, "1.5 times the keep-alive")
			require.NoError(t, s.Close())
			closed(t, done)
		})
	})
	t.Run("takes no data", func(t *testing.T) {
		synctest.Test(t, func(t *testing.T) {
			release := make(chan struct{})
			s, done := connect(t, &peer{on: func(in packets.ControlPacket) ([]byte, bool) {
				if _, pub := in.(*packets.PublishPacket); pub {
					<-release // and reads no more
				}
				return nil, false
			}})
			start := time.Now()
			var err error
			for range 20 {
				if err = s.Publish("v1/up/00/x", make([]byte, 1000)); err != nil {
					break
				}
			}
			require.ErrorContains(t, err, "nothing moves")
			require.Equal(t, 5*time.Second, time.Since(start))
			close(release)
			require.NoError(t, s.Close())
			<-done
		})
	})
}

// TestContextEndsEverything cancels in each state; no virtual time may pass.
func TestContextEndsEverything(t *testing.T) {
	silent := func(packets.ControlPacket) ([]byte, bool) { return nil, true }
	t.Run("dialling", func(t *testing.T) {
		synctest.Test(t, func(t *testing.T) {
			ctx, cancel := context.WithCancel(t.Context())
			o := mqttlink.Options{ClientID: client, Dial: func(ctx context.Context, _, _ string) (net.Conn, error) {
				cancel()
				<-ctx.Done()
				return nil, ctx.Err()
			}}
			start := time.Now()
			_, err := mqttlink.Dial(ctx, o)
			require.ErrorIs(t, err, context.Canceled)
			require.Zero(t, time.Since(start))
		})
	})
	t.Run("waiting for CONNACK", func(t *testing.T) {
		synctest.Test(t, func(t *testing.T) {
			ctx, cancel := context.WithTimeout(t.Context(), time.Second)
			defer cancel()
			o, done := pipe(&peer{on: silent})
			start := time.Now()
			_, err := mqttlink.Dial(ctx, o)
			require.ErrorIs(t, err, context.DeadlineExceeded)
			require.Equal(t, time.Second, time.Since(start))
			closed(t, done)
		})
	})
	t.Run("publishing", func(t *testing.T) {
		synctest.Test(t, func(t *testing.T) {
			ctx, cancel := context.WithTimeout(t.Context(), time.Second)
			defer cancel()
			release := make(chan struct{})
			o, done := pipe(&peer{on: func(in packets.ControlPacket) ([]byte, bool) {
				if _, pub := in.(*packets.PublishPacket); pub {
					<-release
				}
				return nil, false
			}})
			s, err := mqttlink.Dial(ctx, o)
			require.NoError(t, err)
			start := time.Now()
			for err == nil {
				err = s.Publish("v1/up/00/x", []byte("x"))
			}
			require.ErrorIs(t, err, context.DeadlineExceeded)
			require.ErrorIs(t, s.Err(), context.DeadlineExceeded)
			require.Error(t, s.Subscribe(t.Context(), "a"))
			require.Equal(t, time.Second, time.Since(start))
			require.NoError(t, s.Close())
			require.Equal(t, time.Second, time.Since(start))
			close(release)
			<-done
		})
	})
}

func TestFullQueue(t *testing.T) {
	for _, manual := range []bool{false, true} {
		synctest.Test(t, func(t *testing.T) {
			p := new(peer)
			o, done := pipe(p)
			o.ManualAck, o.Queue = manual, 4
			s, err := mqttlink.Dial(t.Context(), o)
			require.NoError(t, err)
			for id := range uint16(10) {
				p.out <- message(id+1, "v1/down/x", []byte{byte(id)})
			}
			synctest.Wait()
			require.EqualValues(t, 6, s.Dropped())
			for id := range byte(4) {
				m := <-s.Messages()
				require.Equal(t, []byte{id}, m.Payload)
				m.Ack()
			}
			require.NoError(t, s.Close())
			closed(t, done)
			// What was dropped is acknowledged only if nobody asked to do that by hand.
			require.Equal(t, map[bool]int{false: 10, true: 4}[manual], count[*packets.PubackPacket](p))
		})
	}
}

func TestPublishChecksTopics(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s, done := connect(t, new(peer))
		for _, topic := range []string{"", "v1/up/+/x", "v1/#", "a\x00b", "\xff", strings.Repeat("x", 257), strings.Repeat("x", 70_000)} {
			require.ErrorContains(t, s.Publish(topic, nil), "cannot publish")
		}
		require.NoError(t, s.Publish(strings.Repeat("x", 256), nil))
		require.NoError(t, s.Close())
		closed(t, done)
	})
}

// TestNoGoroutineStays runs many sessions over sockets that end in every way.
func TestNoGoroutineStays(t *testing.T) {
	defer goleak.VerifyNone(t, goleak.IgnoreCurrent())
	l, err := net.Listen("tcp", "127.0.0.1:0")
	require.NoError(t, err)
	defer l.Close()
	o := mqttlink.Options{ClientID: client, Address: l.Addr().String(), Dial: new(net.Dialer).DialContext}
	for i := range 60 {
		p := new(peer)
		served := make(chan struct{})
		go func() {
			defer close(served)
			var err error
			if p.Conn, err = l.Accept(); err != nil {
				return
			}
			defer p.Close()
			p.serve()
		}()
		ctx, cancel := context.WithCancel(t.Context())
		switch i % 6 {
		case 0: // refused
			p.on = func(packets.ControlPacket) ([]byte, bool) { return []byte{0x20, 2, 0, 5}, true }
		case 1: // hangs up on the first publication
			p.on = func(in packets.ControlPacket) ([]byte, bool) {
				if _, pub := in.(*packets.PublishPacket); pub {
					p.Close()
				}
				return nil, false
			}
		case 2: // talks nonsense
			p.on = func(in packets.ControlPacket) ([]byte, bool) {
				_, pub := in.(*packets.PublishPacket)
				return []byte{0x30, 0xff, 0xff, 0xff, 0x7f}, pub
			}
		}
		s, err := mqttlink.Dial(ctx, o)
		if i%6 == 0 {
			require.ErrorContains(t, err, "return code 5")
		} else {
			require.NoError(t, err)
			for err == nil && i%6 != 3 { // until it is over
				err = s.Publish("v1/up/00/x", bytes.Repeat([]byte("x"), 50_000))
				if i%6 == 4 {
					cancel()
				}
				if i%6 == 5 {
					break
				}
			}
			require.NoError(t, s.Close())
		}
		cancel()
		<-served
	}
}
