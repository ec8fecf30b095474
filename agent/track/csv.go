package track

import (
	"bufio"
	"bytes"
	"errors"
	"fmt"
	"io"
	"math"
	"strconv"
	"strings"
	"time"

	"roadseal/hal/gnss"
	"roadseal/hal/red"
)

const (
	intro     = "# roadseal-track/1\n"
	columns   = "# columns: mono_s,utc,clock,lat_deg,lon_deg,alt_m,speed_mps,course_deg,quality,satellites,hdop,accuracy_m,marks\n"
	units     = "# units: seconds since the agent's start; UTC as said by clock; degrees WGS 84; metres above the geoid; degrees from true north\n"
	fields    = 13
	utcLayout = "2006-01-02T15:04:05.000Z"
)

// AppendHeader appends the comment lines that begin a document.
func AppendHeader(dst []byte, boot, sequence uint32) []byte {
	dst = append(dst, intro...)
	dst = fmt.Appendf(dst, "# boot %d\n# sequence %d\n", boot, sequence)
	dst = append(dst, columns...)
	return append(dst, units...)
}

// AppendFix appends the line of one fix. What was not said stays empty.
func AppendFix(dst []byte, f gnss.Fix) []byte {
	dst = strconv.AppendFloat(dst, f.Mono.Seconds(), 'f', 3, 64)
	dst = append(dst, ',')
	if !f.UTC.IsZero() {
		dst = f.UTC.AppendFormat(dst, utcLayout)
	}
	dst = append(dst, ',')
	dst = append(dst, f.Clock.String()...)
	dst = number(dst, f.Lat.Reveal(), 9)
	dst = number(dst, f.Lon.Reveal(), 9)
	dst = number(dst, f.Altitude, 2)
	dst = number(dst, f.Speed, 3)
	dst = number(dst, f.Course, 2)
	dst = append(dst, ',')
	dst = strconv.AppendUint(dst, uint64(f.Quality), 10)
	dst = append(dst, ',')
	if f.Satellites >= 0 {
		dst = strconv.AppendInt(dst, int64(f.Satellites), 10)
	}
	dst = number(dst, f.HDOP, 2)
	dst = number(dst, f.Accuracy, 1)
	dst = append(dst, ',')
	dst = append(dst, f.MarkNames()...)
	return append(dst, '\n')
}

func number(dst []byte, v float64, digits int) []byte {
	dst = append(dst, ',')
	if math.IsNaN(v) {
		return dst
	}
	return strconv.AppendFloat(dst, v, 'f', digits, 64)
}

// A Batch is one document, read back.
type Batch struct {
	Boot, Sequence uint32
	Fixes          []gnss.Fix
}

// maxLine is longer than any line that AppendFix writes.
const maxLine = 1024

// Parse reads a document. An error names its line and never its content.
func Parse(r io.Reader) (Batch, error) {
	br := bufio.NewReaderSize(r, maxLine)
	var b Batch
	head := AppendHeader(nil, 0, 0)
	for n := 1; ; n++ {
		line, err := br.ReadSlice('\n')
		if err == io.EOF && len(line) == 0 && n > bytes.Count(head, []byte("\n")) {
			return b, nil
		}
		if err == nil {
			err = b.line(n, string(line))
		} else if err == io.EOF {
			err = errors.New("ends early")
		}
		if err != nil {
			return Batch{}, fmt.Errorf("track line %d: %w", n, err)
		}
	}
}

func (b *Batch) line(n int, line string) error {
	switch n {
	case 1:
		return same(line, intro)
	case 2:
		return header(line, "# boot ", &b.Boot)
	case 3:
		return header(line, "# sequence ", &b.Sequence)
	case 4:
		return same(line, columns)
	case 5:
		return same(line, units)
	}
	f, err := parseFix(strings.TrimSuffix(line, "\n"))
	if err != nil {
		return err
	}
	b.Fixes = append(b.Fixes, f)
	return nil
}

func same(line, want string) error {
	if line != want {
		return fmt.Errorf("expected %q", strings.TrimSuffix(want, "\n"))
	}
	return nil
}

func header(line, prefix string, v *uint32) error {
	s, ok := strings.CutPrefix(strings.TrimSuffix(line, "\n"), prefix)
	n, err := strconv.ParseUint(s, 10, 32)
	if !ok || err != nil || strconv.FormatUint(n, 10) != s {
		return fmt.Errorf("expected %q and a number", prefix)
	}
	*v = uint32(n)
	return nil
}

// parseFix reads what AppendFix writes, and refuses what would not be written
// the same way again.
func parseFix(line string) (gnss.Fix, error) {
	c := strings.Split(line, ",")
	if len(c) != fields {
		return gnss.Fix{}, fmt.Errorf("expected %d fields, found %d", fields, len(c))
	}
	var err error
	float := func(i int) float64 {
		if c[i] == "" {
			return math.NaN()
		}
		v, e := strconv.ParseFloat(c[i], 64)
		err = errors.Join(err, fieldError(i, e))
		return v
	}
	f := gnss.Fix{Satellites: -1, Lat: red.Degrees(float(3)), Lon: red.Degrees(float(4)), Altitude: float(5),
		Speed: float(6), Course: float(7), HDOP: float(10), Accuracy: float(11)}
	f.Mono = time.Duration(math.Round(float(0)*1e3)) * time.Millisecond
	if c[1] != "" {
		t, e := time.Parse(utcLayout, c[1])
		err = errors.Join(err, fieldError(1, e))
		f.UTC = t
	}
	clock, e := gnss.ParseClock(c[2])
	err = errors.Join(err, fieldError(2, e))
	f.Clock = clock
	q, e := strconv.ParseUint(c[8], 10, 8)
	err = errors.Join(err, fieldError(8, e))
	f.Quality = byte(q)
	if c[9] != "" {
		sats, e := strconv.ParseUint(c[9], 10, 16)
		err = errors.Join(err, fieldError(9, e))
		f.Satellites = int(sats)
	}
	f.Marks, f.Other, e = gnss.ParseMarks(c[12])
	err = errors.Join(err, fieldError(12, e))
	if err != nil {
		return gnss.Fix{}, err
	}
	if again := AppendFix(nil, f); string(again) != line+"\n" {
		return gnss.Fix{}, errors.New("not written the way a recorder writes it")
	}
	return f, nil
}

func fieldError(i int, err error) error {
	if err == nil {
		return nil
	}
	return fmt.Errorf("field %d cannot be read", i+1)
}
