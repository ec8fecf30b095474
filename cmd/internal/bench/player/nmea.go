package player

import (
	"bytes"
	"errors"
	"fmt"
	"strconv"
	"strings"
	"time"
)

// A Recording is what a receiver sent, cut into epochs.
type Recording struct {
	Epochs []Epoch
	Length time.Duration // of the drive, by the times in the sentences
	Start  time.Time     // UTC of the first sentence that says date and time; zero if none does
	Valid  []Position    // of each valid RMC sentence of status A, in order
}

// An Epoch is the part of a recording between two changes of its time.
type Epoch struct {
	At    time.Duration // since the start of the recording
	Bytes []byte
}

// A Position is what one RMC sentence says, digits as they stand in it.
type Position struct {
	Lat, Lon string // ddmm.mmmm and dddmm.mmmm
	South    bool
	West     bool
	At       time.Duration // of its epoch
	Knots    float64       // speed over ground
}

// maxGap bounds the pause between two epochs: a recorder that was off for an
// hour does not stop the player for an hour.
const maxGap = 10 * time.Second

// Cut reads a recording of NMEA 0183 sentences, also a damaged or mixed one:
// its bytes are played as they are. It needs one valid RMC sentence of status A
// at least. It shares no code with the decoder that the run puts to the test.
func Cut(recording []byte) (Recording, error) {
	var r Recording
	var clock string
	for line := range bytes.Lines(recording) {
		fields := fieldsOf(line)
		if t := timeOf(fields); t != "" && t != clock {
			if clock != "" {
				r.Length += gap(clock, t)
			}
			clock = t
			r.Epochs = append(r.Epochs, Epoch{At: r.Length})
		}
		if len(r.Epochs) == 0 {
			r.Epochs = append(r.Epochs, Epoch{})
		}
		last := &r.Epochs[len(r.Epochs)-1]
		last.Bytes = append(last.Bytes, line...)
		if isFix(line) {
			r.Valid = append(r.Valid, position(fields, last.At))
		}
		if r.Start.IsZero() {
			r.Start = dateTime(fields)
		}
	}
	if len(r.Valid) == 0 {
		return Recording{}, errors.New("recording has no RMC sentence of status A with a valid checksum; expected NMEA 0183, one sentence a line")
	}
	return r, nil
}

// CountFixes counts the valid RMC sentences of status A. This is the number of
// fixes that have to arrive.
func CountFixes(recording []byte) (n int) {
	for line := range bytes.Lines(recording) {
		if isFix(line) {
			n++
		}
	}
	return n
}

// isFix is the whole of the independent count: checksum, RMC, status A.
func isFix(line []byte) bool {
	line = bytes.TrimRight(line[max(0, bytes.LastIndexByte(line, '$')):], "\r\n")
	star := bytes.IndexByte(line, '*')
	if star < 0 || len(line) != star+3 || line[0] != '$' {
		return false
	}
	var sum byte
	for _, c := range line[1:star] {
		sum ^= c
	}
	said, err := strconv.ParseUint(string(line[star+1:]), 16, 8)
	fields := strings.Split(string(line[:star]), ",")
	return err == nil && byte(said) == sum && len(fields) > 2 && len(fields[0]) == 6 && fields[0][3:] == "RMC" && fields[2] == "A"
}

// fieldsOf splits a sentence; binary bytes may stand before its dollar sign.
func fieldsOf(line []byte) []string {
	text, _, _ := strings.Cut(string(line[max(0, bytes.LastIndexByte(line, '$')):]), "*")
	return strings.Split(text, ",")
}

// timeOf returns hhmmss.ss of a sentence that carries the time of its epoch.
func timeOf(fields []string) string {
	if len(fields) < 2 || len(fields[0]) != 6 {
		return ""
	}
	switch fields[0][3:] {
	case "RMC", "GGA", "GNS", "ZDA":
	default:
		return ""
	}
	if _, err := daySeconds(fields[1]); err != nil {
		return ""
	}
	return fields[1]
}

// daySeconds reads hhmmss.ss as time since midnight.
func daySeconds(s string) (time.Duration, error) {
	if len(s) < 6 {
		return 0, strconv.ErrSyntax
	}
	hh, err1 := strconv.ParseUint(s[0:2], 10, 8)
	mm, err2 := strconv.ParseUint(s[2:4], 10, 8)
	ss, err3 := strconv.ParseFloat(s[4:], 64)
	if err1 != nil || err2 != nil || err3 != nil || !(ss >= 0 && ss < 61) {
		return 0, strconv.ErrSyntax
	}
	return time.Duration(hh)*time.Hour + time.Duration(mm)*time.Minute + time.Duration(ss*float64(time.Second)), nil
}

// gap is how long the player waits between two times of day: nothing when time
// goes back, except over midnight.
func gap(from, to string) time.Duration {
	a, errA := daySeconds(from)
	b, errB := daySeconds(to)
	if errA != nil || errB != nil {
		return 0
	}
	d := b - a
	if d < -12*time.Hour {
		d += 24 * time.Hour
	}
	return min(max(d, 0), maxGap)
}

func dateTime(fields []string) time.Time {
	if len(fields) < 10 || !strings.HasSuffix(fields[0], "RMC") || len(fields[1]) < 6 {
		return time.Time{}
	}
	t, err := time.Parse("020106 150405", fields[9]+" "+fields[1][:6])
	if err != nil {
		return time.Time{}
	}
	return t
}

func position(fields []string, at time.Duration) Position {
	p := Position{At: at}
	if len(fields) > 7 {
		p.Lat, p.South, p.Lon, p.West = fields[3], fields[4] == "S", fields[5], fields[6] == "W"
		p.Knots, _ = strconv.ParseFloat(fields[7], 64) // an empty speed is zero
	}
	return p
}

// Degrees returns latitude and longitude in degrees, WGS 84.
func (p Position) Degrees() (lat, lon float64, err error) {
	if lat, err = degrees(p.Lat, 2, p.South); err != nil {
		return 0, 0, fmt.Errorf("latitude of a recorded sentence: %w", err)
	}
	if lon, err = degrees(p.Lon, 3, p.West); err != nil {
		return 0, 0, fmt.Errorf("longitude of a recorded sentence: %w", err)
	}
	return lat, lon, nil
}

func degrees(s string, whole int, negative bool) (float64, error) {
	if len(s) < whole+2 {
		return 0, fmt.Errorf("%d characters, expected degrees and minutes", len(s))
	}
	d, err1 := strconv.ParseFloat(s[:whole], 64)
	m, err2 := strconv.ParseFloat(s[whole:], 64)
	if err1 != nil || err2 != nil {
		return 0, errors.New("not a number of degrees and minutes")
	}
	d += m / 60
	if negative {
		d = -d
	}
	return d, nil
}
