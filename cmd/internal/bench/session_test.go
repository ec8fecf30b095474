package bench

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

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
			o: Options{Loops: 2}, f: f, rec: player.Recording{Valid: make([]player.Position, 5)}, plan: make([]player.Segment, 1),
			clips: make([]player.Clip, 1), lastFix: time.Now(),
			holder: &judge.Holder{Segments: map[string]envelope.Name{"a.mp4": {}}, Fixes: 10},
		}
	}
	for what, change := range map[string]func(s *session){
		"":                         func(*session) {},
		"the camera is not done":   func(s *session) { s.clips = nil },
		"the receiver is not done": func(s *session) { s.lastFix = time.Time{} },
		"a segment is missing":     func(s *session) { s.holder.Segments = nil },
		"a fix is missing":         func(s *session) { s.holder.Fixes = 9 },
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
