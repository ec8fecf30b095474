package wallclock

import (
	"bufio"
	"fmt"
	"io"
	"math/rand/v2"
	"os"
	"os/exec"
	"os/signal"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"golang.org/x/sys/unix"
)

const (
	probe = "probe the clock" // argument with which this test program prints readings
	limit = 30 * time.Second  // for what happens soon, but nobody knows when
)

// TestMain lets this test program be launcher, keeper and probe too.
func TestMain(m *testing.M) {
	switch args := os.Args; {
	case len(args) > 4 && args[1] == Verb && args[4] == "--":
		fmt.Fprintln(os.Stderr, Exec(args[3], args[5:]))
		os.Exit(1)
	case len(args) == 6 && args[1] == Verb && args[4] == "--"+KeepFlag:
		parent, _ := strconv.Atoi(args[5])
		if err := Keep(args[3], parent); err != nil {
			fmt.Fprintln(os.Stderr, err)
			os.Exit(1)
		}
	case len(args) == 2 && args[1] == probe:
		os.Exit(readClock())
	default:
		os.Exit(runAndClean(m))
	}
}

// monotonic asks the kernel, past the Go runtime.
func monotonic() int64 {
	var t unix.Timespec
	if err := unix.ClockGettime(unix.CLOCK_MONOTONIC, &t); err != nil {
		panic(err)
	}
	return t.Nano()
}

// readClock prints readings from many goroutines until SIGTERM, each as the
// monotonic clock before, wall clock, monotonic part since the first reading,
// and the monotonic clock after. It ends with status 7.
func readClock() int {
	term := make(chan os.Signal, 1)
	signal.Notify(term, syscall.SIGTERM)
	out := bufio.NewWriter(os.Stdout)
	var mu sync.Mutex
	before := monotonic()
	start := time.Now()
	fmt.Fprintln(out, before, start.UnixNano(), 0, monotonic())
	var wg sync.WaitGroup
	stop := make(chan struct{})
	for range 8 {
		wg.Go(func() {
			for {
				before := monotonic()
				now := time.Now()
				after := monotonic()
				mu.Lock()
				fmt.Fprintln(out, before, now.UnixNano(), now.Sub(start).Nanoseconds(), after)
				mu.Unlock()
				select {
				case <-stop:
					return
				case <-time.After(200 * time.Microsecond):
				}
			}
		})
	}
	<-term
	close(stop)
	wg.Wait()
	out.Flush()
	return 7
}

func newOffset(t *testing.T, offset time.Duration) (file string) {
	t.Helper()
	if err := Available(); err != nil {
		t.Skip(err)
	}
	file = filepath.Join(t.TempDir(), "offset")
	require.NoError(t, Set(file, offset))
	return file
}

// start starts a program that follows the file.
func start(t *testing.T, file string, stdout io.Writer, program ...string) *exec.Cmd {
	t.Helper()
	line := append(Command(os.Args[0], file), program...)
	cmd := exec.Command(line[0], line[1:]...)
	cmd.Stdout, cmd.Stderr = stdout, os.Stderr
	require.NoError(t, cmd.Start())
	t.Cleanup(func() { _ = cmd.Process.Kill() }) // if the test has failed
	return cmd
}

// awaitSeen waits until the program has met n offsets.
func awaitSeen(t *testing.T, file string, n int) {
	t.Helper()
	for end := time.Now().Add(limit); ; time.Sleep(time.Millisecond) {
		seen, err := Seen(file)
		require.NoError(t, err)
		require.LessOrEqual(t, seen, n)
		if seen == n {
			return
		}
		require.True(t, time.Now().Before(end), "offset %d was not met", n)
	}
}

// awaitKeeperGone waits until no process follows the file.
func awaitKeeperGone(t *testing.T, file string) {
	t.Helper()
	for end := time.Now().Add(limit); ; time.Sleep(10 * time.Millisecond) {
		lines, err := filepath.Glob("/proc/[0-9]*/cmdline")
		require.NoError(t, err)
		found := false
		for _, l := range lines {
			b, _ := os.ReadFile(l) // it may have ended meanwhile
			found = found || strings.Contains(string(b), file)
		}
		if !found {
			return
		}
		require.True(t, time.Now().Before(end), "the keeper is still there")
	}
}

// A jump is one change of the offset, between two times of the monotonic clock.
type jump struct {
	begun, done int64
	offset      time.Duration
}

// TestReadingsFollowTheFile: each reading is the true time and an offset that
// was set while it was made; the monotonic part is always true.
func TestReadingsFollowTheFile(t *testing.T) {
	rng := rand.New(rand.NewPCG(3, 0))
	draw := func() time.Duration { return time.Duration(rng.Int64N(int64(175200*time.Hour))) - 87600*time.Hour }
	jumps := []jump{{offset: draw()}}
	file := newOffset(t, jumps[0].offset)
	var out strings.Builder
	cmd := start(t, file, &out, os.Args[0], probe)
	awaitSeen(t, file, 1)
	const count = 300
	for i := range count {
		j := jump{begun: monotonic(), offset: draw()}
		require.NoError(t, Set(file, j.offset))
		j.done = monotonic()
		jumps = append(jumps, j)
		awaitSeen(t, file, i+2)
	}
	require.NoError(t, cmd.Process.Signal(syscall.SIGTERM))
	_ = cmd.Wait() // the status is looked at
	require.Equal(t, 7, cmd.ProcessState.ExitCode(), "signal and status are those of the program")
	awaitKeeperGone(t, file)

	ahead := time.Now().UnixNano() - monotonic() // of the true wall clock
	lines := strings.Split(strings.TrimSpace(out.String()), "\n")
	require.Greater(t, len(lines), count)
	var first [2]int64
	for i, line := range lines {
		var before, wall, since, after int64
		_, err := fmt.Sscan(line, &before, &wall, &since, &after)
		require.NoError(t, err, line)
		if i == 0 {
			first = [2]int64{before, after}
		}
		require.True(t, possible(jumps, before, wall-ahead, after), "reading %d", i)
		require.GreaterOrEqual(t, since, before-first[1])
		require.LessOrEqual(t, since, after-first[0])
	}
	t.Logf("%d jumps, %d readings", count, len(lines))
}

// possible reports whether a reading fits an offset that held between before
// and after.
func possible(jumps []jump, before, read, after int64) bool {
	const slew = int64(time.Second) // of the true clock, and less than any jump
	for i, j := range jumps {
		ended := i+1 < len(jumps) && jumps[i+1].done < before
		at := read - int64(j.offset)
		if j.begun <= after && !ended && before-slew <= at && at <= after+slew {
			return true
		}
	}
	return false
}

// TestKilled: SIGKILL reaches the program, and its keeper ends with it.
func TestKilled(t *testing.T) {
	file := newOffset(t, time.Hour)
	cmd := start(t, file, io.Discard, os.Args[0], probe)
	awaitSeen(t, file, 1)
	require.NoError(t, cmd.Process.Kill())
	_ = cmd.Wait() // the status is looked at
	require.Equal(t, syscall.SIGKILL, cmd.ProcessState.Sys().(syscall.WaitStatus).Signal())
	awaitKeeperGone(t, file)
}

// TestNothingStarts says why.
func TestNothingStarts(t *testing.T) {
	file := newOffset(t, 0)
	require.ErrorContains(t, Exec(file, []string{"no-such-program"}), "cannot find the program")
	require.ErrorContains(t, Exec(file+"x", []string{os.Args[0]}), "cannot read the offset")
	require.NoError(t, os.WriteFile(file, []byte("soon"), 0o600))
	require.ErrorContains(t, Exec(file, []string{os.Args[0]}), "expected a duration such as -87600h")
}
