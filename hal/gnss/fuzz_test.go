package gnss_test

import (
	"fmt"
	"math"
	"regexp"
	"strconv"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"roadseal/hal/gnss"
)

// positioned finds sentences that can make a fix, valid or not: a second reading
// of the stream, by an expression.
var positioned = regexp.MustCompile(`\$((?:GP|GN|GL|GA|GB|BD|GQ|QZ|GI)(?:RMC|GGA|GNS|GLL),[ -#%-~]*?)\*([0-9A-Fa-f]{2})`)

// mayFix counts those whose checksum holds, and valid NAV-PVT.
func mayFix(stream []byte) int {
	n := validPVT(stream)
	for _, m := range positioned.FindAllSubmatch(stream, -1) {
		var sum byte
		for _, c := range m[1] {
			sum ^= c
		}
		if v, err := strconv.ParseUint(string(m[2]), 16, 8); err == nil && byte(v) == sum {
			n++
		}
	}
	return n
}

// requireSaidAgain writes a fix as RMC and GGA, all digits of them, and wants to
// read the same fix: position and time to the last bit.
func requireSaidAgain(t *testing.T, f gnss.Fix) {
	t.Helper()
	if f.UTC.Year() < 1980 || f.UTC.Year() > 2079 || !(math.Abs(f.Altitude) < 1e8 || math.IsNaN(f.Altitude)) {
		return // no date, or one that six digits cannot say
	}
	angle := func(v float64, degrees int, plus, minus string) string {
		units := int64(math.Round(math.Abs(v) * 6e9)) // 1e-8 minutes
		if math.Signbit(v) {
			plus = minus
		}
		return fmt.Sprintf("%0*d%02d.%08d,%s", degrees, units/6e9, units%6e9/1e8, units%1e8, plus)
	}
	decimal := func(v float64) string {
		if math.IsNaN(v) {
			return ""
		}
		return strconv.FormatFloat(v, 'f', 6, 64)
	}
	satellites := ""
	if f.Satellites >= 0 {
		satellites = strconv.Itoa(f.Satellites)
	}
	place := angle(f.Lat.Reveal(), 2, "N", "S") + "," + angle(f.Lon.Reveal(), 3, "E", "W")
	clock := f.UTC.Format("150405.000000000")
	again := newBench().fix(t,
		"GPRMC,"+clock+",A,"+place+","+decimal(f.Speed*3600/1852)+","+decimal(f.Course)+","+f.UTC.Format("020106")+",,,A",
		"GPGGA,"+clock+","+place+","+strconv.Itoa(int(f.Quality))+","+satellites+","+decimal(f.HDOP)+","+decimal(f.Altitude)+",M,,M,,")
	require.Equal(t, f.Lat, again.Lat)
	require.Equal(t, f.Lon, again.Lon)
	require.Equal(t, f.UTC, again.UTC)
	require.Equal(t, f.Quality, again.Quality)
	require.Equal(t, f.Satellites, again.Satellites)
	for _, n := range [][2]float64{{f.Altitude, again.Altitude}, {f.HDOP, again.HDOP}, {f.Speed, again.Speed}, {f.Course, again.Course}} {
		if !math.IsNaN(n[0]) {
			require.InDelta(t, n[0], n[1], 1e-6)
		}
	}
}

// FuzzDecoder: nothing makes a fix but a sentence whose checksum holds, and how
// a stream is cut changes nothing.
func FuzzDecoder(f *testing.F) {
	f.Add([]byte(sentence(rmcBody)+sentence(ggaBody)), 1)
	f.Add([]byte("$"+sentence(rmcBody)+ubx("$GP")+sentence(at("01", rmcBody))), 5)
	f.Add([]byte(sentence(zdaBody)+sentence(gnsBody)+sentence(gsaBody)+sentence(vtgBody)+"\xB5\x62\x01\x07\x00\x01"+sentence(ggaBody)), 100)
	f.Add(drive(3), 9)
	f.Add([]byte(pvtAt(1)+sentence(at("01.00", rmcBody))+rtcm("$abc")+pvtAt(2)+sentence(gllBody)+sentence(gstBody)), 7)
	f.Add([]byte(recordedRTCM+sentence(gsvBody)+pvtFrame(nil)[:84]+sentence(rmcBody)), 33)
	f.Fuzz(func(t *testing.T, stream []byte, piece int) {
		whole, stats := decode(stream, max(len(stream), 1))
		require.LessOrEqual(t, len(whole), mayFix(stream))
		require.Equal(t, int64(len(whole)), stats.Fixes)
		for _, size := range []int{1, 1 + piece&0xFFF} {
			again, stats2 := decode(stream, size)
			same(t, whole, again)
			require.Equal(t, stats, stats2)
		}
		for _, fix := range whole {
			requireSaidAgain(t, fix)
			require.LessOrEqual(t, fix.Lat.Reveal(), 90.0)
			require.GreaterOrEqual(t, fix.Lat.Reveal(), -90.0)
			require.LessOrEqual(t, fix.Lon.Reveal(), 180.0)
			require.GreaterOrEqual(t, fix.Lon.Reveal(), -180.0)
			require.LessOrEqual(t, fix.Quality, byte(8))
		}
	})
}

// FuzzSentence: the same for bodies that get the checksum they need, so that the
// fields are reached.
func FuzzSentence(f *testing.F) {
	for _, body := range []string{rmcBody, ggaBody, gnsBody, gsaBody, vtgBody, zdaBody, gllBody, gstBody, gbsBody, gsvBody} {
		f.Add(body, rmcBody)
		f.Add(ggaBody, body)
	}
	f.Fuzz(func(t *testing.T, a, b string) {
		stream := []byte(sentence(a) + sentence(b) + sentence(a))
		whole, _ := decode(stream, len(stream))
		require.LessOrEqual(t, len(whole), mayFix(stream))
		for _, fix := range whole {
			requireSaidAgain(t, fix)
		}
		again, _ := decode(stream, 1)
		same(t, whole, again)
	})
}

// FuzzPVT: any payload in a frame that holds makes at most one fix, of a possible
// place and time, alone and beside NMEA.
func FuzzPVT(f *testing.F) {
	f.Add([]byte(pvtFrame(nil)[6:98]))
	f.Add([]byte(pvtAt(60)[6:98]))
	f.Add(make([]byte, 84))
	f.Add([]byte(pvtFrame(func(p []byte) { copy(p[60:], "\xA0\x2D\x30\x04") })[6:98])) // 70 km/s
	f.Fuzz(func(t *testing.T, payload []byte) {
		if len(payload) > 4096 {
			return
		}
		stream := []byte(ubxOf(1, 7, string(payload)))
		fixes, stats := decode(stream, len(stream))
		require.LessOrEqual(t, len(fixes), 1)
		require.Equal(t, int64(1), stats.Frames)
		for _, fix := range fixes {
			requireSaidAgain(t, fix)
			require.LessOrEqual(t, math.Abs(fix.Lat.Reveal()), 90.0)
			require.LessOrEqual(t, math.Abs(fix.Lon.Reveal()), 180.0)
			require.False(t, fix.Course < 0 || fix.Course >= 360 || fix.Speed < 0 || fix.Accuracy < 0)
			require.True(t, fix.UTC.IsZero() || fix.UTC.Year() >= 1979 && fix.UTC.Year() <= 2080)
		}
		both := append(stream, sentence(rmcBody)...)
		whole, _ := decode(both, len(both))
		again, _ := decode(both, 1)
		same(t, whole, again)
	})
}

// FuzzSetup: whatever a receiver answers, nothing but whole commands of the list
// is sent, each at most three times, and it ends.
func FuzzSetup(f *testing.F) {
	f.Add([]byte(answer(0x0601, true)+answer(0x0601, false)+answer(valset, true)), 10)
	f.Add([]byte(answer(0x0601, true)), 3)
	f.Add([]byte(sentence(rmcBody)+"\xB5\x62\x05\x01\x02\x00"), 40)
	f.Fuzz(func(t *testing.T, said []byte, piece int) {
		c := newChip(t, silent)
		c.setup.Start()
		for range 500 { // 100 s: half a minute of answers, then silence
			n := min(1+piece&0x3F, len(said))
			_, _ = c.Write(said[:n])
			said = said[n:]
			c.run(200 * time.Millisecond)
		}
		report := c.run(40 * time.Second)
		require.LessOrEqual(t, len(c.heard), settings*2*3)
		if len(said) == 0 {
			require.Equal(t, settings, report.Acknowledged+len(report.Refused)+len(report.Unanswered))
		}
	})
}
