package bench

import (
	"context"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"roadseal/agent/wire"
	"roadseal/cmd/internal/bench/capture"
	"roadseal/cmd/internal/bench/judge"
	"roadseal/cmd/internal/bench/player"
	"roadseal/crypto/envelope"
)

// TestWhatARunWaitsFor takes one thing after the other away from a run that is
// over.
func TestWhatARunWaitsFor(t *testing.T) {
	f, err := prepare(t.TempDir())
	require.NoError(t, err)
	spool := filepath.Join(f.state(), "spool")
	require.NoError(t, os.Mkdir(spool, 0o700))
	owed := filepath.Join(spool, "3.x.age")
	over := func() *session {
		return &session{
			o: Options{Loops: 2}, f: f, rec: player.Recording{Valid: make([]player.Position, 5)},
			old: []player.Segment{{Name: "old.mp4"}}, // to be left alone
			plan: []player.Segment{{Sample: player.Sample{Kind: player.Normal}, Name: "a.mp4"},
				{Sample: player.Sample{Kind: player.Normal}, Name: "b.mp4", Lock: &player.Lock{How: player.Move, To: "c.mp4"}}},
			clips: make([]player.Clip, 1), lastFix: time.Now(),
			holder: &judge.Holder{Segments: map[string]envelope.Name{"a.mp4": {}, "b.mp4": {1}}, Fixes: 10, Classes: map[envelope.Name]int{{}: 3, {1}: 1}},
		}
	}
	for what, change := range map[string]func(s *session){
		"":                         func(*session) {},
		"the camera is not done":   func(s *session) { s.clips = nil },
		"the receiver is not done": func(s *session) { s.lastFix = time.Time{} },
		"a segment is missing":     func(s *session) { delete(s.holder.Segments, "a.mp4") },
		"a lock is not known yet":  func(s *session) { s.holder.Classes[envelope.Name{1}] = 3 },
		"a fix is missing":         func(s *session) { s.holder.Fixes = 9 },
		"no release is verified":   func(s *session) { s.o.Firmware = true },
		"an object has no receipt": func(*session) { require.NoError(t, os.WriteFile(owed, nil, 0o600)) },
	} {
		s := over()
		change(s)
		done, err := s.arrived()
		require.NoError(t, err)
		require.Equal(t, what == "", done, what)
		if err := os.Rename(owed, strings.TrimSuffix(owed, "age")+"stored"); err != nil {
			require.ErrorIs(t, err, os.ErrNotExist)
		}
	}
}

// TestADeliveryIsWaitedFor: the key holder alone is not enough, the vehicle
// needs its receipt.
func TestADeliveryIsWaitedFor(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var a arrivals
		l := capture.NewLedger()
		object := envelope.Name{1}
		a.note(&judge.Holder{Segments: map[string]envelope.Name{"a.mp4": object}}, l)
		require.ErrorContains(t, a.wait(t.Context(), player.Segment{Name: "a.mp4"}), "was not delivered within 1m0s")

		b, err := wire.Receipt{Object: object, Size: 1, Class: 1, Time: time.Now()}.MarshalBinary()
		require.NoError(t, err)
		l.Add(capture.Message{Payload: b})
		a.note(&judge.Holder{Segments: map[string]envelope.Name{"a.mp4": object}}, l)
		require.NoError(t, a.wait(t.Context(), player.Segment{Name: "a.mp4"}))
		ctx, cancel := context.WithCancel(t.Context())
		cancel()
		require.ErrorIs(t, a.wait(ctx, player.Segment{Name: "b.mp4"}), context.Canceled)
	})
}
