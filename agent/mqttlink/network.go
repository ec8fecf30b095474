package mqttlink

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"net"
	"os"
	"sync/atomic"
	"syscall"
	"time"

	"golang.org/x/sys/unix"
)

const (
	connectTimeout = 10 * time.Second // from the first packet to CONNACK
	writeTimeout   = 5 * time.Second  // for each 16 KiB; a slow link may take longer for a message
	userTimeout    = 10 * time.Second // for the peer's TCP to acknowledge what was sent
)

// dial opens the layers below the guard: TCP, a write deadline, TLS.
func (o *Options) dial(ctx context.Context) (top net.Conn, bottom *patient, err error) {
	ctx, cancel := context.WithTimeout(ctx, connectTimeout)
	defer cancel()
	open := o.Dial
	if open == nil {
		open = new(net.Dialer).DialContext
	}
	conn, err := open(ctx, "tcp", o.Address)
	if err != nil {
		return nil, nil, fmt.Errorf("cannot reach broker: %w", err)
	}
	if err := setUserTimeout(conn); err != nil {
		return nil, nil, errors.Join(fmt.Errorf("cannot set TCP_USER_TIMEOUT: %w", err), conn.Close())
	}
	bottom = &patient{Conn: conn, socket: socketOf(conn)}
	if o.TLS == nil {
		return bottom, bottom, nil
	}
	secure := tls.Client(bottom, o.TLS)
	if err := secure.HandshakeContext(ctx); err != nil {
		bottom.Close() // the handshake's error says more than this one could
		return nil, nil, fmt.Errorf("no TLS connection with broker %s: %w", o.Address, err)
	}
	return secure, bottom, nil
}

// setUserTimeout makes the kernel give up a connection whose peer acknowledges
// nothing (RFC 5482). Without it a dead link with room in the send buffer goes
// unnoticed for a quarter of an hour.
func setUserTimeout(conn net.Conn) error {
	return socketOf(conn).set(unix.IPPROTO_TCP, unix.TCP_USER_TIMEOUT, int(userTimeout.Milliseconds()))
}

// patient gives the link a deadline for each 16 KiB that it has to take: it may
// be slow, but it must move. A ping stuck behind a publication fails like the
// publication.
type patient struct {
	net.Conn
	socket  socket
	rest    func() int  // bytes that the packet being read still lacks; nil until there are packets
	low     int         // of the socket, see Read
	leaving atomic.Bool // what is written now is TLS taking leave
	more    atomic.Bool // more of the packet follows at once
	held    []byte      // what waits for it
}

// Write hands a packet to the kernel in one call: one for each TLS record of it
// costs both ends more. TLS calls it from one goroutine at a time.
func (p *patient) Write(b []byte) (int, error) {
	switch {
	case p.more.Load():
		p.held = append(p.held, b...)
		return len(b), nil
	case len(p.held) == 0:
		return len(b), p.put(b)
	}
	all := append(p.held, b...)
	p.held = all[:0]
	return len(b), p.put(all)
}

func (p *patient) put(b []byte) error {
	for {
		limit := writeTimeout
		if p.leaving.Load() {
			limit = leave
		}
		if err := p.SetWriteDeadline(time.Now().Add(limit)); err != nil {
			return err
		}
		n, err := p.Conn.Write(b)
		if !errors.Is(err, os.ErrDeadlineExceeded) || n < record || p.leaving.Load() {
			return err
		}
		b = b[n:]
	}
}

// Read has the kernel wake the reader when much of a large packet is there, and
// not for each TLS record of it: waking costs more than decrypting. TLS asks for
// more when it has less than a record, so all but a record of what the packet
// lacks is still to come, and nobody waits for what does not.
func (p *patient) Read(b []byte) (int, error) {
	if p.rest != nil {
		if low := min(max(p.rest()-record, 1), maxLow); low != p.low {
			p.low = low
			_ = p.socket.set(unix.SOL_SOCKET, unix.SO_RCVLOWAT, low) // a hint
		}
	}
	return p.Conn.Read(b)
}

const (
	record = 16 << 10 // the most plaintext of a TLS record (RFC 8446, section 5.1)
	maxLow = 64 << 10 // bytes
)

// A socket is that of a TCP connection; one without does nothing.
type socket struct{ raw syscall.RawConn }

func socketOf(conn net.Conn) socket {
	if tcp, ok := conn.(*net.TCPConn); ok {
		if raw, err := tcp.SyscallConn(); err == nil {
			return socket{raw}
		}
	}
	return socket{}
}

func (s socket) set(level, option, value int) error {
	if s.raw == nil {
		return nil
	}
	var failed error
	err := s.raw.Control(func(fd uintptr) { failed = unix.SetsockoptInt(int(fd), level, option, value) })
	return errors.Join(err, failed)
}
