// Package serialport reads a serial line that may fall silent, be unplugged, and
// come back: the UART of a satellite receiver. What is written to it never waits.
//
// It is the only importer of go.bug.st/serial and knows that library's traps:
// silence reads as (0, nil), which readers of package bufio take for a fault;
// an unplugged port reports itself as closed; a descriptor of 1024 or more makes
// it panic; its port list may hang and lie, and is never asked; its Write waits
// for a full buffer for ever, and is never called.
//
// Side: red.
package serialport

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"path/filepath"
	"time"

	"roadseal/hal/watchdog"
)

// Options configures a Port.
type Options struct {
	// Path is the device, best a link that survives replugging:
	// /dev/serial/by-id/….
	Path string
	// Baud is the speed of the line in bits a second; eight data bits, no
	// parity, one stop bit.
	Baud int
	// LockDir is the folder for the lock file LCK..NAME that keeps a second
	// reader off the same device; "" takes no lock. It is made if missing.
	LockDir string
	// Log receives changes of state.
	Log *slog.Logger
}

// A Handler receives what a port has to say. All methods are called from the
// goroutine of Run, and the port waits for them.
type Handler interface {
	// Data takes bytes as they came. p is valid until it returns.
	Data(p []byte)
	// Idle says that nothing came for about 200 ms. It is called again for
	// each further 200 ms of silence.
	Idle()
	// Up says that the port is open.
	Up()
	// Down says that the port was lost or cannot be opened, and why, with a
	// hint. Run goes on trying; Down is called again only after Up, or when
	// there is another reason.
	Down(err error)
}

const (
	idleAfter = 200 * time.Millisecond
	// readSize is a few times what a fast UART delivers between two looks.
	readSize = 4096

	firstRetry = 200 * time.Millisecond
	lastRetry  = 5 * time.Second
)

// A Port is one serial line.
type Port struct {
	o    Options
	h    Handler
	open func(path string, baud int) (conn, error)
	down error // the reason last given to the handler; nil when up
	line conn  // open port, nil while there is none
}

// New returns a port; Run opens it.
func New(o Options, h Handler) *Port {
	return &Port{o: o, h: h, open: openSerial}
}

// Run reads the port until ctx ends, and returns ctx's error only. A port that
// is missing, busy or lost is tried again after 200 ms, and then at growing
// intervals of up to 5 s. Run returns within about 200 ms of the end of ctx.
func (p *Port) Run(ctx context.Context) error {
	retry := firstRetry
	for {
		received, err := p.session(ctx)
		if ctx.Err() != nil {
			return ctx.Err()
		}
		if received {
			retry = firstRetry
		}
		p.report(err)
		if err := watchdog.Sleep(ctx, retry); err != nil {
			return err
		}
		retry = min(2*retry, lastRetry)
	}
}

// session opens the port and reads it until it is lost or ctx ends. It says
// whether anything came.
func (p *Port) session(ctx context.Context) (received bool, err error) {
	// The link is resolved once, so that the lock is of the device that is
	// opened. It may lead elsewhere after replugging.
	device, err := filepath.EvalSymlinks(p.o.Path)
	if err != nil {
		return false, explain(err)
	}
	if p.o.LockDir != "" {
		lock, err := acquire(p.o.LockDir, device)
		if err != nil {
			return false, err
		}
		defer lock.Close()
	}
	c, err := p.open(device, p.o.Baud)
	if err != nil {
		return false, explain(err)
	}
	p.line = c
	p.up()
	received, err = p.read(ctx, c)
	p.line = nil
	// Closed by the goroutine that reads, and only after it has stopped: the
	// library closes the descriptor before it wakes a reader, which might
	// then read whatever got the same number.
	if cerr := c.Close(); cerr != nil && ctx.Err() == nil {
		err = errors.Join(err, cerr)
	}
	return received, err
}

// read passes on what comes until the port is lost or ctx ends.
func (p *Port) read(ctx context.Context, c conn) (received bool, err error) {
	buf := make([]byte, readSize)
	for ctx.Err() == nil {
		watchdog.Beat(ctx)
		n, err := readOnce(c, buf)
		switch {
		case err != nil:
			return received, explain(err)
		case n == 0:
			p.h.Idle()
		default:
			received = true
			p.h.Data(buf[:n])
		}
	}
	return received, ctx.Err()
}

// Write sends as much of b as the line takes at once, and never waits: n < len(b)
// without an error says that the driver's buffer is full. It is for the methods
// of the Handler, and for them only.
func (p *Port) Write(b []byte) (n int, err error) {
	if p.line == nil {
		return 0, errLost
	}
	if n, err = p.line.Write(b); err != nil {
		err = explain(err)
	}
	return n, err
}

func (p *Port) up() {
	p.down = nil
	p.o.Log.Info("serial port is open", "port", p.o.Path, "baud", p.o.Baud)
	p.h.Up()
}

// report says why the port is down, once. That a lost device is then missing is
// no news.
func (p *Port) report(err error) {
	err = fmt.Errorf("serial port %s: %w", p.o.Path, err)
	if p.down != nil && (p.down.Error() == err.Error() ||
		errors.Is(p.down, errLost) && errors.Is(err, fs.ErrNotExist)) {
		return
	}
	p.down = err
	p.o.Log.Warn("serial port is down", "port", p.o.Path, "error", err)
	p.h.Down(err)
}

// readOnce reads, and returns the library's panic on a high descriptor as an
// error: its set for select holds 1,024 of them.
func readOnce(c conn, p []byte) (n int, err error) {
	defer func() {
		if r := recover(); r != nil {
			n, err = 0, fmt.Errorf("%w: %v", errDescriptor, r)
		}
	}()
	return c.Read(p)
}
