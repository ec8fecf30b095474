package serialport

import (
	"bytes"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strconv"
	"strings"

	"golang.org/x/sys/unix"
)

// Probe opens a port as Run would, without changing or reading anything, and
// asks whether there is a serial line behind it. Its errors carry a hint.
func Probe(path string) error {
	device, err := filepath.EvalSymlinks(path)
	if err != nil {
		return explain(err)
	}
	fd, err := unix.Open(device, unix.O_RDWR|unix.O_NOCTTY|unix.O_NONBLOCK|unix.O_CLOEXEC, 0)
	if err != nil {
		return explain(&fs.PathError{Op: "open", Path: device, Err: err})
	}
	_, err = unix.IoctlGetTermios(fd, unix.TCGETS)
	switch {
	case errors.Is(err, unix.EIO):
		err = fmt.Errorf("%s has no UART behind it; hint: another of the board's ports", device)
	case err != nil:
		err = fmt.Errorf("%s is no serial device: %w", device, err)
	}
	return errors.Join(err, unix.Close(fd))
}

// A Holder is a process that has a port open.
type Holder struct {
	PID  int
	Name string // as the kernel has it, at most 15 bytes
}

// Holders looks for other processes that have a port open, below proc ("/proc").
// All reports whether every process could be looked at, which only root may.
func Holders(proc, path string) (holders []Holder, all bool) {
	var port unix.Stat_t
	if unix.Stat(path, &port) != nil {
		return nil, true // it is not there
	}
	dirs, err := os.ReadDir(proc)
	if err != nil {
		return nil, false
	}
	all = true
	for _, d := range dirs {
		pid, err := strconv.Atoi(d.Name())
		if err != nil || pid == os.Getpid() {
			continue
		}
		process := filepath.Join(proc, d.Name())
		open, err := os.ReadDir(filepath.Join(process, "fd"))
		if err != nil {
			all = all && errors.Is(err, fs.ErrNotExist) // it has ended
			continue
		}
		for _, fd := range open {
			if opens(filepath.Join(process, "fd", fd.Name()), port) {
				name, _ := os.ReadFile(filepath.Join(process, "comm"))
				holders = append(holders, Holder{pid, string(bytes.TrimSpace(name))})
				break
			}
		}
	}
	return holders, all
}

// Majors of pseudo-terminals, of which each container has its own set.
const firstPTY, lastPTY = 136, 143

// opens reports whether a link of /proc/PID/fd leads to the device port.
func opens(link string, port unix.Stat_t) bool {
	to, err := os.Readlink(link)
	if err != nil || !strings.HasPrefix(to, "/dev/") {
		return false
	}
	var st unix.Stat_t
	if unix.Stat(link, &st) != nil || st.Mode&unix.S_IFMT != unix.S_IFCHR || st.Rdev != port.Rdev {
		return false
	}
	major := unix.Major(uint64(st.Rdev))
	return major < firstPTY || major > lastPTY || st.Dev == port.Dev
}
