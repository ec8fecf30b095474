package mqttlink_test

import (
	"bytes"
	"context"
	"errors"
	"io"
	"net"
	"sync"
	"testing"

	"github.com/eclipse/paho.mqtt.golang/packets"
	"github.com/stretchr/testify/require"

	"roadseal/agent/mqttlink"
)

const client = "AAECAwQFBgcICQoLDA0ODw"

// A peer plays the broker at the other end of a connection. on decides for a
// packet what to send back; false means the ordinary answer.
type peer struct {
	net.Conn
	wrap func(net.Conn) net.Conn // a layer around the connection
	on   func(packets.ControlPacket) ([]byte, bool)
	got  []packets.ControlPacket
	out  chan []byte
}

// serve answers until the connection ends. It writes from a goroutine of its
// own: on a pipe, two ends that both write would wait for each other.
func (p *peer) serve() error {
	p.out = make(chan []byte, 100)
	var writer sync.WaitGroup
	writer.Go(func() {
		for b := range p.out {
			p.Write(b) // an error shows in reading, too
		}
	})
	defer writer.Wait()
	defer close(p.out)
	for {
		in, err := packets.ReadPacket(p.Conn)
		if err != nil {
			return err
		}
		p.got = append(p.got, in)
		var out []byte
		handled := false
		if p.on != nil {
			out, handled = p.on(in)
		}
		if !handled {
			out = answer(in)
		}
		if len(out) > 0 {
			p.out <- out
		}
	}
}

func answer(in packets.ControlPacket) []byte {
	switch in := in.(type) {
	case *packets.ConnectPacket:
		return []byte{0x20, 2, 0, 0}
	case *packets.SubscribePacket:
		return []byte{0x90, 3, byte(in.MessageID >> 8), byte(in.MessageID), 1}
	case *packets.PublishPacket:
		return []byte{0x40, 2, byte(in.MessageID >> 8), byte(in.MessageID)}
	case *packets.PingreqPacket:
		return []byte{0xd0, 0}
	}
	return nil
}

// count is the number of packets of the same type as like that came.
func count[T packets.ControlPacket](p *peer) (n int) {
	for _, in := range p.got {
		if _, ok := in.(T); ok {
			n++
		}
	}
	return n
}

// message is a PUBLISH with QoS 1 as a broker sends it.
func message(id uint16, topic string, payload []byte) []byte {
	p := packets.NewControlPacket(packets.Publish).(*packets.PublishPacket)
	p.TopicName, p.Qos, p.MessageID, p.Payload = topic, 1, id, payload
	var b bytes.Buffer
	if err := p.Write(&b); err != nil {
		panic(err)
	}
	return b.Bytes()
}

// pipe returns options that connect to p, whose connection is one end of a
// pipe. serve runs until that ends; wait for done before looking at p.
func pipe(p *peer) (o mqttlink.Options, done chan error) {
	near, far := net.Pipe()
	p.Conn = far
	if p.wrap != nil {
		p.Conn = p.wrap(far)
	}
	done = make(chan error, 1)
	go func() {
		err := p.serve()
		far.Close()
		done <- err
	}()
	return mqttlink.Options{ClientID: client, Dial: func(context.Context, string, string) (net.Conn, error) { return near, nil }}, done
}

// connect opens a session with p.
func connect(t *testing.T, p *peer) (s *mqttlink.Session, done chan error) {
	o, done := pipe(p)
	s, err := mqttlink.Dial(t.Context(), o)
	require.NoError(t, err)
	return s, done
}

// closed waits for the end of the peer, which must see the connection closed
// and nothing worse.
func closed(t *testing.T, done chan error) {
	err := <-done
	require.True(t, errors.Is(err, io.EOF) || errors.Is(err, io.ErrClosedPipe), "%v", err)
}
