package open

import (
	"crypto/cipher"
	"errors"
	"fmt"
	"io"

	"roadseal/crypto/envelope"
	"roadseal/crypto/internal/filekey"
)

// payload gives access to any chunk of an object.
type payload struct {
	src   io.ReaderAt
	start int64 // of the first chunk
	size  int64 // of the whole file
	plain int64
	aead  cipher.AEAD
}

// chunks is how many there are; an empty plaintext has an empty one.
func (p *payload) chunks() int64 {
	return (p.size-p.start-1)/(envelope.ChunkSize+envelope.ChunkTag) + 1
}

// open reads and authenticates chunk i, counted from 0, with its place in the
// file: that it is the last if it is the last. The plaintext is in buf, which
// has room for a full chunk and its tag.
func (p *payload) open(buf []byte, i int64) ([]byte, error) {
	sealed, err := p.read(buf, i)
	if err != nil {
		return nil, err
	}
	var nonce filekey.Nonce
	nonce.Set(i, i == p.chunks()-1)
	plain, err := p.aead.Open(sealed[:0], nonce[:], sealed, nil)
	if err != nil {
		return nil, errAltered
	}
	return plain, nil
}

// last is open for the last chunk. It tells a file that ends after a chunk
// that should not be the last from one that was altered.
func (p *payload) last() ([]byte, error) {
	buf := make([]byte, envelope.ChunkSize+envelope.ChunkTag)
	i := p.chunks() - 1
	plain, err := p.open(buf, i)
	if err != errAltered {
		return plain, err
	}
	sealed, err := p.read(buf, i)
	if err != nil {
		return nil, err
	}
	var nonce filekey.Nonce
	nonce.Set(i, false)
	if _, err := p.aead.Open(sealed[:0], nonce[:], sealed, nil); err == nil {
		return nil, errTruncated
	}
	return nil, errAltered
}

func (p *payload) read(buf []byte, i int64) ([]byte, error) {
	begin := p.start + i*(envelope.ChunkSize+envelope.ChunkTag)
	sealed := buf[:min(envelope.ChunkSize+envelope.ChunkTag, p.size-begin)]
	n, err := p.src.ReadAt(sealed, begin)
	switch {
	case n == len(sealed): // with io.EOF or without
		return sealed, nil
	case err == nil || errors.Is(err, io.EOF):
		return nil, errTruncated
	}
	return nil, fmt.Errorf("cannot read the object: %w", err)
}
