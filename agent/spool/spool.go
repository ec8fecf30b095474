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
	"bytes"
	"errors"
	"fmt"
	"iter"
	"slices"
	"sync"
	"sync/atomic"

	"roadseal/crypto/envelope"
	"roadseal/hal/durable"
)

// ErrFull is returned by Create when a limit is reached and nothing is left that
// gives way to the object.
var ErrFull = errors.New("the spool is full: [spool] max_bytes or keep_free is reached, and nothing is left that is delivered or gives way")

// ErrTooLarge is returned by Create for an object that the spool could not hold
// if it were empty.
var ErrTooLarge = errors.New("the object is larger than [spool] max_bytes")

// ErrKeepFree is returned by CreateRing when the file system has less than
// keep_free.
var ErrKeepFree = errors.New("the spool's file system has less than [spool] keep_free, which is left to the recorder's ring")

// Options are the limits and the order of a spool.
type Options struct {
	MaxBytes int64 // of all objects together
	KeepFree int64 // bytes of the file system that stay free
	// Shares are bytes that are kept for each retention class, from class 1
	// on: another class may use them as long as nobody needs them.
	Shares [Classes]int64
	Slots  int // stanzas of every object
	// Order gives a stream's place in the upload order, lower first, and
	// whether it is uploaded at all.
	Order func(stream string) (priority int, upload bool)
}

// A Spool is safe for use by several goroutines.
type Spool struct {
	fsys durable.FS
	opt  Options

	mu      sync.Mutex
	entries map[envelope.Name]*item
	queue   []*item         // undelivered and uploadable, in upload order
	known   map[Tag][]*item // delivered and undelivered objects
	tags    map[Tag]bool
	tagsRec *record
	losses  *losses
	reserve bool // is there
	usage   Usage
	held    [Classes]int64 // undelivered bytes of each class
	drafts  [Classes]int64 // bytes promised to open drafts
	written atomic.Int64   // of these bytes
	credit  int64          // bytes that undelivered objects gave beyond what has come in their place
	serial  int            // of the next draft
	changed chan struct{}
}

type item struct {
	Entry
	state    state
	priority int
	upload   bool
	stuck    bool // cannot be removed: it must not keep others from giving way
}

// age orders objects as they were sealed.
func (it *item) age(o *item) int {
	if n := it.Meta.compare(o.Meta); n != 0 {
		return n
	}
	return bytes.Compare(it.Name[:], o.Name[:])
}

// compare orders the queue: by priority, then as sealed.
func (it *item) compare(o *item) int {
	if it.priority != o.priority {
		return it.priority - o.priority
	}
	return it.age(o)
}

// Usage is what the spool holds.
type Usage struct {
	QueuedObjects  int   `json:"queued_objects"` // not yet delivered
	QueuedBytes    int64 `json:"queued_bytes"`
	StoredObjects  int   `json:"stored_objects"` // delivered, kept while there is room
	StoredBytes    int64 `json:"stored_bytes"`
	DamagedObjects int   `json:"damaged_objects"` // quarantined, kept while there is room
	DamagedBytes   int64 `json:"damaged_bytes"`
	Foreign        int   `json:"foreign_files"` // names of another release, left alone

	Evicted Totals `json:"evicted"` // undelivered objects that gave way to others, ever
	Damaged Totals `json:"damaged"` // undelivered objects that were found damaged, ever
	// UnreadLines of "losses" and "tags" were found damaged at the start.
	UnreadLines int `json:"unread_lines"`
}

// add takes an entry into the tables, behind all others in the queue: place
// has to follow.
func (s *Spool) add(e Entry, st state) {
	it := &item{Entry: e, state: st}
	it.priority, it.upload = s.opt.Order(e.Stream)
	s.entries[e.Name] = it
	if e.Tag != (Tag{}) && st != damaged {
		s.known[e.Tag] = append(s.known[e.Tag], it)
	}
	if it.upload && st == queued {
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
	same := slices.DeleteFunc(s.known[it.Tag], func(o *item) bool { return o == it })
	if s.known[it.Tag] = same; len(same) == 0 {
		delete(s.known, it.Tag)
	}
	if i := slices.Index(s.queue, it); i >= 0 {
		s.queue = slices.Delete(s.queue, i, i+1)
	}
	s.count(it, -1)
	s.touch()
}

func (s *Spool) count(it *item, n int) {
	size := int64(n) * it.Size
	switch u := &s.usage; it.state {
	case queued:
		u.QueuedObjects += n
		u.QueuedBytes += size
		s.held[it.Class-1] += size
	case damaged:
		u.DamagedObjects += n
		u.DamagedBytes += size
	case stored:
		u.StoredObjects += n
		u.StoredBytes += size
	}
}

// touch tells the reader of Changed.
func (s *Spool) touch() {
	select {
	case s.changed <- struct{}{}:
	default:
	}
}

// Pending returns the objects that wait for upload, in upload order. What
// changes meanwhile may or may not be among them.
func (s *Spool) Pending() iter.Seq[Entry] {
	return func(yield func(Entry) bool) {
		var last *item
		for {
			batch := s.after(last)
			for _, it := range batch {
				if !yield(it.Entry) {
					return
				}
				last = it
			}
			if len(batch) == 0 {
				return
			}
		}
	}
}

// after returns the next objects of the queue behind one that need not be in it
// any more. They are few, so that no queue is ever copied whole.
func (s *Spool) after(last *item) []*item {
	const few = 32
	s.mu.Lock()
	defer s.mu.Unlock()
	i := 0
	if last != nil {
		var found bool
		if i, found = slices.BinarySearchFunc(s.queue, last, (*item).compare); found {
			i++
		}
	}
	return slices.Clone(s.queue[i:min(i+few, len(s.queue))])
}

// Changed receives after Pending has changed. It has one reader.
func (s *Spool) Changed() <-chan struct{} { return s.changed }

// Usage returns what the spool holds and what it has lost.
func (s *Spool) Usage() Usage {
	s.mu.Lock()
	defer s.mu.Unlock()
	u := s.usage
	u.Evicted, u.Damaged = *s.losses.totals[Evicted], *s.losses.totals[Damaged]
	return u
}

// Open opens an undelivered object for reading, also if it was promoted since. A
// file that is shorter or longer than its name says is an error.
func (s *Spool) Open(e Entry) (durable.File, error) {
	f, err := s.open(e)
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

// open holds the lock: a promotion must not take the name away meanwhile.
func (s *Spool) open(e Entry) (durable.File, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if it := s.entries[e.Name]; it != nil {
		e = it.Entry
	}
	return s.fsys.Open(e.fileName(queued))
}

// MarkStored records, durably, that a collector has the object for its class:
// its file may go when space is needed. Nothing happens if it was promoted since,
// for it is to be offered again. If it goes wrong the object may be offered once
// more after a power cut, and gets its receipt again.
func (s *Spool) MarkStored(e Entry) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	it := s.entries[e.Name]
	if it == nil || it.state != queued || it.Class < e.Class {
		return nil
	}
	return s.turn(it, stored)
}

// turn gives an undelivered object another state.
func (s *Spool) turn(it *item, st state) error {
	if err := s.fsys.Rename(it.fileName(it.state), it.fileName(st)); err != nil {
		return err
	}
	s.forget(it)
	s.add(it.Entry, st)
	return s.fsys.Sync(".")
}
