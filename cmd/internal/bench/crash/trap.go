package crash

import (
	"bufio"
	"errors"
	"fmt"
	"os"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"time"

	"roadseal/cmd/internal/bench/crash/disk"
)

// changing are the system calls that change files; write also sends messages.
var changing = []string{"openat", "?open", "?creat", "write", "pwrite64", "fsync", "fdatasync", "?rename", "renameat", "?renameat2", "?unlink", "unlinkat",
	"?mkdir", "mkdirat", "?rmdir", "?link", "linkat", "truncate", "ftruncate", "?utimensat"}

// A trap kills a program at its nth change of the files below a root, or
// message to its peer, before the system call is done. Later starts of the
// program count on.
//
// strace counts the calls of each thread and each kind apart, so with its own
// counter most calls of a Go program are never met. Here it only holds each
// call for a moment before it is done, and tells; the trap counts.
type trap struct {
	l    *lane
	root string
	nth  int

	readers []*trapReader
	wg      sync.WaitGroup

	mu    sync.Mutex
	count int
	hit   string // what was met; "" as long as nothing was
	pid   string // of the thread that was met
	late  bool   // the call was done before the program was dead
	off   bool   // nothing is killed any more
}

// A trapReader reads what strace writes about one start.
type trapReader struct {
	trap *trap
	pipe *os.File
	line []byte
	seen bool // the line was counted
}

// hold is how long each call is held: longer than it takes to be told of it and
// to kill, on a machine that has more to do.
const hold = 3 * time.Millisecond

// tracer is what the program is started below.
func (t *trap) tracer(n int) []string {
	if t.met() != "" {
		return nil
	}
	name := t.l.path(fmt.Sprintf("trap.%d", n))
	pipe, err := openPipe(name)
	if err != nil {
		return []string{"false", err.Error()} // the program does not start
	}
	r := &trapReader{trap: t, pipe: pipe}
	t.readers = append(t.readers, r)
	t.wg.Go(r.read)
	calls := strings.Join(changing, ",")
	return []string{t.l.o.Strace, "-f", "-qq", "-y", "-s", "0", "--seccomp-bpf", "-o", name, "-e", "signal=none", "-e", "trace=" + calls,
		"-e", fmt.Sprintf("inject=%s:delay_enter=%d", calls, hold.Microseconds())}
}

// openPipe makes a FIFO and opens it for reading, without waiting for a writer.
func openPipe(name string) (*os.File, error) {
	if err := errors.Join(ignoreMissing(os.Remove(name)), syscall.Mkfifo(name, 0o600)); err != nil {
		return nil, err
	}
	return os.OpenFile(name, os.O_RDWR|syscall.O_NONBLOCK, 0)
}

// met is the call at which the program was killed, "" if there was none.
func (t *trap) met() string {
	t.mu.Lock()
	defer t.mu.Unlock()
	return t.hit
}

// disarm ends the killing and reports whether there was any.
func (t *trap) disarm() bool {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.off = true
	return t.hit != ""
}

// drainTime is for what strace wrote last.
const drainTime = 10 * time.Millisecond

// close ends the watching of all starts, whose programs have ended.
func (t *trap) close() {
	for _, r := range t.readers {
		_ = r.pipe.SetReadDeadline(time.Now().Add(drainTime)) // a pipe has deadlines
	}
	t.wg.Wait()
	for _, r := range t.readers {
		_ = r.pipe.Close() // it was only read
	}
}

// read takes lines as they grow: strace writes a call up to its last argument,
// holds it, and writes the result when it is done.
func (r *trapReader) read() {
	in := bufio.NewReader(r.pipe)
	for {
		b, err := in.ReadByte()
		if err != nil {
			return // the deadline, see close
		}
		switch {
		case b == '\n':
			r.grown(true)
			r.line, r.seen = r.line[:0], false
		default:
			r.line = append(r.line, b)
			if in.Buffered() == 0 {
				r.grown(false)
			}
		}
	}
}

// grown looks at a line, which may not be whole.
func (r *trapReader) grown(done bool) {
	t, text := r.trap, string(r.line)
	t.mu.Lock()
	defer t.mu.Unlock()
	pid, call, _ := strings.Cut(text, " ")
	if t.hit != "" {
		t.late = t.late || done && pid == t.pid && strings.Contains(call, ") ") && !strings.Contains(call, "= ?")
		return
	}
	if r.seen || t.off || !changes(call, t.root) {
		return
	}
	r.seen = true
	if t.count++; t.count == t.nth {
		t.hit, t.pid, t.late = met(call, t.root), pid, done && !strings.Contains(call, "= ?") && !strings.Contains(call, " <unfinished ...>")
		if n, err := strconv.Atoi(pid); err == nil {
			_ = syscall.Kill(n, syscall.SIGKILL) // it may have ended by itself
		}
	}
}

// changes reports whether a call as strace -y prints it changes files below
// root or sends a message.
func changes(call, root string) bool {
	name, args, begun := strings.Cut(strings.TrimSpace(call), "(")
	switch {
	case !begun || strings.HasPrefix(name, "<..."):
		return false
	case name == "openat":
		return strings.Contains(args, "O_CREAT") && strings.Contains(args, root)
	case name == "write" && strings.Contains(args, "<socket:["):
		return true
	}
	return strings.Contains(args, root)
}

// met names a call without what differs from run to run.
func met(call, root string) string {
	name, args, _ := strings.Cut(strings.TrimSpace(call), "(")
	_, file, below := strings.Cut(args, root+"/")
	switch {
	case strings.Contains(args, "<socket:["):
		return name + " to the peer"
	case !below:
		return name + " ROOT"
	}
	file, _, _ = strings.Cut(file, ">")
	file, _, _ = strings.Cut(file, `"`)
	return name + " " + disk.Role(file)
}
