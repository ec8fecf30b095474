package broker

import (
	"bytes"
	"crypto/tls"
	"net"
	"sync"
	"time"
)

// distant accepts connections on which what the broker says takes its time.
type distant struct {
	net.Listener // of TLS
	lag          time.Duration
	bytes        int // a second; 0 = no limit
}

// Accept implements net.Listener.
func (d distant) Accept() (net.Conn, error) {
	c, err := d.Listener.Accept()
	if err != nil {
		return nil, err
	}
	s, ok := c.(*tls.Conn)
	if !ok {
		return c, nil
	}
	l := &late{Conn: s, lag: d.lag, bytes: d.bytes, queue: make(chan parcel, 1000), closed: make(chan struct{})}
	go l.deliver() // ends with the connection
	return l, nil
}

// late is a connection that delivers what is written to it after a while, and
// no faster than a rate.
type late struct {
	*tls.Conn
	lag    time.Duration
	bytes  int
	queue  chan parcel
	once   sync.Once
	closed chan struct{}
}

type parcel struct {
	at    time.Time
	bytes []byte
}

// Write implements net.Conn.
func (l *late) Write(p []byte) (int, error) {
	select {
	case l.queue <- parcel{time.Now().Add(l.lag), bytes.Clone(p)}:
		return len(p), nil
	case <-l.closed:
		return 0, net.ErrClosed
	}
}

func (l *late) deliver() {
	var free time.Time // when the line has carried what went before
	for {
		select {
		case p := <-l.queue:
			if free.After(p.at) {
				p.at = free
			}
			select {
			case <-time.After(time.Until(p.at)):
			case <-l.closed:
				return
			}
			if _, err := l.Conn.Write(p.bytes); err != nil {
				return // the reader learns of it, too
			}
			if l.bytes > 0 {
				free = p.at.Add(time.Duration(float64(len(p.bytes)) / float64(l.bytes) * float64(time.Second)))
			}
		case <-l.closed:
			return
		}
	}
}

// Close implements net.Conn. What has not been delivered is lost.
func (l *late) Close() error {
	l.once.Do(func() { close(l.closed) })
	return l.Conn.Close()
}
