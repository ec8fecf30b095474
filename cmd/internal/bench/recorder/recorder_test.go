package recorder_test

import (
	"bytes"
	"context"
	"image/jpeg"
	"image/png"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"roadseal/cmd/internal/bench/drivegen"
	"roadseal/cmd/internal/bench/player"
	"roadseal/cmd/internal/bench/recorder"
	"roadseal/hal/camera"
	"roadseal/testdata/segments"
)

const mark = "ROADSEAL-CANARY-7"

var noon = time.Date(2026, 5, 1, 12, 0, 0, 0, time.UTC)

func script(t *testing.T, name string, loops int) recorder.Script {
	t.Helper()
	m, err := recorder.Named(name)
	require.NoError(t, err)
	rec, err := player.Cut(drivegen.Generate(drivegen.Options{Seed: 1, Rate: 1, Start: noon}))
	require.NoError(t, err)
	s, err := m.Script(recorder.Drive{Samples: segments.Files, Recording: rec, Loops: loops, Start: noon, Mark: mark})
	require.NoError(t, err)
	return s
}

// TestEveryPresetHasAMake and the other way round.
func TestEveryPresetHasAMake(t *testing.T) {
	require.Equal(t, camera.Presets(), recorder.Names())
	_, err := recorder.Named("nikon")
	require.EqualError(t, err, `recorder "nikon" is not known: expected one of blackvue, viofo, 70mai, tesla, openpilot, garmin`)
}

// TestNames of the two makes with the most in theirs.
func TestNames(t *testing.T) {
	of := func(segments []player.Segment) (names []string) {
		for _, s := range segments {
			n := s.Kind + " " + s.Name
			if s.Opened != "" {
				n += " < " + s.Opened
			}
			if s.From != "" {
				n += " << " + s.From
			}
			if s.Lock != nil {
				n += " > " + string(s.Lock.How) + " " + s.Lock.To
			}
			names = append(names, n)
		}
		return names
	}
	mai := script(t, "70mai", 1)
	require.Equal(t, []string{".", "Event/.s_Back", "Event/.s_Front", "Event/Back", "Event/Front", "Lapse/Back", "Lapse/Front", "Manual/Back", "Manual/Front",
		"Normal/.s_Back", "Normal/.s_Front", "Normal/Back", "Normal/Front", "Parking/Back", "Parking/Front"}, mai.Folders)
	require.Equal(t, []string{
		" Normal/Front/NO20260430-120000-000001F.MP4", " Normal/Back/NO20260430-120000-000002B.MP4",
		" Normal/.s_Front/NO20260430-120000-000001F.MP4", " Normal/.s_Back/NO20260430-120000-000002B.MP4", " GPSData000001.txt",
		"event Event/Front/EV20260430-120024-000003F.MP4", "event Event/Back/EV20260430-120024-000004B.MP4",
		" Event/.s_Front/EV20260430-120024-000003F.MP4", " Event/.s_Back/EV20260430-120024-000004B.MP4", " GPSData000003.txt",
	}, of(mai.Old))
	drive := of(mai.Drive)
	require.Contains(t, drive, "normal Normal/Front/NO20260501-120000-000005F.MP4 > move Event/Front/EV20260501-120000-000005F.MP4")
	require.Contains(t, drive, "event Event/Back/EV20260501-120224-000018B.MP4 < Normal/Back/NO20260501-120224-000018B.MP4")
	require.Contains(t, drive, "event Event/Front/EV20260430-120000-000001F.MP4 << Normal/Front/NO20260430-120000-000001F.MP4")

	drive = of(script(t, "tesla", 1).Drive)
	require.Contains(t, drive, "normal RecentClips/2026-05-01_12-00-24-back.mp4 > copy SavedClips/2026-05-01_12-00-25/2026-05-01_12-00-24-back.mp4")
	require.Contains(t, drive, "event SavedClips/2026-05-01_12-00-25/event.json")
	require.Contains(t, drive, "parking SentryClips/2026-05-01_12-01-37/2026-05-01_12-01-36-right_repeater.mp4")
}

// TestPresetsReadTheFolder lets each make fill a folder in virtual time, and
// the agent's reader of it see there what the script means.
func TestPresetsReadTheFolder(t *testing.T) {
	for _, name := range recorder.Names() {
		t.Run(name, func(t *testing.T) {
			dir, s := t.TempDir(), script(t, name, 2)
			all := append(s.Old, s.Drive...)
			names := map[string]player.Segment{}
			for i, seg := range all {
				require.Equal(t, i, seg.Index)
				require.NotContains(t, names, seg.Name)
				names[seg.Name] = seg
			}
			require.NotEmpty(t, player.Wanted(all))
			synctest.Test(t, func(t *testing.T) {
				c := player.Camera{Folder: dir, Samples: segments.Files, Mark: []byte(mark), Delivered: func(context.Context, player.Segment) error { return nil }}
				clips, err := c.Play(t.Context(), all, player.Clock{Start: time.Now(), Speed: 1})
				require.NoError(t, err)
				sums := map[[32]byte]bool{}
				for i, clip := range clips {
					if all[i].From != "" {
						continue
					}
					require.False(t, sums[clip.SHA256], "no two alike")
					sums[clip.SHA256] = true
				}
			})
			p, err := camera.Preset(name)
			require.NoError(t, err)
			listed, err := camera.New(camera.Options{Name: "dash", Path: dir, Pattern: p, Settle: time.Nanosecond}).List(t.Context())
			require.NoError(t, err)
			for _, seg := range all {
				if seg.Lock != nil {
					names[seg.Lock.To] = seg
				}
			}
			for _, l := range listed {
				file := l.File.Reveal()
				seg, ok := names[file]
				if strings.HasPrefix(filepath.Base(file), ".") {
					continue // a hidden folder
				}
				require.True(t, ok, file)
				if seg.Lock != nil {
					require.Contains(t, []string{seg.Kind, player.Event, player.Manual}, l.Kind)
					continue
				}
				if seg.Kind == "" && seg.Index >= len(s.Old) {
					require.NotEmpty(t, l.Reason, file)
				}
				if seg.Kind == "" {
					continue
				}
				require.Empty(t, l.Reason, file)
				require.Equal(t, []any{seg.Kind, seg.Channel, seg.Media, seg.Start}, []any{l.Kind, l.Channel, l.Sidecar, l.Start}, file)
			}
		})
	}
}

// TestSidecarsAreWhatTheyAreCalled: stock decoders read them.
func TestSidecarsAreWhatTheyAreCalled(t *testing.T) {
	seen := map[string]bool{}
	for _, name := range recorder.Names() {
		for _, s := range script(t, name, 1).Drive {
			b := s.Content
			if s.Media != "application/octet-stream" && s.Media != "" {
				require.True(t, bytes.Contains(b, []byte(mark)), s.Name)
			}
			seen[s.Media] = true
			switch s.Media {
			case "image/jpeg":
				_, err := jpeg.Decode(bytes.NewReader(b))
				require.NoError(t, err)
			case "image/png":
				_, err := png.Decode(bytes.NewReader(b))
				require.NoError(t, err)
			case "text/json":
				require.Regexp(t, `(?s)^\{.*"est_lat": "\d+\.\d+".*"timestamp": "2026-0(4-30|5-01)T12:.*\}$`, string(b))
			case "text/plain":
				require.Regexp(t, `^\[\d{13}\]\$G[NP][A-Z]{3},`, string(b))
				require.Positive(t, player.CountFixes(b))
			case "application/octet-stream":
				require.Zero(t, len(b)%10)
				require.Equal(t, []byte{0xff, 0xff, 0xff, 0xff}, b[len(b)-10:len(b)-6])
			}
		}
	}
	for _, media := range []string{"image/jpeg", "image/png", "text/json", "text/plain", "application/octet-stream", "application/zstd"} {
		require.True(t, seen[media], media)
	}
}

// TestCompressed asks the stock command.
func TestCompressed(t *testing.T) {
	zstd, err := exec.LookPath("zstd")
	if err != nil {
		t.Skip("no zstd: the logs of openpilot are not unpacked")
	}
	for _, s := range script(t, "openpilot", 1).Drive {
		if s.Media != "application/zstd" {
			continue
		}
		cmd := exec.Command(zstd, "-dc")
		cmd.Stdin, cmd.Stderr = bytes.NewReader(s.Content), os.Stderr
		out, err := cmd.Output()
		require.NoError(t, err)
		require.Contains(t, string(out), mark)
	}
}

// TestSamplesOfAnotherEnding: the error says what is missing.
func TestSamplesOfAnotherEnding(t *testing.T) {
	m, err := recorder.Named("openpilot")
	require.NoError(t, err)
	_, err = m.Script(recorder.Drive{Samples: os.DirFS(t.TempDir()), Recording: player.Recording{Length: time.Minute}, Loops: 1, Start: noon})
	require.EqualError(t, err, "no *.hevc file in the folder of clips, but the recorder writes such")
}
