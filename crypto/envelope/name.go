package envelope

import (
	"encoding/hex"
	"errors"
)

// Name names a sealed object: the SHA-256 of the sealed file. As text it is
// 64 lower-case hexadecimal digits, what sha256sum prints.
type Name [32]byte

// String returns the 64 hexadecimal digits.
func (n Name) String() string { return hex.EncodeToString(n[:]) }

// MarshalText implements encoding.TextMarshaler.
func (n Name) MarshalText() ([]byte, error) { return []byte(n.String()), nil }

// UnmarshalText implements encoding.TextUnmarshaler; it is ParseName.
func (n *Name) UnmarshalText(b []byte) (err error) {
	*n, err = ParseName(string(b))
	return err
}

// ParseName reads what String prints and nothing else: upper case is refused,
// so that an object has one name only.
func ParseName(s string) (n Name, err error) {
	if len(s) != hex.EncodedLen(len(n)) {
		return Name{}, errName
	}
	if _, err := hex.Decode(n[:], []byte(s)); err != nil || n.String() != s {
		return Name{}, errName
	}
	return n, nil
}

var errName = errors.New("not an object name: expected 64 lower-case hexadecimal digits")
