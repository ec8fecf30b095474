package uplink

import (
	"fmt"
	"slices"
	"time"

	"roadseal/agent/spool"
	"roadseal/agent/wire"
	"roadseal/hal/durable"
)

// A transfer is one object in hand.
type transfer struct {
	entry  spool.Entry
	offer  wire.Offer   // what goes up, and what a receipt has to match
	hello  []byte       // the same as bytes
	former []wire.Offer // what went up before the object was promoted
	blocks int
	file   durable.File // nil until the first block is read
	gone   wire.Bitmap  // blocks that went up at least once
	most   int          // blocks that a HAVE has shown at most
	effort *effort

	// The rest begins anew with each session.
	known    wire.Bitmap   // what the last HAVE said; nil before the first one
	full     bool          // it said that all blocks are there
	flights  []flight      // DATA messages neither confirmed nor lost, oldest first
	next     int           // every block below is known or under way
	top      int64         // number of the latest flight that arrived
	asks     []int64       // for each OFFER not known to be answered: flights numbered below went up before it
	due      time.Time     // when to offer again if something is awaited
	patience time.Duration // from one offer to the next
	strikes  int           // offers in a row without news
	refused  error         // what was wrong with the last receipt
}

// A flight is one DATA message.
type flight struct {
	first, blocks int
	number        int64 // in the order of the session, from 1
	at            time.Time
}

// An effort is what an object without a receipt has cost so far. It outlives
// the transfer of an object that is put off.
type effort struct {
	flights int // DATA messages that went up, of those whose fate is known
	vain    int // times that this was too much
}

// newTransfer fails on an entry that cannot be offered.
func newTransfer(e spool.Entry, spent *effort) (*transfer, error) {
	if e.Class < 1 || e.Class > wire.MaxClass {
		return nil, fmt.Errorf("retention class %d, expected 1 to %d", e.Class, wire.MaxClass)
	}
	t := &transfer{effort: spent}
	if err := t.set(e); err != nil {
		return nil, err
	}
	t.blocks, t.gone = wire.Blocks(e.Size), wire.NewBitmap(e.Size)
	t.restart()
	return t, nil
}

// set takes what the queue says of the object.
func (t *transfer) set(e spool.Entry) (err error) {
	t.entry, t.offer = e, wire.Offer{Object: e.Name, Size: e.Size, Class: uint8(e.Class)}
	t.hello, err = t.offer.MarshalBinary()
	return err
}

// promote offers an object that has got a longer class meanwhile, of which
// everything but that goes on. A receipt for the old one may be on its way: it is
// true, and does not count.
func (t *transfer) promote(e spool.Entry) error {
	t.former = append(t.former, t.offer)
	return t.set(e)
}

// restart forgets what the collector said in an earlier session.
func (t *transfer) restart() {
	t.known, t.full, t.flights, t.next, t.top, t.asks = nil, false, nil, 0, 0, nil
	t.patience, t.strikes, t.refused = firstPatience, 0, nil
}

// awaits reports whether the collector owes an answer.
func (t *transfer) awaits() bool { return t.known == nil || t.full || len(t.flights) > 0 }

// missing finds the next blocks to send, at most limit; n is 0 if there are
// none or the collector has not yet said what it has.
func (t *transfer) missing(limit int) (first, n int) {
	if t.known == nil {
		return 0, 0
	}
	for t.next < t.blocks && !t.needed(t.next) {
		t.next++
	}
	for n < limit && t.next+n < t.blocks && t.needed(t.next+n) {
		n++
	}
	return t.next, n
}

func (t *transfer) needed(block int) bool {
	if t.known.Has(block) {
		return false
	}
	for _, f := range t.flights {
		if block >= f.first && block < f.first+f.blocks {
			return false
		}
	}
	return true
}

// read returns n blocks from the file; the last block may be short.
func (t *transfer) read(open func(spool.Entry) (durable.File, error), buf []byte, first, n int) ([]byte, error) {
	if t.file == nil {
		f, err := open(t.entry)
		if err != nil {
			return nil, err
		}
		t.file = f
	}
	offset := int64(first) * wire.BlockSize
	buf = buf[:min(int64(n)*wire.BlockSize, t.entry.Size-offset)]
	if got, err := t.file.ReadAt(buf, offset); got < len(buf) {
		return nil, fmt.Errorf("%d of %d bytes at %d: %w", got, len(buf), offset, err)
	}
	return buf, nil
}

// have takes the collector's word of what it holds. It returns how many
// flights that confirms and how many it shows to be lost, and whether it says
// anything new.
//
// The collector handles messages and answers in order. So what went up before a
// flight that arrived, and is not there, is lost; an OFFER before such a flight
// has been answered; and a HAVE that says nothing new answers the oldest OFFER
// that has not: what went up before that one, and is not there, is lost, too. A
// HAVE that the broker repeats can make this wrong. That costs some repeated
// data, nothing else.
func (t *transfer) have(blocks wire.Bitmap) (confirmed, lost int, news bool) {
	news = t.known == nil
	if news && len(t.asks) > 0 {
		t.asks = t.asks[1:] // nothing went up before it, so it answers an OFFER
	}
	for i := range t.known {
		if t.known[i]&^blocks[i] != 0 {
			t.next = 0 // the collector has forgotten blocks
		}
		news = news || blocks[i]&^t.known[i] != 0
	}
	t.known = blocks
	for _, f := range t.flights {
		if t.arrived(f) {
			t.top = f.number
		}
	}
	horizon := t.top
	if !news && len(t.asks) > 0 {
		horizon, t.asks = max(horizon, t.asks[0]), t.asks[1:]
	}
	t.asks = slices.DeleteFunc(t.asks, func(mark int64) bool { return mark <= t.top })
	kept := t.flights[:0]
	for _, f := range t.flights {
		switch {
		case t.arrived(f):
			confirmed++
		case f.number < horizon:
			lost++
			t.next = min(t.next, f.first)
		default:
			kept = append(kept, f)
		}
	}
	t.flights = kept
	return confirmed, lost, news
}

func (t *transfer) arrived(f flight) bool {
	return t.known.Has(f.first) && t.known.Has(f.first+f.blocks-1)
}

// close ends the use of the file; its pages leave the page cache, where they
// would only push out others.
func (t *transfer) close() {
	if t.file != nil {
		t.file.Forget()
		t.file.Close() // opened for reading: nothing can be lost
		t.file = nil
	}
}
