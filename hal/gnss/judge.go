package gnss

import (
	"math"
	"time"
)

const (
	// rollover is the span of the ten-bit GPS week number.
	rollover = 1024 * 7 * 24 * time.Hour
	// floorSlack is how far a true time may lie before the trusted floor: the
	// floor rises with a receipt while a fix that was said before is still in
	// hand, and the clock of the collector that signed it may be fast.
	floorSlack = 24 * time.Hour
	// timeSlack is how far the receiver's time and the monotonic clock may
	// part between two fixes: late reading of a full buffer. To it come
	// 1/1000 of the span, twice what the kernel may slew the clock by.
	timeSlack = 5 * time.Second
	// jumpDistance in metres and jumpSpeed in m/s: a step above both is no
	// drive.
	jumpDistance, jumpSpeed = 200, 100
	// believeAfter is how many fixes in a row must agree with each other,
	// against the last one believed, until they are: the car was shipped,
	// the receiver's clock was wrong before.
	believeAfter = 5
	// frozenDistance in metres is how far the speed said may have carried the
	// car while the position stayed the same to the last digit. Speeds below
	// frozenSpeed, m/s, count as standing: receivers pin the position of a car
	// that hardly moves.
	frozenDistance, frozenSpeed = 50, 2
	// earthRadius is the mean radius, metres (IUGG).
	earthRadius = 6371008.8
)

// An instant is a time of the receiver and when it was said.
type instant struct {
	utc  time.Time // zero if unknown
	mono time.Duration
}

// An observation is what is judged of a fix.
type observation struct {
	instant
	position
}

// A watch compares observations with the last one believed, so that one outlier
// is marked, and not the good fix that follows it.
type watch struct {
	check  func(from, to observation) Marks
	last   observation
	begun  bool
	rival  observation // the newest that does not fit
	rivals int         // how many in a row fit each other
}

func (w *watch) judge(o observation) Marks {
	if !w.begun {
		w.last, w.begun = o, true
		return 0
	}
	marks := w.check(w.last, o)
	if marks == 0 {
		w.last, w.rivals = o, 0
		return 0
	}
	if w.rivals > 0 && w.check(w.rival, o) != 0 {
		w.rivals = 0
	}
	w.rival = o
	w.rivals++
	if w.rivals == believeAfter {
		w.last, w.rivals = o, 0
	}
	return marks
}

func checkTime(from, to observation) Marks {
	said, passed := to.utc.Sub(from.utc), to.mono-from.mono
	switch {
	case said < 0:
		return MarkTimeBack
	case (said - passed).Abs() > timeSlack+passed/1000:
		return MarkTimeJump
	}
	return 0
}

// checkPlace takes the longer of the two spans, so that a recording played fast
// is judged by its own time.
func checkPlace(from, to observation) Marks {
	passed := to.mono - from.mono
	if !from.utc.IsZero() && !to.utc.IsZero() {
		passed = max(passed, to.utc.Sub(from.utc))
	}
	if near(from.position, to.position) {
		return 0
	}
	d := distance(from.position, to.position)
	if d > jumpDistance && d > jumpSpeed*passed.Seconds() {
		return MarkJump
	}
	return 0
}

// near reports whether two positions are surely within jumpDistance: a thousandth
// of a degree is at most 112 m. It spares nearly every fix the trigonometry.
func near(a, b position) bool {
	return math.Abs(a.lat-b.lat) < 1e-3 && math.Abs(a.lon-b.lon) < 1e-3
}

// distance is metres along a great circle (haversine formula).
func distance(a, b position) float64 {
	const radian = math.Pi / 180
	hav := func(degrees float64) float64 {
		s := math.Sin(degrees * radian / 2)
		return s * s
	}
	h := hav(b.lat-a.lat) + math.Cos(a.lat*radian)*math.Cos(b.lat*radian)*hav(b.lon-a.lon)
	return 2 * earthRadius * math.Asin(math.Sqrt(min(h, 1)))
}

// A stillness is how long the position has been the same to the last digit.
type stillness struct {
	last  observation
	speed float64 // said with last
	moved float64 // metres that the speed said would have moved it
}

// judge reports whether the position stands still while the speed says that the
// car does not. It goes by the monotonic clock, as no time said is needed. Of
// two speeds the lower one counts, so that a car that was parked between two
// fixes has not moved.
func (s *stillness) judge(o observation, speed float64) bool {
	switch v := min(speed, s.speed); { // NaN if either is
	case s.last.position != o.position:
		s.moved = 0
	case v >= frozenSpeed:
		s.moved += v * (o.mono - s.last.mono).Seconds()
	}
	s.last, s.speed = o, speed
	return s.moved > frozenDistance
}

// utc finds the time of an epoch. Where the epoch has no date it is the day that
// brings its time of day nearest to the last date said, moved on by the
// monotonic clock.
func (d *Decoder) utc(e *epoch) (time.Time, Marks) {
	var marks Marks
	if e.bad {
		marks |= MarkBadTime
	}
	switch {
	case !e.time.ok:
	case !e.date.IsZero():
		return e.date.Add(e.time.since), marks
	case !d.dated.utc.IsZero():
		expected := d.dated.utc.Add(e.mono - d.dated.mono)
		utc := expected.Truncate(24 * time.Hour).Add(e.time.since)
		switch diff := utc.Sub(expected); {
		case diff > 12*time.Hour:
			utc = utc.Add(-24 * time.Hour)
		case diff < -12*time.Hour:
			utc = utc.Add(24 * time.Hour)
		}
		return utc, marks
	}
	return time.Time{}, marks | MarkNoDate
}

// judge sets UTC, Clock and Marks of a fix. What is marked for its own sake does
// not become the measure for later fixes.
func (d *Decoder) judge(e *epoch, f *Fix) {
	f.UTC, f.Marks = d.utc(e)
	if e.repeat {
		f.Marks |= MarkTimeRepeat
	}
	if d.spoofed {
		f.Marks |= MarkSpoofed
	}
	o := observation{
		instant:  instant{mono: e.mono},
		position: position{lat: f.Lat.Reveal(), lon: f.Lon.Reveal(), ok: true},
	}
	if !f.UTC.IsZero() {
		f.Clock = ClockGNSS
		d.bound(f)
		if f.Marks&(MarkBeforeFloor|MarkFuture|MarkSpoofed) == 0 {
			o.utc = f.UTC
			f.Marks |= d.times.judge(o)
		}
		if f.Marks&(MarkTimeBack|MarkTimeJump) != 0 {
			o.utc = time.Time{}
		}
	}
	if o.lat == 0 && o.lon == 0 {
		f.Marks |= MarkNullIsland
	}
	if d.still.judge(o, f.Speed) {
		f.Marks |= MarkFrozen
	}
	if f.Marks&(MarkNullIsland|MarkFrozen|MarkSpoofed) == 0 {
		f.Marks |= d.places.judge(o)
	}
}

// bound compares the time with the trusted floor. True times lie within the
// 1,024 weeks that begin a day before it: what lies before can be a rollover too
// few, what lies after one too many.
func (d *Decoder) bound(f *Fix) {
	if d.o.Floor == nil {
		return
	}
	floor := d.o.Floor()
	if floor.IsZero() {
		return
	}
	floor = floor.Add(-floorSlack)
	switch later := f.UTC.Add(rollover); {
	case f.UTC.Before(floor) && later.Before(floor):
		f.Marks |= MarkBeforeFloor
	case f.UTC.Before(floor):
		f.UTC, f.Clock = later, ClockGNSSRollover
		f.Marks |= MarkRollover
	case !f.UTC.Before(floor.Add(rollover)):
		f.Marks |= MarkFuture
	}
}
