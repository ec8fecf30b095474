package gnss

import (
	"encoding/binary"
	"math"
	"time"
)

// The UBX messages that are read, class and id.
const (
	navStatus = 0x0103
	navPVT    = 0x0107
	ackNAK    = 0x0500
	ackACK    = 0x0501
)

// minPVT is the length of a NAV-PVT of u-blox 7; later ones have 92 bytes.
const minPVT = 84

// ubx reads a frame whose checksum holds.
func (d *Decoder) ubx(b []byte) {
	p := b[ubxHead : len(b)-ubxTail]
	switch id := binary.BigEndian.Uint16(b[2:]); {
	case id == navPVT && len(p) >= minPVT:
		d.pvt(p)
	case id == navStatus && len(p) >= 8:
		d.spoofed = p[7]>>3&3 >= 2 // spoofing, or several signs of it
	case (id == ackACK || id == ackNAK) && len(p) == 2 && d.o.Answer != nil:
		d.o.Answer(binary.BigEndian.Uint16(p), id == ackACK)
	}
}

// pvt reads a NAV-PVT. It vouches for its epoch as an RMC does.
func (d *Decoder) pvt(p []byte) {
	const fixOK, invalidPlace = 1, 1
	d.sinceRMC = 0
	t, day := pvtTime(p)
	e := d.enter(formatPVT, 0, t)
	if !day.IsZero() {
		e.date = day
		d.anchor(day, t)
	}
	kind := p[20] // 0 none, 1 dead reckoning, 2 2D, 3 3D, 4 with dead reckoning, 5 time
	if p[21]&fixOK == 0 || p[78]&invalidPlace != 0 || kind < 1 || kind > 4 {
		if e.status == 0 {
			e.status = 'V'
		}
		return
	}
	e.status = 'A'
	number := func(i int) float64 { return float64(int32(binary.LittleEndian.Uint32(p[i:]))) }
	lon, lat := number(24)/1e7, number(28)/1e7
	e.pvt = report{
		position:   position{lat, lon, math.Abs(lat) <= 90 && math.Abs(lon) <= 180},
		motion:     motion{speed: within(number(60)/1e3, 0, tooFast), course: turn(number(64) / 1e5)},
		quality:    pvtQuality(kind, p[21]),
		satellites: int(p[23]),
		hdop:       math.NaN(), // it says PDOP only
		altitude:   number(36) / 1e3,
	}
	e.sigma.pvt = within(number(40)/1e3, 1e-3, 1e6)
}

// pvtQuality is the GGA quality for a kind of fix and its flags.
func pvtQuality(kind, flags byte) int {
	switch rtk := flags >> 6; {
	case rtk == 2:
		return 4
	case rtk == 1:
		return 5
	case kind == 1:
		return 6
	case flags&2 != 0: // differential
		return 2
	}
	return 1
}

// pvtTime is the time of day of a NAV-PVT, to the hundredth of a second as NMEA
// of the same epoch says it, and midnight of its day, zero if not valid. The
// fraction is signed: 12:00:00 less 0.4 ms is usual.
func pvtTime(p []byte) (t timeOfDay, day time.Time) {
	const validDate, validTime = 1, 2
	t.key = noTime
	if p[11]&validTime == 0 {
		return t, day
	}
	t = timeOf((int64(p[8])*10000 + int64(p[9])*100 + int64(p[10])) * int64(time.Second))
	if p[11]&validDate != 0 {
		var ok bool
		year := int64(binary.LittleEndian.Uint16(p[4:]))
		day, ok = date(year, int64(p[6]), int64(p[7]))
		if !ok || year < firstYear || year > lastYear {
			day, t.bad = time.Time{}, true
		}
	}
	fraction := time.Duration(int32(binary.LittleEndian.Uint32(p[16:]))).Round(10 * time.Millisecond)
	if !t.ok || p[10] == 60 {
		t.key += int64(fraction)
		return t, day
	}
	const whole = 24 * time.Hour
	over := time.Duration(0) // days
	switch t.since += fraction; {
	case t.since < 0:
		over = -whole
	case t.since >= whole:
		over = whole
	}
	t.since -= over
	t.key = keyOf(t.since)
	if !day.IsZero() {
		day = day.Add(over)
	}
	return t, day
}

// keyOf is the key of a possible time since midnight.
func keyOf(since time.Duration) int64 {
	whole := int64(since / time.Second)
	return (whole/3600*10000+whole/60%60*100+whole%60)*int64(time.Second) + int64(since%time.Second)
}

// turn is a course in degrees, 0 <= turn < 360, of one that may be negative.
func turn(v float64) float64 {
	if v < 0 {
		v += 360
	}
	return within(v, 0, 360)
}
