package collector_test

import (
	"bytes"
	"errors"
	"io"
	"net"
	"sync"
	"sync/atomic"
	"time"
)

// A cut ends a connection after so many bytes or messages of one direction.
type cut struct {
	up       bool
	messages bool // what at counts; otherwise bytes
	at       int
}

// A flow is one direction of a connection.
type flow struct {
	bytes, messages int
	header          []byte // of the message that is passing, as far as it has come
	body            int    // bytes of it that are still to come
}

// pass returns how much of p gets through, and whether the cut follows. Only
// where messages count are they told apart: the bytes may be those of TLS.
func (f *flow) pass(p []byte, c cut) (n int, ends bool) {
	if !c.messages {
		n = min(len(p), c.at-f.bytes)
		f.bytes += n
		return n, f.bytes == c.at
	}
	for n < len(p) && !ends {
		step := 1
		if f.body > 0 {
			step = min(f.body, len(p)-n)
			f.body -= step
		} else if f.header = append(f.header, p[n]); len(f.header) > 1 && p[n] < 0x80 {
			for i, b := range f.header[1:] {
				f.body |= int(b&0x7f) << (7 * i)
			}
		}
		n += step
		if f.body == 0 && len(f.header) > 1 && f.header[len(f.header)-1] < 0x80 {
			f.messages, f.header = f.messages+1, nil
		}
		ends = f.messages == c.at
	}
	return n, ends
}

// A cable is the vehicle's end of a connection that is cut.
type cable struct {
	net.Conn
	cut      cut // at = 0: never
	up, down flow
	over     atomic.Bool
	did      func() // tells of the cut
}

func (c *cable) Write(p []byte) (int, error) {
	switch {
	case c.over.Load():
		return 0, errCut
	case !c.cut.up || c.cut.at == 0:
		return c.Conn.Write(p)
	}
	n, ends := c.up.pass(p, c.cut)
	n, err := c.Conn.Write(p[:n])
	if ends && err == nil {
		c.end()
		err = errCut
	}
	return n, err
}

func (c *cable) Read(p []byte) (int, error) {
	n, err := c.Conn.Read(p)
	switch {
	case c.over.Load():
		return 0, errCut
	case c.cut.up || c.cut.at == 0:
		return n, err
	}
	n, ends := c.down.pass(p[:n], c.cut)
	if ends {
		c.end()
	}
	return n, err
}

func (c *cable) end() {
	c.over.Store(true)
	c.did()
	c.Conn.Close() // of a pipe: never fails
}

var errCut = errors.New("the link was cut")

// A lag is a connection through a network that takes its time, and loses what
// is under way when it ends.
type lag struct {
	net.Conn
	delay    time.Duration
	up, down chan parcel
	rest     []byte // of the parcel that is being read
	done     chan struct{}
	once     sync.Once
}

type parcel struct {
	at    time.Time
	bytes []byte
}

func newLag(conn net.Conn, delay time.Duration) *lag {
	l := &lag{Conn: conn, delay: delay, up: make(chan parcel, 1000), down: make(chan parcel, 1000), done: make(chan struct{})}
	go func() {
		for l.wait(l.up, func(b []byte) bool { _, err := conn.Write(b); return err == nil }) {
		}
	}()
	go func() {
		defer l.Close()
		for buf := make([]byte, 4096); ; {
			n, err := conn.Read(buf)
			if err != nil || !l.send(l.down, buf[:n]) {
				return
			}
		}
	}()
	return l
}

func (l *lag) send(c chan parcel, b []byte) bool {
	select {
	case c <- parcel{time.Now().Add(l.delay), bytes.Clone(b)}:
		return true
	case <-l.done:
		return false
	}
}

// wait delivers the next parcel at its time.
func (l *lag) wait(c chan parcel, deliver func([]byte) bool) bool {
	select {
	case p := <-c:
		select {
		case <-time.After(time.Until(p.at)):
			return deliver(p.bytes)
		case <-l.done:
		}
	case <-l.done:
	}
	return false
}

func (l *lag) Write(p []byte) (int, error) {
	if !l.send(l.up, p) {
		return 0, io.ErrClosedPipe
	}
	return len(p), nil
}

func (l *lag) Read(p []byte) (int, error) {
	if len(l.rest) == 0 && !l.wait(l.down, func(b []byte) bool { l.rest = b; return true }) {
		return 0, io.EOF
	}
	n := copy(p, l.rest)
	l.rest = l.rest[n:]
	return n, nil
}

func (l *lag) Close() error {
	l.once.Do(func() { close(l.done) })
	return l.Conn.Close()
}

// SetWriteDeadline does nothing: there is room for what is written.
func (l *lag) SetWriteDeadline(time.Time) error { return nil }
