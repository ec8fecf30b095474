package spool

import (
	"bytes"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"maps"
	"slices"

	"roadseal/hal/durable"
)

// ledgerFile lists the source tags of objects that were removed after delivery
// while the recorder may still have the clip, one a line, so that the clip is
// not sealed again.
const ledgerFile = "tags"

// maxTags bounds the ledger: a recorder's ring of so many clips. Beyond it, some
// tag gives way to the new one.
const maxTags = 100_000

// maxLedger is the same in bytes. What is read of a longer file is its
// beginning: a lost tag costs one clip sealed twice, not the start.
const maxLedger = maxTags * 33

// HasTag reports whether a recorder's file with this source tag has been
// sealed already.
func (s *Spool) HasTag(t Tag) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.known[t] > 0 || s.ledger[t]
}

// ReadTags returns the source tags of all sealed clips in a spool's folder
// without opening the spool: another process may own it.
func ReadTags(fsys durable.FS) (map[Tag]bool, error) {
	tags, err := readLedger(fsys)
	if err != nil {
		return nil, err
	}
	err = fsys.List(".", func(d fs.DirEntry) error {
		if e, ok := parseFileName(d.Name()); ok && e.Tag != (Tag{}) {
			tags[e.Tag] = true
		}
		return nil
	})
	return tags, err
}

// fullLedger is how many tags KeepTags leaves alone: a card that is out of the
// recorder today may be back tomorrow.
const fullLedger = 4096

// KeepTags forgets the source tags of removed objects that are not in present,
// whose clips the recorder has dropped, once there are more than fullLedger.
func (s *Spool) KeepTags(present []Tag) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if len(s.ledger) <= fullLedger {
		return nil
	}
	keep := map[Tag]bool{}
	for _, t := range present {
		if s.ledger[t] {
			keep[t] = true
		}
	}
	if len(keep) == len(s.ledger) {
		return nil
	}
	old := s.ledger
	s.ledger = keep
	if err := s.writeLedger(); err != nil {
		s.ledger = old
		return err
	}
	return nil
}

// makeRoom removes delivered objects, oldest first, until size more bytes fit.
func (s *Spool) makeRoom(size int64) error {
	free, err := s.fsys.Free()
	if err != nil {
		return err
	}
	over := max(s.usage.QueuedBytes+s.usage.StoredBytes+s.drafts+size-s.opt.MaxBytes,
		s.opt.KeepFree-(free-s.drafts-size))
	if over <= 0 {
		return nil
	}
	var stored []*item
	for _, it := range s.entries {
		if it.Stored {
			stored = append(stored, it)
		}
	}
	slices.SortFunc(stored, func(a, b *item) int { return a.Meta.compare(b.Meta) })
	var drop []*item
	for _, it := range stored {
		if over <= 0 {
			break
		}
		drop = append(drop, it)
		over -= it.Size
	}
	if over > 0 {
		return ErrFull
	}
	return s.drop(drop)
}

// drop removes delivered objects. Those without a source tag go first: on a
// disk without any room they make some for the ledger, where the tags of the
// others are durable before the first of their files goes.
func (s *Spool) drop(items []*item) error {
	var tagged []*item
	for _, it := range items {
		if it.Tag != (Tag{}) {
			tagged = append(tagged, it)
		} else if err := s.remove(it); err != nil {
			return err
		}
	}
	err := s.remember(tagged)
	if err != nil && s.empty(tagged) {
		err = s.remember(tagged)
	}
	if err != nil {
		return err
	}
	for _, it := range tagged {
		if err := s.remove(it); err != nil {
			return err
		}
	}
	return s.fsys.Sync(".")
}

// empty gives back the space of delivered objects and keeps their names, and
// with them their tags, where there is no room for the ledger otherwise. It
// reports whether it did.
func (s *Spool) empty(items []*item) (done bool) {
	for _, it := range items {
		f, err := s.fsys.Update(it.fileName())
		if err != nil {
			continue
		}
		err = f.Truncate(0)
		done = errors.Join(err, f.Close()) == nil || done
	}
	return done
}

func (s *Spool) remove(it *item) error {
	if err := s.fsys.Remove(it.fileName()); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	s.forget(it)
	return nil
}

// remember makes the tags of items durable in the ledger. After an error none
// of them counts as being there: the next attempt must write them again.
func (s *Spool) remember(items []*item) error {
	old := maps.Clone(s.ledger)
	for _, it := range items {
		s.ledger[it.Tag] = true
	}
	if len(s.ledger) == len(old) {
		return nil
	}
	for t := range old {
		if len(s.ledger) <= maxTags {
			break
		}
		delete(s.ledger, t)
	}
	if err := s.writeLedger(); err != nil {
		s.ledger = old
		return err
	}
	return nil
}

func (s *Spool) writeLedger() error {
	lines := make([]string, 0, len(s.ledger))
	for t := range s.ledger {
		lines = append(lines, hex.EncodeToString(t[:]))
	}
	slices.Sort(lines)
	var b bytes.Buffer
	for _, l := range lines {
		fmt.Fprintln(&b, l)
	}
	return durable.WriteFile(s.fsys, ".", ledgerFile, b.Bytes())
}

// readLedger passes over lines that are no tag: a damaged line costs one clip
// sealed twice, not the start.
func readLedger(fsys durable.FS) (map[Tag]bool, error) {
	tags := map[Tag]bool{}
	f, err := fsys.Open(ledgerFile)
	if errors.Is(err, fs.ErrNotExist) {
		return tags, nil
	}
	var b []byte
	if err == nil {
		b, err = io.ReadAll(io.LimitReader(f, maxLedger))
		err = errors.Join(err, f.Close())
	}
	if err != nil {
		return nil, fmt.Errorf("cannot read the source tags of the spool: %w", err)
	}
	for line := range bytes.Lines(b) {
		var t Tag
		if line = bytes.TrimSuffix(line, []byte("\n")); len(line) != hex.EncodedLen(len(t)) {
			continue
		}
		if _, err := hex.Decode(t[:], line); err == nil {
			tags[t] = true
		}
	}
	return tags, nil
}
