package seal

import (
	"crypto/cipher"
	"hash"
	"io"

	"roadseal/crypto/internal/filekey"
	"roadseal/crypto/recipient"
	"roadseal/crypto/record"
)

// ObjectWith is Object with a random source that a test chooses.
func ObjectWith(random io.Reader, dst io.Writer, content io.Reader, rec record.Record, to []recipient.Key, slots int) (Sealed, error) {
	t := stockTools()
	t.random = random
	return t.object(dst, content, rec, to, slots)
}

// SelfTestWith is SelfTest on tools that a test has broken; nil is the stock
// one.
func SelfTestWith(h func() hash.Hash, a func(*filekey.Key, [16]byte) (cipher.AEAD, error)) error {
	t := stockTools()
	if h != nil {
		t.hash = h
	}
	if a != nil {
		t.aead = a
	}
	return t.selfTest()
}

// KnownObject is what SelfTest seals, with the seed that opens it.
func KnownObject() (object, seed []byte, s Sealed, err error) {
	object, s, err = stockTools().knownObject()
	return object, knownSeed(), s, err
}

// Below draws a number below n as the shuffle does.
func Below(random io.Reader, n int) (int, error) { return tools{random: random}.below(n) }
