package seal

import (
	"fmt"
	"io"
	"strings"

	"roadseal/crypto/envelope"
	"roadseal/crypto/record"
)

// plaintext reads as what is sealed: the content, zeros up to the grid, and
// the record, which is written once the content's length is known.
type plaintext struct {
	content io.Reader
	rec     record.Record
	zeros   int64
	tail    []byte // what is left of the record; nil while the content lasts
}

// ended reports whether everything has been read. It is never true while a
// byte is left, so the reader of the last byte knows that it was the last.
func (p *plaintext) ended() bool { return p.tail != nil && len(p.tail) == 0 }

func (p *plaintext) Read(b []byte) (int, error) {
	if p.tail == nil {
		n, err := p.content.Read(b)
		p.rec.Length += int64(n)
		if err == io.EOF {
			return n, p.finish()
		}
		if err != nil {
			err = fmt.Errorf("cannot read the content: %w", err)
		}
		return n, err
	}
	if p.ended() {
		return 0, io.EOF
	}
	n := int(min(p.zeros, int64(len(b))))
	clear(b[:n])
	p.zeros -= int64(n)
	copied := copy(b[n:], p.tail)
	p.tail = p.tail[copied:]
	return n + copied, nil
}

// finish fixes padding and record.
func (p *plaintext) finish() (err error) {
	grid := envelope.GridBinary
	if strings.HasPrefix(p.rec.MediaType, "text/") {
		grid = envelope.GridText
	}
	p.zeros = grid(p.rec.Length) - p.rec.Length - envelope.RecordSize
	p.tail, err = p.rec.Marshal()
	return err
}
