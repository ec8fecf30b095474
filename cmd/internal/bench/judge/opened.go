package judge

import (
	"bytes"
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"io"
	"math"
	"os"
	"path/filepath"
	"slices"
	"strconv"

	"roadseal/cmd/internal/bench/player"
	"roadseal/cmd/internal/bench/report"
	"roadseal/cmd/internal/objstore"
	"roadseal/cmd/internal/trip"
	"roadseal/crypto/envelope"
	"roadseal/crypto/record"
)

// An item is one object of the store and what came out of it.
type item struct {
	report.Object
	name   envelope.Name
	path   string   // in the store, under the class that keeps it longest
	copies []string // under other classes
	file   string   // the recorder's name; "" for a track
	record record.Record
	sum    [32]byte // of the content
	key    string   // age key file that opens it
}

// loot is all that the key holder gets out of a store.
type loot struct {
	items  []item
	faults []string // of objects that do not open or are not in order
	twice  int      // objects that are in the store under a second class, or sealed twice
	trips  []trip.Trip
	others int // objects that are sealed to others
}

// open opens the store, for the key holder and for the release desk: loot is that
// of both, desk that of the desk alone. The track is left once more as GPX.
func (e Evidence) open(ctx context.Context) (all, desk loot, err error) {
	if all, err = openAll(ctx, e.Store, e.Opened, e.Keys, e.KeyFile); err != nil {
		return all, desk, err
	}
	if e.Desk != nil {
		if desk, err = openAll(ctx, e.Store, e.Opened, e.Desk.Keys, e.Desk.KeyFile); err != nil {
			return all, desk, err
		}
		all.join(desk)
	}
	if all.others > 0 {
		all.faults = append(all.faults, fmt.Sprintf("%d objects are sealed to others than who reads them here", all.others))
	}
	return all, desk, writeGPX(filepath.Join(e.Opened, "track.gpx"), all.trips)
}

// join adds the loot of another reader of the same store. What that one opens is
// no longer sealed to others.
func (l *loot) join(o loot) {
	for _, f := range o.faults {
		if !slices.Contains(l.faults, f) {
			l.faults = append(l.faults, f)
		}
	}
	l.items, l.twice, l.others = append(l.items, o.items...), l.twice+o.twice, l.others-len(o.items)
	l.trips = append(l.trips, o.trips...)
}

// distinct are the names of the objects.
func (l loot) distinct() map[envelope.Name]bool {
	names := map[envelope.Name]bool{}
	for _, it := range l.items {
		names[it.name] = true
	}
	return names
}

// openAll opens every object of the store that is for the keys, and leaves its
// content in opened.
func openAll(ctx context.Context, store, opened string, keys trip.Keys, keyFile string) (loot, error) {
	var l loot
	out := trip.NewOutput(opened, false)
	var tracks trip.Tracks
	fault := func(path string, err error) {
		l.faults = append(l.faults, fmt.Sprintf("%.12s: %v", filepath.Base(path), err))
	}
	files, _ := trip.Find([]string{store}, fault)
	scan := trip.Scan{Keys: keys, Hash: true, Fault: fault}
	counts, err := scan.Each(ctx, files, func(e *trip.Entry) error {
		it, err := openOne(ctx, opened, out, e)
		if err != nil {
			return err
		}
		it.key = keyFile
		l.items = append(l.items, it)
		if trip.IsTrack(e.Record) {
			return tracks.Add(e)
		}
		return nil
	})
	if err = errors.Join(err, out.Close()); err != nil {
		return l, err
	}
	l.twice, l.others = counts.Twice+tracks.Twice, counts.Others
	l.findCopies(files)
	l.trips = tracks.Trips()
	return l, nil
}

// findCopies notes under which other classes each object is.
func (l *loot) findCopies(files []trip.File) {
	for i := range l.items {
		it := &l.items[i]
		for _, f := range files {
			if f.Path != it.path && filepath.Base(f.Path) == it.Name {
				it.copies = append(it.copies, f.Path)
			}
		}
	}
}

func openOne(ctx context.Context, opened string, out *trip.Output, e *trip.Entry) (item, error) {
	if _, err := out.Save(ctx, e); err != nil {
		return item{}, err
	}
	place := trip.Place(e)
	sum, err := sumFile(filepath.Join(opened, filepath.FromSlash(place)))
	if err != nil {
		return item{}, err
	}
	class, err := classOf(e.Path)
	if err != nil {
		return item{}, err
	}
	r := e.Record
	return item{
		Object: report.Object{Name: e.Name.String(), Class: class, Size: e.Size, Length: r.Length, Stream: r.Stream, Kind: r.Kind,
			Source: source(r), Opened: place},
		name: e.Name, path: e.Path, file: r.File.Reveal(), record: r, sum: sum,
	}, nil
}

// classOf is the retention class of an object by its path in the store.
func classOf(path string) (int, error) {
	class, err := strconv.Atoi(filepath.Base(filepath.Dir(path)))
	if err != nil {
		return 0, fmt.Errorf("object in a folder that is no class: %w", err)
	}
	return class, nil
}

// source is the record's source and channel in one word.
func source(r record.Record) string {
	if r.Channel == "" {
		return trip.Printable(r.Source)
	}
	return trip.Printable(r.Source + ", " + r.Channel)
}

func sumFile(path string) (sum [32]byte, err error) {
	file, err := os.Open(path)
	if err != nil {
		return sum, err
	}
	defer file.Close()
	h := sha256.New()
	if _, err := io.Copy(h, file); err != nil {
		return sum, err
	}
	return [32]byte(h.Sum(nil)), nil
}

func writeGPX(path string, trips []trip.Trip) error {
	var b bytes.Buffer
	if err := trip.WriteGPX(&b, trips, true); err != nil {
		return err
	}
	return os.WriteFile(path, b.Bytes(), 0o600)
}

// checkForm tells what is wrong with an object as an outsider can see it: name,
// header, number of stanzas, size.
func checkForm(ctx context.Context, it item) error {
	for _, path := range append(it.copies, it.path) {
		if err := checkFile(ctx, path, it); err != nil {
			return err
		}
	}
	return nil
}

func checkFile(ctx context.Context, path string, it item) error {
	file, err := os.Open(path)
	if err != nil {
		return err
	}
	defer file.Close()
	return objstore.Check(ctx, file, it.Size, it.name, envelope.DefaultSlots)
}

// compareFixes puts the opened fixes beside the recorded sentences and returns
// how many from the start agree, in order and in place.
func compareFixes(trips []trip.Trip, valid []player.Position, loops int) (found, agree int) {
	same := true
	for _, t := range trips {
		for _, f := range t.Fixes {
			same = same && found < loops*len(valid) && isAt(f, valid[found%len(valid)])
			found++
			if same {
				agree = found
			}
		}
	}
	return found, agree
}

// near is less than half the last digit of a sentence with five decimals of a
// minute, in degrees.
const near = 0.8e-7

func isAt(f trip.Fix, p player.Position) bool {
	lat, lon, err := p.Degrees()
	return err == nil && math.Abs(f.Lat.Reveal()-lat) < near && math.Abs(f.Lon.Reveal()-lon) < near
}
