package spool_test

import (
	"strings"
	"syscall"
	"testing"

	"github.com/stretchr/testify/require"

	"roadseal/agent/spool"
	"roadseal/hal/durable"
)

// Remove implements durable.FS: what is named so stays, as with a damaged inode.
func (g *gauge) Remove(name string) error {
	if g.stuck != "" && strings.Contains(name, g.stuck) {
		return syscall.EUCLEAN
	}
	return g.FS.Remove(name)
}

// A torn file cannot be read to its end.
type torn struct {
	durable.File
	left int
}

func (f *torn) Read(p []byte) (int, error) {
	if f.left == 0 {
		return 0, syscall.EIO
	}
	n, err := f.File.Read(p[:min(len(p), f.left)])
	f.left -= n
	return n, err
}

// Open implements durable.FS: it fails so often for one name, or gives what can
// be read of it in part.
func (g *gauge) Open(name string) (durable.File, error) {
	if name == g.shut && g.readable > 0 {
		f, err := g.FS.Open(name)
		return &torn{f, g.readable}, err
	}
	if name == g.shut && g.fails > 0 {
		g.fails--
		return nil, syscall.EIO
	}
	return g.FS.Open(name)
}

// TestAFileThatCannotBeRemoved costs one attempt, and then others give way.
func TestAFileThatCannotBeRemoved(t *testing.T) {
	k := newTank(t, spool.Options{MaxBytes: 1000}, "3s300 3s310 3s320")
	k.disk.stuck = ".00000000." // the sequence of the oldest
	require.ErrorIs(t, k.create(3, 300), syscall.EUCLEAN)
	for range 2 {
		require.NoError(t, k.create(3, 300))
	}
	require.Equal(t, []string{"3s310"}, k.gone())
	require.Empty(t, k.Losses())
}

// TestLitterThatCannotBeRemoved stops neither the start nor a draft.
func TestLitterThatCannotBeRemoved(t *testing.T) {
	k := newTank(t, spool.Options{}, "3q300")
	for _, name := range []string{"1.tmp", "2.tmp"} {
		f, err := k.disk.Create(name)
		require.NoError(t, err)
		require.NoError(t, f.Close())
	}
	k.disk.stuck = ".tmp"
	k.open()
	require.Equal(t, 2, k.Usage().Foreign)
	d, err := k.Create(1, 100)
	require.NoError(t, err)
	k.disk.stuck = ""
	require.NoError(t, d.Discard())
}

// TestClear makes room for a start: never more than that, the least valuable
// first, and undelivered objects only when nothing else is left.
func TestClear(t *testing.T) {
	for name, c := range map[string]struct {
		free    int64
		objects string
		gone    []string
		err     error
	}{
		"there is room":        {free: 1000, objects: "1q300 3s300"},
		"delivered":            {free: 800, objects: "1q300 3s300 3s310", gone: []string{"3s300"}},
		"then damaged":         {free: 500, objects: "1q300 1d310 3s300", gone: []string{"1d310", "3s300"}},
		"then by value":        {free: 500, objects: "1q300 4q310 3s300", gone: []string{"4q310", "3s300"}},
		"what is kept longest": {free: 900, objects: "1q300 1q310", gone: []string{"1q300"}},
		"not enough":           {free: 0, objects: "1q300 1q310", err: spool.ErrFull},
	} {
		t.Run(name, func(t *testing.T) {
			k := newTank(t, spool.Options{}, c.objects)
			k.disk.free = c.free
			require.ErrorIs(t, k.Clear(1000), c.err)
			require.Equal(t, c.gone, k.gone())
			require.Len(t, k.Losses(), strings.Count(strings.Join(c.gone, " "), "q"))
		})
	}
}

// TestARecordThatCannotBeReadNow is read once more, and else kept aside.
func TestARecordThatCannotBeReadNow(t *testing.T) {
	k := newTank(t, spool.Options{MaxBytes: 1000}, "3q500 3q510")
	require.NoError(t, k.create(1, 400))
	require.Len(t, k.Losses(), 1)

	k.disk.shut, k.disk.fails = "losses", 1
	k.open()
	require.Len(t, k.Losses(), 1)
	require.Zero(t, k.Usage().UnreadLines)

	k.disk.readable = 20 // the first line, and some of the second
	k.open()
	require.Empty(t, k.Losses())
	require.NotZero(t, k.Usage().UnreadLines)
	k.disk.readable = 0
	require.NoError(t, k.disk.Rename("losses.unread", "losses"))

	k.disk.fails = 2
	k.open()
	require.Empty(t, k.Losses())
	require.Equal(t, 1, k.Usage().UnreadLines)
	names, err := ls(k.disk)
	require.NoError(t, err)
	require.Contains(t, names, "losses.unread")
	b, err := durable.ReadFile(k.disk, "losses.unread", 1<<20)
	require.NoError(t, err)
	require.Contains(t, string(b), "evicted 3.")
}
