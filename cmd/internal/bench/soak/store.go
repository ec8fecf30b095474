package soak

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/json"
	"fmt"
	"io"
	"math"
	"os"
	"path/filepath"

	"roadseal/agent/health"
	"roadseal/agent/track"
	"roadseal/cmd/internal/objstore"
	"roadseal/cmd/internal/trip"
	"roadseal/crypto/envelope"
)

// Streams of the fleet that the audit knows by name.
const (
	trackStream  = "track"
	healthStream = "health"
)

// A stock is what the key holder gets out of the store.
type stock struct {
	objects  map[envelope.Name]object
	bySource map[source][]envelope.Name
	fixes    map[string]map[int]int // by vehicle number: how often fix n is there
	losses   map[string]losses      // by vehicle number: what the health documents tell
	twice    []envelope.Name
	faults   []string
}

type object struct {
	name envelope.Name
	size int64
	file string // the recorder's name
}

// A source is what can be sealed only once: the content of a clip, or a
// document of the track or of health by boot counter and sequence.
type source struct {
	kind   string
	number string
	what   string
}

// openStore opens every object of the store without keeping any content.
func openStore(ctx context.Context, store string, keys trip.Keys) (stock, error) {
	var faults []string
	files, _ := trip.Find([]string{store}, func(path string, err error) { faults = append(faults, faulty(path, err)) })
	s, err := openFiles(ctx, files, keys)
	s.faults = append(faults, s.faults...)
	seen := map[string]bool{}
	for _, f := range files {
		base := filepath.Base(f.Path)
		if name, err := envelope.ParseName(base); err == nil && seen[base] {
			s.twice = append(s.twice, name)
		}
		seen[base] = true
	}
	return s, err
}

func openFiles(ctx context.Context, files []trip.File, keys trip.Keys) (stock, error) {
	s := stock{objects: map[envelope.Name]object{}, bySource: map[source][]envelope.Name{},
		fixes: map[string]map[int]int{}, losses: map[string]losses{}}
	fault := func(path string, err error) { s.faults = append(s.faults, faulty(path, err)) }
	scan := trip.Scan{Keys: keys, Hash: true, Fault: fault}
	counts, err := scan.Each(ctx, files, func(e *trip.Entry) error {
		if err := s.take(ctx, e); err != nil {
			fault(e.Path, err)
		}
		return ctx.Err()
	})
	if counts.Others > 0 {
		s.faults = append(s.faults, fmt.Sprintf("%d objects are sealed to others", counts.Others))
	}
	return s, err
}

func faulty(path string, err error) string { return fmt.Sprintf("%.12s: %v", filepath.Base(path), err) }

// take reads one object whole: as an outsider sees it, and its content.
func (s *stock) take(ctx context.Context, e *trip.Entry) error {
	if err := checkForm(ctx, e); err != nil {
		return err
	}
	r := e.Record
	number := r.Vehicle.Reveal()
	sum := sha256.New()
	var text bytes.Buffer
	out := io.Writer(sum)
	if r.Source == "gnss" || r.Source == "health" {
		out = io.MultiWriter(sum, &text)
	}
	if _, err := e.WriteTo(out); err != nil {
		return err
	}
	what := source{"clip", number, string(sum.Sum(nil))}
	switch r.Source {
	case "gnss":
		what = source{trackStream, number, fmt.Sprintf("%d/%d", r.Boot, r.Sequence)}
		if err := s.takeTrack(number, &text); err != nil {
			return err
		}
	case "health":
		what = source{healthStream, number, fmt.Sprintf("%d/%d", r.Boot, r.Sequence)}
		if err := s.takeHealth(number, text.Bytes()); err != nil {
			return err
		}
	}
	s.objects[e.Name] = object{e.Name, e.Size, r.File.Reveal()}
	s.bySource[what] = append(s.bySource[what], e.Name)
	return nil
}

// checkForm demands what everybody can check: name, header, size on the grid.
func checkForm(ctx context.Context, e *trip.Entry) error {
	f, err := os.Open(e.Path)
	if err != nil {
		return err
	}
	defer f.Close()
	return objstore.Check(ctx, f, e.Size, e.Name, envelope.DefaultSlots)
}

func (s *stock) takeTrack(number string, text io.Reader) error {
	b, err := track.Parse(text)
	if err != nil {
		return err
	}
	if s.fixes[number] == nil {
		s.fixes[number] = map[int]int{}
	}
	for _, f := range b.Fixes {
		s.fixes[number][int(math.Round((f.Lat.Reveal()-originLat)*60_000))]++
	}
	return nil
}

func (s *stock) takeHealth(number string, text []byte) error {
	var d health.Document
	if err := json.Unmarshal(text, &d); err != nil {
		return fmt.Errorf("cannot read a health document: %w", err)
	}
	if s.losses[number] == nil {
		s.losses[number] = losses{}
	}
	for _, l := range d.Losses {
		name, err := envelope.ParseName(l.Object)
		if err != nil {
			return fmt.Errorf("cannot read a health document: %w", err)
		}
		s.losses[number][name] = l.Reason
	}
	return nil
}
