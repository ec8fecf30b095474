package agent

import (
	"context"
	"fmt"
	"io"
	"log/slog"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"roadseal/agent/track"
	"roadseal/crypto/mtls"
	"roadseal/hal/gnss"
	"roadseal/hal/vehicle"
)

// TestAFalseTimeMovesOnlyTheVehicle: a moving car is seen to move by a receiver
// whose time is not believed, and not by one whose place is not. Trusted time
// follows neither.
func TestAFalseTimeMovesOnlyTheVehicle(t *testing.T) {
	for marks, moves := range map[gnss.Marks]bool{
		0: true, gnss.MarkRollover: true, gnss.MarkTimeBack | gnss.MarkBeforeFloor: true, gnss.MarkBadTime | gnss.MarkNoDate: true,
		gnss.MarkJump: false, gnss.MarkFrozen: false, gnss.MarkTimeJump | gnss.MarkNullIsland: false,
	} {
		synctest.Test(t, func(t *testing.T) {
			v, err := vehicle.New(vehicle.Options{Ignition: "speed", Log: slog.New(slog.NewTextHandler(io.Discard, nil))})
			require.NoError(t, err)
			start := time.Now()
			a := &Agent{vehicle: v, clock: mtls.NewClock(start)}
			r := &receiver{a: a, marks: map[string]int64{}, track: track.NewRecorder(track.Options{Sequence: func() uint32 { return 1 }, MaxAge: time.Hour})}
			ctx, stop := context.WithCancel(t.Context())
			go func() { _ = v.Run(ctx) }() // ends with ctx
			for range 100 {
				time.Sleep(time.Second)
				r.fix(gnss.Fix{UTC: time.Now().Add(24 * time.Hour), Clock: gnss.ClockGNSS, Speed: 20, Marks: marks})
			}
			require.Equal(t, moves, v.Ignition(), fmt.Sprint(marks))
			want := start.Add(100 * time.Second)
			if marks == 0 {
				want = want.Add(24 * time.Hour)
			}
			require.WithinDuration(t, want, a.clock.Now(), 0)
			stop()
		})
	}
}
