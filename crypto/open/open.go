// Package open is the only way back from a sealed object to its content, for
// who holds a reader's key. crypto/envelope/FORMAT.md specifies the object.
//
// Side: gate.
package open

import (
	"bytes"
	"crypto/hmac"
	"errors"
	"fmt"
	"io"

	"roadseal/crypto/envelope"
	"roadseal/crypto/internal/filekey"
	"roadseal/crypto/internal/xwing"
	"roadseal/crypto/record"
)

// ErrNotRecipient says that a file is in order, as far as that can be seen
// without its key, and sealed to others.
var ErrNotRecipient = errors.New("none of the given keys is a reader of this object")

var (
	errAltered   = errors.New("the object was altered, damaged or cut short")
	errTruncated = errors.New("the object is truncated: its end is missing")
	errShare     = errors.New("the object is malformed: a stanza has a low-order X25519 share")
	errNoRecord  = errors.New("an age file, but not a roadseal object: no record at its end")
	errOffGrid   = errors.New("an age file, but not a roadseal object: its length is not on the grid")
	errLength    = errors.New("the object contradicts itself: the record's length does not fit into it")
	errPadding   = errors.New("the object is malformed: its padding is not zero")
)

// Object is a sealed object that the given identities open. Its record has
// been read and is authentic; its content is checked by WriteTo.
type Object struct {
	Record record.Record
	Header *envelope.Header

	payload payload
}

// New opens the object of size bytes in src. It reads the header and the last
// chunk only, so that a store is listed quickly. src must not change while the
// object is used.
//
// ErrNotRecipient says that no identity opens it. Other errors say that it is
// no age file, one for other software, or malformed, truncated or altered; or
// they are those of src, wrapped.
func New(src io.ReaderAt, size int64, ids ...Identity) (*Object, error) {
	header, err := envelope.ReadHeader(io.NewSectionReader(src, 0, size))
	if err != nil {
		return nil, err
	}
	p, err := openPayload(src, size, header, ids)
	if err != nil {
		return nil, err
	}
	last, err := p.last()
	if err != nil {
		return nil, err
	}
	if len(last) < envelope.RecordSize {
		return nil, errNoRecord
	}
	// On the grid no record reaches over the border of two chunks; off it,
	// there is nothing to look for.
	rec, err := record.Parse(last[len(last)-envelope.RecordSize:])
	switch {
	case errors.Is(err, record.ErrNone):
		return nil, errNoRecord
	case err != nil:
		return nil, err
	case !envelope.OnGrid(p.plain):
		return nil, errOffGrid
	case rec.Length > p.plain-envelope.RecordSize:
		return nil, errLength
	}
	return &Object{Record: rec, Header: header, payload: *p}, nil
}

// WriteTo writes the content, without padding and record, and implements
// io.WriterTo. Each chunk is authenticated before any of it is written, and
// the whole object is checked to its end. After an error, what was written
// must be dropped: it is authentic, but the object as a whole is not in order.
func (o *Object) WriteTo(w io.Writer) (int64, error) {
	p := o.payload
	buf := make([]byte, envelope.ChunkSize+envelope.ChunkTag)
	defer clear(buf)
	var written int64
	for i := range p.chunks() {
		plain, err := p.open(buf, i)
		if err != nil {
			return written, err
		}
		content := plain[:min(int64(len(plain)), o.Record.Length-written)]
		n, err := w.Write(content)
		written += int64(n)
		if err == nil && n < len(content) {
			err = io.ErrShortWrite
		}
		if err != nil {
			return written, fmt.Errorf("cannot write the content: %w", err)
		}
		padding := plain[len(content):]
		if i == p.chunks()-1 {
			padding = padding[:len(padding)-envelope.RecordSize]
		}
		if len(bytes.Trim(padding, "\x00")) > 0 {
			return written, errPadding
		}
	}
	return written, nil
}

// openPayload finds the file key and checks the header with it.
func openPayload(src io.ReaderAt, size int64, h *envelope.Header, ids []Identity) (*payload, error) {
	key, err := findKey(h.Stanzas, ids)
	if err != nil {
		return nil, err
	}
	defer clear(key[:])
	mac, err := key.MAC(h.Signed())
	if err != nil {
		return nil, err
	}
	if !hmac.Equal(mac[:], h.MAC[:]) {
		return nil, errAltered
	}
	plain, ok := envelope.PlainSize(len(h.Stanzas), size)
	if !ok {
		return nil, errAltered
	}
	aead, err := key.Payload(h.Nonce)
	if err != nil {
		return nil, err
	}
	return &payload{src: src, start: envelope.HeaderSize(len(h.Stanzas)), size: size, plain: plain, aead: aead}, nil
}

// findKey tries every identity on every stanza: nothing says whose one is, and
// ML-KEM answers to a foreign one with a random secret, not with an error.
func findKey(stanzas []envelope.Stanza, ids []Identity) (*filekey.Key, error) {
	for i := range stanzas {
		if xwing.CheckShare(stanzas[i].Enc[len(stanzas[i].Enc)-32:]) != nil {
			return nil, errShare
		}
	}
	for _, id := range ids {
		if id.reveal == nil {
			return nil, errors.New("cannot open with an empty identity")
		}
		for i := range stanzas {
			if key, ok := unwrap(&stanzas[i], id.reveal()); ok {
				return key, nil
			}
		}
	}
	return nil, ErrNotRecipient
}

func unwrap(s *envelope.Stanza, id *secret) (*filekey.Key, bool) {
	receiver, err := xwing.Suite().NewReceiver(id.key, []byte(xwing.Info))
	if err != nil {
		return nil, false
	}
	opener, err := receiver.Setup(s.Enc[:])
	if err != nil {
		return nil, false
	}
	b, err := opener.Open(s.Body[:], nil)
	if err != nil || len(b) != len(filekey.Key{}) {
		return nil, false
	}
	key := filekey.Key(b)
	return &key, true
}
