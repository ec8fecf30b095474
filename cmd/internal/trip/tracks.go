package trip

import (
	"bytes"
	"cmp"
	"crypto/sha256"
	"errors"
	"math"
	"slices"
	"time"

	"roadseal/agent/policy"
	"roadseal/agent/track"
	"roadseal/crypto/record"
	"roadseal/hal/gnss"
	"roadseal/hal/red"
)

// maxBatch bounds a batch of fixes in memory; a recorder closes it at 64 KiB.
const maxBatch = 16 << 20

// maxGap is how long a trip may go without a fix. A longer silence on the
// vehicle's monotonic clock begins a new trip: a tunnel or a petrol station
// stays within one. A new start of the agent always begins one, for nothing
// measures the time between two starts.
const maxGap = 5 * time.Minute

// IsTrack reports whether an object holds fixes.
func IsTrack(r record.Record) bool {
	return r.Source == policy.GNSS && r.MediaType == track.MediaType
}

// A Fix is one line of a batch.
type Fix struct {
	gnss.Fix
	Sequence uint32 // of its batch
}

// Believed reports whether the fix may be drawn: it has a position on Earth
// and no mark against it. A missing date and a corrected week rollover do not
// count against it.
func (f Fix) Believed() bool {
	return f.placed() && f.Marks&^(gnss.MarkNoDate|gnss.MarkRollover) == 0
}

func (f Fix) placed() bool {
	return math.Abs(f.Lat.Reveal()) <= 90 && math.Abs(f.Lon.Reveal()) <= 180
}

// A Trip is a drive without a long silence.
type Trip struct {
	Vehicle red.Text // the record's label, may be empty
	Boot    uint32
	Fixes   []Fix // in the order in which they were made; at least one
}

// Span is the time of the first and the last fix that is believed and has a
// time; both zero without one.
func (t Trip) Span() (start, end time.Time) {
	for _, f := range t.Fixes {
		if !f.Believed() || f.UTC.IsZero() {
			continue
		}
		if start.IsZero() {
			start = f.UTC
		}
		end = f.UTC
	}
	return start, end
}

// Tracks gathers batches of fixes.
type Tracks struct {
	batches []batch
	seen    map[batchKey]bool
	// Twice counts batches left out because an equal one of the same vehicle
	// was there: sealed twice.
	Twice int
}

type batch struct {
	vehicle red.Text
	track.Batch
}

type batchKey struct {
	vehicle red.Text
	content [sha256.Size]byte
}

// Add reads a batch. Its errors concern that object only.
func (t *Tracks) Add(e *Entry) error {
	if e.Record.Length > maxBatch {
		return fault{errors.New("too long for a batch of fixes")}
	}
	var content bytes.Buffer
	if _, err := e.WriteTo(&content); err != nil {
		return fault{err}
	}
	key := batchKey{e.Record.Vehicle, sha256.Sum256(content.Bytes())}
	b, err := track.Parse(&content)
	if err != nil {
		return fault{err}
	}
	if t.seen[key] {
		t.Twice++
		return nil
	}
	if t.seen == nil {
		t.seen = map[batchKey]bool{}
	}
	t.seen[key] = true
	t.batches = append(t.batches, batch{e.Record.Vehicle, b})
	return nil
}

// Trips puts all fixes in the order of vehicle, boot counter and sequence, and
// cuts them into trips. No fix is left out.
func (t *Tracks) Trips() []Trip {
	slices.SortStableFunc(t.batches, func(a, b batch) int {
		return cmp.Or(cmp.Compare(a.vehicle, b.vehicle), cmp.Compare(a.Boot, b.Boot), cmp.Compare(a.Sequence, b.Sequence))
	})
	var trips []Trip
	for _, b := range t.batches {
		for _, f := range b.Fixes {
			if len(trips) == 0 || trips[len(trips)-1].endsBefore(b, f) {
				trips = append(trips, Trip{Vehicle: b.vehicle, Boot: b.Boot})
			}
			last := &trips[len(trips)-1]
			last.Fixes = append(last.Fixes, Fix{f, b.Sequence})
		}
	}
	return trips
}

func (t *Trip) endsBefore(b batch, f gnss.Fix) bool {
	return t.Vehicle != b.vehicle || t.Boot != b.Boot || f.Mono-t.Fixes[len(t.Fixes)-1].Mono > maxGap
}

// Count adds up the fixes of trips, and those that are drawn: the believed
// ones or, with all, every one that has a position.
func Count(trips []Trip, all bool) (fixes, drawn int) {
	for _, t := range trips {
		fixes += len(t.Fixes)
		drawn += len(t.line(all))
	}
	return fixes, drawn
}

// line is what is drawn of a trip.
func (t Trip) line(all bool) []Fix {
	var line []Fix
	for _, f := range t.Fixes {
		if f.Believed() || all && f.placed() {
			line = append(line, f)
		}
	}
	return line
}
