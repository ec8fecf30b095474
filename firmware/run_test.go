package firmware_test

import (
	"context"
	"io"
	"log/slog"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"roadseal/crypto/signed"
	"roadseal/firmware"
	"roadseal/hal/watchdog"
)

// A meter notes when the Director's root is asked for, that is each attempt.
type meter struct {
	*repository
	at []time.Time
}

func (m *meter) Fetch(ctx context.Context, role string, version int64, limit int) ([]byte, error) {
	if role == signed.Root {
		m.at = append(m.at, time.Now())
	}
	return m.repository.Fetch(ctx, role, version, limit)
}

// run runs an updater for a while.
func run(t *testing.T, w *world, from signed.Source, d time.Duration) {
	every(t, w, from, time.Hour, d)
}

// every is run with another time between two attempts.
func every(t *testing.T, w *world, from signed.Source, every, d time.Duration) {
	o := w.options()
	o.Director, o.Every = from, every
	u, err := firmware.New(o)
	require.NoError(t, err)
	ctx, stop := context.WithTimeout(t.Context(), d)
	defer stop()
	require.ErrorIs(t, u.Run(ctx), context.DeadlineExceeded)
}

func TestRunLooksAtTheStartAndThenRegularly(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t)
		m, start := &meter{repository: w.director}, time.Now()
		run(t, w, m, 100*time.Hour)
		require.Less(t, m.at[0].Sub(start), time.Minute)
		require.InDelta(t, 100, len(m.at), 13)
		apart := map[time.Duration]bool{}
		for i := range m.at[1:] {
			d := m.at[i+1].Sub(m.at[i])
			require.InDelta(t, time.Hour, d, float64(time.Hour/8)+1)
			apart[d] = true
		}
		require.Greater(t, len(apart), 10, "no fleet stays in step")
	})
}

// TestTheFirstWaitIsPartOfThePeriod: whoever is to look each minute does not wait
// one, and whoever looks once a day has what came over night soon after the start.
func TestTheFirstWaitIsPartOfThePeriod(t *testing.T) {
	for period, most := range map[time.Duration]time.Duration{time.Minute: time.Second, 10 * time.Minute: 10 * time.Second, 24 * time.Hour: time.Minute} {
		synctest.Test(t, func(t *testing.T) {
			w := newWorld(t)
			waits := map[time.Duration]bool{}
			for range 20 {
				m, start := &meter{repository: w.director}, time.Now()
				every(t, w, m, period, most)
				require.NotEmpty(t, m.at, "within %v", most)
				waits[m.at[0].Sub(start)] = true
			}
			require.Greater(t, len(waits), 10, "no fleet starts in step")
		})
	}
}

func TestRunBacksOff(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t)
		good := w.director.files[signed.Timestamp]
		w.director.files[signed.Timestamp] = []byte("{}")
		m := &meter{repository: w.director}
		run(t, w, m, 12*time.Hour)
		want := time.Minute
		for i := range m.at[1:] {
			require.InDelta(t, want, m.at[i+1].Sub(m.at[i]), float64(want/8)+1)
			want = min(2*want, time.Hour)
		}
		require.Greater(t, len(m.at), 12)
		require.Len(t, w.reports, 1)

		w.director.files[signed.Timestamp] = good
		m.at = nil
		run(t, w, m, 3*time.Hour)
		require.InDelta(t, time.Hour, m.at[1].Sub(m.at[0]), float64(time.Hour/8)+1)
	})
}

// endless never has an answer, as on a vehicle without a connection.
type endless struct{ asked atomic.Int64 }

func (e *endless) Fetch(ctx context.Context, _ string, _ int64, _ int) ([]byte, error) {
	e.asked.Add(1)
	<-ctx.Done()
	return nil, ctx.Err()
}

// TestWaitingForAConnection is progress for the watchdog, and no attempt.
func TestWaitingForAConnection(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t)
		dog := watchdog.New(watchdog.Notifier{Limit: time.Minute}, slog.New(slog.NewTextHandler(io.Discard, nil)))
		ctx, stop := context.WithTimeout(t.Context(), 5*time.Hour)
		defer stop()
		go func() { _ = dog.Run(ctx) }()
		working, leave := dog.Join(ctx, "firmware")
		defer leave()
		o, e := w.options(), &endless{}
		o.Director = e
		u, err := firmware.New(o)
		require.NoError(t, err)
		go func() {
			time.Sleep(4 * time.Hour)
			require.Empty(t, dog.Late())
		}()
		require.ErrorIs(t, u.Run(working), context.DeadlineExceeded)
		require.Equal(t, int64(1), e.asked.Load())
		require.Empty(t, w.reports)
		require.Zero(t, u.Status().Checked)
		synctest.Wait()
	})
}
