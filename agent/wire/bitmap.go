package wire

import "math/bits"

// Blocks is the number of blocks of an object of size bytes.
func Blocks(size int64) int { return int((size + BlockSize - 1) / BlockSize) }

// A Bitmap holds one bit for each block of an object: block i is bit i mod 8,
// least significant first, of byte i/8.
type Bitmap []byte

// NewBitmap makes the empty bitmap of an object of size bytes.
func NewBitmap(size int64) Bitmap { return make(Bitmap, (Blocks(size)+7)/8) }

// Has reports whether block i is set; it is false outside the bitmap.
func (b Bitmap) Has(i int) bool { return i >= 0 && i/8 < len(b) && b[i/8]&(1<<(i%8)) != 0 }

// Set sets block i. It panics outside the bitmap.
func (b Bitmap) Set(i int) { b[i/8] |= 1 << (i % 8) }

// Count is the number of blocks that are set.
func (b Bitmap) Count() (n int) {
	for _, x := range b {
		n += bits.OnesCount8(x)
	}
	return n
}

// Full reports whether all blocks of an object of size bytes are set.
func (b Bitmap) Full(size int64) bool { return b.Count() == Blocks(size) }
