package objstore

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"strconv"
	"sync"
	"time"

	"roadseal/agent/wire"
	"roadseal/crypto/envelope"
	"roadseal/hal/durable"
)

// Folder is a Store in a directory:
//
//	pool/<class>/<64 hex digits>   stored objects, read-only in spirit: no call ever changes one
//	staging/<64 hex digits>        objects that are arriving, see staged
//
// A modification time in pool is the day of storing. The names in staging are
// the caller's ids.
type Folder struct {
	fsys   durable.FS
	limits Limits

	mu     sync.Mutex
	staged map[string]*stagedInfo // by id, everything in staging
}

// Limits bound what lies in staging. The zero value allows nothing.
type Limits struct {
	Count int           // files
	Bytes int64         // their sizes when whole
	Free  int64         // bytes of the file system that are left free even if all of them become whole
	Age   time.Duration // a file that nobody has open goes after this time without a write
}

const stagingDir = "staging"

// NewFolder opens a store for writing and makes what is missing of it. Staged
// copies beyond the limits are dropped, the oldest first. A file system that
// has less than Limits.Free is no error: what is stored is there all the same.
// Close closes fsys too, if it can be closed.
func NewFolder(fsys durable.FS, l Limits) (*Folder, error) {
	d := &Folder{fsys: fsys, limits: l, staged: map[string]*stagedInfo{}}
	dirs := []string{stagingDir}
	for class := 1; class <= wire.MaxClass; class++ {
		dirs = append(dirs, classDir(class))
	}
	if err := durable.MkdirAll(fsys, dirs...); err != nil {
		return nil, err
	}
	if err := d.scanStaging(); err != nil {
		return nil, err
	}
	d.mu.Lock()
	defer d.mu.Unlock()
	if err := d.dropOld(); err != nil {
		return nil, err
	}
	now, err := d.load()
	if err != nil {
		return nil, err
	}
	return d, d.trim(now, d.idle())
}

// OpenFolder opens an existing store for reading: its Stage is always full.
// Close it when done.
func OpenFolder(path string) (*Folder, error) {
	st, err := os.Stat(path)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, fmt.Errorf("%s: there is no such folder; expected the store of a collector ([store] path of its configuration)", path)
	}
	if err != nil {
		return nil, err
	}
	pool, err := os.Stat(filepath.Join(path, poolDir))
	if !st.IsDir() || err != nil || !pool.IsDir() {
		return nil, fmt.Errorf("%s: not a store; expected a folder with %s/ in it", path, poolDir)
	}
	disk, err := durable.OpenExisting(path)
	if err != nil {
		return nil, err
	}
	return &Folder{fsys: disk}, nil
}

// Close releases the directory.
func (d *Folder) Close() error {
	if c, ok := d.fsys.(io.Closer); ok {
		return c.Close()
	}
	return nil
}

// Get implements Store.
func (d *Folder) Get(_ context.Context, key Key) (Object, error) {
	f, err := d.fsys.Open(key.String())
	if err != nil {
		return nil, err
	}
	size, err := f.Size()
	if err != nil {
		return nil, errors.Join(err, f.Close())
	}
	return &folderObject{f, d.fsys, classDir(key.Class), size}, nil
}

type folderObject struct {
	durable.File
	fsys durable.FS
	dir  string
	size int64
}

func (o *folderObject) Size() int64 { return o.size }

// Settle implements Object.
func (o *folderObject) Settle(context.Context) error {
	if err := o.File.Sync(); err != nil {
		return err
	}
	o.File.Forget()
	return o.fsys.Sync(o.dir)
}

// Add implements Store: the second name is a hard link, so it costs no space,
// and each name can be removed by itself when its class has had its time.
func (d *Folder) Add(_ context.Context, from, to Key) error { return d.link(from.String(), to) }

// link gives a file its durable name in pool. After an error of the sync the
// name may or may not last, and asking again proves nothing: it goes, or the
// next to look for the object would find it and sign a receipt.
func (d *Folder) link(from string, to Key) error {
	if err := d.fsys.Link(from, to.String()); err != nil {
		return err
	}
	if err := d.fsys.Sync(classDir(to.Class)); err != nil {
		return errors.Join(err, d.fsys.Remove(to.String()))
	}
	return nil
}

// List implements Store. Files that are no objects are left out; Foreign lists
// them.
func (d *Folder) List(ctx context.Context, f func(Entry) error) error {
	for class := 1; class <= wire.MaxClass; class++ {
		err := d.fsys.List(classDir(class), func(e fs.DirEntry) error {
			name, err := envelope.ParseName(e.Name())
			if err != nil || !e.Type().IsRegular() {
				return ctx.Err()
			}
			info, err := e.Info()
			if errors.Is(err, fs.ErrNotExist) {
				return ctx.Err() // its class has had its time since
			}
			if err != nil {
				return err
			}
			if err := ctx.Err(); err != nil {
				return err
			}
			return f(Entry{Key{class, name}, info.Size(), day(info.ModTime())})
		})
		if err != nil && !errors.Is(err, fs.ErrNotExist) {
			return err
		}
	}
	return nil
}

// day is 00:00 of the day, UTC.
func day(t time.Time) time.Time { return t.UTC().Truncate(24 * time.Hour) }

// Foreign calls f with the path, and what was expected there, of each thing in
// the directory that no store puts there.
func (d *Folder) Foreign(ctx context.Context, f func(path, expected string) error) error {
	walk := func(dir, expected string, ours func(fs.DirEntry) bool) error {
		err := d.fsys.List(dir, func(e fs.DirEntry) error {
			if err := ctx.Err(); err != nil || ours(e) {
				return err
			}
			return f(filepath.Join(dir, e.Name()), expected)
		})
		if errors.Is(err, fs.ErrNotExist) {
			return nil
		}
		return err
	}
	object := func(e fs.DirEntry) bool {
		_, err := envelope.ParseName(e.Name())
		return err == nil && e.Type().IsRegular()
	}
	err := walk(".", "only the folders pool and staging", func(e fs.DirEntry) bool {
		return e.IsDir() && (e.Name() == poolDir || e.Name() == stagingDir || e.Name() == "lost+found")
	})
	if err != nil {
		return err
	}
	err = walk(poolDir, "only the folders of the retention classes, 1 to 4", func(e fs.DirEntry) bool {
		n, err := strconv.Atoi(e.Name())
		return err == nil && e.IsDir() && n >= 1 && n <= wire.MaxClass && strconv.Itoa(n) == e.Name()
	})
	for class := 1; class <= wire.MaxClass && err == nil; class++ {
		err = walk(classDir(class), "only files named by 64 lower-case hexadecimal digits", object)
	}
	if err != nil {
		return err
	}
	return walk(stagingDir, "only files named by 64 lower-case hexadecimal digits", object)
}
