package gnss_test

import (
	"math"
	"math/big"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"roadseal/hal/gnss"
)

const (
	rmcBody = "GNRMC,120000.50,A,4807.03800,N,01131.00000,E,022.4,084.4,020826,000.8,W,A,V"
	ggaBody = "GNGGA,120000.50,4807.03800,N,01131.00000,E,1,08,0.90,545.4,M,46.9,M,,"
	gnsBody = "GNGNS,120000.50,4807.03800,N,01131.00000,E,AN,11,0.80,545.5,46.9,,,V"
	gsaBody = "GNGSA,A,3,01,02,03,04,05,,,,,,,,1.5,0.7,1.2,1"
	vtgBody = "GNVTG,084.4,T,081.3,M,022.4,N,041.5,K,A"
	gllBody = "GNGLL,4807.03800,N,01131.00000,E,120000.50,A,A"
	gstBody = "GNGST,120000.50,1.2,2.0,1.0,45.0,1.2,1.6,2.5"
	gbsBody = "GNGBS,120000.50,3.0,4.0,5.0,03,,-21.4,3.8"
	gsvBody = "GPGSV,1,1,03,01,40,083,46,02,17,308,41,12,07,344,"
	zdaBody = "GNZDA,120000.50,02,08,2026,00,00"
)

var said = time.Date(2026, 8, 2, 12, 0, 0, 5e8, time.UTC)

// number holds NaN equal to itself.
func number(t *testing.T, want, got float64, what string) {
	t.Helper()
	if math.IsNaN(want) {
		require.True(t, math.IsNaN(got), "%s: %v", what, got)
		return
	}
	require.InDelta(t, want, got, 1e-9, what)
}

// speed is what RMC and VTG say, m/s.
const speed = 22.4 * 1852 / 3600

var nan = math.NaN()

// A fieldCase is a fix's sentences and its numbers.
type fieldCase struct {
	name                               string
	say                                []string
	altitude, speed, course, hdop, acc float64
	satellites                         int
	quality                            byte
	dated                              bool
}

func requireFields(t *testing.T, tests []fieldCase) {
	const lat, lon = 48 + 7.038/60, 11 + 31./60
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			f := newBench().fix(t, tt.say...)
			require.InDelta(t, lat, f.Lat.Reveal(), 5e-8) // a digit of NAV-PVT is 1e-7
			require.InDelta(t, lon, f.Lon.Reveal(), 5e-8)
			number(t, tt.altitude, f.Altitude, "altitude")
			number(t, tt.speed, f.Speed, "speed")
			number(t, tt.course, f.Course, "course")
			number(t, tt.hdop, f.HDOP, "hdop")
			number(t, tt.acc, f.Accuracy, "accuracy")
			require.Equal(t, tt.satellites, f.Satellites)
			require.Equal(t, tt.quality, f.Quality)
			if !tt.dated {
				require.Equal(t, gnss.MarkNoDate, f.Marks)
				require.Equal(t, gnss.ClockNone, f.Clock)
				require.True(t, f.UTC.IsZero())
				return
			}
			require.Zero(t, f.Marks, f.Marks)
			require.Equal(t, gnss.ClockGNSS, f.Clock)
			require.Equal(t, said, f.UTC)
		})
	}
}

// TestFields reads every field of every sentence that a fix is made of.
func TestFields(t *testing.T) {
	requireFields(t, []fieldCase{
		{"RMC alone", []string{rmcBody}, nan, speed, 84.4, nan, nan, -1, 1, true},
		{"GGA alone", []string{ggaBody}, 545.4, nan, nan, 0.9, 4.5, 8, 1, false},
		{"GNS alone", []string{gnsBody}, 545.5, nan, nan, 0.8, 4, 11, 1, false},
		{"GGA, date of ZDA", []string{ggaBody, zdaBody}, 545.4, nan, nan, 0.9, 4.5, 8, 1, true},
		{"GGA, date of ZDA before", []string{zdaBody, ggaBody}, 545.4, nan, nan, 0.9, 4.5, 8, 1, true},
		{"GGA, motion of VTG", []string{ggaBody, vtgBody}, 545.4, speed, 84.4, 0.9, 4.5, 8, 1, false},
		{"VTG in km/h", []string{ggaBody, "GPVTG,360,T,,M,,N,36.0,K,A"}, 545.4, 10, 0, 0.9, 4.5, 8, 1, false},
		{"VTG in km/h, too fast", []string{ggaBody, "GPVTG,360,T,,M,,N,180000.0,K,A"}, 545.4, nan, 0, 0.9, 4.5, 8, 1, false},
		{"VTG in knots, too fast", []string{ggaBody, "GPVTG,360,T,,M,97193,N,,,A"}, 545.4, nan, 0, 0.9, 4.5, 8, 1, false},
		{"RMC, too fast", []string{strings.Replace(rmcBody, "022.4", "97193", 1)}, nan, nan, 84.4, nan, nan, -1, 1, true},
		{"RMC, GSA", []string{rmcBody, gsaBody}, nan, speed, 84.4, 0.7, 3.5, 5, 1, true},
		{"GSA of two systems, GN", []string{rmcBody, "GPGSA,A,3,01,02,,,,,,,,,,,1.5,0.7,1.2", gsaBody, gsaBody}, nan, speed, 84.4, 0.7, 3.5, 10, 1, true},
		{"GSA of two systems, apart", []string{rmcBody, "GPGSA,A,3,01,02,,,,,,,,,,,1.5,0.7,1.2", "GLGSA,A,3,65,,,,,,,,,,,,1.5,0.6,1.2"}, nan, speed, 84.4, 0.6, 3, 3, 1, true},
		{"GGA before GNS but for satellites", []string{rmcBody, gnsBody, ggaBody}, 545.4, speed, 84.4, 0.9, 4.5, 11, 1, true},
		{"GNS of one system each after GN", []string{gnsBody, "GPGNS,120000.50,,,,,,7,,,,,", "GLGNS,120000.50,,,,,,4,,,,,"}, 545.5, nan, nan, 0.8, 4, 11, 1, false},
		{"RMC of 1995, no mode", []string{"GPRMC,120000.50,A,4807.03800,N,01131.00000,E,022.4,084.4,020826,003.1,W"}, nan, speed, 84.4, nan, nan, -1, 1, true},
		{"RMC, mode in the place of E|W", []string{"GPRMC,120000.50,A,4807.03800,N,01131.00000,E,022.4,084.4,020826,0,D"}, nan, speed, 84.4, nan, nan, -1, 2, true},
		{"RMC, E of the variation is no mode", []string{"GPRMC,120000.50,A,4807.03800,N,01131.00000,E,022.4,084.4,020826,0,E"}, nan, speed, 84.4, nan, nan, -1, 1, true},
		{"RMC, dead reckoning", []string{"GPRMC,120000.50,A,4807.03800,N,01131.00000,E,022.4,084.4,020826,,,E,V"}, nan, speed, 84.4, nan, nan, -1, 6, true},
		{"RMC, navigational status C", []string{"GPRMC,120000.50,A,4807.03800,N,01131.00000,E,022.4,084.4,020826,,,A,C"}, nan, speed, 84.4, nan, nan, -1, 1, true},
		{"GGA, simulator", []string{strings.Replace(ggaBody, "E,1,08", "E,8,08", 1)}, 545.4, nan, nan, 0.9, 4.5, 8, 8, false},
		{"GGA, no quality, RMC of status A", []string{rmcBody, strings.Replace(ggaBody, "E,1,08", "E,,08", 1)}, 545.4, speed, 84.4, 0.9, 4.5, 8, 1, true},
		{"GNS, one system RTK", []string{strings.Replace(gnsBody, ",AN,", ",ERN,", 1)}, 545.5, nan, nan, 0.8, 4, 11, 4, false},
		{"two talkers of GGA, the first valid one", []string{"GLGGA,120000.50,,,,,0,00,,,M,,M,,", ggaBody, "GPGGA,120000.50,0,N,0,E,2,04,3,0,M,,M,,"}, 545.4, nan, nan, 0.9, 4.5, 8, 1, false},
		{"below the sea", []string{strings.Replace(ggaBody, "545.4", "-2.75", 1)}, -2.75, nan, nan, 0.9, 4.5, 8, 1, false},
		{"lower-case address is none of ours", []string{rmcBody, "gpgga,120000.50,0000.0,N,00000.0,E,1,99,9,9,M,9,M,,"}, nan, speed, 84.4, nan, nan, -1, 1, true},
	})
}

// TestMoreFields does the same for GLL, errors and NAV-PVT.
func TestMoreFields(t *testing.T) {
	requireFields(t, []fieldCase{
		{"GLL alone", []string{gllBody}, nan, nan, nan, nan, nan, -1, 1, false},
		{"GLL, differential", []string{gllBody[:len(gllBody)-1] + "D"}, nan, nan, nan, nan, nan, -1, 2, false},
		{"GLL, no mode", []string{gllBody[:len(gllBody)-2]}, nan, nan, nan, nan, nan, -1, 1, false},
		{"GLL adds nothing to the others", []string{rmcBody, ggaBody, "GPGLL,0,N,0,E,120000.50,A,S"}, 545.4, speed, 84.4, 0.9, 4.5, 8, 1, true},
		{"two talkers of GLL", []string{gllBody, "GPGLL,0,N,0,E,120000.50,A,S"}, nan, nan, nan, nan, nan, -1, 1, false},
		{"GST before HDOP", []string{rmcBody, ggaBody, gstBody}, 545.4, speed, 84.4, 0.9, 2, 8, 1, true},
		{"GST before GBS", []string{gbsBody, gstBody, rmcBody}, nan, speed, 84.4, nan, 2, -1, 1, true},
		{"GBS", []string{rmcBody, ggaBody, gbsBody}, 545.4, speed, 84.4, 0.9, 5, 8, 1, true},
		{"GST of zeros", []string{rmcBody, ggaBody, "GNGST,120000.50,,,,,0.0,0.0,0.0"}, 545.4, speed, 84.4, 0.9, 4.5, 8, 1, true},
		{"GST, half of it", []string{rmcBody, ggaBody, "GNGST,120000.50,,,,,1.0,,"}, 545.4, speed, 84.4, 0.9, 4.5, 8, 1, true},
		{"GST of an earlier time", []string{"GNGST,120000.40,1.2,2.0,1.0,45.0,1.2,1.6,2.5", rmcBody, ggaBody}, 545.4, speed, 84.4, 0.9, 4.5, 8, 1, true},
		{"NAV-PVT alone", []string{pvtFrame(nil)}, 545.5, 11.5, 84.25, nan, 1.5, 17, 2, true},
		{"NAV-PVT before the others", []string{rmcBody, ggaBody, gstBody, pvtFrame(nil)}, 545.5, 11.5, 84.25, 0.9, 1.5, 17, 1, true},
		{"NAV-PVT, then the others", []string{pvtFrame(nil), gsaBody, rmcBody}, 545.5, 11.5, 84.25, 0.7, 1.5, 17, 2, true},
	})
}

// TestDamagedField: whatever a minor field holds, the position stays.
func TestDamagedField(t *testing.T) {
	damage := []string{"", "x", "-", ".", "-.", "1.2.3", "1e9", "NaN", "0x1", "-1", "999999999999999999999", "1.5x", " ", "é"}
	sentences := map[string][]int{ // and the fields that make the position
		rmcBody: {2, 3, 4, 5, 6},
		ggaBody: {2, 3, 4, 5, 6},
		gllBody: {1, 2, 3, 4, 6},
		gnsBody: {2, 3, 4, 5, 6},
	}
	for body, needed := range sentences {
		clean := strings.Split(body, ",")
		for i := 1; i < len(clean); i++ {
			for _, d := range damage {
				fields := strings.Split(body, ",")
				fields[i] = d
				b := newBench()
				b.say(strings.Join(fields, ","))
				b.Reset()
				isNeeded := false
				for _, n := range needed {
					isNeeded = isNeeded || i == n
				}
				if d == "é" { // no sentence holds bytes above 0x7E
					require.Empty(t, b.fixes)
					require.Equal(t, int64(1), b.Stats().Broken)
					continue
				}
				if isNeeded {
					require.Empty(t, b.fixes, "%s with field %d %q", body, i, d)
					continue
				}
				require.Len(t, b.fixes, 1, "%s with field %d %q", body, i, d)
				require.InDelta(t, 48+7.038/60, b.fixes[0].Lat.Reveal(), 1e-12)
			}
		}
		// Cut short behind the position, and with fields that no standard has.
		for _, end := range []int{7, min(8, len(clean)), len(clean)} {
			s := strings.Join(clean[:end], ",") + strings.Repeat(",1", len(clean)-end+15)
			newBench().fix(t, s)
		}
		newBench().fix(t, strings.Join(clean[:7], ","))
	}
}

// TestDamagedPosition: an RMC of status A whose own position is damaged vouches
// for that of GGA or GNS; without these there is nothing to pass on.
func TestDamagedPosition(t *testing.T) {
	for _, pos := range []string{
		",,,", "4807.03800,,01131.00000,E", "4807.03800,N,01131.00000,", "4807.038OO,N,01131.00000,E",
		"9000.00001,N,01131.00000,E", "4860.00000,N,01131.00000,E", "4807.03800,N,18000.00001,E",
		"4807.03800,N,-1131.00000,E", "4807.03800,E,01131.00000,N", "4807.03800,N,01131.00000,EE",
		"999999999999,N,01131.00000,E", ".,N,01131.00000,E",
	} {
		broken := strings.Replace(rmcBody, "4807.03800,N,01131.00000,E", pos, 1)
		b := newBench()
		b.say(broken)
		b.Reset()
		require.Empty(t, b.fixes, pos)
		require.Equal(t, int64(1), b.Stats().NoFix)
		noQuality := strings.Replace(ggaBody, "E,1,08", "E,,08", 1)
		for _, other := range []string{ggaBody, gnsBody, noQuality, gllBody, pvtFrame(nil)} {
			f := newBench().fix(t, broken, other)
			require.InDelta(t, 48+7.038/60, f.Lat.Reveal(), 1e-12)
			require.Equal(t, said, f.UTC)
		}
	}
}

// TestPrecision: eight decimals of minutes arrive with the rounding of one
// division; more are cut off.
func TestPrecision(t *testing.T) {
	tests := []struct {
		field      string
		hemisphere string
		whole      int64
		minutes    string
	}{
		{"4134.49821229", "N", 41, "34.49821229"},
		{"0000.00000001", "S", 0, "0.00000001"},
		{"8959.99999999", "N", 89, "59.99999999"},
		{"9000.00000000", "S", 90, "0"},
		{"4134.498212299", "N", 41, "34.49821229"},
		{"4134", "N", 41, "34"},
		{"7.5", "N", 0, "7.5"},
	}
	for _, tt := range tests {
		f := newBench().fix(t, strings.Replace(rmcBody, "4807.03800,N", tt.field+","+tt.hemisphere, 1))
		minutes, ok := new(big.Rat).SetString(tt.minutes)
		require.True(t, ok)
		exact := new(big.Rat).Add(big.NewRat(tt.whole, 1), minutes.Quo(minutes, big.NewRat(60, 1)))
		want, _ := exact.Float64()
		if tt.hemisphere == "S" {
			want = -want
		}
		require.Equal(t, want, f.Lat.Reveal(), tt.field) // to the last bit
	}
}

// TestTalkers: nine are read, all others ignored without a word.
func TestTalkers(t *testing.T) {
	for _, talker := range []string{"GP", "GN", "GL", "GA", "GB", "BD", "GQ", "QZ", "GI"} {
		newBench().fix(t, talker+rmcBody[2:])
		newBench().fix(t, talker+ggaBody[2:])
	}
	for _, address := range []string{"INRMC", "PQRMC", "II", "PUBX", "GPRM", "GPRMCX", "gprmc", "", "PQGSV", "GPTXT"} {
		b := newBench()
		b.say(address + rmcBody[5:])
		b.Reset()
		require.Empty(t, b.fixes, address)
		require.Equal(t, gnss.Stats{Sentences: 1, Ignored: 1}, b.Stats(), address)
	}
}
