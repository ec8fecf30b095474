package gnss_test

import (
	"bytes"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"roadseal/hal/gnss"
)

// TestRecordings: one fix for each RMC of status A, in every recording and
// however the stream is cut.
func TestRecordings(t *testing.T) {
	tests := []struct {
		file  string
		fixes int
		stats gnss.Stats
	}{
		{"nmea/bt451.log", 13, // two logs joined: one GGA without its RMC between them
			gnss.Stats{Sentences: 144, Ignored: 59, NoFix: 4 + 1}},
		{"nmea/firefly-II.log", 23, // each GGA has the checksum of another quality
			gnss.Stats{Sentences: 46, BadChecksum: 23}},
		{"nmea/nmea-fuzzy-cases.log", 14,
			gnss.Stats{Sentences: 28}},
		{"nmea/quectel-eg25-g.log", 23, // a comment of the file has a `$`
			gnss.Stats{Sentences: 861, Ignored: 459, Unchecked: 1, NoFix: 37}},
		{"nmea/telit-he910.log", 187,
			gnss.Stats{Sentences: 1558, Ignored: 662, NoFix: 37}},
		{"nmea/drive-comma2k19-10hz.nmea", 579,
			gnss.Stats{Sentences: 1158}},
		{"nmea/ublox-neo-m8l.log", 0, // TXT, and UBX full of `$`
			gnss.Stats{Sentences: 14, Ignored: 14, Frames: 1388}},
		{"ubx/pygpsdata-MIXED.log", 0,
			gnss.Stats{Sentences: 8, Ignored: 8, Frames: 300}},
		{"ubx/pygpsdata-NAV.log", 0,
			gnss.Stats{Frames: 28}},
		{"ubx/pygpsdata-BADHDR.log", 0,
			gnss.Stats{Frames: 2}},
		{"ubx/pygpsdata-NMEA.log", 0, // its one GGA is of an inertial system, IN
			gnss.Stats{Sentences: 20, Ignored: 20, TooLong: 1}},
		{"ubx/pygpsdata-NMEABADEND.log", 0,
			gnss.Stats{Sentences: 15, Ignored: 15, TooLong: 1}},
	}
	for _, tt := range tests {
		t.Run(tt.file, func(t *testing.T) {
			data := recording(t, tt.file)
			require.Equal(t, tt.fixes, validRMC(data), "counted by lines")
			tt.stats.Fixes = int64(tt.fixes)
			fixes, stats := decode(data, len(data))
			require.Equal(t, tt.stats, stats)
			require.Len(t, fixes, tt.fixes)
			for _, piece := range []int{1, 7, 64, 4096} {
				again, stats := decode(data, piece)
				same(t, fixes, again)
				require.Equal(t, tt.stats, stats)
			}
		})
	}
}

// TestRecordedMarks plays the recordings in real time, as far as they tell it,
// and looks at what is marked.
func TestRecordedMarks(t *testing.T) {
	tests := map[string]map[int]string{ // index of the fix: marks
		// Before the first full fix the receiver was 0.3 s ahead.
		"nmea/telit-he910.log": {1: "time-back"},
		// Lost for seconds, then 200 m off at HDOP 4.1: too slow for a jump.
		"nmea/quectel-eg25-g.log": {},
		// The second of the joined logs is the older one.
		"nmea/bt451.log": {8: "jump|time-back", 9: "jump|time-back", 10: "jump|time-back", 11: "jump|time-back", 12: "jump|time-back"},
		// Ten minutes were cut out.
		"nmea/nmea-fuzzy-cases.log":      {},
		"nmea/firefly-II.log":            {},
		"nmea/drive-comma2k19-10hz.nmea": {},
	}
	for file, want := range tests {
		t.Run(file, func(t *testing.T) {
			b := newBench()
			last := time.Time{}
			for line := range bytes.Lines(recording(t, file)) {
				if now, ok := timeOf(line); ok {
					if step := now.Sub(last); step > 0 && !last.IsZero() {
						b.clock += step
					}
					last = now
				}
				_, _ = b.Write(line)
			}
			b.Reset()
			got := map[int]string{}
			for i, f := range b.fixes {
				if f.Marks != 0 {
					got[i] = f.Marks.String()
				}
			}
			require.Equal(t, want, got)
		})
	}
}

// timeOf is the time of day of an RMC, GGA or GNS.
func timeOf(line []byte) (time.Time, bool) {
	f := bytes.Split(line, []byte{','})
	if len(f) < 10 || len(f[0]) != 6 || !bytes.Contains([]byte("RMC GGA GNS"), f[0][3:]) {
		return time.Time{}, false
	}
	t, err := time.Parse("150405", string(f[1]))
	return t, err == nil
}

// validRMC counts lines that hold an RMC of status A and a checksum that holds:
// another way to the same number, which knows nothing of epochs.
func validRMC(data []byte) int {
	n := 0
	for line := range bytes.Lines(data) {
		text := strings.TrimRight(string(line), "\r\n")
		text = text[strings.LastIndexByte(text, '$')+1:]
		body, sum, ok := strings.Cut(text, "*")
		if !ok || len(body) < 6 || body[2:6] != "RMC," || strings.Split(body, ",")[2] != "A" {
			continue
		}
		var x byte
		for _, c := range []byte(body) {
			x ^= c
		}
		if v, err := strconv.ParseUint(sum, 16, 8); err == nil && byte(v) == x {
			n++
		}
	}
	return n
}
