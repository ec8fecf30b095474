package gnss_test

import (
	"bytes"
	"encoding/json"
	"fmt"
	"log/slog"
	"testing"

	"github.com/stretchr/testify/require"

	"roadseal/hal/gnss"
	"roadseal/hal/red"
)

// TestFixPrintsNothing prints a fix in every way that a careless line could.
func TestFixPrintsNothing(t *testing.T) {
	f := newBench().fix(t, rmcBody, ggaBody)
	wrapped := struct {
		Fix  gnss.Fix
		List []gnss.Fix
		Ptr  *gnss.Fix
	}{f, []gnss.Fix{f}, &f}

	var out bytes.Buffer
	for _, verb := range []string{"%v", "%+v", "%#v", "%s", "%q", "%x", "%d", "%f", "%g", "%8.3f"} {
		fmt.Fprintf(&out, verb+" "+verb+" "+verb+"\n", f, &f, wrapped)
	}
	fmt.Fprintln(&out, f, &f, wrapped, f.String())
	for _, h := range []slog.Handler{slog.NewTextHandler(&out, nil), slog.NewJSONHandler(&out, nil)} {
		slog.New(h).Info("careless", "fix", f, "pointer", &f, "all", wrapped)
	}
	js, err := json.Marshal(wrapped)
	require.NoError(t, err)
	out.Write(js)

	require.Equal(t, red.Mark, f.LogValue().String())
	require.Contains(t, out.String(), red.Mark)
	for _, private := range []string{"48.1", "11.5", "545", "84.4", "11.52", "2026-08-02T12", "2026-08-02 12"} {
		require.NotContains(t, out.String(), private)
	}
}

// TestMarks: what MarkNames prints ParseMarks reads, and nothing else.
func TestMarks(t *testing.T) {
	require.Equal(t, "jump|time-back", (gnss.MarkJump | gnss.MarkTimeBack).String())
	seen := map[string]bool{}
	for m := range gnss.MarkSpoofed * 2 { // all sets
		s := m.String()
		require.False(t, seen[s], s)
		seen[s] = true
		got, other, err := gnss.ParseMarks(s)
		require.NoError(t, err)
		require.Equal(t, m, got)
		require.Empty(t, other)
	}
	for _, s := range []string{"|", "jump|", "|jump", "jump|jump", "time-back|jump", "Jump", "jump time-back", "jump|X", " ", "later|later", "later|jump", "lat\u00e9r", "x1"} {
		_, _, err := gnss.ParseMarks(s)
		require.Error(t, err, s)
	}
	_, _, err := gnss.ParseMarks("leap 2")
	require.ErrorContains(t, err, `cannot read mark "leap 2": expected letters a to z and '-', as in jump, time-back,`)
}

// TestMarksOfALaterRelease are kept by name, and count against the fix.
func TestMarksOfALaterRelease(t *testing.T) {
	for s, want := range map[string]struct {
		marks gnss.Marks
		other string
	}{
		"later":                         {gnss.MarkOther, "later"},
		"jump|spoofed|later|even-later": {gnss.MarkOther | gnss.MarkJump | gnss.MarkSpoofed, "later|even-later"},
		"jump|jumps":                    {gnss.MarkOther | gnss.MarkJump, "jumps"},
	} {
		m, other, err := gnss.ParseMarks(s)
		require.NoError(t, err)
		require.Equal(t, want.marks, m)
		require.Equal(t, want.other, other)
		require.Equal(t, s, gnss.Fix{Marks: m, Other: other}.MarkNames())
	}
}

// TestClock: what String prints ParseClock reads, and nothing else.
func TestClock(t *testing.T) {
	want := map[gnss.Clock]string{gnss.ClockNone: "none", gnss.ClockGNSS: "gnss", gnss.ClockGNSSRollover: "gnss-rollover"}
	for c, s := range want {
		require.Equal(t, s, c.String())
		got, err := gnss.ParseClock(s)
		require.NoError(t, err)
		require.Equal(t, c, got)
	}
	for _, s := range []string{"", "GNSS", "gnss ", gnss.Clock(3).String()} {
		_, err := gnss.ParseClock(s)
		require.ErrorContains(t, err, "expected none, gnss or gnss-rollover")
	}
}

func FuzzParseMarks(f *testing.F) {
	f.Add("jump|time-back")
	f.Add("spoofed|later|even-later")
	f.Add("")
	f.Fuzz(func(t *testing.T, s string) {
		if m, other, err := gnss.ParseMarks(s); err == nil {
			require.Equal(t, s, gnss.Fix{Marks: m, Other: other}.MarkNames())
			require.Equal(t, s == "", m == 0)
		}
		if c, err := gnss.ParseClock(s); err == nil {
			require.Equal(t, s, c.String())
		}
	})
}
