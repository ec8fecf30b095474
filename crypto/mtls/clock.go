package mtls

import (
	"sync"
	"time"
)

// How far GNSS time is believed. It is not authenticated: whoever transmits
// on its frequency says what time it is. It can therefore never lower trusted
// time, and what it adds is bounded, needs a run of agreeing readings, and is
// forgotten at the next start.
const (
	gnssAhead    = 90 * 24 * time.Hour // at most so far ahead of signed time moved on
	gnssRun      = time.Minute         // readings must agree for so long …
	gnssReadings = 10                  // … and be so many
	gnssAgree    = 2 * time.Second     // agree: differ from the monotonic clock by no more
)

// A Clock tells the time that certificates are judged by where the wall clock
// cannot be trusted: a unit whose battery is dead starts in 1970, and whoever
// can set the wall clock could bring an expired certificate back.
//
// It is a lower bound of the true time: the floor, which is the latest of the
// build date and every time that came under a signature, moved on by the
// monotonic clock. GNSS time may add to it within bounds. The wall clock is
// not looked at. The monotonic clock stands still while the unit is suspended,
// so the bound then lags, and stays a bound.
//
// A Clock may be used by several goroutines.
type Clock struct {
	now   func() time.Time // only its monotonic reading is used
	start time.Time

	mu    sync.Mutex
	floor time.Time // durable part: the latest signed time
	base  instant   // floor, since it was raised
	told  bool      // base came under a signature in this start
	run   instant   // first reading of the current GNSS run
	count int       // readings in the run
	gnss  instant   // last reading of a run that was believed
}

// An instant says that it was utc when the monotonic clock stood at mono.
type instant struct {
	utc  time.Time
	mono time.Duration // since Clock.start
}

func (i instant) at(mono time.Duration) time.Time { return i.utc.Add(mono - i.mono) }

// NewClock starts a clock at floor: the latest of the build date and the
// signed time that was stored last, see Floor.
func NewClock(floor time.Time) *Clock { return newClock(floor, time.Now) }

func newClock(floor time.Time, now func() time.Time) *Clock {
	floor = plain(floor)
	return &Clock{now: now, start: now(), floor: floor, base: instant{utc: floor}}
}

// plain strips the monotonic reading, so that all arithmetic is on the value.
func plain(t time.Time) time.Time { return t.Round(0).UTC() }

// mono is the time since the clock was made. Both ends hold a monotonic
// reading, so Sub ignores what the wall clock did in between.
func (c *Clock) mono() time.Duration { return c.now().Sub(c.start) }

// Raise sets the floor to a time from a verified receipt or from signed
// metadata, and reports whether that raised it: Floor must then be stored.
func (c *Clock) Raise(t time.Time) bool {
	t = plain(t)
	c.mu.Lock()
	defer c.mu.Unlock()
	if !t.After(c.floor) {
		return false
	}
	c.floor = t
	if m := c.mono(); t.After(c.base.at(m)) {
		c.base, c.told = instant{utc: t, mono: m}, true
	}
	return true
}

// Plausible offers a time that a GNSS receiver has just said. It counts once
// ten readings over a minute agree with the monotonic clock within 2 s, and
// only if it is at most 90 days ahead of the floor moved on. A later run
// replaces an earlier one, so a receiver that was deceived recovers.
func (c *Clock) Plausible(gnss time.Time) {
	gnss = plain(gnss)
	c.mu.Lock()
	defer c.mu.Unlock()
	m := c.mono()
	if c.count == 0 || gnss.Sub(c.run.at(m)).Abs() > gnssAgree {
		c.run, c.count = instant{utc: gnss, mono: m}, 1
		return
	}
	c.count++
	if c.count < gnssReadings || m-c.run.mono < gnssRun {
		return
	}
	if !gnss.After(c.base.at(m).Add(gnssAhead)) {
		c.gnss = instant{utc: gnss, mono: m}
	}
}

// Now is a lower bound of the true time.
func (c *Clock) Now() time.Time {
	c.mu.Lock()
	defer c.mu.Unlock()
	m := c.mono()
	now := c.base.at(m)
	if g := c.gnss.at(m); g.After(now) {
		now = g
	}
	return now
}

// A Basis is what the time of a Clock stands on.
type Basis string

// Bases of time.
const (
	OnSigned Basis = "signed" // a signed time of this start, moved on
	OnGNSS   Basis = "gnss"   // a receiver's: it adds more than gnssAdds to the others
	OnFloor  Basis = "floor"  // the signed time, or the build date, that the clock began with, moved on
)

// gnssAdds is more than what a receiver adds where both are right: signed times
// are whole seconds and some time on their way.
const gnssAdds = time.Minute

// Basis is what Now stands on.
func (c *Clock) Basis() Basis {
	c.mu.Lock()
	defer c.mu.Unlock()
	m := c.mono()
	switch {
	case c.gnss.at(m).Sub(c.base.at(m)) > gnssAdds:
		return OnGNSS
	case c.told:
		return OnSigned
	}
	return OnFloor
}

// Floor is the part of the clock that outlives the process: the latest signed
// time. The time since then and GNSS time are not in it.
func (c *Clock) Floor() time.Time {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.floor
}
