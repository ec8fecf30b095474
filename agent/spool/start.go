package spool

import (
	"fmt"
	"io/fs"
	"slices"
	"strings"

	"roadseal/crypto/envelope"
	"roadseal/hal/durable"
)

// Open reads the folder's names and its records, removes the litter of a crash
// and leaves alone what it does not know. It opens no object.
func Open(fsys durable.FS, o Options) (*Spool, error) {
	s := &Spool{fsys: fsys, opt: o, entries: map[envelope.Name]*item{}, known: map[Tag][]*item{},
		losses: newLosses(), changed: make(chan struct{}, 1)}
	if err := s.readNames(); err != nil {
		return nil, err
	}
	slices.SortFunc(s.queue, (*item).compare)
	var tags, losses int
	s.tagsRec, s.tags, tags = readTags(fsys)
	s.losses.record, losses = readRecord(fsys, lossesFile, lossesHead, s.losses.use)
	s.usage.UnreadLines = tags + losses
	s.mend()
	if free, err := fsys.Free(); err == nil {
		s.keepReserve(free)
	}
	return s, nil
}

// readNames fills the tables from the folder. Where one object is there twice
// (a rename whose old name came back after a power cut) the later name counts.
func (s *Spool) readNames() error {
	var litter []string
	streams := map[string]string{}
	err := s.fsys.List(".", func(d fs.DirEntry) error {
		name := d.Name()
		e, st, ok := parseFileName(name)
		if streams[e.Stream] == "" { // one string for all, not a piece of each name
			streams[strings.Clone(e.Stream)] = strings.Clone(e.Stream)
		}
		e.Stream = streams[e.Stream]
		old := s.entries[e.Name]
		switch {
		case strings.HasSuffix(name, durable.TmpSuffix):
			litter = append(litter, name)
		case ok && old == nil:
			s.add(e, st)
		case ok && old.renamed(e):
			if later(e, st, old) {
				litter = append(litter, old.fileName(old.state))
				s.forget(old)
				s.add(e, st)
			} else {
				litter = append(litter, name)
			}
		case name == reserveFile:
			s.reserve = true
		case name != tagsFile && name != lossesFile:
			s.usage.Foreign++
		}
		return nil
	})
	if err != nil {
		return fmt.Errorf("cannot read the spool: %w", err)
	}
	for _, name := range litter {
		if s.fsys.Remove(name) != nil {
			s.usage.Foreign++ // it does no harm where it is
		}
	}
	// Also for the names that were found: a process that was killed may not
	// have come to the sync.
	return s.fsys.Sync(".")
}

// renamed reports whether e is the object under another name that a rename gives.
func (it *item) renamed(e Entry) bool {
	e.Class, e.Stream, e.Tag = it.Class, it.Stream, it.Tag
	return e == it.Entry
}

// later reports whether a name was given after another one of the same object: a
// promotion makes the class longer, and only then a state goes back.
func later(e Entry, st state, old *item) bool {
	if e.Class != old.Class {
		return e.Class < old.Class
	}
	return st > old.state
}

// mend makes the records whole again. Losses whose objects are there and good
// are taken back: the start before ended between the record and the act.
func (s *Spool) mend() {
	for _, loss := range s.Losses() {
		if it := s.entries[loss.Entry.Name]; it != nil && it.state != damaged {
			s.losses.note(loss, -1)
			s.losses.stale = true
		}
	}
	// Where this cannot be done now, the next line does it.
	_ = s.insist(func() error { return s.losses.settle(s.losses.all()) })
	_ = s.insist(func() error { return s.tagsRec.settle(s.tagLines()) })
}
