package uplink

import (
	"errors"
	"fmt"
	"slices"
	"time"

	"roadseal/agent/spool"
	"roadseal/agent/wire"
	"roadseal/crypto/envelope"
)

// How long an object waits after it could not be uploaded; each further time
// doubles it, up to lastDelay. Only one that went up in vain waits longer.
const (
	firstDelay   = 30 * time.Second
	middleDelay  = 10 * time.Minute
	lastDelay    = time.Hour
	longestDelay = 24 * time.Hour
)

// handle takes one message from the broker. Whatever is not an answer about an
// object or a file in hand changes nothing.
func (s *session) handle(topic string, payload []byte) {
	m, err := wire.Parse(payload)
	if err != nil || topic != wire.DownTopic(s.o.Device) {
		return
	}
	switch m.(type) {
	case wire.Part, wire.Absent:
		s.progress = s.o.Downloads.Take(m) || s.progress
		return
	}
	t := s.find(m.Subject())
	if t == nil {
		return
	}
	s.heard = time.Now()
	switch m := m.(type) {
	case wire.Have:
		s.have(t, m)
	case wire.Receipt:
		s.receipt(t, m)
	case wire.Refused:
		s.refusals++
		s.putOff(t.entry, m.Reason.String(), delay(m.Reason))
		if m.Reason == wire.ReasonHash || m.Reason == wire.ReasonHeader {
			s.suspect(t.entry)
		}
	}
}

// receipt is the only way for an object to be delivered.
func (s *session) receipt(t *transfer, r wire.Receipt) {
	err := r.Verify(s.o.ReceiptKeys)
	if errors.Is(err, wire.ErrNotPinned) {
		err = fmt.Errorf("receipt is signed by a key that [collector] receipt_keys does not list: key id %s; hint: add the line that the collector logs at its start as receipt_key, if it is your collector", r.Key)
	}
	if err == nil {
		err = r.Matches(t.offer)
		if slices.ContainsFunc(t.former, func(o wire.Offer) bool { return r.Matches(o) == nil }) {
			return // the answer to the last offer follows
		}
	}
	if err != nil {
		t.refused = err
		s.report.badReceipt(err)
		s.log.warn("receipt refused", err.Error())
		return
	}
	if err := s.o.Queue.MarkStored(t.entry); err != nil {
		s.putOff(t.entry, "cannot note the receipt: "+err.Error(), firstDelay)
		return
	}
	s.progress, s.refusals = true, 0
	s.report.delivered(t.entry.Name, r.Time)
	s.releaseOne(t.entry.Name)
	if s.o.Receipt != nil {
		s.o.Receipt(r)
	}
}

// putOff defers an object; the others go on.
func (s *session) putOff(e spool.Entry, reason string, first time.Duration) {
	var spent *effort
	if t := s.find(e.Name); t != nil {
		spent = t.effort
	}
	s.report.putOff(e.Name, reason, first, spent)
	s.log.warn("object put off", reason)
	s.releaseOne(e.Name)
}

// release puts transfers back, with what was under way of them out of the
// window.
func (s *session) release(which func(*transfer) bool) {
	s.putBack(func(t *transfer) bool {
		if !which(t) {
			return false
		}
		s.flying -= len(t.flights)
		s.dirty = true
		return true
	})
}

func (s *session) releaseOne(name envelope.Name) {
	s.release(func(t *transfer) bool { return t.entry.Name == name })
}

// delay is the first one for each reason; see PROTOCOL.md.
func delay(r wire.Reason) time.Duration {
	switch r {
	case wire.ReasonBusy, wire.ReasonStorage:
		return firstDelay
	case wire.ReasonSize, wire.ReasonClass, wire.ReasonHeader, wire.ReasonHash, wire.ReasonClash:
		return lastDelay
	}
	return middleDelay
}
