package player

import (
	"context"
	"errors"
	"fmt"
	"os"
	"time"

	"github.com/creack/pty"
	"golang.org/x/sys/unix"
)

// A Port is a pseudo terminal that stands for the UART of the receiver. The
// agent opens it through a symbolic link, as it would /dev/serial/by-id.
type Port struct {
	master, slave *os.File
	link          string
}

// OpenPort makes a pseudo terminal and the symbolic link to it.
func OpenPort(link string) (*Port, error) {
	master, slave, err := pty.Open()
	if err != nil {
		return nil, fmt.Errorf("cannot open a pseudo terminal: %w", err)
	}
	err = raw(slave)
	if err == nil {
		err = os.Symlink(slave.Name(), link)
	}
	if err != nil {
		return nil, errors.Join(fmt.Errorf("cannot prepare the pseudo terminal: %w", err), slave.Close(), master.Close())
	}
	return &Port{master, slave, link}, nil
}

// raw switches echo and line editing off: until the agent does it itself, the
// terminal would send everything back.
func raw(slave *os.File) error {
	t, err := unix.IoctlGetTermios(int(slave.Fd()), unix.TCGETS)
	if err != nil {
		return err
	}
	t.Iflag, t.Oflag, t.Lflag = 0, 0, 0
	t.Cflag |= unix.CS8 | unix.CREAD | unix.CLOCAL
	t.Cc[unix.VMIN], t.Cc[unix.VTIME] = 1, 0
	return unix.IoctlSetTermios(int(slave.Fd()), unix.TCSETS, t)
}

// Path is the terminal itself, to which the link points.
func (p *Port) Path() string { return p.slave.Name() }

// Release lets the next process open the terminal. An agent that was killed
// leaves it exclusively held, because the player keeps its own end open.
func (p *Port) Release() error {
	if err := unix.IoctlSetInt(int(p.slave.Fd()), unix.TIOCNXCL, 0); err != nil {
		return fmt.Errorf("cannot release the pseudo terminal: %w", err)
	}
	return nil
}

// Close ends the terminal: for the agent the receiver is unplugged.
func (p *Port) Close() error {
	return errors.Join(os.Remove(p.link), p.slave.Close(), p.master.Close())
}

// stuck is how long a write may wait for a reader. A real line never waits:
// what nobody reads is lost, and the run would not add up.
const stuck = 5 * time.Second

// Play writes the recording loops times, each epoch when it is due.
func (p *Port) Play(ctx context.Context, r Recording, loops int, c Clock) error {
	for loop := range loops {
		for _, e := range r.Epochs {
			if err := c.Wait(ctx, time.Duration(loop)*r.Length+e.At); err != nil {
				return err
			}
			if err := p.Say(e.Bytes); err != nil {
				return err
			}
		}
	}
	return nil
}

// Say writes to the line at once.
func (p *Port) Say(b []byte) error {
	if err := p.master.SetWriteDeadline(time.Now().Add(stuck)); err != nil {
		return fmt.Errorf("cannot bound a write to the pseudo terminal: %w", err)
	}
	if _, err := p.master.Write(b); err != nil {
		return fmt.Errorf("cannot write to the serial line, the agent does not read it: %w", err)
	}
	return nil
}
