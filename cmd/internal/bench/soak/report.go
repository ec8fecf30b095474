package soak

import (
	"fmt"

	"roadseal/cmd/internal/bench/report"
	"roadseal/cmd/internal/bench/shaper"
)

// A Report is what a soak has found.
type Report struct {
	Passed   bool      `json:"passed"`
	Seed     uint64    `json:"seed"`
	Vehicles int       `json:"vehicles"`
	Faulty   float64   `json:"faults_s"` // how long there were faults
	Total    float64   `json:"total_s"`
	Broker   string    `json:"broker"`
	Left     []string  `json:"left_out"` // kinds of faults that could not be made here, and why
	Faults   Faults    `json:"faults"`
	Counts   Counts    `json:"counts"`
	Findings []Finding `json:"findings"` // what does not hold
}

// Faults are what was done to the fleet.
type Faults struct {
	Cuts           int     `json:"link_cuts"`
	Resets         int     `json:"resets"` // cuts by RST, the others by FIN
	HalfOpen       int     `json:"half_open"`
	Notice         float64 `json:"longest_notice_s"` // of a half-open link in mid-upload
	AgentKills     int     `json:"agent_kills"`
	BrokerKills    int     `json:"broker_kills"`
	CollectorKills int     `json:"collector_kills"`
	Fills          int     `json:"disks_filled"`
	GNSSJumps      int     `json:"gnss_time_jumps"`
	ClockJumps     int     `json:"clock_jumps"`
}

func (f *Faults) kills() int { return f.AgentKills + f.BrokerKills + f.CollectorKills }

// cut counts a cut.
func (f *Faults) cut(how shaper.Manner) {
	f.Cuts++
	if how == shaper.Reset {
		f.Resets++
	}
}

// broken is how often a session of a vehicle of the fleet was broken off.
func (f *Faults) broken(fleet int) int {
	return f.Cuts + f.HalfOpen + f.AgentKills + fleet*f.BrokerKills
}

// Counts are what the audit has counted.
type Counts struct {
	Clips     int            `json:"clips"`
	Fixes     int            `json:"fixes"`
	KillFixes int            `json:"fixes_lost_to_kills"`
	Objects   int            `json:"objects"` // of the store
	Bytes     int64          `json:"bytes"`
	Witnessed int            `json:"objects_in_spools"`
	Lost      map[string]int `json:"recorded_losses"` // by reason
	LostClips int            `json:"clips_in_the_loss_record"`
	Receipts  int            `json:"receipts"`
	Resent    int64          `json:"resent_bytes"` // by the word of the agents
	PerFault  int64          `json:"resent_bytes_per_fault"`
	Memory    int64          `json:"agent_peak_memory"` // the largest of all
	Searched  int64          `json:"searched_bytes"`
}

// A Finding is something that does not hold.
type Finding struct {
	What    string `json:"what"`
	Vehicle string `json:"vehicle,omitempty"`
	Detail  string `json:"detail"`
}

// String says it in a line.
func (f Finding) String() string {
	if f.Vehicle == "" {
		return f.What + ": " + f.Detail
	}
	return f.What + " (" + f.Vehicle + "): " + f.Detail
}

// Summary is the report in a few lines.
func (r Report) Summary() []string {
	f, c := r.Faults, r.Counts
	lines := []string{
		fmt.Sprintf("%d vehicles, %.0f s of faults, %s broker, seed %d, %.0f s in all", r.Vehicles, r.Faulty, r.Broker, r.Seed, r.Total),
		fmt.Sprintf("%d link cuts (%d by RST), %d half-open links noticed after %.1f s at most, %d full disks, %d jumps of GNSS time, %d of clocks",
			f.Cuts, f.Resets, f.HalfOpen, f.Notice, f.Fills, f.GNSSJumps, f.ClockJumps),
		fmt.Sprintf("killed: agents %d, broker %d, collector %d times", f.AgentKills, f.BrokerKills, f.CollectorKills),
		fmt.Sprintf("%d clips, %d fixes (%d lost within max_age of a kill); %d objects in spools, %d in the store (%s), %d losses recorded",
			c.Clips, c.Fixes, c.KillFixes, c.Witnessed, c.Objects, report.Bytes(c.Bytes), c.losses()),
		fmt.Sprintf("%s sent again, %s for each fault; agents at most %s in memory; searched %s", report.Bytes(c.Resent), report.Bytes(c.PerFault),
			report.Bytes(c.Memory), report.Bytes(c.Searched)),
	}
	for _, l := range r.Left {
		lines = append(lines, "left out: "+l)
	}
	return lines
}

func (c Counts) losses() (n int) {
	for _, k := range c.Lost {
		n += k
	}
	return n
}
