package spool

import "errors"

// Promote gives an object that Find returned a longer class, another stream and
// another tag, durably, by one rename. One that a collector has for a shorter
// class is undelivered again, so that it is offered for the longer one. Not done
// means that it has left meanwhile, or that no name can say all this. After an
// error the object is what it was, or, where it cannot be renamed back, promoted.
func (s *Spool) Promote(e Entry, class int, stream string, tag Tag) (done bool, err error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	it := s.entries[e.Name]
	if it == nil || it.state == damaged {
		return false, nil
	}
	to, st := it.Entry, it.state
	to.Class, to.Stream, to.Tag = min(class, it.Class), stream, tag
	if to.Class < it.Class {
		st = queued
	}
	was, is := it.fileName(it.state), to.fileName(st)
	if _, _, ok := parseFileName(is); !ok {
		return false, nil
	}
	if err := s.fsys.Rename(was, is); err != nil {
		return false, err
	}
	if err = s.fsys.Sync("."); err != nil {
		// The new name may or may not last, and asking again proves nothing:
		// the next attempt has to rename again.
		rerr := s.fsys.Rename(is, was)
		if rerr == nil {
			return false, err
		}
		err = errors.Join(err, rerr)
	}
	s.forget(it)
	s.add(to, st)
	s.place()
	return err == nil, err
}
