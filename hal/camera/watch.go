package camera

import (
	"bytes"
	"context"
	"encoding/binary"
	"errors"
	"os"
	"path"
	"path/filepath"
	"time"

	"golang.org/x/sys/unix"
)

// maxWatches bounds the kernel memory that a hostile folder can cost, about
// 1 KB a directory. What is beyond is found by scans.
const maxWatches = 1024

// watched are the events asked for in every directory.
const watched = unix.IN_CLOSE_WRITE | unix.IN_MOVED_TO | unix.IN_MOVED_FROM | unix.IN_CREATE | unix.IN_DELETE |
	unix.IN_DELETE_SELF | unix.IN_MOVE_SELF | unix.IN_ONLYDIR | unix.IN_EXCL_UNLINK

// A change is what an event says of a file.
type change int

const (
	created  change = iota // and open for writing
	closed                 // by a writer
	movedIn                // under this name
	movedOut               // under another name, or out of the folder
	deleted
	unsure // the tree has changed: scan it
	lost   // events were dropped: scan, and believe no open file
)

type event struct {
	change change
	file   string // path below the folder
}

// A watch is an inotify instance. The nil watch reports nothing.
type watch struct {
	fd   int
	file *os.File
	dirs map[int32]string // by watch descriptor: path below the folder
	next map[int32]string // of the scan under way
	buf  []byte
}

func newWatch() (*watch, error) {
	fd, err := unix.InotifyInit1(unix.IN_CLOEXEC | unix.IN_NONBLOCK)
	if err != nil {
		return nil, os.NewSyscallError("inotify_init1", err)
	}
	return &watch{fd: fd, file: os.NewFile(uintptr(fd), "inotify"), dirs: map[int32]string{}, buf: make([]byte, 64<<10)}, nil
}

func (w *watch) close() {
	if w != nil {
		w.file.Close()
	}
}

// begin starts a scan, in which every directory is added anew: the one at the
// same path may have become another, by a mount for instance.
func (w *watch) begin() {
	if w != nil {
		w.next = map[int32]string{}
	}
}

// add watches a directory of the folder.
func (w *watch) add(folder, dir string) error {
	if w == nil || len(w.next) >= maxWatches {
		return nil
	}
	mask := uint32(watched)
	if dir != "." {
		mask |= unix.IN_DONT_FOLLOW
	}
	wd, err := unix.InotifyAddWatch(w.fd, filepath.Join(folder, dir), mask)
	if err != nil {
		return os.NewSyscallError("inotify_add_watch", err)
	}
	w.dirs[int32(wd)], w.next[int32(wd)] = dir, dir
	return nil
}

// end gives up the watches of directories that the scan did not meet.
func (w *watch) end() {
	if w == nil {
		return
	}
	for wd := range w.dirs {
		if _, ok := w.next[wd]; !ok {
			// The kernel may have dropped it already.
			_, _ = unix.InotifyRmWatch(w.fd, uint32(wd))
		}
	}
	w.dirs, w.next = w.next, nil
}

// wait returns events as they come, or nothing at the deadline or when ctx
// ends.
func (w *watch) wait(ctx context.Context, deadline time.Time) ([]event, error) {
	if w == nil {
		t := time.NewTimer(time.Until(deadline))
		defer t.Stop()
		select {
		case <-ctx.Done():
		case <-t.C:
		}
		return nil, nil
	}
	if err := w.file.SetReadDeadline(deadline); err != nil {
		return nil, err
	}
	// If ctx has ended already this runs at once, on a goroutine of its own;
	// either way it sets its deadline after ours.
	stop := context.AfterFunc(ctx, func() { _ = w.file.SetReadDeadline(time.Now()) })
	defer stop()
	n, err := w.file.Read(w.buf)
	if err != nil {
		if errors.Is(err, os.ErrDeadlineExceeded) {
			err = nil
		}
		return nil, err
	}
	return w.parse(w.buf[:n]), nil
}

// parse reads the records of inotify(7): wd, mask, cookie and length of the
// name as 32-bit numbers, then the name padded with zeros.
func (w *watch) parse(b []byte) []event {
	var events []event
	for len(b) >= unix.SizeofInotifyEvent {
		wd := int32(binary.NativeEndian.Uint32(b))
		mask := binary.NativeEndian.Uint32(b[4:])
		size := int64(binary.NativeEndian.Uint32(b[12:]))
		if b = b[unix.SizeofInotifyEvent:]; size > int64(len(b)) {
			break
		}
		name := string(bytes.TrimRight(b[:size], "\x00"))
		b = b[size:]
		if mask&unix.IN_Q_OVERFLOW != 0 {
			events = append(events, event{change: lost})
			continue
		}
		dir, ok := w.dirs[wd]
		if !ok {
			continue // a watch given up, with events still queued
		}
		if c, ok := meaning(mask); ok {
			events = append(events, event{c, path.Join(dir, name)})
		}
	}
	return events
}

func meaning(mask uint32) (change, bool) {
	const self = unix.IN_DELETE_SELF | unix.IN_MOVE_SELF | unix.IN_UNMOUNT | unix.IN_IGNORED
	switch {
	case mask&(unix.IN_ISDIR|self) != 0:
		return unsure, true
	case mask&unix.IN_CLOSE_WRITE != 0:
		return closed, true
	case mask&unix.IN_MOVED_TO != 0:
		return movedIn, true
	case mask&unix.IN_MOVED_FROM != 0:
		return movedOut, true
	case mask&unix.IN_DELETE != 0:
		return deleted, true
	case mask&unix.IN_CREATE != 0:
		return created, true
	}
	return 0, false
}
