package gnss_test

import (
	"math"
	"regexp"
	"strconv"
	"testing"

	"github.com/stretchr/testify/require"
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
	f.Fuzz(func(t *testing.T, payload []byte) {
		if len(payload) > 4096 {
			return
		}
		stream := []byte(ubxOf(1, 7, string(payload)))
		fixes, stats := decode(stream, len(stream))
		require.LessOrEqual(t, len(fixes), 1)
		require.Equal(t, int64(1), stats.Frames)
		for _, fix := range fixes {
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
