package intake_test

import (
	"context"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"roadseal/agent/spool"
	"roadseal/hal/durable"
)

// stuck is a file system on flash that takes its time: the sync of a large
// file, which nothing can interrupt, ends when it is let go.
type stuck struct {
	*durable.Disk
	syncing chan struct{}
	release chan struct{}
	once    sync.Once
}

type stuckFile struct {
	durable.File
	d *stuck
}

func (d *stuck) Create(name string) (durable.File, error) {
	f, err := d.Disk.Create(name)
	return &stuckFile{f, d}, err
}

func (f *stuckFile) Sync() error {
	if n, err := f.Size(); err != nil || n > 200_000 {
		f.d.once.Do(func() { close(f.d.syncing) })
		<-f.d.release
	}
	return f.File.Sync()
}

// TestTheLastFixesDoNotWaitForAClip: power is failing while a clip is being
// synced.
func TestTheLastFixesDoNotWaitForAClip(t *testing.T) {
	r := newRig(t)
	r.prepare() // makes the spool's reserve
	d := &stuck{Disk: r.disk, syncing: make(chan struct{}), release: make(chan struct{})}
	r.fsys = d
	r.prepare()
	r.clip("20261124_053000_NF.mp4", strings.Repeat("x", 300_000))
	ctx, cancel := context.WithCancel(t.Context())
	var clips, fixes sync.WaitGroup
	clips.Go(func() { _ = r.folder.Run(ctx) })
	clips.Go(func() { _ = r.Segments(ctx) })
	fixes.Go(func() { _ = r.Documents(ctx) })
	r.track.Add(fix(1))
	<-d.syncing
	cancel()
	begin := time.Now()
	fixes.Wait()
	require.NoError(t, r.Flush(t.Context()))
	require.Less(t, time.Since(begin), time.Second)
	require.Len(t, slices.Collect(r.spool.Pending()), 1)
	close(d.release)
	clips.Wait()
	s, err := spool.Open(r.disk, r.limits)
	require.NoError(t, err)
	require.Len(t, slices.Collect(s.Pending()), 2, "what was being synced is kept")
}
