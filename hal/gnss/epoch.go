package gnss

import (
	"math"
	"time"

	"roadseal/hal/red"
)

// An epoch collects what the receiver says about one instant.
type epoch struct {
	open   bool // a timed sentence began it
	done   bool // it yielded a fix, or surely yields none
	repeat bool // it has the time of the epoch before
	mono   time.Duration
	time   timeOfDay
	seen   uint32 // formatters and talkers of its timed sentences

	bad    bool      // an impossible time or date was said
	date   time.Time // of RMC: midnight, zero if none
	status byte      // of RMC: 'A' if any has it, else 'V'; 0 without RMC
	rmc    report
	gga    report
	gns    report
	vtg    motion
	gsa    solution
}

// A report is what RMC, GGA or GNS say. Numbers not said are NaN or -1.
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
		open: true,
		mono: mono,
		time: timeOfDay{key: noTime},
		rmc:  noReport,
		gga:  noReport,
		gns:  noReport,
		vtg:  noMotion,
		gsa:  solution{hdop: math.NaN(), joint: -1, apart: -1},
	}
}

// takes reports whether a timed sentence belongs to the epoch: bit is its
// formatter and talker.
func (e *epoch) takes(bit uint32, key int64) bool {
	return e.open && e.seen&bit == 0 &&
		(key == e.time.key || key == noTime || e.time.key == noTime)
}

// place is the position of the epoch, if it has a valid one. An RMC of status A
// vouches for the epoch; if its own position is damaged another sentence's will
// do. byRMC says that only an RMC can vouch.
func (e *epoch) place(byRMC bool) (position, bool) {
	trusted := e.status == 'A'
	switch {
	case e.status == 'V', !trusted && byRMC:
		return position{}, false
	case trusted && e.rmc.ok:
		return e.rmc.position, true
	case (trusted || e.gga.quality > 0) && e.gga.ok:
		return e.gga.position, true
	case (trusted || e.gns.quality > 0) && e.gns.ok:
		return e.gns.position, true
	}
	return position{}, false
}

// fix is the epoch as a fix at the given position, without UTC and marks.
func (e *epoch) fix(at position) Fix {
	f := Fix{
		Mono:       e.mono,
		Lat:        red.Degrees(at.lat),
		Lon:        red.Degrees(at.lon),
		Altitude:   said(e.gga.altitude, e.gns.altitude),
		Speed:      said(e.rmc.speed, e.vtg.speed),
		Course:     said(e.rmc.course, e.vtg.course),
		HDOP:       said(e.gga.hdop, e.gns.hdop, e.gsa.hdop),
		Satellites: e.gns.satellites,
		Quality:    1, // status A of an old RMC, which has no mode
	}
	f.Accuracy = f.HDOP * rangeError
	// GNS before GGA: with several constellations GGA of talker GP counts
	// those of GPS alone.
	for _, n := range [...]int{e.gga.satellites, e.gsa.joint, e.gsa.apart} {
		if f.Satellites < 0 {
			f.Satellites = n
		}
	}
	for _, q := range [...]int{e.gga.quality, e.gns.quality, e.rmc.quality} {
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
