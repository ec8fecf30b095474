package uplink

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	"roadseal/agent/spool"
	"roadseal/agent/wire"
	"roadseal/crypto/envelope"
	"roadseal/hal/watchdog"
)

const (
	maxInHand     = 4
	firstPatience = 2 * time.Second // without news, then offer again
	lastPatience  = 10 * time.Second
	receiptTime   = 10 * time.Second // from "all there" to the receipt
	maxStrikes    = 5                // offers without news, then put the object off
	maxSilence    = 15 * time.Second // of the collector while it owes an answer
	maxRefusals   = 32               // in a row
)

// A session is the use of one link.
type session struct {
	*Uplink
	link     Link
	flying   int       // DATA messages under way
	number   int64     // of the last DATA message
	heard    time.Time // last word of the collector, or when it last owed none
	dirty    bool      // which objects to have in hand must be looked at again
	more     bool      // the window may have room for another DATA message
	wake     time.Time // when a deferred object's time has come
	later    time.Time // when downloads have something to do
	refusals int       // since the last block or object was taken
	progress bool
	buf      [wire.MaxBlocks * wire.BlockSize]byte
	out      [2][]byte // DATA messages, in turns: the link has the last one
}

func (s *session) run(ctx context.Context) error {
	s.o.Downloads.Begin()
	for _, t := range s.hand {
		if err := s.ask(t); err != nil {
			return err
		}
	}
	timer := time.NewTimer(0)
	defer timer.Stop()
	for {
		watchdog.Beat(ctx)
		s.drain()
		if err := s.step(); err != nil {
			return err
		}
		timer.Reset(time.Until(s.deadline()))
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-s.link.Done():
			s.drain()
			return s.link.Err()
		case m := <-s.link.Messages():
			s.handle(m.Topic, m.Payload)
		case <-s.o.Queue.Changed():
			s.dirty = true
		case <-s.o.Downloads.Wake():
		case <-timer.C:
		}
	}
}

// drainMost bounds drain: who talks without end must not keep the session from
// its other work.
const drainMost = 64

// drain takes what the collector has said by now.
func (s *session) drain() {
	for range drainMost {
		select {
		case m := <-s.link.Messages():
			s.handle(m.Topic, m.Payload)
		default:
			return
		}
	}
}

// step does all that can be done now.
func (s *session) step() error {
	if err := s.overdue(time.Now()); err != nil {
		return err
	}
	if s.dirty || !s.wake.IsZero() && !time.Now().Before(s.wake) {
		s.dirty = false
		if err := s.choose(); err != nil {
			return err
		}
	}
	if err := s.fill(); err != nil {
		return err
	}
	return s.download()
}

// deadline is when step has something to do though nothing happens, or a beat
// is due.
func (s *session) deadline() time.Time {
	if s.dirty || s.more { // an object that was put off has made room
		return time.Now()
	}
	at := time.Now().Add(watchdog.Every)
	earlier := func(t time.Time) {
		if t.Before(at) {
			at = t
		}
	}
	for _, t := range []time.Time{s.wake, s.later} {
		if !t.IsZero() {
			earlier(t)
		}
	}
	for _, t := range s.hand {
		if t.awaits() {
			earlier(t.due)
			earlier(s.heard.Add(maxSilence))
		}
	}
	return at
}

// overdue offers again what waits too long, and gives up on a silent collector,
// on one that refuses everything, and on an object that gets nowhere.
func (s *session) overdue(now time.Time) error {
	if s.refusals >= maxRefusals {
		return errors.New("collector refuses one object after another")
	}
	if !slices.ContainsFunc(s.hand, (*transfer).awaits) {
		s.heard = now
	}
	if now.Sub(s.heard) >= maxSilence {
		return fmt.Errorf("collector is silent: is one running that owns shard %s?", wire.Shard(s.o.Device))
	}
	for _, t := range s.hand {
		if !t.awaits() || now.Before(t.due) {
			continue
		}
		if t.strikes++; t.strikes >= maxStrikes {
			err := t.nowhere()
			s.putOff(t.entry, err.Error(), firstDelay)
			return err
		}
		if t.strikes > 1 && len(t.flights) > 0 {
			s.limit = max(1, s.limit/2) // a slow link: keep less under way
		}
		t.patience = min(2*t.patience, lastPatience)
		if err := s.ask(t); err != nil {
			return err
		}
	}
	return nil
}

// nowhere says what it looks like when offering again has not helped.
func (t *transfer) nowhere() error {
	switch {
	case t.refused != nil:
		return t.refused
	case t.full:
		return errors.New("collector says that it has all of an object and sends no receipt that counts")
	case t.known == nil:
		return errors.New("collector does not answer an offer")
	}
	return errors.New("no block of an object arrives: is the broker's message limit below 132 KiB?")
}

// choose takes in hand the first objects of the queue that are not put off. One
// that has fallen behind makes room if nothing of it is under way: what the
// collector has of it stays there.
func (s *session) choose() error {
	wanted, risen, rank := s.wanted()
	s.release(func(t *transfer) bool { // evicted from the queue
		_, pending := rank[t.entry.Name]
		return !pending
	})
	for _, e := range risen {
		t := s.find(e.Name)
		if err := errors.Join(t.promote(e), s.ask(t)); err != nil {
			return err
		}
	}
	wanted = slices.DeleteFunc(wanted, func(e spool.Entry) bool { return s.find(e.Name) != nil })
	if len(s.hand)+len(wanted) > maxInHand {
		s.release(func(t *transfer) bool { return rank[t.entry.Name] >= maxInHand && !t.full && len(t.flights) == 0 })
	}
	room := maxInHand - len(s.hand)
	for _, e := range wanted[:min(room, len(wanted))] {
		t, err := newTransfer(e, s.report.effort(e.Name))
		if err != nil {
			s.putOff(e, "cannot offer: "+err.Error(), firstDelay)
			s.dirty = true // there may be others, and a time to look again
			continue
		}
		s.hand = append(s.hand, t)
		if err := s.ask(t); err != nil {
			return err
		}
	}
	slices.SortFunc(s.hand, func(a, b *transfer) int { return rank[a.entry.Name] - rank[b.entry.Name] })
	s.report.setInHand(len(s.hand))
	return nil
}

// wanted returns the first objects of the queue that are not put off, those in
// hand that have another class now, and the place of each object in hand and of
// the first among all that are not put off.
func (s *session) wanted() (first, risen []spool.Entry, rank map[envelope.Name]int) {
	rank = map[envelope.Name]int{}
	found, place, now := 0, 0, time.Now()
	s.wake = time.Time{}
	for e := range s.o.Queue.Pending() {
		if until := s.report.putOffUntil(e.Name); until.After(now) {
			if s.wake.IsZero() || until.Before(s.wake) {
				s.wake = until
			}
			continue
		}
		if t := s.find(e.Name); t != nil {
			found++
			rank[e.Name] = place
			if t.entry.Class != e.Class {
				risen = append(risen, e)
			}
		}
		if place < maxInHand {
			first = append(first, e)
			rank[e.Name] = place
		}
		if place++; place >= maxInHand && found == len(s.hand) {
			break
		}
	}
	return first, risen, rank
}

func (s *session) find(name envelope.Name) *transfer {
	for _, t := range s.hand {
		if t.entry.Name == name {
			return t
		}
	}
	return nil
}
