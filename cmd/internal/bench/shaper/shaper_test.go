package shaper_test

import (
	"bytes"
	"context"
	"crypto/rand"
	"io"
	"net"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"go.uber.org/goleak"

	"roadseal/cmd/internal/bench/shaper"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// echo sends back what it gets.
func echo(t *testing.T) net.Listener {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	require.NoError(t, err)
	go func() {
		for {
			c, err := l.Accept()
			if err != nil {
				return
			}
			go func() {
				defer c.Close()
				_, _ = io.Copy(c, c)
			}()
		}
	}()
	t.Cleanup(func() { l.Close() })
	return l
}

func run(t *testing.T, target string, rate int64) *shaper.Link {
	l, err := shaper.New(target, rate)
	require.NoError(t, err)
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan error)
	go func() { done <- l.Run(ctx) }()
	t.Cleanup(func() {
		cancel()
		require.ErrorIs(t, <-done, context.Canceled)
	})
	return l
}

func TestBytesPassUnchangedAndCounted(t *testing.T) {
	l := run(t, echo(t).Addr().String(), 0)
	c, err := net.Dial("tcp", l.Address())
	require.NoError(t, err)
	defer c.Close()
	sent := make([]byte, 300_000)
	_, err = rand.Read(sent)
	require.NoError(t, err)
	go func() { _, _ = c.Write(sent) }()
	got := make([]byte, len(sent))
	_, err = io.ReadFull(c, got)
	require.NoError(t, err)
	require.True(t, bytes.Equal(sent, got))
	up, down := l.Counts()
	require.Equal(t, int64(len(sent)), up)
	require.Equal(t, int64(len(sent)), down)
}

// TestRateHolds sends for a tenth of a second's worth over two connections that
// share the line: it may take longer on a busy machine, never less.
func TestRateHolds(t *testing.T) {
	const rate = 1 << 20
	l := run(t, echo(t).Addr().String(), rate)
	begin := time.Now()
	var all sync.WaitGroup
	for range 2 {
		all.Go(func() {
			c, err := net.Dial("tcp", l.Address())
			if !assert.NoError(t, err) {
				return
			}
			defer c.Close()
			_, err = c.Write(make([]byte, rate/20))
			assert.NoError(t, err)
			_, err = io.ReadFull(c, make([]byte, rate/20))
			assert.NoError(t, err)
		})
	}
	all.Wait()
	require.GreaterOrEqual(t, time.Since(begin), 100*time.Millisecond)
}

func TestBrokerGone(t *testing.T) {
	l := echo(t)
	target := l.Addr().String()
	require.NoError(t, l.Close())
	link := run(t, target, 0)
	c, err := net.Dial("tcp", link.Address())
	require.NoError(t, err)
	defer c.Close()
	_, err = c.Read(make([]byte, 1))
	require.Error(t, err)
}

func TestEndCutsConnections(t *testing.T) {
	l, err := shaper.New(echo(t).Addr().String(), 0)
	require.NoError(t, err)
	ctx, cancel := context.WithCancel(t.Context())
	done := make(chan error)
	go func() { done <- l.Run(ctx) }()
	c, err := net.Dial("tcp", l.Address())
	require.NoError(t, err)
	defer c.Close()
	_, err = c.Write([]byte("x"))
	require.NoError(t, err)
	_, err = io.ReadFull(c, make([]byte, 1))
	require.NoError(t, err)
	cancel()
	require.ErrorIs(t, <-done, context.Canceled)
	_, err = c.Read(make([]byte, 1))
	require.Error(t, err)
}

// TestCut: the vehicle notices either way, and may connect again.
func TestCut(t *testing.T) {
	l := run(t, echo(t).Addr().String(), 1<<20)
	require.Zero(t, l.Cut(shaper.Reset), "nobody is connected")
	for how, want := range map[shaper.Manner]error{shaper.Closed: io.EOF, shaper.Reset: syscall.ECONNRESET} {
		c, err := net.Dial("tcp", l.Address())
		require.NoError(t, err)
		_, err = c.Write([]byte("x"))
		require.NoError(t, err)
		_, err = io.ReadFull(c, make([]byte, 1))
		require.NoError(t, err)
		require.Equal(t, 1, l.Cut(how))
		_, err = c.Read(make([]byte, 1))
		require.ErrorIs(t, err, want)
		require.Zero(t, l.Cut(how))
		require.NoError(t, c.Close())
	}
}

// TestRateIsLifted sends what would take a day.
func TestRateIsLifted(t *testing.T) {
	l := run(t, echo(t).Addr().String(), 1)
	l.SetRate(0)
	c, err := net.Dial("tcp", l.Address())
	require.NoError(t, err)
	defer c.Close()
	_, err = c.Write(make([]byte, 86_400))
	require.NoError(t, err)
	_, err = io.ReadFull(c, make([]byte, 86_400))
	require.NoError(t, err)
}
