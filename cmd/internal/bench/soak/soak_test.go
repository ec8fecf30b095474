package soak

import (
	"context"
	"encoding/hex"
	"math/rand/v2"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"roadseal/cmd/internal/bench/player"
	"roadseal/hal/camera"
)

func TestOptionsAreChecked(t *testing.T) {
	good := Options{For: 2 * time.Minute, Vehicles: 10, Netns: Auto, Broker: Embedded}
	require.NoError(t, good.Check())
	for flag, spoil := range map[string]func(*Options){
		"--for":      func(o *Options) { o.For = time.Second },
		"--vehicles": func(o *Options) { o.Vehicles = 0 },
		"--netns":    func(o *Options) { o.Netns = "maybe" },
		"--broker":   func(o *Options) { o.Broker = "emqx" },
	} {
		o := good
		spoil(&o)
		require.ErrorContains(t, o.Check(), flag)
	}
}

// TestPositionsAreNumbers: every fix has a place of its own, which is what its
// sentence says.
func TestPositionsAreNumbers(t *testing.T) {
	for _, n := range []int{0, 1, 999, 1000, 59_999, 60_000} {
		lat, lon := digits(4, n)
		p := player.Position{Lat: lat, Lon: lon}
		gotLat, gotLon, err := p.Degrees()
		require.NoError(t, err)
		require.InDelta(t, latitude(n), gotLat, 1e-9)
		require.InDelta(t, longitude(4), gotLon, 1e-9)
		require.Equal(t, 2, player.CountFixes(append(sentences(4, n, time.Now()), sentences(4, n, time.Now())...)))
	}
}

func TestEveryRecorderHasEvents(t *testing.T) {
	p := plan(rand.New(rand.NewPCG(1, 1)), role{large: true}, 2*time.Minute, time.Now())
	require.Len(t, p, 60)
	kinds, names, largest := map[string]int{}, map[string]bool{}, 0
	for _, s := range p {
		kinds[s.Kind]++
		names[s.Name] = true
		if s.File == large {
			largest++
		}
	}
	require.Len(t, names, 60, "no name twice")
	require.Greater(t, kinds[player.Event], 5)
	require.Greater(t, kinds[player.Normal], 30)
	require.Equal(t, 1, largest)
}

// TestSourceTagIsTheAgents compares the audit's own tag with that of the agent.
func TestSourceTagIsTheAgents(t *testing.T) {
	key := []byte("key of the source tags")
	for _, size := range []int{1, 64 << 10, 100_000, 200_000} {
		dir := t.TempDir()
		name := "20260501_120000_NF.mp4"
		require.NoError(t, os.WriteFile(filepath.Join(dir, name), make([]byte, size), 0o600))
		got, err := sourceTag(filepath.Join(dir, name), key)
		require.NoError(t, err)
		require.Equal(t, agentTag(t, dir, key), got)
	}
}

// agentTag lets the agent's own code compute the tag of the one clip in dir.
func agentTag(t *testing.T, dir string, key []byte) string {
	t.Helper()
	pattern, err := camera.Preset("blackvue")
	require.NoError(t, err)
	f := camera.New(camera.Options{Path: dir, Pattern: pattern, Settle: time.Millisecond})
	ctx, cancel := context.WithCancel(t.Context())
	done := make(chan error)
	go func() { done <- f.Run(ctx) }()
	s, err := f.Next(ctx)
	require.NoError(t, err)
	file, err := f.Open(s)
	require.NoError(t, err)
	tag, err := file.Tag(key)
	require.NoError(t, err)
	require.NoError(t, file.Close())
	cancel()
	require.ErrorIs(t, <-done, context.Canceled)
	return hex.EncodeToString(tag[:])
}
