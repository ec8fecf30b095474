package drivegen

import (
	"bytes"
	"fmt"
	"math"
	"math/rand/v2"
)

// receiver adds its errors to the truth: a slow drift of about a metre, as the
// atmosphere and reflections cause, and a little white noise.
type receiver struct {
	rng         *rand.Rand
	period      float64 // s between epochs
	driftE      float64 // m
	driftN      float64 // m
	reacquiring int     // epochs until the fix is good again
	satellites  int
	lastCourse  float64
}

const (
	driftSigma = 1.1  // m
	driftTime  = 25.0 // s
	whiteSigma = 0.12 // m
	geoid      = 46.9 // m, height of the geoid above the ellipsoid around the origin
)

// sees writes the sentences of one epoch.
func (r *receiver) sees(out *bytes.Buffer, t truth) {
	keep := math.Exp(-r.period / driftTime)
	kick := driftSigma * math.Sqrt(1-keep*keep)
	r.driftE = keep*r.driftE + kick*r.rng.NormFloat64()
	r.driftN = keep*r.driftN + kick*r.rng.NormFloat64()
	if t.second || r.satellites == 0 {
		r.satellites = 11 + r.rng.IntN(8)
	}
	if t.covered {
		r.reacquiring = int(2 / r.period)
		r.blind(out, t)
		return
	}
	hdop := 0.9 - 0.02*float64(r.satellites-11)
	if r.reacquiring > 0 {
		r.reacquiring--
		hdop += 0.6 * float64(r.reacquiring) * r.period
	}
	east := t.east + hdop*(r.driftE+whiteSigma*r.rng.NormFloat64())
	north := t.north + hdop*(r.driftN+whiteSigma*r.rng.NormFloat64())
	r.fix(out, t, east, north, hdop)
}

func (r *receiver) fix(out *bytes.Buffer, t truth, east, north, hdop float64) {
	lat, lon := place(east, north)
	where := fmt.Sprintf("%s,N,%s,E", minutes(lat, 2), minutes(lon, 3))
	knots := max(0, t.speed+0.03*r.rng.NormFloat64()) * 3600 / 1852
	if t.speed > crawl {
		r.lastCourse = math.Mod(t.course+0.3*r.rng.NormFloat64()+360, 360)
	}
	clock, date := t.utc.Format("150405.00"), t.utc.Format("020106")
	sentence(out, "GNRMC,%s,A,%s,%.3f,%.2f,%s,,,A,V", clock, where, knots, r.lastCourse, date)
	sentence(out, "GNGGA,%s,%s,1,%02d,%.2f,%.1f,M,%.1f,M,,", clock, where, r.satellites, hdop, t.altitude+0.4*r.driftN, geoid)
	if t.second {
		sentence(out, "GNGSA,A,3,02,05,07,13,14,15,20,28,30,,,,%.2f,%.2f,%.2f,1", hdop*1.7, hdop, hdop*1.4)
	}
}

// blind is what a receiver says under concrete: the time, and no position.
func (r *receiver) blind(out *bytes.Buffer, t truth) {
	clock, date := t.utc.Format("150405.00"), t.utc.Format("020106")
	sentence(out, "GNRMC,%s,V,,,,,,,%s,,,N,V", clock, date)
	sentence(out, "GNGGA,%s,,,,,0,00,99.99,,,,,,", clock)
	if t.second {
		sentence(out, "GNGSA,A,1,,,,,,,,,,,,,99.99,99.99,99.99,1")
	}
}

// sentence frames a sentence with its checksum.
func sentence(out *bytes.Buffer, format string, args ...any) {
	body := fmt.Sprintf(format, args...)
	var sum byte
	for i := range len(body) {
		sum ^= body[i]
	}
	fmt.Fprintf(out, "$%s*%02X\r\n", body, sum)
}

// minutes writes degrees as dd(d)mm.mmmmm.
func minutes(deg float64, whole int) string {
	const unit = 60 * 100000 // hundred thousandths of a minute in a degree
	n := int64(math.Round(deg * unit))
	return fmt.Sprintf("%0*d%02d.%05d", whole, n/unit, n%unit/100000, n%100000)
}
