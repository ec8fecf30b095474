package durable

import (
	"errors"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"time"

	"golang.org/x/sys/unix"
)

// A Disk is an FS in a directory of the operating system. Symbolic links that
// lead out of the directory are refused.
type Disk struct {
	root *os.Root
	path string
}

// OpenDisk opens the directory at path, making it and its missing parents with
// mode 0700 first; the names it made are durable when it returns. Close it
// when done.
func OpenDisk(path string) (*Disk, error) {
	path, err := filepath.Abs(path)
	if err != nil {
		return nil, err
	}
	there := func(dir string) bool { _, err := os.Stat(dir); return !errors.Is(err, fs.ErrNotExist) }
	mkdir := func(dir string) error { return os.Mkdir(dir, 0o700) }
	if err := makePath(path, there, mkdir, syncPath); err != nil {
		return nil, err
	}
	return OpenExisting(path)
}

// OpenExisting is OpenDisk for a directory that must be there already.
func OpenExisting(path string) (*Disk, error) {
	root, err := os.OpenRoot(path)
	if err != nil {
		return nil, err
	}
	return &Disk{root: root, path: path}, nil
}

// makePath is MkdirAll for a path of the operating system. Of what was there
// already, the lowest directory may have been made by a start that was killed
// before the sync of its name, which is made up for before anything is made in
// it. The ones above it are durable for that reason, and many of them refuse.
func makePath(dir string, there func(dir string) bool, mkdir, sync func(dir string) error) error {
	parent := filepath.Dir(dir)
	if there(dir) {
		_ = sync(parent)
		return nil
	}
	if err := makePath(parent, there, mkdir, sync); err != nil {
		return err
	}
	if err := mkdir(dir); err != nil && !errors.Is(err, fs.ErrExist) {
		return err
	}
	return sync(parent)
}

func syncPath(dir string) error {
	f, err := os.Open(dir)
	if err != nil {
		return err
	}
	return errors.Join(f.Sync(), f.Close())
}

// Path is the absolute path of the root directory.
func (d *Disk) Path() string { return d.path }

// Close releases the root directory.
func (d *Disk) Close() error { return d.root.Close() }

// Mkdir implements FS.
func (d *Disk) Mkdir(dir string) error { return d.root.Mkdir(dir, 0o700) }

// Create implements FS.
func (d *Disk) Create(name string) (File, error) {
	return d.open(name, os.O_RDWR|os.O_CREATE|os.O_EXCL)
}

// Open implements FS.
func (d *Disk) Open(name string) (File, error) { return d.open(name, os.O_RDONLY) }

// Update implements FS.
func (d *Disk) Update(name string) (File, error) { return d.open(name, os.O_RDWR) }

// open never waits for a FIFO: the directory is ours, yet a mistake of the
// integrator must not hang us.
func (d *Disk) open(name string, flag int) (File, error) {
	f, err := d.root.OpenFile(name, flag|unix.O_NONBLOCK, 0o600)
	if err != nil {
		return nil, err
	}
	return diskFile{f}, nil
}

// Rename implements FS.
func (d *Disk) Rename(from, to string) error { return d.root.Rename(from, to) }

// Link implements FS.
func (d *Disk) Link(from, to string) error { return d.root.Link(from, to) }

// SetTime implements FS.
func (d *Disk) SetTime(name string, t time.Time) error { return d.root.Chtimes(name, t, t) }

// Remove implements FS.
func (d *Disk) Remove(name string) error { return d.root.Remove(name) }

// Sync implements FS.
func (d *Disk) Sync(dir string) error {
	f, err := d.root.Open(dir)
	if err != nil {
		return err
	}
	return errors.Join(f.Sync(), f.Close())
}

// listBatch bounds the memory that a directory of a million names costs.
const listBatch = 1024

// List implements FS.
func (d *Disk) List(dir string, f func(fs.DirEntry) error) error {
	h, err := d.openDir(dir)
	if err != nil {
		return err
	}
	for err == nil {
		var batch []fs.DirEntry
		batch, err = h.ReadDir(listBatch)
		for _, e := range batch {
			if err := f(e); err != nil {
				return errors.Join(err, h.Close())
			}
		}
	}
	if err == io.EOF {
		err = nil
	}
	return errors.Join(err, h.Close())
}

// openDir opens a directory for listing. A file of an os.Root asks the system
// about each name by itself, which the directory has said already.
func (d *Disk) openDir(dir string) (*os.File, error) {
	h, err := d.root.Open(dir)
	if err != nil {
		return nil, err
	}
	fd, err := unix.FcntlInt(h.Fd(), unix.F_DUPFD_CLOEXEC, 0)
	if err = errors.Join(err, h.Close()); err != nil {
		return nil, err
	}
	return os.NewFile(uintptr(fd), filepath.Join(d.path, dir)), nil
}

// fewFiles is how many more files make a file system full, whatever bytes it
// has left.
const fewFiles = 64

// Free implements FS with the blocks that an ordinary user may take.
func (d *Disk) Free() (int64, error) {
	var st unix.Statfs_t
	if err := unix.Statfs(d.path, &st); err != nil {
		return 0, &fs.PathError{Op: "statfs", Path: d.path, Err: err}
	}
	if st.Files > 0 && st.Ffree < fewFiles {
		return 0, nil
	}
	return int64(st.Bavail) * int64(st.Bsize), nil
}

// Lock takes an exclusive lock on the file with the given name, making it if
// need be, and holds it until the returned file is closed or the process ends.
// It fails with ErrLocked if another process holds it.
func (d *Disk) Lock(name string) (io.Closer, error) {
	f, err := d.root.OpenFile(name, os.O_RDWR|os.O_CREATE|unix.O_NOFOLLOW, 0o600)
	if errors.Is(err, unix.EROFS) {
		f, err = d.root.OpenFile(name, os.O_RDONLY|unix.O_NOFOLLOW, 0)
	}
	if err != nil {
		return nil, err
	}
	err = unix.Flock(int(f.Fd()), unix.LOCK_EX|unix.LOCK_NB)
	if errors.Is(err, unix.EWOULDBLOCK) {
		err = ErrLocked
	}
	if err != nil {
		return nil, errors.Join(err, f.Close())
	}
	return f, nil
}

// ErrLocked is returned by Lock while another process holds the lock.
var ErrLocked = errors.New("another process holds the lock")

type diskFile struct{ *os.File }

func (f diskFile) Size() (int64, error) {
	st, err := f.Stat()
	if err != nil {
		return 0, err
	}
	return st.Size(), nil
}

func (f diskFile) Forget() {
	// Only a hint: where the kernel or file system knows no better, the
	// pages stay until memory is short.
	_ = unix.Fadvise(int(f.Fd()), 0, 0, unix.FADV_DONTNEED)
}
