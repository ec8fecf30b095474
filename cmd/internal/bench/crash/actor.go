package crash

import (
	"bytes"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"time"
)

// environment makes a program's system calls come in the same order each time,
// as far as that can be had: one processor, and no signals between goroutines.
var environment = []string{"GOMAXPROCS=1", "GODEBUG=asyncpreemptoff=1"}

// An actor is a running program, perhaps below strace or an emulator.
type actor struct {
	name   string
	cmd    *exec.Cmd
	log    string
	traced bool
	ended  chan struct{}
}

// start starts a program in the folder dir with its output in dir/NAME.log.
// The tracer, if any, comes first in args.
func start(name, dir string, traced bool, args ...string) (*actor, error) {
	a := &actor{name: name, log: filepath.Join(dir, name+".log"), traced: traced, ended: make(chan struct{})}
	log, err := os.OpenFile(a.log, os.O_CREATE|os.O_APPEND|os.O_WRONLY, 0o600)
	if err != nil {
		return nil, fmt.Errorf("cannot write the log of %s: %w", name, err)
	}
	defer log.Close()
	a.cmd = exec.Command(args[0], args[1:]...)
	a.cmd.Dir, a.cmd.Stdout, a.cmd.Stderr = dir, log, log
	a.cmd.Env = append(os.Environ(), environment...)
	a.cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
	if err := a.cmd.Start(); err != nil {
		return nil, fmt.Errorf("cannot start %s: %w", name, err)
	}
	go func() { // ends with the process
		defer close(a.ended)
		_ = a.cmd.Wait() // the status tells more than the error
	}()
	return a, nil
}

// running reports whether the actor has not ended.
func (a *actor) running() bool {
	if a == nil {
		return false
	}
	select {
	case <-a.ended:
		return false
	default:
		return true
	}
}

// pid is the process of the program itself, 0 if there is none yet.
func (a *actor) pid() int {
	pid := a.cmd.Process.Pid
	if !a.traced {
		return pid
	}
	b, err := os.ReadFile(fmt.Sprintf("/proc/%d/task/%d/children", pid, pid))
	if err != nil {
		return 0
	}
	first, _, _ := strings.Cut(string(b), " ")
	child, err := strconv.Atoi(first)
	if err != nil {
		return 0
	}
	return child
}

// watches reports whether the program is told of changes in a directory.
func (a *actor) watches(dir string) bool {
	var st syscall.Stat_t
	pid := a.pid()
	if pid == 0 || syscall.Stat(dir, &st) != nil {
		return false
	}
	mark := fmt.Appendf(nil, " ino:%x ", st.Ino)
	infos, err := filepath.Glob(fmt.Sprintf("/proc/%d/fdinfo/*", pid))
	if err != nil {
		return false
	}
	for _, path := range infos {
		// A descriptor may be closed meanwhile.
		if b, err := os.ReadFile(path); err == nil && bytes.Contains(b, []byte("inotify wd:")) && bytes.Contains(b, mark) {
			return true
		}
	}
	return false
}

// stopLimit is what a program may take to end after SIGTERM.
const stopLimit = 30 * time.Second

// stop ends the program gently.
func (a *actor) stop() error {
	if pid := a.pid(); pid > 0 {
		_ = syscall.Kill(pid, syscall.SIGTERM) // it may have ended by itself
	}
	select {
	case <-a.ended:
		return a.fault()
	case <-time.After(stopLimit):
		a.kill()
		return fmt.Errorf("%w: %s did not end within %s of SIGTERM", errBadEnd, a.name, stopLimit)
	}
}

// kill ends the program and its tracer at once.
func (a *actor) kill() {
	if a == nil {
		return
	}
	if pid := a.pid(); pid > 0 {
		_ = syscall.Kill(pid, syscall.SIGKILL) // it may have ended by itself
	}
	_ = syscall.Kill(-a.cmd.Process.Pid, syscall.SIGKILL)
	<-a.ended
}

// killed reports whether the ended program was ended by SIGKILL; strace ends
// the way its program did.
func (a *actor) killed() bool {
	s, ok := a.cmd.ProcessState.Sys().(syscall.WaitStatus)
	return ok && s.Signaled() && s.Signal() == syscall.SIGKILL
}

// fault is what was wrong with the end of a program.
func (a *actor) fault() error {
	if err := a.panicked(); err != nil {
		return err
	}
	if !a.cmd.ProcessState.Success() {
		return fmt.Errorf("%w: %s: %s: %s", errBadEnd, a.name, a.cmd.ProcessState, a.lastLine())
	}
	return nil
}

// panicked is an error if the program's runtime has given up.
func (a *actor) panicked() error {
	if a == nil {
		return nil
	}
	b, err := os.ReadFile(a.log)
	if err != nil {
		return err
	}
	for _, mark := range []string{"panic: ", "fatal error: ", "unexpected fault address"} {
		if bytes.Contains(b, []byte(mark)) {
			return fmt.Errorf("%s: %w: %.300s", a.name, errPanic, b[bytes.Index(b, []byte(mark)):])
		}
	}
	return nil
}

var errPanic = errors.New("panic")

func (a *actor) lastLine() string {
	if a == nil {
		return "none"
	}
	b, err := os.ReadFile(a.log)
	if err != nil {
		return err.Error()
	}
	lines := strings.Split(strings.TrimSpace(string(b)), "\n")
	return lines[len(lines)-1]
}
