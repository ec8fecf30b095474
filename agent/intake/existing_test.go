package intake_test

import (
	"context"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

// TestExistingClipsStay: what the recorder had at the first meeting is neither
// sealed nor removed, then or later; what it was just writing is new.
func TestExistingClipsStay(t *testing.T) {
	r := newRig(t)
	r.remove = true
	r.leave = func(kind string) bool { return kind != "event" }
	r.clip("20261124_053000_NF.mp4", "an old drive")
	r.clip("20261124_053100_EF.mp4", "an old crash")
	growing, err := os.Create(filepath.Join(r.record, "20261124_053200_NF.mp4"))
	require.NoError(t, err)
	_, err = growing.WriteString("the first ")
	require.NoError(t, err)
	r.start()
	r.until("met", r.met.Load)
	_, err = growing.WriteString("drive")
	require.NoError(t, err)
	require.NoError(t, growing.Close())
	r.until("sealed", func() bool { return r.Counts("dash").Sealed == 2 && r.Counts("dash").Known == 1 })
	want := map[string]string{"event 20261124_053100_EF.mp4": "an old crash", "video 20261124_053200_NF.mp4": "the first drive"}
	require.Equal(t, want, r.opened())

	r.stop()
	r.start()
	r.clip("20261124_053300_NF.mp4", "the next drive")
	r.until("sealed", func() bool { return r.Counts("dash").Sealed == 1 && r.Counts("dash").Known == 1 })
	want["video 20261124_053300_NF.mp4"] = "the next drive"
	require.Equal(t, want, r.opened())
	r.stop()
	left, err := os.ReadDir(r.record)
	require.NoError(t, err)
	require.Len(t, left, 1, "a clip that was not sealed is not removed")
	require.Equal(t, "20261124_053000_NF.mp4", left[0].Name())
}

// TestAFolderThatIsNotThereIsNotMet: an empty folder may be a mount point.
func TestAFolderThatIsNotThereIsNotMet(t *testing.T) {
	r := newRig(t)
	r.leave = func(string) bool { return true }
	r.start()
	r.until("scanned", func() bool { return !r.folder.State().Scanned.IsZero() })
	r.clip("20261124_053000_NF.mp4", "of the card that is in now")
	r.until("met", r.met.Load)
	r.until("known", func() bool { return r.Counts("dash").Known == 1 })
	require.Empty(t, r.opened())
}

// TestPowerFailsBeforeTheMeeting: what is to stay is not known yet, so nothing
// is sealed.
func TestPowerFailsBeforeTheMeeting(t *testing.T) {
	r := newRig(t)
	r.leave = func(string) bool { return true }
	r.clip("20261124_053000_EF.mp4", "stays in the vehicle")
	r.prepare()
	ctx, cancel := context.WithCancel(t.Context())
	done := make(chan error, 1)
	go func() { done <- r.folder.Run(ctx) }()
	r.until("pending", func() bool { return r.folder.State().Pending > 0 })
	short, stop := context.WithTimeout(ctx, 200*time.Millisecond)
	defer stop()
	r.Events(short)
	cancel()
	require.ErrorIs(t, <-done, context.Canceled)
	require.Empty(t, r.opened())
}
