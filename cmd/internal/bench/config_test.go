package bench

import (
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"roadseal/agent"
	"roadseal/agent/config"
	"roadseal/agent/policy"
	"roadseal/cmd/internal/bench/desk"
	"roadseal/cmd/internal/bench/player"
	"roadseal/cmd/internal/bench/recorder"
	"roadseal/cmd/internal/trip"
	"roadseal/crypto/recipient"
	"roadseal/firmware"
	"roadseal/hal/durable"
)

// TestAgentTakesItsConfiguration reads what was written with the agent's own
// reader, which refuses unknown keys.
func TestAgentTakesItsConfiguration(t *testing.T) {
	for _, ext := range []string{".mp4", ".ts"} {
		o := Options{Seed: 1, MaxAge: 5 * time.Second, Now: time.Now()}
		o.Programs.Collector = fakeCollector(t)
		o.Clips = []player.Sample{{File: "a.mp4", Kind: player.Normal, Channel: player.Front}, {File: "b" + ext, Kind: player.Event, Channel: player.Rear}}
		if ext == ".ts" {
			o.Profile = "aws"
		}
		f, err := prepare(t.TempDir())
		require.NoError(t, err)
		e, err := enrol(o, f)
		require.NoError(t, err)
		path, err := agentConfig(o, f, e, nil, "127.0.0.1:1883")
		require.NoError(t, err)
		c, err := config.Load(path)
		require.NoError(t, err)
		require.True(t, c.Bench.Enabled)
		require.Equal(t, map[string]int{".mp4": 0, ".ts": 100}[ext], c.Broker.Limits.Rate)
		require.Equal(t, e.vehicle, c.Vehicle.Number.Reveal())
		require.Equal(t, ext == ".mp4", c.Cameras[0].Preset != "")
		st, ok := c.Streams.For(policy.GNSS)
		require.True(t, ok)
		require.Equal(t, o.MaxAge, st.MaxAge.Duration)
	}
}

// TestAgentTakesEveryRecorder: the preset is one of the agent's, and a first
// start leaves alone what nobody marked.
func TestAgentTakesEveryRecorder(t *testing.T) {
	for _, name := range recorder.Names() {
		o := Options{Seed: 1, MaxAge: 5 * time.Second, Now: time.Now(), Recorder: name}
		o.Programs.Collector = fakeCollector(t)
		f, err := prepare(t.TempDir())
		require.NoError(t, err)
		e, err := enrol(o, f)
		require.NoError(t, err)
		path, err := agentConfig(o, f, e, nil, "127.0.0.1:1883")
		require.NoError(t, err)
		c, err := config.Load(path)
		require.NoError(t, err)
		require.Equal(t, name, c.Cameras[0].Preset)
		require.Equal(t, config.ExistingEvents, c.Cameras[0].Existing)
		for _, kind := range []string{player.Normal, player.Event, player.Parking, player.Manual, player.Lapse} {
			_, ok := c.Streams.For(policy.Camera(kind))
			require.True(t, ok, kind)
		}
	}
}

// TestAgentTakesAReleaseDesk: the stream of reports is for the desk's reader alone,
// and nothing else is.
func TestAgentTakesAReleaseDesk(t *testing.T) {
	o := Options{Seed: 1, MaxAge: 5 * time.Second, Now: time.Now(), Firmware: true}
	o.Programs.Collector = fakeCollector(t)
	f, err := prepare(t.TempDir())
	require.NoError(t, err)
	e, err := enrol(o, f)
	require.NoError(t, err)
	_, reader, err := trip.NewKey(o.Now)
	require.NoError(t, err)
	path, err := agentConfig(o, f, e, &office{Desk: &desk.Desk{}, reader: reader}, "127.0.0.1:1883")
	require.NoError(t, err)
	c, err := config.Load(path)
	require.NoError(t, err)
	require.Equal(t, desk.Hardware, c.Firmware.Hardware)
	st, ok := c.Streams.For(policy.Firmware)
	require.True(t, ok)
	require.Equal(t, []recipient.Key{reader}, st.To)
	st, ok = c.Streams.For(policy.GNSS)
	require.True(t, ok)
	require.Equal(t, []recipient.Key{e.reader}, st.To)

	require.NoError(t, provision(f))
	d, err := durable.OpenExisting(filepath.Join(f.state(), agent.FirmwareDir))
	require.NoError(t, err)
	defer d.Close()
	i, err := firmware.Installed(d)
	require.NoError(t, err)
	require.EqualValues(t, installedRelease, i.Counter)
}

// publicKey is one of an Ed25519 key that nobody has.
const publicKey = "ed25519:AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA="

// fakeCollector makes receipt keys and nothing else.
func fakeCollector(t *testing.T) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), "collector")
	require.NoError(t, os.WriteFile(path, []byte("#!/bin/sh\necho "+publicKey+"\n"), 0o700))
	return path
}
