package report

import (
	"bytes"
	_ "embed"
	"fmt"
	"html/template"
	"strings"

	"roadseal/cmd/internal/bench/canary"
)

//go:embed page.html
var pageText string

// maxRows of objects and hits stand on the page; report.json has all.
const maxRows = 60

// page is what the template sees.
type page struct {
	Report
	Scenes
	Map, Plot drawing
	Tiles     []tileData
	Rows      []Object
	Hidden    int // objects that are not on the page
	FirstHits []canary.Hit
	ByVictim  []victim
}

type tileData struct{ Value, Label string }

// victim sums up the kills of one process.
type victim struct {
	Name          string
	Kills, Blocks int
	Worst         int
}

func render(r Report, s Scenes) ([]byte, error) {
	t, err := template.New("page").Funcs(template.FuncMap{
		"bytes": Bytes, "seconds": humanSeconds, "count": humanCount, "short": short,
	}).Parse(pageText)
	if err != nil {
		return nil, err
	}
	p := page{Report: r, Scenes: s, Map: mapOf(s.Track), Plot: speedOf(s.Track, s.Clips), Tiles: tiles(r), ByVictim: victims(r)}
	p.Rows = r.Objects[:min(len(r.Objects), maxRows)]
	p.Hidden = len(r.Objects) - len(p.Rows)
	p.FirstHits = r.Search.Hits[:min(len(r.Search.Hits), maxRows)]
	var out bytes.Buffer
	if err := t.Execute(&out, p); err != nil {
		return nil, err
	}
	return out.Bytes(), nil
}

func tiles(r Report) []tileData {
	t := []tileData{
		{humanCount(r.Drive.Opened), fmt.Sprintf("of %s segments back, byte for byte", humanCount(r.Drive.Segments))},
		{humanCount(r.Drive.Found), fmt.Sprintf("of %s fixes back, in order", humanCount(r.Drive.Fixes))},
		{humanCount(len(r.Search.Hits)), "secrets readable outside, in " + Bytes(r.Search.Bytes) + " searched"},
		{Bytes(r.Traffic.Sealed), fmt.Sprintf("in %s sealed objects", humanCount(len(r.Objects)))},
		{humanSeconds(r.Times.FirstReceipt), "from the agent's start to the first receipt"},
		{humanSeconds(r.Times.P50), "from a segment's close to its receipt; 95 % within " + humanSeconds(r.Times.P95)},
	}
	if len(r.Kills) > 0 {
		t = append(t,
			tileData{humanCount(len(r.Kills)), "times a process was killed in mid-upload"},
			tileData{fmt.Sprintf("%.1f", float64(r.Traffic.Resent)/float64(len(r.Kills))), "blocks of 60 KiB sent again for each kill"})
	}
	return t
}

// Mean is the number of blocks for each kill.
func (v victim) Mean() string { return fmt.Sprintf("%.1f", float64(v.Blocks)/float64(v.Kills)) }

func victims(r Report) (all []victim) {
	for _, k := range r.Kills {
		i := 0
		for i < len(all) && all[i].Name != k.Victim {
			i++
		}
		if i == len(all) {
			all = append(all, victim{Name: k.Victim})
		}
		all[i].Kills++
		all[i].Blocks += k.Resent
		all[i].Worst = max(all[i].Worst, k.Resent)
	}
	return all
}

// Bytes writes a number of bytes for people.
func Bytes(n int64) string {
	switch {
	case n >= 1e9:
		return fmt.Sprintf("%.2f GB", float64(n)/1e9)
	case n >= 1e6:
		return fmt.Sprintf("%.1f MB", float64(n)/1e6)
	case n >= 1e3:
		return fmt.Sprintf("%.1f kB", float64(n)/1e3)
	}
	return fmt.Sprintf("%d B", n)
}

func humanSeconds(s float64) string {
	switch {
	case s >= 100:
		return fmt.Sprintf("%.0f s", s)
	case s >= 1:
		return fmt.Sprintf("%.1f s", s)
	}
	return fmt.Sprintf("%.0f ms", s*1000)
}

// humanCount sets a narrow space between thousands.
func humanCount(n int) string {
	s := fmt.Sprint(n)
	var b strings.Builder
	for i, c := range s {
		if i > 0 && (len(s)-i)%3 == 0 {
			b.WriteString("\u202f")
		}
		b.WriteRune(c)
	}
	return b.String()
}

// short is the beginning of an object's name.
func short(name string) string { return name[:min(12, len(name))] + "…" }
