package spool

import (
	"bytes"
	"encoding/hex"
	"io/fs"
	"iter"
	"maps"
	"slices"

	"roadseal/hal/durable"
)

// tagsFile lists the source tags of objects that were removed while the
// recorder may still have the clip, so that the clip is not sealed again.
const (
	tagsFile = "tags"
	tagsHead = "roadseal source tags 1"
)

// delivered is another tag, which stands beside that of an object that a
// collector had.
func delivered(t Tag) Tag {
	t[len(t)-1] ^= 0x80
	return t
}

// maxTags bounds the list: a recorder's ring of so many clips. Beyond it, some
// tag gives way to the new one.
const maxTags = 100_000

// HasTag reports whether a recorder's file with this source tag has been
// sealed already. The tag of a damaged object does not count: its clip, if the
// recorder still has it, is to be sealed anew.
func (s *Spool) HasTag(t Tag) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	return len(s.known[t]) > 0 || s.tags[t]
}

// Safe reports whether the clip with this source tag is needed no more: its
// object is in the spool, intact, or was delivered.
func (s *Spool) Safe(t Tag) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	return len(s.known[t]) > 0 || s.tags[delivered(t)]
}

// Find returns the object with this source tag if the spool has it, intact: of
// several the one that is kept longest.
func (s *Spool) Find(t Tag) (e Entry, ok bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, it := range s.known[t] {
		if !ok || it.Class < e.Class {
			e, ok = it.Entry, true
		}
	}
	return e, ok
}

// Know makes the source tags of clips durable that are not to be sealed.
func (s *Spool) Know(tags []Tag) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	all := maps.Clone(s.tags)
	for _, t := range tags {
		all[t] = true
		dropTags(all, t)
	}
	if len(all) == len(s.tags) {
		return nil
	}
	return s.setTags(all)
}

// ReadTags returns the source tags of all sealed clips in a spool's folder
// without opening the spool: another process may own it.
func ReadTags(fsys durable.FS) (map[Tag]bool, error) {
	_, tags, _ := readTags(fsys)
	err := fsys.List(".", func(d fs.DirEntry) error {
		if e, st, ok := parseFileName(d.Name()); ok && st != damaged && e.Tag != (Tag{}) {
			tags[e.Tag] = true
		}
		return nil
	})
	return tags, err
}

func readTags(fsys durable.FS) (r *record, tags map[Tag]bool, unread int) {
	tags = map[Tag]bool{}
	r, unread = readRecord(fsys, tagsFile, tagsHead, func(text string) bool {
		b, err := hex.DecodeString(text)
		if err != nil || len(b) != len(Tag{}) {
			return false
		}
		tags[Tag(b)] = true
		dropTags(tags, Tag(b))
		return true
	})
	return r, tags, unread
}

// dropTags keeps the bound, and one tag.
func dropTags(tags map[Tag]bool, keep Tag) {
	for t := range tags {
		if len(tags) <= maxTags {
			return
		}
		if t != keep {
			delete(tags, t)
		}
	}
}

// fullTags is how many tags KeepTags leaves alone: a card that is out of the
// recorder today may be back tomorrow.
const fullTags = 4096

// KeepTags forgets the source tags of removed objects that are not in present,
// whose clips the recorder has dropped, once there are more than fullTags.
func (s *Spool) KeepTags(present []Tag) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if len(s.tags) <= fullTags {
		return nil
	}
	keep := map[Tag]bool{}
	for _, t := range present {
		for _, t := range []Tag{t, delivered(t)} {
			if s.tags[t] {
				keep[t] = true
			}
		}
	}
	if len(keep) == len(s.tags) {
		return nil
	}
	return s.setTags(keep)
}

// setTags makes another set durable, or keeps the one that is.
func (s *Spool) setTags(tags map[Tag]bool) error {
	old := s.tags
	s.tags = tags
	err := s.insist(func() error { return s.tagsRec.replace(s.tagLines()) })
	if err != nil {
		s.tags = old
	}
	return err
}

// remember makes the tags of items durable. After an error none of them counts
// as being there: the next attempt must write them again.
func (s *Spool) remember(items []*item) error {
	var fresh []Tag
	var texts []string
	note := func(t Tag) {
		if !s.tags[t] {
			s.tags[t] = true
			fresh = append(fresh, t)
			texts = append(texts, hex.EncodeToString(t[:]))
		}
	}
	for _, it := range items {
		if it.Tag == (Tag{}) {
			continue
		}
		note(it.Tag)
		if it.state == stored {
			note(delivered(it.Tag))
		}
	}
	if len(fresh) == 0 && !s.tagsRec.due() {
		return nil
	}
	err := s.insist(func() error { return s.tagsRec.add(texts, s.tagLines(), len(s.tags)) })
	for _, t := range fresh {
		if err != nil {
			delete(s.tags, t)
		} else {
			dropTags(s.tags, t)
		}
	}
	return err
}

func (s *Spool) tagLines() iter.Seq[string] {
	return func(yield func(string) bool) {
		sorted := slices.SortedFunc(maps.Keys(s.tags), func(a, b Tag) int { return bytes.Compare(a[:], b[:]) })
		for _, t := range sorted {
			if !yield(hex.EncodeToString(t[:])) {
				return
			}
		}
	}
}
