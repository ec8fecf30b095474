package wallclock

import (
	"errors"
	"fmt"
	"os"
	"os/exec"
	"runtime"
	"strconv"
	"syscall"
	"unsafe"

	"golang.org/x/sys/unix"
)

// filterFlags: the filter's calls go to a listener, and while one is being
// answered no signal but SIGKILL takes the caller away from it.
const filterFlags = unix.SECCOMP_FILTER_FLAG_NEW_LISTENER | unix.SECCOMP_FILTER_FLAG_WAIT_KILLABLE_RECV

// Available is nil where Exec can work.
func Available() error {
	if runtime.GOOS != "linux" || runtime.GOARCH != "amd64" {
		return errors.New("a false wall clock needs linux/amd64")
	}
	// The kernel looks at the flags before it finds that there is no filter.
	_, _, errno := unix.Syscall(unix.SYS_SECCOMP, unix.SECCOMP_SET_MODE_FILTER, filterFlags, 0)
	if errno != unix.EFAULT {
		return fmt.Errorf("a false wall clock needs Linux 5.19 and the right to use seccomp: %w", errno)
	}
	return nil
}

// Exec starts the keeper and turns the calling process into the program, whose
// wall clock is ahead of the true one by what the file says. It returns only
// with an error.
func Exec(file string, program []string) error {
	if err := Available(); err != nil {
		return err
	}
	if _, err := read(file); err != nil {
		return err
	}
	path, err := exec.LookPath(program[0])
	if err != nil {
		return fmt.Errorf("cannot find the program: %w", err)
	}
	// The filter is that of one thread; the program inherits that thread's.
	runtime.LockOSThread()
	listener, err := install()
	if err != nil {
		return fmt.Errorf("cannot install the seccomp filter: %w", err)
	}
	// The keeper must not inherit the filter: it is started from another thread.
	started := make(chan error)
	go func() { started <- startKeeper(file, listener) }()
	if err := <-started; err != nil {
		return fmt.Errorf("cannot start the keeper of the wall clock: %w", err)
	}
	return fmt.Errorf("cannot start %s: %w", path, syscall.Exec(path, program, os.Environ()))
}

// install gives the present thread the filter and returns its listener.
func install() (*os.File, error) {
	const (
		load  = unix.BPF_LD | unix.BPF_W | unix.BPF_ABS
		equal = unix.BPF_JMP | unix.BPF_JEQ | unix.BPF_K
		give  = unix.BPF_RET | unix.BPF_K
		// Offsets in struct seccomp_data.
		number, firstArgument = 0, 16
	)
	filter := []unix.SockFilter{
		{Code: load, K: number},
		{Code: equal, K: sysArchPrctl, Jt: 4},
		{Code: equal, K: unix.SYS_CLOCK_GETTIME, Jf: 4},
		{Code: load, K: firstArgument},
		{Code: equal, K: unix.CLOCK_REALTIME, Jt: 1},
		{Code: equal, K: unix.CLOCK_REALTIME_COARSE, Jf: 1},
		{Code: give, K: unix.SECCOMP_RET_USER_NOTIF},
		{Code: give, K: unix.SECCOMP_RET_ALLOW},
	}
	if err := unix.Prctl(unix.PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0); err != nil {
		return nil, err
	}
	// The keeper, a child, may look at this process also where Yama forbids it
	// otherwise; without Yama this fails and is not needed.
	_ = unix.Prctl(unix.PR_SET_PTRACER, unix.PR_SET_PTRACER_ANY, 0, 0, 0)
	p := unix.SockFprog{Len: uint16(len(filter)), Filter: &filter[0]}
	fd, _, errno := unix.Syscall(unix.SYS_SECCOMP, unix.SECCOMP_SET_MODE_FILTER, filterFlags, uintptr(unsafe.Pointer(&p)))
	if errno != 0 {
		return nil, errno
	}
	return os.NewFile(fd, "seccomp listener"), nil
}

// startKeeper starts the process that ends with this one. It has a session of
// its own: what is sent to the program's group must not end it first.
func startKeeper(file string, listener *os.File) error {
	self, err := os.Executable()
	if err != nil {
		return err
	}
	keeper := exec.Command(self, Verb, "--"+OffsetFlag, file, "--"+KeepFlag, strconv.Itoa(os.Getpid()))
	keeper.Stderr, keeper.ExtraFiles = os.Stderr, []*os.File{listener}
	keeper.SysProcAttr = &syscall.SysProcAttr{Setsid: true}
	return keeper.Start()
}
