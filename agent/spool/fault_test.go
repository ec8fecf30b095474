package spool_test

import (
	"errors"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"roadseal/agent/spool"
	"roadseal/crypto/seal"
	"roadseal/hal/durable"
)

var errIO = errors.New("input/output error")

// deaf is a file system whose directories cannot be synced while broken.
type deaf struct {
	*durable.Disk
	broken bool
}

func (d *deaf) Sync(dir string) error {
	if d.broken {
		return errIO
	}
	return d.Disk.Sync(dir)
}

// TestAFailedSyncIsNotAskedAgain: what cannot be made durable is dropped or
// done again from its source, never synced twice and never there twice.
func TestAFailedSyncIsNotAskedAgain(t *testing.T) {
	r := newRig(t)
	d := &deaf{Disk: r.disk}
	s, err := spool.Open(d, r.opt)
	require.NoError(t, err)
	r.Spool = s
	e := r.put(meta(3, 1, "video", 1), "a")

	d.broken = true
	draft, err := s.Create(100)
	require.NoError(t, err)
	sealed, err := seal.Object(draft, strings.NewReader("b"), rec("video"), r.to, slots)
	require.NoError(t, err)
	_, err = draft.Commit(meta(3, 2, "video", 2), sealed.Name, sealed.Size)
	require.ErrorIs(t, err, errIO)
	require.Len(t, r.files(), 1, "the object is gone")
	require.False(t, s.HasTag(spool.Tag{2}), "its clip will be sealed anew")

	require.ErrorIs(t, s.MarkStored(e.Name), errIO)
	require.Empty(t, s.Pending(), "the receipt holds as long as we run")
	d.broken = false
	require.NoError(t, s.MarkStored(e.Name))
	require.Len(t, r.files(), 1)
}
