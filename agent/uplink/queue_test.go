package uplink_test

import (
	"bytes"
	"context"
	"crypto/sha256"
	"iter"
	"math/rand/v2"
	"slices"
	"sync"

	"roadseal/agent/spool"
	"roadseal/agent/wire"
	"roadseal/crypto/envelope"
	"roadseal/hal/durable"
)

// A queue is a spool in memory. The objects stand in upload order.
type queue struct {
	mu      sync.Mutex
	order   []spool.Entry
	bytes   map[envelope.Name][]byte
	stored  []envelope.Name // as marked
	changed chan struct{}
	broken  map[envelope.Name]error // of reading
	mark    error                   // of MarkStored
	marking func(envelope.Name)     // before an object is marked
	verify  func(context.Context, spool.Entry) (bool, error)
	checks  []envelope.Name // calls of Verify
	open    int             // files
	forgot  int             // calls of Forget
}

func newQueue() *queue {
	return &queue{bytes: map[envelope.Name][]byte{}, changed: make(chan struct{}, 1), broken: map[envelope.Name]error{}}
}

// add puts an object of random bytes at a place in the order, -1 for its end.
func (q *queue) add(at int, size int64) spool.Entry {
	b := make([]byte, size)
	r := rand.NewChaCha8([32]byte{byte(size), byte(size >> 8), byte(size >> 16), byte(len(q.bytes))})
	r.Read(b)
	e := spool.Entry{Name: sha256.Sum256(b), Size: size}
	e.Class = 1 + len(q.bytes)%wire.MaxClass
	q.mu.Lock()
	defer q.mu.Unlock()
	q.bytes[e.Name] = b
	if at < 0 {
		at = len(q.order)
	}
	q.order = slices.Insert(slices.Clone(q.order), at, e)
	q.touch()
	return e
}

func (q *queue) touch() {
	select {
	case q.changed <- struct{}{}:
	default:
	}
}

func (q *queue) remove(name envelope.Name) {
	q.order = slices.DeleteFunc(slices.Clone(q.order), func(e spool.Entry) bool { return e.Name == name })
	q.touch()
}

func (q *queue) Pending() iter.Seq[spool.Entry] { return slices.Values(q.pending()) }

func (q *queue) pending() []spool.Entry {
	q.mu.Lock()
	defer q.mu.Unlock()
	return q.order
}

func (q *queue) Changed() <-chan struct{} { return q.changed }

func (q *queue) Open(e spool.Entry) (durable.File, error) {
	q.mu.Lock()
	defer q.mu.Unlock()
	if err := q.broken[e.Name]; err != nil {
		return nil, err
	}
	q.open++
	return &file{q: q, Reader: bytes.NewReader(q.bytes[e.Name])}, nil
}

func (q *queue) MarkStored(e spool.Entry) error {
	q.mu.Lock()
	defer q.mu.Unlock()
	if q.mark != nil {
		return q.mark
	}
	if q.marking != nil {
		q.marking(e.Name)
	}
	if slices.ContainsFunc(q.order, func(o spool.Entry) bool { return o.Name == e.Name && o.Class < e.Class }) {
		return nil
	}
	q.stored = append(q.stored, e.Name)
	q.remove(e.Name)
	return nil
}

// promote gives an object class 1 and the first place, also one that was
// delivered.
func (q *queue) promote(e spool.Entry) spool.Entry {
	q.mu.Lock()
	defer q.mu.Unlock()
	q.remove(e.Name)
	e.Class = 1
	q.order = slices.Insert(q.order, 0, e)
	q.stored = slices.DeleteFunc(q.stored, func(n envelope.Name) bool { return n == e.Name })
	return e
}

// Verify compares the bytes with the name, as the spool does, or asks the hook.
func (q *queue) Verify(ctx context.Context, e spool.Entry) (bool, error) {
	q.mu.Lock()
	q.checks = append(q.checks, e.Name)
	verify, intact := q.verify, sha256.Sum256(q.bytes[e.Name]) == e.Name
	q.mu.Unlock()
	if verify != nil {
		return verify(ctx, e)
	}
	q.mu.Lock()
	defer q.mu.Unlock()
	if !intact {
		q.remove(e.Name)
	}
	return intact, nil
}

func (q *queue) marked() []envelope.Name {
	q.mu.Lock()
	defer q.mu.Unlock()
	return slices.Clone(q.stored)
}

type file struct {
	*bytes.Reader
	durable.File
	q *queue
}

func (f *file) Read(p []byte) (int, error)             { return f.Reader.Read(p) }
func (f *file) ReadAt(p []byte, at int64) (int, error) { return f.Reader.ReadAt(p, at) }
func (f *file) Size() (int64, error)                   { return f.Reader.Size(), nil }
func (f *file) Forget()                                { f.q.forgot++ }
func (f *file) Close() error                           { f.q.mu.Lock(); f.q.open--; f.q.mu.Unlock(); return nil }
