// Package report tells what a bench run found: report.json for machines, and
// report.html, one page without any outside resource, for a person.
//
// A report belongs to the key holder: it shows the track and the recorder's
// file names.
//
// Side: red.
package report

import (
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"time"

	"roadseal/cmd/internal/bench/canary"
	"roadseal/cmd/internal/bench/capture"
)

// A Report is what report.json holds. Times are in seconds, sizes in bytes.
type Report struct {
	Title   string    `json:"title"`
	Passed  bool      `json:"passed"`
	Checks  []Check   `json:"checks"`
	Made    time.Time `json:"made"`
	Version string    `json:"version"`
	Options Options   `json:"options"`

	Drive   Drive          `json:"drive"`
	Times   Times          `json:"times"`
	Traffic Traffic        `json:"traffic"`
	Kills   []capture.Kill `json:"kills"`
	Search  Search         `json:"search"`
	Objects []Object       `json:"objects"`
}

// A Check is one thing that has to hold.
type Check struct {
	Name   string `json:"name"` // what has to hold, as a statement
	OK     bool   `json:"ok"`
	Detail string `json:"detail"` // what was found
}

// Options are those that the run was started with.
type Options struct {
	Speed  float64 `json:"speed"`
	Loops  int     `json:"loops"`
	Rate   int64   `json:"rate"` // bytes/s upwards; 0 = no limit
	Seed   uint64  `json:"seed"`
	MaxAge float64 `json:"max_age_s"`
}

// Drive is what was played.
type Drive struct {
	Recording string  `json:"recording"`
	Length    float64 `json:"length_s"` // of the drive, all loops
	Fixes     int     `json:"fixes"`    // valid RMC sentences of status A that were played
	Found     int     `json:"fixes_found"`
	Segments  int     `json:"segments"`        // to be delivered, sidecars among them
	Opened    int     `json:"segments_opened"` // byte for byte equal
	Bytes     int64   `json:"bytes"`           // of all segments

	Recorder    string `json:"recorder,omitempty"` // make of the camera, and below what it did
	Sidecars    int    `json:"sidecars,omitempty"`
	LockedEarly int    `json:"locked_before_sealed,omitempty"`
	LockedLate  int    `json:"locked_after_delivered,omitempty"`
	Hostile     int    `json:"hostile_entries,omitempty"`
	LockedOld   int    `json:"locked_after_left,omitempty"`
	Left        int    `json:"left_alone,omitempty"` // files that must not be delivered
}

// Times are measured by the bench and by the broker's capture.
type Times struct {
	FirstReceipt float64 `json:"start_to_first_receipt_s"` // from the start of the agent's process
	P50          float64 `json:"close_to_receipt_p50_s"`   // from the close of a segment to its receipt
	P95          float64 `json:"close_to_receipt_p95_s"`
	Stop         float64 `json:"stop_s"` // from SIGTERM to the end of the agent
	Total        float64 `json:"total_s"`
}

// Traffic is what went over the link.
type Traffic struct {
	WireUp       int64 `json:"wire_up"` // TCP payload, TLS and all, from the vehicle
	WireDown     int64 `json:"wire_down"`
	Sealed       int64 `json:"sealed"` // all objects of the store
	DataMessages int   `json:"data_messages"`
	Resent       int   `json:"resent_blocks"`
	PeakMemory   int64 `json:"agent_peak_memory"` // VmHWM
	Cuts         int   `json:"cuts,omitempty"`    // of the link
	ResentBytes  int64 `json:"resent_bytes"`      // by the word of the agent since its last start
	PerCut       int64 `json:"resent_bytes_per_cut,omitempty"`
}

// Search is the hunt for secrets in all that an outsider could get hold of.
type Search struct {
	Places []string     `json:"places"`
	Files  int          `json:"files"`
	Bytes  int64        `json:"bytes"`
	Hits   []canary.Hit `json:"hits"`
}

// An Object is one sealed object of the store.
type Object struct {
	Name    string  `json:"name"`
	Class   int     `json:"class"`
	Size    int64   `json:"size"`   // sealed
	Length  int64   `json:"length"` // of the content
	Stream  string  `json:"stream"`
	Kind    string  `json:"kind,omitempty"`
	Source  string  `json:"source"`
	Opened  string  `json:"opened"`              // file in opened/
	Receipt float64 `json:"receipt_s,omitempty"` // from the close of the segment; 0 for a track
}

// Failed are the checks that do not hold.
func (r Report) Failed() (bad []Check) {
	for _, c := range r.Checks {
		if !c.OK {
			bad = append(bad, c)
		}
	}
	return bad
}

// Percentile is the value below which the given part of values lies: the
// nearest rank of the sorted values. It is 0 for none.
func Percentile(values []time.Duration, part float64) time.Duration {
	if len(values) == 0 {
		return 0
	}
	s := slices.Sorted(slices.Values(values))
	return s[min(max(int(part*float64(len(s))+0.999999)-1, 0), len(s)-1)]
}

// Write writes report.json and report.html into dir.
func Write(dir string, r Report, s Scenes) error {
	b, err := json.MarshalIndent(r, "", "  ")
	if err != nil {
		return fmt.Errorf("cannot write the report: %w", err)
	}
	if err := os.WriteFile(filepath.Join(dir, "report.json"), append(b, '\n'), 0o644); err != nil {
		return fmt.Errorf("cannot write the report: %w", err)
	}
	html, err := render(r, s)
	if err != nil {
		return fmt.Errorf("cannot write the report: %w", err)
	}
	if err := os.WriteFile(filepath.Join(dir, "report.html"), html, 0o644); err != nil {
		return fmt.Errorf("cannot write the report: %w", err)
	}
	return nil
}
