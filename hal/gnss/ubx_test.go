package gnss_test

import (
	"encoding/binary"
	"math"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"roadseal/hal/gnss"
)

// pvtFrame is a NAV-PVT of the same time and place as the other bodies, a 3D
// differential fix, after change.
func pvtFrame(change func(p []byte)) string {
	p := make([]byte, 92)
	put := func(i int, v int32) { binary.LittleEndian.PutUint32(p[i:], uint32(v)) }
	binary.LittleEndian.PutUint16(p[4:], 2026)
	copy(p[6:], []byte{8, 2, 12, 0, 0, 0x37})
	put(16, 5e8-3e5) // less 0.3 ms
	copy(p[20:], []byte{3, 0x03, 0, 17})
	put(24, 115166667)
	put(28, 481173000)
	put(32, 592400)
	put(36, 545500)
	put(40, 1500)
	put(60, 11500)
	put(64, 84_25000)
	binary.LittleEndian.PutUint16(p[76:], 140)
	if change != nil {
		change(p)
	}
	return ubxOf(1, 7, string(p))
}

// pvtAt is a NAV-PVT at 12:00:s.
func pvtAt(s byte) string {
	return pvtFrame(func(p []byte) { p[10] = s; copy(p[16:20], "\x00\x00\x00\x00") })
}

// TestPVT changes one thing each in a NAV-PVT.
func TestPVT(t *testing.T) {
	set := func(i int, v ...byte) func([]byte) { return func(p []byte) { copy(p[i:], v) } }
	word := func(i int, v int32) func([]byte) {
		return func(p []byte) { binary.LittleEndian.PutUint32(p[i:], uint32(v)) }
	}
	tests := []struct {
		name   string
		change func(p []byte)
		want   func(f *gnss.Fix) // nil: no fix
	}{
		{"nothing", nil, func(*gnss.Fix) {}},
		{"not valid", set(21, 0x02), nil},
		{"no fix", set(20, 0), nil},
		{"time only", set(20, 5), nil},
		{"an unknown kind", set(20, 6), nil},
		{"position invalid", set(78, 1), nil},
		{"latitude beyond the pole", word(28, 900000001), nil},
		{"longitude beyond 180", word(24, -1800000001), nil},
		{"the pole", word(28, -900000000), func(f *gnss.Fix) { f.Lat = -90 }},
		{"autonomous", set(21, 0x01), func(f *gnss.Fix) { f.Quality = 1 }},
		{"RTK float", set(21, 0x43), func(f *gnss.Fix) { f.Quality = 5 }},
		{"RTK fixed", set(21, 0x83), func(f *gnss.Fix) { f.Quality = 4 }},
		{"dead reckoning", set(20, 1), func(f *gnss.Fix) { f.Quality = 6 }},
		{"with dead reckoning", set(20, 4), func(*gnss.Fix) {}},
		{"2D", set(20, 2), func(*gnss.Fix) {}},
		{"below the sea", word(36, -1250), func(f *gnss.Fix) { f.Altitude = -1.25 }},
		{"course to the left of north", word(64, -90_00000), func(f *gnss.Fix) { f.Course = 270 }},
		{"course of two turns", word(64, 720_00000), func(f *gnss.Fix) { f.Course = math.NaN() }},
		{"speed below 0", word(60, -1), func(f *gnss.Fix) { f.Speed = math.NaN() }},
		{"speed as fast as a sentence may say", word(60, 49_999_999), func(f *gnss.Fix) { f.Speed = 49_999.999 }},
		{"speed beyond", word(60, 50_000_000), func(f *gnss.Fix) { f.Speed = math.NaN() }},
		{"accuracy unknown", word(40, -1), func(f *gnss.Fix) { f.Accuracy = math.NaN() }},
		{"fraction below 0", word(16, -4e5), func(f *gnss.Fix) { f.UTC = said.Truncate(time.Second) }},
		{"fraction that rounds up", word(16, 999_999_999), func(f *gnss.Fix) { f.UTC = said.Truncate(time.Second).Add(time.Second) }},
		{"over midnight", func(p []byte) { set(8, 23, 59, 59)(p); word(16, 999_999_999)(p) }, func(f *gnss.Fix) { f.UTC = time.Date(2026, 8, 3, 0, 0, 0, 0, time.UTC) }},
		{"back over midnight", func(p []byte) { set(8, 0, 0, 0)(p); word(16, -10_000_000)(p) }, func(f *gnss.Fix) { f.UTC = time.Date(2026, 8, 1, 23, 59, 59, 99e7, time.UTC) }},
		{"leap second", set(8, 23, 59, 60), func(f *gnss.Fix) { f.UTC = time.Date(2026, 8, 2, 23, 59, 59, 999999999, time.UTC) }},
		{"second 60 at noon", set(10, 60), noClock(gnss.MarkBadTime | gnss.MarkNoDate)},
		{"hour 24", set(8, 24), noClock(gnss.MarkBadTime | gnss.MarkNoDate)},
		{"31 February", set(6, 2, 31), noClock(gnss.MarkBadTime | gnss.MarkNoDate)},
		{"1970", set(4, 0xB2, 0x07), noClock(gnss.MarkBadTime | gnss.MarkNoDate)},
		{"year 9999", set(4, 0x0F, 0x27), noClock(gnss.MarkBadTime | gnss.MarkNoDate)},
		{"date not valid", set(11, 2), noClock(gnss.MarkNoDate)},
		{"time not valid", set(11, 1), noClock(gnss.MarkNoDate)},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			b := newBench()
			b.say(pvtFrame(tt.change))
			b.Reset()
			require.Equal(t, int64(1), b.Stats().Fixes+b.Stats().NoFix)
			if tt.want == nil {
				require.Empty(t, b.fixes)
				return
			}
			want := gnss.Fix{UTC: said, Clock: gnss.ClockGNSS, Lat: 48.1173, Lon: 11.5166667, Altitude: 545.5, Speed: 11.5,
				Course: 84.25, HDOP: math.NaN(), Accuracy: 1.5, Satellites: 17, Quality: 2}
			tt.want(&want)
			same(t, []gnss.Fix{want}, b.fixes)
		})
	}
}

func noClock(marks gnss.Marks) func(*gnss.Fix) {
	return func(f *gnss.Fix) { f.UTC, f.Clock, f.Marks = time.Time{}, gnss.ClockNone, marks }
}

// TestPVTLengths: u-blox 7 says 84 bytes; of fewer none is read, and no other
// message is taken for it.
func TestPVTLengths(t *testing.T) {
	payload := pvtFrame(nil)[6 : 6+92]
	for n, fixes := range map[int]int{0: 0, 20: 0, 83: 0, 84: 1, 92: 1} {
		b := newBench()
		b.write(ubxOf(1, 7, payload[:n]) + ubxOf(1, 6, payload) + ubxOf(2, 7, payload) + ubxOf(1, 3, payload[:7]))
		b.Reset()
		require.Len(t, b.fixes, fixes, n)
		require.Equal(t, int64(4), b.Stats().Frames)
	}
}

// TestMixed: UBX and NMEA of one epoch are one fix, in any order; each alone
// makes one as well.
func TestMixed(t *testing.T) {
	invalid := pvtFrame(func(p []byte) { p[21] = 0 })
	timeless := pvtFrame(func(p []byte) { p[11] = 0 })
	tests := []struct {
		name string
		say  []string
		want int
	}{
		{"UBX first", []string{pvtAt(1), at("01.00", rmcBody), at("01.00", ggaBody), pvtAt(2), at("02.00", rmcBody), at("02.00", ggaBody)}, 2},
		{"UBX last", []string{at("01.00", rmcBody), at("01.00", ggaBody), pvtAt(1), at("02.00", rmcBody), at("02.00", ggaBody), pvtAt(2)}, 2},
		{"UBX between", []string{at("01.00", rmcBody), pvtAt(1), at("01.00", ggaBody), at("02.00", rmcBody), pvtAt(2), at("02.00", ggaBody)}, 2},
		{"UBX alone", []string{pvtAt(1), pvtAt(2), pvtAt(3)}, 3},
		{"UBX more often", []string{pvtAt(1), at("01.00", rmcBody), pvtAt(2), pvtAt(3), pvtAt(4), at("04.00", rmcBody)}, 4},
		{"UBX and GGA, no RMC", []string{pvtAt(1), at("01.00", ggaBody), pvtAt(2), at("02.00", ggaBody)}, 2},
		{"UBX never of the time of GGA", []string{pvtAt(1), at("01.20", ggaBody), pvtAt(2), at("02.20", ggaBody)}, 2},
		{"UBX lost", []string{pvtAt(1), at("01.00", ggaBody), at("02.00", ggaBody), pvtAt(3)}, 3},
		{"UBX not valid, RMC valid", []string{invalid, rmcBody}, 1},
		{"RMC of status V, UBX valid", []string{void(rmcBody), pvtFrame(nil)}, 1},
		{"neither valid", []string{void(rmcBody), invalid, ggaBody}, 0},
		{"UBX without a time", []string{timeless, rmcBody, timeless, at("01", rmcBody)}, 2},
		{"a second UBX of the same time", []string{pvtAt(1), pvtAt(1)}, 2},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			b := newBench()
			b.say(tt.say...)
			b.Reset()
			require.Len(t, b.fixes, tt.want)
			for _, f := range b.fixes {
				require.Equal(t, said.Truncate(time.Minute), f.UTC.Truncate(time.Minute), "all dated")
			}
		})
	}

	// What comes after the fix is out makes no second one.
	b := newBench()
	b.say(at("01.00", rmcBody))
	b.Flush()
	b.say(pvtAt(1), at("01.00", gllBody))
	b.Reset()
	require.Len(t, b.fixes, 1)
}

// TestPVTFlipped flips each bit of a frame: no changed frame makes a fix.
func TestPVTFlipped(t *testing.T) {
	clean := pvtFrame(nil)
	for i := range len(clean) * 8 {
		s := []byte(clean)
		s[i/8] ^= 1 << (i % 8)
		fixes, _ := decode(s, len(s))
		require.Empty(t, fixes, "bit %d", i)
	}
}

// TestSpoofed: the receiver's word that it hears false signals marks all fixes
// until it takes it back. They are no measure for what follows.
func TestSpoofed(t *testing.T) {
	status := func(state byte) string {
		return ubxOf(1, 3, "\x00\x00\x00\x00\x03\xDF\x00"+string([]byte{state << 3})+"\x00\x00\x00\x00\x00\x00\x00\x00")
	}
	b := newBench()
	far := "GPRMC,150000,A,5000.0,N,01131.0,E,,,020826,,,A"
	require.Zero(t, b.fix(t, rmcAt("120000", "020826")).Marks)
	for _, state := range []byte{2, 3} {
		require.Equal(t, gnss.MarkSpoofed, b.fix(t, status(state), far).Marks)
		for range 10 { // else they would be believed by now
			b.say(status(state), far)
			b.Flush()
		}
		b.Reset()
	}
	for _, state := range []byte{0, 1} {
		require.Zero(t, b.fix(t, status(2), status(state), rmcAt("120001", "020826")).Marks)
	}
	b.say(status(2))
	b.Reset()
	require.Zero(t, b.fix(t, rmcAt("120002", "020826")).Marks)
}

// TestSky: satellites in view are added over the constellations, and counted
// once where each signal has its own round.
func TestSky(t *testing.T) {
	b := newBench()
	b.say(rmcBody, gsvBody, "GPGSV,1,1,03,01,40,083,21,02,17,308,18,8", "GLGSV,2,1,05,65,40,083,38,66,,,,67,,,,68,,,", "GLGSV,2,2,05,69,,,52")
	b.Flush()
	require.Zero(t, b.Stats().InView, "told at the end of an epoch")
	b.say(at("01", rmcBody), at("02", rmcBody))
	require.Equal(t, int64(8), b.Stats().InView)
	require.Equal(t, int64(52), b.Stats().Signal)
	b.say("GAGSV,1,1,00", "GPGSV,1,1,,01,40,083,46", "GPGSV", at("03", rmcBody))
	require.Zero(t, b.Stats().InView)
	require.Zero(t, b.Stats().Signal)
}

// TestFrozen: a receiver that repeats its last position while the car drives is
// marked after 50 m, until the position changes; a parked car never is.
func TestFrozen(t *testing.T) {
	const still, frozen = "4807.03800", gnss.MarkFrozen
	type step struct {
		after float64 // s
		lat   string
		knots string
		marks gnss.Marks
	}
	tests := []struct {
		name  string
		steps []step
	}{
		{"frozen at 10 m/s", []step{{0, still, "19.4384", 0}, {2, still, "19.4384", 0}, {2, still, "19.4384", 0}, {2, still, "19.4384", frozen}, {2, still, "0", frozen}, {2, "4807.03801", "19.4384", 0}, {2, "4807.03801", "19.4384", 0}}},
		{"parked", []step{{0, still, "0.0", 0}, {3600, still, "0.0", 0}, {3600, still, "1.0", 0}, {3600, still, "1.0", 0}}},
		{"parked, no speed said", []step{{0, still, "", 0}, {3600, still, "", 0}, {3600, still, "40", 0}}},
		{"parked in a garage, then the old position", []step{{0, still, "0", 0}, {3600, still, "19", 0}, {1, still, "19", 0}}},
		{"a true place far on, after it", []step{{0, still, "40", 0}, {1, still, "40", 0}, {1, still, "40", 0}, {1, still, "40", frozen}, {60, still, "40", frozen}, {0.1, "4807.50000", "40", 0}}},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			b, utc := newBench(), said
			for i, s := range tt.steps {
				after := time.Duration(s.after * float64(time.Second))
				b.clock, utc = b.clock+after, utc.Add(after)
				f := b.fix(t, "GPRMC,"+utc.Format("150405.000")+",A,"+s.lat+",N,01131.00000,E,"+s.knots+",,"+utc.Format("020106")+",,,A")
				require.Equal(t, s.marks, f.Marks, "step %d: %v", i, f.Marks)
			}
		})
	}
}
