package serialport

import (
	"errors"
	"fmt"
	"io/fs"

	"go.bug.st/serial"
	"golang.org/x/sys/unix"
)

var (
	errLost       = errors.New("lost: the receiver was unplugged or the line hung up; it is opened again when it is back")
	errDescriptor = errors.New("cannot read: more than 1,000 files are open in this process (serial ports need a descriptor below 1024)")
)

// explain says what an error of the library means, and what to do.
func explain(err error) error {
	var pe *serial.PortError
	if errors.As(err, &pe) {
		switch pe.Code() {
		case serial.PortClosed: // nobody but session closes it, after reading
			return errLost
		case serial.PortBusy:
			return fmt.Errorf("cannot open: another program holds it (ModemManager? gpsd? set udev ID_MM_DEVICE_IGNORE=1, mask gpsd's units): %w", unix.EBUSY)
		case serial.PermissionDenied:
			return fmt.Errorf("cannot open: %w (add the agent's user to the device's group, dialout on most systems)", fs.ErrPermission)
		case serial.InvalidSerialPort:
			return fmt.Errorf("cannot use: it is no serial device, or one without hardware behind it (see /dev/serial/by-id): %w", err)
		case serial.InvalidSpeed:
			return fmt.Errorf("cannot set the speed: the device does not know this baud rate: %w", err)
		}
	}
	switch {
	case errors.Is(err, errDescriptor):
		return err
	case errors.Is(err, fs.ErrNotExist), errors.Is(err, unix.ENXIO), errors.Is(err, unix.ENODEV):
		return fmt.Errorf("no such device (is the receiver plugged in? see /dev/serial/by-id): %w", fs.ErrNotExist)
	case errors.Is(err, unix.EBUSY):
		return fmt.Errorf("cannot open: another program holds it alone: %w", unix.EBUSY)
	case errors.Is(err, fs.ErrPermission):
		return fmt.Errorf("cannot open: %w (add the agent's user to the device's group, dialout on most systems)", fs.ErrPermission)
	case errors.Is(err, unix.EIO):
		return errLost
	}
	return fmt.Errorf("cannot use: %w", err)
}
