package record

import (
	"bytes"
	"errors"
	"fmt"
	"strings"

	"roadseal/crypto/envelope"
)

// ErrNone says that bytes are no record at all: what was sealed is not a
// roadseal object.
var ErrNone = errors.New("no roadseal record")

// Parse reads what Marshal writes and nothing else: from what it accepts,
// Marshal makes the same bytes. Bytes without the first line of a record are
// ErrNone. No error repeats a value.
func Parse(b []byte) (Record, error) {
	if len(b) != envelope.RecordSize || !bytes.HasPrefix(b, []byte(magic)) {
		return Record{}, ErrNone
	}
	lines, ok := strings.CutPrefix(string(b), version)
	if !ok {
		return Record{}, errors.New("the record is of a version that this program does not know: use a newer program, or read it with `age -d FILE | tail -c 1024`")
	}
	var r Record
	known := r.fields()
	for i, line := range strings.Split(strings.TrimRight(lines, "\n"), "\n") {
		if err := setLine(known, line); err != nil {
			return Record{}, fmt.Errorf("malformed record, line %d: %w", i+2, err)
		}
	}
	// Order, repetition, missing lines, needless escapes, spare zeros, a tail
	// that is not newlines: all of it is seen by writing the record again.
	again, err := r.Marshal()
	if err != nil {
		return Record{}, fmt.Errorf("malformed record: %w", err)
	}
	if !bytes.Equal(again, b) {
		return Record{}, errors.New("malformed record: its lines are not in the one form that they may have")
	}
	return r, nil
}

func setLine(known []field, line string) error {
	key, text, ok := strings.Cut(line, ": ")
	if !ok {
		return errors.New("expected `key: value`")
	}
	for _, f := range known {
		if f.key != key {
			continue
		}
		if err := f.set(text); err != nil {
			return fmt.Errorf("%s: %w", key, err)
		}
		return nil
	}
	return errors.New("unknown key")
}
