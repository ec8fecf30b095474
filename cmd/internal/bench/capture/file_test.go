package capture_test

import (
	"os"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"roadseal/cmd/internal/bench/capture"
)

func write(t *testing.T, dir string, n int, payloads ...string) {
	t.Helper()
	w, err := capture.Create(capture.Path(dir, n))
	require.NoError(t, err)
	for _, p := range payloads {
		require.NoError(t, w.Publish("v1/topic", []byte(p)))
	}
	require.NoError(t, w.Close())
}

// drain returns all payloads that are there now.
func drain(t *testing.T, tail *capture.Tail) (all []string) {
	t.Helper()
	for {
		m, ok, err := tail.Next()
		require.NoError(t, err)
		if !ok {
			return all
		}
		require.Equal(t, "v1/topic", m.Topic)
		require.WithinDuration(t, time.Now(), m.Time, time.Hour)
		all = append(all, string(m.Payload))
	}
}

func TestReadAsItGrows(t *testing.T) {
	dir := t.TempDir()
	tail := capture.Follow(dir)
	require.Empty(t, drain(t, tail), "nothing there yet")

	w, err := capture.Create(capture.Path(dir, 0))
	require.NoError(t, err)
	require.NoError(t, w.Publish("v1/topic", []byte("one")))
	require.Equal(t, []string{"one"}, drain(t, tail))
	require.NoError(t, w.Publish("v1/topic", nil))
	require.NoError(t, w.Publish("v1/topic", []byte("three")))
	require.Equal(t, []string{"", "three"}, drain(t, tail))
	require.NoError(t, w.Close())
	require.NoError(t, tail.Close())
}

// TestTornTail cuts the file of the first start at every length: what is whole
// is read, and then that of the second start.
func TestTornTail(t *testing.T) {
	whole := t.TempDir()
	write(t, whole, 0, "one", "two")
	b, err := os.ReadFile(capture.Path(whole, 0))
	require.NoError(t, err)
	for cut := range b {
		dir := t.TempDir()
		require.NoError(t, os.WriteFile(capture.Path(dir, 0), b[:cut], 0o600))
		tail := capture.Follow(dir)
		var want []string
		if cut >= len(b)/2 {
			want = []string{"one"}
		}
		require.Equal(t, want, drain(t, tail), "cut at %d", cut)
		write(t, dir, 1, "after")
		require.Equal(t, []string{"after"}, drain(t, tail), "cut at %d", cut)
		require.NoError(t, tail.Close())
	}
}

func TestDamagedLength(t *testing.T) {
	dir := t.TempDir()
	write(t, dir, 0, "one")
	b, err := os.ReadFile(capture.Path(dir, 0))
	require.NoError(t, err)
	b[10] = 0xff
	require.NoError(t, os.WriteFile(capture.Path(dir, 0), b, 0o600))
	_, _, err = capture.Follow(dir).Next()
	require.ErrorContains(t, err, "capture is damaged: ")
}

func TestFilesAreNeverOverwritten(t *testing.T) {
	dir := t.TempDir()
	write(t, dir, 0, "one")
	_, err := capture.Create(capture.Path(dir, 0))
	require.ErrorIs(t, err, os.ErrExist)
}

func TestTooLong(t *testing.T) {
	w, err := capture.Create(capture.Path(t.TempDir(), 0))
	require.NoError(t, err)
	require.Error(t, w.Publish("t", make([]byte, 2<<20)))
	require.Error(t, w.Publish(string(make([]byte, 70000)), nil))
	require.NoError(t, w.Publish("t", nil), "what was refused is not an error of the file")
	require.NoError(t, w.Close())
	require.Error(t, w.Publish("t", nil))
}
