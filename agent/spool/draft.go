package spool

import (
	"errors"
	"fmt"
	"io"

	"roadseal/crypto/envelope"
	"roadseal/hal/durable"
)

// A Draft is an object that is being sealed into the spool. It ends with
// Commit or Discard.
type Draft struct {
	s    *Spool
	f    durable.File
	name string
	size int64 // promised at Create
	err  error
}

// Create begins an object of about the given size in bytes, making room by
// removing delivered objects, oldest first. It returns ErrFull where that is
// not enough, and ErrTooLarge where it never would be.
func (s *Spool) Create(size int64) (*Draft, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if size > s.opt.MaxBytes {
		return nil, ErrTooLarge
	}
	if err := s.makeRoom(size); err != nil {
		return nil, err
	}
	s.serial++
	d := &Draft{s: s, name: fmt.Sprintf("%d%s", s.serial, durable.TmpSuffix), size: size}
	f, err := s.fsys.Create(d.name)
	if err != nil {
		return nil, err
	}
	d.f = f
	s.drafts += size
	return d, nil
}

// Write implements io.Writer. An error is final.
func (d *Draft) Write(p []byte) (int, error) {
	if d.err != nil {
		return 0, d.err
	}
	n, err := d.f.Write(p)
	d.err = err
	return n, err
}

// Commit makes the object durable and queues it. The draft is gone afterwards,
// also after an error.
func (d *Draft) Commit(m Meta, name envelope.Name, size int64) (Entry, error) {
	e := Entry{Meta: m, Name: name, Size: size}
	if err := d.finish(e); err != nil {
		return Entry{}, errors.Join(err, d.Discard())
	}
	s := d.s
	s.mu.Lock()
	defer s.mu.Unlock()
	s.drafts -= d.size
	d.f = nil
	if err := s.fsys.Rename(d.name, e.fileName()); err != nil {
		return Entry{}, err
	}
	if err := s.fsys.Sync("."); err != nil {
		// The name may or may not last, and asking again proves nothing. The
		// caller will seal the source anew, so this object must go, durably:
		// its name could come back beside that of the next.
		return Entry{}, errors.Join(err, s.fsys.Remove(e.fileName()), s.fsys.Sync("."))
	}
	if s.entries[e.Name] == nil {
		s.add(e)
		s.place()
	}
	return e, nil
}

// finish checks that what was written is a sealed object, syncs and closes it.
func (d *Draft) finish(e Entry) error {
	if d.err != nil {
		return d.err
	}
	if _, ok := parseFileName(e.fileName()); !ok {
		return fmt.Errorf("internal error: stream %q, class %d cannot name an object", e.Stream, e.Class)
	}
	size, err := d.f.Size()
	if err != nil {
		return err
	}
	if size != e.Size {
		return fmt.Errorf("cannot queue an object of %d bytes: %d were written", e.Size, size)
	}
	head := io.NewSectionReader(d.f, 0, size)
	if err := envelope.Check(head, size, d.s.opt.Slots); err != nil {
		return fmt.Errorf("refused by the spool, which takes sealed objects only: %w", err)
	}
	if err := d.f.Sync(); err != nil {
		return err
	}
	d.f.Forget()
	return d.f.Close()
}

// Discard removes an unfinished object.
func (d *Draft) Discard() error {
	if d.f == nil {
		return nil
	}
	d.s.mu.Lock()
	d.s.drafts -= d.size
	d.s.mu.Unlock()
	// A file that is closed already answers with an error that says nothing.
	_ = d.f.Close()
	d.f = nil
	return d.s.fsys.Remove(d.name)
}
