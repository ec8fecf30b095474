// Package spool keeps sealed objects on the unit until a collector has them,
// and after that until their space is needed.
//
// One object is one file, and the file's name says all that the unit must know
// of it, so that no second file can disagree and start-up reads names only.
// FORMAT.md specifies the folder. Nothing but sealed objects gets in: Commit
// reads the header of what was written and refuses anything else.
//
// Side: black.
package spool

import (
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"slices"
	"strings"
	"sync"

	"roadseal/crypto/envelope"
	"roadseal/hal/durable"
)

// ErrFull is returned by Create when a limit is reached and no delivered
// object is left to make room.
var ErrFull = errors.New("the spool is full: [spool] max_bytes or keep_free is reached, and no delivered object is left to make room")

// ErrTooLarge is returned by Create for an object that the spool could not hold
// if it were empty.
var ErrTooLarge = errors.New("the object is larger than [spool] max_bytes")

// Options are the limits and the order of a spool.
type Options struct {
	MaxBytes int64 // of all objects together
	KeepFree int64 // bytes of the file system that stay free
	Slots    int   // stanzas of every object
	// Order gives a stream's place in the upload order, lower first, and
	// whether it is uploaded at all.
	Order func(stream string) (priority int, upload bool)
	Log   *slog.Logger
}

// A Spool is safe for use by several goroutines.
type Spool struct {
	fsys durable.FS
	opt  Options

	mu      sync.Mutex
	entries map[envelope.Name]*item
	queue   []*item // undelivered and uploadable, in upload order
	pending []Entry // what Pending returned for queue, nil after a change
	known   map[Tag]int
	ledger  map[Tag]bool
	usage   Usage
	drafts  int64 // bytes promised to open drafts
	serial  int   // of the next draft
	changed chan struct{}
}

type item struct {
	Entry
	priority int
	upload   bool
}

// compare orders the queue: by priority, then as sealed.
func (it *item) compare(o *item) int {
	if it.priority != o.priority {
		return it.priority - o.priority
	}
	return it.Meta.compare(o.Meta)
}

// Usage is what the spool holds.
type Usage struct {
	QueuedObjects int   `json:"queued_objects"` // not yet delivered
	QueuedBytes   int64 `json:"queued_bytes"`
	StoredObjects int   `json:"stored_objects"` // delivered, kept while there is room
	StoredBytes   int64 `json:"stored_bytes"`
	Foreign       int   `json:"foreign_files"` // names of another release, left alone
}

// Open reads the folder's names, removes the litter of a crash and leaves alone
// what it does not know.
func Open(fsys durable.FS, o Options) (*Spool, error) {
	ledger, err := readLedger(fsys)
	if err != nil {
		return nil, err
	}
	s := &Spool{fsys: fsys, opt: o, entries: map[envelope.Name]*item{}, known: map[Tag]int{},
		ledger: ledger, changed: make(chan struct{}, 1)}
	if err := s.readNames(); err != nil {
		return nil, err
	}
	slices.SortFunc(s.queue, (*item).compare)
	return s, nil
}

// readNames fills the tables from the folder. Where one object is there twice
// (a rename whose old name came back after a power cut) the delivered one
// stays.
func (s *Spool) readNames() error {
	var litter []string
	err := s.fsys.List(".", func(d fs.DirEntry) error {
		e, ok := parseFileName(d.Name())
		old := s.entries[e.Name]
		switch {
		case strings.HasSuffix(d.Name(), durable.TmpSuffix):
			litter = append(litter, d.Name())
		case ok && old != nil && !e.Stored:
			litter = append(litter, d.Name())
		case ok && old != nil:
			litter = append(litter, old.fileName())
			s.forget(old)
			s.add(e)
		case ok:
			s.add(e)
		case d.Name() != ledgerFile:
			s.usage.Foreign++
		}
		return nil
	})
	if err != nil {
		return fmt.Errorf("cannot read the spool: %w", err)
	}
	for _, name := range litter {
		if err := s.fsys.Remove(name); err != nil {
			return fmt.Errorf("cannot clean the spool: %w", err)
		}
	}
	// Also for the names that were found: a process that was killed may not
	// have come to the sync.
	return s.fsys.Sync(".")
}

// add takes an entry into the tables, behind all others in the queue: place
// has to follow.
func (s *Spool) add(e Entry) {
	it := &item{Entry: e}
	it.priority, it.upload = s.opt.Order(e.Stream)
	s.entries[e.Name] = it
	if e.Tag != (Tag{}) {
		s.known[e.Tag]++
	}
	if it.upload && !it.Stored {
		s.queue = append(s.queue, it)
	}
	s.count(it, 1)
	s.touch()
}

// place moves the last of the queue to where it belongs.
func (s *Spool) place() {
	last := len(s.queue) - 1
	if last < 0 {
		return
	}
	it := s.queue[last]
	i, _ := slices.BinarySearchFunc(s.queue[:last], it, (*item).compare)
	copy(s.queue[i+1:], s.queue[i:last])
	s.queue[i] = it
}

func (s *Spool) forget(it *item) {
	delete(s.entries, it.Name)
	if s.known[it.Tag]--; s.known[it.Tag] <= 0 {
		delete(s.known, it.Tag)
	}
	if i := slices.Index(s.queue, it); i >= 0 {
		s.queue = slices.Delete(s.queue, i, i+1)
	}
	s.count(it, -1)
	s.touch()
}

func (s *Spool) count(it *item, n int) {
	if it.Stored {
		s.usage.StoredObjects += n
		s.usage.StoredBytes += int64(n) * it.Size
	} else {
		s.usage.QueuedObjects += n
		s.usage.QueuedBytes += int64(n) * it.Size
	}
}

// touch tells the reader of Changed.
func (s *Spool) touch() {
	s.pending = nil
	select {
	case s.changed <- struct{}{}:
	default:
	}
}

// Pending returns the objects that wait for upload, in upload order. The slice
// is shared: do not change it.
func (s *Spool) Pending() []Entry {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.pending == nil {
		s.pending = make([]Entry, len(s.queue))
		for i, it := range s.queue {
			s.pending[i] = it.Entry
		}
	}
	return s.pending
}

// Changed receives after Pending has changed. It has one reader.
func (s *Spool) Changed() <-chan struct{} { return s.changed }

// Usage returns what the spool holds.
func (s *Spool) Usage() Usage {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.usage
}

// Open opens a sealed object for reading. A file that is shorter or longer
// than its name says is an error.
func (s *Spool) Open(e Entry) (durable.File, error) {
	f, err := s.fsys.Open(e.fileName())
	if err != nil {
		return nil, err
	}
	size, err := f.Size()
	if err == nil && size != e.Size {
		err = fmt.Errorf("the object's file has %d bytes, its name says %d", size, e.Size)
	}
	if err != nil {
		return nil, errors.Join(err, f.Close())
	}
	return f, nil
}

// MarkStored records, durably, that a collector has the object: its file may go
// when space is needed.
func (s *Spool) MarkStored(name envelope.Name) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	it := s.entries[name]
	if it == nil || it.Stored {
		return nil
	}
	e := it.Entry
	e.Stored = true
	if err := s.fsys.Rename(it.fileName(), e.fileName()); err != nil {
		return err
	}
	s.forget(it)
	s.add(e)
	// If this goes wrong the new name may not last; the object is then offered
	// once more after a power cut, and gets its receipt again.
	return s.fsys.Sync(".")
}
