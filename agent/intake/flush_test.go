package intake_test

import (
	"io/fs"
	"slices"
	"testing"

	"github.com/stretchr/testify/require"
	"golang.org/x/sys/unix"

	"roadseal/hal/durable"
)

// faltering is a file system on which the next files cannot be made.
type faltering struct {
	*durable.Disk
	faults int
}

func (d *faltering) Create(name string) (durable.File, error) {
	if d.faults > 0 {
		d.faults--
		return nil, &fs.PathError{Op: "openat", Path: name, Err: unix.EIO}
	}
	return d.Disk.Create(name)
}

// TestTheLastFixesAreTriedAgain: at a stop there is no later, so one call that
// fails must not cost them; a disk that stays broken must not delay the end.
func TestTheLastFixesAreTriedAgain(t *testing.T) {
	r := newRig(t)
	d := &faltering{Disk: r.disk}
	r.fsys = d
	r.prepare()
	r.track.Add(fix(1))
	d.faults = 1
	require.NoError(t, r.Flush(t.Context()))
	require.Len(t, slices.Collect(r.spool.Pending()), 1)

	r.track.Add(fix(2))
	d.faults = 1000
	require.ErrorContains(t, r.Flush(t.Context()), "cannot seal the last fixes")
	require.Greater(t, d.faults, 900)
}
