package profile

import (
	"time"
)

// second is the span over which brokers count.
const second = time.Second

// A Pace keeps the connections of one client, one after the other, within the
// limits of rate and bandwidth: in no second does more go than they allow,
// whatever was sent over an earlier connection, and what goes is spread over
// the second. With such a limit it also lets a second pass between two CONNECT.
// A nil *Pace limits nothing. Its methods may be called from any goroutine.
type Pace struct {
	limits Limits
	turn   chan struct{} // holds an element while somebody waits or counts
	sent   []packet      // of the last second, oldest first
	free   time.Time     // no message before
	dialed time.Time     // the last CONNECT
}

type packet struct {
	at      time.Time
	bytes   int64
	message bool
}

// NewPace returns nil if there is nothing to pace.
func NewPace(l Limits) *Pace {
	if l.Rate == 0 && l.Bandwidth == 0 {
		return nil
	}
	return &Pace{limits: l, turn: make(chan struct{}, 1)}
}

// Packet waits until a packet of so many bytes may go, and counts it. message
// says that it is a PUBLISH: others, which are few and small, take bandwidth
// but no place. It reports false if done was closed first.
func (p *Pace) Packet(done <-chan struct{}, bytes int, message bool) bool {
	return p.await(done, func(now time.Time) time.Time {
		if message && now.Before(p.free) {
			now = p.free
		}
		return p.within(now, int64(bytes), message)
	}, func(now time.Time) {
		p.sent = append(p.sent, packet{now, int64(bytes), message})
		if message {
			p.free = now.Add(p.share(int64(bytes)))
		}
	})
}

// Connect waits until a CONNECT may go.
func (p *Pace) Connect(done <-chan struct{}) bool {
	return p.await(done, func(now time.Time) time.Time {
		if next := p.dialed.Add(second); !p.dialed.IsZero() && next.After(now) {
			return next
		}
		return now
	}, func(now time.Time) { p.dialed = now })
}

// await lets one caller after the other wait until the time that when says, and
// count the time at which it did go on: a late waker must not bring the packet
// before it closer to the next.
func (p *Pace) await(done <-chan struct{}, when func(now time.Time) time.Time, count func(now time.Time)) bool {
	if p == nil {
		return true
	}
	select {
	case p.turn <- struct{}{}:
	case <-done:
		return false
	}
	defer func() { <-p.turn }()
	if wait := time.Until(when(time.Now())); wait > 0 {
		t := time.NewTimer(wait)
		defer t.Stop()
		select {
		case <-t.C:
		case <-done:
			return false
		}
	}
	count(time.Now())
	return true
}

// within is the first time from now on at which a packet fits into the second
// that ends with it. One that is larger than a second's bandwidth fits alone.
func (p *Pace) within(now time.Time, bytes int64, message bool) time.Time {
	for len(p.sent) > 0 && !p.sent[0].at.Add(second).After(now) {
		p.sent = p.sent[1:]
	}
	messages := 0
	for _, s := range p.sent {
		bytes += s.bytes
		if s.message {
			messages++
		}
	}
	for _, s := range p.sent {
		crowded := p.limits.Bandwidth > 0 && bytes > int64(p.limits.Bandwidth)
		if message && p.limits.Rate > 0 && messages >= p.limits.Rate {
			crowded = true
		}
		if !crowded {
			break
		}
		now = s.at.Add(second)
		bytes -= s.bytes
		if s.message {
			messages--
		}
	}
	return now
}

// share is the part of a second that a message takes up.
func (p *Pace) share(bytes int64) (d time.Duration) {
	if p.limits.Rate > 0 {
		d = second / time.Duration(p.limits.Rate)
	}
	if b := int64(p.limits.Bandwidth); b > 0 {
		d = max(d, time.Duration(float64(bytes)/float64(b)*float64(second)))
	}
	return d
}
