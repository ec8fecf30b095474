package camera

import (
	"crypto/hmac"
	"crypto/sha256"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path"
	"time"

	"golang.org/x/sys/unix"
)

// A File is a segment opened for reading: Size bytes, whatever happens to the
// file meanwhile.
type File struct {
	file   *os.File
	camera string
	size   int64
	mtime  time.Time
	off    int64
}

// Open opens a segment that Next or List gave. It never follows a link, never
// waits for a FIFO, and checks what it has opened. Its errors match ErrChanged
// if the file is no longer the one that was given, ErrRefused if it must not
// be read, and fs.ErrNotExist if it is gone.
func (f *Folder) Open(s Segment) (*File, error) {
	root, rules, err := f.open()
	if err != nil {
		return nil, fmt.Errorf("camera %s: %w", f.opt.Name, err)
	}
	defer root.Close()
	file, err := f.openSegment(root, rules, s)
	if err != nil {
		return nil, fmt.Errorf("camera %s: cannot open a segment: %w", f.opt.Name, err)
	}
	return &File{file: file, camera: f.opt.Name, size: s.Size, mtime: s.ModTime}, nil
}

func (f *Folder) openSegment(root *os.Root, rules rules, s Segment) (*os.File, error) {
	name := s.File.Reveal()
	now := rules.look(root, name, name)
	switch {
	case now.reason == vanished:
		return nil, fs.ErrNotExist
	case now.reason == empty: // the recorder has just taken the file for its next clip
		return nil, ErrChanged
	case now.reason != "":
		return nil, fmt.Errorf("%w: %s", ErrRefused, now.reason)
	case now.Size != s.Size || !now.ModTime.Equal(s.ModTime):
		return nil, ErrChanged
	}
	return openSame(root, name, now.info)
}

// openSame opens the regular file that info, from Lstat, is about. os.Root
// follows links that stay inside it even with O_NOFOLLOW, so the file is
// compared with what Lstat saw.
func openSame(root *os.Root, name string, info fs.FileInfo) (*os.File, error) {
	file, err := root.OpenFile(name, os.O_RDONLY|unix.O_NOFOLLOW|unix.O_NONBLOCK, 0)
	if errors.Is(err, fs.ErrPermission) {
		return nil, fmt.Errorf("%w: this user may not read it", ErrRefused)
	}
	if err != nil {
		return nil, bare(err)
	}
	opened, err := file.Stat()
	if err == nil && !(os.SameFile(info, opened) && opened.Mode().IsRegular() && opened.Size() == info.Size()) {
		err = ErrChanged
	}
	if err != nil {
		file.Close()
		return nil, bare(err)
	}
	return file, nil
}

// writers tells whether a file is open for writing, as far as the kernel lets
// us ask: it grants a read lease only on a file without writers, and only to
// its owner or with CAP_LEASE.
func writers(dir *os.Root, s sight) (writing, known bool) {
	file, err := openSame(dir, s.name, s.info)
	if err != nil {
		return false, false
	}
	defer file.Close()
	fd := file.Fd()
	if _, err := unix.FcntlInt(fd, unix.F_SETLEASE, unix.F_RDLCK); err != nil {
		writing = errors.Is(err, unix.EAGAIN)
		return writing, writing
	}
	// Closing would give the lease up too; a writer waits for it until then.
	_, _ = unix.FcntlInt(fd, unix.F_SETLEASE, unix.F_UNLCK)
	return false, true
}

// Size is the number of bytes to read.
func (f *File) Size() int64 { return f.size }

// Read implements io.Reader. It ends after Size bytes; a file that has become
// shorter gives an error that matches ErrChanged.
func (f *File) Read(p []byte) (int, error) {
	if f.off == f.size {
		return 0, io.EOF
	}
	n, err := f.file.ReadAt(p[:min(int64(len(p)), f.size-f.off)], f.off)
	f.off += int64(n)
	if n > 0 {
		return n, nil // an error comes again with the next call
	}
	return 0, f.readError(err)
}

// ReadAt implements io.ReaderAt within Size bytes. Reading goes on where it was.
func (f *File) ReadAt(p []byte, off int64) (int, error) {
	if off < 0 || off >= f.size {
		return 0, io.EOF
	}
	n, err := f.file.ReadAt(p[:min(int64(len(p)), f.size-off)], off)
	if n < len(p) && err == nil {
		err = io.EOF
	}
	return n, err
}

// tagSpan is how much of each end of a file a tag covers, in bytes.
const tagSpan = 64 << 10

// Tag is the source tag of the content: the first 16 bytes of
// HMAC-SHA256(key, size ‖ first 64 KiB ‖ last 64 KiB), where size is 8 bytes
// big-endian and both spans are the whole of a shorter file. It does not
// depend on name, time or kind. Reading goes on where it was.
func (f *File) Tag(key []byte) ([16]byte, error) {
	span := min(f.size, tagSpan)
	buf := make([]byte, span)
	mac := hmac.New(sha256.New, key)
	mac.Write(binary.BigEndian.AppendUint64(nil, uint64(f.size)))
	for _, off := range []int64{0, f.size - span} {
		if _, err := f.file.ReadAt(buf, off); err != nil {
			return [16]byte{}, f.readError(err)
		}
		mac.Write(buf)
	}
	return [16]byte(mac.Sum(nil)[:16]), nil
}

func (f *File) readError(err error) error {
	if errors.Is(err, io.EOF) {
		err = ErrChanged
	}
	return fmt.Errorf("camera %s: cannot read a segment: %w", f.camera, bare(err))
}

// Unchanged is asked after reading: its error matches ErrChanged if size or
// time of the file are no longer as at Open. A file that was removed meanwhile
// was still read whole.
func (f *File) Unchanged() error {
	info, err := f.file.Stat()
	if err == nil && (info.Size() != f.size || !info.ModTime().Equal(f.mtime)) {
		err = ErrChanged
	}
	if err != nil {
		return fmt.Errorf("camera %s: cannot use what was read of a segment: %w", f.camera, bare(err))
	}
	return nil
}

// Close implements io.Closer. It drops the file's pages from the page cache:
// nobody reads a clip twice.
func (f *File) Close() error {
	_ = unix.Fadvise(int(f.file.Fd()), 0, 0, unix.FADV_DONTNEED) // a hint
	if err := f.file.Close(); err != nil {
		return fmt.Errorf("camera %s: cannot close a segment: %w", f.camera, bare(err))
	}
	return nil
}

// Remove deletes a segment that is still as Next gave it; otherwise the error
// matches ErrChanged. One that is gone is no error. When it returns the name is
// off the storage: the segment's tag is forgotten with it, and a power cut must
// not bring it back.
func (f *Folder) Remove(s Segment) error {
	root, rules, err := f.open()
	if err != nil {
		return fmt.Errorf("camera %s: %w", f.opt.Name, err)
	}
	defer root.Close()
	file, err := f.openSegment(root, rules, s)
	if err == nil {
		file.Close()
		err = removeSynced(root, s.File.Reveal())
	}
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return fmt.Errorf("camera %s: cannot remove a segment: %w", f.opt.Name, bare(err))
	}
	f.files.gone(s.File, false)
	return nil
}

func removeSynced(root *os.Root, name string) error {
	dir, err := root.Open(path.Dir(name))
	if err != nil {
		return err
	}
	defer dir.Close()
	if err := root.Remove(name); err != nil {
		return err
	}
	return dir.Sync()
}
