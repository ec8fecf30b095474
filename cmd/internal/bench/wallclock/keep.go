package wallclock

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"os"
	"strconv"
	"time"
	"unsafe"

	"golang.org/x/sys/unix"
)

// sysArchPrctl is SYS_ARCH_PRCTL of linux/amd64. A Go program calls it once,
// before it looks for the vDSO.
const sysArchPrctl = 158

// listenerFD is where startKeeper puts the listener.
const listenerFD = 3

// A keeper answers the calls of one program.
type keeper struct {
	file   string
	offset time.Duration
	seen   int
	memory *os.File // of the program, once it has started
}

// notification and response are struct seccomp_notif and seccomp_notif_resp.
type notification struct {
	id          uint64
	thread      uint32
	flags       uint32
	number      int32
	arch        uint32
	instruction uint64
	args        [6]uint64
}

type response struct {
	id    uint64
	value int64
	error int32
	flags uint32
}

// Keep answers the calls of the parent process, which called Exec, until that
// has ended. If it cannot, it kills the parent: nobody would tell it the time.
func Keep(file string, parent int) error {
	k := keeper{file: file}
	err := k.serve()
	if err != nil && os.Getppid() == parent {
		err = errors.Join(fmt.Errorf("cannot keep the wall clock: %w", err), unix.Kill(parent, unix.SIGKILL))
	}
	return err
}

// serve answers until the program has ended.
func (k *keeper) serve() (err error) {
	if k.offset, err = read(k.file); err != nil {
		return err
	}
	for {
		wait := []unix.PollFd{{Fd: listenerFD, Events: unix.POLLIN}}
		switch _, err := unix.Poll(wait, -1); {
		case err == unix.EINTR:
			continue
		case err != nil:
			return err
		case wait[0].Revents&unix.POLLIN == 0:
			return nil // no process has the filter any more
		}
		if err := k.one(); err != nil {
			return err
		}
	}
}

// one takes one call and answers it. One whose caller is killed meanwhile is no
// fault, whatever else has failed.
func (k *keeper) one() error {
	var n notification
	err := control(unix.SECCOMP_IOCTL_NOTIF_RECV, unsafe.Pointer(&n))
	if err == unix.EINTR || err == unix.ENOENT {
		return nil
	}
	if err != nil {
		return err
	}
	flags, fault := k.answer(n)
	r := response{id: n.id, flags: flags}
	switch err := control(unix.SECCOMP_IOCTL_NOTIF_SEND, unsafe.Pointer(&r)); err {
	case nil:
		return fault
	case unix.ENOENT:
		return nil
	default:
		return err
	}
}

func control(request uintptr, arg unsafe.Pointer) error {
	if _, _, errno := unix.Syscall(unix.SYS_IOCTL, listenerFD, request, uintptr(arg)); errno != 0 {
		return errno
	}
	return nil
}

// answer does what a call is to do, or lets the kernel do it.
func (k *keeper) answer(n notification) (flags uint32, err error) {
	switch {
	case n.number == sysArchPrctl:
		return unix.SECCOMP_USER_NOTIF_FLAG_CONTINUE, k.begin(n.thread)
	case k.memory == nil: // still Exec
		return unix.SECCOMP_USER_NOTIF_FLAG_CONTINUE, nil
	}
	now := time.Now().Add(k.ahead())
	var b [16]byte // struct timespec
	binary.NativeEndian.PutUint64(b[:], uint64(now.Unix()))
	binary.NativeEndian.PutUint64(b[8:], uint64(now.Nanosecond()))
	_, err = k.memory.WriteAt(b[:], int64(n.args[1]))
	return 0, err
}

// ahead is the present offset. A file that cannot be read at this moment changes
// nothing.
func (k *keeper) ahead() time.Duration {
	offset, err := read(k.file)
	if err == nil && (offset != k.offset || k.seen == 0) {
		k.offset = offset
		k.seen++
		_ = replace(seenFile(k.file), strconv.Itoa(k.seen)) // whoever waits for it notices
	}
	return k.offset
}

// begin hides the vDSO from a program that is about to look for it. Its memory
// stays open: later the program may forbid that.
func (k *keeper) begin(thread uint32) (err error) {
	if k.memory, err = os.OpenFile(fmt.Sprintf("/proc/%d/mem", thread), os.O_RDWR, 0); err != nil {
		return err
	}
	at, err := stackOf(thread)
	if err != nil {
		return err
	}
	const word, atIgnore, atVDSO = 8, 1, 33
	next := func() (v uint64) { // stops at the first error
		if err == nil {
			var b [word]byte
			_, err = k.memory.ReadAt(b[:], at)
			v, at = binary.NativeEndian.Uint64(b[:]), at+word
		}
		return v
	}
	next() // the number of arguments
	for range 2 {
		for next() != 0 { // arguments, environment
		}
	}
	for kind := next(); kind != 0; kind = next() { // auxiliary vector
		if kind == atVDSO {
			_, err = k.memory.WriteAt(binary.NativeEndian.AppendUint64(nil, atIgnore), at-word)
		}
		next()
	}
	return err
}

// stackOf is where the stack of a program began, proc_pid_stat(5).
func stackOf(thread uint32) (int64, error) {
	b, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", thread))
	if err != nil {
		return 0, err
	}
	const startStack = 28 - 3 // the first field after the name is number 3
	fields := bytes.Fields(b[bytes.LastIndexByte(b, ')')+1:])
	if len(fields) <= startStack {
		return 0, fmt.Errorf("/proc/%d/stat: expected %d fields", thread, startStack+3)
	}
	return strconv.ParseInt(string(fields[startStack]), 10, 64)
}
