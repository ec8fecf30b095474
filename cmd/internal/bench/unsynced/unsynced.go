// Package unsynced runs a program whose syncs cost nothing: the kernel answers
// them with success and does nothing (a seccomp filter). What the program then
// writes lies in the page cache. A bench tells with it how much of a time is that
// of the disk; the program needs no switch for it, and runs as it is.
//
// All other calls, process id, signals and exit status are the program's own.
//
// Side: any.
package unsynced

import (
	"fmt"
	"os"
	"os/exec"
	"runtime"
	"syscall"
	"unsafe"

	"golang.org/x/sys/unix"
)

// Verb is the command of roadseal-bench that calls Exec.
const Verb = "unsynced"

// Command begins the command line of a program without syncs: the program and
// its arguments follow. bench is the path of roadseal-bench.
func Command(bench string) []string { return []string{bench, Verb, "--"} }

// Exec turns the calling process into the program. It returns only with an
// error. The program must be of this machine's own architecture.
func Exec(program []string) error {
	path, err := exec.LookPath(program[0])
	if err != nil {
		return fmt.Errorf("cannot find the program: %w", err)
	}
	// The filter is that of one thread; the program inherits that thread's.
	runtime.LockOSThread()
	if err := install(); err != nil {
		return fmt.Errorf("cannot install the seccomp filter: %w", err)
	}
	return fmt.Errorf("cannot start %s: %w", path, syscall.Exec(path, program, os.Environ()))
}

// install gives the present thread the filter.
func install() error {
	const (
		load  = unix.BPF_LD | unix.BPF_W | unix.BPF_ABS
		equal = unix.BPF_JMP | unix.BPF_JEQ | unix.BPF_K
		give  = unix.BPF_RET | unix.BPF_K
		done  = unix.SECCOMP_RET_ERRNO // with error number 0
	)
	filter := []unix.SockFilter{
		{Code: load, K: 0}, // the number of the call
		{Code: equal, K: unix.SYS_FSYNC, Jt: 3},
		{Code: equal, K: unix.SYS_FDATASYNC, Jt: 2},
		{Code: equal, K: unix.SYS_SYNCFS, Jt: 1},
		{Code: give, K: unix.SECCOMP_RET_ALLOW},
		{Code: give, K: done},
	}
	if err := unix.Prctl(unix.PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0); err != nil {
		return err
	}
	p := unix.SockFprog{Len: uint16(len(filter)), Filter: &filter[0]}
	_, _, errno := unix.Syscall(unix.SYS_SECCOMP, unix.SECCOMP_SET_MODE_FILTER, 0, uintptr(unsafe.Pointer(&p)))
	if errno != 0 {
		return errno
	}
	return nil
}
