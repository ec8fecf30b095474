package gnss_test

import (
	"fmt"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"roadseal/hal/gnss"
)

// sentence frames a body: `$`, checksum and line end.
func sentence(body string) string {
	var sum byte
	for i := range len(body) {
		sum ^= body[i]
	}
	return fmt.Sprintf("$%s*%02X\r\n", body, sum)
}

// A bench is a decoder with a clock that the test moves and the fixes it gave.
type bench struct {
	*gnss.Decoder
	clock time.Duration
	floor time.Time
	fixes []gnss.Fix
}

func newBench() *bench {
	b := &bench{clock: time.Hour}
	b.Decoder = gnss.NewDecoder(gnss.Options{
		Now:   func() time.Duration { return b.clock },
		Floor: func() time.Time { return b.floor },
		Fix:   func(f gnss.Fix) { b.fixes = append(b.fixes, f) },
	})
	return b
}

// say writes sentences, and UBX frames as they are.
func (b *bench) say(bodies ...string) {
	for _, body := range bodies {
		if body != "" && body[0] == 0xB5 {
			b.write(body)
			continue
		}
		b.write(sentence(body))
	}
}

func (b *bench) write(s string) { _, _ = b.Write([]byte(s)) }

// fix writes sentences, ends the epoch and returns its only fix.
func (b *bench) fix(t testing.TB, bodies ...string) gnss.Fix {
	t.Helper()
	b.fixes = nil
	b.say(bodies...)
	b.Reset()
	require.Len(t, b.fixes, 1)
	return b.fixes[0]
}

// decode is all fixes of a stream, written in pieces of the given size.
func decode(stream []byte, piece int) ([]gnss.Fix, gnss.Stats) {
	b := newBench()
	for len(stream) > 0 {
		n := min(piece, len(stream))
		_, _ = b.Write(stream[:n])
		stream = stream[n:]
	}
	b.Reset()
	return b.fixes, b.Stats()
}

// same compares fixes; unlike require.Equal it holds NaN equal to itself.
func same(t testing.TB, want, got []gnss.Fix) {
	t.Helper()
	require.Len(t, got, len(want))
	for i := range want {
		require.Equal(t, plain(want[i]), plain(got[i]), "fix %d", i)
	}
}

// plain is a fix as comparable text; Fix itself does not print.
func plain(f gnss.Fix) string {
	return fmt.Sprint(f.Mono, f.UTC, f.Clock, f.Lat.Reveal(), f.Lon.Reveal(), f.Altitude, f.Speed,
		f.Course, f.HDOP, f.Accuracy, f.Satellites, f.Quality, " ", f.Marks)
}

// recordings is the folder of real data, or skips.
func recordings(t testing.TB) string {
	t.Helper()
	dir := os.Getenv("ROADSEAL_DATA")
	if dir == "" {
		dir = filepath.Join("..", "..", "..", "shared", "data")
	}
	if _, err := os.Stat(dir); err != nil {
		t.Skipf("no recordings: %v", err)
	}
	return dir
}

// allRecordings names the files with a receiver's stream.
func allRecordings(t testing.TB) (names []string) {
	t.Helper()
	dir := recordings(t)
	for _, pattern := range []string{"nmea/*.log", "nmea/*.nmea", "ubx/*.log"} {
		found, err := filepath.Glob(filepath.Join(dir, pattern))
		require.NoError(t, err)
		for _, path := range found {
			name, err := filepath.Rel(dir, path)
			require.NoError(t, err)
			names = append(names, filepath.ToSlash(name))
		}
	}
	return names
}

func recording(t testing.TB, name string) []byte {
	t.Helper()
	data, err := os.ReadFile(filepath.Join(recordings(t), name))
	require.NoError(t, err)
	return data
}

// A drive of n epochs at 10 Hz as RMC and GGA, for tests without recordings.
func drive(n int) []byte {
	var out []byte
	for i := range n {
		at := fmt.Sprintf("12%02d%02d.%d0", i/600%60, i/10%60, i%10)
		pos := fmt.Sprintf("4807.%05d,N,01131.%05d,E", 3800+i*30, 10000+i*20)
		out = append(out, sentence("GNRMC,"+at+",A,"+pos+",29.160,33.20,020826,,,A,V")...)
		out = append(out, sentence("GNGGA,"+at+","+pos+",1,11,0.80,433.4,M,47.0,M,,")...)
	}
	return out
}
