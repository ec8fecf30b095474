package gnss

import "time"

const (
	knot      = 1852.0 / 3600 // m/s
	kilometre = 1 / 3.6       // of km/h, m/s

	// tooFast is above what any receiver says of a vehicle, m/s, whatever the
	// unit of its message.
	tooFast = 50_000
)

// What has a time in it and makes epochs.
const (
	formatRMC = iota
	formatGGA
	formatGNS
	formatGLL
	formatGST
	formatGBS
	formatPVT
)

// talkers is how many there are; talkerGN is the one that speaks for several
// constellations.
const (
	talkers  = 9
	talkerGN = 1
)

// talker numbers the talkers that are read.
func talker(b []byte) (int, bool) {
	switch string(b) {
	case "GP":
		return 0, true
	case "GN":
		return talkerGN, true
	case "GL":
		return 2, true
	case "GA":
		return 3, true
	case "GB":
		return 4, true
	case "BD":
		return 5, true
	case "GQ":
		return 6, true
	case "QZ":
		return 7, true
	case "GI":
		return 8, true
	}
	return 0, false
}

// sentence reads a sentence whose checksum holds; false if it is of no concern.
func (d *Decoder) sentence(body []byte) bool {
	var f fields
	f.split(body)
	if len(f.at(0)) != 5 {
		return false
	}
	from, ok := talker(f.at(0)[:2])
	if !ok {
		return false
	}
	switch string(f.at(0)[2:]) {
	case "RMC":
		d.rmc(from, &f)
	case "GGA":
		d.gga(from, &f)
	case "GNS":
		d.gns(from, &f)
	case "GSA":
		d.gsa(from, &f)
	case "GSV":
		d.sky.gsv(from, &f)
	case "VTG":
		d.vtg(&f)
	case "GLL":
		d.gll(from, &f)
	case "GST":
		e := d.enter(formatGST, from, clockTime(f.at(1)))
		e.sigma.gst = said(e.sigma.gst, horizontal(f.at(6), f.at(7)))
	case "GBS":
		e := d.enter(formatGBS, from, clockTime(f.at(1)))
		e.sigma.gbs = said(e.sigma.gbs, horizontal(f.at(2), f.at(3)))
	case "ZDA":
		d.zda(&f)
	default:
		return false
	}
	return true
}

func (d *Decoder) rmc(from int, f *fields) {
	d.sinceRMC = 0
	e := d.enter(formatRMC, from, clockTime(f.at(1)))
	if f.letter(2) != 'A' {
		if e.status == 0 {
			e.status = 'V'
		}
		return
	}
	e.status = 'A'
	if e.byRMC {
		return // another talker was first
	}
	e.byRMC = true
	e.rmc.position = f.position(3)
	e.rmc.motion = motion{
		speed:  within(knot*number(f.at(7)), 0, tooFast),
		course: heading(f.at(8)),
	}
	day, ok := shortDate(f.at(9))
	if ok {
		e.date = day
		d.anchor(day, e.time)
	}
	e.bad = e.bad || !ok && len(f.at(9)) > 0
	mode := f.letter(12)
	if direction := f.letter(11); f.n == 12 && direction != 'E' && direction != 'W' {
		mode = direction
	}
	e.rmc.quality = modeQuality(mode)
}

func (d *Decoder) gga(from int, f *fields) {
	e := d.enter(formatGGA, from, clockTime(f.at(1)))
	if e.gga.quality > 0 {
		return // another talker was first
	}
	e.gga = report{
		position:   f.position(2),
		motion:     noMotion,
		quality:    -1,
		satellites: count(f.at(7)),
		hdop:       precision(f.at(8)),
		altitude:   number(f.at(9)),
	}
	if c := f.letter(6); '0' <= c && c <= '8' {
		e.gga.quality = int(c - '0')
	}
}

func (d *Decoder) gns(from int, f *fields) {
	e := d.enter(formatGNS, from, clockTime(f.at(1)))
	if e.gns.quality > 0 {
		return // talker GN, then one each for the constellations, without a position
	}
	e.gns = report{
		position:   f.position(2),
		motion:     noMotion,
		quality:    -1,
		satellites: count(f.at(7)),
		hdop:       precision(f.at(8)),
		altitude:   number(f.at(9)),
	}
	for _, c := range f.at(6) {
		e.gns.quality = better(e.gns.quality, modeQuality(c))
	}
}

// gll reads a GLL. Those of NMEA 2.2 and older have no mode, those before 1.5
// no status, and these are not trusted.
func (d *Decoder) gll(from int, f *fields) {
	e := d.enter(formatGLL, from, clockTime(f.at(5)))
	if e.gll.quality > 0 {
		return // another talker was first
	}
	e.gll.position = f.position(1)
	e.gll.quality = 0
	if f.letter(6) == 'A' {
		e.gll.quality = 1
		if q := modeQuality(f.letter(7)); q >= 0 {
			e.gll.quality = q
		}
	}
}

// heading reads a course in degrees; 360 is 0.
func heading(b []byte) float64 {
	v := number(b)
	if v == 360 {
		return 0
	}
	return within(v, 0, 360)
}

// precision reads a dilution of precision, which is never 0.
func precision(b []byte) float64 { return within(number(b), 1e-6, 1000) }

// modeQuality is the GGA quality of a mode letter of RMC or GNS, -1 if it is
// none.
func modeQuality(mode byte) int {
	switch mode {
	case 'N':
		return 0
	case 'A':
		return 1
	case 'D':
		return 2
	case 'P':
		return 3
	case 'R':
		return 4
	case 'F':
		return 5
	case 'E':
		return 6
	case 'M':
		return 7
	case 'S':
		return 8
	}
	return -1
}

// better is the higher quality of two constellations of which either may have
// none. Estimated, manual and simulated positions have high numbers; one
// satellite system that is really received outweighs them.
func better(a, b int) int {
	received := func(q int) bool { return 1 <= q && q <= 5 }
	switch {
	case received(a) && !received(b):
		return a
	case received(b) && !received(a):
		return b
	}
	return max(a, b)
}

// anchor remembers the receiver's date, for epochs whose sentences have none.
func (d *Decoder) anchor(midnight time.Time, t timeOfDay) {
	if t.ok {
		d.dated = instant{utc: midnight.Add(t.since), mono: d.now()}
	}
}
