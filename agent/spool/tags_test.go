package spool_test

import (
	"bytes"
	"encoding/hex"
	"os"
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/require"

	"roadseal/agent/spool"
)

// TestALongListOfTagsStopsNothing: it stays within its bound, and one beyond it
// does not keep the agent from starting.
func TestALongListOfTagsStopsNothing(t *testing.T) {
	r := newRig(t)
	b := bytes.NewBufferString("roadseal source tags 1\n")
	for i := range 100_001 {
		tag := spool.Tag{0xff, byte(i >> 16), byte(i >> 8), byte(i)}
		b.WriteString(checked(hex.EncodeToString(tag[:])))
	}
	path := filepath.Join(r.disk.Path(), "tags")
	require.NoError(t, os.WriteFile(path, b.Bytes(), 0o600))
	r.reopen()
	require.True(t, r.HasTag(spool.Tag{0xff, 1, 0x86, 0xa0}))
	require.Zero(t, r.Usage().UnreadLines)

	e := r.put(meta(3, 1, "video", 1), "a")
	require.NoError(t, r.MarkStored(e))
	r.opt.MaxBytes = e.Size
	r.reopen()
	draft, err := r.Create(3, e.Size)
	require.NoError(t, err)
	require.NoError(t, draft.Discard())
	st, err := os.Stat(path)
	require.NoError(t, err)
	require.LessOrEqual(t, st.Size(), int64(100_002*43+100))
	r.reopen()
	require.True(t, r.HasTag(spool.Tag{1}), "the newest tag is never the one to give way")
}

// TestSafe: a clip may be removed once its object is there or was delivered, and
// not when it was lost or left in the vehicle.
func TestSafe(t *testing.T) {
	r := newRig(t)
	delivered, queued := r.put(meta(3, 1, "video", 1), "a"), r.put(meta(3, 2, "video", 2), "b")
	require.NoError(t, r.Know([]spool.Tag{{3}}))
	require.Equal(t, []bool{true, true, false}, []bool{r.Safe(spool.Tag{1}), r.Safe(spool.Tag{2}), r.Safe(spool.Tag{3})})
	require.NoError(t, r.MarkStored(delivered))
	r.opt.MaxBytes = queued.Size
	r.reopen()
	draft, err := r.Create(1, queued.Size) // both give way
	require.NoError(t, err)
	require.NoError(t, draft.Discard())
	for range 2 {
		require.Zero(t, r.Usage().QueuedObjects+r.Usage().StoredObjects)
		require.Equal(t, []bool{true, false, false}, []bool{r.Safe(spool.Tag{1}), r.Safe(spool.Tag{2}), r.Safe(spool.Tag{3})})
		for _, tag := range []spool.Tag{{1}, {2}, {3}} {
			require.True(t, r.HasTag(tag))
		}
		r.reopen()
	}
}
