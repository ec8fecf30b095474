package mtls_test

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"roadseal/crypto/mtls"
)

func TestExplain(t *testing.T) {
	addr := &net.TCPAddr{IP: net.IPv4(10, 1, 2, 3), Port: 8883}
	dial := func(errno syscall.Errno) error {
		return &net.OpError{Op: "dial", Net: "tcp", Addr: addr, Err: os.NewSyscallError("connect", errno)}
	}
	alert := func(code tls.AlertError) error { return &net.OpError{Op: "remote error", Err: code} }
	tests := map[string]struct {
		err  error
		says string
	}{
		"refused":         {dial(syscall.ECONNREFUSED), "nothing listens at 10.1.2.3:8883"},
		"no route to net": {dial(syscall.ENETUNREACH), "no route to the broker at 10.1.2.3:8883"},
		"no route to it":  {dial(syscall.EHOSTUNREACH), "no route to the broker at 10.1.2.3:8883"},
		"timeout":         {dial(syscall.ETIMEDOUT), "the broker at 10.1.2.3:8883 does not answer in time"},
		"deadline":        {os.ErrDeadlineExceeded, "the broker does not answer in time"},
		"context":         {fmt.Errorf("dial: %w", context.DeadlineExceeded), "does not answer in time"},
		"reset":           {dial(syscall.ECONNRESET), "closed the connection without saying why"},
		"end":             {io.EOF, "closed the connection"},
		"no such name":    {&net.DNSError{Name: "brokr.example", IsNotFound: true}, `the name "brokr.example" is not known`},
		"name server":     {&net.DNSError{Name: "broker.example", IsTimeout: true}, `the name "broker.example" cannot be looked up now`},
		"revoked":         {alert(44), "revoked"},
		"denied":          {alert(49), "denies us access"},
		"unknown name":    {alert(112), "check server_name"},
		"through paho":    {fmt.Errorf("network Error : %w", alert(48)), "does not know the CA of our certificate"},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			got := mtls.Explain(tt.err)
			require.ErrorContains(t, got, tt.says)
			require.ErrorContains(t, got, "hint: ")
			require.ErrorIs(t, got, tt.err, "what was found stays within")
			require.Equal(t, got, mtls.Explain(fmt.Errorf("session: %w", got)), "explained once")
		})
	}
}

func TestExplainLeavesTheRest(t *testing.T) {
	require.NoError(t, mtls.Explain(nil))
	for _, err := range []error{
		errors.New("not about a connection"),
		context.Canceled,
		&net.OpError{Op: "remote error", Err: tls.AlertError(80)}, // internal_error
		&net.OpError{Op: "write", Err: errors.New("tls: bad certificate")},
	} {
		require.Equal(t, err, mtls.Explain(err))
	}
}

func TestExplainRealDials(t *testing.T) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	require.NoError(t, err)
	closed := l.Addr().String()
	require.NoError(t, l.Close())
	_, err = net.Dial("tcp", closed)
	require.ErrorContains(t, mtls.Explain(err), "nothing listens at "+closed)

	ctx, cancel := context.WithDeadline(t.Context(), time.Now().Add(-time.Second))
	defer cancel()
	_, err = (&net.Dialer{}).DialContext(ctx, "tcp", closed)
	require.ErrorContains(t, mtls.Explain(err), "does not answer in time")
}

// A port that speaks something else, such as MQTT without TLS.
func TestExplainPlainPort(t *testing.T) {
	w := newWorld(t)
	cfg := w.client(t, nil)
	for says, answer := range map[string]string{
		"the other end does not speak TLS": "\x20\x02\x00\x00\x00\x00",
		"closed the connection":            "",
	} {
		c, s := net.Pipe()
		go func() {
			_, _ = s.Read(make([]byte, 4096))
			_, _ = io.WriteString(s, answer)
			s.Close()
		}()
		err := tls.Client(c, cfg).Handshake()
		require.ErrorContains(t, mtls.Explain(err), says)
		c.Close()
	}
}

// What a stranger writes into his certificate goes into our log.
func TestStrangeNamesAreTamed(t *testing.T) {
	w := newWorld(t)
	long := make([]byte, 300)
	for i := range long {
		long[i] = 'a'
	}
	s := issue(t, w.ca, "x", forServers("evil\x1b[2J\nname", string(long), "c", "d", "e", "f"))
	c, _ := meet(t, w.client(t, nil), stranger(s))
	err := mtls.Explain(c.err)
	require.ErrorContains(t, err, `expected "broker.example", it has "evil\x1b[2J\nname"`)
	require.ErrorContains(t, err, "and 2 more")
	require.NotContains(t, err.Error(), "\n")
	require.NotContains(t, err.Error(), string(long[:100]))
}
