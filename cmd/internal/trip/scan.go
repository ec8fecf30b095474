// Package trip is what a key holder does with sealed objects: it finds them,
// opens them, saves their content under harmless names and puts the positions
// together into trips, for GPX, GeoJSON and CSV.
//
// Everything it reads may be hostile: a store is kept by others, and a record
// inside an object repeats what a camera's memory card said. What is wrong
// with one file is reported and never keeps the others from being opened.
//
// Side: red.
package trip

import (
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"syscall"

	"roadseal/crypto/envelope"
	"roadseal/crypto/open"
)

// A Scan opens sealed files one after the other.
type Scan struct {
	Keys Keys
	// Hash tells an object for others from one whose header was damaged: it
	// hashes whole every file that no key opens and compares with its name.
	Hash bool
	// Fault is told what is wrong with a file; the scan goes on.
	Fault func(path string, err error)
	// Done is told that a file is done with; nil if nobody waits.
	Done func(File)
}

// Counts say what became of the files of a scan.
type Counts struct {
	// Opened counts the objects that were opened and passed visit.
	Opened int `json:"readable"`
	Others int `json:"for_others"` // no key of ours opens them
	Twice  int `json:"twice"`      // a second copy of an object already opened
	Faults int `json:"faults"`
}

// An Entry is an object that was opened: its record is read, its content is
// still to be checked by WriteTo.
type Entry struct {
	*open.Object
	Path string
	Name envelope.Name // SHA-256 of the sealed file
	Size int64         // of the sealed file, in bytes
}

// A fault is an error that concerns one file.
type fault struct{ error }

func (f fault) Unwrap() error { return f.error }

// Each calls visit for every object that a key opens, each object once. An
// error of visit that concerns only that object counts as a fault, like those
// of Save and Tracks.Add; any other ends the scan, as the end of ctx does.
func (s Scan) Each(ctx context.Context, files []File, visit func(*Entry) error) (Counts, error) {
	var c Counts
	opened := map[envelope.Name]bool{}
	for _, f := range files {
		if err := ctx.Err(); err != nil {
			return c, err
		}
		err := s.one(f, opened, &c, visit)
		var bad fault
		switch {
		case errors.As(err, &bad):
			c.Faults++
			s.Fault(f.Path, bad.error)
		case err != nil:
			return c, err
		}
		if s.Done != nil {
			s.Done(f)
		}
	}
	return c, nil
}

func (s Scan) one(f File, opened map[envelope.Name]bool, c *Counts, visit func(*Entry) error) error {
	name, named := f.name()
	if named && opened[name] {
		c.Twice++
		return nil
	}
	h, size, err := openFile(f.Path)
	if err != nil {
		return fault{err}
	}
	defer h.Close()
	obj, err := open.New(h, size, s.Keys...)
	switch {
	case errors.Is(err, open.ErrNotRecipient):
		if named && s.Hash {
			if err := checkName(h, size, name); err != nil {
				return err
			}
		}
		c.Others++
		return nil
	case err != nil:
		return fault{err}
	}
	if !named {
		if name, err = hash(h, size); err != nil {
			return err
		}
		if opened[name] {
			c.Twice++
			return nil
		}
	}
	if err := visit(&Entry{Object: obj, Path: f.Path, Name: name, Size: size}); err != nil {
		return err
	}
	opened[name] = true
	c.Opened++
	return nil
}

// name is the object name that the file's own name claims.
func (f File) name() (envelope.Name, bool) {
	n, err := envelope.ParseName(filepath.Base(f.Path))
	return n, err == nil
}

// openFile opens a regular file and never waits for a FIFO.
func openFile(path string) (*os.File, int64, error) {
	h, err := os.OpenFile(path, os.O_RDONLY|syscall.O_NONBLOCK, 0)
	if err != nil {
		return nil, 0, reason(err)
	}
	st, err := h.Stat()
	if err == nil && !st.Mode().IsRegular() {
		err = errors.New("not a regular file")
	}
	if err != nil {
		return nil, 0, errors.Join(err, h.Close())
	}
	return h, st.Size(), nil
}

// reason drops the path, which the caller says anyway.
func reason(err error) error {
	if errors.Is(err, fs.ErrNotExist) {
		return errMissing
	}
	if p, ok := errors.AsType[*os.PathError](err); ok {
		return fmt.Errorf("cannot %s: %w", p.Op, p.Err)
	}
	return err
}

var errMissing = errors.New("there is no such file or folder")

func hash(r io.ReaderAt, size int64) (n envelope.Name, err error) {
	h := sha256.New()
	if _, err := io.Copy(h, io.NewSectionReader(r, 0, size)); err != nil {
		return n, fault{reason(err)}
	}
	return envelope.Name(h.Sum(nil)), nil
}

var errDamaged = errors.New("altered, damaged or cut short: its SHA-256 is not its name")

func checkName(r io.ReaderAt, size int64, name envelope.Name) error {
	got, err := hash(r, size)
	if err != nil {
		return err
	}
	if got != name {
		return fault{errDamaged}
	}
	return nil
}
