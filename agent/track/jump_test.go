package track_test

import (
	"bytes"
	"fmt"
	"math/rand/v2"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"roadseal/agent/track"
	"roadseal/crypto/record"
	"roadseal/hal/gnss"
)

// TestJumpsOfGNSSTime: a receiver whose time jumps with each of 1,000 fixes
// costs none, and the documents close as they would have: their age is that of
// the monotonic clock. Each can be sealed: its span fits into a record.
func TestJumpsOfGNSSTime(t *testing.T) {
	const n = 1000
	honest := documents(t, n, func(utc time.Time) time.Time { return utc })
	rng := rand.New(rand.NewPCG(5, 0))
	jumps := documents(t, n, func(utc time.Time) time.Time {
		switch rng.IntN(4) {
		case 0:
			return utc.Add(-1024 * 7 * 24 * time.Hour)
		case 1:
			return time.Date(1980, 1, 6, 0, 0, 0, 0, time.UTC)
		}
		return utc.Add(time.Duration(rng.Int64N(int64(20*8766*time.Hour))) - 10*8766*time.Hour)
	})
	require.Len(t, jumps, len(honest))
	for i, d := range jumps {
		require.Equal(t, honest[i].Fixes, d.Fixes)
		want, got := parse(t, honest[i]), parse(t, d)
		require.Len(t, got, d.Fixes)
		for j, f := range got {
			require.Equal(t, want[j].Lat, f.Lat)
			require.Equal(t, want[j].Mono, f.Mono)
			require.Equal(t, want[j].Speed, f.Speed)
		}
		_, err := record.Record{MediaType: track.MediaType, Stream: "track", Source: "gnss", Start: d.Start, End: d.End, Clock: d.Clock.String()}.Marshal()
		require.NoError(t, err)
	}
}

// documents are those of n fixes of a receiver that says another
// time than the true one.
func documents(t *testing.T, n int, say func(time.Time) time.Time) (all []track.Document) {
	t.Helper()
	synctest.Test(t, func(t *testing.T) {
		r, start := newRecorder(), time.Now()
		floor := time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC)
		dec := gnss.NewDecoder(gnss.Options{Now: func() time.Duration { return time.Since(start) }, Floor: func() time.Time { return floor }, Fix: r.Add})
		go func() {
			for i := range n {
				utc := say(floor.Add(time.Since(start)))
				body := fmt.Sprintf("GPRMC,%s,A,48%08.5f,N,01131.00000,E,36.0,,%s,,,A", utc.Format("150405.000"), 7+float64(i)/100, utc.Format("020106"))
				sum := byte(0)
				for _, c := range []byte(body) {
					sum ^= c
				}
				fmt.Fprintf(dec, "$%s*%02X\r\n", body, sum)
				time.Sleep(1100 * time.Millisecond) // never just when a document closes
			}
			dec.Reset()
		}()
		for got := 0; got < n; {
			d, err := r.Next(t.Context())
			require.NoError(t, err)
			r.Done(d)
			all, got = append(all, d), got+d.Fixes
		}
		require.Zero(t, r.Lost())
	})
	return all
}

func parse(t *testing.T, d track.Document) []gnss.Fix {
	t.Helper()
	b, err := track.Parse(bytes.NewReader(d.Content))
	require.NoError(t, err)
	return b.Fixes
}
