package envelope

import (
	"errors"
	"fmt"
	"io"
)

// ErrSize says that no sealed object has this size.
var ErrSize = errors.New("not the size of a sealed object")

// Summary is what anyone can read off a sealed file without a key.
type Summary struct {
	Slots int   // stanzas: readers and dummies
	Plain int64 // bytes of content, padding and record together
}

// Inspect reads the header of a file of size bytes and nothing behind it. An
// age file off the grid is no error here. If the header is good and the size
// is not, the summary still holds Slots and the error matches ErrSize; errors
// of the header are those of ReadHeader.
func Inspect(r io.Reader, size int64) (Summary, error) {
	h, err := ReadHeader(r)
	if err != nil {
		return Summary{}, err
	}
	s := Summary{Slots: len(h.Stanzas)}
	plain, ok := PlainSize(s.Slots, size)
	if !ok {
		return s, fmt.Errorf("%w: no file with %d stanzas has %d bytes, it was cut or added to", ErrSize, s.Slots, size)
	}
	s.Plain = plain
	return s, nil
}

// Check is what can be asked, without a key, of every object that is sent or
// stored: a good header with exactly slots stanzas, and a size on the grid. It
// reads the header only. What is wrong with the object matches ErrHeader or
// ErrSize; other errors are the reader's.
func Check(r io.Reader, size int64, slots int) error {
	s, err := Inspect(r, size)
	if s.Slots != 0 && s.Slots != slots {
		return headerFault("%d stanzas, expected %d", s.Slots, slots)
	}
	if err != nil {
		return err
	}
	if !OnGrid(s.Plain) {
		return fmt.Errorf("%w: its plaintext of %d bytes is not on the grid", ErrSize, s.Plain)
	}
	return nil
}
