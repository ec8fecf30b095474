package report_test

import (
	"encoding/json"
	"math"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"roadseal/cmd/internal/bench/canary"
	"roadseal/cmd/internal/bench/capture"
	"roadseal/cmd/internal/bench/drivegen"
	"roadseal/cmd/internal/bench/player"
	"roadseal/cmd/internal/bench/report"
)

// sample is a report of a drive that was never made.
func sample(t *testing.T) (report.Report, report.Scenes) {
	r := report.Report{
		Title: "Demo drive", Passed: true, Made: time.Date(2026, 5, 1, 12, 0, 0, 0, time.UTC), Version: "0.1.0",
		Checks: []report.Check{
			{"every segment opens again byte for byte", true, "10 of 10"},
			{"every fix is back", true, "1669 of 1669"},
		},
		Options: report.Options{Speed: 10, Loops: 1, Seed: 1, MaxAge: 5},
		Drive:   report.Drive{Recording: "generated drive", Length: 167, Fixes: 1669, Found: 1669, Segments: 10, Opened: 10, Bytes: 400_000},
		Times:   report.Times{FirstReceipt: 4.2, P50: 0.31, P95: 0.8, Stop: 0.1, Total: 25},
		Traffic: report.Traffic{WireUp: 900_000, WireDown: 20_000, Sealed: 812_000, DataMessages: 31, PeakMemory: 24 << 20},
		Search:  report.Search{Places: []string{"store"}, Files: 31, Bytes: 3_456_789},
	}
	for i := range 12 {
		o := report.Object{Name: strings.Repeat("0123456789abcdef", 4), Class: 3, Size: 53_000, Length: 48_490, Stream: "video", Kind: "normal", Source: "camera:front",
			Opened: "20260501_120000_NF.mp4", Receipt: 0.3}
		if i%4 == 1 {
			o.Class, o.Stream, o.Kind = 1, "event", "event"
		}
		if i > 9 {
			o.Stream, o.Kind, o.Source, o.Opened, o.Receipt = "track", "", "gnss", "track-0001.csv", 0
		}
		r.Objects = append(r.Objects, o)
	}
	rec, err := player.Cut(drivegen.Generate(drivegen.Options{Seed: 1, Rate: 10, Start: r.Made}))
	require.NoError(t, err)
	var s report.Scenes
	for _, p := range rec.Valid {
		lat, lon, err := p.Degrees()
		require.NoError(t, err)
		s.Track = append(s.Track, report.Point{At: p.At.Seconds(), Lat: lat, Lon: lon, Speed: p.Knots * 1852 / 3600})
	}
	for i := range 5 {
		for _, rear := range []bool{false, true} {
			s.Clips = append(s.Clips, report.Clip{Begin: float64(i) * 33, End: float64(i+1) * 33, Event: i == 2, Rear: rear})
		}
	}
	s.Outsider = report.Outsider{
		Topics:  []string{"v1/up/3f/q2VsIGFuIGV4YW1wbGUgaXQ", "v1/down/q2VsIGFuIGV4YW1wbGUgaXQ"},
		Listing: []string{"  53200  pool/3/0123456789abcdef0123456789abcdef…"},
		Dump:    []string{"00001890  9f 22 01 5c aa 41 0e 77  5c 19 b2 c3 d4 e5 f6 07  |.\"..A.w........|"},
	}
	s.Holder = report.Holder{Record: []string{"roadseal/1", "length: 48490", "media-type: video/mp4"}, Try: []string{"sha256sum store/pool/*/*"}}
	s.Desk = report.Desk{Reports: []string{"attempt: refused, rollback"}, Try: []string{"roadseal-sign firmware verify releases"}}
	return r, s
}

func write(t *testing.T, r report.Report, s report.Scenes) (html string, js map[string]any) {
	t.Helper()
	dir := t.TempDir()
	require.NoError(t, report.Write(dir, r, s))
	b, err := os.ReadFile(filepath.Join(dir, "report.json"))
	require.NoError(t, err)
	require.NoError(t, json.Unmarshal(b, &js))
	b, err = os.ReadFile(filepath.Join(dir, "report.html"))
	require.NoError(t, err)
	return string(b), js
}

func TestPageOfARunThatHolds(t *testing.T) {
	r, s := sample(t)
	html, js := write(t, r, s)
	require.Equal(t, true, js["passed"])
	require.Contains(t, html, "All 2 checks hold")
	require.Contains(t, html, "<b>10</b><span>of 10 segments back, byte for byte</span>")
	require.Contains(t, html, "nothing found")
	require.Contains(t, html, "What the release desk sees")
	require.Contains(t, html, "attempt: refused, rollback\n")
	require.Contains(t, html, "roadseal-sign firmware verify releases\n")
	require.NotContains(t, html, "Killed in mid-upload")
	require.Contains(t, html, `class="gap" d="M`, "the tunnel is a gap")
	require.NotContains(t, html, "NaN")
	require.NotContains(t, html, "ZgotmplZ", "html/template has refused a value")
}

func TestPageOfARunThatFails(t *testing.T) {
	r, s := sample(t)
	r.Passed = false
	r.Checks[1] = report.Check{Name: "every fix is back", Detail: "1600 of 1669"}
	r.Search.Hits = []canary.Hit{{What: "video mark", Where: "store/pool/3/ab", Offset: 7}}
	r.Kills = []capture.Kill{{Victim: "agent", Resent: 3}, {Victim: "broker", Resent: 16}, {Victim: "agent", Resent: 4}}
	html, js := write(t, r, s)
	require.Equal(t, false, js["passed"])
	require.Contains(t, html, "1 of 2 checks do not hold")
	require.Contains(t, html, "<li>every fix is back: 1600 of 1669</li>")
	require.Contains(t, html, "video mark in store/pool/3/ab at byte 7")
	require.Contains(t, html, `<tr><td>agent</td><td class="n">2</td><td class="n">7</td><td class="n">3.5</td><td class="n">4</td></tr>`)
}

// TestPageStandsAlone: a page about a private drive fetches nothing, and no text
// becomes markup.
func TestPageStandsAlone(t *testing.T) {
	r, s := sample(t)
	r.Title = `<script src="https://example.com/x.js"></script>`
	r.Objects[0].Opened = `"><img src=x>`
	s.Outsider.Dump = []string{"|<b>&\"'|"}
	html, _ := write(t, r, s)
	require.Empty(t, regexp.MustCompile(`(?i)<(script|img|link|iframe|object|video)\b|<[^>]*\b(src|href|action)=|url\(|@import|https?:`).FindAllString(
		strings.ReplaceAll(html, "https://example.com/x.js", ""), -1))
	require.Contains(t, html, "&lt;script src=&#34;https://example.com/x.js&#34;&gt;")
}

func TestPageOfARunThatGotNothing(t *testing.T) {
	html, _ := write(t, report.Report{Title: "x"}, report.Scenes{Track: []report.Point{{Lat: 50, Lon: 6, Speed: math.NaN()}}})
	require.Contains(t, html, "0 of 0 checks do not hold")
	require.NotContains(t, html, "NaN")
	require.NotContains(t, html, "Inf")
	html, _ = write(t, report.Report{Title: "x"}, report.Scenes{})
	require.NotContains(t, html, "line of the track")
	require.NotContains(t, html, "release desk", "there was none")
}

func TestLongRunMakesAShortPage(t *testing.T) {
	r, s := sample(t)
	for len(r.Objects) < 5000 {
		r.Objects = append(r.Objects, r.Objects...)
	}
	for range 5 {
		s.Track = append(s.Track, s.Track...)
	}
	for i := range s.Track {
		s.Track[i].At = float64(i) / 10
	}
	html, js := write(t, r, s)
	require.Less(t, len(html), 150_000)
	require.Len(t, js["objects"], len(r.Objects), "report.json has all")
}

// TestSecondLoopIsNoRoad: where a recording begins again, no line is drawn, in
// the speed plot neither.
func TestSecondLoopIsNoRoad(t *testing.T) {
	r, _ := sample(t)
	var s report.Scenes
	for i := range 100 {
		s.Track = append(s.Track, report.Point{At: float64(i), Lat: 50 + float64(i%50)*1e-4, Lon: 6, Speed: 11})
	}
	html, _ := write(t, r, s)
	for _, path := range regexp.MustCompile(`class="road"[^>]* d="([^"]*)"`).FindAllStringSubmatch(html, -1) {
		require.Equal(t, 2, strings.Count(path[1], "M"), path[1])
	}
	require.Contains(t, html, `class="gap" d=""`)
}

func TestPercentile(t *testing.T) {
	ms := func(n ...int) (d []time.Duration) {
		for _, v := range n {
			d = append(d, time.Duration(v))
		}
		return d
	}
	require.Equal(t, time.Duration(0), report.Percentile(nil, 0.5))
	require.Equal(t, time.Duration(7), report.Percentile(ms(7), 0.5))
	require.Equal(t, time.Duration(5), report.Percentile(ms(9, 5, 1), 0.5))
	require.Equal(t, time.Duration(9), report.Percentile(ms(9, 5, 1), 0.95))
	hundred := ms()
	for i := range 100 {
		hundred = append(hundred, time.Duration(100-i))
	}
	require.Equal(t, time.Duration(50), report.Percentile(hundred, 0.5))
	require.Equal(t, time.Duration(95), report.Percentile(hundred, 0.95))
	require.Equal(t, time.Duration(100), report.Percentile(hundred, 1))
}

func TestCannotWrite(t *testing.T) {
	require.ErrorContains(t, report.Write("/gone", report.Report{}, report.Scenes{}), "cannot write the report")
}
