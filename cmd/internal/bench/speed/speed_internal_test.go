package speed

import (
	"bytes"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

func TestVerdictLeavesRoomForABusyMachine(t *testing.T) {
	for _, c := range []struct {
		row  Row
		want string
	}{
		{Row{Ours: 5}, ""},
		{Row{Ratio: 1, Limit: 1}, "holds"},
		{Row{Ratio: 0.99, Limit: 1}, "missed"},
		{Row{Ratio: 0.34, Limit: 1}, "missed"},
		{Row{Ratio: 0.33, Limit: 1}, "FAILED"},
		{Row{Ours: 32, Most: 32}, "holds"},
		{Row{Ours: 33, Most: 32}, "missed"},
		{Row{Ours: 97, Most: 32}, "FAILED"},
	} {
		require.Equal(t, c.want, c.row.Verdict(), "%+v", c.row)
	}
	require.Equal(t, 1, Report{Rows: []Row{{Ratio: 0.2, Limit: 1}, {Ratio: 0.9, Limit: 1}, {Ours: 1}}}.Failed())
}

// TestRatiosAreOfOneRound: a machine that was slow for one round says nothing
// about either side.
func TestRatiosAreOfOneRound(t *testing.T) {
	row := beside("x", "MB/s", []float64{100, 10, 102}, "peer", []float64{80, 8, 120}, 1)
	require.InDelta(t, 1.25, row.Ratio, 1e-9)
	require.Equal(t, 100.0, row.Ours)
	require.Equal(t, 80.0, row.Theirs)
	require.Equal(t, 2.5, median([]float64{4, 1, 3, 2}))
}

func TestLinesAreWhatThePeerIsTold(t *testing.T) {
	text := lines(10 * line)
	require.Len(t, text, 10*line)
	for l := range bytes.Lines(text) {
		require.Len(t, l, line)
	}
	require.Equal(t, 10, bytes.Count(text, []byte("\n")))
}

func TestQueueIsReadFromNamesAndTimes(t *testing.T) {
	c := car{dir: t.TempDir()}
	q, err := c.queued()
	require.NoError(t, err)
	require.Equal(t, queue{}, q, "an agent that has not started")

	require.NoError(t, os.MkdirAll(c.spool(), 0o755))
	put := func(name string, size int) {
		require.NoError(t, os.WriteFile(filepath.Join(c.spool(), name), make([]byte, size), 0o600))
	}
	put("a.age", 100)
	put("b.age", 20)
	put("tags", 3)
	put("7.tmp", 5)
	before := time.Now().Add(-time.Second)
	require.NoError(t, os.Rename(filepath.Join(c.spool(), "b.age"), filepath.Join(c.spool(), "b.stored")))
	q, err = c.queued()
	require.NoError(t, err)
	require.Equal(t, 1, q.waiting)
	require.Equal(t, 1, q.delivered)
	require.EqualValues(t, 120, q.bytes)
	require.True(t, q.last.After(before))
}

func TestDriveIsCutAndHasTenFixesASecond(t *testing.T) {
	r, err := recording(30 * time.Second)
	require.NoError(t, err)
	require.Less(t, r.Epochs[len(r.Epochs)-1].At, 30*time.Second)
	require.Len(t, r.Epochs, 30*fixRate)
	_, err = recording(time.Hour)
	require.Error(t, err)
}

func TestProcessorTimeGrows(t *testing.T) {
	before, err := processorTime(os.Getpid())
	require.NoError(t, err)
	for n := 0; ; n++ { // any work
		after, err := processorTime(os.Getpid())
		require.NoError(t, err)
		if after > before {
			return
		}
		require.Less(t, n, 1_000_000_000)
	}
}

// TestRawTLS is the peer by itself: it counts what has arrived.
func TestRawTLS(t *testing.T) {
	s := testStand(t)
	m, err := s.rawLoopback(t.Context(), 3_000_001)
	require.NoError(t, err)
	require.EqualValues(t, 3_000_001, m.bytes)
	require.Positive(t, m.took)
}

// TestUnknownMeasurementIsRefused, and one that cannot be made is left out only
// if nobody asked for it.
func TestUnknownMeasurementIsRefused(t *testing.T) {
	require.ErrorContains(t, Options{Only: []string{"warp"}, Rounds: 1}.Check(), "warp")
	require.Error(t, Options{}.Check())
	s := testStand(t)
	_, err := s.measure(t.Context(), "arm")
	require.ErrorIs(t, err, errLacking)
	_, err = s.measure(t.Context(), "drive")
	require.ErrorIs(t, err, errLacking)
}

// testStand has certificates and a collector that can only make its key.
func testStand(t *testing.T) *stand {
	t.Helper()
	collector := filepath.Join(t.TempDir(), "collector")
	script := fmt.Sprintf("#!/bin/sh\necho ed25519:%s=\n", strings.Repeat("A", 43))
	require.NoError(t, os.WriteFile(collector, []byte(script), 0o700))
	o := Options{Memory: t.TempDir(), Disk: t.TempDir()}
	o.Programs.Collector = collector
	s, err := newStand(o)
	require.NoError(t, err)
	t.Cleanup(func() {
		require.NoError(t, s.close())
		require.NoDirExists(t, s.memory)
	})
	return s
}
