package gnss

import "time"

// Options configures a Decoder. Now and Fix must be set.
type Options struct {
	// Now reads a monotonic clock of any origin.
	Now func() time.Duration
	// Floor is a trusted lower bound of UTC. Nil, or a zero time: none is
	// known, and neither a week rollover nor a far future is seen.
	Floor func() time.Time
	// Fix receives the fixes in order, from within Write, Flush and Reset.
	Fix func(Fix)
	// Answer receives what a u-blox receiver says to a command, given by
	// class and id, from within Write, Flush and Reset. Nil ignores it.
	Answer func(command uint16, acknowledged bool)
}

// Stats counts what a Decoder saw.
type Stats struct {
	Sentences   int64 // with a checksum that holds
	BadChecksum int64 // with one that does not, or is not two hexadecimal digits
	Unchecked   int64 // ended without a checksum: never make a fix
	TooLong     int64 // without an end in 256 bytes
	Broken      int64 // begun, then cut off by `$` or a byte that no sentence holds
	Ignored     int64 // of Sentences: another talker or formatter
	Frames      int64 // of UBX and RTCM, with a checksum that holds
	Fixes       int64 // epochs that yielded a fix
	NoFix       int64 // epochs that yielded none

	InView int64 // satellites in view, as the GSV of the last epoch with any said
	Signal int64 // of the strongest of them, dB-Hz
}

// A Decoder reads a receiver's stream. It is for one goroutine.
type Decoder struct {
	o        Options
	made     time.Duration
	in       framer
	epoch    epoch
	sinceRMC int     // epochs without an RMC or NAV-PVT since the last that had one
	joined   bool    // that last one had GGA, GNS or GLL as well
	dated    instant // the last date and time said by RMC, ZDA or NAV-PVT
	spoofed  bool    // the receiver's last word on it
	sky      sky
	times    watch
	places   watch
	still    stillness
	stats    Stats
}

// rmcMemory is how many epochs in a row may lack an RMC before GGA and GNS
// decide: longer than any line noise.
const rmcMemory = 10

// NewDecoder returns a decoder; the zero of Fix.Mono is now.
func NewDecoder(o Options) *Decoder {
	return &Decoder{
		o:        o,
		made:     o.Now(),
		epoch:    epoch{time: timeOfDay{key: noTime}},
		sinceRMC: rmcMemory,
		times:    watch{check: checkTime},
		places:   watch{check: checkPlace},
	}
}

// Write takes the next bytes of the stream, cut anywhere. It never fails and
// does not allocate. Fixes come out as soon as the next epoch begins.
func (d *Decoder) Write(p []byte) (int, error) {
	n := len(p)
	for len(p) > 0 {
		p = p[d.in.fill(p):]
		d.drain(false)
	}
	return n, nil
}

// Flush yields the fix of the epoch in hand without waiting for the next epoch:
// call it when the line falls silent. Later sentences of that epoch make no
// second fix. An epoch that still waits for its RMC goes on waiting.
func (d *Decoder) Flush() {
	d.drain(true)
	d.settle(false)
}

// Reset is Flush for a line that was cut: it also ends the epoch and forgets a
// sentence received in part, so that the head of one sentence is never joined
// to the tail of another, which an eight-bit checksum would let pass in one of
// 256 cases.
func (d *Decoder) Reset() {
	d.drain(true)
	d.settle(true)
	d.epoch = epoch{time: timeOfDay{key: noTime}}
	d.spoofed = false
	d.in.reset()
}

// Stats returns the counters so far.
func (d *Decoder) Stats() Stats { return d.stats }

func (d *Decoder) now() time.Duration { return d.o.Now() - d.made }

func (d *Decoder) drain(idle bool) {
	for {
		t, b := d.in.next(idle)
		switch t {
		case tokenMore:
			return
		case tokenSentence:
			d.check(b)
		case tokenUnchecked:
			d.stats.Unchecked++
		case tokenBadEnd:
			d.stats.BadChecksum++
		case tokenTooLong:
			d.stats.TooLong++
		case tokenFrame:
			d.stats.Frames++
			if b[0] == ubxSync1 {
				d.ubx(b)
			}
		case tokenBroken:
			if len(b) > 1 { // not the first of `$$`
				d.stats.Broken++
			}
		}
	}
}

func (d *Decoder) check(s []byte) {
	body, ok := verify(s)
	if !ok {
		d.stats.BadChecksum++
		return
	}
	d.stats.Sentences++
	if !d.sentence(body) {
		d.stats.Ignored++
	}
}

// joinable are the bits of GGA, GNS and GLL.
const joinable = (1<<(3*talkers) - 1) << (formatGGA * talkers)

// enter returns the epoch that what has a time belongs to, ending the epoch
// before if it begins one.
func (d *Decoder) enter(format, from int, t timeOfDay) *epoch {
	bit := uint64(1) << (format*talkers + from)
	e := &d.epoch
	if !e.takes(bit, t.key) {
		before := e.time.key
		d.settle(true)
		*e = newEpoch(d.now())
		e.repeat = before != noTime && t.key == before
	}
	e.seen |= bit
	e.bad = e.bad || t.bad
	if e.time.key == noTime {
		e.time = t
	}
	return e
}

// settle yields the fix of the epoch, or decides that it has none. An epoch that
// is not over may still get what it lacks.
func (d *Decoder) settle(over bool) {
	e := &d.epoch
	if !e.open {
		return
	}
	if !e.done {
		d.try(e, over)
	}
	if !over {
		return
	}
	d.sky.tell(&d.stats)
	if e.status != 0 {
		d.joined = e.seen&joinable != 0
	} else {
		d.sinceRMC = min(d.sinceRMC+1, rmcMemory)
	}
}

// try yields the fix of the epoch if it has one.
func (d *Decoder) try(e *epoch, over bool) {
	// Where RMC shares its epoch with others and is missing, it was lost or is
	// said less often; where it never does, GGA would make a second fix, as
	// would one said twice.
	byRMC := d.sinceRMC < rmcMemory && (!over || !d.joined || e.repeat)
	at, ok := e.place(byRMC)
	switch {
	case ok:
		e.done = true
		f := e.fix(at)
		d.judge(e, &f)
		d.stats.Fixes++
		d.o.Fix(f)
	case over:
		d.stats.NoFix++
	}
}
