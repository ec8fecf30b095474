package downlink

import (
	"crypto/rand"
	"crypto/sha256"
	"fmt"
	"io/fs"
	"math/bits"
	"time"

	"roadseal/agent/wire"
	"roadseal/crypto/envelope"
	"roadseal/firmware/fetch"
)

const (
	windowIdle = wire.MaxAsk // blocks asked for that have not come
	windowBusy = 1           // … while an upload is in hand
	notNow     = 30 * time.Second
	maxAnew    = 4 // times that a file is begun anew
)

// A file is one call of Fetch.
type file struct {
	name    string
	limit   int64
	request wire.Request
	hash    envelope.Name // of the whole file, as the first PART said; zero before
	data    []byte        // nil before the first PART
	have    wire.Bitmap   // blocks that have come
	asked   wire.Bitmap   // blocks that have been asked for and may still come
	next    int           // every block below has come or been asked for
	sent    time.Time     // when blocks were asked for while none was outstanding; zero if there is nothing to measure
	due     time.Time     // when to ask again without news
	rest    time.Time     // nothing is asked for before
	idle    time.Duration // connected time without a new block
	notNow  bool          // was the last word
	anew    int           // times that the file was begun anew
	done    chan struct{} // closed when data or err is the result
	err     error
}

func newFile(name string, limit int64) *file {
	f := &file{name: name, limit: limit, done: make(chan struct{})}
	f.begin()
	return f
}

// begin starts with the first block. Answers to an earlier request are no
// answers any more. That there is one block is all that is known.
func (f *file) begin() {
	rand.Read(f.request[:]) // never fails
	f.hash, f.data = envelope.Name{}, nil
	f.have, f.asked = wire.NewBitmap(1), wire.NewBitmap(1)
	f.forget()
}

// forget takes what was asked for and has not come as lost.
func (f *file) forget() {
	clear(f.asked)
	f.next, f.sent = 0, time.Time{}
}

// outstanding is the number of blocks that were asked for and have not come.
func (f *file) outstanding() (n int) {
	for i := range f.asked {
		n += bits.OnesCount8(f.asked[i] &^ f.have[i])
	}
	return n
}

func (f *file) blocks() int { return max(1, wire.Blocks(int64(len(f.data)))) }

// ask wants the next blocks if there is room for half a window of them. Nil is
// none.
func (f *file) ask(now time.Time, busy bool) []byte {
	window := windowIdle
	if busy {
		window = windowBusy
	}
	under := f.outstanding()
	room := window - under
	for f.next < f.blocks() && (f.have.Has(f.next) || f.asked.Has(f.next)) {
		f.next++
	}
	if f.next == f.blocks() || 2*room < window {
		return nil
	}
	a := wire.Ask{Request: f.request, File: f.hash, First: uint32(f.next), Name: f.name}
	for i := range min(wire.MaxAsk, f.blocks()-f.next) {
		if block := f.next + i; room > 0 && !f.have.Has(block) && !f.asked.Has(block) {
			a.Wanted |= 1 << i
			f.asked.Set(block)
			room--
		}
	}
	f.sent = time.Time{}
	if under == 0 {
		f.sent = now
	}
	payload, err := a.MarshalBinary()
	if err != nil {
		return nil // not with a name that was checked
	}
	return payload
}

// part takes a block of the file in hand. One that was not asked for is as good
// as one that was.
func (d *Downlink) part(p wire.Part, now time.Time) (news bool) {
	f := d.file
	if p.File == (envelope.Name{}) {
		return false // zeros say that the hash is not known
	}
	if f.data == nil {
		if p.Size > f.limit {
			d.end(fetch.TooLong(f.name, f.limit))
			return false
		}
		f.hash, f.data = p.File, make([]byte, p.Size)
		f.have, f.asked = wire.NewBitmap(p.Size), append(f.asked, wire.NewBitmap(p.Size)[1:]...)
	}
	if p.File != f.hash || p.Size != int64(len(f.data)) || f.have.Has(int(p.Index)) {
		return false
	}
	copy(f.data[int64(p.Index)*wire.BlockSize:], p.Block)
	f.have.Set(int(p.Index))
	f.idle, f.notNow = 0, false
	if !f.sent.IsZero() {
		d.patience = min(max(firstPatience, 2*now.Sub(f.sent)), lastPatience)
		f.sent = time.Time{}
	}
	f.due = now.Add(d.patience)
	switch {
	case !f.have.Full(p.Size):
	case sha256.Sum256(f.data) != f.hash:
		d.anew()
	default:
		d.end(nil)
	}
	return true
}

// late says why a file has not come in time. Who has not said anything of it may
// not be there at all.
func (f *file) late() error {
	switch {
	case f.notNow:
		return fmt.Errorf("%s: %w", f.name, fetch.NotNow)
	case f.data == nil && f.anew == 0:
		return fmt.Errorf("%s: %w", f.name, fetch.NoAnswer)
	}
	return fetch.TooSlow(f.name)
}

// absent takes the word that nothing comes.
func (d *Downlink) absent(why wire.Absence, now time.Time) {
	switch f := d.file; why {
	case wire.AbsentNone:
		d.end(fmt.Errorf("%s: %w", f.name, fs.ErrNotExist))
	case wire.AbsentChanged:
		d.anew()
	case wire.AbsentAll:
		d.end(fmt.Errorf("%s: %w", f.name, fetch.NoRepository))
	default:
		f.notNow = true
		f.forget()
		f.rest = now.Add(notNow)
	}
}

// anew begins with the first block of what the file is now.
func (d *Downlink) anew() {
	f := d.file
	if f.anew++; f.anew > maxAnew {
		d.end(fmt.Errorf("%s: the file that comes is another one again and again", f.name))
		return
	}
	f.begin()
}
