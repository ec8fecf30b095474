package wire

import (
	"crypto/ed25519"
	"encoding/binary"
	"errors"
	"fmt"
	"time"

	"roadseal/crypto/envelope"
)

// A Receipt is the message STORED: a collector's signed word that an object is
// on durable storage. It names no device, so it is true for whoever shows it.
type Receipt struct {
	Key       KeyID    // of the key that signs
	Store     [16]byte // which store holds the object
	Object    envelope.Name
	Size      int64
	Tag       *[32]byte // as offered; nil = none
	Class     uint8     // as offered
	Time      time.Time // when it was made durable; whole seconds, 1970 to 9999
	Signature [ed25519.SignatureSize]byte
}

const (
	algorithmEd25519 = 1
	receiptContext   = "roadseal receipt v1\x00"
	maxTime          = 253402300799 // 9999-12-31T23:59:59Z
)

// ErrNotPinned is the error of Verify for a receipt whose key is none of those
// given.
var ErrNotPinned = errors.New("receipt is signed by a key that is not pinned")

// Subject implements Message.
func (r Receipt) Subject() envelope.Name { return r.Object }

// Message returns the bytes that the signature covers: the context string and
// STORED up to its signature.
func (r Receipt) Message() []byte { return r.unsigned([]byte(receiptContext)) }

// MarshalBinary implements Message.
func (r Receipt) MarshalBinary() ([]byte, error) {
	if err := r.check(); err != nil {
		return nil, err
	}
	return append(r.unsigned(nil), r.Signature[:]...), nil
}

func (r Receipt) unsigned(b []byte) []byte {
	b = append(b, Version, typeStored, algorithmEd25519)
	b = append(b, r.Key[:]...)
	b = append(b, r.Store[:]...)
	b = append(b, r.Object[:]...)
	b = binary.BigEndian.AppendUint64(b, uint64(r.Size))
	b = appendTag(append(b, r.Class), r.Tag)
	return binary.BigEndian.AppendUint64(b, uint64(r.Time.Unix()))
}

func (r *reader) receipt() (s Receipt, err error) {
	if a := r.u8(); a != algorithmEd25519 && !r.short {
		return s, fmt.Errorf("STORED: signature algorithm %d, expected %d (Ed25519)", a, algorithmEd25519)
	}
	r.fill(s.Key[:])
	r.fill(s.Store[:])
	s.Object, s.Size, s.Class = r.name(), r.i64(), r.u8()
	if s.Tag, err = r.tag(); err != nil {
		return s, err
	}
	s.Time = time.Unix(r.i64(), 0).UTC()
	r.fill(s.Signature[:])
	return s, nil
}

func (r Receipt) check() error {
	if err := checkSize("STORED", r.Size); err != nil {
		return err
	}
	if t := r.Time.Unix(); t < 0 || t > maxTime {
		return errors.New("STORED: time out of range, expected 1970 to 9999")
	}
	return checkClass("STORED", r.Class)
}

// Verify reports whether one of keys signed the receipt: ErrNotPinned if none
// of them has its key id, another error if the signature is wrong. What the
// receipt says is the business of Matches.
func (r Receipt) Verify(keys []PublicKey) error {
	err := fmt.Errorf("%w: key id %s", ErrNotPinned, r.Key)
	for _, k := range keys {
		if k.ID() != r.Key {
			continue
		}
		if ed25519.Verify(k[:], r.Message(), r.Signature[:]) {
			return nil
		}
		err = fmt.Errorf("receipt has a wrong signature: key id %s", r.Key)
	}
	return err
}

// Matches compares the receipt with what was offered, field by field. The
// error names the first field that differs.
func (r Receipt) Matches(o Offer) error {
	switch {
	case r.Object != o.Object:
		return errors.New("receipt is for another object")
	case r.Size != o.Size:
		return fmt.Errorf("receipt is for another size: %d bytes, offered %d", r.Size, o.Size)
	case r.Class != o.Class:
		return fmt.Errorf("receipt is for another retention class: %d, offered %d", r.Class, o.Class)
	case (r.Tag == nil) != (o.Tag == nil), r.Tag != nil && *r.Tag != *o.Tag:
		return errors.New("receipt is for another page tag")
	}
	return nil
}
