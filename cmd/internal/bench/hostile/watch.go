package hostile

import (
	"encoding/binary"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"time"

	"golang.org/x/sys/unix"
)

// A watch tells what is opened and read in some folders.
type watch struct {
	file *os.File
	dirs map[int32]string
	buf  []byte
}

func newWatch(dirs ...string) (*watch, error) {
	fd, err := unix.InotifyInit1(unix.IN_CLOEXEC | unix.IN_NONBLOCK)
	if err != nil {
		return nil, fmt.Errorf("cannot watch the recorder's folder: %w", err)
	}
	w := &watch{file: os.NewFile(uintptr(fd), "inotify"), dirs: map[int32]string{}, buf: make([]byte, 64<<10)}
	for _, dir := range dirs {
		wd, err := unix.InotifyAddWatch(fd, dir, unix.IN_OPEN|unix.IN_ACCESS)
		if err != nil {
			return nil, errors.Join(fmt.Errorf("cannot watch the recorder's folder: %w", err), w.file.Close())
		}
		w.dirs[int32(wd)] = dir
	}
	return w, nil
}

// next waits for events and gives each to f, with the path of the file and
// whether it was read or only opened.
func (w *watch) next(deadline time.Time, f func(path string, read bool) error) error {
	if err := w.file.SetReadDeadline(deadline); err != nil {
		return err
	}
	n, err := w.file.Read(w.buf)
	if errors.Is(err, os.ErrDeadlineExceeded) {
		return nil
	}
	for b := w.buf[:n]; err == nil && len(b) > 0; {
		wd, mask := int32(binary.NativeEndian.Uint32(b)), binary.NativeEndian.Uint32(b[4:])
		size := binary.NativeEndian.Uint32(b[12:])
		name := strings.TrimRight(string(b[16:16+size]), "\x00")
		b = b[16+size:]
		switch {
		case mask&unix.IN_Q_OVERFLOW != 0:
			err = errors.New("events of the recorder's folder were lost: what was read in it is not known")
		case mask&unix.IN_ISDIR == 0: // a folder may be listed
			err = f(filepath.Join(w.dirs[wd], name), mask&unix.IN_ACCESS != 0)
		}
	}
	return err
}
