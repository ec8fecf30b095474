package gnss_test

import (
	"fmt"
	"math"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/adrianmo/go-nmea"
	"github.com/stretchr/testify/require"

	"roadseal/hal/gnss"
)

// The ways in which decoder and go-nmea may differ, or both refuse.
const (
	badSum   = "both refuse: the checksum does not hold"
	noSum    = "both refuse: no checksum"
	foreign  = "both refuse: proprietary"
	tooLong  = "both refuse: proprietary, and longer than any that is read"
	system   = "go-nmea refuses the hexadecimal system id of GSV: NMEA 4.11 has B"
	unread   = "go-nmea reads what says nothing about a fix: TXT, waypoints, proprietary"
	inertial = "go-nmea reads GGA of talker IN: an inertial system, not a receiver"
)

// TestOracle compares each sentence of each recording, alone, with what go-nmea
// reads in it, and names every difference.
func TestOracle(t *testing.T) {
	tests := map[string]struct {
		agreed  int // sentences that both read alike
		differs map[string]int
	}{
		"nmea/bt451.log":                 {138, map[string]int{unread: 6}},
		"nmea/firefly-II.log":            {46, map[string]int{badSum: 23}}, // made for another quality
		"nmea/nmea-fuzzy-cases.log":      {28, map[string]int{}},
		"nmea/quectel-eg25-g.log":        {715, map[string]int{foreign: 146}},
		"nmea/telit-he910.log":           {1558, map[string]int{}},
		"nmea/ublox-neo-m8l.log":         {0, map[string]int{unread: 14}},
		"nmea/drive-comma2k19-10hz.nmea": {1158, map[string]int{}},
		"ubx/pygpsdata-BADHDR.log":       {0, map[string]int{}},
		"ubx/pygpsdata-MIXED.log":        {0, map[string]int{unread: 8}},
		"ubx/pygpsdata-NAV.log":          {0, map[string]int{}},
		"ubx/pygpsdata-NMEA.log":         {0, map[string]int{foreign: 8, unread: 10, inertial: 1, tooLong: 1, system: 1}},
		"ubx/pygpsdata-NMEABADEND.log":   {0, map[string]int{foreign: 6, unread: 9, tooLong: 1, noSum: 1}},
	}
	for _, file := range allRecordings(t) {
		t.Run(file, func(t *testing.T) {
			agreed, differs := 0, map[string]int{}
			for _, text := range lines.FindAllString(string(recording(t, file)), -1) {
				if why := disagree(t, strings.TrimSpace(text)); why != "" {
					differs[why]++
				} else {
					agreed++
				}
			}
			tt, ok := tests[file]
			require.True(t, ok, "not in the table")
			require.Equal(t, tt.agreed, agreed)
			require.Equal(t, tt.differs, differs)
		})
	}
}

// lines are what looks like sentences, also between binary.
var lines = regexp.MustCompile(`\$[A-Z]{4,5},[ -~]*`)

// disagree compares one sentence. It returns why only one of the two reads it,
// or none, and fails where they read it differently.
func disagree(t *testing.T, text string) string {
	b := newBench()
	b.write(text + "\r\n")
	stats := b.Stats()
	said, err := nmea.Parse(text)
	switch {
	case err == nil && stats.Ignored == 1 && text[:3] == "$IN":
		return inertial
	case err == nil && stats.Ignored == 1:
		return unread
	case err == nil:
		compare(t, said, text)
		return ""
	}
	b.Reset()
	require.Empty(t, b.fixes, "%v: %s", err, text)
	switch {
	case stats.BadChecksum == 1 && strings.Contains(err.Error(), "checksum mismatch"):
		return badSum
	case stats.Unchecked == 1 && strings.Contains(err.Error(), "checksum separator"):
		return noSum
	case stats.TooLong == 1 && strings.HasPrefix(text, "$P"):
		return tooLong
	case stats.Ignored == 0 && strings.Contains(err.Error(), "invalid system ID: B"):
		return system
	case stats.Ignored == 1 && strings.Contains(err.Error(), "not supported"):
		return foreign
	}
	return "unexplained: " + err.Error() + fmt.Sprintf(" %+v", stats)
}

// compare holds what go-nmea says, which has 0 where nothing was said, against
// the decoder.
func compare(t *testing.T, said nmea.Sentence, text string) {
	alike := func(want, got float64) {
		t.Helper()
		if want != 0 || !math.IsNaN(got) {
			require.InDelta(t, want, got, 1e-9, text)
		}
	}
	switch s := said.(type) {
	case nmea.RMC:
		if f := alone(t, text, s.Validity == "A", s.Latitude, s.Longitude); s.Validity == "A" {
			alike(s.Speed*1852/3600, f.Speed)
			alike(s.Course, f.Course)
			require.Equal(t, nmea.DateTime(2000, s.Date, s.Time), f.UTC, text)
		}
	case nmea.GGA:
		if f := alone(t, text, s.FixQuality > "0", s.Latitude, s.Longitude); s.FixQuality > "0" {
			alike(s.Altitude, f.Altitude)
			alike(s.HDOP, f.HDOP)
			require.Equal(t, int(s.NumSatellites), f.Satellites, text)
		}
	case nmea.GNS:
		valid := strings.Trim(strings.Join(s.Mode, ""), "N") != ""
		if f := alone(t, text, valid, s.Latitude, s.Longitude); valid {
			alike(s.Altitude, f.Altitude)
			alike(s.HDOP, f.HDOP)
			require.Equal(t, int(s.SVs), f.Satellites, text)
		}
	case nmea.GLL:
		alone(t, text, s.Validity == "A", s.Latitude, s.Longitude)
	default:
		compareRest(t, said, text[1:len(text)-3], alike)
	}
}

// alone is the fix of one sentence, zero where it is not valid.
func alone(t *testing.T, text string, valid bool, lat, lon float64) gnss.Fix {
	t.Helper()
	fixes, _ := decode([]byte(text), len(text))
	if !valid {
		require.Empty(t, fixes, text)
		return gnss.Fix{}
	}
	require.Len(t, fixes, 1, text)
	require.InDelta(t, lat, fixes[0].Lat.Reveal(), 1e-12, text)
	require.InDelta(t, lon, fixes[0].Lon.Reveal(), 1e-12, text)
	return fixes[0]
}

// compareRest is compare for sentences that have no position: beside one that has.
func compareRest(t *testing.T, said nmea.Sentence, body string, alike func(want, got float64)) {
	switch s := said.(type) {
	case nmea.GSA:
		f := newBench().fix(t, rmcBody, body)
		alike(s.HDOP, f.HDOP)
		require.Equal(t, len(s.SV), f.Satellites, body)
	case nmea.VTG:
		f := newBench().fix(t, ggaBody, body)
		alike(s.TrueTrack, f.Course)
		alike(s.GroundSpeedKnots*1852/3600, f.Speed)
	case nmea.ZDA:
		if !s.Time.Valid {
			return
		}
		f := newBench().fix(t, body, strings.Replace(ggaBody, "120000.50", strings.Split(body, ",")[1], 1))
		day := time.Date(int(s.Year), time.Month(s.Month), int(s.Day), s.Time.Hour, s.Time.Minute, s.Time.Second, s.Time.Millisecond*1e6, time.UTC)
		require.Equal(t, day, f.UTC, body)
	case nmea.GSV:
		b := newBench()
		b.say(rmcBody, body, at("01", rmcBody))
		require.Equal(t, s.NumberSVsInView, b.Stats().InView, body)
		signal := int64(0)
		for _, satellite := range s.Info {
			signal = max(signal, satellite.SNR)
		}
		require.Equal(t, signal, b.Stats().Signal, body)
	default:
		require.Fail(t, "neither ignored nor compared", body)
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
