package gnss_test

import (
	"fmt"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"roadseal/hal/gnss"
)

const weeks1024 = 1024 * 7 * 24 * time.Hour

// rmcAt is an RMC with the given time and date fields.
func rmcAt(clock, date string) string {
	return "GPRMC," + clock + ",A,4807.03800,N,01131.00000,E,0.0,," + date + ",,,A"
}

// TestTimes: possible times are read to the nanosecond, impossible ones marked
// and left out.
func TestTimes(t *testing.T) {
	utc := func(s string) time.Time {
		v, err := time.Parse(time.RFC3339Nano, s)
		require.NoError(t, err)
		return v
	}
	tests := []struct {
		clock, date string
		want        time.Time
		marks       gnss.Marks
	}{
		{"161448.29", "020818", utc("2018-08-02T16:14:48.29Z"), 0},
		{"161448", "020818", utc("2018-08-02T16:14:48Z"), 0},
		{"161448.123456789", "020818", utc("2018-08-02T16:14:48.123456789Z"), 0},
		{"161448.1234567899", "020818", utc("2018-08-02T16:14:48.123456789Z"), 0},
		{"000000.00", "290224", utc("2024-02-29T00:00:00Z"), 0},
		{"235959.999", "311279", utc("2079-12-31T23:59:59.999Z"), 0},
		{"000000.0", "060180", utc("1980-01-06T00:00:00Z"), 0},
		{"235960.0", "311216", utc("2016-12-31T23:59:59.999999999Z"), 0},
		{"235960.9", "311216", utc("2016-12-31T23:59:59.999999999Z"), 0},
		{"115960.0", "311216", time.Time{}, gnss.MarkBadTime | gnss.MarkNoDate},
		{"235961.0", "311216", time.Time{}, gnss.MarkBadTime | gnss.MarkNoDate},
		{"240000.0", "020818", time.Time{}, gnss.MarkBadTime | gnss.MarkNoDate},
		{"126000.0", "020818", time.Time{}, gnss.MarkBadTime | gnss.MarkNoDate},
		{"12000", "020818", time.Time{}, gnss.MarkBadTime | gnss.MarkNoDate},
		{"1200000.0", "020818", time.Time{}, gnss.MarkBadTime | gnss.MarkNoDate},
		{"12:00:00", "020818", time.Time{}, gnss.MarkBadTime | gnss.MarkNoDate},
		{"-10000.0", "020818", time.Time{}, gnss.MarkBadTime | gnss.MarkNoDate},
		{"", "020818", time.Time{}, gnss.MarkNoDate},
		{"120000", "", time.Time{}, gnss.MarkNoDate},
		{"120000", "310226", time.Time{}, gnss.MarkBadTime | gnss.MarkNoDate},
		{"120000", "290223", time.Time{}, gnss.MarkBadTime | gnss.MarkNoDate},
		{"120000", "000000", time.Time{}, gnss.MarkBadTime | gnss.MarkNoDate},
		{"120000", "011326", time.Time{}, gnss.MarkBadTime | gnss.MarkNoDate},
		{"120000", "02082018", time.Time{}, gnss.MarkBadTime | gnss.MarkNoDate},
		{"120000", "0208x8", time.Time{}, gnss.MarkBadTime | gnss.MarkNoDate},
	}
	for _, tt := range tests {
		t.Run(tt.clock+"_"+tt.date, func(t *testing.T) {
			f := newBench().fix(t, rmcAt(tt.clock, tt.date))
			require.Equal(t, tt.want, f.UTC)
			require.Equal(t, tt.marks, f.Marks, f.Marks)
			require.Equal(t, tt.want.IsZero(), f.Clock == gnss.ClockNone)
		})
	}
}

// TestDateCarried: where an epoch has no valid date, the last one said goes on
// by the monotonic clock, over midnight in both directions.
func TestDateCarried(t *testing.T) {
	tests := []struct {
		name   string
		anchor string
		passed time.Duration
		say    string
		want   string
		marks  gnss.Marks
	}{
		{"same second", "GPZDA,120000.00,01,08,2026,00,00", 0, "120000", "2026-08-01T12:00:00Z", 0},
		{"bad date of RMC", "GPZDA,120000.00,01,08,2026,00,00", time.Second, "120001|310226", "2026-08-01T12:00:01Z", gnss.MarkBadTime},
		{"past midnight", "GPZDA,235959.90,31,12,2026,00,00", 100 * time.Millisecond, "000000", "2027-01-01T00:00:00Z", 0},
		{"said just before midnight", "GPZDA,235959.90,31,12,2026,00,00", 0, "000000.1", "2027-01-01T00:00:00.1Z", 0},
		{"date said just after the epoch's time", "GPZDA,000000.00,01,01,2027,00,00", 0, "235959.9", "2026-12-31T23:59:59.9Z", 0},
		{"three days later", "GPZDA,120000.00,01,08,2026,00,00", 72*time.Hour + 6*time.Hour, "180001", "2026-08-04T18:00:01Z", 0},
		{"date of an earlier RMC", rmcAt("120000", "010826"), time.Second, "120001", "2026-08-01T12:00:01Z", 0},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			b := newBench()
			b.say(tt.anchor)
			b.Reset()
			b.clock += tt.passed
			clock, date := tt.say, ""
			if n := len("120001"); len(clock) > n && clock[n] == '|' {
				clock, date = clock[:n], clock[n+1:]
			}
			f := b.fix(t, rmcAt(clock, date))
			require.Equal(t, tt.want, f.UTC.Format(time.RFC3339Nano))
			require.Equal(t, tt.marks, f.Marks, f.Marks)
		})
	}
	for _, zda := range []string{ // dates that ZDA cannot mean
		"GPZDA,120000.00,31,02,2026,00,00", "GPZDA,120000.00,01,08,26,00,00", "GPZDA,,01,08,2026,00,00",
		"GPZDA,250000.00,01,08,2026,00,00", "GPZDA,120000.00,,,,00,00", "GPZDA",
	} {
		require.Equal(t, gnss.MarkNoDate, newBench().fix(t, zda, ggaBody).Marks, zda)
	}
}

// TestFloor: times outside the 1,024 weeks from a day before the trusted floor
// are a week rollover too few, too many, or nonsense.
func TestFloor(t *testing.T) {
	trusted := time.Date(2026, 3, 1, 0, 0, 0, 0, time.UTC)
	floor := trusted.Add(-24 * time.Hour)
	tests := []struct {
		name  string
		said  time.Time
		want  time.Time
		clock gnss.Clock
		marks gnss.Marks
	}{
		{"at the floor", floor, floor, gnss.ClockGNSS, 0},
		{"rollover too few", floor.Add(time.Hour - weeks1024), floor.Add(time.Hour), gnss.ClockGNSSRollover, gnss.MarkRollover},
		{"exactly one", floor.Add(-weeks1024), floor, gnss.ClockGNSSRollover, gnss.MarkRollover},
		{"more than one", floor.Add(-weeks1024 - time.Second), floor.Add(-weeks1024 - time.Second), gnss.ClockGNSS, gnss.MarkBeforeFloor},
		{"just before the floor", floor.Add(-time.Second), floor.Add(-time.Second + weeks1024), gnss.ClockGNSSRollover, gnss.MarkRollover},
		{"GPS began", time.Date(1980, 1, 6, 0, 0, 0, 0, time.UTC), time.Date(1980, 1, 6, 0, 0, 0, 0, time.UTC), gnss.ClockGNSS, gnss.MarkBeforeFloor},
		{"a clock of 2000, never set", time.Date(2000, 1, 1, 0, 0, 0, 0, time.UTC), time.Date(2000, 1, 1, 0, 0, 0, 0, time.UTC), gnss.ClockGNSS, gnss.MarkBeforeFloor},
		{"a clock of 1970, whose two digits say 2070", time.Date(1970, 1, 1, 0, 0, 0, 0, time.UTC), time.Date(2070, 1, 1, 0, 0, 0, 0, time.UTC), gnss.ClockGNSS, gnss.MarkFuture},
		{"last good second", floor.Add(weeks1024 - time.Second), floor.Add(weeks1024 - time.Second), gnss.ClockGNSS, 0},
		{"rollover too many", floor.Add(weeks1024), floor.Add(weeks1024), gnss.ClockGNSS, gnss.MarkFuture},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			b := newBench()
			b.floor = trusted
			f := b.fix(t, rmcAt(tt.said.Format("150405"), tt.said.Format("020106")))
			require.Equal(t, tt.want, f.UTC)
			require.Equal(t, tt.clock, f.Clock)
			require.Equal(t, tt.marks, f.Marks, f.Marks)
		})
	}

	// A date that is marked is no measure for the next.
	b := newBench()
	b.floor = trusted
	for _, year := range []int{1990, 2026, 2050, 2026} {
		f := b.fix(t, rmcAt("120000", fmt.Sprintf("0104%02d", year%100)))
		require.Equal(t, year == 2026, f.Marks == 0, "%d: %v", year, f.Marks)
	}

	// No floor: nothing can be said about the date.
	d := gnss.NewDecoder(gnss.Options{
		Now: func() time.Duration { return 0 },
		Fix: func(f gnss.Fix) { require.Zero(t, f.Marks) },
	})
	_, _ = d.Write([]byte(sentence(rmcAt("120000", "060180"))))
	d.Reset()
	require.Equal(t, int64(1), d.Stats().Fixes)
}

// TestFloorOvertakesAFix: a receipt raises the floor while the fix of a second
// before is in hand, or comes from a collector whose clock is fast.
func TestFloorOvertakesAFix(t *testing.T) {
	for _, fast := range []time.Duration{0, time.Second, time.Hour} {
		b := newBench()
		b.say(rmcAt(said.Format("150405.000"), said.Format("020106")))
		b.floor = said.Add(time.Second + fast)
		b.Reset()
		require.Len(t, b.fixes, 1)
		require.Equal(t, said, b.fixes[0].UTC)
		require.Zero(t, b.fixes[0].Marks, b.fixes[0].Marks)
	}
}

// TestTimeSteps plays series of fixes, each written as seconds of the monotonic
// clock and seconds that the receiver says.
func TestTimeSteps(t *testing.T) {
	const back, jump = gnss.MarkTimeBack, gnss.MarkTimeJump
	type step struct {
		mono, said float64
		marks      gnss.Marks
	}
	tests := []struct {
		name  string
		steps []step
	}{
		{"steady", []step{{0, 0, 0}, {1, 1, 0}, {2.2, 2, 0}, {2.9, 3, 0}}},
		{"a tunnel of an hour", []step{{0, 0, 0}, {3600, 3603, 0}}},
		{"late reading", []step{{0, 0, 0}, {4, 1, 0}, {4, 2, 0}, {4, 3, 0}, {4, 4, 0}}},
		{"one outlier forward", []step{{0, 0, 0}, {1, 600, jump}, {2, 2, 0}, {3, 3, 0}}},
		{"one outlier back", []step{{0, 0, 0}, {1, -600, back}, {2, 2, 0}}},
		{"stands still", []step{{0, 0, 0}, {10, 1, jump}, {11, 2, jump}, {20, 20, 0}}},
		{"a step, believed in the end", []step{{0, 0, 0}, {1, 601, jump}, {2, 602, jump}, {3, 603, jump}, {4, 604, jump}, {5, 605, jump}, {6, 606, 0}, {7, 607, 0}, {8, 8, back}}},
		{"a step back, believed in the end", []step{{0, 0, 0}, {1, -599, back}, {2, -598, back}, {3, -597, back}, {4, -596, back}, {5, -595, back}, {6, -594, 0}}},
		{"disagreeing outliers are never believed", []step{{0, 0, 0}, {1, 100, jump}, {2, 300, jump}, {3, 100, jump}, {4, 300, jump}, {5, 100, jump}, {6, 300, jump}, {7, 100, jump}, {8, 8, 0}}},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			b := newBench()
			start := b.clock
			for i, s := range tt.steps {
				b.clock = start + time.Duration(s.mono*float64(time.Second))
				utc := said.Add(time.Duration(s.said * float64(time.Second)))
				f := b.fix(t, rmcAt(utc.Format("150405.000"), utc.Format("020106")))
				require.Equal(t, s.marks, f.Marks, "step %d: %v", i, f.Marks)
				require.Equal(t, utc, f.UTC, "passed on as said")
			}
		})
	}
}

// TestLeapSecond at 10 Hz: no time runs backwards.
func TestLeapSecond(t *testing.T) {
	b := newBench()
	for i := range 40 {
		s, date := 58+i/10, "311216"
		clock := fmt.Sprintf("2359%02d.%d", s, i%10)
		if s > 60 {
			clock, date = fmt.Sprintf("0000%02d.%d", s-61, i%10), "010117"
		}
		b.say(rmcAt(clock, date))
		b.clock += 100 * time.Millisecond
	}
	b.Reset()
	require.Len(t, b.fixes, 40)
	for i, f := range b.fixes {
		require.Zero(t, f.Marks, "fix %d: %v", i, f.Marks)
	}
}

// TestPlaces plays series of positions a second apart, each written as metres
// north of a point.
func TestPlaces(t *testing.T) {
	const jump = gnss.MarkJump
	type step struct {
		after, north float64 // s, m
		marks        gnss.Marks
	}
	tests := []struct {
		name  string
		steps []step
	}{
		{"a fast car", []step{{0, 0, 0}, {1, 70, 0}, {1, 140, 0}, {1, 210, 0}}},
		{"a fast car through a short tunnel", []step{{0, 0, 0}, {4, 300, 0}}},
		{"a small step", []step{{0, 0, 0}, {1, 190, 0}}},
		{"a step just too far", []step{{0, 0, 0}, {1, 205, jump}, {1, -190, 0}}},
		{"an outlier", []step{{0, 0, 0}, {1, 5000, jump}, {1, 40, 0}, {1, 60, 0}}},
		{"moved, believed in the end", []step{{0, 0, 0}, {1, 90000, jump}, {1, 90020, jump}, {1, 90040, jump}, {1, 90060, jump}, {1, 90080, jump}, {1, 90100, 0}, {1, 0, jump}}},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			for _, fast := range []time.Duration{1, 100} { // also played fast
				b := newBench()
				utc := said
				for i, s := range tt.steps {
					after := time.Duration(s.after * float64(time.Second))
					utc, b.clock = utc.Add(after), b.clock+after/fast
					minutes := 7 + s.north/1852
					body := fmt.Sprintf("GPRMC,%s,A,48%08.5f,N,01131.00000,E,,,%s,,,A", utc.Format("150405.000"), minutes, utc.Format("020106"))
					f := b.fix(t, body)
					require.Equal(t, s.marks, f.Marks&jump, "step %d: %v", i, f.Marks)
				}
			}
		})
	}
}

// TestNullIsland: 0/0 is marked for itself and is no measure for the next fix.
func TestNullIsland(t *testing.T) {
	b := newBench()
	null := "GPRMC,%s,A,0000.00000,N,00000.00000,E,,,020826,,,A"
	require.Equal(t, gnss.MarkNullIsland, b.fix(t, fmt.Sprintf(null, "120000")).Marks)
	require.Zero(t, b.fix(t, rmcAt("120001", "020826")).Marks)
	require.Equal(t, gnss.MarkNullIsland, b.fix(t, fmt.Sprintf(null, "120002")).Marks)
	require.Zero(t, b.fix(t, rmcAt("120003", "020826")).Marks)
}

// TestBothJump: a receiver that says a far place cannot excuse it with a far
// time.
func TestBothJump(t *testing.T) {
	b := newBench()
	require.Zero(t, b.fix(t, rmcAt("120000", "020826")).Marks)
	b.clock += time.Second
	f := b.fix(t, "GPRMC,130000,A,4900.0,N,01131.0,E,,,020826,,,A")
	require.Equal(t, gnss.MarkJump|gnss.MarkTimeJump, f.Marks)
}

// TestDateLine: a step over 180 degrees is a short one.
func TestDateLine(t *testing.T) {
	b := newBench()
	require.Zero(t, b.fix(t, "GPRMC,120000,A,1700.0,S,17959.999,E,,,020826,,,A").Marks)
	require.Zero(t, b.fix(t, "GPRMC,120001,A,1700.0,S,17959.999,W,,,020826,,,A").Marks)
}
