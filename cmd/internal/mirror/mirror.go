// Package mirror reads the folder of a published release repository and answers
// names with blocks of files, as one device may see them. It writes nothing
// there, judges nothing that it reads, and follows no symbolic link out of the
// folder. Which names there are stands in crypto/signed/FORMAT.md; of anything
// else in the folder nobody learns.
//
// A publisher may add files, replace them or put another folder in the place of
// this one at any time: each block is read from the file that has its name then.
// What is remembered of a file is the SHA-256 of its whole content, as long as
// size, times and inode are what they were.
//
// Side: black.
package mirror

import (
	"crypto/sha256"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"strings"
	"syscall"
	"time"

	"roadseal/agent/wire"
)

// The folders of the two repositories (Uptane section "Server / repository
// implementation requirements"), and that of the images.
const (
	director = "director"
	image    = "image"
	files    = "files"
)

// maxSums is of how many files the SHA-256 is remembered, about 200 bytes each.
const maxSums = 4096

// A Repository is a folder that may be there or not. It is for one goroutine.
type Repository struct {
	path string
	sums map[string]sum // by path inside the folder
}

// A sum is what was found when a file was read whole.
type sum struct {
	state  state
	sha256 [sha256.Size]byte
}

// A state of a file is another one after every change of it.
type state struct {
	inode, device uint64
	size          int64
	modified      time.Time
	changed       syscall.Timespec // of the inode: no tool sets this one back
}

// A Block is a part of a file on the grid of 60 KiB.
type Block struct {
	File  [sha256.Size]byte // SHA-256 of the whole file
	Size  int64             // of the whole file, 1 to wire.MaxFile
	Bytes []byte            // nil if the file has no block of this index
}

// New makes a Repository of the folder at path. Nothing is read yet.
func New(path string) *Repository { return &Repository{path: path, sums: map[string]sum{}} }

// Check reports what is wrong with a folder that should hold a repository.
func Check(path string) error {
	root, err := os.OpenRoot(path)
	if errors.Is(err, fs.ErrNotExist) {
		return fmt.Errorf("%s: there is no such folder; expected one that roadseal-sign published", path)
	}
	if err != nil {
		return fmt.Errorf("cannot open the repository: %w", err)
	}
	defer root.Close()
	for _, name := range []string{image, director} {
		st, err := root.Stat(name)
		if err != nil && !errors.Is(err, fs.ErrNotExist) {
			return fmt.Errorf("cannot read the repository %s: %w", path, err)
		}
		if err != nil || !st.IsDir() {
			return fmt.Errorf("%s: there is no folder %s; expected the folders %s and %s of a published repository", path, name, image, director)
		}
		if err := readable(root, name); err != nil {
			return fmt.Errorf("cannot read the repository %s: %w; hint: roadseal-sign leaves files that only their owner reads, copy them with other modes", path, err)
		}
	}
	return nil
}

// readable opens each file of a folder.
func readable(root *os.Root, folder string) error {
	d, err := root.Open(folder)
	if err != nil {
		return err
	}
	defer d.Close()
	entries, err := d.ReadDir(-1)
	for _, e := range entries {
		if e.Type().IsRegular() {
			f, openErr := open(root, folder+"/"+e.Name())
			if openErr != nil {
				return openErr
			}
			f.Close()
		}
	}
	return err
}

// Block reads one block of the file that a device knows under a name. The error
// wraps fs.ErrNotExist if there is none, or none that a device may ask for. Any
// other error says that the folder cannot be read at the moment.
func (r *Repository) Block(device, name string, index uint32) (Block, error) {
	// Opened anew each time: another folder may have taken the place.
	root, err := os.OpenRoot(r.path)
	if err != nil {
		// Its absence is no answer to whether there is a file.
		return Block{}, fmt.Errorf("cannot open the repository: %v", err)
	}
	defer root.Close()
	path, err := resolve(root, device, name)
	if err != nil {
		return Block{}, err
	}
	f, err := open(root, path)
	if err != nil {
		return Block{}, err
	}
	defer f.Close()
	return r.read(f, path, index)
}

// resolve says where in the folder the file lies that a device calls name.
func resolve(root *os.Root, device, name string) (string, error) {
	if wire.CheckName(name) != nil || wire.CheckDevice(device) != nil {
		return "", fs.ErrNotExist
	}
	repository, rest, _ := strings.Cut(name, "/")
	folder, _, nested := strings.Cut(rest, "/")
	switch {
	case rest == "":
	case repository == image && (!nested || folder == files):
		return name, nil
	case repository == director && !nested:
		own, err := root.Stat(director + "/" + device)
		if err == nil && own.IsDir() {
			return director + "/" + device + "/" + rest, nil
		}
		if err != nil && !errors.Is(err, fs.ErrNotExist) {
			return "", fmt.Errorf("cannot look for a folder of the device: %w", unnamed(err))
		}
		return name, nil
	}
	return "", fs.ErrNotExist
}

// open opens a file; it does not wait for the other end of a FIFO.
func open(root *os.Root, path string) (*os.File, error) {
	f, err := root.OpenFile(path, os.O_RDONLY|syscall.O_NONBLOCK, 0)
	switch {
	case errors.Is(err, fs.ErrNotExist), errors.Is(err, syscall.ENOTDIR), errors.Is(err, syscall.ENXIO):
		return nil, fs.ErrNotExist
	case err != nil: // a symbolic link that leads out is one such
		return nil, fmt.Errorf("cannot open a file of the repository: %w", unnamed(err))
	}
	return f, nil
}

// unnamed takes the path out of an error: it may hold the id of a device.
func unnamed(err error) error {
	if p, ok := errors.AsType[*fs.PathError](err); ok {
		return p.Err
	}
	return err
}

// errChanging is for a file that somebody writes to in place.
var errChanging = errors.New("a file of the repository changes while it is read; hint: publish by renaming whole files")

// read reads a block, and what is not remembered of the file.
func (r *Repository) read(f *os.File, path string, index uint32) (Block, error) {
	before, err := stateOf(f)
	if err != nil {
		return Block{}, err
	}
	b := Block{Size: before.size}
	known, ok := r.sums[path]
	if !ok || known.state != before {
		if known, err = hash(f, before); err != nil {
			return Block{}, err
		}
	}
	b.File = known.sha256
	if at := int64(index) * wire.BlockSize; at < b.Size {
		b.Bytes = make([]byte, min(wire.BlockSize, b.Size-at))
		if _, err := f.ReadAt(b.Bytes, at); err != nil && !errors.Is(err, io.EOF) {
			return Block{}, fmt.Errorf("cannot read a file of the repository: %w", unnamed(err))
		}
	}
	after, err := stateOf(f)
	if err != nil {
		return Block{}, err
	}
	if after != before {
		return Block{}, errChanging
	}
	r.remember(path, known)
	return b, nil
}

// hash reads a whole file.
func hash(f *os.File, s state) (sum, error) {
	h := sha256.New()
	if _, err := io.Copy(h, io.NewSectionReader(f, 0, s.size)); err != nil {
		return sum{}, fmt.Errorf("cannot read a file of the repository: %w", unnamed(err))
	}
	return sum{s, [sha256.Size]byte(h.Sum(nil))}, nil
}

// settled is how old the last change of a file must be for its times to tell
// the next one from it: some file systems count in whole seconds or two.
const settled = 3 * time.Second

// remember keeps a sum, in the place of any other one if there are too many.
func (r *Repository) remember(path string, s sum) {
	delete(r.sums, path)
	changed := time.Unix(s.state.changed.Unix())
	if time.Since(changed) < settled || time.Since(s.state.modified) < settled {
		return
	}
	for other := range r.sums {
		if len(r.sums) < maxSums {
			break
		}
		delete(r.sums, other)
	}
	r.sums[path] = s
}

func stateOf(f *os.File) (state, error) {
	st, err := f.Stat()
	if err != nil {
		return state{}, fmt.Errorf("cannot look at a file of the repository: %w", unnamed(err))
	}
	if !st.Mode().IsRegular() || st.Size() < 1 || st.Size() > wire.MaxFile {
		return state{}, fs.ErrNotExist
	}
	sys := st.Sys().(*syscall.Stat_t)
	return state{sys.Ino, uint64(sys.Dev), st.Size(), st.ModTime(), sys.Ctim}, nil
}
