package intake

import (
	"errors"
	"os"
	"slices"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"roadseal/agent/policy"
	"roadseal/agent/spool"
	"roadseal/crypto/open"
	"roadseal/crypto/recipient"
	"roadseal/crypto/record"
	"roadseal/hal/camera"
	"roadseal/hal/durable"
)

// restless is a segment that the recorder writes to while it is read.
type restless struct{ *strings.Reader }

func (restless) Unchanged() error { return camera.ErrChanged }

// broken is a segment on a card with a bad sector.
type broken struct{ *strings.Reader }

var errSector = errors.New("input/output error")

func (broken) Read([]byte) (int, error) { return 0, errSector }
func (broken) Unchanged() error         { return nil }

// TestNothingIsQueuedFromASourceThatFails: the object is dropped whole, and
// the error is known as the segment's own.
func TestNothingIsQueuedFromASourceThatFails(t *testing.T) {
	id, err := open.Generate()
	require.NoError(t, err)
	st := policy.Stream{Name: "video", To: []recipient.Key{id.Recipient()}, Class: 3}
	d, err := durable.OpenDisk(t.TempDir())
	require.NoError(t, err)
	defer d.Close()
	s, err := spool.Open(d, spool.Options{MaxBytes: 1 << 20, Slots: 2, Order: func(string) (int, bool) { return 1, true }})
	require.NoError(t, err)
	i := New(Options{Spool: s, Slots: 2})
	rec := record.Record{MediaType: "video/mp4", Stream: "video", Source: "camera dash", Clock: "name"}

	for want, src := range map[error]source{camera.ErrChanged: restless{strings.NewReader("clip")}, errSector: broken{}} {
		_, err = i.seal(t.Context(), src, 1000, rec, st, spool.Tag{1})
		require.ErrorIs(t, err, want)
		require.ErrorAs(t, err, new(*sourceError))
		require.Empty(t, slices.Collect(s.Pending()))
		names, err := os.ReadDir(d.Path())
		require.NoError(t, err)
		require.Len(t, names, 1, "the spool's reserve and nothing else")
	}
	_, err = i.seal(t.Context(), bytesReader([]byte("clip")), 1000, rec, st, spool.Tag{1})
	require.NoError(t, err)
	require.Len(t, slices.Collect(s.Pending()), 1)
	_, err = s.Create(3, 1<<30)
	require.False(t, errors.As(err, new(*sourceError)), "a full spool is nobody's segment")
}
