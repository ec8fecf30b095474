// Package process runs the programs of a bench run as processes of their own,
// each with its output in a file, and ends them gently or with SIGKILL.
//
// Side: any.
package process

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"time"
)

// A Program is what to start. Its output goes to NAME.log in the folder Logs,
// and is appended there when it is started again.
type Program struct {
	Name string // in messages and of the log
	Path string
	Args []string
	Logs string
}

// A Process is a program that was started.
type Process struct {
	program Program
	cmd     *exec.Cmd
	started time.Time
	offset  int64 // of its output in the log
	ended   chan struct{}
	peak    int64
}

// Start starts a program. Whoever starts it ends it, with Stop or Kill.
func Start(p Program) (*Process, error) {
	log, err := os.OpenFile(p.log(), os.O_CREATE|os.O_APPEND|os.O_WRONLY, 0o644)
	if err != nil {
		return nil, fmt.Errorf("cannot write the log of %s: %w", p.Name, err)
	}
	defer log.Close()
	end, err := log.Seek(0, 2)
	if err != nil {
		return nil, fmt.Errorf("cannot write the log of %s: %w", p.Name, err)
	}
	cmd := exec.Command(p.Path, p.Args...)
	cmd.Stdout, cmd.Stderr = log, log
	q := &Process{program: p, cmd: cmd, started: time.Now(), offset: end, ended: make(chan struct{})}
	if err := cmd.Start(); err != nil {
		return nil, fmt.Errorf("cannot start %s: %w", p.Name, err)
	}
	go q.wait() // ends with the process
	return q, nil
}

func (p Program) log() string { return filepath.Join(p.Logs, p.Name+".log") }

// wait takes the exit status; it stays in cmd.ProcessState.
func (q *Process) wait() {
	defer close(q.ended)
	_ = q.cmd.Wait() // the status tells more than the error
}

// Started is when the process was started, with a monotonic reading.
func (q *Process) Started() time.Time { return q.started }

// Ended is closed when the process has ended.
func (q *Process) Ended() <-chan struct{} { return q.ended }

// PID is the process id.
func (q *Process) PID() int { return q.cmd.Process.Pid }

// PeakMemory is the largest resident set in bytes up to the call of Stop or
// Kill, VmHWM of /proc/PID/status; 0 if the process ended by itself. The figure
// that comes with the exit status would begin with the memory of whoever
// started the process.
func (q *Process) PeakMemory() int64 { return q.peak }

// CPU is the processor time, user and system, of a process that has ended.
func (q *Process) CPU() time.Duration {
	return q.cmd.ProcessState.UserTime() + q.cmd.ProcessState.SystemTime()
}

// measure notes the peak; a process that is gone has none.
func (q *Process) measure() {
	b, err := os.ReadFile(fmt.Sprintf("/proc/%d/status", q.PID()))
	if err != nil {
		return
	}
	for line := range strings.Lines(string(b)) {
		var kilobytes int64
		if n, _ := fmt.Sscanf(line, "VmHWM: %d kB", &kilobytes); n == 1 {
			q.peak = kilobytes << 10
		}
	}
}

// Kill sends SIGKILL and returns when the process has ended. It is an error if
// it had ended by itself.
func (q *Process) Kill() error {
	q.measure()
	if err := q.cmd.Process.Kill(); err != nil {
		<-q.ended
		return q.Failure()
	}
	<-q.ended
	if s, ok := q.cmd.ProcessState.Sys().(syscall.WaitStatus); !ok || s.Signal() != syscall.SIGKILL {
		return q.Failure() // it was faster
	}
	return nil
}

// Stop sends SIGTERM and returns how long the process took to end. It is an
// error if it ended with a status other than 0, or not within the limit: then
// it is killed.
func (q *Process) Stop(limit time.Duration) (time.Duration, error) {
	q.measure()
	begin := time.Now()
	if err := q.cmd.Process.Signal(syscall.SIGTERM); err != nil {
		<-q.ended
		return 0, q.Failure()
	}
	t := time.NewTimer(limit)
	defer t.Stop()
	select {
	case <-q.ended:
	case <-t.C:
		return time.Since(begin), errors.Join(fmt.Errorf("%s did not end within %s of SIGTERM", q.program.Name, limit), q.Kill())
	}
	if !q.cmd.ProcessState.Success() {
		return time.Since(begin), q.Failure()
	}
	return time.Since(begin), nil
}

// lastLines of a log say enough in an error.
const lastLines = 3

// Failure describes a process that has ended by itself: status and last lines
// of its log.
func (q *Process) Failure() error {
	out, err := q.output()
	if err != nil {
		return errors.Join(fmt.Errorf("%s ended: %s", q.program.Name, q.cmd.ProcessState), err)
	}
	lines := strings.Split(strings.TrimSpace(string(out)), "\n")
	lines = lines[max(0, len(lines)-lastLines):]
	return fmt.Errorf("%s ended: %s; its log ends with: %s", q.program.Name, q.cmd.ProcessState, strings.Join(lines, " | "))
}

// output is what this process, and none before it, has written.
func (q *Process) output() ([]byte, error) {
	b, err := os.ReadFile(q.program.log())
	if err != nil {
		return nil, err
	}
	return b[min(q.offset, int64(len(b))):], nil
}

// tick is how often a log is looked at.
const tick = 5 * time.Millisecond

// Line waits for the first whole line of output with the given prefix and
// returns the rest of it.
func (q *Process) Line(ctx context.Context, prefix string) (rest string, err error) {
	t := time.NewTicker(tick)
	defer t.Stop()
	for {
		out, err := q.output()
		if err != nil {
			return "", err
		}
		for line := range bytes.Lines(out) {
			if text, whole := strings.CutSuffix(string(line), "\n"); whole && strings.HasPrefix(text, prefix) {
				return strings.TrimPrefix(text, prefix), nil
			}
		}
		select {
		case <-t.C:
		case <-q.ended:
			return "", q.Failure()
		case <-ctx.Done():
			return "", ctx.Err()
		}
	}
}
