package mqttlink_test

import (
	"context"
	"crypto/tls"
	"math/rand/v2"
	"net"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"golang.org/x/sys/unix"

	"roadseal/agent/mqttlink"
)

// overTCP opens a session with a peer over loopback, with the kernel's own
// sockets at both ends, and returns that of the session.
func overTCP(t *testing.T, p *peer, secure bool, wrap func(net.Conn) net.Conn) (s *mqttlink.Session, near *net.TCPConn, done chan error) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	require.NoError(t, err)
	defer l.Close()
	server, client := identity(t)
	o := mqttlink.Options{ClientID: "x", Address: l.Addr().String(), MaxPacket: 200 << 10,
		Dial: func(ctx context.Context, network, address string) (net.Conn, error) {
			conn, err := new(net.Dialer).DialContext(ctx, network, address)
			near, _ = conn.(*net.TCPConn)
			return conn, err
		}}
	if secure {
		o.TLS = client
	}
	done = make(chan error, 1)
	go func() {
		conn, err := l.Accept()
		if err == nil {
			p.Conn = wrap(conn)
			if secure {
				p.Conn = tls.Server(p.Conn, server)
			}
			err = p.serve()
			conn.Close()
		}
		done <- err
	}()
	s, err = mqttlink.Dial(t.Context(), o)
	require.NoError(t, err)
	return s, near, done
}

func plain(conn net.Conn) net.Conn { return conn }

// A chopped connection writes in pieces of any length, some with a pause after.
type chopped struct {
	net.Conn
	rng *rand.Rand
}

func (c *chopped) Write(p []byte) (n int, err error) {
	for n < len(p) && err == nil {
		var k int
		k, err = c.Conn.Write(p[n:min(len(p), n+1+c.rng.IntN(20_000))])
		n += k
		if c.rng.IntN(4) == 0 {
			time.Sleep(time.Millisecond)
		}
	}
	return n, err
}

// TestEveryMessageWakes: a message is read when it is there, whatever its
// length, however it is cut into records and segments, and though nothing
// follows it.
func TestEveryMessageWakes(t *testing.T) {
	lengths := []int{0, 1, 100, 60 << 10, 120 << 10, 180 << 10}
	for _, near := range []int{16 << 10, 32 << 10, 64 << 10, 80 << 10} {
		for d := -40; d <= 40; d += 8 {
			lengths = append(lengths, near+d)
		}
	}
	for _, secure := range []bool{true, false} {
		rng := rand.New(rand.NewPCG(1, 2))
		p := &peer{}
		s, _, done := overTCP(t, p, secure, func(conn net.Conn) net.Conn { return &chopped{conn, rng} })
		for i, n := range lengths {
			whole := message(uint16(i+1), "v1/down/x", make([]byte, n))
			for len(whole) > 0 { // the peer writes each piece as one or more records
				k := min(len(whole), 1+i*1000+n/(1+i%4))
				p.out <- whole[:k]
				whole = whole[k:]
			}
			select {
			case m := <-s.Messages():
				require.Len(t, m.Payload, n)
			case <-time.After(30 * time.Second):
				t.Fatalf("a message of %d bytes is not read (TLS: %v)", n, secure)
			}
		}
		require.NoError(t, s.Close())
		<-done
	}
}

func option(t *testing.T, conn *net.TCPConn, level, option int) (v int) {
	raw, err := conn.SyscallConn()
	require.NoError(t, err)
	var failed error
	require.NoError(t, raw.Control(func(fd uintptr) { v, failed = unix.GetsockoptInt(int(fd), level, option) }))
	require.NoError(t, failed)
	return v
}

// TestWokenForMuch: in the middle of a large message the kernel wakes the reader
// only when much of the rest is there, and at the end for anything.
func TestWokenForMuch(t *testing.T) {
	p := &peer{}
	s, near, done := overTCP(t, p, true, plain)
	whole := message(1, "v1/down/x", make([]byte, 120<<10))
	p.out <- whole[:20<<10]
	low := func() int { return option(t, near, unix.SOL_SOCKET, unix.SO_RCVLOWAT) }
	require.Eventually(t, func() bool { return low() == 64<<10 }, 30*time.Second, time.Millisecond)
	p.out <- whole[20<<10:]
	require.Len(t, (<-s.Messages()).Payload, 120<<10)
	require.Eventually(t, func() bool { return low() == 1 }, 30*time.Second, time.Millisecond)
	require.NoError(t, s.Close())
	<-done
}
