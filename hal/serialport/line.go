package serialport

import (
	"errors"
	"fmt"

	"go.bug.st/serial"
	"golang.org/x/sys/unix"
)

// A conn is an open port. Read returns (0, nil) after idleAfter of silence, Write
// as soon as the buffer is full.
type conn interface {
	Read(p []byte) (int, error)
	Write(p []byte) (int, error)
	Close() error
}

// A line is the library's port for all but writing, which has a descriptor of
// its own: that of the library waits while the buffer is full, has no timeout,
// and goes on waiting after Close.
type line struct {
	serial.Port
	out int // non-blocking
}

func openSerial(path string, baud int) (conn, error) {
	if baud <= 0 { // the library would set the speed to its unsigned value
		return nil, fmt.Errorf("%d is no baud rate: expected one such as 9600 or 115200", baud)
	}
	// Before the library makes the port exclusive, which only root may ignore.
	// What it has to say of a port that cannot be opened is better, so it is
	// asked in any case.
	out, outErr := unix.Open(path, unix.O_WRONLY|unix.O_NOCTTY|unix.O_NONBLOCK|unix.O_CLOEXEC, 0)
	port, err := serial.Open(path, &serial.Mode{BaudRate: baud})
	switch {
	case err != nil && outErr == nil:
		return nil, errors.Join(err, unix.Close(out))
	case err != nil:
		return nil, err
	case outErr != nil:
		return nil, errors.Join(outErr, port.Close())
	}
	c := line{port, out}
	// Set before the first Read: the library does not guard it.
	if err := c.SetReadTimeout(idleAfter); err != nil {
		return nil, errors.Join(err, c.Close())
	}
	return c, nil
}

// Write implements conn.
func (l line) Write(p []byte) (int, error) {
	n, err := unix.Write(l.out, p)
	if errors.Is(err, unix.EAGAIN) || errors.Is(err, unix.EINTR) {
		return 0, nil
	}
	return max(n, 0), err
}

// Close throws away what the line did not take. The kernel would wait for it, for
// half a minute with a UART that does not send.
func (l line) Close() error {
	_ = unix.IoctlSetInt(l.out, unix.TCFLSH, unix.TCOFLUSH) // nothing is left of a line that hung up
	return errors.Join(unix.Close(l.out), l.Port.Close())
}
