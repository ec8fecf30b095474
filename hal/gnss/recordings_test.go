package gnss_test

import (
	"bytes"
	"encoding/binary"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"roadseal/hal/gnss"
)

// TestRecordings: one fix for each instant with a valid position, in every
// recording and however the stream is cut.
func TestRecordings(t *testing.T) {
	recordings(t)
	tests := []struct {
		file  string
		fixes int
		stats gnss.Stats
	}{
		{"nmea/bt451.log", 15, // two GLL or GGA without their RMC, where logs were joined
			gnss.Stats{Sentences: 144, Ignored: 6, NoFix: 4, InView: 10, Signal: 43}},
		{"nmea/firefly-II.log", 23, // each GGA has the checksum of another quality
			gnss.Stats{Sentences: 46, BadChecksum: 23}},
		{"nmea/nmea-fuzzy-cases.log", 14,
			gnss.Stats{Sentences: 28}},
		{"nmea/quectel-eg25-g.log", 23, // a comment of the file has a `$`
			gnss.Stats{Sentences: 861, Ignored: 146, Unchecked: 1, NoFix: 37, InView: 21, Signal: 23}},
		{"nmea/telit-he910.log", 187,
			gnss.Stats{Sentences: 1558, NoFix: 37, InView: 7, Signal: 46}},
		{"nmea/drive-comma2k19-10hz.nmea", 579,
			gnss.Stats{Sentences: 1158}},
		{"nmea/ublox-neo-m8l.log", 19, // TXT, and UBX full of `$`
			gnss.Stats{Sentences: 14, Ignored: 14, Frames: 1388}},
		{"ubx/pygpsdata-MIXED.log", 39,
			gnss.Stats{Sentences: 8, Ignored: 8, Frames: 300}},
		{"ubx/pygpsdata-NAV.log", 1,
			gnss.Stats{Frames: 28}},
		{"ubx/pygpsdata-BADHDR.log", 0, // its NAV-PVT has a broken sync
			gnss.Stats{Frames: 2}},
		{"ubx/pygpsdata-NMEA.log", 0, // its one GGA is of an inertial system, IN
			gnss.Stats{Sentences: 20, Ignored: 19, TooLong: 1}},
		{"ubx/pygpsdata-NMEABADEND.log", 0,
			gnss.Stats{Sentences: 15, Ignored: 15, TooLong: 1}},
	}
	read := map[string]bool{}
	for _, tt := range tests {
		read[tt.file] = true
		t.Run(tt.file, func(t *testing.T) {
			data := recording(t, tt.file)
			require.Equal(t, tt.fixes, validInstants(data)+validPVT(data), "counted another way")
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
	for _, file := range allRecordings(t) {
		require.True(t, read[file], "%s is not in the table", file)
	}
}

// TestRecordedMarks plays the recordings in real time, as far as they tell it,
// and looks at what is marked.
func TestRecordedMarks(t *testing.T) {
	recordings(t)
	tests := map[string]map[int]string{ // index of the fix: marks
		// Before the first full fix the receiver was 0.3 s ahead.
		"nmea/telit-he910.log": {1: "time-back"},
		// Lost for seconds, then 200 m off at HDOP 4.1: too slow for a jump.
		"nmea/quectel-eg25-g.log": {},
		// The second of the joined logs is the older one.
		"nmea/bt451.log": {9: "jump|time-back", 10: "jump|time-back", 11: "jump|time-back", 12: "jump|time-back", 13: "jump|time-back"},
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

// validInstants counts the times for which a line of NMEA says a valid position
// and no RMC says status V: another way to the same number, which knows nothing
// of epochs. Times of two logs joined are told apart by their order.
func validInstants(data []byte) int {
	n, last, void := 0, "", ""
	for line := range bytes.Lines(data) {
		text := strings.TrimRight(string(line), "\r\n")
		text = text[strings.LastIndexByte(text, '$')+1:]
		body, sum, ok := strings.Cut(text, "*")
		var x byte
		for _, c := range []byte(body) {
			x ^= c
		}
		if v, err := strconv.ParseUint(sum, 16, 8); !ok || err != nil || byte(v) != x {
			continue
		}
		at, state, placed := validity(strings.Split(body, ","))
		switch {
		case state == 'V':
			if at == last && void != at { // the place said before is not valid
				n--
			}
			void = at
		case state == 'A' && placed && at != last && at != void:
			n++
			last = at
		}
	}
	return n
}

// validity is the time of a sentence, A if it says that its position is valid, V
// if it is an RMC that says the contrary, and whether it says a position.
func validity(f []string) (at string, state byte, placed bool) {
	if len(f[0]) != 5 || len(f) < 7 || !strings.Contains("GP GN GL GA GB BD", f[0][:2]) {
		return "", 0, false
	}
	switch f[0][2:] {
	case "RMC":
		if f[2] == "A" {
			return f[1], 'A', f[3] != ""
		}
		return f[1], 'V', false
	case "GGA":
		return f[1], map[bool]byte{true: 'A'}[f[6] > "0"], f[2] != ""
	case "GNS":
		return f[1], map[bool]byte{true: 'A'}[strings.Trim(f[6], "N") != ""], f[2] != ""
	case "GLL":
		return f[5], map[bool]byte{true: 'A'}[f[6] == "A"], f[1] != ""
	}
	return "", 0, false
}

// validPVT counts the NAV-PVT anywhere in a stream whose checksum, summed up the
// long way, holds and that say a valid fix.
func validPVT(data []byte) int {
	n := 0
	for i := range data {
		if onePVT(data[i:]) {
			n++
		}
	}
	return n
}

// onePVT reports whether data begins with one.
func onePVT(data []byte) bool {
	if !bytes.HasPrefix(data, []byte("\xB5\x62\x01\x07")) || len(data) < 6 {
		return false
	}
	size := int(binary.LittleEndian.Uint16(data[4:]))
	if size < 84 || len(data) < size+8 {
		return false
	}
	x, y := 0, 0
	for i, c := range data[2 : size+6] {
		x += int(c)
		y += (size + 4 - i) * int(c)
	}
	return byte(x) == data[size+6] && byte(y) == data[size+7] && data[6+21]&1 == 1
}
