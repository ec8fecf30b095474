// Package shaper is the radio link of a bench run: a TCP proxy between the
// vehicle and the broker with a limited rate upwards. It sees what a network
// operator sees, TLS records, and counts them.
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
	rate     int64
	up, down atomic.Int64
	line     sync.Mutex // held while bytes are on the way up
	free     time.Time  // when the way up is free again; under line
}

// New makes a link to target, HOST:PORT. rate is in bytes a second upwards for
// all connections together; 0 is no limit.
func New(target string, rate int64) (*Link, error) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return nil, fmt.Errorf("cannot listen for the vehicle: %w", err)
	}
	return &Link{listener: l, target: target, rate: rate}, nil
}

// Address is what the vehicle connects to.
func (l *Link) Address() string { return l.listener.Addr().String() }

// Counts are the bytes that passed so far, TLS and all.
func (l *Link) Counts() (up, down int64) { return l.up.Load(), l.down.Load() }

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
	if l.rate > 0 && errors.Join(small(vehicle), small(broker)) != nil {
		return
	}
	cut := func() {
		vehicle.Close()
		broker.Close()
	}
	defer context.AfterFunc(ctx, cut)()
	var both sync.WaitGroup
	both.Go(func() {
		defer cut()
		l.copy(broker, vehicle, &l.up, l.wait)
	})
	both.Go(func() {
		defer cut()
		l.copy(vehicle, broker, &l.down, func(int) {})
	})
	both.Wait()
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
	if l.rate <= 0 {
		return
	}
	l.line.Lock()
	now := time.Now()
	if l.free.Before(now) {
		l.free = now
	}
	l.free = l.free.Add(time.Duration(int64(n) * int64(time.Second) / l.rate))
	due := l.free
	l.line.Unlock()
	time.Sleep(time.Until(due))
}
