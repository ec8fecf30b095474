package objstore

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"slices"
	"sync/atomic"
	"syscall"
	"time"

	"roadseal/agent/wire"
	"roadseal/crypto/envelope"
	"roadseal/hal/durable"
)

// stagedInfo is what a Folder knows of a file in staging.
type stagedInfo struct {
	id      string
	size    int64        // bytes it will have when whole
	missing atomic.Int64 // of them: those that take no space yet
	touched time.Time    // last write, as of the last time it was closed
	open    bool
}

// staged is a file in staging:
//
//	size bytes of the object | bitmap of its blocks, as in HAVE
//
// A block is written first, then its bit, both without a sync: the kernel keeps
// the order for whoever reads the file after a crash of the process. A file
// without the bitmap was being committed: all blocks were there. It may be
// linked into pool already, so nothing is written to it any more. Any other
// length is that of a file of no use, which is begun anew.
type staged struct {
	durable.File
	d    *Folder
	info *stagedInfo
	size int64 // of the object
	have wire.Bitmap
}

// scanStaging notes what an earlier process left, and removes what that one had
// stored already: a crash came between the name in pool and the end of the one
// in staging, and no vehicle will ever ask for it again.
func (d *Folder) scanStaging() error {
	var stored []string
	err := d.fsys.List(stagingDir, func(e fs.DirEntry) error {
		if checkID(e.Name()) != nil || !e.Type().IsRegular() {
			return nil // not ours, so not ours to touch; Foreign tells
		}
		info, err := e.Info()
		if errors.Is(err, fs.ErrNotExist) {
			return nil // as in resume
		}
		if err != nil {
			return err
		}
		st, ok := info.Sys().(*syscall.Stat_t)
		if ok && st.Nlink > 1 {
			stored = append(stored, e.Name())
			return nil
		}
		s := &stagedInfo{id: e.Name(), size: info.Size(), touched: info.ModTime()}
		if ok {
			s.missing.Store(max(0, s.size-st.Blocks*512))
		}
		d.staged[s.id] = s
		return nil
	})
	for _, name := range stored {
		if rerr := d.fsys.Remove(stagingPath(name)); !errors.Is(rerr, fs.ErrNotExist) {
			err = errors.Join(err, rerr)
		}
	}
	return err
}

// checkID keeps ids to one form, so that none can be a path.
func checkID(id string) error {
	if _, err := envelope.ParseName(id); err != nil {
		return fmt.Errorf("internal error: staging id: expected 64 lower-case hexadecimal digits")
	}
	return nil
}

// Stage implements Store. To make room, it drops copies that nobody has open,
// the longest untouched first.
func (d *Folder) Stage(_ context.Context, id string, size int64) (Staged, wire.Bitmap, error) {
	if err := checkID(id); err != nil {
		return nil, nil, err
	}
	d.mu.Lock()
	defer d.mu.Unlock()
	s, have, err := d.find(id, size)
	if !errors.Is(err, fs.ErrNotExist) {
		return s, have, err
	}
	if info := d.staged[id]; info != nil {
		if err := d.drop(info); err != nil {
			return nil, nil, err
		}
	}
	if err := errors.Join(d.dropOld(), d.makeRoom(size)); err != nil {
		return nil, nil, err
	}
	return d.create(id, size)
}

// Resume implements Store.
func (d *Folder) Resume(_ context.Context, id string, size int64) (Staged, wire.Bitmap, error) {
	if err := checkID(id); err != nil {
		return nil, nil, err
	}
	d.mu.Lock()
	defer d.mu.Unlock()
	return d.find(id, size)
}

// find opens the copy that is there; fs.ErrNotExist if there is none of use.
// Called with the lock held.
func (d *Folder) find(id string, size int64) (Staged, wire.Bitmap, error) {
	info := d.staged[id]
	if info == nil {
		return nil, nil, fs.ErrNotExist
	}
	if info.open {
		return nil, nil, errors.New("internal error: the staged copy is open already")
	}
	s, err := d.resume(info, size)
	if err != nil {
		return nil, nil, err
	}
	if s == nil {
		return nil, nil, fs.ErrNotExist
	}
	return s, slices.Clone(s.have), nil
}

// resume opens the copy that is there. It returns nil if that is of no use, as
// one that the medium does not give back: it would be refused for as long as it
// lies there.
func (d *Folder) resume(info *stagedInfo, size int64) (*staged, error) {
	f, err := d.fsys.Update(stagingPath(info.id))
	switch {
	case errors.Is(err, fs.ErrNotExist): // another collector over the same folder made room
		return nil, nil
	case errors.Is(err, syscall.EIO):
		return nil, nil
	case err != nil:
		return nil, err
	}
	have, err := readBits(f, size)
	if errors.Is(err, syscall.EIO) {
		have, err = nil, nil
	}
	if err != nil || have == nil {
		return nil, errors.Join(err, f.Close())
	}
	info.open = true
	info.missing.Store(max(0, size-int64(have.Count())*wire.BlockSize))
	return &staged{f, d, info, size, have}, nil
}

// readBits returns which blocks of a copy are there; nil if it is of no use.
func readBits(f durable.File, size int64) (wire.Bitmap, error) {
	have := wire.NewBitmap(size)
	length, err := f.Size()
	switch {
	case err != nil:
		return nil, err
	case length == size:
		for i := range wire.Blocks(size) {
			have.Set(i)
		}
		return have, nil
	case length != size+int64(len(have)):
		return nil, nil
	}
	if _, err = f.ReadAt(have, size); err != nil || !checkBits(have, size) {
		return nil, err
	}
	return have, nil
}

// checkBits reports whether no bit is set for a block that the object has not.
func checkBits(have wire.Bitmap, size int64) bool {
	n := wire.Blocks(size)
	return n%8 == 0 || have[n/8]>>(n%8) == 0
}

func (d *Folder) create(id string, size int64) (Staged, wire.Bitmap, error) {
	f, err := d.fsys.Create(stagingPath(id))
	if err != nil {
		return nil, nil, err
	}
	info := &stagedInfo{id: id, size: size, open: true}
	info.missing.Store(size)
	d.staged[id] = info
	have := wire.NewBitmap(size)
	if err := f.Truncate(size + int64(len(have))); err != nil {
		return nil, nil, errors.Join(err, f.Close(), d.drop(info))
	}
	return &staged{f, d, info, size, have}, slices.Clone(have), nil
}

func stagingPath(id string) string { return stagingDir + "/" + id }

// WriteBlock implements Staged.
func (s *staged) WriteBlock(i int, block []byte) error {
	at := int64(i) * wire.BlockSize
	if i < 0 || at >= s.size || int64(len(block)) != min(wire.BlockSize, s.size-at) {
		return fmt.Errorf("internal error: %d bytes for block %d of an object of %d bytes", len(block), i, s.size)
	}
	if _, err := s.WriteAt(block, at); err != nil {
		return err
	}
	if !s.have.Has(i) {
		s.info.missing.Add(-int64(len(block)))
	}
	s.have.Set(i)
	_, err := s.WriteAt(s.have[i/8:i/8+1], s.size+int64(i/8))
	return err
}

// Commit implements Staged. The object gets its name in pool by a link, which
// cannot overwrite; the trailer is cut off before, so that even if the name in
// staging survives a crash, nothing is ever written to the object through it.
func (s *staged) Commit(_ context.Context, key Key) error {
	path := stagingPath(s.info.id)
	err := s.Truncate(s.size)
	if err == nil {
		err = s.d.fsys.SetTime(path, day(time.Now()))
	}
	if err == nil {
		err = s.Sync()
	}
	if err == nil {
		err = s.d.link(path, key)
	}
	return errors.Join(err, s.Discard())
}

// Close implements Staged.
func (s *staged) Close() error {
	s.d.mu.Lock()
	defer s.d.mu.Unlock()
	s.info.open, s.info.touched = false, time.Now()
	return s.File.Close()
}

// Discard implements Staged.
func (s *staged) Discard() error {
	s.d.mu.Lock()
	defer s.d.mu.Unlock()
	return errors.Join(s.File.Close(), s.d.drop(s.info))
}
