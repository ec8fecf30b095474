package drivegen_test

import (
	"math"
	"strings"
	"testing"
	"time"

	"github.com/adrianmo/go-nmea"
	"github.com/stretchr/testify/require"

	"roadseal/cmd/internal/bench/drivegen"
)

var start = time.Date(2026, 12, 31, 23, 59, 30, 0, time.UTC) // over midnight and the year

// parse reads the drive with a parser that is not ours.
func parse(t *testing.T, drive []byte) (rmc []nmea.RMC, gga []nmea.GGA, gsa int) {
	t.Helper()
	for line := range strings.Lines(string(drive)) {
		require.True(t, strings.HasSuffix(line, "\r\n"))
		s, err := nmea.Parse(strings.TrimSpace(line))
		require.NoError(t, err)
		switch s := s.(type) {
		case nmea.RMC:
			rmc = append(rmc, s)
		case nmea.GGA:
			gga = append(gga, s)
		case nmea.GSA:
			gsa++
		}
	}
	return rmc, gga, gsa
}

func TestSameSeedSameDrive(t *testing.T) {
	o := drivegen.Options{Seed: 7, Rate: 10, Start: start}
	require.Equal(t, drivegen.Generate(o), drivegen.Generate(o))
	other := o
	other.Seed++
	require.NotEqual(t, drivegen.Generate(o), drivegen.Generate(other))
}

func TestDriveIsPlausible(t *testing.T) {
	for seed := range uint64(20) {
		for _, rate := range []int{1, 10} {
			rmc, gga, gsa := parse(t, drivegen.Generate(drivegen.Options{Seed: seed, Rate: rate, Start: start}))
			require.Len(t, gga, len(rmc))
			seconds := len(rmc) / rate
			require.InDelta(t, 160, seconds, 30, "seed %d", seed)
			require.InDelta(t, seconds, gsa, 1)
			checkTimes(t, rmc, rate)
			checkMotion(t, rmc, rate)
			checkSky(t, rmc, gga, rate)
		}
	}
}

func checkTimes(t *testing.T, rmc []nmea.RMC, rate int) {
	t.Helper()
	for i, s := range rmc {
		want := start.Add(time.Duration(i) * time.Second / time.Duration(rate))
		require.Equal(t, want.Format("02/01/06"), s.Date.String())
		require.Equal(t, want.Format("15:04:05.0000"), s.Time.String())
	}
}

// checkMotion compares speed with the way between fixes, and looks for stops.
func checkMotion(t *testing.T, rmc []nmea.RMC, rate int) {
	t.Helper()
	const mps = 1852.0 / 3600
	stops, standing := 0, 0
	for i := rate; i < len(rmc); i++ {
		a, b := rmc[i-rate], rmc[i]
		if a.Validity != "A" || b.Validity != "A" {
			continue
		}
		north := (b.Latitude - a.Latitude) * 111195
		east := (b.Longitude - a.Longitude) * 111195 * math.Cos(b.Latitude*math.Pi/180)
		require.Less(t, b.Speed*mps, 28.0)
		require.InDelta(t, math.Hypot(north, east), b.Speed*mps, 5, "at %s", b.Time)
		require.InDelta(t, a.Speed, b.Speed, 4/mps, "at %s", b.Time)
		if b.Speed*mps < 0.2 {
			standing++
			continue
		}
		if standing > 3*rate {
			stops++
		}
		standing = 0
	}
	require.GreaterOrEqual(t, stops, 2)
}

// checkSky wants one tunnel, and both sentences to agree on it.
func checkSky(t *testing.T, rmc []nmea.RMC, gga []nmea.GGA, rate int) {
	t.Helper()
	blind, tunnels := 0, 0
	for i := range rmc {
		dark := rmc[i].Validity == "V"
		require.Equal(t, dark, gga[i].FixQuality == "0")
		if dark {
			blind++
			if i == 0 || rmc[i-1].Validity == "A" {
				tunnels++
			}
			continue
		}
		require.InDelta(t, rmc[i].Latitude, gga[i].Latitude, 1e-9)
		require.InDelta(t, 15, gga[i].NumSatellites, 5)
		require.Less(t, gga[i].HDOP, 5.0)
	}
	require.Equal(t, 1, tunnels)
	require.InDelta(t, 9, blind/rate, 5)
}
