package spool

import (
	"context"
	"crypto/sha256"
	"errors"
	"io"
	"maps"
	"syscall"

	"roadseal/hal/durable"
	"roadseal/hal/watchdog"
)

// Verify reads an undelivered object back, from the medium as far as the system
// lets it, and reports whether it is what was sealed. If it is not, it is
// quarantined: its loss is on record, it no longer waits for upload, and its
// file stays until room is needed. An error is no verdict: a card that has
// vanished may come back.
func (s *Spool) Verify(ctx context.Context, e Entry) (intact bool, err error) {
	f, err := s.open(e)
	if err != nil {
		return false, err
	}
	intact, err = verify(ctx, f, e)
	if err = errors.Join(err, f.Close()); err != nil || intact {
		return intact, err
	}
	return false, s.quarantine(e)
}

// verify takes a sector that cannot be read for damage.
func verify(ctx context.Context, f durable.File, e Entry) (intact bool, err error) {
	size, err := f.Size()
	if err != nil || size != e.Size {
		return false, err
	}
	f.Forget()
	h, b := sha256.New(), make([]byte, 64<<10)
	for err == nil && ctx.Err() == nil {
		watchdog.Beat(ctx)
		var n int
		n, err = f.Read(b)
		h.Write(b[:n]) // never fails
	}
	switch {
	case ctx.Err() != nil:
		return false, ctx.Err()
	case errors.Is(err, syscall.EIO):
		return false, nil
	case err != io.EOF:
		return false, err
	}
	return [sha256.Size]byte(h.Sum(nil)) == e.Name, nil
}

// quarantine puts an undelivered object aside, unless it has left the queue
// meanwhile.
func (s *Spool) quarantine(e Entry) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	it := s.entries[e.Name]
	if it == nil || it.state != queued {
		return nil
	}
	if s.tags[it.Tag] { // as when a start took an eviction back
		tags := maps.Clone(s.tags)
		delete(tags, it.Tag)
		if err := s.setTags(tags); err != nil {
			return err
		}
	}
	if err := s.lose(Damaged, []*item{it}); err != nil {
		return err
	}
	err := s.turn(it, damaged)
	if s.entries[e.Name] == it { // it has kept its name
		s.takeBack(Damaged, []*item{it})
	}
	return err
}
