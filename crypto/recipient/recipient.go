// Package recipient holds the public keys of readers: those whom an object is
// sealed to. They are age recipients of the post-quantum kind, age1pq1….
//
// Side: any.
package recipient

import (
	"errors"
	"fmt"
	"strings"

	"roadseal/crypto/internal/bech32"
	"roadseal/crypto/internal/xwing"
)

const (
	hrp    = "age1pq"
	prefix = hrp + "1"
)

// Key is a reader's public key, checked when it was made. Keys compare with ==
// and can key a map. The zero Key is nobody's.
type Key struct{ raw string }

// New reads the 1,216 bytes of a public key: ML-KEM-768, then X25519. A key of
// another length, one that is not reduced and one of low order are errors.
func New(b []byte) (Key, error) {
	if _, err := xwing.PublicKey(b); err != nil {
		return Key{}, fmt.Errorf("not a reader key: %w", err)
	}
	return Key{string(b)}, nil
}

// Parse reads a key as text. The error says what the text is instead, with a
// hint, and never repeats any of it: it may be a secret pasted by mistake.
func Parse(s string) (Key, error) {
	if err := checkKind(s); err != nil {
		return Key{}, err
	}
	_, b, err := bech32.Decode(s)
	if err != nil {
		return Key{}, fmt.Errorf("not a reader key: %w; copy it again, whole", err)
	}
	return New(b)
}

// checkKind tells a reader key from what people paste in its place.
func checkKind(s string) error {
	trimmed := strings.TrimSpace(s)
	upper := strings.ToUpper(trimmed)
	switch {
	case strings.HasPrefix(upper, "AGE-SECRET-KEY-"), strings.HasPrefix(upper, "AGE-PLUGIN-"), strings.Contains(upper, "PRIVATE KEY"):
		return errors.New("this is a secret key, not a reader key: do not keep it here, and replace it if others may have seen it; " +
			"`roadseal-open recipient` prints the reader key that belongs to it")
	case trimmed == "":
		return fmt.Errorf("a reader key is missing: it begins with %s", prefix)
	case trimmed != s:
		return errors.New("there are spaces or line breaks around the reader key")
	case strings.HasPrefix(s, prefix) && (strings.Contains(s, "…") || strings.Contains(s, "...")):
		return errors.New("only the beginning of a reader key: put the whole line here that `roadseal-open recipient` prints")
	case strings.HasPrefix(s, prefix):
		return nil
	case strings.HasPrefix(upper, strings.ToUpper(prefix)):
		return errors.New("a reader key is written in lower case")
	case strings.HasPrefix(s, "age1"):
		return fmt.Errorf("this age key is not a post-quantum one, which begins with %s: make a key with `age-keygen -pq` or `roadseal-open keygen`", prefix)
	case strings.HasPrefix(s, "ssh-"):
		return errors.New("this is an SSH key: make a reader key with `age-keygen -pq` or `roadseal-open keygen`")
	}
	return fmt.Errorf("not a reader key: it does not begin with %s", prefix)
}

// String is the key as text: age1pq1 and 1,952 characters more. It is empty
// for the zero Key.
func (k Key) String() string {
	if k.IsZero() {
		return ""
	}
	return bech32.Encode(hrp, []byte(k.raw))
}

// Bytes is a copy of the 1,216 bytes that New reads.
func (k Key) Bytes() []byte { return []byte(k.raw) }

// IsZero reports whether k is the zero Key.
func (k Key) IsZero() bool { return k.raw == "" }

// Equal reports whether two keys are the same.
func (k Key) Equal(other Key) bool { return k == other }

// MarshalText implements encoding.TextMarshaler. The zero Key is an error.
func (k Key) MarshalText() ([]byte, error) {
	if k.IsZero() {
		return nil, errors.New("a reader key is missing")
	}
	return []byte(k.String()), nil
}

// UnmarshalText implements encoding.TextUnmarshaler; it is Parse.
func (k *Key) UnmarshalText(b []byte) (err error) {
	*k, err = Parse(string(b))
	return err
}
