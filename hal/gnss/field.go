package gnss

import (
	"math"
	"time"
)

// maxFields is more than any sentence here has; what follows is not looked at.
const maxFields = 20

// fields are those of a sentence's body; those that it does not have are empty.
type fields struct {
	body []byte
	n    int              // number of fields, the address included
	end  [maxFields]uint8 // where each ends: a sentence has at most maxSentence bytes
}

func (f *fields) split(body []byte) {
	f.body = body
	for i, c := range body {
		if c != ',' {
			continue
		}
		f.end[f.n] = uint8(i)
		f.n++
		if f.n == maxFields {
			return
		}
	}
	f.end[f.n] = uint8(len(body))
	f.n++
}

// at is the field with the given number; the address is 0.
func (f *fields) at(i int) []byte {
	switch {
	case i >= f.n:
		return nil
	case i == 0:
		return f.body[:f.end[0]]
	}
	return f.body[f.end[i-1]+1 : f.end[i]]
}

// letter is the field's only byte, or 0.
func (f *fields) letter(i int) byte {
	b := f.at(i)
	if len(b) != 1 {
		return 0
	}
	return b[0]
}

// digits reads a field of digits only, at most 9 of them.
func digits(b []byte) (int64, bool) {
	if len(b) == 0 || len(b) > 9 {
		return 0, false
	}
	var v int64
	for _, c := range b {
		if c < '0' || c > '9' {
			return 0, false
		}
		v = v*10 + int64(c-'0')
	}
	return v, true
}

// powers of ten, by exponent.
var powers = [...]int64{1, 1e1, 1e2, 1e3, 1e4, 1e5, 1e6, 1e7, 1e8, 1e9}

// fixed reads "123.456" as an integer of the given number of decimals, at most
// 9. Further decimals are cut off; a sign is refused, and so are more than 9
// digits before the point.
func fixed(b []byte, decimals int) (int64, bool) {
	var v int64
	whole := 0
	for ; whole < len(b) && b[whole]-'0' <= 9; whole++ {
		if whole == 9 {
			return 0, false
		}
		v = v*10 + int64(b[whole]-'0')
	}
	if whole == len(b) {
		return v * powers[decimals], whole > 0
	}
	fraction := b[whole+1:]
	if b[whole] != '.' || whole == 0 && len(fraction) == 0 { // ".5" is read, "." is not
		return 0, false
	}
	for i, c := range fraction {
		if c-'0' > 9 {
			return 0, false
		}
		if i < decimals {
			v = v*10 + int64(c-'0')
		}
	}
	return v * powers[max(decimals-len(fraction), 0)], true
}

// number reads a decimal number with up to six decimals, or NaN.
func number(b []byte) float64 {
	sign := 1.0
	if len(b) > 0 && b[0] == '-' {
		sign, b = -1, b[1:]
	}
	v, ok := fixed(b, 6)
	if !ok {
		return math.NaN()
	}
	return sign * float64(v) / 1e6
}

// within is v, or NaN if it does not satisfy low <= v < high.
func within(v, low, high float64) float64 {
	if v >= low && v < high {
		return v
	}
	return math.NaN()
}

// count reads a number of satellites, or -1.
func count(b []byte) int {
	if v, ok := digits(b); ok && v < 1000 {
		return int(v)
	}
	return -1
}

// A position is a latitude and a longitude in degrees.
type position struct {
	lat, lon float64
	ok       bool
}

// position reads the four fields from i on. If any of them is damaged there is
// no position.
func (f *fields) position(i int) position {
	lat, ok1 := angle(f.at(i), f.letter(i+1), 'N', 'S', 90)
	lon, ok2 := angle(f.at(i+2), f.letter(i+3), 'E', 'W', 180)
	return position{lat, lon, ok1 && ok2}
}

// angle reads dddmm.mmmmmmmm. It counts in units of 1e-8 minutes, so that the
// one rounding is that of the division.
func angle(b []byte, hemisphere, plus, minus byte, limit int64) (float64, bool) {
	const minute, degree = 100_000_000, 6_000_000_000
	v, ok := fixed(b, 8)
	if !ok {
		return 0, false
	}
	degrees, minutes := v/(100*minute), v%(100*minute)
	v = degrees*degree + minutes
	if minutes >= 60*minute || v > limit*degree {
		return 0, false
	}
	switch hemisphere {
	case plus:
		return float64(v) / degree, true
	case minus:
		return -float64(v) / degree, true
	}
	return 0, false
}

// A timeOfDay is the time field of a sentence.
type timeOfDay struct {
	// key is the field's digits, hhmmss and nanoseconds, which tell epochs
	// apart even where the time is impossible; noTime if none.
	key   int64
	since time.Duration // since midnight UTC, if ok
	ok    bool          // the time is possible
	bad   bool          // something was said, but it is impossible
}

const noTime = -1

// clockTime reads hhmmss.sss with up to nine decimals.
func clockTime(b []byte) timeOfDay {
	if len(b) == 0 {
		return timeOfDay{key: noTime}
	}
	key, ok := fixed(b, 9)
	if !ok || len(b) < 6 || (len(b) > 6 && b[6] != '.') {
		return timeOfDay{key: noTime, bad: true}
	}
	return timeOf(key)
}

// timeOf is the time of day whose digits, hhmmss and nanoseconds, are key.
// Second 60 is possible at 23:59 only and is clamped, as time.Time cannot hold
// it.
func timeOf(key int64) timeOfDay {
	whole := key / int64(time.Second)
	h, m, s := whole/10000, whole/100%100, whole%100
	leap := h == 23 && m == 59 && s == 60
	if h > 23 || m > 59 || (s > 59 && !leap) {
		return timeOfDay{key: key, bad: true}
	}
	t := timeOfDay{key: key, ok: true}
	if leap {
		t.since = 24*time.Hour - 1
		return t
	}
	t.since = time.Duration(h)*time.Hour + time.Duration(m)*time.Minute +
		time.Duration(s)*time.Second + time.Duration(key%int64(time.Second))
	return t
}

// GPS began in 1980, and a year of two digits covers a century. Outside it a
// date of four digits means nothing either; at the year 9999 it could not be
// moved on.
const firstYear, lastYear = 1980, 2079

// shortDate reads ddmmyy.
func shortDate(b []byte) (time.Time, bool) {
	v, ok := digits(b)
	if !ok || len(b) != 6 {
		return time.Time{}, false
	}
	year := 2000 + v%100
	if year > lastYear {
		year -= 100
	}
	return date(year, v/100%100, v/10000)
}

// date is midnight of a day, if the calendar has it.
func date(year, month, day int64) (time.Time, bool) {
	t := time.Date(int(year), time.Month(month), int(day), 0, 0, 0, 0, time.UTC)
	y, m, d := t.Date()
	return t, y == int(year) && m == time.Month(month) && d == int(day)
}
