package spool

import (
	"errors"
	"io/fs"
	"slices"
)

// makeRoom removes what has to give way to a coming object of a class, or
// nothing at all. It acts on what Free says, never on an error of a write: the
// card may have vanished.
//
// Whatever else fills the disk, or a limit that was lowered, must not cost
// undelivered objects: they give way byte for byte. What they give beyond that
// is there for the next object. swapped are the bytes in whose place this one
// comes although a limit stays exceeded. An object of the ring leaves keep_free
// free, or does not come.
func (s *Spool) makeRoom(class int, size int64, ring bool) (swapped int64, err error) {
	free, err := s.fsys.Free()
	if err != nil {
		return 0, err
	}
	if s.keepReserve(free) {
		free -= reserveSize
	}
	used, left := s.usage.QueuedBytes+s.usage.StoredBytes+s.usage.DamagedBytes+size, free-size+s.written.Load()
	for _, n := range s.drafts {
		used, left = used+n, left-n
	}
	lack := max(used-s.opt.MaxBytes, s.opt.KeepFree-left)
	drop, freed := s.unneeded(lack)
	if ring && left+freed+size < s.opt.KeepFree-s.slack() {
		return 0, ErrKeepFree
	}
	lack -= freed
	swapped = min(max(lack, 0), size)
	need := swapped - s.credit
	if ring { // others may have taken since what was credited
		need = max(need, s.opt.KeepFree-left-freed)
	}
	give, given := s.worth(class, size, need)
	switch {
	case ring && left+freed+given < s.opt.KeepFree:
		return 0, ErrKeepFree
	case given < need || left+freed+given < 0:
		return 0, ErrFull
	}
	if drop = append(drop, give...); len(drop) > 0 {
		if err := s.drop(drop); err != nil {
			return 0, err
		}
	}
	s.credit -= swapped
	if lack <= given {
		s.credit, swapped = 0, 0
	}
	return swapped, nil
}

// Tight reports whether CreateRing would refuse an object of any size. An error
// is left to CreateRing.
func (s *Spool) Tight() bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	free, err := s.fsys.Free()
	free += s.usage.StoredBytes + s.usage.DamagedBytes + s.written.Load()
	for _, n := range s.drafts {
		free -= n
	}
	return err == nil && free < s.opt.KeepFree-s.slack()
}

// slack is what the spool's own records, and the blocks of the file system, may
// take of keep_free: else a full spool would stand in its own way. The next
// object of the ring restores it.
func (s *Spool) slack() int64 { return min(s.opt.KeepFree>>4, 1<<20) }

// unneeded chooses delivered objects, and then damaged ones, oldest first,
// until need bytes are found.
func (s *Spool) unneeded(need int64) (drop []*item, freed int64) {
	c := choice{need: need, chosen: map[*item]bool{}}
	for _, st := range []state{stored, damaged} {
		c.take(s, func(it *item) bool { return it.state == st }, always)
	}
	return c.spare()
}

func always(*item) bool { return true }

// Clear makes room on a disk that is too full to start on: until need bytes are
// free it removes delivered objects, damaged ones, and then undelivered ones,
// from the least valuable class on. It returns ErrFull where all that is not
// enough; nothing has been removed then.
func (s *Spool) Clear(need int64) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	free, err := s.fsys.Free()
	if err != nil || free >= need {
		return err
	}
	c := choice{need: need - free, chosen: map[*item]bool{}}
	for _, st := range []state{stored, damaged} {
		c.take(s, func(it *item) bool { return it.state == st }, always)
	}
	for d := Classes; d > 0; d-- {
		c.take(s, func(it *item) bool { return it.state == queued && it.Class == d }, always)
	}
	drop, freed := c.spare()
	if free+freed < need {
		return ErrFull
	}
	return s.drop(drop)
}

// worth chooses undelivered objects that give way to one of a class, until need
// bytes are found, if they are. Less valuable classes come first, with what they
// hold above their shares; then more valuable ones, with the same, if the class
// is entitled to it; then the class itself. If all that is not enough, a less
// valuable class does not keep an object that is only partly within its share.
func (s *Spool) worth(class int, size, need int64) (give []*item, given int64) {
	c, held := choice{need: need, chosen: map[*item]bool{}}, s.held
	take := func(d int, may func(*item) bool) {
		c.take(s, func(it *item) bool { return it.state == queued && it.Class == d }, func(it *item) bool {
			ok := may(it)
			if ok {
				held[d-1] -= it.Size
			}
			return ok
		})
	}
	above := func(it *item) bool { return held[it.Class-1]-it.Size >= s.opt.Shares[it.Class-1] }
	partly := func(it *item) bool { return held[it.Class-1] > s.opt.Shares[it.Class-1] }
	for d := Classes; d > class; d-- {
		take(d, above)
	}
	if s.held[class-1]+s.drafts[class-1]+size <= s.opt.Shares[class-1] {
		for d := class - 1; d > 0; d-- {
			take(d, above)
		}
	}
	take(class, always)
	for d := Classes; d > class; d-- {
		take(d, partly)
	}
	return c.spare()
}

// A choice is of objects that are to go, the least valuable first.
type choice struct {
	need, got int64 // bytes
	items     []*item
	chosen    map[*item]bool
}

// take chooses among some objects, oldest first, until there are enough.
func (c *choice) take(s *Spool, among, may func(*item) bool) {
	if c.got >= c.need {
		return
	}
	var all []*item
	for _, it := range s.entries {
		if among(it) && !c.chosen[it] && !it.stuck {
			all = append(all, it)
		}
	}
	slices.SortFunc(all, (*item).age)
	for _, it := range all {
		if c.got < c.need && may(it) {
			c.got += it.Size
			c.items = append(c.items, it)
			c.chosen[it] = true
		}
	}
}

// spare returns what was chosen, without what a later and larger object made
// superfluous.
func (c *choice) spare() ([]*item, int64) {
	for i := len(c.items) - 1; i >= 0; i-- {
		if it := c.items[i]; c.got-it.Size >= c.need {
			c.got -= it.Size
			c.items = slices.Delete(c.items, i, i+1)
		}
	}
	return c.items, c.got
}

// drop removes objects. Before the first of them goes, it is durable which
// undelivered ones are lost, and the source tags of all that are intact, so
// that their clips are not sealed again only to go once more.
func (s *Spool) drop(items []*item) error {
	var lost, known []*item
	for _, it := range items {
		if it.state == queued {
			lost = append(lost, it)
		}
		if it.state != damaged {
			known = append(known, it)
		}
	}
	if err := s.lose(Evicted, lost); err != nil {
		return err
	}
	err := s.remember(known)
	for _, it := range items {
		if err == nil {
			err = s.remove(it)
		}
	}
	s.takeBack(Evicted, slices.DeleteFunc(lost, func(it *item) bool { return s.entries[it.Name] != it }))
	return errors.Join(err, s.fsys.Sync("."))
}

func (s *Spool) remove(it *item) error {
	if err := s.fsys.Remove(it.fileName(it.state)); err != nil && !errors.Is(err, fs.ErrNotExist) {
		it.stuck = true
		return err
	}
	if it.state == queued {
		s.credit += it.Size
	}
	s.forget(it)
	return nil
}
