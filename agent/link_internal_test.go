package agent

import (
	"log/slog"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"roadseal/crypto/mtls"
	"roadseal/hal/durable"
)

// TestSignedTimeEndsWithOurCertificate: whoever signs a time, one at which the
// broker would refuse us is not believed.
func TestSignedTimeEndsWithOurCertificate(t *testing.T) {
	built := time.Date(2026, 11, 1, 0, 0, 0, 0, time.UTC)
	end := built.AddDate(1, 0, 0)
	a := &Agent{clock: mtls.NewClock(built), identity: mtls.Identity{NotAfter: end}}
	require.False(t, a.raise(end.AddDate(23, 0, 0)))
	require.False(t, a.raise(end.Add(time.Second)))
	require.Equal(t, built, a.clock.Floor())
	require.True(t, a.raise(end))
	require.Equal(t, end, a.clock.Floor())
}

// TestTheTrustedTimeIsSavedByMany: receipts, metadata and the end of the agent
// save it, each from a goroutine of its own. What is durable is the latest.
func TestTheTrustedTimeIsSavedByMany(t *testing.T) {
	built := time.Date(2026, 11, 1, 0, 0, 0, 0, time.UTC)
	d, err := durable.OpenDisk(t.TempDir())
	require.NoError(t, err)
	defer d.Close()
	log := &lines{}
	a := &Agent{clock: mtls.NewClock(built), identity: mtls.Identity{NotAfter: built.AddDate(1, 0, 0)}, state: d, log: slog.New(slog.NewTextHandler(log, nil))}
	a.saved.Store(built.Unix())
	var many sync.WaitGroup
	for i := range 20 {
		many.Go(func() {
			a.raise(built.Add(time.Duration(i) * time.Hour))
			a.saveTime()
		})
	}
	many.Wait()
	got, err := timeFloor(d, built)
	require.NoError(t, err)
	require.Equal(t, built.Add(19*time.Hour), got)
	require.Zero(t, log.n, "no write got in another's way")
}

// lines counts what is logged.
type lines struct{ n int }

func (l *lines) Write(p []byte) (int, error) { l.n++; return len(p), nil }
