package camera_test

import (
	"context"
	"fmt"
	"io"
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"go.uber.org/goleak"

	"roadseal/hal/camera"
)

func TestMain(m *testing.M) {
	if dir := os.Getenv(childVariable); dir != "" {
		os.Exit(unprivileged(dir))
	}
	goleak.VerifyTestMain(m)
}

// Limits of the tests: a file settles within settle, and a test that waits
// longer than patience has failed.
const (
	settle   = 25 * time.Millisecond
	patience = 20 * time.Second
	never    = time.Hour
)

// name is that of an ordinary clip, the n-th minute of a day.
func name(n int, letters string) string {
	return fmt.Sprintf("20251124_%02d%02d00_%s.mp4", n/60, n%60, letters)
}

func options(t *testing.T, dir string) camera.Options {
	p, err := camera.Preset("blackvue")
	require.NoError(t, err)
	return camera.Options{Name: "dash", Path: dir, Pattern: p, Rescan: 10 * time.Millisecond, Settle: settle}
}

// start runs a folder until the test ends, or until stop is called.
func start(t *testing.T, o camera.Options) (f *camera.Folder, stop func()) {
	f = camera.New(o)
	ctx, cancel := context.WithCancel(context.Background())
	ended := make(chan error, 1)
	go func() { ended <- f.Run(ctx) }()
	stop = sync.OnceFunc(func() {
		cancel()
		select {
		case err := <-ended:
			require.ErrorIs(t, err, context.Canceled)
		case <-time.After(patience):
			require.Fail(t, "Run did not end")
		}
	})
	t.Cleanup(stop)
	return f, stop
}

// eventually waits for a state of the folder.
func eventually(t *testing.T, f *camera.Folder, what string, ok func(camera.State) bool) {
	t.Helper()
	require.Eventually(t, func() bool { return ok(f.State()) }, patience, time.Millisecond, what)
}

func present(s camera.State) bool { return s.Present && s.Watching }
func waiting(n int) func(camera.State) bool {
	return func(s camera.State) bool { return s.Pending == n }
}

// scans waits until the folder was scanned anew n times, over more than two
// settle times: whatever scans find, they have found then.
func scans(t *testing.T, f *camera.Folder, n int) {
	t.Helper()
	first := f.State().Scanned
	last := first
	eventually(t, f, "scans", func(s camera.State) bool {
		if s.Scanned.After(last) {
			last = s.Scanned
			n--
		}
		return n <= 0 && last.Sub(first) > 3*settle
	})
}

// nothing checks that no more segments come.
func nothing(t *testing.T, f *camera.Folder) {
	t.Helper()
	scans(t, f, 4)
	require.Zero(t, f.State().Pending)
}

func take(t *testing.T, f *camera.Folder) camera.Segment {
	t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	defer cancel()
	s, err := f.Next(ctx)
	require.NoError(t, err)
	require.Equal(t, "dash", s.Camera)
	return s
}

// read opens, reads and checks a segment as intake does.
func read(t *testing.T, f *camera.Folder, s camera.Segment) string {
	t.Helper()
	file, err := f.Open(s)
	require.NoError(t, err)
	defer func() { require.NoError(t, file.Close()) }()
	b, err := io.ReadAll(file)
	require.NoError(t, err)
	require.NoError(t, file.Unchanged())
	require.Len(t, b, int(file.Size()))
	return string(b)
}

func tagOf(t *testing.T, f *camera.Folder, s camera.Segment) [16]byte {
	t.Helper()
	file, err := f.Open(s)
	require.NoError(t, err)
	defer file.Close()
	tag, err := file.Tag([]byte("key"))
	require.NoError(t, err)
	return tag
}

func write(t *testing.T, elem ...string) {
	t.Helper()
	file, content := filepath.Join(elem[:len(elem)-1]...), elem[len(elem)-1]
	require.NoError(t, os.WriteFile(file, []byte(content), 0o644))
}

// moveIn puts a file into place at once, as a recorder does that renames.
func moveIn(t *testing.T, dir, name, content string) {
	t.Helper()
	tmp := filepath.Join(dir, ".new")
	write(t, tmp, content)
	require.NoError(t, os.Rename(tmp, filepath.Join(dir, name)))
}

func needRoot(t *testing.T) {
	if os.Getuid() != 0 {
		t.Skip("needs root")
	}
}

// A logbook keeps log lines. If hold is set, a line waits for it.
type logbook struct {
	mu   sync.Mutex
	text strings.Builder
	hold chan struct{}
}

func (l *logbook) Write(p []byte) (int, error) {
	if l.hold != nil {
		<-l.hold
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.text.Write(p)
}

func (l *logbook) lines() []string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return strings.Split(strings.TrimSpace(l.text.String()), "\n")
}

func (l *logbook) logger() *slog.Logger { return slog.New(slog.NewTextHandler(l, nil)) }

func mkdir(t *testing.T, elem ...string) {
	t.Helper()
	require.NoError(t, os.Mkdir(filepath.Join(elem...), 0o755))
}
