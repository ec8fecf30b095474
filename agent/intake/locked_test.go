package intake_test

import (
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"roadseal/agent/spool"
	"roadseal/crypto/open"
	"roadseal/crypto/recipient"
	"roadseal/hal/camera"
)

// A maker's recorders lock a clip in their own way.
type maker struct{ preset, before, after, other string }

func makers() map[string]maker {
	return map[string]maker{
		"moved":   {"viofo", "Movie/2026_1124_053000_0001F.MP4", "Movie/RO/2026_1124_053000_0001F.MP4", "Movie/RO/2026_1124_053100_0002F.MP4"},
		"renamed": {"70mai", "Normal/Front/NO20261124-053000-000001F.MP4", "Event/Front/EV20261124-053000-000001F.MP4", "Event/Front/EV20261124-053100-000002F.MP4"},
		"linked": {"tesla", "RecentClips/2026-11-24_05-30-00-front.mp4", "SavedClips/2026-11-24_05-32-00/2026-11-24_05-30-00-front.mp4",
			"SavedClips/2026-11-24_05-32-00/2026-11-24_05-31-00-front.mp4"},
		"copied": {"tesla", "RecentClips/2026-11-24_05-30-00-front.mp4", "SavedClips/2026-11-24_05-32-00/2026-11-24_05-30-00-front.mp4",
			"SavedClips/2026-11-24_05-32-00/2026-11-24_05-31-00-front.mp4"},
		"sidecar": {"blackvue", "20261124_053000_N.gps", "20261124_053000_E.gps", "20261124_053100_E.3gf"},
	}
}

// use lays out the folders of a maker, and its first clip.
func (r *rig) use(c maker) {
	r.t.Helper()
	r.preset = c.preset
	for _, f := range []string{c.before, c.after, c.other} {
		require.NoError(r.t, os.MkdirAll(filepath.Dir(filepath.Join(r.record, f)), 0o755))
	}
	r.clip(c.before, "met before it was locked")
}

func (r *rig) lock(how string, c maker) {
	r.t.Helper()
	from, to := filepath.Join(r.record, c.before), filepath.Join(r.record, c.after)
	switch how {
	case "linked":
		require.NoError(r.t, os.Link(from, to))
	case "copied":
		r.clip(c.after, "met before it was locked")
	default:
		require.NoError(r.t, os.Rename(from, to))
	}
}

// TestLockedInMidDrive: recorders lock a clip by moving, renaming, linking or
// copying it. One that was locked before it was sealed is an event; one that was
// sealed before is promoted, and is known from then on, also under its old name.
func TestLockedInMidDrive(t *testing.T) {
	for what, c := range makers() {
		t.Run(what, func(t *testing.T) {
			r := newRig(t)
			r.use(c)
			r.start()
			r.until("sealed", func() bool { return r.Counts("dash").Sealed == 1 })
			r.lock(what, c)
			r.clip(c.other, "locked when it was met")
			want := map[string]string{"event video " + c.before: "met before it was locked", "event " + c.other: "locked when it was met"}
			r.until("sealed", func() bool { return r.Counts("dash").Sealed == 2 && r.Counts("dash").Promoted == 1 })
			r.stop()
			require.Equal(t, want, r.opened())
			r.start()
			files := 2
			if what == "linked" || what == "copied" {
				files = 3
			}
			r.until("met again", func() bool { return r.Counts("dash").Known == files })
			require.Zero(t, r.Counts("dash").Promoted)
			require.Equal(t, want, r.opened())
		})
	}
}

// TestLockedWhileTheAgentWasDown, in every state that the object has come to.
func TestLockedWhileTheAgentWasDown(t *testing.T) {
	type counts struct{ Sealed, Promoted, Known int }
	for what, c := range map[string]struct {
		prepare func(r *rig, e spool.Entry)
		want    counts // at the next start
		opened  string // "" for no object that waits
	}{
		"waiting":   {func(*rig, spool.Entry) {}, counts{Promoted: 1}, "event video "},
		"delivered": {func(r *rig, e spool.Entry) { require.NoError(r.t, r.spool.MarkStored(e)) }, counts{Promoted: 1}, "event video "},
		"delivered and gone": {func(r *rig, e spool.Entry) {
			require.NoError(r.t, r.spool.MarkStored(e))
			r.makeRoom(e)
		}, counts{Sealed: 1}, "event "},
		"evicted": {(*rig).makeRoom, counts{Sealed: 1}, "event "},
		"damaged": {func(r *rig, e spool.Entry) {
			f, err := r.disk.Update(r.file(e))
			require.NoError(r.t, err)
			_, err = f.WriteAt([]byte{0xff}, e.Size-1)
			require.NoError(r.t, errors.Join(err, f.Close()))
			intact, err := r.spool.Verify(r.t.Context(), e)
			require.NoError(r.t, err)
			require.False(r.t, intact)
		}, counts{Sealed: 1}, "event "},
		"for other readers": {func(r *rig, _ spool.Entry) {
			id, err := open.Generate()
			require.NoError(r.t, err)
			r.insurer = []recipient.Key{id.Recipient()}
		}, counts{Sealed: 1}, "event "},
		"before the readers changed": {func(r *rig, _ spool.Entry) { r.since = r.boot + 1 }, counts{Sealed: 1}, "event "},
		"in one stream with events, before the readers changed": {func(r *rig, e spool.Entry) {
			old := r.file(e)
			require.NoError(r.t, r.disk.Rename(old, strings.Replace("1"+old[1:], ".video.", ".event.", 1)))
			r.since = r.boot + 1
		}, counts{Promoted: 1}, "event video "},
		"of a stream that is gone": {func(r *rig, e spool.Entry) {
			old := r.file(e)
			require.NoError(r.t, r.disk.Rename(old, strings.Replace(old, ".video.", ".movie.", 1)))
		}, counts{Sealed: 1}, "event "},
	} {
		t.Run(what, func(t *testing.T) {
			r, m := newRig(t), makers()["moved"]
			r.use(m)
			r.start()
			r.until("sealed", func() bool { return r.Counts("dash").Sealed == 1 })
			r.stop()
			c.prepare(r, slices.Collect(r.spool.Pending())[0])
			r.lock("moved", m)
			var sealed map[string]string
			for start, want := range []counts{c.want, {Known: 1}, {Known: 1}} {
				r.start()
				now := func() counts {
					n := r.Counts("dash")
					return counts{n.Sealed, n.Promoted, n.Known}
				}
				r.until("met", func() bool { return now() != counts{} })
				r.stop()
				require.Equal(t, want, now(), "start %d", start)
				if sealed == nil {
					sealed = r.opened()
					require.Equal(t, "met before it was locked", sealed[c.opened+map[bool]string{true: m.before, false: m.after}[c.want.Promoted > 0]])
				}
				require.Equal(t, sealed, r.opened())
			}
			if c.want.Sealed > 0 { // once more without its object
				for e := range r.spool.Pending() {
					require.NoError(t, r.spool.MarkStored(e))
				}
				r.makeRoom(spool.Entry{Size: 1 << 20})
				r.start()
				r.until("known", func() bool { return r.Counts("dash").Known == 1 })
				require.Empty(t, r.opened())
			}
		})
	}
}

// makeRoom has a spool give what it holds.
func (r *rig) makeRoom(e spool.Entry) {
	r.t.Helper()
	o := r.limits
	o.MaxBytes = e.Size
	s, err := spool.Open(r.fsys, o)
	require.NoError(r.t, err)
	d, err := s.Create(1, e.Size)
	require.NoError(r.t, err)
	require.NoError(r.t, d.Discard())
}

// file is the name of an object that waits.
func (r *rig) file(e spool.Entry) (name string) {
	r.t.Helper()
	require.NoError(r.t, r.disk.List(".", func(d fs.DirEntry) error {
		if strings.HasSuffix(d.Name(), e.Name.String()+".age") {
			name = d.Name()
		}
		return nil
	}))
	return name
}

// TestUnlockedChangesNothing: what is kept stays kept.
func TestUnlockedChangesNothing(t *testing.T) {
	r, m := newRig(t), makers()["moved"]
	m.before, m.after = m.after, m.before
	r.use(m)
	r.start()
	r.until("sealed", func() bool { return r.Counts("dash").Sealed == 1 })
	r.lock("moved", m)
	r.until("met", func() bool { return r.Counts("dash").Known == 1 })
	require.Equal(t, map[string]string{"event " + m.before: "met before it was locked"}, r.opened())
}

// TestLockedAfterItWasLeft: a clip that the recorder had at the first meeting is
// sealed once it is locked, not before, and not again.
func TestLockedAfterItWasLeft(t *testing.T) {
	for what, m := range makers() {
		t.Run(what, func(t *testing.T) {
			r := newRig(t)
			r.leave = func(string) bool { return true }
			r.use(m)
			r.clip(m.other, "locked before")
			r.start()
			r.until("met", func() bool { return r.Counts("dash").Known == 2 })
			require.Empty(t, r.opened())
			r.stop()
			r.lock(what, m)
			r.start()
			r.until("sealed", func() bool { return r.Counts("dash").Sealed == 1 && r.Counts("dash").Known > 0 })
			r.stop()
			want := map[string]string{"event " + m.after: "met before it was locked"}
			require.Equal(t, want, r.opened())
			r.start()
			r.until("met", func() bool { return r.Counts("dash").Known >= 2 })
			require.Equal(t, want, r.opened())
		})
	}
}

// TestALockedClipIsRemovedOnceItIsPromoted: not before its object says so.
func TestALockedClipIsRemovedOnceItIsPromoted(t *testing.T) {
	r, m := newRig(t), makers()["moved"]
	r.use(m)
	r.start()
	r.until("sealed", func() bool { return r.Counts("dash").Sealed == 1 })
	r.stop()
	r.lock("moved", m)
	r.remove = true
	r.start()
	r.until("promoted", func() bool { return r.Counts("dash").Promoted == 1 })
	r.stop()
	require.NoFileExists(t, filepath.Join(r.record, m.after))
	require.Equal(t, map[string]string{"event video " + m.before: "met before it was locked"}, r.opened())
}

// TestSidecarsOfEveryPreset: they follow their clip into its stream.
func TestSidecarsOfEveryPreset(t *testing.T) {
	require.Len(t, camera.Presets(), 6)
	for preset, files := range map[string]map[string]string{
		"blackvue": {"20261124_053000_E.gps": "event", "20261124_053000_N.3gf": "video", "20261124_053000_NF.thm": "video"},
		"tesla": {"SavedClips/2026-11-24_05-32-00/event.json": "event", "SavedClips/2026-11-24_05-32-00/thumb.png": "event",
			"SavedClips/2026-11-24_05-32-00/2026-11-24_05-31-00-front.mp4": "event"},
		"openpilot": {"0000000a--1c3e5f7a9b--3/rlog.zst": "video", "0000000a--1c3e5f7a9b--3/fcamera.hevc": "video",
			"2026-11-24--05-30-00--0/qlog.zst": "video"},
	} {
		t.Run(preset, func(t *testing.T) {
			r := newRig(t)
			r.preset = preset
			want := map[string]string{}
			for file, stream := range files {
				require.NoError(t, os.MkdirAll(filepath.Dir(filepath.Join(r.record, file)), 0o755))
				r.clip(file, file)
				want[stream+" "+file] = file
			}
			r.start()
			r.until("sealed", func() bool { return r.Counts("dash").Sealed == len(files) })
			require.Equal(t, want, r.opened())
		})
	}
}

// TestALockedClipIsNotRemovedForItsNormalObject: the object for the readers of
// events was lost, so the clip stays, though it was delivered before it was locked.
func TestALockedClipIsNotRemovedForItsNormalObject(t *testing.T) {
	r := newRig(t)
	m := makers()["moved"]
	r.use(m)
	r.start()
	r.until("sealed", func() bool { return r.Counts("dash").Sealed == 1 })
	r.stop()
	for e := range r.spool.Pending() {
		require.NoError(t, r.spool.MarkStored(e))
	}
	r.lock("moved", m)
	r.since = r.boot + 1 // the readers have changed: it is sealed anew
	r.start()
	r.until("sealed anew", func() bool { return r.Counts("dash").Sealed == 1 })
	r.stop()
	again := slices.Collect(r.spool.Pending())
	require.Len(t, again, 1)
	r.makeRoom(again[0])
	r.remove = true
	r.start()
	r.until("known", func() bool { return r.Counts("dash").Known == 1 })
	r.stop()
	require.FileExists(t, filepath.Join(r.record, m.after))
}
