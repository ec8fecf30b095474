package spool

import (
	"errors"
	"fmt"
	"io"
	"io/fs"

	"roadseal/crypto/envelope"
	"roadseal/hal/durable"
)

// A Draft is an object that is being sealed into the spool. It ends with
// Commit or Discard.
type Draft struct {
	s       *Spool
	f       durable.File
	name    string
	class   int
	size    int64 // promised at Create
	written int64 // of that
	swapped int64 // see Spool.makeRoom
	err     error
}

// maxTaken is how many names of drafts may be taken by litter that cannot be
// removed.
const maxTaken = 100

// Create begins an object of a retention class and of about the given size in
// bytes. It makes room: FORMAT.md says in which order objects give way. It
// returns ErrFull where that is not enough, and ErrTooLarge where it never would
// be; nothing has been removed then.
func (s *Spool) Create(class int, size int64) (*Draft, error) { return s.create(class, size, false) }

// CreateRing is Create for a clip of the recorder's ring, for which the file
// system never comes to have less than keep_free: ErrKeepFree says that it has
// less, though nothing delivered or damaged is left. Nothing has been removed
// then.
func (s *Spool) CreateRing(class int, size int64) (*Draft, error) { return s.create(class, size, true) }

func (s *Spool) create(class int, size int64, ring bool) (*Draft, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	switch {
	case class < 1 || class > Classes || size < 0:
		return nil, fmt.Errorf("internal error: no object has class %d and %d bytes", class, size)
	case size > s.opt.MaxBytes:
		return nil, ErrTooLarge
	}
	swapped, err := s.makeRoom(class, size, ring)
	if err != nil {
		return nil, err
	}
	d := &Draft{s: s, class: class, size: size, swapped: swapped}
	for range maxTaken {
		s.serial++
		d.name = fmt.Sprintf("%d%s", s.serial, durable.TmpSuffix)
		if d.f, err = s.fsys.Create(d.name); !errors.Is(err, fs.ErrExist) {
			break
		}
	}
	if err != nil {
		s.credit += swapped
		return nil, err
	}
	s.drafts[class-1] += size
	return d, nil
}

// Write implements io.Writer. An error is final.
func (d *Draft) Write(p []byte) (int, error) {
	if d.err != nil {
		return 0, d.err
	}
	n, err := d.f.Write(p)
	d.err = err
	n64 := min(int64(n), d.size-d.written)
	d.written += n64
	d.s.written.Add(n64)
	return n, err
}

// done takes the draft off the books. Called with the lock held.
func (d *Draft) done() {
	d.f = nil
	d.s.drafts[d.class-1] -= d.size
	d.s.written.Add(-d.written)
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
	d.done()
	if err := s.fsys.Rename(d.name, e.fileName(queued)); err != nil {
		s.credit += d.swapped
		return Entry{}, errors.Join(err, s.fsys.Remove(d.name))
	}
	if err := s.fsys.Sync("."); err != nil {
		// The name may or may not last, and asking again proves nothing. The
		// caller will seal the source anew, so this object must go, durably:
		// its name could come back beside that of the next.
		s.credit += d.swapped
		return Entry{}, errors.Join(err, s.fsys.Remove(e.fileName(queued)), s.fsys.Sync("."))
	}
	if s.entries[e.Name] == nil {
		s.add(e, queued)
		s.place()
	}
	return e, nil
}

// finish checks that what was written is a sealed object, syncs and closes it.
func (d *Draft) finish(e Entry) error {
	if d.err != nil {
		return d.err
	}
	if _, _, ok := parseFileName(e.fileName(queued)); !ok {
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
	// A file that is closed already answers with an error that says nothing.
	_ = d.f.Close()
	d.s.mu.Lock()
	defer d.s.mu.Unlock()
	d.done()
	d.s.credit += d.swapped
	return d.s.fsys.Remove(d.name)
}
