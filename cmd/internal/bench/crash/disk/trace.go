package disk

import (
	"bufio"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"regexp"
	"slices"
	"strconv"
	"strings"
)

// A call is one completed system call of a recording, as strace prints it.
type call struct {
	name         string
	args         []string
	ret          int64
	failed       bool
	begun, ended int   // lines of the recording, counted from 1
	time         int64 // of the line that ended it: microseconds of the machine's clock
}

// traced are the system calls that change files, and those that could do so
// behind the back of the model. A question mark passes over what a processor
// has not.
var traced = []string{"openat", "?openat2", "?open", "?open_by_handle_at", "?creat", "?mknod", "mknodat", "write", "pwrite64", "writev", "pwritev", "?pwritev2", "fsync", "fdatasync",
	"?sync_file_range", "syncfs", "?rename", "renameat", "?renameat2", "?unlink", "unlinkat", "?mkdir", "mkdirat", "?rmdir", "?link", "linkat",
	"?symlink", "symlinkat", "truncate", "ftruncate", "fallocate", "lseek", "dup", "?dup2", "dup3", "fcntl", "close", "?utimensat",
	"?copy_file_range", "?sendfile", "splice", "?vmsplice", "?io_uring_setup", "mmap"}

// Tracer is the strace command that records all that the model needs
// into a file.
func Tracer(strace, file string) []string {
	return []string{strace, "-f", "-qq", "-xx", "-ttt", "-s", "2000000", "--seccomp-bpf", "-o", file, "-e", "signal=none",
		"-e", "trace=" + strings.Join(traced, ",")}
}

// line is "PID SECONDS.MICROSECONDS REST".
var line = regexp.MustCompile(`^(\d+) +(\d+)\.(\d{6}) (.*)$`)

// finished is "NAME(ARGUMENTS) = RESULT …".
var finished = regexp.MustCompile(`^(\w+)\((.*)\) += (-?\d+|0x[0-9a-f]+)(?: .*)?$`)

const (
	unfinishedMark = " <unfinished ...>"
	resumedMark    = " resumed>"
	detachedMark   = " <detached ...>" // the thread was gone before strace had read the call
	neverEnded     = ") = ?"
)

// parseTrace reads a recording. Calls come in the order in which they ended;
// one that never ended is left out.
func parseTrace(r io.Reader) (calls []call, err error) {
	type open struct {
		text  string
		begun int
	}
	pending := map[string]open{}
	in := bufio.NewReaderSize(r, 1<<20)
	for n := 1; ; n++ {
		text, err := in.ReadString('\n')
		if errors.Is(err, io.EOF) {
			return calls, nil // what has no line end is cut off
		}
		if err != nil {
			return nil, err
		}
		m := line.FindStringSubmatch(strings.TrimSuffix(text, "\n"))
		if m == nil {
			return nil, fmt.Errorf("trace line %d: expected \"PID TIME CALL\", found %.60q", n, text)
		}
		pid, rest, begun := m[1], m[4], n
		if strings.HasPrefix(rest, "+++ ") || strings.HasPrefix(rest, "--- ") {
			continue
		}
		if strings.HasSuffix(rest, detachedMark) || strings.HasSuffix(rest, neverEnded) {
			delete(pending, pid)
			continue
		}
		if head, cut := strings.CutSuffix(rest, unfinishedMark); cut {
			pending[pid] = open{head, n}
			continue
		}
		if strings.HasPrefix(rest, "<... ") {
			_, tail, found := strings.Cut(rest, resumedMark)
			p, known := pending[pid]
			if !found || !known {
				return nil, fmt.Errorf("trace line %d: a call is resumed that was never begun: %.60q", n, rest)
			}
			delete(pending, pid)
			rest, begun = p.text+tail, p.begun
		}
		c, err := parseCall(rest)
		if err != nil {
			return nil, fmt.Errorf("trace line %d: %w", n, err)
		}
		seconds, _ := strconv.ParseInt(m[2], 10, 64) // digits only, few
		micro, _ := strconv.ParseInt(m[3], 10, 64)
		c.begun, c.ended, c.time = begun, n, seconds*1_000_000+micro
		calls = append(calls, c)
	}
}

// parseCall reads one whole call.
func parseCall(text string) (c call, err error) {
	m := finished.FindStringSubmatch(text)
	if m == nil {
		return call{}, fmt.Errorf("expected NAME(…) = RESULT, found %.60q", text)
	}
	c = call{name: m[1], args: splitArgs(m[2])}
	if !strings.HasPrefix(m[3], "0x") {
		if c.ret, err = strconv.ParseInt(m[3], 10, 64); err != nil {
			return call{}, err
		}
	}
	c.failed = c.ret < 0
	return c, nil
}

// splitArgs cuts arguments at commas outside quotes and brackets.
func splitArgs(s string) (args []string) {
	depth, quoted, from := 0, false, 0
	for i := range len(s) {
		switch b := s[i]; {
		case b == '"':
			quoted = !quoted // with -xx no quote stands inside
		case quoted:
		case b == '(' || b == '[' || b == '{':
			depth++
		case b == ')' || b == ']' || b == '}':
			depth--
		case b == ',' && depth == 0:
			args = append(args, strings.TrimSpace(s[from:i]))
			from = i + 1
		}
	}
	if rest := strings.TrimSpace(s[from:]); rest != "" || len(args) > 0 {
		args = append(args, rest)
	}
	return args
}

var errArgument = errors.New("not an argument of the expected kind")

// bytes is a string argument, all of it.
func (c call) bytes(i int) ([]byte, error) {
	if i >= len(c.args) {
		return nil, fmt.Errorf("%s: argument %d: %w", c.name, i+1, errArgument)
	}
	notHex := fmt.Errorf("%s: argument %d: %w: expected \\xHH for each byte", c.name, i+1, errArgument)
	s, ok := strings.CutPrefix(c.args[i], `"`)
	s, closed := strings.CutSuffix(s, `"`)
	if !ok || !closed {
		return nil, fmt.Errorf("%s: argument %d: %w: expected a whole string", c.name, i+1, errArgument)
	}
	out := make([]byte, 0, len(s)/4)
	for s != "" {
		after, hexed := strings.CutPrefix(s, `\x`)
		if !hexed || len(after) < 2 || strings.ToLower(after[:2]) != after[:2] {
			return nil, notHex
		}
		var err error
		if out, err = hex.AppendDecode(out, []byte(after[:2])); err != nil {
			return nil, notHex
		}
		s = after[2:]
	}
	return out, nil
}

// number is a decimal argument; AT_FDCWD is -100.
func (c call) number(i int) (int64, error) {
	if i >= len(c.args) {
		return 0, fmt.Errorf("%s: argument %d: %w", c.name, i+1, errArgument)
	}
	if c.args[i] == "AT_FDCWD" {
		return -100, nil
	}
	n, err := strconv.ParseInt(c.args[i], 10, 64)
	if err != nil {
		return 0, fmt.Errorf("%s: argument %d: %w: expected a number", c.name, i+1, errArgument)
	}
	return n, nil
}

// arg is an argument as it was printed, "" if there is none.
func (c call) arg(i int) string {
	if i < len(c.args) {
		return c.args[i]
	}
	return ""
}

// has reports whether an argument of flags holds one.
func (c call) has(i int, flag string) bool {
	return slices.Contains(strings.Split(c.arg(i), "|"), flag)
}
