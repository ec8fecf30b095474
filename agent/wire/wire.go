package wire

import (
	"time"

	"errors"
	"fmt"

	"roadseal/crypto/envelope"
)

// Limits of the protocol. The grid and the version are fixed for ever: another
// grid is another version.
const (
	Version   = 1
	BlockSize = 61440   // bytes of one block of the grid; the last one of an object may be shorter
	MaxBlocks = 2       // blocks of one DATA message
	Window    = 8       // DATA messages that a vehicle may have under way, over all its objects
	Wide      = 32      // the same on a link that confirms each within Prompt
	HaveEvery = 4       // the collector answers every so many DATA messages of an object with HAVE
	MaxObject = 4 << 30 // bytes of one object; its bitmap has 8,739 bytes
	MaxClass  = 4       // retention classes are 1 (kept longest) to MaxClass
	MaxDown   = 65536   // remaining length of the largest MQTT packet that a vehicle accepts
	MaxUp     = 132 << 10
)

// Prompt is how soon a link confirms its messages that may have Wide of them
// under way.
const Prompt = 50 * time.Millisecond

// Limits of downloads.
const (
	MaxFile = 64 << 20 // bytes of one file
	MaxAsk  = 8        // blocks that one ASK wants, and that a vehicle may have outstanding
)

// The type byte of each message.
const (
	typeOffer   = 1
	typeHave    = 2
	typeData    = 3
	typeStored  = 4
	typeRefused = 5
	typeAsk     = 6
	typePart    = 7
	typeAbsent  = 8
)

// A Message is one of Offer, Have, Data, Receipt and Refused, which are about
// uploads, or of Ask, Part and Absent, which are about downloads.
type Message interface {
	// MarshalBinary returns the bytes of an MQTT payload, which share nothing
	// with the message. It fails on fields that Parse would refuse.
	MarshalBinary() ([]byte, error)
	// Subject is the SHA-256 of the object or the file that the message is
	// about; zero where it names none.
	Subject() envelope.Name
}

// An Offer says that the vehicle holds an object that it wants stored.
type Offer struct {
	Object envelope.Name
	Size   int64     // bytes, 1 to MaxObject
	Class  uint8     // retention class, 1 to MaxClass
	Tag    *[32]byte // tag of the logbook page that files it; nil = none
}

// A Have tells which blocks of an object the collector holds at the moment. It
// is not signed and proves nothing.
type Have struct {
	Object envelope.Name
	Size   int64
	Blocks Bitmap // exactly as many bits as the object has blocks
}

// A Data carries one block or several successive ones.
type Data struct {
	Object envelope.Name
	Size   int64
	Index  uint32 // of the first block
	Blocks []byte // whole blocks of the grid, at most MaxBlocks
}

// A Refused says that the collector does not take this object now. It is an
// unsigned hint: the vehicle offers again later and deletes nothing.
type Refused struct {
	Object envelope.Name
	Reason Reason
}

// Subject implements Message.
func (o Offer) Subject() envelope.Name { return o.Object }

// Subject implements Message.
func (h Have) Subject() envelope.Name { return h.Object }

// Subject implements Message.
func (d Data) Subject() envelope.Name { return d.Object }

// Subject implements Message.
func (r Refused) Subject() envelope.Name { return r.Object }

// Parse reads one message. Blocks of the result point into b. The error says
// what is wrong with the message and never what it holds.
func Parse(b []byte) (Message, error) {
	r := reader{rest: b}
	if v := r.u8(); v != Version {
		return nil, fmt.Errorf("message of protocol version %d, expected %d", v, Version)
	}
	m, check, err := r.body(r.u8())
	switch {
	case err != nil:
		return nil, err
	case r.short:
		return nil, errors.New("message is too short")
	case len(r.rest) > 0:
		return nil, fmt.Errorf("%d bytes after the end of the message", len(r.rest))
	}
	if err := check(); err != nil {
		return nil, err
	}
	return m, nil
}

// body reads what follows the type byte. A field that cannot be told apart from
// another form of itself (an absent tag, a reserved one) is an error here; the
// ranges of the rest are the business of check.
func (r *reader) body(kind byte) (m Message, check func() error, err error) {
	switch kind {
	case typeOffer:
		o := Offer{Object: r.name(), Size: r.i64(), Class: r.u8()}
		if o.Tag, err = r.tag(); err == nil && r.u16() != 0 {
			err = errors.New("OFFER: signature present, protocol version 1 has none")
		}
		return o, o.check, err
	case typeHave:
		h := Have{Object: r.name(), Size: r.i64(), Blocks: Bitmap(r.all())}
		return h, h.check, nil
	case typeData:
		d := Data{Object: r.name(), Size: r.i64(), Index: r.u32(), Blocks: r.all()}
		return d, d.check, nil
	case typeStored:
		s, err := r.receipt()
		return s, s.check, err
	case typeRefused:
		f := Refused{Object: r.name(), Reason: Reason(r.u8())}
		return f, f.check, nil
	case typeAsk:
		a := r.ask()
		return a, a.check, nil
	case typePart:
		p := Part{Request: r.request(), File: r.name(), Size: r.i64(), Index: r.u32(), Block: r.all()}
		return p, p.check, nil
	case typeAbsent:
		a := Absent{Request: r.request(), Reason: Absence(r.u8())}
		return a, a.check, nil
	}
	return nil, nil, fmt.Errorf("message of unknown type %d", kind)
}

func (o Offer) check() error {
	if err := checkSize("OFFER", o.Size); err != nil {
		return err
	}
	return checkClass("OFFER", o.Class)
}

func (h Have) check() error {
	if err := checkSize("HAVE", h.Size); err != nil {
		return err
	}
	n := Blocks(h.Size)
	if len(h.Blocks) != (n+7)/8 {
		return fmt.Errorf("HAVE: bitmap of %d bytes, expected %d for %d blocks", len(h.Blocks), (n+7)/8, n)
	}
	if n%8 != 0 && h.Blocks[n/8]>>(n%8) != 0 {
		return errors.New("HAVE: bits set for blocks that the object has not")
	}
	return nil
}

func (d Data) check() error {
	if err := checkSize("DATA", d.Size); err != nil {
		return err
	}
	if n := Blocks(d.Size); int64(d.Index) >= int64(n) {
		return fmt.Errorf("DATA: block %d of an object with %d blocks", d.Index, n)
	}
	left := d.Size - int64(d.Index)*BlockSize
	for k := int64(1); k <= MaxBlocks; k++ {
		if int64(len(d.Blocks)) == min(k*BlockSize, left) {
			return nil
		}
	}
	return fmt.Errorf("DATA: %d bytes at block %d, expected one or two whole blocks", len(d.Blocks), d.Index)
}

func (r Refused) check() error {
	if r.Reason == 0 {
		return errors.New("REFUSED: no reason given")
	}
	return nil
}

func checkSize(kind string, size int64) error {
	if size < 1 || size > MaxObject {
		return fmt.Errorf("%s: object size out of range, expected 1 to %d bytes", kind, int64(MaxObject))
	}
	return nil
}

func checkClass(kind string, class uint8) error {
	if class < 1 || class > MaxClass {
		return fmt.Errorf("%s: retention class %d, expected 1 to %d", kind, class, MaxClass)
	}
	return nil
}
