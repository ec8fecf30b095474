package mqttlink_test

import (
	"context"
	"crypto/ed25519"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"io"
	"math/big"
	"net"
	"sync/atomic"
	"syscall"
	"testing"
	"testing/synctest"
	"time"

	mqtt "github.com/eclipse/paho.mqtt.golang"
	"github.com/eclipse/paho.mqtt.golang/packets"
	"github.com/stretchr/testify/require"
	"golang.org/x/sys/unix"

	"roadseal/agent/mqttlink"
)

// identity makes both ends of a TLS connection from one throw-away certificate.
func identity(t *testing.T) (server, client *tls.Config) {
	public, private, err := ed25519.GenerateKey(rand.Reader)
	require.NoError(t, err)
	template := &x509.Certificate{SerialNumber: big.NewInt(1), DNSNames: []string{"broker"},
		NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(time.Hour)}
	der, err := x509.CreateCertificate(rand.Reader, template, template, public, private)
	require.NoError(t, err)
	cert, err := x509.ParseCertificate(der)
	require.NoError(t, err)
	pool := x509.NewCertPool()
	pool.AddCert(cert)
	return &tls.Config{MinVersion: tls.VersionTLS13, Certificates: []tls.Certificate{{Certificate: [][]byte{der}, PrivateKey: private}}},
		&tls.Config{MinVersion: tls.VersionTLS13, RootCAs: pool, ServerName: "broker"}
}

// A slow connection reads step bytes every half second.
type slow struct {
	net.Conn
	step int
}

func (s *slow) Read(p []byte) (int, error) {
	time.Sleep(500 * time.Millisecond)
	return s.Conn.Read(p[:min(len(p), s.step)])
}

// TestSlowLink: a link that moves is not cut, though one message takes longer
// than any deadline; a slower one is.
func TestSlowLink(t *testing.T) {
	for rate, enough := range map[int]bool{8 << 10: true, 2 << 10: false} {
		synctest.Test(t, func(t *testing.T) {
			server, client := identity(t)
			p := &peer{wrap: func(conn net.Conn) net.Conn { return tls.Server(&slow{conn, rate / 2}, server) }}
			o, done := pipe(p)
			o.TLS = client
			o.KeepAlive = time.Hour // a ping would wait in a mutex, where virtual time stands still
			s, err := mqttlink.Dial(t.Context(), o)
			require.NoError(t, err)
			start := time.Now()
			for range 3 {
				if err = s.Publish("v1/up/00/x", make([]byte, 120<<10)); err != nil {
					break
				}
			}
			if enough {
				require.NoError(t, err)
				require.Greater(t, time.Since(start), 20*time.Second, "waits for what went before")
				time.Sleep(20 * time.Second)
				synctest.Wait()
				require.Equal(t, 3, count[*packets.PublishPacket](p))
			} else {
				require.ErrorContains(t, err, "nothing moves")
			}
			require.NoError(t, s.Close())
			<-done
		})
	}
}

// TestErrorsStayWithinReach: callers explain errors of the network and of TLS.
func TestErrorsStayWithinReach(t *testing.T) {
	server, client := identity(t)
	client.ServerName = "other"
	near, far := net.Pipe()
	go tls.Server(far, server).Handshake()
	_, err := mqttlink.Dial(t.Context(), mqttlink.Options{ClientID: "x", TLS: client,
		Dial: func(context.Context, string, string) (net.Conn, error) { return near, nil }})
	var name x509.HostnameError
	require.ErrorAs(t, err, &name)

	_, err = mqttlink.Dial(t.Context(), mqttlink.Options{ClientID: "x", Address: "127.0.0.1:1", TLS: client})
	require.ErrorIs(t, err, syscall.ECONNREFUSED)
	require.ErrorContains(t, err, "cannot reach broker")
}

// TestTheSameLossReadsTheSame: no port number gets into the reason.
func TestTheSameLossReadsTheSame(t *testing.T) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	require.NoError(t, err)
	defer l.Close()
	go func() {
		for {
			conn, err := l.Accept()
			if err != nil {
				return
			}
			packets.ReadPacket(conn)
			conn.Write([]byte{0x20, 2, 0, 0})
			conn.(*net.TCPConn).SetLinger(0)
			conn.Close() // a reset
		}
	}()
	for range 5 {
		var tcp *net.TCPConn
		s, err := mqttlink.Dial(t.Context(), mqttlink.Options{ClientID: "x", Dial: func(ctx context.Context, _, _ string) (net.Conn, error) {
			conn, err := new(net.Dialer).DialContext(ctx, "tcp", l.Addr().String())
			tcp, _ = conn.(*net.TCPConn)
			return conn, err
		}})
		if err != nil { // the reset overtook CONNACK
			require.ErrorIs(t, err, syscall.ECONNRESET)
			continue
		}
		<-s.Done()
		require.NotNil(t, tcp)
		require.NoError(t, s.Close())
		require.True(t, errors.Is(s.Err(), syscall.ECONNRESET) || errors.Is(s.Err(), io.EOF), "%v", s.Err())
		require.NotContains(t, s.Err().Error(), "127.0.0.1")
	}
}

func TestUserTimeoutIsSet(t *testing.T) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	require.NoError(t, err)
	defer l.Close()
	p := new(peer)
	done := make(chan error, 1)
	go func() {
		var err error
		if p.Conn, err = l.Accept(); err == nil {
			err = p.serve()
		}
		done <- err
	}()
	var conn net.Conn
	s, err := mqttlink.Dial(t.Context(), mqttlink.Options{ClientID: "x", Address: l.Addr().String(),
		Dial: func(ctx context.Context, network, address string) (_ net.Conn, err error) {
			conn, err = new(net.Dialer).DialContext(ctx, network, address)
			return conn, err
		}})
	require.NoError(t, err)
	raw, err := conn.(*net.TCPConn).SyscallConn()
	require.NoError(t, err)
	var got int
	require.NoError(t, raw.Control(func(fd uintptr) {
		got, err = unix.GetsockoptInt(int(fd), unix.IPPROTO_TCP, unix.TCP_USER_TIMEOUT)
	}))
	require.NoError(t, err)
	require.Equal(t, 10_000, got)
	require.NoError(t, s.Close())
	require.ErrorIs(t, <-done, io.EOF)
}

// A counted connection counts how often it is asked to write.
type counted struct {
	net.Conn
	calls atomic.Int64
}

func (c *counted) Write(p []byte) (int, error) {
	c.calls.Add(1)
	return c.Conn.Write(p)
}

// TestAPacketIsWrittenInOneCall: whatever its length, it goes as it is, and
// nothing of it waits for what follows.
func TestAPacketIsWrittenInOneCall(t *testing.T) {
	const topic = "v1/up/00/x"
	lengths := []int{0, 1, 100, 60 << 10, 120 << 10, 180 << 10}
	for d := -30; d <= 2; d++ { // the packet is longer than its payload by up to 18 bytes
		lengths = append(lengths, 16<<10+d, 64<<10+d)
	}
	for _, secure := range []bool{true, false} {
		var near *counted
		p := &peer{}
		arrived := make(chan []byte)
		p.on = func(in packets.ControlPacket) ([]byte, bool) {
			if in, ok := in.(*packets.PublishPacket); ok {
				arrived <- in.Payload
			}
			return nil, false
		}
		server, client := identity(t)
		if secure {
			p.wrap = func(conn net.Conn) net.Conn { return tls.Server(conn, server) }
		}
		o, done := pipe(p)
		if secure {
			o.TLS = client
		}
		open := o.Dial
		o.Dial = func(ctx context.Context, network, address string) (net.Conn, error) {
			conn, err := open(ctx, network, address)
			near = &counted{Conn: conn}
			return near, err
		}
		o.MaxPacket, o.KeepAlive = 200<<10, time.Hour
		s, err := mqttlink.Dial(t.Context(), o)
		require.NoError(t, err)
		before := near.calls.Load()
		for i, n := range lengths {
			payload := make([]byte, n)
			_, _ = rand.Read(payload) // it never fails
			require.NoError(t, s.Publish(topic, payload))
			select {
			case got := <-arrived:
				require.Equal(t, payload, got)
			case <-time.After(30 * time.Second):
				t.Fatalf("a message of %d bytes does not arrive (TLS: %v)", n, secure)
			}
			require.EqualValues(t, i+1, near.calls.Load()-before, "%d bytes, TLS: %v", n, secure)
		}
		require.NoError(t, s.Close())
		<-done
	}
}

// TestNoWebsockets: what the library would open them with is the folder
// nowebsocket, by go.mod, here as in the program.
func TestNoWebsockets(t *testing.T) {
	conn, err := mqtt.NewWebsocket("ws://localhost/", nil, 0, nil, nil)
	require.Nil(t, conn)
	require.ErrorContains(t, err, "websockets are not built in")
}
