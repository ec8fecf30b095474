package serialport

import (
	"io"
	"time"
)

// Conn is what a test puts in place of an open port.
type Conn = conn

// SetOpen replaces how the port is opened.
func (p *Port) SetOpen(open func(path string, baud int) (Conn, error)) { p.open = open }

// SetReadTimeout opens real ports with another time of silence.
func (p *Port) SetReadTimeout(d time.Duration) {
	p.open = func(path string, baud int) (conn, error) {
		c, err := openSerial(path, baud)
		if err != nil {
			return nil, err
		}
		return c, c.(interface{ SetReadTimeout(time.Duration) error }).SetReadTimeout(d)
	}
}

// LockName is the name of a device's lock file.
func LockName(device string) string { return lockName(device) }

// Acquire locks a device.
func Acquire(dir, device string) (io.Closer, error) { return acquire(dir, device) }
