package camera_test

import (
	"context"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"roadseal/hal/camera"
)

// TestPresets: real names as each make leaves them, with the verdict, kind,
// channel, time and sidecar type that are read off them.
func TestPresets(t *testing.T) {
	const unmatched = "name does not match"
	type seen struct{ reason, kind, channel, start, sidecar string }
	for preset, files := range map[string]map[string]seen{
		"blackvue": {
			"Record/20240229_235959_NF.mp4":  {"", "normal", "front", "2024-02-29 23:59:59", ""},
			"Record/20240229_235959_NFS.mp4": {reason: "low-resolution copy"},
			"Record/20240229_235959_E.gps":   {"", "event", "", "2024-02-29 23:59:59", "text/plain"},
			"Record/20240229_235959_P.3gf":   {"", "parking", "", "2024-02-29 23:59:59", "application/octet-stream"},
			"Record/20240229_235959_MR.thm":  {"", "manual", "rear", "2024-02-29 23:59:59", "image/jpeg"},
			"Record/20240229_235959_NF.gps":  {reason: unmatched},
			"Config/version.bin":             {reason: unmatched},
		},
		"viofo": {
			"Movie/2019_0628_150405_001.MP4":                {"", "normal", "", "2019-06-28 15:04:05", ""},
			"Movie/2021_0704_081500_000123F.MP4":            {"", "normal", "front", "2021-07-04 08:15:00", ""},
			"Movie/2021_0704_081500_000124R.MP4":            {"", "normal", "rear", "2021-07-04 08:15:00", ""},
			"Movie/2021_0704_081500_000124T.MP4":            {"", "normal", "tele", "2021-07-04 08:15:00", ""},
			"Movie/2021_0704_081500F.TS":                    {"", "normal", "front", "2021-07-04 08:15:00", ""},
			"Movie/2021_0704_081500EF.MP4":                  {"", "event", "front", "2021-07-04 08:15:00", ""},
			"Movie/RO/2021_0704_081500_000123F.MP4":         {"", "event", "front", "2021-07-04 08:15:00", ""},
			"RO/2021_0704_081500_000123PI.MP4":              {"", "event", "interior", "2021-07-04 08:15:00", ""},
			"Movie/Parking/2021_0704_081500_000123PF.MP4":   {"", "parking", "front", "2021-07-04 08:15:00", ""},
			"Movie/Parking/2021_0704_081500_000123F.MP4":    {"", "parking", "front", "2021-07-04 08:15:00", ""},
			"Movie/Parking/RO/2021_0704_081500_000123F.MP4": {"", "event", "front", "2021-07-04 08:15:00", ""},
			"Movie/20230806092155_000123F.MP4":              {"", "normal", "front", "2023-08-06 09:21:55", ""},
			"Movie/20230806092155_000123.MP4":               {"", "normal", "", "2023-08-06 09:21:55", ""},
			"Parking/20230806092155_000123R.MP4":            {"", "parking", "rear", "2023-08-06 09:21:55", ""},
			"RO/20230806092155_000123R.MP4":                 {"", "event", "rear", "2023-08-06 09:21:55", ""},
			"Movie/20231306092155_000123F.MP4":              {reason: "name holds no valid time"},
			"Photo/20230806092155_000123F.JPG":              {reason: unmatched},
			"ZERO/RON/20230806092155_000123F.MP4":           {"", "normal", "front", "2023-08-06 09:21:55", ""},
		},
		"70mai": {
			"Normal/Front/NO20230817-102839-000123F.MP4":   {"", "normal", "front", "2023-08-17 10:28:39", ""},
			"Normal/Back/NO20230817-102839-000123B.MP4":    {"", "normal", "rear", "2023-08-17 10:28:39", ""},
			"Event/Interior/EV20230817-102839-000123I.MP4": {"", "event", "interior", "2023-08-17 10:28:39", ""},
			"Lapse/Front/LA20230817-102839-000123F.MP4":    {"", "lapse", "front", "2023-08-17 10:28:39", ""},
			"Parking/Front/PA20230817-102839-000123F.MP4":  {"", "parking", "front", "2023-08-17 10:28:39", ""},
			"Manual/Front/NO20230817-102839-000123F.MP4":   {"", "manual", "front", "2023-08-17 10:28:39", ""},
			"EV20230817-102839-000123.MP4":                 {"", "event", "", "2023-08-17 10:28:39", ""},
			"GPSData000001.txt":                            {reason: unmatched},
			"Normal/Front/XX20230817-102839-000123F.MP4":   {reason: unmatched},
		},
		"tesla": {
			"RecentClips/2024-05-30_15-42-10-front.mp4":                             {"", "normal", "front", "2024-05-30 15:42:10", ""},
			"RecentClips/2024-05-30/2024-05-30_15-42-10-back.mp4":                   {"", "normal", "rear", "2024-05-30 15:42:10", ""},
			"SavedClips/2024-05-30_15-50-11/2024-05-30_15-42-10-left_repeater.mp4":  {"", "event", "left_repeater", "2024-05-30 15:42:10", ""},
			"SavedClips/2024-05-30_15-50-11/event.json":                             {"", "event", "", "2024-05-30 15:50:11", "text/json"},
			"SavedClips/2024-05-30_15-50-11/thumb.png":                              {"", "event", "", "2024-05-30 15:50:11", "image/png"},
			"SentryClips/2024-05-30_15-50-11/2024-05-30_15-42-10-right_pillar.mp4":  {"", "parking", "right_pillar", "2024-05-30 15:42:10", ""},
			"SentryClips/2024-05-30_15-50-11/event.json":                            {"", "parking", "", "2024-05-30 15:50:11", "text/json"},
			"TeslaCam/SavedClips/2024-05-30_15-50-11/2024-05-30_15-42-10-front.mp4": {"", "event", "front", "2024-05-30 15:42:10", ""},
			"EncryptedClips/2024-05-30_15-50-11/2024-05-30_15-42-10-front.mp4":      {"", "event", "front", "2024-05-30 15:42:10", ""},
			"RecentClips/2024-05-30_15-42-10-top.mp4":                               {reason: unmatched},
			"event.json":                    {reason: unmatched},
			"SavedClips/mine/event.json":    {reason: unmatched},
			"2024-05-30_15-42-10-front.mp4": {"", "normal", "front", "2024-05-30 15:42:10", ""},
		},
		"openpilot": {
			"2024-05-30--15-42-10--3/fcamera.hevc":    {"", "normal", "front", "2024-05-30 15:42:10", ""},
			"2024-05-30--15-42-10--3/ecamera.hevc":    {"", "normal", "wide", "2024-05-30 15:42:10", ""},
			"2024-05-30--15-42-10--12/qcamera.ts":     {"", "normal", "preview", "2024-05-30 15:42:10", ""},
			"2024-05-30--15-42-10--3/rlog.zst":        {"", "normal", "", "2024-05-30 15:42:10", "application/zstd"},
			"0000000a--1c3e5f7a9b--3/dcamera.hevc":    {"", "normal", "driver", "", ""},
			"0000000a--1c3e5f7a9b--3/qcamera.ts":      {"", "normal", "preview", "", ""},
			"0000000a--1c3e5f7a9b--3/qlog.zst":        {"", "normal", "", "", "application/zstd"},
			"boot/0000000a--1c3e5f7a9b.zst":           {reason: unmatched},
			"0000000a--1c3e5f7a9b--4/qcamera.ts.lock": {reason: "temporary name"},
			"0000000a--1c3e5f7a9b/qcamera.ts":         {reason: unmatched},
		},
		"garmin": {
			"105UNSVD/GRMN0099.MP4":      {"", "normal", "", "", ""},
			"104UNSVD/GRMN0099.MP4":      {"", "normal", "", "", ""},
			"DCIM/100EVENT/GRMN0001.MP4": {"", "event", "", "", ""},
			"102SAVED/GRMN0002.MP4":      {"", "manual", "", "", ""},
			"103PARKM/GRMN0003.MP4":      {"", "parking", "", "", ""},
			"104TLPSE/GRMN0004.MP4":      {"", "lapse", "", "", ""},
			"101PHOTO/GRMN0005.JPG":      {reason: unmatched},
		},
	} {
		t.Run(preset, func(t *testing.T) {
			dir := t.TempDir()
			for file := range files {
				require.NoError(t, os.MkdirAll(filepath.Join(dir, filepath.Dir(file)), 0o755))
				write(t, dir, file, file)
			}
			p, err := camera.Preset(preset)
			require.NoError(t, err)
			all, err := camera.New(camera.Options{Name: "dash", Path: dir, Pattern: p, Settle: time.Nanosecond}).List(context.Background())
			require.NoError(t, err)
			require.Len(t, all, len(files))
			for _, l := range all {
				want := files[l.File.Reveal()]
				got := seen{reason: l.Reason}
				if l.Reason == "" {
					got = seen{"", l.Kind, l.Channel, "", l.Sidecar}
					if !l.Start.IsZero() {
						got.start = l.Start.Format(time.DateTime)
					}
				}
				require.Equal(t, want, got, l.File.Reveal())
			}
		})
	}
	require.Equal(t, []string{"blackvue", "viofo", "70mai", "tesla", "openpilot", "garmin"}, camera.Presets())
}

// TestLockOfAnOwnPattern: what the recorder keeps from its ring is an event.
func TestLockOfAnOwnPattern(t *testing.T) {
	p, err := camera.NewPattern(`(?P<lock>kept/)?(?P<kind>[NM])(?P<time>\d{14})\.mov`, "20060102150405", map[string]string{"N": "normal", "M": "manual"}, nil)
	require.NoError(t, err)
	require.Equal(t, "normal", verdict(t, p, "N20251124102030.mov").Kind)
	require.Equal(t, "event", verdict(t, p, "kept", "N20251124102030.mov").Kind)
	require.Equal(t, "manual", verdict(t, p, "kept", "M20251124102030.mov").Kind)
}
