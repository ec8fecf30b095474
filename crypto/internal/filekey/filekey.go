// Package filekey derives from an age file key what the rest of the file hangs
// on: the header's MAC and the AEAD of the payload, with the nonces of its
// chunks (C2SP age specification, sections "Header MAC" and "Payload").
//
// Side: any.
package filekey

import (
	"crypto/cipher"
	"crypto/hkdf"
	"crypto/hmac"
	"crypto/sha256"
	"encoding/binary"

	"golang.org/x/crypto/chacha20poly1305"
)

// Key is the symmetric key of one file, drawn for it alone.
type Key [16]byte

// MAC is the header's MAC over everything up to and including "---".
func (k *Key) MAC(signed []byte) (mac [32]byte, err error) {
	macKey, err := hkdf.Key(sha256.New, k[:], nil, "header", len(mac))
	if err != nil {
		return mac, err
	}
	h := hmac.New(sha256.New, macKey)
	h.Write(signed)
	h.Sum(mac[:0])
	return mac, nil
}

// Payload is the AEAD of the chunks, under the header's payload nonce.
func (k *Key) Payload(nonce [16]byte) (cipher.AEAD, error) {
	key, err := hkdf.Key(sha256.New, k[:], nonce[:], "payload", chacha20poly1305.KeySize)
	if err != nil {
		return nil, err
	}
	return chacha20poly1305.New(key)
}

// Nonce is the nonce of a chunk: an 11-byte big-endian counter, then 1 for the
// last chunk and 0 for the others.
type Nonce [chacha20poly1305.NonceSize]byte

// Set makes n the nonce of a chunk, counted from 0.
func (n *Nonce) Set(chunk int64, last bool) {
	*n = Nonce{}
	binary.BigEndian.PutUint64(n[3:], uint64(chunk))
	if last {
		n[len(n)-1] = 1
	}
}
