// Package shaper is the radio link of a bench run: a TCP proxy between the
// vehicle and the broker with a limited rate upwards, which can be cut. It sees
// what a network operator sees, TLS records, and counts them.
//
// Side: black.
package shaper

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"sync"
	"sync/atomic"
	"time"
)

// A Link listens on a port of the loopback interface and passes each connection
// on to the broker.
type Link struct {
	listener net.Listener
	target   string
	rate     atomic.Int64
	up, down atomic.Int64
	line     sync.Mutex // held while bytes are on the way up
	free     time.Time  // when the way up is free again; under line

	mu   sync.Mutex
	live map[*pair]bool
}

// A pair is a connection of the vehicle and what it is passed on to.
type pair struct{ vehicle, broker net.Conn }

// New makes a link to target, HOST:PORT. rate is in bytes a second upwards for
// all connections together; 0 is no limit.
func New(target string, rate int64) (*Link, error) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return nil, fmt.Errorf("cannot listen for the vehicle: %w", err)
	}
	return On(l, target, rate), nil
}

// On is New with a listener that is there already; Run closes it.
func On(l net.Listener, target string, rate int64) *Link {
	link := &Link{listener: l, target: target, live: map[*pair]bool{}}
	link.rate.Store(rate)
	return link
}

// Address is what the vehicle connects to.
func (l *Link) Address() string { return l.listener.Addr().String() }

// Counts are the bytes that passed so far, TLS and all.
func (l *Link) Counts() (up, down int64) { return l.up.Load(), l.down.Load() }

// SetRate changes the limit from the next bytes on; 0 lifts it.
func (l *Link) SetRate(rate int64) { l.rate.Store(rate) }

// A Manner is how a connection ends.
type Manner int

// Manners of a cut.
const (
	Closed Manner = iota // FIN: the peer is told that nothing more will come
	Reset                // RST: what was under way is thrown away
)

// Cut ends all connections, with what is under way in the link, and returns how
// many there were.
func (l *Link) Cut(how Manner) (n int) {
	l.mu.Lock()
	defer l.mu.Unlock()
	for p := range l.live {
		if how == Reset {
			p.abort()
		}
		p.close()
		delete(l.live, p)
		n++
	}
	return n
}

// Run passes connections on until the context ends; then all are cut. Where the
// broker cannot be reached, the vehicle's connection is closed at once.
func (l *Link) Run(ctx context.Context) error {
	stop := context.AfterFunc(ctx, func() { l.listener.Close() })
	defer stop()
	var all sync.WaitGroup
	defer all.Wait()
	for {
		c, err := l.listener.Accept()
		if ctx.Err() != nil {
			return ctx.Err()
		}
		if err != nil {
			return fmt.Errorf("cannot accept the vehicle's connection: %w", err)
		}
		all.Go(func() { l.pass(ctx, c) })
	}
}

// buffer is what the kernel may hold of the bytes on their way: as little as a
// radio link would, so that a rate limit is one.
const buffer = 32 << 10

func (l *Link) pass(ctx context.Context, vehicle net.Conn) {
	defer vehicle.Close()
	var d net.Dialer
	broker, err := d.DialContext(ctx, "tcp", l.target)
	if err != nil {
		return
	}
	defer broker.Close()
	if l.rate.Load() > 0 && errors.Join(small(vehicle), small(broker)) != nil {
		return
	}
	p := &pair{vehicle, broker}
	l.enter(p)
	defer l.leave(p)
	defer context.AfterFunc(ctx, p.close)()
	var both sync.WaitGroup
	both.Go(func() {
		defer p.close()
		l.copy(broker, vehicle, &l.up, l.wait)
	})
	both.Go(func() {
		defer p.close()
		l.copy(vehicle, broker, &l.down, func(int) {})
	})
	both.Wait()
}

func (l *Link) enter(p *pair) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.live[p] = true
}

func (l *Link) leave(p *pair) {
	l.mu.Lock()
	defer l.mu.Unlock()
	delete(l.live, p)
}

func (p *pair) close() {
	p.vehicle.Close()
	p.broker.Close()
}

// abort makes close send RST.
func (p *pair) abort() {
	for _, c := range []net.Conn{p.vehicle, p.broker} {
		if t, ok := c.(*net.TCPConn); ok {
			_ = t.SetLinger(0) // it may be closed already
		}
	}
}

func small(c net.Conn) error {
	t, ok := c.(*net.TCPConn)
	if !ok {
		return nil
	}
	return errors.Join(t.SetReadBuffer(buffer), t.SetWriteBuffer(buffer))
}

// copy passes bytes on until either end is closed.
func (l *Link) copy(dst io.Writer, src io.Reader, count *atomic.Int64, wait func(int)) {
	b := make([]byte, buffer/2)
	for {
		n, err := src.Read(b)
		if n > 0 {
			wait(n)
			count.Add(int64(n))
			if _, err := dst.Write(b[:n]); err != nil {
				return
			}
		}
		if err != nil {
			return
		}
	}
}

// wait takes as long as n bytes take on the way up.
func (l *Link) wait(n int) {
	rate := l.rate.Load()
	if rate <= 0 {
		return
	}
	l.line.Lock()
	now := time.Now()
	if l.free.Before(now) {
		l.free = now
	}
	l.free = l.free.Add(time.Duration(int64(n) * int64(time.Second) / rate))
	due := l.free
	l.line.Unlock()
	time.Sleep(time.Until(due))
}
