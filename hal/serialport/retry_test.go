package serialport_test

import (
	"context"
	"errors"
	"io/fs"
	"log/slog"
	"os"
	"path/filepath"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"
	"golang.org/x/sys/unix"

	"roadseal/hal/serialport"
)

// A script is a Conn that plays reads: each lasts 200 ms of virtual time.
type script struct {
	reads  []any // string, error, or nil for silence
	closed *int
}

func (s *script) Read(p []byte) (int, error) {
	time.Sleep(200 * time.Millisecond)
	if len(s.reads) == 0 {
		return 0, nil
	}
	next := s.reads[0]
	s.reads = s.reads[1:]
	switch v := next.(type) {
	case string:
		return copy(p, v), nil
	case error:
		return 0, v
	}
	return 0, nil
}

func (s *script) Write([]byte) (int, error) { return 0, unix.EIO }

func (s *script) Close() error { *s.closed++; return nil }

// A count is a Handler that counts.
type count struct {
	data     string
	idle, up int
	down     []error
}

func (c *count) Data(p []byte)  { c.data += string(p) }
func (c *count) Idle()          { c.idle++ }
func (c *count) Up()            { c.up++ }
func (c *count) Down(err error) { c.down = append(c.down, err) }

// virtual runs a port in virtual time for a while. open gives the outcome of the
// nth try.
func virtual(t *testing.T, lasts time.Duration, open func(n int) (serialport.Conn, error)) (c *count, tries []time.Duration) {
	path := filepath.Join(t.TempDir(), "port")
	require.NoError(t, os.WriteFile(path, nil, 0o600))
	c = &count{}
	synctest.Test(t, func(t *testing.T) {
		p := serialport.New(serialport.Options{Path: path, Baud: 4800, Log: slog.New(slog.DiscardHandler)}, c)
		began := time.Now()
		p.SetOpen(func(got string, baud int) (serialport.Conn, error) {
			require.Equal(t, path, got)
			require.Equal(t, 4800, baud)
			tries = append(tries, time.Since(began))
			return open(len(tries))
		})
		ctx, cancel := context.WithTimeout(t.Context(), lasts)
		defer cancel()
		require.ErrorIs(t, p.Run(ctx), context.DeadlineExceeded)
		require.LessOrEqual(t, time.Since(began), lasts+200*time.Millisecond)
	})
	return c, tries
}

// TestRetries: intervals double from 200 ms to 5 s, and the reason is given once.
func TestRetries(t *testing.T) {
	c, tries := virtual(t, 20*time.Second, func(int) (serialport.Conn, error) { return nil, fs.ErrPermission })
	ms := time.Millisecond
	require.Equal(t, []time.Duration{0, 200 * ms, 600 * ms, 1400 * ms, 3000 * ms, 6200 * ms, 11200 * ms, 16200 * ms}, tries)
	require.Len(t, c.down, 1)
	require.ErrorIs(t, c.down[0], fs.ErrPermission)
	require.Zero(t, c.up)
}

// TestReasons: each loss is said, another reason is said, the same one is not, and that a lost
// device is missing is no other.
func TestReasons(t *testing.T) {
	closed := 0
	outcomes := []error{nil, nil, unix.ENOENT, unix.ENOENT, unix.EACCES, unix.EACCES, nil, unix.ENODEV}
	c, _ := virtual(t, 30*time.Second, func(n int) (serialport.Conn, error) {
		n = min(n, len(outcomes)) - 1
		if outcomes[n] != nil {
			return nil, outcomes[n]
		}
		return &script{reads: []any{"x", nil, unix.EIO}, closed: &closed}, nil
	})
	var said []string
	for _, err := range c.down {
		switch {
		case errors.Is(err, fs.ErrPermission):
			said = append(said, "denied")
		case errors.Is(err, fs.ErrNotExist):
			said = append(said, "missing")
		default:
			require.ErrorContains(t, err, "lost: the receiver was unplugged")
			said = append(said, "lost")
		}
	}
	require.Equal(t, []string{"lost", "lost", "denied", "lost"}, said)
	require.Equal(t, 3, c.up)
	require.Equal(t, 3, closed)
	require.Equal(t, "xxx", c.data)
	require.Equal(t, 3, c.idle)
}

// TestRetryBegins anew after bytes came, not after a mere opening: a port that
// opens and fails at once is not tried five times a second for ever.
func TestRetryBegins(t *testing.T) {
	closed := 0
	_, tries := virtual(t, 10*time.Second, func(n int) (serialport.Conn, error) {
		if n == 4 {
			return &script{reads: []any{"x", unix.EIO}, closed: &closed}, nil
		}
		return &script{reads: []any{unix.EIO}, closed: &closed}, nil
	})
	var waits []time.Duration
	for i := 1; i < 7; i++ {
		reads := time.Duration(1)
		if i == 4 {
			reads = 2
		}
		waits = append(waits, (tries[i]-tries[i-1])/time.Millisecond-200*reads)
	}
	require.Equal(t, []time.Duration{200, 400, 800, 200, 400, 800}, waits)
}
