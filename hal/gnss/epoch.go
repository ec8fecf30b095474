package gnss

import (
	"math"
	"time"

	"roadseal/hal/red"
)

// An epoch collects what the receiver says about one instant.
type epoch struct {
	open   bool // a timed sentence began it
	done   bool // it yielded its fix
	repeat bool // it has the time of the epoch before
	mono   time.Duration
	time   timeOfDay
	seen   uint64 // formatters and talkers of what has a time in it

	bad    bool      // an impossible time or date was said
	date   time.Time // of RMC or NAV-PVT: midnight, zero if none
	status byte      // of RMC and NAV-PVT: 'A' if any has it, else 'V'; 0 without both
	byRMC  bool      // an RMC of status A was read
	pvt    report
	rmc    report
	gga    report
	gns    report
	gll    report
	vtg    motion
	gsa    solution
	sigma  deviation
}

// A deviation is the horizontal error of the position, metres, one standard
// deviation; NaN if not said.
type deviation struct{ pvt, gst, gbs float64 }

// A report is what one message that has a position says. Numbers not said are NaN or -1.
type report struct {
	position
	motion
	quality        int
	satellites     int
	hdop, altitude float64
}

// A motion is m/s and degrees true; NaN if not said.
type motion struct{ speed, course float64 }

// A solution is what the GSA sentences say. With several constellations there
// is one each, by talker GN, or by the talker of each; some receivers send both.
type solution struct {
	hdop         float64
	joint, apart int // satellites by talker GN, by others; -1 if not said
}

var (
	noMotion = motion{math.NaN(), math.NaN()}
	noReport = report{motion: noMotion, quality: -1, satellites: -1, hdop: math.NaN(), altitude: math.NaN()}
)

// newEpoch is an epoch of which nothing has been said.
func newEpoch(mono time.Duration) epoch {
	return epoch{
		open:  true,
		mono:  mono,
		time:  timeOfDay{key: noTime},
		pvt:   noReport,
		rmc:   noReport,
		gga:   noReport,
		gns:   noReport,
		gll:   noReport,
		vtg:   noMotion,
		gsa:   solution{hdop: math.NaN(), joint: -1, apart: -1},
		sigma: deviation{math.NaN(), math.NaN(), math.NaN()},
	}
}

// sameTime is how far two times of one instant may lie apart: one sentence may
// say hundredths of a second, another thousandths.
const sameTime = int64(10 * time.Millisecond)

// takes reports whether what has a time belongs to the epoch: bit is its
// formatter and talker.
func (e *epoch) takes(bit uint64, key int64) bool {
	return e.open && e.seen&bit == 0 &&
		(key == noTime || e.time.key == noTime || max(key-e.time.key, e.time.key-key) < sameTime)
}

// place is the position of the epoch, if it has a valid one. An RMC of status A
// or a valid NAV-PVT vouches for the epoch; if its own position is damaged
// another's will do. byRMC says that nothing else can vouch.
func (e *epoch) place(byRMC bool) (position, bool) {
	trusted := e.status == 'A'
	switch {
	case e.status == 'V', !trusted && byRMC:
		return position{}, false
	case trusted && e.pvt.ok:
		return e.pvt.position, true
	case trusted && e.rmc.ok:
		return e.rmc.position, true
	case (trusted || e.gga.quality > 0) && e.gga.ok:
		return e.gga.position, true
	case (trusted || e.gns.quality > 0) && e.gns.ok:
		return e.gns.position, true
	case (trusted || e.gll.quality > 0) && e.gll.ok:
		return e.gll.position, true
	}
	return position{}, false
}

// fix is the epoch as a fix at the given position, without UTC and marks.
func (e *epoch) fix(at position) Fix {
	f := Fix{
		Mono:       e.mono,
		Lat:        red.Degrees(at.lat),
		Lon:        red.Degrees(at.lon),
		Altitude:   said(e.pvt.altitude, e.gga.altitude, e.gns.altitude),
		Speed:      said(e.pvt.speed, e.rmc.speed, e.vtg.speed),
		Course:     said(e.pvt.course, e.rmc.course, e.vtg.course),
		HDOP:       said(e.gga.hdop, e.gns.hdop, e.gsa.hdop),
		Satellites: e.pvt.satellites,
		Quality:    1, // status A of an old RMC, which has no mode
	}
	f.Accuracy = said(e.sigma.pvt, e.sigma.gst, e.sigma.gbs, f.HDOP*rangeError)
	// GGA late: some stop counting at 12, and with several constellations that
	// of talker GP counts those of GPS alone.
	for _, n := range [...]int{e.gns.satellites, e.gga.satellites, e.gsa.joint, e.gsa.apart} {
		if f.Satellites < 0 {
			f.Satellites = n
		}
	}
	for _, q := range [...]int{e.gga.quality, e.gns.quality, e.pvt.quality, e.rmc.quality, e.gll.quality} {
		if q >= 0 {
			f.Quality = byte(q)
			break
		}
	}
	return f
}

// said is the first of v that is a number, or NaN.
func said(v ...float64) float64 {
	for _, x := range v {
		if !math.IsNaN(x) {
			return x
		}
	}
	return math.NaN()
}
