package objstore

import (
	"cmp"
	"errors"
	"fmt"
	"io/fs"
	"slices"
	"time"
)

// A load is what lies in staging, against what the limits allow.
type load struct {
	limits Limits
	files  int
	bytes  int64 // when all of them are whole
	free   int64 // of the file system
	left   int64 // of it once all are whole, above what is kept free
}

// load counts what lies in staging. Called with the lock held.
func (d *Folder) load() (l load, err error) {
	l.limits = d.limits
	if l.free, err = d.fsys.Free(); err != nil {
		return l, err
	}
	l.left = l.free - d.limits.Free
	for _, info := range d.staged {
		l.files, l.bytes, l.left = l.files+1, l.bytes+info.size, l.left-info.missing.Load()
	}
	return l, nil
}

// idle lists the copies that nobody has open, the longest untouched first.
// Called with the lock held.
func (d *Folder) idle() (idle []*stagedInfo) {
	for _, info := range d.staged {
		if !info.open {
			idle = append(idle, info)
		}
	}
	slices.SortFunc(idle, func(a, b *stagedInfo) int {
		return cmp.Or(a.touched.Compare(b.touched), cmp.Compare(a.id, b.id))
	})
	return idle
}

func (l load) with(size int64) load {
	l.files, l.bytes, l.left = l.files+1, l.bytes+size, l.left-size
	return l
}

// without is the load once a copy is gone: what it had comes free, what it
// lacked is no longer needed.
func (l load) without(info *stagedInfo) load {
	l.files, l.bytes, l.left = l.files-1, l.bytes-info.size, l.left+info.size
	return l
}

// fits says which limit is exceeded.
func (l load) fits() error {
	switch {
	case l.files > l.limits.Count || l.bytes > l.limits.Bytes:
		return ErrFull
	case l.left < 0:
		return fmt.Errorf("%w: %d bytes are free and %d are kept free; what is arriving needs %d more than that", ErrSpace, l.free, l.limits.Free, -l.left)
	}
	return nil
}

// makeRoom drops copies that nobody has open, the longest untouched first, until
// one more of that size is within the limits. If it would not be even so, none is
// dropped for nothing. Called with the lock held.
func (d *Folder) makeRoom(size int64) error {
	l, err := d.load()
	if err != nil {
		return err
	}
	l = l.with(size)
	if l.fits() == nil {
		return nil
	}
	idle, least := d.idle(), l
	for _, info := range idle {
		least = least.without(info)
	}
	if err := least.fits(); err != nil {
		return err
	}
	return d.trim(l, idle)
}

// trim drops copies until the load fits.
func (d *Folder) trim(l load, idle []*stagedInfo) error {
	for _, info := range idle {
		if l.fits() == nil {
			break
		}
		if err := d.drop(info); err != nil {
			return err
		}
		l = l.without(info)
	}
	return nil
}

// dropOld removes copies that nobody has open and nobody has asked for in a long
// time. Called with the lock held.
func (d *Folder) dropOld() error {
	old := time.Now().Add(-d.limits.Age)
	for _, info := range d.staged {
		if info.open || info.touched.After(old) {
			continue
		}
		if err := d.drop(info); err != nil {
			return err
		}
	}
	return nil
}

// drop removes a copy. One that cannot be removed stays known: the next Stage
// of its id tries again. Called with the lock held.
func (d *Folder) drop(info *stagedInfo) error {
	if err := d.fsys.Remove(stagingPath(info.id)); err != nil && !errors.Is(err, fs.ErrNotExist) { // as in resume
		info.open, info.touched = false, time.Now()
		return err
	}
	delete(d.staged, info.id)
	return nil
}
