package intake_test

import (
	"bytes"
	"context"
	"crypto/sha256"
	"fmt"
	"io"
	"log/slog"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"go.uber.org/goleak"

	"roadseal/agent/intake"
	"roadseal/agent/policy"
	"roadseal/agent/spool"
	"roadseal/agent/track"
	"roadseal/crypto/open"
	"roadseal/crypto/recipient"
	"roadseal/hal/camera"
	"roadseal/hal/durable"
	"roadseal/hal/gnss"
	"roadseal/hal/red"
)

const slots = 2

// A rig is an intake between a real recorder's folder and a real spool.
type rig struct {
	t      *testing.T
	id     open.Identity
	record string // the recorder's folder
	disk   *durable.Disk
	fsys   durable.FS // disk, or what stands before it
	limits spool.Options
	log    bytes.Buffer
	boot   uint32
	since  uint32 // start from which on the readers are these
	remove bool
	preset string
	leave  func(kind string) bool // until met

	insurer []recipient.Key // reads events, too
	met     atomic.Bool

	spool  *spool.Spool
	folder *camera.Folder
	track  *track.Recorder
	*intake.Intake
	stop func()
}

func newRig(t *testing.T) *rig {
	t.Helper()
	id, err := open.Generate()
	require.NoError(t, err)
	d, err := durable.OpenDisk(t.TempDir())
	require.NoError(t, err)
	r := &rig{t: t, id: id, record: t.TempDir(), disk: d, fsys: d, preset: "blackvue"}
	r.limits = spool.Options{MaxBytes: 1 << 30, Slots: slots, Order: r.streams().Order}
	t.Cleanup(func() {
		if r.stop != nil {
			r.stop()
		}
		require.NoError(t, d.Close())
	})
	return r
}

func (r *rig) streams() policy.Set {
	to := []recipient.Key{r.id.Recipient()}
	s := policy.Set{
		{Name: "event", From: []string{"camera:event"}, To: append(slices.Clone(to), r.insurer...), Class: 1},
		{Name: "track", From: []string{"gnss"}, To: to, Class: 2},
		{Name: "video", From: []string{"camera:normal"}, To: to, Class: 3},
	}
	s.Complete(slots, func(i int, key, format string, args ...any) { require.Failf(r.t, "stream", format, args...) })
	return s
}

// prepare makes the parts of one start of the agent.
func (r *rig) prepare() {
	r.t.Helper()
	var err error
	r.spool, err = spool.Open(r.fsys, r.limits)
	require.NoError(r.t, err)
	p, err := camera.Preset(r.preset)
	require.NoError(r.t, err)
	log := slog.New(slog.NewTextHandler(&r.log, nil))
	r.folder = camera.New(camera.Options{Name: "dash", Path: r.record, Pattern: p, Rescan: 50 * time.Millisecond, Settle: 60 * time.Millisecond, Log: log})
	r.boot++
	var seq atomic.Uint32
	next := func() uint32 { return seq.Add(1) }
	r.track = track.NewRecorder(track.Options{Boot: r.boot, Sequence: next, MaxAge: time.Hour})
	r.Intake = intake.New(intake.Options{Streams: r.streams(), Spool: r.spool, Track: r.track, Slots: slots, TagKey: bytes.Repeat([]byte{7}, 32),
		Boot: r.boot, Since: r.since, Sequence: next, Vehicle: "WDB-4711", Log: log,
		Cameras: []intake.Camera{r.camera()}})
}

func (r *rig) camera() intake.Camera {
	c := intake.Camera{Name: "dash", Folder: r.folder, Remove: r.remove}
	if !r.met.Load() {
		c.Leave, c.Met = r.leave, func() error { r.met.Store(true); return nil }
	}
	return c
}

func (r *rig) start() {
	r.t.Helper()
	r.prepare()
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan struct{}, 3)
	go func() { _ = r.Segments(ctx); done <- struct{}{} }()
	go func() { _ = r.Documents(ctx); done <- struct{}{} }()
	go func() { _ = r.folder.Run(ctx); done <- struct{}{} }()
	r.stop = func() { cancel(); <-done; <-done; <-done; r.stop = nil }
}

func (r *rig) clip(name, content string) {
	r.t.Helper()
	require.NoError(r.t, os.WriteFile(filepath.Join(r.record, name), []byte(content), 0o600))
}

func (r *rig) until(what string, cond func() bool) {
	r.t.Helper()
	require.Eventually(r.t, cond, 20*time.Second, 5*time.Millisecond, what)
}

// opened is the content of each object of the spool by "stream file". A stream
// that differs from the one that was sealed for stands before it.
func (r *rig) opened() map[string]string {
	r.t.Helper()
	all := map[string]string{}
	for e := range r.spool.Pending() {
		f, err := r.spool.Open(e)
		require.NoError(r.t, err)
		o, err := open.New(f, e.Size, r.id)
		require.NoError(r.t, err)
		var b bytes.Buffer
		_, err = o.WriteTo(&b)
		require.NoError(r.t, err)
		require.NoError(r.t, f.Close())
		require.Equal(r.t, "WDB-4711", o.Record.Vehicle.Reveal())
		require.Equal(r.t, e.Sequence, o.Record.Sequence)
		key := fmt.Sprintf("%s %s", o.Record.Stream, o.Record.File.Reveal())
		if e.Stream != o.Record.Stream {
			key = e.Stream + " " + key
		}
		st, _ := r.streams().For("camera:event")
		require.Equal(r.t, e.Stream == "event", e.Class == st.Class)
		require.NotContains(r.t, all, key, "twice in the spool")
		all[key] = b.String()
	}
	return all
}

func TestEachClipIsSealedOnceAsItsStreamSays(t *testing.T) {
	defer goleak.VerifyNone(t)
	r := newRig(t)
	r.clip("20261124_053000_NF.mp4", "front")
	r.clip("20261124_053000_NR.mp4", "rear")
	r.clip("20261124_053100_EF.mp4", "crash")
	r.clip("20261124_053200_PF.mp4", "parked: no stream takes it")
	r.start()
	r.until("sealed", func() bool { return r.Counts("dash").Sealed == 3 })
	want := map[string]string{"video 20261124_053000_NF.mp4": "front", "video 20261124_053000_NR.mp4": "rear", "event 20261124_053100_EF.mp4": "crash"}
	require.Equal(t, want, r.opened())
	require.Equal(t, "event", slices.Collect(r.spool.Pending())[0].Stream, "events go first")

	// A restart and a rename: nothing is sealed again.
	r.stop()
	require.NoError(t, os.Rename(filepath.Join(r.record, "20261124_053000_NF.mp4"), filepath.Join(r.record, "20261124_053001_NF.mp4")))
	r.start()
	r.until("met again", func() bool { return r.Counts("dash").Known == 3 })
	require.Equal(t, want, r.opened())
	require.Zero(t, r.Counts("dash").Sealed)
	r.stop()
	require.NotContains(t, r.log.String(), "20261124", "no file name in the log")
	require.NotContains(t, r.log.String(), "4711")
}

func TestAGrowingClipIsSealedWhole(t *testing.T) {
	r := newRig(t)
	r.start()
	r.until("watching", func() bool { return r.folder.State().Present })
	f, err := os.Create(filepath.Join(r.record, "20261124_053000_NF.mp4"))
	require.NoError(t, err)
	var want strings.Builder
	for i := range 20 {
		piece := strings.Repeat(fmt.Sprint(i), 10_000)
		want.WriteString(piece)
		_, err := io.WriteString(f, piece)
		require.NoError(t, err)
		time.Sleep(10 * time.Millisecond)
	}
	require.NoError(t, f.Close())
	r.until("sealed", func() bool { return r.Counts("dash").Sealed == 1 })
	require.Equal(t, map[string]string{"video 20261124_053000_NF.mp4": want.String()}, r.opened())
}

func TestRemoveAfterSeal(t *testing.T) {
	r := newRig(t)
	r.remove = true
	r.clip("20261124_053000_NF.mp4", "front")
	r.clip("20261124_053200_PF.mp4", "parked: no stream takes it")
	r.start()
	r.until("removed", func() bool {
		_, err := os.Stat(filepath.Join(r.record, "20261124_053000_NF.mp4"))
		return os.IsNotExist(err)
	})
	require.Len(t, r.opened(), 1)
	require.FileExists(t, filepath.Join(r.record, "20261124_053200_PF.mp4"), "what was not sealed is not removed")
}

func TestAFullSpoolIsSaidAndWaitedFor(t *testing.T) {
	r := newRig(t)
	r.limits.MaxBytes = 1 << 20
	r.clip("20261124_053000_EF.mp4", strings.Repeat("x", 700_000))
	r.clip("20261124_053100_NF.mp4", strings.Repeat("y", 700_000))
	r.start()
	r.until("said", func() bool { return strings.Contains(r.Problem(), "the spool is full") })
	require.Positive(t, r.Counts("dash").Failed)
	require.FileExists(t, filepath.Join(r.record, "20261124_053100_NF.mp4"))
	require.Empty(t, r.spool.Losses(), "plain footage does not take the place of a crash")
	r.stop()
	require.Equal(t, 1, strings.Count(r.log.String(), "cannot seal"), "said once")
}

// TestAnEventClipTakesThePlaceOfFootage: it does not wait for a link.
func TestAnEventClipTakesThePlaceOfFootage(t *testing.T) {
	r := newRig(t)
	r.limits.MaxBytes = 1 << 20
	r.clip("20261124_053000_NF.mp4", strings.Repeat("x", 700_000))
	r.start()
	r.until("sealed", func() bool { return r.Counts("dash").Sealed == 1 })
	r.clip("20261124_053100_EF.mp4", strings.Repeat("y", 700_000))
	r.until("sealed", func() bool { return r.Counts("dash").Sealed == 2 })
	require.Equal(t, "event", slices.Collect(r.spool.Pending())[0].Stream)
	require.Len(t, r.spool.Losses(), 1)
	require.Equal(t, "video", r.spool.Losses()[0].Stream)
	r.stop()
	r.start()
	r.until("known", func() bool { return r.Counts("dash").Known == 2 })
	require.Len(t, r.spool.Losses(), 1, "what gave way is not sealed again")
}

// TestAClipThatNeverFitsStopsNoOther: it is the first in line, is reported, and
// the next ones are sealed at once.
func TestAClipThatNeverFitsStopsNoOther(t *testing.T) {
	r := newRig(t)
	r.limits.MaxBytes = 1 << 20
	r.clip("20261124_053000_EF.mp4", strings.Repeat("x", 2<<20))
	r.start()
	r.until("said", func() bool { return strings.Contains(r.Counts("dash").Last, "larger than [spool] max_bytes") })
	r.clip("20261124_053100_NF.mp4", "front")
	begin := time.Now()
	r.until("sealed", func() bool { return r.Counts("dash").Sealed == 1 })
	require.Less(t, time.Since(begin), 4*time.Second)
	require.Empty(t, r.Problem())
	require.Equal(t, 1, r.Counts("dash").Failed)
	_, complete := r.folder.Tags()
	require.True(t, complete)
}

// TestTagsOfDroppedClipsAreForgotten: the ledger is bounded by what the
// recorder still has.
func TestTagsOfDroppedClipsAreForgotten(t *testing.T) {
	r := newRig(t)
	r.clip("20261124_053000_NF.mp4", strings.Repeat("a", 300_000))
	r.start()
	r.until("sealed", func() bool { return r.Counts("dash").Sealed == 1 })
	e := slices.Collect(r.spool.Pending())[0]
	require.NoError(t, r.spool.MarkStored(e))
	r.stop()

	// The next clip needs the room of the delivered one, and the ledger is as
	// long as it may get.
	require.NoError(t, os.WriteFile(filepath.Join(r.disk.Path(), "tags"), longLedger(), 0o600))
	r.limits.MaxBytes = e.Size + 1000
	r.clip("20261124_053100_NF.mp4", strings.Repeat("b", 300_000))
	r.start()
	r.until("sealed", func() bool { return r.Counts("dash").Sealed == 1 })
	r.until("forgotten", func() bool { return !r.spool.HasTag(spool.Tag{15: 1}) })
	require.True(t, r.spool.HasTag(e.Tag), "the recorder still has the first clip")
}

func longLedger() []byte {
	b := bytes.NewBufferString("roadseal source tags 1\n")
	for i := range 5000 {
		text := fmt.Sprintf("%032x", i+1)
		sum := sha256.Sum256([]byte(text))
		fmt.Fprintf(b, "\n%s %x\n", text, sum[:4])
	}
	return b.Bytes()
}

func fix(i int) gnss.Fix {
	return gnss.Fix{Lat: red.Degrees(37 + float64(i)/1000), Lon: -122, UTC: time.Unix(int64(i), 0).UTC(), Clock: gnss.ClockGNSS}
}

func TestFlushMakesTheLastFixesDurable(t *testing.T) {
	r := newRig(t)
	r.start()
	for i := range 100 {
		r.track.Add(fix(i))
	}
	r.stop()
	require.Empty(t, slices.Collect(r.spool.Pending()), "max_age is far")
	require.NoError(t, r.Flush(t.Context()))
	require.Zero(t, r.track.Pending())
	all := r.opened()
	require.Len(t, all, 1)
	b, err := track.Parse(strings.NewReader(all["track "]))
	require.NoError(t, err)
	require.Len(t, b.Fixes, 100)
	require.NoError(t, r.Flush(t.Context()), "nothing left is no error")
}

func TestPowerFailTakesEventClipsAndNothingElse(t *testing.T) {
	r := newRig(t)
	r.clip("20261124_053000_NF.mp4", "front")
	r.clip("20261124_053100_EF.mp4", "crash")
	r.prepare()
	ctx, cancel := context.WithCancel(t.Context())
	done := make(chan struct{})
	go func() { _ = r.folder.Run(ctx); close(done) }()
	r.until("seen", func() bool { return r.folder.State().Pending == 2 })
	hold, fail := context.WithTimeout(t.Context(), 2*time.Second)
	defer fail()
	time.AfterFunc(300*time.Millisecond, func() { r.clip("20261124_053200_EF.mp4", "second crash") })
	r.Events(hold)
	cancel()
	<-done
	require.Equal(t, map[string]string{"event 20261124_053100_EF.mp4": "crash", "event 20261124_053200_EF.mp4": "second crash"}, r.opened())
	require.Equal(t, 1, r.folder.State().Pending, "the other clip waits for the next start")
}

// TestASealThatCannotFinishIsDropped: a stop in the middle of a large clip
// leaves nothing half-made, and the next start seals it whole.
func TestASealThatCannotFinishIsDropped(t *testing.T) {
	r := newRig(t)
	r.clip("20261124_053000_NF.mp4", strings.Repeat("x", 40<<20))
	r.start()
	r.until("begun", func() bool {
		names, err := filepath.Glob(filepath.Join(r.disk.Path(), "*"+durable.TmpSuffix))
		return err == nil && len(names) > 0
	})
	r.stop()
	entries, err := os.ReadDir(r.disk.Path())
	require.NoError(t, err)
	for _, e := range entries {
		require.NotContains(t, e.Name(), durable.TmpSuffix)
	}
	r.start()
	r.until("met", func() bool { n := r.Counts("dash"); return n.Sealed+n.Known == 1 })
	require.Len(t, r.opened()["video 20261124_053000_NF.mp4"], 40<<20)
}
