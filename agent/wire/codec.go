package wire

import (
	"encoding/binary"
	"errors"

	"roadseal/crypto/envelope"
)

// headerSize is what OFFER, HAVE and DATA begin with: version, type, object,
// size.
const headerSize = 2 + 32 + 8

// MarshalBinary implements Message.
func (o Offer) MarshalBinary() ([]byte, error) {
	if err := o.check(); err != nil {
		return nil, err
	}
	b := header(typeOffer, o.Object, o.Size, 36)
	b = appendTag(append(b, o.Class), o.Tag)
	return binary.BigEndian.AppendUint16(b, 0), nil // length of the signature
}

// MarshalBinary implements Message.
func (h Have) MarshalBinary() ([]byte, error) {
	if err := h.check(); err != nil {
		return nil, err
	}
	return append(header(typeHave, h.Object, h.Size, len(h.Blocks)), h.Blocks...), nil
}

// MarshalBinary implements Message.
func (d Data) MarshalBinary() ([]byte, error) {
	return d.AppendBinary(make([]byte, 0, headerSize+4+len(d.Blocks)))
}

// AppendBinary appends the message to b (encoding.BinaryAppender).
func (d Data) AppendBinary(b []byte) ([]byte, error) {
	if err := d.check(); err != nil {
		return nil, err
	}
	b = appendHeader(b, typeData, d.Object, d.Size)
	b = binary.BigEndian.AppendUint32(b, d.Index)
	return append(b, d.Blocks...), nil
}

// MarshalBinary implements Message.
func (r Refused) MarshalBinary() ([]byte, error) {
	if err := r.check(); err != nil {
		return nil, err
	}
	b := append([]byte{Version, typeRefused}, r.Object[:]...)
	return append(b, byte(r.Reason)), nil
}

// header begins a message that grows by more bytes.
func header(kind byte, object envelope.Name, size int64, more int) []byte {
	return appendHeader(make([]byte, 0, headerSize+more), kind, object, size)
}

func appendHeader(b []byte, kind byte, object envelope.Name, size int64) []byte {
	b = append(b, Version, kind)
	b = append(b, object[:]...)
	return binary.BigEndian.AppendUint64(b, uint64(size))
}

func appendTag(b []byte, tag *[32]byte) []byte {
	if tag == nil {
		return append(b, 0)
	}
	return append(append(b, 1), tag[:]...)
}

// reader takes fields off the front of a message. Once the bytes do not
// suffice, short is set and every field is zero.
type reader struct {
	rest  []byte
	short bool
}

func (r *reader) take(n int) []byte {
	if r.short = r.short || len(r.rest) < n; r.short {
		return make([]byte, n)
	}
	b := r.rest[:n]
	r.rest = r.rest[n:]
	return b
}

func (r *reader) all() []byte { return r.take(len(r.rest)) }

func (r *reader) u8() byte                { return r.take(1)[0] }
func (r *reader) u16() uint16             { return binary.BigEndian.Uint16(r.take(2)) }
func (r *reader) u32() uint32             { return binary.BigEndian.Uint32(r.take(4)) }
func (r *reader) name() (n envelope.Name) { copy(n[:], r.take(len(n))); return n }
func (r *reader) fill(b []byte)           { copy(b, r.take(len(b))) }

// i64 reads an unsigned number; one of 2^63 and more comes out negative, which
// every range check refuses.
func (r *reader) i64() int64 { return int64(binary.BigEndian.Uint64(r.take(8))) }

func (r *reader) tag() (*[32]byte, error) {
	switch r.u8() {
	case 0:
		return nil, nil
	case 1:
		t := new([32]byte)
		r.fill(t[:])
		return t, nil
	}
	return nil, errors.New("page tag: expected 0 (none) or 1 (present)")
}
