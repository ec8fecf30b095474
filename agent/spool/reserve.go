package spool

import (
	"math/rand/v2"

	"roadseal/hal/durable"
)

// reserveFile takes space for the records, which must not fail on a full disk:
// what is lost there would be lost silently.
const (
	reserveFile = "reserve"
	reserveSize = 256 << 10
)

// insist does a write of a record, and once more with the space of the reserve
// if the disk is full, as Free says: an error alone may come from a card that
// has vanished.
func (s *Spool) insist(write func() error) error {
	err := write()
	if err == nil || !s.reserve {
		return err
	}
	if free, ferr := s.fsys.Free(); ferr != nil || free >= reserveSize {
		return err
	}
	if s.fsys.Remove(reserveFile) != nil {
		return err
	}
	s.reserve = false
	// Some file systems give the space back only then. Nothing else depends on
	// it.
	_ = s.fsys.Sync(".")
	return write()
}

// keepReserve makes the reserve where it is missing and there is room for more
// than that, and reports whether it did. Nothing depends on it while there is.
func (s *Spool) keepReserve(free int64) (made bool) {
	if s.reserve || free < 2*reserveSize {
		return false
	}
	// Random bytes, or a file system that compresses would reserve nothing.
	b := make([]byte, reserveSize)
	_, _ = rand.NewChaCha8([32]byte{}).Read(b) // never fails
	s.reserve = durable.WriteFile(s.fsys, ".", reserveFile, b) == nil
	return s.reserve
}
