package player_test

import (
	"bytes"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"roadseal/cmd/internal/bench/drivegen"
	"roadseal/cmd/internal/bench/player"
	"roadseal/testdata/segments"
)

// FuzzCut: whatever a recording holds, it is played byte for byte, time never
// goes back, and both ways of counting agree.
func FuzzCut(f *testing.F) {
	for _, s := range []string{fixA + ggaA + fixB, void, "$*00", "\xb5\x62$GNRMC", "$GPRMC,235959.9,A,,,,,,,010199*00\n" + fixA} {
		f.Add([]byte(s))
	}
	f.Add(drivegen.Generate(drivegen.Options{Seed: 1, Rate: 1, Start: noon})[:4000])
	f.Fuzz(func(t *testing.T, recording []byte) {
		r, err := player.Cut(recording)
		require.Equal(t, err != nil, player.CountFixes(recording) == 0)
		if err != nil {
			return
		}
		require.Len(t, r.Valid, player.CountFixes(recording))
		var played []byte
		last := time.Duration(0)
		for _, e := range r.Epochs {
			played = append(played, e.Bytes...)
			require.GreaterOrEqual(t, e.At, last)
			last = e.At
		}
		require.True(t, bytes.Equal(recording, played))
		require.Equal(t, last, r.Length)
		for _, p := range r.Valid {
			_, _, _ = p.Degrees() // must not panic
		}
	})
}

// TestSmallSegments holds what testdata/segments/README.md says.
func TestSmallSegments(t *testing.T) {
	films, err := player.Films(segments.Files)
	require.NoError(t, err)
	require.Equal(t, []string{"streams/front.hevc"}, films[".hevc"])
	require.Equal(t, []string{"streams/small.ts"}, films[".ts"])
	require.Len(t, films[".mp4"], 4)
	total := 0
	for ext, files := range films {
		head := map[string]string{".mp4": "\x00\x00\x00 ftypisom", ".ts": "\x47", ".hevc": "\x00\x00\x00\x01"}[ext]
		for _, file := range files {
			b, err := segments.Files.ReadFile(file)
			require.NoError(t, err)
			require.True(t, head != "" && bytes.HasPrefix(b, []byte(head)) || ext == ".go" || ext == ".md", file)
			total += len(b)
		}
	}
	require.Less(t, total, 300_000)
}
