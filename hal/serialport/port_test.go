package serialport_test

import (
	"bytes"
	"context"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"runtime"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/creack/pty"
	"github.com/stretchr/testify/require"
	"go.uber.org/goleak"
	"golang.org/x/sys/unix"

	"roadseal/hal/serialport"
)

// An event is one call of the Handler: "up", "down", "idle" or "data".
type event struct {
	what string
	text string
}

// events is a Handler that hands its calls to the test. Idle calls are dropped
// while nobody waits for them.
type events chan event

func (e events) Data(p []byte)  { e <- event{"data", string(p)} }
func (e events) Up()            { e <- event{"up", ""} }
func (e events) Down(err error) { e <- event{"down", err.Error()} }
func (e events) Idle() {
	select {
	case e <- event{"idle", ""}:
	default:
	}
}

// next waits for an event other than idle.
func (e events) next(t *testing.T) event {
	t.Helper()
	for {
		select {
		case v := <-e:
			if v.what != "idle" {
				return v
			}
		case <-time.After(30 * time.Second): // only when broken
			require.FailNow(t, "no event")
		}
	}
}

func (e events) up(t *testing.T) {
	t.Helper()
	require.Equal(t, event{"up", ""}, e.next(t))
}

func (e events) down(t *testing.T) string {
	t.Helper()
	v := e.next(t)
	require.Equal(t, "down", v.what, v.text)
	return v.text
}

// data collects at least as much text as is wanted.
func (e events) data(t *testing.T, want string) {
	t.Helper()
	var got strings.Builder
	for got.Len() < len(want) {
		v := e.next(t)
		require.Equal(t, "data", v.what, v.text)
		got.WriteString(v.text)
	}
	require.Equal(t, want, got.String())
}

// A line is a pseudo-terminal: what the test writes to the far end arrives at
// the device.
type line struct {
	far    *os.File
	device string
}

func newLine(t *testing.T) line {
	t.Helper()
	far, near, err := pty.Open()
	require.NoError(t, err)
	t.Cleanup(func() { _ = far.Close() })
	device := near.Name()
	require.NoError(t, near.Close())
	return line{far, device}
}

// TestMain fails if any port left a goroutine behind.
func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// start runs a port and ends it at the end of the test, if not before.
func start(t *testing.T, o serialport.Options, change func(*serialport.Port)) (events, context.CancelFunc) {
	t.Helper()
	if o.Log == nil {
		o.Log = slog.New(slog.DiscardHandler)
	}
	if o.Baud == 0 {
		o.Baud = 9600
	}
	e := make(events)
	p := serialport.New(o, e)
	if change != nil {
		change(p)
	}
	ctx, cancel := context.WithCancel(t.Context())
	ended := make(chan error)
	go func() { ended <- p.Run(ctx) }()
	stop := sync.OnceFunc(func() {
		cancel()
		for {
			select {
			case <-e: // nobody waits for these any more
			case err := <-ended:
				require.ErrorIs(t, err, context.Canceled)
				return
			}
		}
	})
	t.Cleanup(stop)
	return e, stop
}

// fast opens ports with a read timeout of 2 ms.
func fast(p *serialport.Port) { p.SetReadTimeout(2 * time.Millisecond) }

// TestBytes: every byte arrives as it was sent, and soon: the port does not wait
// for a full buffer.
func TestBytes(t *testing.T) {
	l := newLine(t)
	e, stop := start(t, serialport.Options{Path: l.device}, nil)
	e.up(t)
	text := "\x00$GPRMC,\r\n\xB5\x62\x03\x04\x11\x13\x1A\x7F\xFF" // control characters mean nothing
	for i := range len(text) {
		_, err := l.far.WriteString(text[i : i+1])
		require.NoError(t, err)
		e.data(t, text[i:i+1])
	}
	require.Equal(t, event{"idle", ""}, <-e)
	long := strings.Repeat("0123456789abcdef", 128)
	_, err := l.far.WriteString(long)
	require.NoError(t, err)
	e.data(t, long)
	stop()
}

// TestSilence: hundreds of empty reads in a row are no fault.
func TestSilence(t *testing.T) {
	l := newLine(t)
	e, _ := start(t, serialport.Options{Path: l.device}, fast)
	e.up(t)
	for range 300 {
		require.Equal(t, event{"idle", ""}, <-e)
	}
	_, err := l.far.WriteString("$")
	require.NoError(t, err)
	e.data(t, "$")
}

// TestReplug pulls the cable and plugs it in elsewhere, under the same link.
func TestReplug(t *testing.T) {
	link := filepath.Join(t.TempDir(), "gps0")
	first, second := newLine(t), newLine(t)
	require.NoError(t, os.Symlink(first.device, link))
	e, _ := start(t, serialport.Options{Path: link, LockDir: t.TempDir()}, fast)
	e.up(t)
	_, err := first.far.WriteString("one")
	require.NoError(t, err)
	e.data(t, "one")

	require.NoError(t, first.far.Close())
	text := e.down(t)
	require.Contains(t, text, "serial port "+link+": lost")
	require.NoError(t, os.Remove(link))
	require.NoError(t, os.Symlink(second.device, link))
	e.up(t) // and no second down in between
	_, err = second.far.WriteString("two")
	require.NoError(t, err)
	e.data(t, "two")
}

// TestMissing: a device that is not there is said once, and opened when it
// appears.
func TestMissing(t *testing.T) {
	link := filepath.Join(t.TempDir(), "gps0")
	var log bytes.Buffer
	e, stop := start(t, serialport.Options{Path: link, Log: slog.New(slog.NewTextHandler(&log, nil))}, fast)
	require.Equal(t, "serial port "+link+": no such device (is the receiver plugged in? see /dev/serial/by-id): file does not exist", e.down(t))
	l := newLine(t)
	require.NoError(t, os.Symlink(l.device, link))
	e.up(t)
	stop()
	require.Equal(t, 2, strings.Count(log.String(), "\n"), log.String())
}

// TestRefused: what cannot be read as a serial port says so with a hint.
func TestRefused(t *testing.T) {
	dir := t.TempDir()
	file := filepath.Join(dir, "file")
	require.NoError(t, os.WriteFile(file, []byte("content"), 0o600))
	fifo := filepath.Join(dir, "fifo")
	require.NoError(t, unix.Mkfifo(fifo, 0o600))
	l := newLine(t)
	tests := []struct {
		name string
		o    serialport.Options
		want string
	}{
		{"regular file", serialport.Options{Path: file}, "cannot use: it is no serial device"},
		{"fifo", serialport.Options{Path: fifo}, "cannot use: it is no serial device"},
		{"folder", serialport.Options{Path: dir}, "cannot use: is a directory"},
		{"below a file", serialport.Options{Path: filepath.Join(file, "x")}, "not a directory"},
		{"no path", serialport.Options{}, "cannot use"},
		{"null device", serialport.Options{Path: "/dev/null"}, "cannot use: it is no serial device"},
		{"negative speed", serialport.Options{Path: l.device, Baud: -1}, "cannot use: -1 is no baud rate"},
		{"lock folder is a file", serialport.Options{Path: l.device, LockDir: file}, "cannot make the folder of lock files"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			e, _ := start(t, tt.o, nil)
			text := e.down(t)
			require.Contains(t, text, "serial port "+tt.o.Path+": ")
			require.Contains(t, text, tt.want)
		})
	}
	content, err := os.ReadFile(file)
	require.NoError(t, err)
	require.Equal(t, "content", string(content))
}

// refused runs a port on a thread of its own that gave up a right, and returns
// why the port is down. Linux keeps users and capabilities for each thread.
func refused(t *testing.T, device string, giveUp func() error) string {
	t.Helper()
	if os.Getuid() != 0 {
		t.Skip("needs root, to give up rights")
	}
	e := make(events)
	p := serialport.New(serialport.Options{Path: device, Baud: 9600, Log: slog.New(slog.DiscardHandler)}, e)
	ctx, cancel := context.WithCancel(t.Context())
	ended := make(chan error)
	go func() {
		runtime.LockOSThread() // and never unlock: the thread ends with us
		if err := giveUp(); err != nil {
			e.Down(err)
		}
		ended <- p.Run(ctx)
	}()
	text := e.down(t)
	cancel()
	require.ErrorIs(t, <-ended, context.Canceled)
	return text
}

// TestDenied opens a device as a user who may not.
func TestDenied(t *testing.T) {
	l := newLine(t)
	require.NoError(t, os.Chmod(l.device, 0o600))
	text := refused(t, l.device, func() error { return unix.Setfsuid(65534) })
	require.Contains(t, text, "cannot open: permission denied (add the agent's user to the device's group, dialout")
}

// TestBusy opens a device that another program holds, without the right of root
// to open it all the same.
func TestBusy(t *testing.T) {
	l := newLine(t)
	e, _ := start(t, serialport.Options{Path: l.device}, fast)
	e.up(t)
	text := refused(t, l.device, func() error {
		who := unix.CapUserHeader{Version: unix.LINUX_CAPABILITY_VERSION_3}
		var rights [2]unix.CapUserData
		if err := unix.Capget(&who, &rights[0]); err != nil {
			return err
		}
		rights[0].Effective &^= 1 << unix.CAP_SYS_ADMIN
		return unix.Capset(&who, &rights[0])
	})
	require.Contains(t, text, "another program holds it (ModemManager? gpsd?")
}

// TestLock: a second holder is refused, by name of the device and number of the
// process, until the first one lets go.
func TestLock(t *testing.T) {
	l, locks := newLine(t), filepath.Join(t.TempDir(), "run", "lock")
	link := filepath.Join(t.TempDir(), "gps0")
	require.NoError(t, os.Symlink(l.device, link))
	first, stop := start(t, serialport.Options{Path: l.device, LockDir: locks}, fast)
	first.up(t)
	name := "LCK..pts_" + filepath.Base(l.device)
	require.Equal(t, name, serialport.LockName(l.device))
	content, err := os.ReadFile(filepath.Join(locks, name))
	require.NoError(t, err)
	require.Equal(t, fmt.Sprintf("%10d\n", os.Getpid()), string(content))

	second, _ := start(t, serialport.Options{Path: link, LockDir: locks}, fast)
	text := second.down(t)
	require.Contains(t, text, "serial port "+link+": cannot open "+l.device)
	require.Contains(t, text, "held by process "+strconv.Itoa(os.Getpid()))
	stop()
	second.up(t)
}

// TestLockFile: whatever lies where the lock file should be, nothing is lost and
// nothing hangs.
func TestLockFile(t *testing.T) {
	require.Equal(t, "LCK..ttyUSB0", serialport.LockName("/dev/ttyUSB0"))
	require.Equal(t, "LCK..srv_x_gps", serialport.LockName("/srv/x/gps"))

	locks := t.TempDir()
	path := filepath.Join(locks, "LCK..ttyS9")
	require.NoError(t, os.WriteFile(path, []byte("junk that is longer than a number\n"), 0o600))
	lock, err := serialport.Acquire(locks, "/dev/ttyS9")
	require.NoError(t, err, "left behind by a dead process")
	_, err = serialport.Acquire(locks, "/dev/ttyS9")
	require.ErrorContains(t, err, path)
	require.NoError(t, lock.Close())
	lock, err = serialport.Acquire(locks, "/dev/ttyS9")
	require.NoError(t, err)
	require.NoError(t, lock.Close())

	victim := filepath.Join(t.TempDir(), "victim")
	require.NoError(t, os.WriteFile(victim, []byte("content"), 0o600))
	require.NoError(t, os.Symlink(victim, filepath.Join(locks, "LCK..ttyS8")))
	_, err = serialport.Acquire(locks, "/dev/ttyS8")
	require.ErrorIs(t, err, unix.ELOOP)
	content, err := os.ReadFile(victim)
	require.NoError(t, err)
	require.Equal(t, "content", string(content))
}

// TestHighDescriptor: the library panics above 1023; the port says so and works
// again when descriptors are free.
func TestHighDescriptor(t *testing.T) {
	var limit unix.Rlimit
	require.NoError(t, unix.Getrlimit(unix.RLIMIT_NOFILE, &limit))
	if limit.Cur < 1200 {
		t.Skipf("needs 1,200 descriptors, %d are allowed", limit.Cur)
	}
	l := newLine(t)
	var files []*os.File
	for range 1100 {
		f, err := os.Open(os.DevNull)
		require.NoError(t, err)
		files = append(files, f)
	}
	e, _ := start(t, serialport.Options{Path: l.device}, fast)
	e.up(t)
	require.Contains(t, e.down(t), "more than 1,000 files are open")
	for _, f := range files {
		require.NoError(t, f.Close())
	}
	for v := e.next(t); v.what != "data"; v = e.next(t) {
		_, err := l.far.WriteString("$") // may be lost with a port that was opened high
		require.NoError(t, err)
	}
}
