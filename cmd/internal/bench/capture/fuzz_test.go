package capture_test

import (
	"os"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"roadseal/cmd/internal/bench/capture"
)

// FuzzTail: a damaged capture ends the reading, and what was read before is
// written again to the same bytes, times aside.
func FuzzTail(f *testing.F) {
	dir := f.TempDir()
	w, err := capture.Create(capture.Path(dir, 0))
	require.NoError(f, err)
	require.NoError(f, w.Publish("v1/up", []byte("one")))
	require.NoError(f, w.Publish("", nil))
	require.NoError(f, w.Close())
	b, err := os.ReadFile(capture.Path(dir, 0))
	require.NoError(f, err)
	f.Add(b)
	f.Add(b[:len(b)-1])
	f.Add([]byte{})
	f.Fuzz(func(t *testing.T, data []byte) {
		dir := t.TempDir()
		require.NoError(t, os.WriteFile(capture.Path(dir, 0), data, 0o600))
		tail := capture.Follow(dir)
		copied := t.TempDir() // not in dir: the tail would follow it
		w, err := capture.Create(capture.Path(copied, 0))
		require.NoError(t, err)
		var all []capture.Message
		for {
			m, ok, err := tail.Next()
			if err != nil || !ok {
				break
			}
			all = append(all, m)
			require.NoError(t, w.Publish(m.Topic, m.Payload))
		}
		require.NoError(t, tail.Close())
		require.NoError(t, w.Close())
		again, err := os.ReadFile(capture.Path(copied, 0))
		require.NoError(t, err)
		at := 0
		for _, m := range all {
			size := 14 + len(m.Topic) + len(m.Payload)
			require.Equal(t, data[at+8:at+size], again[at+8:at+size])
			require.Equal(t, m.Time, m.Time.Round(time.Nanosecond))
			at += size
		}
	})
}
