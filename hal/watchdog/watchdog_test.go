package watchdog_test

import (
	"bytes"
	"context"
	"errors"
	"log/slog"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"
	"golang.org/x/sys/unix"

	"roadseal/hal/watchdog"
)

// A manager is the service manager's end of a real socket.
type manager struct {
	t    *testing.T
	name string
	fd   int
}

func listen(t *testing.T, name string) *manager {
	t.Helper()
	fd, err := unix.Socket(unix.AF_UNIX, unix.SOCK_DGRAM|unix.SOCK_CLOEXEC|unix.SOCK_NONBLOCK, 0)
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, unix.Close(fd)) })
	require.NoError(t, unix.Bind(fd, &unix.SockaddrUnix{Name: name}))
	return &manager{t, name, fd}
}

// heard takes all that has arrived. It never waits: a datagram is there once it
// is sent.
func (m *manager) heard() (all []string) {
	m.t.Helper()
	buf := make([]byte, 4096)
	for {
		n, _, err := unix.Recvfrom(m.fd, buf, 0)
		if errors.Is(err, unix.EAGAIN) {
			return all
		}
		require.NoError(m.t, err)
		all = append(all, string(buf[:n]))
	}
}

func (m *manager) getenv(more ...string) func(string) string {
	env := map[string]string{"NOTIFY_SOCKET": m.name}
	for i := 0; i < len(more); i += 2 {
		env[more[i]] = more[i+1]
	}
	return func(key string) string { return env[key] }
}

func TestNotify(t *testing.T) {
	for kind, name := range map[string]string{
		"path":     filepath.Join(t.TempDir(), "notify"),
		"abstract": "@roadseal-test-" + strconv.Itoa(os.Getpid()),
	} {
		t.Run(kind, func(t *testing.T) {
			m := listen(t, name)
			n := watchdog.FromEnvironment(m.getenv())
			require.NoError(t, n.Ready("two\nlines"))
			require.NoError(t, n.Status("well"))
			require.NoError(t, n.Stopping())
			require.Equal(t, []string{"READY=1\nSTATUS=two lines", "STATUS=well", "STOPPING=1"}, m.heard())
		})
	}
}

func TestWithoutManager(t *testing.T) {
	n := watchdog.FromEnvironment(func(string) string { return "" })
	require.NoError(t, n.Ready(""))
	require.NoError(t, n.Stopping())
	require.Zero(t, n.Limit)

	gone := watchdog.FromEnvironment(func(key string) string {
		return map[string]string{"NOTIFY_SOCKET": filepath.Join(t.TempDir(), "none")}[key]
	})
	require.ErrorIs(t, gone.Stopping(), os.ErrNotExist)
}

func TestLimit(t *testing.T) {
	m := listen(t, filepath.Join(t.TempDir(), "notify"))
	me := strconv.Itoa(os.Getpid())
	for _, c := range []struct {
		usec, pid string
		want      time.Duration
	}{
		{"120000000", "", 2 * time.Minute},
		{"120000000", me, 2 * time.Minute},
		{"120000000", "1", 0}, // meant for another process
		{"", "", 0}, {"0", "", 0}, {"-5", "", 0}, {"soon", "", 0},
		{"9223372036854775807", "", 0}, {"92233720368547758070", "", 0},
	} {
		require.Equal(t, c.want, watchdog.FromEnvironment(m.getenv("WATCHDOG_USEC", c.usec, "WATCHDOG_PID", c.pid)).Limit, "%q %q", c.usec, c.pid)
	}
}

// A scene is a watchdog with a limit of a minute, in virtual time.
type scene struct {
	t *testing.T
	*watchdog.Watchdog
	manager *manager
	log     *bytes.Buffer
	workers sync.WaitGroup
}

// play runs f in virtual time, and ends all workers after it.
func play(t *testing.T, f func(t *testing.T, s *scene, ctx context.Context)) {
	m := listen(t, filepath.Join(t.TempDir(), "notify")) // outside: its reader waits in real time
	synctest.Test(t, func(t *testing.T) {
		var log bytes.Buffer
		n := watchdog.FromEnvironment(m.getenv("WATCHDOG_USEC", "60000000"))
		s := &scene{t: t, manager: m, log: &log, Watchdog: watchdog.New(n, slog.New(slog.NewTextHandler(&log, nil)))}
		ctx, cancel := context.WithCancel(t.Context())
		defer s.workers.Wait()
		defer cancel()
		f(t, s, ctx)
	})
}

// work starts a worker, and watch the one that looks after them.
func (s *scene) work(ctx context.Context, name string, f func(ctx context.Context)) {
	ctx, leave := s.Join(ctx, name)
	s.workers.Go(func() { defer leave(); f(ctx) })
}

func (s *scene) watch(ctx context.Context) {
	s.workers.Go(func() { _ = s.Run(ctx) })
}

// signs lets virtual time pass and counts the signs of life in it. The kernel
// keeps ten for a manager that does not read.
func (s *scene) signs(d time.Duration) (n int) {
	s.t.Helper()
	for end := time.Now().Add(d); ; time.Sleep(time.Minute) {
		synctest.Wait()
		for _, sign := range s.manager.heard() {
			require.Equal(s.t, "WATCHDOG=1", sign)
			n++
		}
		if !time.Now().Before(end) {
			return n
		}
	}
}

func TestSignsWhileAllProgress(t *testing.T) {
	play(t, func(t *testing.T, s *scene, ctx context.Context) {
		s.work(ctx, "sleeper", func(ctx context.Context) { _ = watchdog.Sleep(ctx, 100*time.Hour) })
		s.work(ctx, "waiter", func(ctx context.Context) {
			_ = watchdog.Await(ctx, func(turn context.Context) error { <-turn.Done(); return turn.Err() })
		})
		s.work(ctx, "parked", func(ctx context.Context) { _ = watchdog.Park(ctx) })
		s.work(ctx, "busy", func(ctx context.Context) {
			for ctx.Err() == nil {
				time.Sleep(time.Second)
				watchdog.Beat(ctx)
			}
		})
		s.watch(ctx)
		// Every eighth of the limit, the first at once.
		require.Equal(t, 1, s.signs(0))
		require.Equal(t, 480, s.signs(time.Hour))
		require.Empty(t, s.Late())
		require.Empty(t, s.log.String())
	})
}

// TestHungWorker: one worker that hangs silences the process, whatever the
// others do; where it goes on, so do the signs.
func TestHungWorker(t *testing.T) {
	play(t, func(t *testing.T, s *scene, ctx context.Context) {
		hang := make(chan struct{})
		s.work(ctx, "lively", func(ctx context.Context) { _ = watchdog.Sleep(ctx, 100*time.Hour) })
		s.work(ctx, "hung", func(ctx context.Context) {
			<-hang
			_ = watchdog.Sleep(ctx, 100*time.Hour)
		})
		s.watch(ctx)
		require.Equal(t, 1, s.signs(time.Minute), "it was alive when it joined")
		require.Equal(t, 0, s.signs(time.Hour))
		require.Equal(t, []string{"hung"}, s.Late())
		require.Equal(t, 1, strings.Count(s.log.String(), "makes no progress"), s.log.String())
		require.Contains(t, s.log.String(), "hung")
		close(hang)
		require.Equal(t, 8, s.signs(time.Minute))
		require.Empty(t, s.Late())
	})
}

// TestSlowWorker: work that cannot be divided may take more than one look, and
// its end is not looked for in vain for the rest of the limit.
func TestSlowWorker(t *testing.T) {
	play(t, func(t *testing.T, s *scene, ctx context.Context) {
		s.work(ctx, "slow", func(ctx context.Context) {
			for ctx.Err() == nil {
				time.Sleep(44 * time.Second) // nothing ends it
				watchdog.Beat(ctx)
			}
		})
		s.watch(ctx)
		n := s.signs(time.Hour)
		require.InDelta(t, 3600/44, n, 2)
	})
}

// TestForgotten: a worker that joined and never beats shows at once; one that
// has left owes nothing.
func TestForgotten(t *testing.T) {
	play(t, func(t *testing.T, s *scene, ctx context.Context) {
		ended, leave := s.Join(ctx, "ended")
		inner, leaveInner := watchdog.Join(ended, "inner")
		require.NotEqual(t, ended, inner)
		s.watch(ctx)
		require.Equal(t, 1, s.signs(time.Hour))
		leave()
		require.Equal(t, 0, s.signs(time.Hour), "the inner one is a worker of its own")
		require.Equal(t, []string{"inner"}, s.Late())
		leaveInner()
		require.Equal(t, 8, s.signs(time.Minute))
	})
}

// TestUnwatched: without a watchdog the same code waits as it would anyway.
func TestUnwatched(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		ctx, cancel := context.WithTimeout(t.Context(), time.Hour)
		defer cancel()
		joined, leave := watchdog.Join(ctx, "nobody")
		leave()
		watchdog.Beat(joined)
		began, calls := time.Now(), 0
		require.NoError(t, watchdog.Sleep(joined, time.Minute))
		require.Equal(t, time.Minute, time.Since(began))
		err := watchdog.Await(joined, func(turn context.Context) error { calls++; <-turn.Done(); return turn.Err() })
		require.ErrorIs(t, err, context.DeadlineExceeded)
		require.Equal(t, 1, calls)
		require.ErrorIs(t, watchdog.Park(joined), context.DeadlineExceeded)
	})
}

// TestAwait returns what wait returns, and its error also where a turn ends.
func TestAwait(t *testing.T) {
	play(t, func(t *testing.T, s *scene, ctx context.Context) {
		ctx, leave := s.Join(ctx, "waiter")
		defer leave()
		own := errors.New("own")
		began := time.Now()
		err := watchdog.Await(ctx, func(turn context.Context) error {
			if time.Since(began) < time.Minute {
				<-turn.Done()
				return turn.Err()
			}
			return own
		})
		require.ErrorIs(t, err, own)
		require.Equal(t, time.Minute, time.Since(began))
		require.NoError(t, watchdog.Sleep(ctx, 7*time.Second))
		require.Equal(t, 67*time.Second, time.Since(began))
		ctx, cancel := context.WithTimeout(ctx, 7*time.Second)
		defer cancel()
		require.ErrorIs(t, watchdog.Sleep(ctx, time.Hour), context.DeadlineExceeded)
		require.Equal(t, 74*time.Second, time.Since(began))
	})
}
