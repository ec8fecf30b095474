package spool_test

import (
	"bytes"
	"crypto/sha256"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"roadseal/agent/spool"
	"roadseal/crypto/envelope"
	"roadseal/hal/durable"
)

const stateV1 = "../../testdata/state/v1"

// laterFields is what a later release may write into a name.
const laterFields = ".page-7.x"

// TestStateV1 reads a state directory as release 1 leaves it. The files are
// frozen: if this test fails, the code is wrong.
func TestStateV1(t *testing.T) {
	dir := t.TempDir()
	require.NoError(t, os.CopyFS(dir, os.DirFS(filepath.Join(stateV1, "spool"))))
	disk, err := durable.OpenExisting(dir)
	require.NoError(t, err)
	defer disk.Close()
	frozen := contents(t, dir)
	opt := spool.Options{MaxBytes: 1 << 30, Slots: slots, Order: order}
	var s *spool.Spool
	for range 2 {
		s, err = spool.Open(disk, opt)
		require.NoError(t, err)
		now := contents(t, dir)
		delete(now, "reserve")
		require.Equal(t, frozen, now, "a start leaves everything as it is")
	}

	pending := slices.Collect(s.Pending())
	require.Equal(t, []string{"event/1", "event/7", "track/2"}, names(pending))
	for _, e := range pending {
		f, err := s.Open(e)
		require.NoError(t, err)
		b, err := io.ReadAll(f)
		require.NoError(t, err)
		require.NoError(t, f.Close())
		require.EqualValues(t, sha256.Sum256(b), e.Name)
		require.NoError(t, envelope.Check(bytes.NewReader(b), e.Size, slots))
		intact, err := s.Verify(t.Context(), e)
		require.NoError(t, err)
		require.True(t, intact)
	}
	u := s.Usage()
	require.Equal(t, []int{3, 1, 1, 2, 0}, []int{u.QueuedObjects, u.StoredObjects, u.DamagedObjects, u.Foreign, u.UnreadLines})
	require.Equal(t, spool.Totals{{}, {}, {}, {Objects: 2, Bytes: u.Evicted[3].Bytes}}, u.Evicted)
	require.EqualValues(t, 1, u.Damaged[0].Objects)
	losses := s.Losses()
	require.Len(t, losses, 2, "the other one is told and summed up")
	require.Equal(t, []string{spool.Damaged, spool.Evicted}, []string{losses[0].Reason, losses[1].Reason})
	for tag, known := range map[byte]bool{1: true, 3: true, 4: false, 5: true, 6: true, 7: true, 8: false} {
		require.Equal(t, known, s.HasTag(spool.Tag{tag}), "%d: delivered, gone and waiting clips are known, damaged ones are not", tag)
	}

	// What a later release has written takes its way.
	later := pending[1]
	require.NoError(t, s.MarkStored(later))
	found := 0
	for name := range contents(t, dir) {
		if strings.Contains(name, later.Name.String()) {
			require.Contains(t, name, laterFields+".")
			require.True(t, strings.HasSuffix(name, ".stored"))
			found++
		}
	}
	require.Equal(t, 1, found)
}

func contents(t *testing.T, dir string) map[string]string {
	t.Helper()
	all := map[string]string{}
	list, err := os.ReadDir(dir)
	require.NoError(t, err)
	for _, e := range list {
		b, err := os.ReadFile(filepath.Join(dir, e.Name()))
		require.NoError(t, err)
		all[e.Name()] = string(b)
	}
	return all
}

// TestWriteStateV1 wrote the frozen files, and is kept for the next version.
func TestWriteStateV1(t *testing.T) {
	if os.Getenv("ROADSEAL_WRITE_STATE") == "" {
		return
	}
	r := newRig(t)
	r.put(meta(1, 1, "event", 1), "a crash")
	r.put(meta(2, 2, "track", 0), "fixes")
	delivered := r.put(meta(3, 3, "video", 3), "plain footage")
	require.NoError(t, r.MarkStored(delivered))
	bad := r.put(meta(1, 4, "event", 4), "another crash")
	b, err := os.ReadFile(r.path(bad))
	require.NoError(t, err)
	b[len(b)-1] ^= 1
	require.NoError(t, os.WriteFile(r.path(bad), b, 0o600))
	evict := func(seq uint32) {
		e := r.put(meta(4, seq, "video", byte(seq)), "gives way")
		u := r.Usage()
		r.opt.MaxBytes = u.QueuedBytes + u.StoredBytes + u.DamagedBytes
		r.opt.Shares = [spool.Classes]int64{1 << 30, 1 << 30, 1 << 30}
		// The delivered object must stay: it is hidden meanwhile.
		away := filepath.Join(t.TempDir(), "away")
		from := r.path(delivered)
		require.NoError(t, os.Rename(from, away))
		r.opt.MaxBytes -= delivered.Size
		r.reopen()
		d, err := r.Create(4, e.Size)
		require.NoError(t, err)
		require.NoError(t, d.Discard())
		require.NoError(t, os.Rename(away, from))
		r.opt.MaxBytes = 1 << 30
		r.reopen()
	}
	evict(5)
	require.NoError(t, r.Reported(r.Losses()))
	intact, err := r.Verify(t.Context(), bad)
	require.NoError(t, err)
	require.False(t, intact)
	// A damaged object would give way before an undelivered one.
	hidden := r.path(bad)
	require.NoError(t, os.Rename(hidden, hidden+"x"))
	r.reopen()
	evict(6)
	require.NoError(t, os.Rename(hidden+"x", hidden))
	later := r.path(r.put(meta(1, 7, "event", 7), "of a later release"))
	tagEnd := strings.Repeat("0", 30)
	require.NoError(t, os.Rename(later, strings.Replace(later, tagEnd+".", tagEnd+laterFields+".", 1)))
	held := r.path(r.put(meta(1, 8, "event", 8), "in a state of a later release"))
	require.NoError(t, os.Truncate(held, 100))
	require.NoError(t, os.Rename(held, strings.TrimSuffix(held, "age")+"held"))
	require.NoError(t, os.WriteFile(filepath.Join(r.disk.Path(), "tags2"), []byte("of a later release\n"), 0o600))
	require.NoError(t, os.Remove(filepath.Join(r.disk.Path(), "reserve")))

	for name, value := range map[string]string{"boot": "7", "time": "2026-11-24T09:00:00Z", "tag.key": strings.Repeat("5aa5", 16)} {
		sum := sha256.Sum256([]byte(name + " " + value)) // agent/FORMAT.md
		line := fmt.Sprintf("%s %x\n", value, sum[:4])
		require.NoError(t, os.WriteFile(filepath.Join(stateV1, name), []byte(line+"\n"+line), 0o644))
	}
	require.NoError(t, os.CopyFS(filepath.Join(stateV1, "spool"), os.DirFS(r.disk.Path())))
}
