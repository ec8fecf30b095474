// Package durable is the one place where files are created, renamed and
// removed. Its callers keep state that must survive a power cut: the spool,
// the agent's state, the collector's store.
//
// The rules behind it: a file's bytes are durable only after its own Sync; its
// name only after Sync of the directory; an error of Sync means that the bytes
// may be gone and that asking again proves nothing, so the file is dropped and
// made anew from its source, never synced a second time.
//
// FS is small on purpose: it is the seam where tests put a file system that
// crashes.
//
// Side: any.
package durable

import (
	"errors"
	"io"
	"io/fs"
	"path"
	"slices"
	"time"
)

// FS is a tree of files. Names are slash-separated and relative to its root;
// none may leave it. Errors match fs.ErrNotExist, fs.ErrExist and
// fs.ErrPermission where these apply.
type FS interface {
	// Mkdir makes a directory, mode 0700. It fails with fs.ErrExist if the
	// name is taken. The change is durable after Sync of its parent.
	Mkdir(dir string) error
	// Create makes a new file, mode 0600, for reading and writing. It fails
	// with fs.ErrExist if the name is taken.
	Create(name string) (File, error)
	// Open opens a file for reading.
	Open(name string) (File, error)
	// Update opens an existing file for reading and writing.
	Update(name string) (File, error)
	// Rename moves a file over whatever has the new name. The change is
	// durable after Sync of both directories.
	Rename(from, to string) error
	// Link gives a file a second name. It fails with fs.ErrExist if the name
	// is taken. The change is durable after Sync of the new name's directory.
	Link(from, to string) error
	// SetTime sets a file's modification time. The change is durable after
	// Sync of the file.
	SetTime(name string, t time.Time) error
	// Remove removes a file or an empty directory. The change is durable
	// after Sync of its directory.
	Remove(name string) error
	// Sync makes the names in a directory durable.
	Sync(dir string) error
	// List calls f for each name in a directory, in no order, reading the
	// directory in pieces. It ends early with the error of f.
	List(dir string, f func(fs.DirEntry) error) error
	// Free is the number of bytes that the file system can still take.
	Free() (int64, error)
}

// File is an open file of an FS.
type File interface {
	io.Reader
	io.ReaderAt
	io.Writer
	io.WriterAt
	io.Closer
	// Sync returns once the file's bytes are durable.
	Sync() error
	// Size is the file's length in bytes.
	Size() (int64, error)
	// Truncate sets the file's length; what is added reads as zeros and need
	// not take space. The change is durable after Sync.
	Truncate(size int64) error
	// Forget drops the file's clean pages from the page cache: a hint that
	// may do nothing.
	Forget()
}

// TmpSuffix ends the names of unfinished files. Whatever has it at start is
// the litter of a crash and may be removed.
const TmpSuffix = ".tmp"

// MkdirAll makes directories and their missing parents. Their names are durable
// when it returns, also of those that were there: a start that was killed may
// have made one and not come to the sync.
func MkdirAll(fsys FS, dirs ...string) error {
	var parents []string // each once
	var mkdir func(dir string) error
	mkdir = func(dir string) error {
		parent := path.Dir(dir)
		if parent == dir || slices.Contains(parents, dir) { // "." or made already
			return nil
		}
		if err := mkdir(parent); err != nil {
			return err
		}
		if !slices.Contains(parents, parent) {
			parents = append(parents, parent)
		}
		if err := fsys.Mkdir(dir); !errors.Is(err, fs.ErrExist) {
			return err
		}
		return nil
	}
	for _, dir := range dirs {
		if err := mkdir(dir); err != nil {
			return err
		}
	}
	for _, parent := range parents {
		if err := fsys.Sync(parent); err != nil {
			return err
		}
	}
	return nil
}

// WriteFile replaces name by a file with the given bytes: after a power cut
// either the old or the new bytes are there, whole. dir is the directory of
// name, "." for the root.
func WriteFile(fsys FS, dir, name string, data []byte) error {
	return replace(fsys, dir, name, data, true)
}

// WriteVolatile is WriteFile for a file that need not survive a power cut
// (status in a tmpfs): readers see the old or the new bytes, nothing is synced
// and no flash is worn.
func WriteVolatile(fsys FS, dir, name string, data []byte) error {
	return replace(fsys, dir, name, data, false)
}

func replace(fsys FS, dir, name string, data []byte, sync bool) error {
	path := join(dir, name)
	tmp := path + TmpSuffix
	if err := fsys.Remove(tmp); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	f, err := fsys.Create(tmp)
	if err != nil {
		return err
	}
	if _, err = f.Write(data); err == nil && sync {
		err = f.Sync()
	}
	if err = errors.Join(err, f.Close()); err == nil {
		err = fsys.Rename(tmp, path)
	}
	if err != nil {
		// The first error is the one to report; the litter goes at the next try.
		return errors.Join(err, ignoreNotExist(fsys.Remove(tmp)))
	}
	if !sync {
		return nil
	}
	return fsys.Sync(dir)
}

// ReadFile returns a file's bytes, or an error if there are more than limit.
func ReadFile(fsys FS, name string, limit int64) ([]byte, error) {
	f, err := fsys.Open(name)
	if err != nil {
		return nil, err
	}
	b, err := io.ReadAll(io.LimitReader(f, limit+1))
	if err = errors.Join(err, f.Close()); err != nil {
		return nil, err
	}
	if int64(len(b)) > limit {
		return nil, &fs.PathError{Op: "read", Path: name, Err: errTooLarge}
	}
	return b, nil
}

var errTooLarge = errors.New("file is larger than anything written there")

func ignoreNotExist(err error) error {
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	return err
}

func join(dir, name string) string {
	if dir == "." {
		return name
	}
	return dir + "/" + name
}
