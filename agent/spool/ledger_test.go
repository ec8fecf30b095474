package spool_test

import (
	"bytes"
	"encoding/hex"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/require"

	"roadseal/agent/spool"
	"roadseal/hal/durable"
)

// cramped is a file system on which no new file can be made while full, but
// files can be removed; a removal gives its space back.
type cramped struct {
	*durable.Disk
	full  bool
	gives bool // cutting a file short gives room
}

type crampedFile struct {
	durable.File
	d *cramped
}

func (d *cramped) Update(name string) (durable.File, error) {
	f, err := d.Disk.Update(name)
	return &crampedFile{f, d}, err
}

func (f *crampedFile) Truncate(size int64) error {
	f.d.full = f.d.full && !f.d.gives
	return f.File.Truncate(size)
}

func (d *cramped) Create(name string) (durable.File, error) {
	if d.full {
		return nil, &fs.PathError{Op: "write", Path: name, Err: errIO}
	}
	return d.Disk.Create(name)
}

// TestATagIsDurableBeforeItsFileGoes: a ledger that cannot be written keeps
// the files whose tags it lacks, at the second attempt too.
func TestATagIsDurableBeforeItsFileGoes(t *testing.T) {
	r := newRig(t)
	d := &cramped{Disk: r.disk}
	e := r.put(meta(3, 1, "video", 1), "a")
	require.NoError(t, r.MarkStored(e.Name))
	r.opt.MaxBytes = e.Size
	s, err := spool.Open(d, r.opt)
	require.NoError(t, err)
	d.full = true
	for range 2 {
		_, err = s.Create(e.Size)
		require.ErrorIs(t, err, errIO)
	}
	r.reopen()
	require.True(t, r.HasTag(spool.Tag{1}), "or its clip would be sealed twice")
}

// TestAFullDiskOfDeliveredClips: there is not even room for the ledger.
func TestAFullDiskOfDeliveredClips(t *testing.T) {
	r := newRig(t)
	d := &cramped{Disk: r.disk, full: true, gives: true}
	e := r.put(meta(3, 1, "video", 1), "a")
	require.NoError(t, r.MarkStored(e.Name))
	r.opt.MaxBytes = e.Size
	s, err := spool.Open(d, r.opt)
	require.NoError(t, err)
	draft, err := s.Create(e.Size)
	require.NoError(t, err)
	require.NoError(t, draft.Discard())
	r.reopen()
	require.Equal(t, []string{"tags"}, r.files())
	require.True(t, r.HasTag(spool.Tag{1}))
}

// TestFixesMakeRoomForTheLedger: on a disk without any room the delivered
// objects that need no ledger go first.
func TestFixesMakeRoomForTheLedger(t *testing.T) {
	r := newRig(t)
	d := &cramped{Disk: r.disk}
	video := r.put(meta(3, 1, "video", 1), "a")
	fixes := r.put(meta(2, 2, "track", 0), "b")
	require.NoError(t, r.MarkStored(video.Name))
	require.NoError(t, r.MarkStored(fixes.Name))
	r.opt.MaxBytes = 1
	s, err := spool.Open(d, r.opt)
	require.NoError(t, err)
	d.full = true
	_, err = s.Create(1)
	require.Error(t, err)
	require.Len(t, r.files(), 1, "only the clip, whose tag could not be kept, is still there")
}

// TestALongLedgerStopsNothing: it stays within its bound, and one beyond it
// does not keep the agent from starting.
func TestALongLedgerStopsNothing(t *testing.T) {
	r := newRig(t)
	var b bytes.Buffer
	for i := range 100_001 {
		tag := spool.Tag{0xff, byte(i >> 16), byte(i >> 8), byte(i)}
		fmt.Fprintln(&b, hex.EncodeToString(tag[:]))
	}
	require.NoError(t, os.WriteFile(filepath.Join(r.disk.Path(), "tags"), b.Bytes(), 0o600))
	r.reopen()
	require.True(t, r.HasTag(spool.Tag{0xff}))

	e := r.put(meta(3, 1, "video", 1), "a")
	require.NoError(t, r.MarkStored(e.Name))
	r.opt.MaxBytes = e.Size
	r.reopen()
	draft, err := r.Create(e.Size)
	require.NoError(t, err)
	require.NoError(t, draft.Discard())
	st, err := os.Stat(filepath.Join(r.disk.Path(), "tags"))
	require.NoError(t, err)
	require.LessOrEqual(t, st.Size(), int64(100_000*33))
	r.reopen()
	require.True(t, r.HasTag(spool.Tag{1}), "the newest tag is never the one to give way")
}
