package trip

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path"
	"path/filepath"

	"roadseal/hal/durable"
)

// An Output is the folder that opened content goes to. Nothing is written
// outside of it, whatever a record says.
type Output struct {
	dir   string
	force bool
	disk  *durable.Disk // nil until the first Save
}

// NewOutput names the folder; the first Save makes it if need be. With force,
// files of other content are replaced. Close it when done.
func NewOutput(dir string, force bool) *Output { return &Output{dir: dir, force: force} }

// Close releases the folder.
func (o *Output) Close() error {
	if o.disk == nil {
		return nil
	}
	return o.disk.Close()
}

// Save writes the content of an entry to Place(e), mode 0600. The name appears
// only when the whole object has been checked and its content is durable. A
// file of the same name and length is there from an earlier run: it is left as
// it is, and written is false, unless the output was opened with force.
func (o *Output) Save(ctx context.Context, e *Entry) (written bool, err error) {
	if o.disk == nil {
		if o.disk, err = durable.OpenDisk(o.dir); err != nil {
			return false, outputError(err)
		}
	}
	place := Place(e)
	if !o.force {
		size, exists, err := o.size(place)
		switch {
		case err != nil:
			return false, fault{fmt.Errorf("cannot look at what has its name in the output folder: %w", err)}
		case exists && size == e.Record.Length:
			return false, nil
		case exists:
			return false, fault{fmt.Errorf("a file of its name with %d bytes, not %d, is in the output folder; hint: --force replaces it", size, e.Record.Length)}
		}
	}
	if err := durable.MkdirAll(o.disk, path.Dir(place)); err != nil {
		return false, outputError(err)
	}
	var broken error
	err = replace(o.disk, place, func(w io.Writer) error {
		s := &sink{ctx: ctx, w: w}
		_, err := e.WriteTo(s)
		if err != nil && s.err == nil {
			broken = err // the object's fault, not that of the folder
		}
		return err
	})
	switch {
	case broken != nil:
		return false, fault{broken}
	case ctx.Err() != nil:
		return false, ctx.Err()
	case err != nil:
		return false, outputError(err)
	}
	return true, nil
}

// outputError leaves out the path, which holds the recorder's name.
func outputError(err error) error {
	return fmt.Errorf("cannot write to the output folder: %w", bare(err))
}

func bare(err error) error {
	if p, ok := errors.AsType[*os.PathError](err); ok {
		return p.Err
	}
	if l, ok := errors.AsType[*os.LinkError](err); ok {
		return l.Err
	}
	return err
}

func (o *Output) size(name string) (size int64, exists bool, err error) {
	f, err := o.disk.Open(name)
	if errors.Is(err, fs.ErrNotExist) {
		return 0, false, nil
	}
	if err != nil {
		return 0, false, bare(err)
	}
	size, err = f.Size()
	return size, true, errors.Join(err, f.Close())
}

// A sink is where content goes; it remembers that the fault was on this side.
type sink struct {
	ctx context.Context
	w   io.Writer
	err error
}

func (s *sink) Write(p []byte) (n int, err error) {
	if s.err = s.ctx.Err(); s.err == nil {
		n, s.err = s.w.Write(p)
	}
	return n, s.err
}

// replace writes a file next to its final name and renames it when write has
// succeeded and the bytes are durable.
func replace(disk *durable.Disk, name string, write func(io.Writer) error) error {
	tmp := name + durable.TmpSuffix
	if err := disk.Remove(tmp); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	f, err := disk.Create(tmp)
	if err != nil {
		return err
	}
	if err = write(f); err == nil {
		err = f.Sync()
	}
	if err = errors.Join(err, f.Close()); err == nil {
		err = disk.Rename(tmp, name)
	}
	if err != nil {
		return errors.Join(err, disk.Remove(tmp))
	}
	return disk.Sync(path.Dir(name))
}

// WriteFile makes a file of mode 0600 with what write writes: whole, or not at
// all. An existing file is an error that matches fs.ErrExist, unless force
// replaces it. The folder must exist.
func WriteFile(name string, force bool, write func(io.Writer) error) error {
	dir, base := filepath.Split(filepath.Clean(name))
	if dir == "" {
		dir = "."
	}
	if _, err := os.Stat(dir); err != nil {
		return err
	}
	if _, err := os.Lstat(name); !force && err == nil {
		return &fs.PathError{Op: "create", Path: name, Err: fs.ErrExist}
	}
	disk, err := durable.OpenDisk(dir)
	if err != nil {
		return err
	}
	return errors.Join(replace(disk, base, write), disk.Close())
}
