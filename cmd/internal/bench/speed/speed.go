package speed

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	"roadseal/cmd/internal/bench"
)

// Options describe a run.
type Options struct {
	Only     []string // of All; empty = all that can be done here
	Rounds   int      // of upload and link
	Memory   string   // folder in memory; its subfolder is removed
	Disk     string   // the same on a disk
	Programs bench.Programs
	// ARM are the agents and the age of each architecture, beside the other
	// programs: NAME-armv7, NAME-arm64.
	ARM  []Emulated
	Tell bench.Teller
}

// All are the names of the measurements.
var All = []string{"upload", "link", "memory", "drive", "arm"}

// A Row is one line of a table.
type Row struct {
	What   string  `json:"what"`
	Unit   string  `json:"unit"`
	Ours   float64 `json:"ours"` // median of the rounds
	Peer   string  `json:"peer,omitempty"`
	Theirs float64 `json:"theirs,omitempty"`
	Ratio  float64 `json:"ratio,omitempty"` // ours by theirs: median of the rounds
	Limit  float64 `json:"limit,omitempty"` // least ratio that is wanted; 0 = none
	Most   float64 `json:"most,omitempty"`  // largest figure that is wanted of ours; 0 = none
}

// slack is by how much a limit may be missed before that is a failure: a busy
// machine is no fault of the programs.
const slack = 3

// Verdict is what a row says of its limit.
func (r Row) Verdict() string {
	var room float64 // 1 is just at the limit
	switch {
	case r.Limit > 0:
		room = r.Ratio / r.Limit
	case r.Most > 0:
		room = r.Most / r.Ours
	default:
		return ""
	}
	switch {
	case room >= 1:
		return "holds"
	case room >= 1.0/slack:
		return "missed"
	}
	return "FAILED"
}

// A Report is what a run has found.
type Report struct {
	Rows []Row    `json:"rows"`
	Left []string `json:"left_out,omitempty"` // measurements that could not be made here, and why
}

// Failed counts rows that miss their limit by more than the noise of a machine.
func (r Report) Failed() (n int) {
	for _, row := range r.Rows {
		if row.Verdict() == "FAILED" {
			n++
		}
	}
	return n
}

// errLacking says that a measurement needs what is not here.
var errLacking = errors.New("needs")

func lacking(format string, args ...any) error {
	return fmt.Errorf("%w "+format, append([]any{errLacking}, args...)...)
}

// Check says whether the options make sense.
func (o Options) Check() error {
	for _, name := range o.Only {
		if !slices.Contains(All, name) {
			return fmt.Errorf("cannot measure %q: expected some of %v", name, All)
		}
	}
	if o.Rounds < 1 || o.Rounds > 100 {
		return errors.New("expected --rounds between 1 and 100")
	}
	return nil
}

// Run makes the measurements one after the other. One that needs what is not
// here is left out, unless it was asked for by name.
func Run(ctx context.Context, o Options) (r Report, err error) {
	s, err := newStand(o)
	if err != nil {
		return r, err
	}
	defer func() { err = errors.Join(err, s.close()) }()
	for _, name := range All {
		if len(o.Only) > 0 && !slices.Contains(o.Only, name) {
			continue
		}
		begin := time.Now()
		rows, err := s.measure(ctx, name)
		if errors.Is(err, errLacking) && len(o.Only) == 0 {
			r.Left = append(r.Left, fmt.Sprintf("%s: %v", name, err))
			continue
		}
		if err != nil {
			return r, fmt.Errorf("%s: %w", name, err)
		}
		r.Rows = append(r.Rows, rows...)
		o.Tell.Step("%s: measured in %.0f s", name, time.Since(begin).Seconds())
	}
	return r, nil
}

func (s *stand) measure(ctx context.Context, name string) ([]Row, error) {
	switch name {
	case "upload":
		return s.uploads(ctx)
	case "link":
		return s.links(ctx)
	case "memory":
		return s.largestMemory(ctx)
	case "drive":
		return s.drive(ctx)
	}
	return s.arms(ctx)
}

// beside makes a row of the rounds of both sides, which belong together in
// pairs.
func beside(what, unit string, ours []float64, peer string, theirs []float64, limit float64) Row {
	ratios := make([]float64, len(ours))
	for i := range ours {
		ratios[i] = ours[i] / theirs[i]
	}
	return Row{What: what, Unit: unit, Ours: median(ours), Peer: peer, Theirs: median(theirs), Ratio: median(ratios), Limit: limit}
}

// number is what a median is taken of.
type number interface{ ~int64 | ~float64 }

func median[T number](v []T) T {
	v = slices.Sorted(slices.Values(v))
	return (v[(len(v)-1)/2] + v[len(v)/2]) / 2
}
