package gnss_test

import (
	"bytes"
	"strings"
	"testing"

	"github.com/adrianmo/go-nmea"
	"github.com/stretchr/testify/require"

	"roadseal/hal/gnss"
)

// TestOracle compares each RMC, GGA and GNS of the recordings, alone, with what
// go-nmea reads in it.
func TestOracle(t *testing.T) {
	tests := []struct {
		file     string
		compared int // sentences with a position that both read
		refused  int // sentences that go-nmea refuses, and so does the decoder
	}{
		{"nmea/bt451.log", 13 + 13, 0},
		{"nmea/firefly-II.log", 23, 23}, // GGA with a bad checksum
		{"nmea/nmea-fuzzy-cases.log", 14 + 14, 0},
		{"nmea/quectel-eg25-g.log", 23 * 3, 0},
		{"nmea/telit-he910.log", 187 + 187, 0},
		{"nmea/drive-comma2k19-10hz.nmea", 579 + 579, 0},
	}
	for _, tt := range tests {
		t.Run(tt.file, func(t *testing.T) {
			compared, refused := 0, 0
			for line := range bytes.Lines(recording(t, tt.file)) {
				text := strings.TrimSpace(string(line))
				if len(text) < 7 || text[0] != '$' || !strings.Contains("RMC GGA GNS", text[3:6]) {
					continue
				}
				fixes, _ := decode([]byte(text), len(text))
				said, err := nmea.Parse(text)
				if err != nil {
					require.Empty(t, fixes, "%v: %s", err, text)
					refused++
					continue
				}
				if want, ok := oracle(said); ok {
					require.Len(t, fixes, 1, text)
					want.compare(t, fixes[0], text)
					compared++
				} else {
					require.Empty(t, fixes, text)
				}
			}
			require.Equal(t, tt.compared, compared)
			require.Equal(t, tt.refused, refused)
		})
	}
}

// reading is what go-nmea says; it has 0 where nothing was said.
type reading struct {
	lat, lon, altitude, hdop, speed float64
	satellites                      int64
}

func oracle(s nmea.Sentence) (reading, bool) {
	switch s := s.(type) {
	case nmea.RMC:
		return reading{lat: s.Latitude, lon: s.Longitude, speed: s.Speed * 1852 / 3600}, s.Validity == "A"
	case nmea.GGA:
		return reading{lat: s.Latitude, lon: s.Longitude, altitude: s.Altitude, hdop: s.HDOP, satellites: s.NumSatellites}, s.FixQuality > "0"
	case nmea.GNS:
		return reading{lat: s.Latitude, lon: s.Longitude, altitude: s.Altitude, hdop: s.HDOP, satellites: s.SVs}, strings.Trim(strings.Join(s.Mode, ""), "N") != ""
	}
	return reading{}, false
}

func (r reading) compare(t *testing.T, f gnss.Fix, text string) {
	t.Helper()
	require.InDelta(t, r.lat, f.Lat.Reveal(), 1e-12, text)
	require.InDelta(t, r.lon, f.Lon.Reveal(), 1e-12, text)
	for _, v := range []struct{ want, got float64 }{{r.altitude, f.Altitude}, {r.hdop, f.HDOP}, {r.speed, f.Speed}} {
		if v.want != 0 {
			require.InDelta(t, v.want, v.got, 1e-9, text)
		}
	}
	if r.satellites != 0 {
		require.Equal(t, int(r.satellites), f.Satellites, text)
	}
}

// TestOracleRefuses: sentences of shapes that receivers send, from which go-nmea
// takes no position for a fault in a minor field, and which make a fix here.
func TestOracleRefuses(t *testing.T) {
	tests := []struct{ body, why string }{
		{"GPRMC,120000.50,A,4807.03800,N,01131.00000,E,022.4,084.4,020826,0,N", "invalid direction: N"},
		{"GNRMC,120000.50,A,4807.03800,N,01131.00000,E,2x.4,084.4,020826,,,A,V", "invalid speed: 2x.4"},
		{"GNRMC,120000.50,A,4807.03800,N,01131.00000,E,022.4", "invalid course: index out of range"},
		{strings.Replace(ggaBody, "E,1,08", "E,1,0x", 1), "invalid number of satellites: 0x"},
		{strings.Replace(ggaBody, "E,1,08", "E,8,08", 1), "invalid fix quality: 8"},
	}
	for _, tt := range tests {
		_, err := nmea.Parse(strings.TrimSpace(sentence(tt.body)))
		require.ErrorContains(t, err, tt.why)
		f := newBench().fix(t, tt.body)
		require.InDelta(t, 48+7.038/60, f.Lat.Reveal(), 1e-12)
		require.InDelta(t, 11+31./60, f.Lon.Reveal(), 1e-12)
	}
}
