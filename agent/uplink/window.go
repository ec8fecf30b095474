package uplink

import (
	"time"

	"roadseal/agent/wire"
)

// fill sends a DATA message if the window has room: always for the first object
// in hand that has something to send. It notes whether there may be more; what
// came in is handled first, since a paced link takes its time for each message.
func (s *session) fill() (err error) {
	s.more = false
	if s.flying < s.limit {
		s.more, err = s.sendOne()
	}
	return err
}

// sendOne sends one DATA message, if there is one to send.
func (s *session) sendOne() (sent bool, err error) {
	for _, t := range s.hand {
		first, n := t.missing(s.o.BlocksPerMessage)
		if n == 0 {
			continue
		}
		data, err := t.read(s.o.Queue.Open, s.buf[:], first, n)
		if err != nil {
			s.putOff(t.entry, "cannot read the object: "+err.Error(), firstDelay)
			s.suspect(t.entry)
			return true, nil // the hand has changed: look again
		}
		return true, s.send(t, flight{first: first, blocks: n}, data)
	}
	return false, nil
}

func (s *session) send(t *transfer, f flight, data []byte) error {
	msg := wire.Data{Object: t.entry.Name, Size: t.entry.Size, Index: uint32(f.first), Blocks: data}
	s.number++
	turn := &s.out[s.number%2]
	payload, err := msg.AppendBinary((*turn)[:0])
	if err != nil {
		return err
	}
	*turn = payload
	if err := s.link.Publish(wire.UpTopic(s.o.Device), payload); err != nil {
		return err
	}
	s.flying++
	f.number, f.at = s.number, time.Now()
	if len(t.flights) == 0 {
		t.due = time.Now().Add(t.patience)
	}
	t.flights = append(t.flights, f)
	again := t.gone.Has(f.first)
	for i := range f.blocks {
		t.gone.Set(f.first + i)
	}
	s.report.sent(len(data), again)
	return nil
}

// ask offers an object, which makes the collector say what it has of it.
func (s *session) ask(t *transfer) error {
	if err := s.link.Publish(wire.UpTopic(s.o.Device), t.hello); err != nil {
		return err
	}
	t.asks = append(t.asks, s.number+1)
	wait := t.patience
	if t.full {
		wait = receiptTime
	}
	t.due = time.Now().Add(wait)
	return nil
}

// have moves the window on by what the collector says it has.
func (s *session) have(t *transfer, h wire.Have) {
	if h.Size != t.entry.Size {
		return // not an answer to our offer
	}
	first := t.known == nil
	widest := t.widest(h.Blocks)
	confirmed, lost, news := t.have(h.Blocks)
	s.flying -= confirmed + lost
	// What arrived just before the last link was lost shows only now.
	there := h.Blocks.Count()
	if confirmed > 0 || first && there > t.most {
		s.progress, s.refusals = true, 0
	}
	t.most = max(t.most, there)
	t.effort.flights += confirmed + lost
	if s.vain(t) {
		return
	}
	if news {
		if !first && t.strikes == 0 {
			s.limit = min(2*s.limit, widest)
		}
		t.strikes, t.patience = 0, firstPatience
	}
	switch full := h.Blocks.Full(h.Size); {
	case full && !t.full:
		t.due = time.Now().Add(receiptTime)
		t.full = true
	case !full:
		if news || confirmed+lost > 0 || t.full { // an old HAVE again is no news
			t.due = time.Now().Add(t.patience)
		}
		t.full = false
	}
}

// widest is how many messages may be under way on a link that confirms blocks
// now. A window that is confirmed at once is too small to keep the link busy.
func (t *transfer) widest(blocks wire.Bitmap) int {
	for _, f := range t.flights { // the oldest first
		if blocks.Has(f.first) {
			if time.Since(f.at) < wire.Prompt {
				return wire.Wide
			}
			break
		}
	}
	return wire.Window
}

// vain puts off an object that goes up again and again without a receipt: a
// HAVE costs a liar nothing and must not cost the vehicle its data volume. An
// honest collector takes a message once, and once more after it has lost what
// was not yet stored. One that has all of it may still send the receipt.
func (s *session) vain(t *transfer) bool {
	whole := (t.blocks + s.o.BlocksPerMessage - 1) / s.o.BlocksPerMessage
	if t.known.Full(t.entry.Size) || t.effort.flights <= 3*whole+4*wire.Window {
		return false
	}
	t.effort.flights = 2*whole + 3*wire.Window // the next try may bring all of it once
	wait := min(middleDelay<<min(t.effort.vain, 10), longestDelay)
	t.effort.vain++
	s.putOff(t.entry, "it goes up again and again and no receipt comes", wait)
	return true
}
