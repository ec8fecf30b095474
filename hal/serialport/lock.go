package serialport

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"strconv"
	"strings"

	"golang.org/x/sys/unix"

	"roadseal/hal/durable"
)

// lockName is the name of a device's lock file, by the custom of UUCP: LCK.. and
// the name below /dev, with _ for each slash.
func lockName(device string) string {
	return "LCK.." + strings.ReplaceAll(strings.TrimPrefix(strings.TrimPrefix(device, "/dev/"), "/"), "/", "_")
}

// acquire locks a device until the returned file is closed; the kernel lets go
// of it when the process dies. The device's own exclusive mode is not enough:
// root opens it all the same. The file stays and holds the number of the last
// process, as terminal programs expect it.
func acquire(dir, device string) (io.Closer, error) {
	name := lockName(device)
	path := filepath.Join(dir, name)
	disk, err := durable.OpenDisk(dir)
	if err != nil {
		return nil, fmt.Errorf("cannot make the folder of lock files: %w", err)
	}
	defer disk.Close()
	created, err := disk.Create(name)
	if err == nil {
		err = created.Close()
	}
	if err != nil && !errors.Is(err, fs.ErrExist) {
		return nil, fmt.Errorf("cannot make lock file %s: %w", path, err)
	}
	f, err := os.OpenFile(path, os.O_RDWR|unix.O_NOFOLLOW|unix.O_NONBLOCK, 0)
	if err != nil {
		return nil, fmt.Errorf("cannot open lock file: %w", err)
	}
	err = unix.Flock(int(f.Fd()), unix.LOCK_EX|unix.LOCK_NB)
	if errors.Is(err, unix.EWOULDBLOCK) {
		err = fmt.Errorf("cannot open %s: lock file %s is held by process %s; is roadseal-agent running twice?", device, path, holder(f))
	} else if err == nil {
		_, err = fmt.Fprintf(f, "%10d\n", os.Getpid())
	}
	if err != nil {
		return nil, errors.Join(err, f.Close())
	}
	return f, nil
}

// holder is the process number in a lock file.
func holder(f io.Reader) string {
	b, err := io.ReadAll(io.LimitReader(f, 32))
	pid, convErr := strconv.Atoi(strings.TrimSpace(string(b)))
	if err != nil || convErr != nil {
		return "(unknown)"
	}
	return strconv.Itoa(pid)
}
