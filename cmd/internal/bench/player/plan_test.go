package player_test

import (
	"slices"
	"testing"
	"testing/fstest"
	"time"

	"github.com/stretchr/testify/require"

	"roadseal/cmd/internal/bench/player"
)

var noon = time.Date(2026, 5, 1, 12, 0, 0, 0, time.UTC)

func clips(names ...string) fstest.MapFS {
	m := fstest.MapFS{}
	for _, n := range names {
		m[n] = &fstest.MapFile{Data: []byte("content of " + n)}
	}
	return m
}

func TestSamples(t *testing.T) {
	got, err := player.Samples(clips("b.ts", "a.mp4", "LICENSE", "c.MP4", "d.mp4", "sub/e.mp4", "f.mov", "g.mp4"))
	require.NoError(t, err)
	require.Equal(t, []player.Sample{
		{"a.mp4", player.Normal, player.Front},
		{"b.ts", player.Normal, player.Rear},
		{"c.MP4", player.Event, player.Front},
		{"d.mp4", player.Event, player.Rear},
		{"g.mp4", player.Normal, player.Front},
	}, got)
	_, err = player.Samples(clips("LICENSE"))
	require.EqualError(t, err, "no *.mp4 or *.ts file in the folder of clips")
}

func TestPlan(t *testing.T) {
	samples, err := player.Samples(clips("1.mp4", "2.ts", "3.mp4", "4.mp4", "5.mp4"))
	require.NoError(t, err)
	plan := player.Plan(samples, 2, time.Minute, noon)

	var names []string
	for i, s := range plan {
		require.Equal(t, i, s.Index)
		names = append(names, s.Name)
	}
	require.Equal(t, []string{
		"20260501_120000_NF.mp4", "20260501_120000_NR.ts", "20260501_120010_EF.mp4", "20260501_120010_ER.mp4", "20260501_120020_NF.mp4",
		"20260501_120030_NF.mp4", "20260501_120030_NR.ts", "20260501_120040_EF.mp4", "20260501_120040_ER.mp4", "20260501_120050_NF.mp4",
	}, names)
	require.Equal(t, time.Duration(0), plan[0].Begin)
	require.Equal(t, 10*time.Second, plan[0].End)
	require.Equal(t, plan[0].End, plan[1].End, "front and rear together")
	require.Equal(t, time.Minute, plan[9].End)
}

// TestNamesAreDistinct also where a stretch is shorter than the second that a
// name tells.
func TestNamesAreDistinct(t *testing.T) {
	samples := []player.Sample{{"a.mp4", player.Normal, player.Front}, {"b.mp4", player.Normal, player.Front}}
	plan := player.Plan(samples, 50, 10*time.Second, noon)
	var names []string
	for _, s := range plan {
		names = append(names, s.Name)
	}
	slices.Sort(names)
	require.Len(t, slices.Compact(names), 100)
	require.Equal(t, 10*time.Second, plan[99].End)
}
