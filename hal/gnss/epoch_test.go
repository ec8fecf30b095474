package gnss_test

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"roadseal/hal/gnss"
)

// at is a body whose time of day is moved to 12:00:s.
func at(s, body string) string { return strings.Replace(body, "120000.50", "1200"+s, 1) }

// void is an RMC of status V.
func void(body string) string { return strings.Replace(body, ",A,", ",V,", 1) }

// TestEpochs: what belongs together makes one fix, and what does not makes one
// each. A fix is written as its second and the marks other than no-date.
func TestEpochs(t *testing.T) {
	gpRMC, glRMC := "GP"+rmcBody[2:], "GL"+rmcBody[2:]
	noTime := "GNRMC,,A,4807.03800,N,01131.00000,E,022.4,084.4,020826,003.1,W,A,V"
	tests := []struct {
		name string
		say  []string
		want []string
	}{
		{"RMC first", []string{at("01", rmcBody), at("01", ggaBody), gsaBody, at("02", rmcBody), at("02", ggaBody)}, []string{"01", "02"}},
		{"RMC last", []string{at("01", gnsBody), at("01", ggaBody), vtgBody, at("01", rmcBody), at("02", gnsBody), at("02", rmcBody)}, []string{"01", "02"}},
		{"decimals of the same time", []string{at("01.5", rmcBody), at("01.500", ggaBody), at("01.50", gnsBody)}, []string{"01.5"}},
		{"status V", []string{at("01", rmcBody), void(at("02", rmcBody)), at("02", ggaBody), at("03", rmcBody)}, []string{"01", "03"}},
		{"status V without a time joins", []string{at("01", gnsBody), "GPGGA,,,,,,0,,,,,,,", "GPRMC,,V,,,,,,,,,,N", at("02", gnsBody), "GPRMC,,V,,,,,,,,,,N"}, nil},
		{"no status", []string{strings.Replace(rmcBody, ",A,", ",,", 1)}, nil},
		{"GGA only", []string{at("01", ggaBody), at("02", ggaBody), at("03", ggaBody)}, []string{"?", "?", "?"}},
		{"GNS only", []string{at("01", gnsBody), at("02", gnsBody)}, []string{"?", "?"}},
		{"GGA and GNS only", []string{at("01", gnsBody), at("01", ggaBody), at("02", ggaBody), at("02", gnsBody)}, []string{"?", "?"}},
		{"GGA of quality 0, GNS of mode N", []string{strings.Replace(ggaBody, "E,1,08", "E,0,08", 1), strings.Replace(gnsBody, ",AN,", ",NN,", 1)}, nil},
		{"GGA of no quality", []string{strings.Replace(ggaBody, "E,1,08", "E,,08", 1)}, nil},
		{"GGA half an epoch at the start", []string{at("01", ggaBody), at("02", rmcBody), at("02", ggaBody)}, []string{"02"}},
		{"RMC lost", []string{at("01", rmcBody), at("01", ggaBody), at("02", ggaBody), at("03", rmcBody), at("03", ggaBody)}, []string{"01", "02", "03"}},
		{"RMC lost, GLL left", []string{at("01", rmcBody), at("01", gllBody), at("02", gllBody), at("03", rmcBody)}, []string{"01", "02", "03"}},
		{"RMC never of the time of GGA", []string{at("01", rmcBody), at("01.2", ggaBody), at("02", rmcBody), at("02.2", ggaBody)}, []string{"01", "02"}},
		{"RMC once a second, GGA five times", []string{at("01", rmcBody), at("01", ggaBody), at("01.2", ggaBody), at("01.4", ggaBody), at("02", rmcBody)}, []string{"01", "01.2", "01.4", "02"}},
		{"GLL only", []string{at("01", gllBody), at("02", gllBody)}, []string{"?", "?"}},
		{"GLL of status V, of mode N, of none", []string{void(gllBody), at("01", gllBody[:len(gllBody)-1]+"N"), "GPGLL,4807.03800,N,01131.00000,E"}, nil},
		{"GLL of the first talker", []string{gllBody, "GP" + gllBody[2:]}, []string{"?"}},
		{"RMC of status V beside GLL", []string{at("01", gllBody), void(at("01", rmcBody))}, nil},
		{"GST and GBS make no fix", []string{at("01", rmcBody), at("01", gstBody), at("02", gstBody), at("02", gbsBody)}, []string{"01"}},
		{"thousandths beside hundredths", []string{at("01.125", rmcBody), at("01.13", ggaBody), at("01.250", rmcBody), at("01.25", ggaBody)}, []string{"01.1", "01.2"}},
		{"thousandths beside hundredths, no RMC", []string{at("01.125", ggaBody), at("01.13", gllBody)}, []string{"?"}},
		{"ten milliseconds are another time, no RMC", []string{at("01.12", ggaBody), at("01.13", gllBody)}, []string{"?", "?"}},
		{"ten milliseconds are another time", []string{at("01.12", rmcBody), at("01.13", rmcBody), at("01.13", ggaBody)}, []string{"01.1", "01.1"}},
		{"two talkers", []string{gpRMC, glRMC, at("01", gpRMC), at("01", glRMC)}, []string{"00.5", "01"}},
		{"second talker valid", []string{void(gpRMC), glRMC}, []string{"00.5"}},
		{"first talker valid", []string{gpRMC, void(glRMC)}, []string{"00.5"}},
		{"frozen clock", []string{rmcBody, ggaBody, rmcBody, ggaBody, rmcBody, ggaBody}, []string{"00.5", "00.5 time-repeat", "00.5 time-repeat"}},
		{"frozen clock, GGA only", []string{ggaBody, ggaBody}, []string{"?", "? time-repeat"}},
		{"GGA said twice", []string{rmcBody, ggaBody, ggaBody, at("01", rmcBody)}, []string{"00.5", "01"}},
		{"no time at all", []string{noTime, noTime, noTime}, []string{"?", "?", "?"}},
		{"time of GGA", []string{noTime, ggaBody}, []string{"00.5"}},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			b := newBench()
			b.say(tt.say...)
			b.Reset()
			var got []string
			for _, f := range b.fixes {
				s := "?"
				if f.Clock != gnss.ClockNone {
					s = strings.TrimSuffix(f.UTC.Format("05.9"), ".0")
				}
				got = append(got, strings.TrimSpace(s+" "+(f.Marks&^gnss.MarkNoDate).String()))
			}
			require.Equal(t, tt.want, got)
			require.Equal(t, int64(len(got)), b.Stats().Fixes)
		})
	}
}

// TestRMCGone: a receiver that is told to say no more RMC is followed by GGA
// after ten epochs.
func TestRMCGone(t *testing.T) {
	b := newBench()
	b.say(rmcBody)
	for i := range 20 {
		b.say(at(fmt.Sprintf("%02d", i+1), ggaBody))
	}
	b.Reset()
	require.Len(t, b.fixes, 1+10)
	require.Equal(t, said.Truncate(time.Second).Add(11*time.Second), b.fixes[1].UTC, "the date goes on")
}

// TestFlush: silence ends the wait for an epoch's end, gives each epoch one fix
// and no more, and does not give up an epoch whose RMC is still to come.
func TestFlush(t *testing.T) {
	b := newBench()
	b.say(rmcBody)
	require.Empty(t, b.fixes, "GGA may follow")
	b.Flush()
	require.Len(t, b.fixes, 1)
	b.say(ggaBody, gsaBody)
	b.Flush()
	b.Flush()
	require.Len(t, b.fixes, 1, "late sentences of a fix that is out")

	b.say(at("01", ggaBody))
	b.Flush()
	require.Len(t, b.fixes, 1, "the stream has RMC")
	b.say(at("01", rmcBody))
	b.Flush()
	require.Len(t, b.fixes, 2)
	require.InDelta(t, 545.4, b.fixes[1].Altitude, 0, "merged over the silence")

	b.say(at("01.5", ggaBody), at("02", void(rmcBody)))
	require.Len(t, b.fixes, 3, "its RMC was lost, and will not come any more")
	b.fixes = b.fixes[:2]
	b.Flush()
	b.say(at("03", rmcBody)[:40])
	b.Flush()
	require.Len(t, b.fixes, 2)
	require.Equal(t, int64(0), b.Stats().Unchecked)
}

// TestFlushSplitsNoSentence: a sentence goes on after silence.
func TestFlushSplitsNoSentence(t *testing.T) {
	b := newBench()
	s := sentence(rmcBody)
	for i := range len(s) {
		b.write(s[i : i+1])
		b.Flush()
	}
	require.Len(t, b.fixes, 1)
}

// TestReset: the head of a sentence and the tail of another, joined by an
// unplugged cable, are no sentence even where the checksum holds by chance.
func TestReset(t *testing.T) {
	b := newBench()
	s := sentence(rmcBody)
	b.write(s[:30])
	b.Reset()
	b.write(s[30:])
	b.Reset()
	require.Empty(t, b.fixes)
	b.say(rmcBody)
	b.Reset()
	require.Len(t, b.fixes, 1)
	b.say(at("01", rmcBody))
	b.Reset()
	b.Reset()
	require.Len(t, b.fixes, 2)
}

// TestMono: a fix has the time at which the epoch's first sentence came, since
// the decoder was made.
func TestMono(t *testing.T) {
	b := newBench() // its clock begins at one hour
	b.clock += 7 * time.Second
	b.say(ggaBody)
	b.clock += time.Second
	b.say(rmcBody)
	b.clock += time.Second
	b.Flush()
	require.Equal(t, 7*time.Second, b.fixes[0].Mono)
}
