package intake_test

import (
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"roadseal/crypto/envelope"
	"roadseal/crypto/open"
	"roadseal/testdata/segments"
)

// TestWhatTheRecordSaysOfAFile: media type, span and damage come from the
// content; a sidecar goes the way of its clip's kind.
func TestWhatTheRecordSaysOfAFile(t *testing.T) {
	r := newRig(t)
	film, err := segments.Files.ReadFile("event-front.mp4")
	require.NoError(t, err)
	r.clip("20261124_053000_EF.mp4", string(film))
	r.clip("20261124_053000_ER.mp4", string(film[:len(film)-1000]))
	r.clip("20261124_053000_EI.mp4", "encrypted by its maker")
	r.clip("20261124_053000_E.gps", "[1795498200000]$GPRMC,,V,,,,,,,,,,N*53\n")
	r.clip("20261124_053000_E.3gf", "\xff\xff\xff\xff")
	r.clip("20261124_053100_NF.thm", "\xff\xd8\xff")
	r.clip("20261124_053100_P.gps", "parked: no stream takes it")
	r.start()
	r.until("sealed", func() bool { return r.Counts("dash").Sealed == 6 })

	begin := time.Date(2026, 11, 24, 5, 30, 0, 0, time.UTC)
	type said struct {
		stream, media string
		end           time.Time
		flags         []string
	}
	got := map[string]said{}
	for e := range r.spool.Pending() {
		f, err := r.spool.Open(e)
		require.NoError(t, err)
		o, err := open.New(f, e.Size, r.id)
		require.NoError(t, err)
		rec := o.Record
		got[rec.File.Reveal()] = said{e.Stream, rec.MediaType, rec.End, rec.Flags}
		require.Equal(t, "name", rec.Clock)
		if rec.MediaType == "text/plain" {
			require.Equal(t, envelope.SealedSize(slots, envelope.GridText(rec.Length)), e.Size, "on the grid of text")
		}
		require.NoError(t, f.Close())
	}
	require.Equal(t, map[string]said{
		"20261124_053000_EF.mp4": {"event", "video/mp4", begin.Add(3 * time.Second), nil},
		"20261124_053000_ER.mp4": {"event", "video/mp4", begin.Add(3 * time.Second), []string{"incomplete"}},
		"20261124_053000_EI.mp4": {"event", "application/octet-stream", time.Time{}, nil},
		"20261124_053000_E.gps":  {"event", "text/plain", time.Time{}, nil},
		"20261124_053000_E.3gf":  {"event", "application/octet-stream", time.Time{}, nil},
		"20261124_053100_NF.thm": {"video", "image/jpeg", time.Time{}, nil},
	}, got)
}
