package bench

import (
	"os"
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/require"

	"roadseal/agent/config"
	"roadseal/agent/policy"
	"roadseal/cmd/internal/bench/player"
)

// TestAgentTakesItsConfiguration reads what was written with the agent's own
// reader, which refuses unknown keys.
func TestAgentTakesItsConfiguration(t *testing.T) {
	for _, ext := range []string{".mp4", ".ts"} {
		s := newStage(t)
		s.o.Clips = []player.Sample{{File: "a.mp4", Kind: player.Normal, Channel: player.Front}, {File: "b" + ext, Kind: player.Event, Channel: player.Rear}}
		s.rig.enrolled.receiptKey = "ed25519:" + "AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA="
		path, err := agentConfig(s.o, s.f, s.rig.enrolled, "127.0.0.1:1883")
		require.NoError(t, err)
		c, err := config.Load(path)
		require.NoError(t, err)
		require.True(t, c.Bench.Enabled)
		require.Equal(t, s.rig.enrolled.vehicle, c.Vehicle.Number.Reveal())
		require.Equal(t, ext == ".mp4", c.Cameras[0].Preset != "")
		st, ok := c.Streams.For(policy.GNSS)
		require.True(t, ok)
		require.Equal(t, s.o.MaxAge, st.MaxAge.Duration)
	}
}

func TestReceiptKeyComesFromTheCollector(t *testing.T) {
	key := filepath.Join(t.TempDir(), "receipt.key")
	line, err := makeReceiptKey(fakeCollector(t), key)
	require.NoError(t, err)
	require.Equal(t, "ed25519:AAAA", line)
	broken := filepath.Join(t.TempDir(), "collector")
	require.NoError(t, os.WriteFile(broken, []byte("#!/bin/sh\necho no room >&2; exit 1\n"), 0o700))
	_, err = makeReceiptKey(broken, key)
	require.EqualError(t, err, "cannot make the collector's receipt key: exit status 1: no room")
}
