package wire

import (
	"encoding/binary"
	"errors"
	"fmt"
	"strings"

	"roadseal/crypto/envelope"
)

// A Request is the random number by which a vehicle knows the answers to what
// it asks for at the moment.
type Request [8]byte

// An Ask wants blocks of a file. Of blocks that the file has not, nothing is
// heard.
type Ask struct {
	Request Request
	File    envelope.Name // SHA-256 of the file, as the first PART said; zero before that
	First   uint32        // index of the first block that is wanted
	Wanted  uint8         // bit i = block First+i, least significant first; not 0
	Name    string        // of the file, see CheckName
}

// A Part carries one block of a file.
type Part struct {
	Request Request
	File    envelope.Name // SHA-256 of the whole file
	Size    int64         // of the whole file, bytes, 1 to MaxFile
	Index   uint32
	Block   []byte // BlockSize bytes, or what remains for the last one
}

// An Absent says that no PART answers this request.
type Absent struct {
	Request Request
	Reason  Absence
}

// An Absence is why no file comes. Values that this version does not know are
// valid and mean "not now".
type Absence uint8

// The reasons for ABSENT.
const (
	AbsentNone    Absence = 1 // there is no such file
	AbsentChanged Absence = 2 // the file is another one by now: begin anew
	AbsentLater   Absence = 3 // not now: ask again after 30 s
	AbsentAll     Absence = 4 // this collector serves no files at all
)

// Subject implements Message.
func (a Ask) Subject() envelope.Name { return a.File }

// Subject implements Message.
func (p Part) Subject() envelope.Name { return p.File }

// Subject implements Message: it names no file.
func (Absent) Subject() envelope.Name { return envelope.Name{} }

// MarshalBinary implements Message.
func (a Ask) MarshalBinary() ([]byte, error) {
	if err := a.check(); err != nil {
		return nil, err
	}
	b := append([]byte{Version, typeAsk}, a.Request[:]...)
	b = append(b, a.File[:]...)
	b = binary.BigEndian.AppendUint32(b, a.First)
	b = append(b, a.Wanted, byte(len(a.Name)))
	return append(b, a.Name...), nil
}

// MarshalBinary implements Message.
func (p Part) MarshalBinary() ([]byte, error) {
	if err := p.check(); err != nil {
		return nil, err
	}
	b := append(make([]byte, 0, 54+len(p.Block)), Version, typePart)
	b = append(b, p.Request[:]...)
	b = append(b, p.File[:]...)
	b = binary.BigEndian.AppendUint64(b, uint64(p.Size))
	b = binary.BigEndian.AppendUint32(b, p.Index)
	return append(b, p.Block...), nil
}

// MarshalBinary implements Message.
func (a Absent) MarshalBinary() ([]byte, error) {
	if err := a.check(); err != nil {
		return nil, err
	}
	b := append([]byte{Version, typeAbsent}, a.Request[:]...)
	return append(b, byte(a.Reason)), nil
}

func (r *reader) request() (q Request) { r.fill(q[:]); return q }

func (r *reader) ask() Ask {
	a := Ask{Request: r.request(), File: r.name(), First: r.u32(), Wanted: r.u8()}
	a.Name = string(r.take(int(r.u8())))
	return a
}

func (a Ask) check() error {
	switch {
	case a.Wanted == 0:
		return errors.New("ASK: wants no block")
	case a.First >= uint32(Blocks(MaxFile)):
		return fmt.Errorf("ASK: block %d of a file, expected less than %d", a.First, Blocks(MaxFile))
	}
	if err := CheckName(a.Name); err != nil {
		return fmt.Errorf("ASK: %w", err)
	}
	return nil
}

func (p Part) check() error {
	if p.Size < 1 || p.Size > MaxFile {
		return fmt.Errorf("PART: file size out of range, expected 1 to %d bytes", MaxFile)
	}
	if n := Blocks(p.Size); int64(p.Index) >= int64(n) {
		return fmt.Errorf("PART: block %d of a file with %d blocks", p.Index, n)
	}
	if want := min(BlockSize, p.Size-int64(p.Index)*BlockSize); int64(len(p.Block)) != want {
		return fmt.Errorf("PART: %d bytes at block %d, expected %d", len(p.Block), p.Index, want)
	}
	return nil
}

func (a Absent) check() error {
	if a.Reason == 0 {
		return errors.New("ABSENT: no reason given")
	}
	return nil
}

// MaxName is the length of the longest name of a file, in bytes.
const MaxName = 255

// CheckName reports whether name can be the name of a file of the release
// repositories: up to three parts of ASCII letters, digits, ".", "_" and "-",
// parted by "/", none empty or beginning with "."; MaxName bytes at most. So
// no name leads out of a folder or needs escaping in a URL. The error does not
// repeat the name.
func CheckName(name string) error {
	if len(name) > MaxName {
		return fmt.Errorf("name of a file: %d bytes, expected at most %d", len(name), MaxName)
	}
	parts := strings.Split(name, "/")
	if len(parts) > 3 {
		return fmt.Errorf("name of a file: %d parts, expected at most 3", len(parts))
	}
	for _, part := range parts {
		if part == "" || part[0] == '.' || strings.ContainsFunc(part, func(r rune) bool { return !inName(r) }) {
			return errors.New(`name of a file: expected parts of letters, digits, ".", "_" and "-" that do not begin with "."`)
		}
	}
	return nil
}

func inName(r rune) bool {
	return 'a' <= r && r <= 'z' || 'A' <= r && r <= 'Z' || '0' <= r && r <= '9' || r == '.' || r == '_' || r == '-'
}
