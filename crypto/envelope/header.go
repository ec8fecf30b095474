package envelope

import (
	"encoding/base64"
	"errors"
	"fmt"
	"io"
	"strings"
)

// ErrHeader says that bytes are not the header of a sealed object. Errors of
// the reader itself never match it.
var ErrHeader = errors.New("not a sealed object")

// The lines of a header have one length each, so that it can be read without
// reading ahead. See FORMAT.md.
const (
	intro       = "age-encryption.org/v1\n"
	stanzaStart = "-> mlkem768x25519 "
	macStart    = "--- "
	encSize     = 1120 // ML-KEM-768 ciphertext 1088, X25519 share 32
	bodySize    = 32   // file key 16, tag 16
	macSize     = 32
	macLineSize = len(macStart) + (macSize*8+5)/6 + 1
	argEnd      = len(stanzaStart) + (encSize*8+5)/6 // where the first line of a stanza ends
)

// The canonical base64 of age: no padding, and no bits left over.
var encoding = base64.RawStdEncoding.Strict()

// Header is what stands before the first chunk of a sealed object.
type Header struct {
	Stanzas []Stanza // 1 to MaxSlots
	MAC     [macSize]byte
	Nonce   [16]byte // of the payload
}

// Stanza is the file key wrapped for one reader, or a dummy: no one without a
// key can tell.
type Stanza struct {
	Enc  [encSize]byte  // HPKE encapsulation
	Body [bodySize]byte // sealed file key
}

// Signed is what the MAC covers: everything up to and including "---".
func (h *Header) Signed() []byte {
	b := make([]byte, 0, HeaderSize(len(h.Stanzas)))
	b = append(b, intro...)
	for i := range h.Stanzas {
		b = append(b, stanzaStart...)
		b = encoding.AppendEncode(b, h.Stanzas[i].Enc[:])
		b = append(b, '\n')
		b = encoding.AppendEncode(b, h.Stanzas[i].Body[:])
		b = append(b, '\n')
	}
	return append(b, macStart[:3]...)
}

// Marshal is the header as it stands in the file, payload nonce included:
// HeaderSize(len(h.Stanzas)) bytes.
func (h *Header) Marshal() []byte {
	b := append(h.Signed(), ' ')
	b = encoding.AppendEncode(b, h.MAC[:])
	b = append(b, '\n')
	return append(b, h.Nonce[:]...)
}

// ReadHeader reads the header of an age v1 file with 1 to MaxSlots stanzas, all
// of type mlkem768x25519, and not a byte more. What it accepts, Marshal gives
// back byte for byte. An error that is the file's fault matches ErrHeader.
func ReadHeader(r io.Reader) (*Header, error) {
	if err := readIntro(r); err != nil {
		return nil, err
	}
	h := new(Header)
	var buf [StanzaSize]byte // longer than any line
	for {
		line := buf[:macLineSize] // the last line, or a piece of a stanza
		if err := fill(r, line); err != nil {
			return nil, err
		}
		if rest, ok := strings.CutPrefix(string(line), macStart); ok {
			if len(h.Stanzas) == 0 {
				return nil, headerFault("no stanza")
			}
			if !decodeLine(h.MAC[:], rest) {
				return nil, headerFault("the closing line is malformed")
			}
			if err := fill(r, h.Nonce[:]); err != nil {
				return nil, err
			}
			return h, nil
		}
		number := len(h.Stanzas) + 1
		if number > MaxSlots {
			return nil, headerFault("more than %d stanzas", MaxSlots)
		}
		if !strings.HasPrefix(string(line), stanzaStart) {
			return nil, foreignStanza(number, string(line))
		}
		if err := fill(r, buf[macLineSize:]); err != nil {
			return nil, err
		}
		var s Stanza
		if !decodeLine(s.Enc[:], string(buf[len(stanzaStart):argEnd+1])) || !decodeLine(s.Body[:], string(buf[argEnd+1:])) {
			return nil, headerFault("stanza %d is malformed", number)
		}
		h.Stanzas = append(h.Stanzas, s)
	}
}

func readIntro(r io.Reader) error {
	var line [len(intro)]byte
	n, err := io.ReadFull(r, line[:])
	got := string(line[:n])
	switch {
	case err != nil && err != io.EOF && err != io.ErrUnexpectedEOF:
		return err
	case got == intro:
		return nil
	case got == "":
		return headerFault("the file is empty")
	case strings.HasPrefix(intro, got):
		return headerFault("the file ends within it")
	case strings.HasPrefix(got, "-----BEGIN AGE"):
		return headerFault("an armored age file; `age -d` opens it")
	}
	return headerFault("not an age v1 file")
}

// fill reads all of p; a file that ends first is cut short.
func fill(r io.Reader, p []byte) error {
	_, err := io.ReadFull(r, p)
	if err == io.EOF || err == io.ErrUnexpectedEOF {
		return headerFault("the file ends within it")
	}
	return err
}

// decodeLine reads a whole line that holds exactly dst, in canonical base64.
func decodeLine(dst []byte, line string) bool {
	text, ok := strings.CutSuffix(line, "\n")
	// The decoder skips CR and LF: what held one comes out too short.
	if !ok || len(text) != encoding.EncodedLen(len(dst)) {
		return false
	}
	n, err := encoding.Decode(dst, []byte(text))
	return err == nil && n == len(dst)
}

// foreignStanza says what stands in place of a stanza of ours.
func foreignStanza(number int, line string) error {
	rest, ok := strings.CutPrefix(line, "-> ")
	if !ok {
		return headerFault("stanza %d is malformed", number)
	}
	kind := rest
	if end := strings.IndexAny(rest, " \n"); end >= 0 {
		kind = rest[:end]
	}
	return headerFault("stanza %d is of type %q, only mlkem768x25519 is allowed", number, kind)
}

func headerFault(format string, args ...any) error {
	return fmt.Errorf("%w: %s", ErrHeader, fmt.Sprintf(format, args...))
}
