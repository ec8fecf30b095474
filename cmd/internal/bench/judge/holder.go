package judge

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"

	"roadseal/agent/track"
	"roadseal/cmd/internal/trip"
	"roadseal/crypto/envelope"
	"roadseal/firmware/report"
)

// A Holder is the key holder, who looks into the store while the run goes on. It
// tells when everything has arrived without asking the agent.
type Holder struct {
	store    string
	keys     trip.Keys
	seen     map[string]bool          // paths
	Segments map[string]envelope.Name // object of each segment, by the recorder's file name
	Classes  map[envelope.Name]int    // in which it was seen last
	Fixes    int
	Attempts []report.Attempt // to update, that the vehicle has reported; for a holder with the release desk's key
}

// NewHolder makes a key holder for the store of a collector.
func NewHolder(store string, keys trip.Keys) *Holder {
	return &Holder{store: store, keys: keys, seen: map[string]bool{}, Segments: map[string]envelope.Name{}, Classes: map[envelope.Name]int{}}
}

// Look opens what is new in the store.
func (h *Holder) Look(ctx context.Context) error {
	if _, err := os.Stat(filepath.Join(h.store, "pool")); errors.Is(err, os.ErrNotExist) {
		return nil // the collector has not made it yet
	}
	var fault error
	faulty := func(path string, err error) {
		// An object that changes its class is gone from where it was.
		if _, gone := os.Lstat(path); !errors.Is(gone, os.ErrNotExist) {
			fault = err
		}
	}
	files, _ := trip.Find([]string{h.store}, faulty)
	var fresh []trip.File
	for _, f := range files {
		if !h.seen[f.Path] {
			h.seen[f.Path] = true
			fresh = append(fresh, f)
		}
	}
	scan := trip.Scan{Keys: h.keys, Fault: faulty}
	counts, err := scan.Each(ctx, fresh, h.take)
	switch {
	case err != nil:
		return err
	case fault != nil:
		return fmt.Errorf("cannot open an object of the store: %w", fault)
	case counts.Others > 0:
		return fmt.Errorf("%d objects of the store are sealed to others than who reads them here", counts.Others)
	}
	return nil
}

// Updated reports whether the vehicle has said that it verified a release.
func (h *Holder) Updated() bool {
	return slices.ContainsFunc(h.Attempts, func(a report.Attempt) bool { return a.Result == report.Verified })
}

// Attacked returns the first attack that the vehicle has told of.
func (h *Holder) Attacked() (attack string, ok bool) {
	for _, a := range h.Attempts {
		if a.Attack != "" {
			return a.Attack, true
		}
	}
	return "", false
}

func (h *Holder) take(e *trip.Entry) error {
	class, err := classOf(e.Path)
	if err != nil {
		return err
	}
	_, known := h.Classes[e.Name]
	h.Classes[e.Name] = class
	if !trip.IsTrack(e.Record) && e.Record.Stream != FirmwareStream {
		h.Segments[e.Record.File.Reveal()] = e.Name
		return nil
	}
	if known {
		return nil
	}
	var content bytes.Buffer
	if _, err := e.WriteTo(&content); err != nil {
		return err
	}
	if e.Record.Stream == FirmwareStream {
		r, err := report.Open(content.Bytes())
		if err == nil {
			h.Attempts = append(h.Attempts, r.Attempt)
		}
		return err
	}
	b, err := track.Parse(&content)
	h.Fixes += len(b.Fixes)
	return err
}
