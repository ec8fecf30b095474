package track_test

import (
	"bytes"
	"context"
	"math"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"roadseal/agent/track"
	"roadseal/crypto/envelope"
	"roadseal/hal/gnss"
)

func fix(i int) gnss.Fix {
	return gnss.Fix{Mono: time.Duration(i) * 100 * time.Millisecond, UTC: time.Date(2018, 8, 2, 16, 14, 48, 290e6, time.UTC).Add(time.Duration(i) * 100 * time.Millisecond),
		Clock: gnss.ClockGNSS, Lat: 37.720997667, Lon: -122.472305333, Altitude: 33.4, Speed: 7.823, Course: 2.14,
		HDOP: 0.8, Accuracy: 4, Satellites: 11, Quality: 1}
}

func newRecorder() *track.Recorder {
	seq := uint32(40)
	return track.NewRecorder(track.Options{Boot: 12, MaxAge: time.Minute, Sequence: func() uint32 { seq++; return seq }})
}

func TestFormatIsTheDocumentedOne(t *testing.T) {
	f := fix(0)
	f.Mono = 12345 * time.Millisecond
	unknown := gnss.Fix{Lat: 0, Lon: 0, Altitude: math.NaN(), Speed: math.NaN(), Course: math.NaN(), HDOP: math.NaN(),
		Accuracy: math.NaN(), Satellites: -1, Marks: gnss.MarkJump | gnss.MarkTimeBack}
	b := track.AppendHeader(nil, 12, 34)
	b = track.AppendFix(b, f)
	b = track.AppendFix(b, unknown)
	require.Equal(t, `# roadseal-track/1
# boot 12
# sequence 34
# columns: mono_s,utc,clock,lat_deg,lon_deg,alt_m,speed_mps,course_deg,quality,satellites,hdop,accuracy_m,marks
# units: seconds since the agent's start; UTC as said by clock; degrees WGS 84; metres above the geoid; degrees from true north
12.345,2018-08-02T16:14:48.290Z,gnss,37.720997667,-122.472305333,33.40,7.823,2.14,1,11,0.80,4.0,
0.000,,none,0.000000000,0.000000000,,,,0,,,,`+unknown.Marks.String()+"\n", string(b))

	got, err := track.Parse(bytes.NewReader(b))
	require.NoError(t, err)
	require.EqualValues(t, 12, got.Boot)
	require.EqualValues(t, 34, got.Sequence)
	require.Len(t, got.Fixes, 2)
	require.Equal(t, f, got.Fixes[0])
	require.Equal(t, unknown.Marks, got.Fixes[1].Marks)
	require.True(t, math.IsNaN(got.Fixes[1].Speed))
}

func TestParseNamesTheLineAndNothingElse(t *testing.T) {
	good := string(track.AppendFix(track.AppendHeader(nil, 1, 2), fix(0)))
	for name, c := range map[string]struct{ in, want string }{
		"empty":         {"", "track line 1: ends early"},
		"foreign":       {"GPX\n", `track line 1: expected "# roadseal-track/1"`},
		"boot":          {strings.Replace(good, "boot 1", "boot 01", 1), "track line 2: "},
		"later version": {strings.Replace(good, "track/1", "track/2", 1), "track line 1: "},
		"columns":       {strings.Replace(good, "lat_deg", "lat", 1), "track line 4: "},
		"cut line":      {good[:len(good)-5], "track line 6: ends early"},
		"cut header":    {good[:30], "track line 3: ends early"},
		"fields":        {strings.Replace(good, ",gnss", "", 1), "track line 6: expected 13 fields, found 12"},
		"number":        {strings.Replace(good, "37.72", "x37.72", 1), "track line 6: field 4 cannot be read"},
		"not canonical": {strings.Replace(good, "37.720997667", "37.7209976670", 1), "track line 6: not written"},
		"long line":     {good + strings.Repeat("1", 5000) + "\n", "track line 7: "},
	} {
		t.Run(name, func(t *testing.T) {
			_, err := track.Parse(strings.NewReader(c.in))
			require.ErrorContains(t, err, c.want)
			require.NotContains(t, err.Error(), "37.7")
		})
	}
}

// TestALaterReleaseIsRead: a document with marks that this release does not know
// is read, and written again as it was.
func TestALaterReleaseIsRead(t *testing.T) {
	known := string(track.AppendFix(track.AppendHeader(nil, 1, 2), fix(0)))
	for _, marks := range []string{"drifting", "jump|frozen|drifting|not-yet-known"} {
		later := strings.TrimSuffix(known, "\n") + marks + "\n"
		b, err := track.Parse(strings.NewReader(later))
		require.NoError(t, err)
		require.NotZero(t, b.Fixes[0].Marks&gnss.MarkOther)
		require.Equal(t, later, string(track.AppendFix(track.AppendHeader(nil, 1, 2), b.Fixes[0])))
	}
	for _, marks := range []string{"Drifting", "drifting|jump", "a|a", "drifting|", "37.72"} {
		_, err := track.Parse(strings.NewReader(strings.TrimSuffix(known, "\n") + marks + "\n"))
		require.EqualError(t, err, "track line 6: field 13 cannot be read")
	}
}

func TestADocumentClosesByAge(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newRecorder()
		start := time.Now()
		go func() {
			for i := range 1100 { // 110 s at 10 Hz
				r.Add(fix(i))
				time.Sleep(100 * time.Millisecond)
			}
		}()
		d, err := r.Next(t.Context())
		require.NoError(t, err)
		require.Equal(t, 58*time.Second, time.Since(start), "there is time to seal it before max_age")
		require.Equal(t, d.Fixes, bytes.Count(d.Content, []byte("gnss,")))
		r.Done(d)
		require.EqualValues(t, 41, d.Sequence)
		require.EqualValues(t, 12, d.Boot)
		require.Equal(t, fix(0).UTC, d.Start)
		require.Equal(t, fix(d.Fixes-1).UTC, d.End)

		second, err := r.Next(t.Context())
		require.NoError(t, err)
		require.Equal(t, 1100, d.Fixes+second.Fixes, "nothing between two documents is lost")
		require.EqualValues(t, 42, second.Sequence)
		synctest.Wait()
	})
}

func TestADocumentClosesBySize(t *testing.T) {
	r := newRecorder()
	for i := range 2000 {
		r.Add(fix(i))
	}
	r.Cut()
	n := 0
	for r.Pending() > 0 {
		d, err := r.Next(t.Context())
		require.NoError(t, err)
		require.LessOrEqual(t, envelope.GridText(int64(len(d.Content))), int64(64<<10))
		b, err := track.Parse(bytes.NewReader(d.Content))
		require.NoError(t, err)
		require.Len(t, b.Fixes, d.Fixes)
		n += d.Fixes
		r.Done(d)
	}
	require.Equal(t, 2000, n)
}

func TestNextKeepsUntilDone(t *testing.T) {
	r := newRecorder()
	r.Cut()
	require.Zero(t, r.Pending(), "nothing to cut")
	r.Add(fix(0))
	r.Cut()
	a, err := r.Next(t.Context())
	require.NoError(t, err)
	b, err := r.Next(t.Context())
	require.NoError(t, err)
	require.Equal(t, a, b)
	r.Done(a)
	r.Done(a)
	require.Zero(t, r.Pending())
	ctx, stop := context.WithCancel(t.Context())
	stop()
	_, err = r.Next(ctx)
	require.ErrorIs(t, err, context.Canceled)
}

func TestMemoryIsBoundedAndLossCounted(t *testing.T) {
	r := newRecorder()
	const fixes = 40_000
	for i := range fixes {
		r.Add(fix(i))
	}
	require.Positive(t, r.Lost())
	require.Equal(t, fixes, r.Lost()+r.Pending())
	require.Less(t, r.Pending(), 17*800)
}

func FuzzParse(f *testing.F) {
	f.Add(track.AppendFix(track.AppendHeader(nil, 1, 2), fix(0)))
	f.Add(track.AppendFix(track.AppendHeader(nil, 1, 2), gnss.Fix{Satellites: -1, Altitude: math.NaN(), Marks: gnss.MarkJump}))
	f.Add(append(track.AppendFix(track.AppendHeader(nil, 1, 2), gnss.Fix{Marks: gnss.MarkOther | gnss.MarkJump, Other: "later"}), '\n'))
	f.Fuzz(func(t *testing.T, in []byte) {
		b, err := track.Parse(bytes.NewReader(in))
		if err != nil {
			return
		}
		out := track.AppendHeader(nil, b.Boot, b.Sequence)
		for _, fx := range b.Fixes {
			out = track.AppendFix(out, fx)
		}
		require.Equal(t, string(in), string(out))
	})
}
