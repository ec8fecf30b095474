package agent_test

import (
	"context"
	"go/ast"
	"go/parser"
	"go/token"
	"io/fs"
	"log/slog"
	"net"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"roadseal/agent"
	"roadseal/agent/config"
	"roadseal/agent/health"
	"roadseal/hal/watchdog"
)

// A manager counts what a service manager is told, on a real socket.
type manager struct {
	mu   sync.Mutex
	said map[string]int
}

func (m *manager) count(assignment string) int {
	m.mu.Lock()
	defer m.mu.Unlock()
	return m.said[assignment]
}

func listen(t *testing.T, limit string) (*manager, watchdog.Notifier) {
	t.Helper()
	path := filepath.Join(t.TempDir(), "notify")
	c, err := net.ListenUnixgram("unixgram", &net.UnixAddr{Net: "unixgram", Name: path})
	require.NoError(t, err)
	m := &manager{said: map[string]int{}}
	var reader sync.WaitGroup
	reader.Go(func() {
		buf := make([]byte, 4096)
		for {
			n, err := c.Read(buf)
			if err != nil {
				return
			}
			m.mu.Lock()
			for _, a := range strings.Split(string(buf[:n]), "\n") {
				m.said[a]++
			}
			m.mu.Unlock()
		}
	})
	t.Cleanup(func() { require.NoError(t, c.Close()); reader.Wait() })
	env := map[string]string{"NOTIFY_SOCKET": path, "WATCHDOG_USEC": limit}
	return m, watchdog.FromEnvironment(func(key string) string { return env[key] })
}

// A stuckLog hangs where a line about the serial port is logged, as a log
// behind a blocked pipe does.
type stuckLog struct {
	slog.Handler
	stuck   chan struct{} // closed: somebody hangs
	release chan struct{}
	once    *sync.Once
}

func (h *stuckLog) Handle(ctx context.Context, r slog.Record) error {
	if r.Message == "serial port is down" {
		h.once.Do(func() { close(h.stuck) })
		<-h.release
	}
	return h.Handler.Handle(ctx, r)
}

// TestWatchdog: a whole agent, offline and idle, gives signs of life; with one
// of its workers hung it gives none, and the status names the worker.
func TestWatchdog(t *testing.T) {
	if testing.Short() {
		t.Skip("takes half a minute")
	}
	u := newUnit(t)
	u.configure(`port = "gps0"`, `port = "gps1"`) // is not there yet
	m, notifier := listen(t, "16000000")
	h := &stuckLog{Handler: slog.NewTextHandler(&u.log, nil), stuck: make(chan struct{}), release: make(chan struct{}), once: new(sync.Once)}
	log := slog.New(h)
	c, err := config.Load(filepath.Join(u.dir, "agent.toml"))
	require.NoError(t, err)
	require.NoError(t, os.Symlink(must(os.Readlink(filepath.Join(u.dir, "gps0"))), filepath.Join(u.dir, "gps1")))
	w := watchdog.New(notifier, log)
	a, err := agent.New(agent.Options{Config: c, Version: "test", Build: build, Log: log, Watchdog: w})
	require.NoError(t, err)
	require.Zero(t, m.count("READY=1"))
	ctx, cancel := context.WithCancel(t.Context())
	done := make(chan error, 1)
	go func() { done <- a.Run(ctx) }()

	const sign = "WATCHDOG=1"
	wait := func(what string, cond func() bool) {
		t.Helper()
		require.Eventually(t, cond, 2*time.Minute, 20*time.Millisecond, what)
	}
	wait("ready", func() bool { return m.count("READY=1") == 1 })
	wait("signs of life", func() bool { return m.count(sign) >= 3 })
	require.Empty(t, w.Late())

	require.NoError(t, u.gps.Close()) // the receiver is unplugged: a line is logged
	u.gps = nil
	<-h.stuck
	before := m.count(sign)
	u.until("the status names the worker", func(s *health.Status) bool {
		return len(s.Late) == 1 && s.Late[0] == "serial port" && strings.Contains(strings.Join(s.Problems, "\n"), "no progress for at least 8 s: serial port")
	})
	require.LessOrEqual(t, m.count(sign), before+1, "only for the beats from before it hung")

	close(h.release)
	before = m.count(sign)
	wait("signs of life again", func() bool { return m.count(sign) >= before+2 })
	require.Zero(t, m.count("STOPPING=1"))
	cancel()
	require.NoError(t, <-done)
	wait("the last word", func() bool { return m.count("STOPPING=1") == 1 })
	require.Equal(t, 1, m.count("READY=1"))
	require.NoError(t, a.Close())
}

func must[T any](v T, err error) T {
	if err != nil {
		panic(err)
	}
	return v
}

// unwatched are the functions that start goroutines which are no workers.
var unwatched = map[string]string{
	"agent.go:record": "one watches over the workers, one waits for the end of the context or of power",
}

// TestEveryGoroutineIsWatched reads the vehicle's sources: whoever starts a
// goroutine makes it a worker of the watchdog, or stands in the list above.
func TestEveryGoroutineIsWatched(t *testing.T) {
	used, found := map[string]bool{}, 0
	for _, root := range []string{".", "../hal", "../crypto"} {
		require.NoError(t, filepath.WalkDir(root, func(path string, d fs.DirEntry, err error) error {
			if err != nil || d.IsDir() || !strings.HasSuffix(path, ".go") || strings.HasSuffix(path, "_test.go") {
				return err
			}
			f, err := parser.ParseFile(token.NewFileSet(), path, nil, parser.SkipObjectResolution)
			require.NoError(t, err)
			for _, decl := range f.Decls {
				fn, ok := decl.(*ast.FuncDecl)
				if !ok {
					continue
				}
				for _, start := range starts(fn) {
					found++
					one, all := path+":"+fn.Name.Name, path+":*"
					if _, ok := unwatched[one]; ok {
						used[one] = true
					} else if _, ok := unwatched[all]; ok {
						used[all] = true
					} else {
						require.Truef(t, joins(start), "%s starts a goroutine that does not join the watchdog", one)
					}
				}
			}
			return nil
		}))
	}
	require.Greater(t, found, 4)
	for name := range unwatched {
		require.Truef(t, used[name], "%s starts no goroutine: take it from the list", name)
	}
}

// starts returns the statements of a function that start goroutines.
func starts(fn *ast.FuncDecl) (all []ast.Node) {
	ast.Inspect(fn, func(n ast.Node) bool {
		switch n := n.(type) {
		case *ast.GoStmt:
			all = append(all, n)
		case *ast.CallExpr:
			if s, ok := n.Fun.(*ast.SelectorExpr); ok && s.Sel.Name == "Go" {
				all = append(all, n)
			}
		}
		return true
	})
	return all
}

// joins reports whether what is started joins the watchdog, or only parks.
func joins(start ast.Node) (yes bool) {
	ast.Inspect(start, func(n ast.Node) bool {
		if s, ok := n.(*ast.SelectorExpr); ok && (s.Sel.Name == "Join" || s.Sel.Name == "Park") {
			yes = true
		}
		return true
	})
	return yes
}
