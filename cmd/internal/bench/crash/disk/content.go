package disk

import (
	"hash/maphash"
	"slices"
	"sync"
)

// A way is how much of a write a file keeps.
type way byte

const (
	whole way = iota
	torn      // the first half
	zeros     // its length only
)

// A piece is a write or truncate that a file has kept in some way.
type piece struct {
	op  *Op
	how way
}

// kept is what the file has kept of the bytes.
func (p piece) kept() []byte {
	switch p.how {
	case torn:
		return p.op.data[:len(p.op.data)/2]
	case zeros:
		return make([]byte, len(p.op.data))
	}
	return p.op.data
}

// A Content is the bytes of a file: given ones, and pieces over them in order.
// It holds no bytes of its own, so that thousands of states take little memory;
// equal pieces of one file make the same content.
type Content struct {
	given  []byte
	before *Content // nil for given bytes
	last   piece

	mu   sync.Mutex
	next map[piece]*Content
	sum  uint64 // 0 = not asked for
}

// Given is the content of a file that is there at the start.
func Given(b []byte) *Content { return &Content{given: b} }

// with is the content after one more piece.
func (c *Content) with(p piece) *Content {
	c.mu.Lock()
	defer c.mu.Unlock()
	n := c.next[p]
	if n == nil {
		n = &Content{before: c, last: p}
		if c.next == nil {
			c.next = map[piece]*Content{}
		}
		c.next[p] = n
	}
	return n
}

// bytes lays the content out.
func (c *Content) bytes() []byte {
	var pieces []piece
	for ; c.before != nil; c = c.before {
		pieces = append(pieces, c.last)
	}
	size := int64(len(c.given))
	for _, p := range pieces {
		size = max(size, p.op.at+int64(len(p.op.data)))
	}
	b := append(make([]byte, 0, size), c.given...)
	for _, p := range slices.Backward(pieces) {
		data, end := p.kept(), p.op.at
		if p.op.Kind == Write {
			end = max(int64(len(b)), end+int64(len(data)))
		}
		if grow := end - int64(len(b)); grow > 0 {
			clear(b[len(b):end])
		}
		b = b[:end]
		copy(b[p.op.at:], data)
	}
	return b
}

// hash tells contents apart; the seed is that of the recording.
func (c *Content) hash(seed maphash.Seed) uint64 {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.sum == 0 {
		c.sum = maphash.Bytes(seed, c.bytes())
	}
	return c.sum
}
