// Package health is the agent's answer to "how are you, and if something did
// not upload, why?": one JSON file that is replaced every few seconds, and the
// same in words.
//
// It holds counts, states and reasons. No position, vehicle number, file name
// or key is in it, so that it may be shown, copied and attached to a ticket.
//
// Side: any.
package health

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"roadseal/agent/spool"
	"roadseal/agent/uplink"
	"roadseal/firmware/report"
	"roadseal/hal/durable"
)

// FileName is the status file in the agent's run directory.
const FileName = "status.json"

// Stale is the age from which a status is no longer that of a running agent.
const Stale = 30 * time.Second

// Status is the whole file. Times are UTC of the unit's own clock, which may be
// wrong; ages are measured with the monotonic clock.
type Status struct {
	Version int    `json:"version"`         // of this format: 1
	Bench   bool   `json:"bench,omitempty"` // throw-away keys: never production
	Agent   string `json:"agent"`           // software version
	PID     int    `json:"pid"`
	Boot    uint32 `json:"boot"` // durable count of agent starts

	Started time.Time `json:"started"`
	Updated time.Time `json:"updated"`

	Certificate Certificate   `json:"certificate"`
	GNSS        *GNSS         `json:"gnss,omitempty"`
	Cameras     []Camera      `json:"cameras"`
	Ignition    bool          `json:"ignition"`
	Spool       Spool         `json:"spool"`
	Uplink      uplink.Status `json:"uplink"`
	Firmware    *Firmware     `json:"firmware,omitempty"`
	Stopped     bool          `json:"stopped,omitempty"` // the last word of an agent that ended in order
	Late        []string      `json:"late,omitempty"`    // parts of the agent that make no progress
	Problems    []string      `json:"problems"`          // what keeps data from being recorded as configured, sealed or delivered, in words
}

// Certificate tells how long the unit may still connect, by trusted time.
type Certificate struct {
	NotAfter time.Time `json:"not_after"`
	Floor    time.Time `json:"trusted_time"` // no earlier than this
}

// GNSS is the state of the receiver and its port.
type GNSS struct {
	Up          bool             `json:"up"`
	Reason      string           `json:"reason,omitempty"` // why it is not
	Fixes       int64            `json:"fixes"`
	Marked      int64            `json:"marked"`          // fixes that are not believed
	Marks       map[string]int64 `json:"marks,omitempty"` // why, by name; a fix may have several
	NoFix       int64            `json:"no_fix"`          // epochs without a position
	Sentences   int64            `json:"sentences"`       // of NMEA, whole
	Frames      int64            `json:"frames"`          // of UBX and RTCM, whole
	BadChecksum int64            `json:"bad_checksum"`    // sentences
	Incomplete  int64            `json:"incomplete"`      // sentences cut off, without an end or without a checksum
	Ignored     int64            `json:"ignored"`         // of Sentences: of a kind that is not read
	InView      int64            `json:"in_view"`         // satellites
	Signal      int64            `json:"signal_dbhz"`     // of the strongest satellite; 0 = not said
	UBlox       *UBlox           `json:"ublox,omitempty"`
	LastFixAge  float64          `json:"last_fix_age_s"` // seconds; -1 = none since start
	InMemory    int              `json:"in_memory"`      // fixes not yet sealed
	Lost        int              `json:"lost"`           // fixes dropped because nothing could be written
}

// UBlox is how far the receiver took the settings of [gnss.ublox] since the port
// opened. Those in none of the numbers are still to be told.
type UBlox struct {
	Settings     int      `json:"settings"` // to be told
	Acknowledged int      `json:"acknowledged"`
	Refused      []string `json:"refused,omitempty"`
	Unanswered   []string `json:"unanswered,omitempty"`
}

// Camera is the state of one recorder's folder.
type Camera struct {
	Name    string `json:"name"`
	Present bool   `json:"present"`
	Reason  string `json:"reason,omitempty"` // why it is not
	Pending int    `json:"pending"`          // finished segments that wait to be sealed
	Sealed  int    `json:"sealed"`           // since start
	Known   int    `json:"known"`            // met again and not sealed twice
	Failed  int    `json:"failed"`           // attempts that did not end in a sealed object
	Last    string `json:"last_failure,omitempty"`

	Promoted    int `json:"promoted"`    // locked by the recorder after they were sealed, and kept longer since
	Waiting     int `json:"waiting"`     // of the recorder's ring, not sealed while less than keep_free is free
	Overwritten int `json:"overwritten"` // dropped by the recorder while they waited
}

// Spool is what waits and what may go.
type Spool struct {
	spool.Usage
	FreeBytes int64 `json:"free_bytes"`
	Full      bool  `json:"full"`
}

// Firmware is what came of the last look for an update.
type Firmware struct {
	Checked   time.Time       `json:"checked,omitzero"`    // by trusted time; none in this start yet
	Attempt   *report.Attempt `json:"attempt,omitempty"`   // versions of roots and other metadata, an attack, what is offered
	Installed *report.Image   `json:"installed,omitempty"` // as provisioned
	Reports   int64           `json:"reports"`             // counter of the last signed report
	Waiting   bool            `json:"report_waiting"`      // it could not be sealed yet
}

// Write replaces the status file in the run directory.
func Write(run durable.FS, s *Status) error {
	b, err := json.MarshalIndent(s, "", "  ")
	if err != nil {
		return err
	}
	return durable.WriteVolatile(run, ".", FileName, append(b, '\n'))
}

// Read returns the status in a run directory.
func Read(dir string) (*Status, error) {
	b, err := os.ReadFile(filepath.Join(dir, FileName))
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return nil, fmt.Errorf("no status in %s: the agent has not run since the last boot, or runs with another configuration", dir)
	case errors.Is(err, fs.ErrPermission):
		return nil, fmt.Errorf("may not read the status in %s: run as the agent's user or as root", dir)
	case err != nil:
		return nil, err
	}
	var s Status
	if err := json.Unmarshal(b, &s); err != nil {
		return nil, fmt.Errorf("the status in %s cannot be read: %w", dir, err)
	}
	return &s, nil
}

// Line is the status in one line of counts, for a service manager.
func (s *Status) Line() string {
	line := fmt.Sprintf("uplink %s; %d objects queued, %d delivered and kept; %d problems", upOr(s.Uplink.Connected, ""),
		s.Spool.QueuedObjects, s.Spool.StoredObjects, len(s.Problems))
	if s.Bench {
		return "BENCH; " + line
	}
	return line
}

// Text writes the status for a person. now is compared with Updated.
func (s *Status) Text(w io.Writer, now time.Time) error {
	p := &printer{w: w}
	if s.Bench {
		p.line("BENCH", "throw-away certificates; never production")
	}
	state := "running"
	if age := now.Sub(s.Updated); s.Stopped {
		state = fmt.Sprintf("stopped at %s", s.Updated.Format(time.RFC3339))
	} else if age > Stale || age < -Stale {
		state = fmt.Sprintf("not running or hanging: this status is of %s", s.Updated.Format(time.RFC3339))
	}
	p.line("agent", "%s, pid %d, start %d, version %s", state, s.PID, s.Boot, s.Agent)
	until := "until"
	if s.Certificate.NotAfter.Before(s.Certificate.Floor) {
		until = "EXPIRED on"
	}
	p.line("certificate", "%s %s; trusted time not before %s", until, day(s.Certificate.NotAfter), day(s.Certificate.Floor))
	if g := s.GNSS; g != nil {
		p.line("gnss", "%s; %d fixes (%d marked), last %s; %d epochs without a fix, %d bad checksums; %d fixes in memory, %d lost",
			upOr(g.Up, g.Reason), g.Fixes, g.Marked, ago(g.LastFixAge), g.NoFix, g.BadChecksum, g.InMemory, g.Lost)
		p.line("receiver", "%s", g.receiver())
	}
	for _, c := range s.Cameras {
		p.line("camera "+c.Name, "%s; %d pending, %d sealed, %d known already, %d failed, %d promoted, %d waiting for room",
			upOr(c.Present, c.Reason), c.Pending, c.Sealed, c.Known, c.Failed, c.Promoted, c.Waiting)
	}
	p.line("spool", "%d objects (%s) queued, %d (%s) delivered and kept, %s free", s.Spool.QueuedObjects, size(s.Spool.QueuedBytes),
		s.Spool.StoredObjects, size(s.Spool.StoredBytes), size(s.Spool.FreeBytes))
	p.line("losses", "%s gave way to others, %s were found damaged; %d objects are set aside as damaged",
		total(s.Spool.Evicted.All()), total(s.Spool.Damaged.All()), s.Spool.DamagedObjects)
	p.line("uplink", "%s", upOr(s.Uplink.Connected, s.Uplink.LastError))
	if f := s.Firmware; f != nil {
		p.line("firmware", "%s", f.words())
	}
	for _, pr := range s.Problems {
		p.line("problem", "%s", pr)
	}
	return p.err
}

// receiver is what the receiver says and how it arrives, in words.
func (g *GNSS) receiver() string {
	sky := fmt.Sprintf("%d satellites in view, the strongest at %d dB-Hz", g.InView, g.Signal)
	if g.InView == 0 {
		sky = "no satellites in view, or no GSV sent"
	}
	s := fmt.Sprintf("%s; %d sentences (%d not read) and %d frames, %d incomplete", sky, g.Sentences, g.Ignored, g.Frames, g.Incomplete)
	var marks []string
	for _, name := range slices.Sorted(maps.Keys(g.Marks)) {
		marks = append(marks, fmt.Sprintf("%s %d", name, g.Marks[name]))
	}
	if len(marks) > 0 {
		s += "; marked " + strings.Join(marks, ", ")
	}
	if u := g.UBlox; u != nil {
		s += fmt.Sprintf("; %d of %d settings acknowledged, %d refused, %d unanswered", u.Acknowledged, u.Settings, len(u.Refused), len(u.Unanswered))
	}
	return s
}

// words are the look for an update in one line.
func (f *Firmware) words() string {
	t := f.Attempt
	if t == nil {
		return "no look for an update has come to its end since the start"
	}
	s := fmt.Sprintf("%s, by trusted time on %s", t.Result, day(f.Checked))
	if t.Error != "" {
		s = fmt.Sprintf("%s, by trusted time on %s", t.Trouble(), day(f.Checked))
	}
	if i := f.Installed; i != nil {
		s += fmt.Sprintf("; installed %s (release counter %d)", i.Path, i.Counter)
	}
	if o := t.Offered; o != nil {
		s += fmt.Sprintf("; offered %s (release counter %d)", o.Path, o.Counter)
	}
	s += fmt.Sprintf("; roots director %d, image %d; report %d ", t.Director.Root, t.Images.Root, f.Reports)
	if f.Waiting {
		return s + "waits"
	}
	return s + "sealed"
}

func total(t spool.Total) string { return fmt.Sprintf("%d objects (%s)", t.Objects, size(t.Bytes)) }

type printer struct {
	w   io.Writer
	err error
}

func (p *printer) line(key, format string, args ...any) {
	if p.err == nil {
		_, p.err = fmt.Fprintf(p.w, "%-14s %s\n", key, fmt.Sprintf(format, args...))
	}
}

func upOr(up bool, reason string) string {
	switch {
	case up:
		return "up"
	case reason == "":
		return "down"
	}
	return "down: " + reason
}

func ago(seconds float64) string {
	if seconds < 0 {
		return "never"
	}
	return fmt.Sprintf("%.0f s ago", seconds)
}

func day(t time.Time) string { return t.UTC().Format(time.DateOnly) }

func size(n int64) string {
	switch {
	case n >= 1e9:
		return fmt.Sprintf("%.1f GB", float64(n)/1e9)
	case n >= 1e6:
		return fmt.Sprintf("%.1f MB", float64(n)/1e6)
	}
	return fmt.Sprintf("%.1f kB", float64(n)/1e3)
}
