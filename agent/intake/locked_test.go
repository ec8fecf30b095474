package intake_test

import (
	"os"
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/require"

	"roadseal/hal/camera"
)

// TestLockedInMidDrive: recorders lock a clip by moving, renaming or linking
// it. One that was locked before it was sealed is an event; one that was sealed
// before is not sealed again.
func TestLockedInMidDrive(t *testing.T) {
	for what, c := range map[string]struct{ preset, before, after, other string }{
		"moved":   {"viofo", "Movie/2026_1124_053000_0001F.MP4", "Movie/RO/2026_1124_053000_0001F.MP4", "Movie/RO/2026_1124_053100_0002F.MP4"},
		"renamed": {"70mai", "Normal/Front/NO20261124-053000-000001F.MP4", "Event/Front/EV20261124-053000-000001F.MP4", "Event/Front/EV20261124-053100-000002F.MP4"},
		"linked": {"tesla", "RecentClips/2026-11-24_05-30-00-front.mp4", "SavedClips/2026-11-24_05-32-00/2026-11-24_05-30-00-front.mp4",
			"SavedClips/2026-11-24_05-32-00/2026-11-24_05-31-00-front.mp4"},
	} {
		t.Run(what, func(t *testing.T) {
			r := newRig(t)
			r.preset = c.preset
			for _, f := range []string{c.before, c.after, c.other} {
				require.NoError(t, os.MkdirAll(filepath.Dir(filepath.Join(r.record, f)), 0o755))
			}
			r.clip(c.before, "sealed before it was locked")
			r.start()
			r.until("sealed", func() bool { return r.Counts("dash").Sealed == 1 })
			lock := os.Rename
			if what == "linked" {
				lock = os.Link
			}
			require.NoError(t, lock(filepath.Join(r.record, c.before), filepath.Join(r.record, c.after)))
			r.clip(c.other, "locked when it was met")
			want := map[string]string{"video " + c.before: "sealed before it was locked", "event " + c.other: "locked when it was met"}
			r.until("sealed", func() bool { return r.Counts("dash").Sealed == 2 })
			r.stop()
			r.start()
			r.until("met again", func() bool { return r.Counts("dash").Known == 2 })
			require.Equal(t, want, r.opened())
		})
	}
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
