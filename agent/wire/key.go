package wire

import (
	"crypto/ed25519"
	"crypto/sha256"
	"encoding/base64"
	"encoding/hex"
	"errors"
	"strings"
)

// A PublicKey checks receipts: an Ed25519 key (RFC 8032).
type PublicKey [ed25519.PublicKeySize]byte

// A KeyID names a receipt key: the first 8 bytes of SHA-256 of its 32 bytes.
// It helps to find a key and is no proof of anything.
type KeyID [8]byte

const keyPrefix = "ed25519:"

// ParsePublicKey reads "ed25519:" and the key in standard base64, with or
// without padding.
func ParsePublicKey(s string) (PublicKey, error) {
	text, found := strings.CutPrefix(s, keyPrefix)
	if !found {
		return PublicKey{}, errKey
	}
	raw, err := base64.RawStdEncoding.Strict().DecodeString(strings.TrimSuffix(text, "="))
	if err != nil || len(raw) != ed25519.PublicKeySize || strings.ContainsAny(text, "\r\n") {
		return PublicKey{}, errKey
	}
	return PublicKey(raw), nil
}

var errKey = errors.New(`not a receipt key: expected "ed25519:" and 44 characters of base64`)

// String returns what ParsePublicKey reads, with padding.
func (k PublicKey) String() string { return keyPrefix + base64.StdEncoding.EncodeToString(k[:]) }

// ID is the name of the key in receipts.
func (k PublicKey) ID() KeyID {
	h := sha256.Sum256(k[:])
	return KeyID(h[:8])
}

// String returns 16 lower-case hexadecimal digits.
func (id KeyID) String() string { return hex.EncodeToString(id[:]) }

// MarshalText implements encoding.TextMarshaler; it is String.
func (k PublicKey) MarshalText() ([]byte, error) { return []byte(k.String()), nil }

// UnmarshalText implements encoding.TextUnmarshaler; it is ParsePublicKey.
func (k *PublicKey) UnmarshalText(b []byte) (err error) {
	*k, err = ParsePublicKey(string(b))
	return err
}
