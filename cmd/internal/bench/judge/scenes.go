package judge

import (
	"encoding/hex"
	"fmt"
	"io"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"roadseal/cmd/internal/bench/player"
	"roadseal/cmd/internal/bench/report"
	"roadseal/cmd/internal/trip"
	"roadseal/crypto/envelope"
)

// Lines of what is shown of a long thing.
const (
	listingLines = 8
	dumpLines    = 14
	dumpWidth    = 16
)

// scenes picks what a person is shown: one object from both sides, and the
// track.
func (e Evidence) scenes(l loot) (sc report.Scenes, err error) {
	sc.Outsider.Topics = slices.Sorted(maps.Keys(e.Topics))
	sc.Outsider.Listing = listing(e.Store, l)
	sc.Track = points(l.trips, e.Speed)
	for _, seg := range e.Plan {
		if seg.Kind == "" || seg.Media != "" || seg.End <= seg.Begin {
			continue
		}
		sc.Clips = append(sc.Clips, report.Clip{Begin: seg.Begin.Seconds(), End: seg.End.Seconds(),
			Event: seg.Kind == player.Event || seg.Lock != nil, Rear: seg.Channel == player.Rear})
	}
	i := slices.IndexFunc(l.items, func(it item) bool { return it.file != "" })
	if i < 0 {
		return sc, nil
	}
	it := l.items[i]
	if sc.Outsider.Dump, err = dump(it.path, envelope.HeaderSize(envelope.DefaultSlots)); err != nil {
		return sc, err
	}
	text, err := it.record.Marshal()
	if err != nil {
		return sc, err
	}
	sc.Holder.Record = strings.Split(strings.TrimSpace(string(text)), "\n")
	object := "store/pool/" + fmt.Sprint(it.Class) + "/" + it.Name
	sc.Holder.Try = []string{
		"sha256sum " + object,
		"age -d -i key.txt " + object + " | tail -c " + fmt.Sprint(envelope.RecordSize),
		"age -d -i key.txt " + object + " | head -c " + fmt.Sprint(it.Length) + " > clip" + filepath.Ext(it.file),
	}
	return sc, nil
}

// listing is what "ls" shows of the store.
func listing(store string, l loot) (lines []string) {
	for _, it := range l.items {
		if len(lines) == listingLines {
			return append(lines, fmt.Sprintf("… and %d more", len(l.items)-listingLines))
		}
		rel, err := filepath.Rel(store, it.path)
		if err != nil {
			rel = it.Name
		}
		lines = append(lines, fmt.Sprintf("%9d  %.46s…", it.Size, rel))
	}
	return lines
}

// dump is what a hex viewer shows from a place in a file on.
func dump(path string, at int64) ([]string, error) {
	file, err := os.Open(path)
	if err != nil {
		return nil, err
	}
	defer file.Close()
	b := make([]byte, dumpLines*dumpWidth)
	n, err := file.ReadAt(b, at)
	if err != nil && err != io.EOF {
		return nil, err
	}
	var lines []string
	for row := range slices.Chunk(b[:n], dumpWidth) {
		text := make([]byte, len(row))
		for i, c := range row {
			if text[i] = c; c < ' ' || c > '~' {
				text[i] = '.'
			}
		}
		lines = append(lines, fmt.Sprintf("%06x %s %s", at, spaced(hex.EncodeToString(row)), text))
		at += int64(len(row))
	}
	return lines, nil
}

// spaced sets a space before each pair of digits.
func spaced(digits string) string {
	var b strings.Builder
	for i := 0; i < len(digits); i += 2 {
		b.WriteString(" " + digits[i:i+2])
	}
	return b.String()
}

// points are the fixes along the drive. The agent's monotonic clock ran while
// the drive was played faster.
func points(trips []trip.Trip, speed float64) (all []report.Point) {
	var start time.Duration
	for _, t := range trips {
		for _, f := range t.Fixes {
			if len(all) == 0 {
				start = f.Mono
			}
			all = append(all, report.Point{At: (f.Mono - start).Seconds() * speed, Lat: f.Lat.Reveal(), Lon: f.Lon.Reveal(), Speed: f.Speed})
		}
	}
	return all
}
