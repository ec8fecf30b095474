package mqttlink_test

import (
	"context"
	"crypto/tls"
	"fmt"
	"math/rand/v2"
	"net"
	"os"
	"os/exec"
	"runtime"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/eclipse/paho.mqtt.golang/packets"
	"github.com/stretchr/testify/require"
	"golang.org/x/sys/unix"

	"roadseal/agent/mqttlink"
)

// A meter counts what passes.
type meter struct {
	net.Conn
	mu       sync.Mutex
	up, down int // bytes
	writes   int
}

func (m *meter) Write(p []byte) (int, error) {
	n, err := m.Conn.Write(p)
	m.mu.Lock()
	defer m.mu.Unlock()
	m.up, m.writes = m.up+n, m.writes+1
	return n, err
}

func (m *meter) Read(p []byte) (int, error) {
	n, err := m.Conn.Read(p)
	m.mu.Lock()
	defer m.mu.Unlock()
	m.down += n
	return n, err
}

func (m *meter) read() (up, down, writes int) {
	m.mu.Lock()
	defer m.mu.Unlock()
	return m.up, m.down, m.writes
}

// overTLS connects over a pipe; wrap is a layer of the client's end.
func overTLS(t *testing.T, ctx context.Context, p *peer, wrap func(net.Conn) net.Conn) (*mqttlink.Session, chan error) {
	server, client := identity(t)
	p.wrap = func(conn net.Conn) net.Conn { return tls.Server(conn, server) }
	o, done := pipe(p)
	dial := o.Dial
	o.TLS, o.Dial = client, func(ctx context.Context, network, address string) (net.Conn, error) {
		conn, err := dial(ctx, network, address)
		return wrap(conn), err
	}
	s, err := mqttlink.Dial(ctx, o)
	require.NoError(t, err)
	return s, done
}

// TestAnIdleDay is what a session costs that has nothing to say. Each ping is a
// TLS record each way; below that, a segment each way and its acknowledgement
// (with timestamps 52 bytes of TCP and IPv4 each).
func TestAnIdleDay(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var m *meter
		p := new(peer)
		s, done := overTLS(t, t.Context(), p, func(conn net.Conn) net.Conn { m = &meter{Conn: conn}; return m })
		synctest.Wait()
		up, down, pings := m.read()
		time.Sleep(24 * time.Hour)
		synctest.Wait()
		up2, down2, pings2 := m.read()
		up, down, pings = up2-up, down2-down, pings2-pings
		require.NoError(t, s.Err())
		require.LessOrEqual(t, pings, 24*60*60/30)
		require.Equal(t, pings*24, up)
		require.Equal(t, pings*24, down)
		t.Logf("an idle day: %d pings; %d bytes up and %d down, with TCP and IPv4 %d", pings, up, down, up+down+3*52*pings)
		require.NoError(t, s.Close())
		<-done
	})
}

// TestStopOnAStalledLink: a peer that takes nothing more cannot hold up the end
// of a session, neither when it is idle nor in the middle of a publication.
func TestStopOnAStalledLink(t *testing.T) {
	for _, how := range []string{"idle", "busy", "told to stop"} {
		synctest.Test(t, func(t *testing.T) {
			stalled, release := make(chan struct{}), make(chan struct{})
			p := &peer{on: func(in packets.ControlPacket) ([]byte, bool) {
				if _, pub := in.(*packets.PublishPacket); pub {
					close(stalled)
					<-release
				}
				return nil, false
			}}
			ctx, cancel := context.WithCancel(t.Context())
			defer cancel()
			s, done := overTLS(t, ctx, p, func(conn net.Conn) net.Conn { return conn })
			require.NoError(t, s.Publish("v1/up/00/x", []byte("x")))
			<-stalled
			start := time.Now()
			switch how {
			case "busy":
				require.NoError(t, s.Publish("v1/up/00/x", make([]byte, 100_000)))
			case "told to stop":
				cancel()
				<-s.Done()
			}
			require.NoError(t, s.Close())
			require.LessOrEqual(t, time.Since(start), time.Second, how)
			close(release)
			<-done
		})
	}
}

// TestADeadLink is a real one: two network namespaces whose hosts send to a
// station that is not there. Nothing comes back, not even an error.
func TestADeadLink(t *testing.T) {
	if testing.Short() || os.Getuid() != 0 {
		t.Skip("needs root, and 45 s")
	}
	for what, link := range map[string]struct {
		publish int // bytes
		limit   time.Duration
	}{
		"more under way than the kernel takes": {2_000_000, 15 * time.Second},
		"a little under way":                   {1000, 15 * time.Second},
		"idle":                                 {0, 45 * time.Second},
	} {
		t.Run(what, func(t *testing.T) {
			t.Parallel()
			n := newNamespaces(t)
			l := n.listen()
			p := new(peer)
			served := make(chan error, 1)
			go func() {
				var err error
				if p.Conn, err = l.Accept(); err == nil {
					err = p.serve()
					p.Close()
				}
				served <- err
			}()
			s, err := mqttlink.Dial(t.Context(), mqttlink.Options{ClientID: client, Dial: n.dial})
			require.NoError(t, err)
			require.NoError(t, s.Subscribe(t.Context(), "x"))
			n.cut()
			start := time.Now()
			if link.publish > 0 {
				require.NoError(t, s.Publish("v1/up/00/x", make([]byte, link.publish)))
			}
			select {
			case <-s.Done():
			case <-time.After(2 * link.limit):
			}
			took := time.Since(start)
			require.Error(t, s.Err())
			t.Logf("noticed after %.1f s: %v", took.Seconds(), s.Err())
			require.LessOrEqual(t, took, link.limit+5*time.Second, "with five seconds for a loaded machine")
			require.NoError(t, s.Close())
			l.Close()
			p.Conn.Close()
			<-served
		})
	}
}

// namespaces are two hosts with a cable between them.
type namespaces struct {
	t    *testing.T
	a, b string
}

// newNamespaces skips the test where the kernel does not allow it.
func newNamespaces(t *testing.T) *namespaces {
	id := fmt.Sprintf("rs%x", rand.Uint64N(1<<32))
	n := &namespaces{t, id + "-a", id + "-b"}
	for _, line := range [][]string{
		{"netns", "add", n.a}, {"netns", "add", n.b},
		{"-n", n.a, "link", "add", "va0", "type", "veth", "peer", "name", "vb0", "netns", n.b},
		{"-n", n.a, "addr", "add", "10.99.7.1/24", "dev", "va0"}, {"-n", n.b, "addr", "add", "10.99.7.2/24", "dev", "vb0"},
		{"-n", n.a, "link", "set", "va0", "up"}, {"-n", n.b, "link", "set", "vb0", "up"},
	} {
		if line[0] == "netns" {
			t.Cleanup(func() { exec.Command("ip", "netns", "del", line[2]).Run() }) // also one that was not made
		}
		if out, err := exec.Command("ip", line...).CombinedOutput(); err != nil {
			t.Skipf("no network namespaces here: ip %v: %s", line, out)
		}
	}
	return n
}

// cut makes both ends send to a station that does not exist.
func (n *namespaces) cut() {
	for _, line := range [][]string{
		{"-n", n.a, "neigh", "replace", "10.99.7.2", "lladdr", "02:00:00:00:00:99", "dev", "va0", "nud", "permanent"},
		{"-n", n.b, "neigh", "replace", "10.99.7.1", "lladdr", "02:00:00:00:00:99", "dev", "vb0", "nud", "permanent"},
	} {
		out, err := exec.Command("ip", line...).CombinedOutput()
		require.NoError(n.t, err, "%s", out)
	}
}

// inside runs f in a namespace. A socket stays in the one where it was made.
func inside[T any](name string, f func() (T, error)) (v T, err error) {
	done := make(chan struct{})
	go func() {
		defer close(done)
		runtime.LockOSThread() // never unlocked: the thread ends with the goroutine
		var ns *os.File
		if ns, err = os.Open("/run/netns/" + name); err != nil {
			return
		}
		defer ns.Close()
		if err = unix.Setns(int(ns.Fd()), unix.CLONE_NEWNET); err == nil {
			v, err = f()
		}
	}()
	<-done
	return v, err
}

func (n *namespaces) listen() net.Listener {
	l, err := inside(n.b, func() (net.Listener, error) { return net.Listen("tcp", "10.99.7.2:1883") })
	require.NoError(n.t, err)
	return l
}

func (n *namespaces) dial(ctx context.Context, _, _ string) (net.Conn, error) {
	return inside(n.a, func() (net.Conn, error) { return new(net.Dialer).DialContext(ctx, "tcp", "10.99.7.2:1883") })
}
