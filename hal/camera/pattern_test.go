package camera_test

import (
	"context"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"roadseal/hal/camera"
)

// verdict makes a file of that path and lists it.
func verdict(t *testing.T, p camera.Pattern, elem ...string) camera.Listing {
	dir := t.TempDir()
	if len(elem) == 2 {
		mkdir(t, dir, elem[0])
	}
	write(t, append(append([]string{dir}, elem...), "x")...)
	all, err := camera.New(camera.Options{Name: "dash", Path: dir, Pattern: p, Settle: time.Nanosecond}).List(context.Background())
	require.NoError(t, err)
	require.Len(t, all, 1)
	return all[0]
}

func TestBlackVue(t *testing.T) {
	p, err := camera.Preset("blackvue")
	require.NoError(t, err)
	kinds := map[string]string{"N": "normal", "P": "parking", "M": "manual"}
	for _, k := range "EIOATBRXGDLYF" {
		kinds[string(k)] = "event"
	}
	require.Len(t, kinds, 16)
	for letter, kind := range kinds {
		for c, channel := range map[string]string{"F": "front", "R": "rear", "I": "interior", "O": "other"} {
			l := verdict(t, p, "20240229_235959_"+letter+c+".mp4")
			require.Equal(t, [3]string{"", kind, channel}, [3]string{l.Reason, l.Kind, l.Channel})
			require.Equal(t, time.Date(2024, 2, 29, 23, 59, 59, 0, time.UTC), l.Start)
			require.Equal(t, "low-resolution copy", verdict(t, p, "20240229_235959_"+letter+c+"S.mp4").Reason)
		}
	}
	for file, reason := range map[string]string{
		"20240229_235959_NFL.mp4":    "low-resolution copy",
		"20230229_235959_NF.mp4":     "name holds no valid time",
		"20240229_240000_NF.mp4":     "name holds no valid time",
		"20240229_235959_Q.gps":      "name does not match",
		"20240229_235959_NF.3gf":     "name does not match",
		"20240229_235959_NF.mp4 ":    "name does not match",
		"x20240229_235959_NF.mp4":    "name does not match",
		"20240229_235959_NFX.mp4":    "name does not match",
		"20240229_235959_QF.mp4":     "name does not match",
		"٢٠٢٤٠٢٢٩_235959_NF.mp4":     "name does not match",
		"20240229_235959_NF.mp4.tmp": "temporary name",
	} {
		require.Equal(t, reason, verdict(t, p, file).Reason, file)
	}
}

// TestOwnPattern: names of other makes, as a configuration would give them.
func TestOwnPattern(t *testing.T) {
	// Thinkware-like: the folder tells the kind, no table of channels.
	p, err := camera.NewPattern(`(?P<kind>[a-z]+)_rec/.*(?P<time>\d{4}_\d\d_\d\d_\d\d_\d\d_\d\d)_(?P<channel>.*)\.MP4`, "2006_01_02_15_04_05",
		map[string]string{"evt": "event", "cont": "normal"}, nil)
	require.NoError(t, err)
	l := verdict(t, p, "evt_rec", "REC_2025_11_24_10_20_30_F.MP4")
	require.Equal(t, [3]string{"", "event", "F"}, [3]string{l.Reason, l.Kind, l.Channel})
	require.Equal(t, "kind is not known", verdict(t, p, "new_rec", "REC_2025_11_24_10_20_30_F.MP4").Reason)
	require.Equal(t, "name does not match", verdict(t, p, "REC_2025_11_24_10_20_30_F.MP4").Reason)
	require.Equal(t, "channel is not known", verdict(t, p, "evt_rec", "REC_2025_11_24_10_20_30_F R.MP4").Reason)

	// Time only; a zone in the name is believed.
	p, err = camera.NewPattern(`(?P<time>.*)\.ts`, "06-01-02T1504-0700", nil, nil)
	require.NoError(t, err)
	l = verdict(t, p, "sub", "25-11-24T0030+0200.ts")
	require.Equal(t, [3]string{"", "normal", ""}, [3]string{l.Reason, l.Kind, l.Channel})
	require.Equal(t, time.Date(2025, 11, 23, 22, 30, 0, 0, time.UTC), l.Start)

	// Kinds that stand for themselves; the caller's table may change later.
	channels := map[string]string{"1": "front"}
	p, err = camera.NewPattern(`(?P<kind>.*) (?P<time>\d{14}) (?P<channel>.)\.mov`, "20060102150405", nil, channels)
	require.NoError(t, err)
	channels["2"] = "rear"
	require.Equal(t, "lapse", verdict(t, p, "lapse 20251124102030 1.mov").Kind)
	require.Equal(t, "kind is not known", verdict(t, p, "Lapse 20251124102030 1.mov").Reason)
	require.Equal(t, "channel is not known", verdict(t, p, "lapse 20251124102030 2.mov").Reason)

	require.Equal(t, "name does not match", verdict(t, camera.Pattern{}, "lapse 20251124102030 1.mov").Reason)
}

func TestPatternErrors(t *testing.T) {
	const ok, layout = `(?P<time>\d{8}_\d{6})\.mp4`, "20060102_150405"
	for want, c := range map[string]struct {
		expr, layout    string
		kinds, channels map[string]string
	}{
		"cannot read the name pattern: error parsing regexp: missing closing )":                     {expr: `(?P<time>\d`, layout: layout},
		`group "date" of the name pattern is not known: expected time, kind, channel, lock or copy`: {expr: `(?P<date>\d)`, layout: layout},
		"the name pattern has no group for the time: expected (?P<time>…) in it":                    {expr: `\d{8}\.mp4`, layout: layout},
		"the name pattern has no group for the given kinds: expected (?P<kind>…) in it":             {expr: ok, layout: layout, kinds: map[string]string{"N": "normal"}},
		"the name pattern has no group for the given channels":                                      {expr: ok, layout: layout, channels: map[string]string{"F": "front"}},
		`time layout "" does not hold a date`:                                                       {expr: ok},
		`time layout "150405" does not hold a date`:                                                 {expr: ok, layout: "150405"},
		`time layout "2006-01-02" does not hold a date`:                                             {expr: ok, layout: "2006-01-02"},
		`time layout "YYYYMMDD_HHMMSS" does not hold a date`:                                        {expr: ok, layout: "YYYYMMDD_HHMMSS"},
		`kind "crash" of "E" is not known: expected normal, event`:                                  {expr: `(?P<kind>.)` + ok, layout: layout, kinds: map[string]string{"E": "crash"}},
		`channel "front left" of "F": expected 1 to 32 letters`:                                     {expr: `(?P<channel>.)` + ok, layout: layout, channels: map[string]string{"F": "front left"}},
	} {
		_, err := camera.NewPattern(c.expr, c.layout, c.kinds, c.channels)
		require.ErrorContains(t, err, want)
	}
	_, err := camera.Preset("nextbase")
	require.EqualError(t, err, `preset "nextbase" is not known: expected one of blackvue, viofo, 70mai, tesla, openpilot, garmin`)
}
