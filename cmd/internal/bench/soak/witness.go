package soak

import (
	"encoding/binary"
	"errors"
	"fmt"
	"os"
	"regexp"
	"strings"
	"sync"
	"time"

	"golang.org/x/sys/unix"

	"roadseal/crypto/envelope"
)

// A witness sees every name appear in the spools of the fleet and vanish from
// them, whoever is killed meanwhile. It reads names by agent/spool/FORMAT.md and
// shares no code with the spool.
type witness struct {
	events *os.File
	done   chan struct{}

	mu     sync.Mutex
	spools map[int32]lives // by watch descriptor
	fault  error           // why it did not see everything
}

// lives are all objects that were ever in a spool.
type lives map[envelope.Name]*life

// A life is what became of an object of a spool.
type life struct {
	Name    envelope.Name
	Class   int
	Stream  string
	Tag     string          // hexadecimal; "" = not from a file
	Present map[string]bool // suffixes under which it is there now
	Stored  bool            // it was ever marked as delivered
	Damaged bool            // it was ever put aside
}

// Suffixes of names in a spool.
const (
	queued  = "age"
	stored  = "stored"
	damaged = "damaged"
)

var spoolName = regexp.MustCompile(`^([1-4])\.[0-9a-f]{8}\.[0-9a-f]{8}\.([a-z0-9-]{1,16})\.([0-9a-f]{32})\.[0-9a-f]+\.([0-9a-f]{64})\.(age|stored|damaged)$`)

// newWitness starts a witness, who watches nothing yet.
func newWitness() (*witness, error) {
	fd, err := unix.InotifyInit1(unix.IN_CLOEXEC | unix.IN_NONBLOCK)
	if err != nil {
		return nil, fmt.Errorf("cannot watch the spools: %w", err)
	}
	w := &witness{events: os.NewFile(uintptr(fd), "inotify"), done: make(chan struct{}), spools: map[int32]lives{}}
	go w.run() // ends with close
	return w, nil
}

// watch watches one more spool, whose folder is made if need be. What is seen
// after its return goes into the result, which may be read after close.
func (w *witness) watch(dir string) (lives, error) {
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return nil, err
	}
	w.mu.Lock()
	defer w.mu.Unlock()
	var wd int
	conn, err := w.events.SyscallConn()
	if err == nil {
		fault := conn.Control(func(fd uintptr) {
			wd, err = unix.InotifyAddWatch(int(fd), dir, unix.IN_CREATE|unix.IN_MOVED_TO|unix.IN_MOVED_FROM|unix.IN_DELETE)
		})
		err = errors.Join(err, fault)
	}
	if err != nil {
		return nil, fmt.Errorf("cannot watch a spool: %w", err)
	}
	w.spools[int32(wd)] = lives{}
	return w.spools[int32(wd)], nil
}

// close ends the watch when all that happened before has been seen.
func (w *witness) close() error {
	select {
	case <-w.done:
		return nil
	default:
	}
	err := w.events.SetReadDeadline(time.Now())
	<-w.done
	return errors.Join(err, w.events.Close())
}

func (w *witness) run() {
	defer close(w.done)
	buf := make([]byte, 64<<10)
	n, err := w.events.Read(buf)
	for ; err == nil; n, err = w.events.Read(buf) {
		w.take(buf[:n])
	}
	if errors.Is(err, os.ErrDeadlineExceeded) {
		err = w.rest(buf)
	}
	if err != nil {
		w.broken(fmt.Errorf("cannot watch the spools: %w", err))
	}
}

// rest takes what the kernel holds ready, without waiting for more.
func (w *witness) rest(buf []byte) error {
	conn, err := w.events.SyscallConn()
	if err != nil {
		return err
	}
	fault := conn.Control(func(fd uintptr) {
		for n := 0; err == nil; w.take(buf[:n]) {
			if n, err = unix.Read(int(fd), buf); err != nil {
				return
			}
		}
	})
	if errors.Is(err, unix.EAGAIN) {
		err = nil
	}
	return errors.Join(err, fault)
}

// take takes events as they were read.
func (w *witness) take(b []byte) {
	for len(b) >= unix.SizeofInotifyEvent {
		wd, mask, size := int32(binary.NativeEndian.Uint32(b)), binary.NativeEndian.Uint32(b[4:]), int(binary.NativeEndian.Uint32(b[12:]))
		name := strings.TrimRight(string(b[unix.SizeofInotifyEvent:][:size]), "\x00")
		b = b[unix.SizeofInotifyEvent+size:]
		w.event(wd, mask, name)
	}
}

func (w *witness) broken(err error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.fault == nil {
		w.fault = err
	}
}

func (w *witness) event(wd int32, mask uint32, name string) {
	if mask&unix.IN_Q_OVERFLOW != 0 {
		w.broken(errors.New("too much happened in the spools to see all of it"))
	}
	w.mu.Lock()
	defer w.mu.Unlock()
	l, suffix, ok := parseLife(name)
	spool := w.spools[wd]
	if !ok || spool == nil {
		return
	}
	if known := spool[l.Name]; known != nil {
		l = known
	}
	spool[l.Name] = l
	l.Stored = l.Stored || suffix == stored
	l.Damaged = l.Damaged || suffix == damaged
	if mask&(unix.IN_CREATE|unix.IN_MOVED_TO) != 0 {
		l.Present[suffix] = true
	} else {
		delete(l.Present, suffix)
	}
}

// parseLife reads a name of the spool.
func parseLife(name string) (l *life, suffix string, ok bool) {
	m := spoolName.FindStringSubmatch(name)
	if m == nil {
		return nil, "", false
	}
	l = &life{Class: int(m[1][0] - '0'), Stream: m[2], Present: map[string]bool{}}
	if strings.Trim(m[3], "0") != "" {
		l.Tag = m[3]
	}
	var err error
	if l.Name, err = envelope.ParseName(m[4]); err != nil {
		return nil, "", false
	}
	return l, m[5], true
}
