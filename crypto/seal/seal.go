// Package seal is the only way from plaintext to what leaves the vehicle: it
// makes sealed objects, which are age v1 files that end in a record.
// crypto/envelope/FORMAT.md specifies them. Nothing here can open one.
//
// Side: gate.
package seal

import (
	"crypto/cipher"
	"crypto/rand"
	"crypto/sha256"
	"errors"
	"fmt"
	"hash"
	"io"

	"roadseal/crypto/envelope"
	"roadseal/crypto/internal/filekey"
	"roadseal/crypto/recipient"
	"roadseal/crypto/record"
)

// Sealed tells what Object wrote.
type Sealed struct {
	Name   envelope.Name
	Size   int64 // bytes of the sealed file
	Length int64 // bytes of the content
}

// Object seals content, to its end, to the readers in to and writes the sealed
// object to dst. It fills in rec.Length and rec.Nonce. The object has slots
// stanzas, 1 to envelope.MaxSlots; those without a reader are dummies. Its
// plaintext length is on the grid of text streams if rec.MediaType begins with
// "text/", else on that of all others.
//
// Memory is bounded and does not depend on the content. After an error, what
// was written to dst is worthless and must be dropped: a seal is never resumed
// but begun again, under a new file key. Errors of content and dst are wrapped.
func Object(dst io.Writer, content io.Reader, rec record.Record, to []recipient.Key, slots int) (Sealed, error) {
	return stockTools().object(dst, content, rec, to, slots)
}

// tools is what sealing takes from elsewhere: SelfTest replaces the random
// source, tests break the rest.
type tools struct {
	random io.Reader
	hash   func() hash.Hash
	aead   func(*filekey.Key, [16]byte) (cipher.AEAD, error)
}

func stockTools() tools {
	return tools{random: rand.Reader, hash: sha256.New, aead: (*filekey.Key).Payload}
}

func (t tools) object(dst io.Writer, content io.Reader, rec record.Record, to []recipient.Key, slots int) (Sealed, error) {
	rec.Length = 0
	if _, err := rec.Marshal(); err != nil {
		return Sealed{}, err // before anything is written
	}
	if err := checkReaders(to, slots); err != nil {
		return Sealed{}, err
	}
	var key filekey.Key
	defer clear(key[:])
	if err := t.draw(key[:], rec.Nonce[:]); err != nil {
		return Sealed{}, err
	}
	header, err := t.header(&key, to, slots)
	if err != nil {
		return Sealed{}, err
	}
	aead, err := t.aead(&key, header.Nonce)
	if err != nil {
		return Sealed{}, err
	}
	out := &output{dst: dst, hash: t.hash()}
	plain := &plaintext{content: content, rec: rec}
	if err := out.write(header.Marshal()); err != nil {
		return Sealed{}, err
	}
	if err := sealChunks(out, plain, aead); err != nil {
		return Sealed{}, err
	}
	s := Sealed{Size: out.size, Length: plain.rec.Length}
	out.hash.Sum(s.Name[:0])
	return s, nil
}

func checkReaders(to []recipient.Key, slots int) error {
	switch {
	case slots < 1 || slots > envelope.MaxSlots:
		return fmt.Errorf("cannot seal with %d stanzas: expected 1 to %d", slots, envelope.MaxSlots)
	case len(to) == 0:
		return errors.New("cannot seal: no reader is given, so nobody could open it")
	case len(to) > slots:
		return fmt.Errorf("cannot seal to %d readers: an object has %d stanzas", len(to), slots)
	}
	seen := make(map[recipient.Key]int, len(to))
	for i, k := range to {
		if k.IsZero() {
			return fmt.Errorf("cannot seal: reader %d is empty", i+1)
		}
		if first, ok := seen[k]; ok {
			return fmt.Errorf("cannot seal: readers %d and %d are the same", first, i+1)
		}
		seen[k] = i + 1
	}
	return nil
}

// draw fills each buffer from the random source.
func (t tools) draw(buffers ...[]byte) error {
	for _, b := range buffers {
		if _, err := io.ReadFull(t.random, b); err != nil {
			return fmt.Errorf("cannot draw random bytes: %w", err)
		}
	}
	return nil
}

// sealChunks reads plain to its end. One buffer serves all chunks, each sealed
// in place; whether a chunk is the last is known before it is sealed.
func sealChunks(out *output, plain *plaintext, aead cipher.AEAD) error {
	buf := make([]byte, envelope.ChunkSize+envelope.ChunkTag)
	defer clear(buf)
	var nonce filekey.Nonce
	for i := int64(0); !plain.ended(); i++ {
		n, err := io.ReadFull(plain, buf[:envelope.ChunkSize])
		if err != nil && err != io.ErrUnexpectedEOF {
			return err
		}
		nonce.Set(i, plain.ended())
		if err := out.write(aead.Seal(buf[:0], nonce[:], buf[:n], nil)); err != nil {
			return err
		}
	}
	return nil
}

// output counts and hashes what it writes.
type output struct {
	dst  io.Writer
	hash hash.Hash
	size int64
}

func (o *output) write(p []byte) error {
	o.hash.Write(p)
	o.size += int64(len(p))
	n, err := o.dst.Write(p)
	if err == nil && n < len(p) {
		err = io.ErrShortWrite
	}
	if err != nil {
		return fmt.Errorf("cannot write the sealed object: %w", err)
	}
	return nil
}
