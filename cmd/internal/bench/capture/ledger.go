package capture

import (
	"slices"
	"time"

	"roadseal/agent/wire"
	"roadseal/crypto/envelope"
)

// A Ledger adds up a capture: which blocks travelled, how often, and when each
// object had its first receipt.
type Ledger struct {
	DataMessages int   // DATA messages
	DataBytes    int64 // bytes of blocks in them
	Resent       int   // blocks that had travelled before
	Unreadable   int   // messages that are none of the protocol

	kills    []Kill
	objects  map[envelope.Name][]int     // for each block, how many kills there were when it last travelled, or never
	receipts map[envelope.Name]time.Time // of the first
	current  envelope.Name               // object of the last DATA
}

// A Kill is a process that was killed, and what it cost.
type Kill struct {
	Victim string `json:"victim"`
	Resent int    `json:"resent_blocks"` // that travelled before it and had to travel again
}

// never travelled.
const never = -1

// NewLedger makes an empty ledger.
func NewLedger() *Ledger {
	return &Ledger{objects: map[envelope.Name][]int{}, receipts: map[envelope.Name]time.Time{}}
}

// Add enters a message.
func (l *Ledger) Add(m Message) {
	msg, err := wire.Parse(m.Payload)
	if err != nil {
		l.Unreadable++
		return
	}
	switch msg := msg.(type) {
	case wire.Data:
		l.data(msg)
	case wire.Receipt:
		if _, known := l.receipts[msg.Object]; !known {
			l.receipts[msg.Object] = m.Time
		}
	}
}

func (l *Ledger) data(d wire.Data) {
	l.DataMessages++
	l.DataBytes += int64(len(d.Blocks))
	seen, known := l.objects[d.Object]
	if !known {
		seen = slices.Repeat([]int{never}, wire.Blocks(d.Size))
		l.objects[d.Object] = seen
	}
	if len(seen) != wire.Blocks(d.Size) {
		l.Unreadable++ // an object of two sizes
		return
	}
	for i := range wire.Blocks(int64(len(d.Blocks))) {
		block := int(d.Index) + i
		if seen[block] != never {
			l.resent(seen[block])
		}
		seen[block] = len(l.kills)
	}
	l.current = d.Object
}

// resent charges a block that travels again to the first kill after its last
// time: others may go first meanwhile, and be killed too. What was still under
// way when the process was killed comes after the kill, and is charged to it.
func (l *Ledger) resent(kills int) {
	l.Resent++
	if n := len(l.kills); n > 0 {
		l.kills[min(kills, n-1)].Resent++
	}
}

// Kill notes that a process was killed after all messages added so far.
func (l *Ledger) Kill(victim string) { l.kills = append(l.kills, Kill{Victim: victim}) }

// Kills are all that were noted, in order.
func (l *Ledger) Kills() []Kill { return l.kills }

// MidUpload reports whether the object of the last DATA has no receipt yet.
func (l *Ledger) MidUpload() bool {
	_, stored := l.receipts[l.current]
	return l.DataMessages > 0 && !stored
}

// Receipt is when the broker took in the first receipt for an object.
func (l *Ledger) Receipt(n envelope.Name) (time.Time, bool) {
	t, ok := l.receipts[n]
	return t, ok
}

// FirstReceipt is the earliest of all receipts; zero if there is none.
func (l *Ledger) FirstReceipt() (first time.Time) {
	for _, t := range l.receipts {
		if first.IsZero() || t.Before(first) {
			first = t
		}
	}
	return first
}

// Receipts is the number of objects that have a receipt.
func (l *Ledger) Receipts() int { return len(l.receipts) }
