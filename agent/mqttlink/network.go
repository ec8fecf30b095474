package mqttlink

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"net"
	"sync/atomic"
	"time"

	"golang.org/x/sys/unix"
)

const (
	connectTimeout = 10 * time.Second // from the first packet to CONNACK
	writeTimeout   = 5 * time.Second  // for each record; a slow link may take longer for a message
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
	bottom = &patient{Conn: conn}
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
	tcp, ok := conn.(*net.TCPConn)
	if !ok {
		return nil
	}
	raw, err := tcp.SyscallConn()
	if err != nil {
		return err
	}
	var failed error
	err = raw.Control(func(fd uintptr) {
		failed = unix.SetsockoptInt(int(fd), unix.IPPROTO_TCP, unix.TCP_USER_TIMEOUT, int(userTimeout.Milliseconds()))
	})
	return errors.Join(err, failed)
}

// patient gives each write below TLS, a record of at most 16 KiB, its own
// deadline: a link may be slow, but it must move. A ping stuck behind a
// publication fails like the publication.
type patient struct {
	net.Conn
	leaving atomic.Bool // what is written now is TLS taking leave
}

func (p *patient) Write(b []byte) (int, error) {
	limit := writeTimeout
	if p.leaving.Load() {
		limit = leave
	}
	if err := p.SetWriteDeadline(time.Now().Add(limit)); err != nil {
		return 0, err
	}
	return p.Conn.Write(b)
}
