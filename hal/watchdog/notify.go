package watchdog

import (
	"errors"
	"os"
	"strconv"
	"strings"
	"time"

	"golang.org/x/sys/unix"
)

// A Notifier tells the service manager how the process is, by the protocol of
// sd_notify(3). One that has no socket says nothing.
type Notifier struct {
	socket string
	// Limit is how long the manager waits for a sign of life before it
	// restarts the process; 0 = it does not.
	Limit time.Duration
}

// FromEnvironment reads NOTIFY_SOCKET, WATCHDOG_USEC and WATCHDOG_PID by
// getenv, as the service manager sets them. What is meant for another process,
// or cannot be read, counts as absent.
func FromEnvironment(getenv func(string) string) Notifier {
	n := Notifier{socket: getenv("NOTIFY_SOCKET")}
	usec, err := strconv.ParseInt(getenv("WATCHDOG_USEC"), 10, 64)
	pid := getenv("WATCHDOG_PID")
	if err == nil && usec > 0 && usec <= int64(maxLimit/time.Microsecond) && (pid == "" || pid == strconv.Itoa(os.Getpid())) {
		n.Limit = time.Duration(usec) * time.Microsecond
	}
	return n
}

// maxLimit keeps arithmetic with a limit far from overflow.
const maxLimit = 365 * 24 * time.Hour

// Ready says that the start is over and the process does its work.
func (n Notifier) Ready(status string) error { return n.send("READY=1", "STATUS="+status) }

// Status says in one line how the process is; systemctl status shows it.
func (n Notifier) Status(text string) error { return n.send("STATUS=" + text) }

// Stopping says that the process is about to end.
func (n Notifier) Stopping() error { return n.send("STOPPING=1") }

// alive is the sign of life that the manager waits for.
func (n Notifier) alive() error { return n.send("WATCHDOG=1") }

// send sends one datagram of assignments, without waiting for a manager whose
// queue is full. A name that begins with @ is one of the abstract namespace.
func (n Notifier) send(assignments ...string) error {
	if n.socket == "" {
		return nil
	}
	for i, a := range assignments {
		assignments[i] = strings.ReplaceAll(a, "\n", " ") // one assignment a line
	}
	fd, err := unix.Socket(unix.AF_UNIX, unix.SOCK_DGRAM|unix.SOCK_CLOEXEC|unix.SOCK_NONBLOCK, 0)
	if err != nil {
		return os.NewSyscallError("socket", err)
	}
	err = unix.Sendto(fd, []byte(strings.Join(assignments, "\n")), unix.MSG_NOSIGNAL, &unix.SockaddrUnix{Name: n.socket})
	return errors.Join(os.NewSyscallError("sendto", err), unix.Close(fd))
}
