package judge

import (
	"cmp"
	"context"
	"strings"
	"time"

	"roadseal/cmd/internal/bench/capture"
	"roadseal/cmd/internal/bench/player"
	"roadseal/cmd/internal/bench/report"
	"roadseal/cmd/internal/trip"
)

// Evidence is all that a run has left behind.
type Evidence struct {
	Report report.Report // title, options and what else is known before

	Recording player.Recording
	Loops     int
	Speed     float64
	Plan      []player.Segment // with what the agent must leave alone
	Clips     []player.Clip    // what the camera wrote, in the order of the plan
	Kill      map[string]int
	Cuts      int    // of the link
	GaveUp    string // why the run did not wait any longer; "" if all arrived

	Profile    string // of the broker whose limits were enforced; "" = none
	Violations int    // of them

	Store  string    // folder of the collector
	Opened string    // where the opened content goes
	Keys   trip.Keys // of the key holder
	Places []Place   // where nothing secret may be readable
	Mark   string    // in every segment
	Number string    // of the vehicle

	Age     string // stock age command; "" = not asked
	KeyFile string // for it

	Ledger *capture.Ledger // of all that passed the broker
	Topics map[string]bool // that were used
	Device string          // id of the vehicle

	Hostile *Hostile // nil: the recorder's folder was a good one
	Desk    *Desk    // nil: there was no release desk

	Started   time.Time     // the agent's first start
	Stopped   time.Duration // what the agent took to end
	StopLimit time.Duration
	StopFault error // what was wrong with the end of a process
}

// Hostile is what is known of the hostile entries of a recorder's folder.
type Hostile struct {
	Entries int
	Opened  []string                // what must not have been
	Once    func(sum [32]byte) bool // a content that was whole when it was read, and is gone
}

// Judge opens what is in the store, checks all that has to hold and returns the
// report, and what a person is shown. Only what keeps it from judging is an
// error.
func Judge(ctx context.Context, e Evidence) (report.Report, report.Scenes, error) {
	r := e.Report
	l, desk, err := e.open(ctx)
	if err != nil {
		return r, report.Scenes{}, err
	}
	scanner, err := e.secrets()
	if err != nil {
		return r, report.Scenes{}, err
	}
	if r.Search, err = search(e.Places, scanner); err != nil {
		return r, report.Scenes{}, err
	}
	v := &verdict{&r}
	v.check("everything arrived and has its receipt", e.GaveUp == "", "%s", cmp.Or(e.GaveUp, "the agent's spool owes nothing"))
	all, others := e.matches(l)
	e.checkSegments(v, all, others, l.twice)
	e.checkRecorder(v, all)
	e.checkHostile(v, l)
	e.checkFixes(v, l)
	e.checkStore(ctx, v, l)
	if err := e.checkAge(ctx, v, l); err != nil {
		return r, report.Scenes{}, err
	}
	e.checkTraffic(v, l)
	reports, err := e.checkFirmware(ctx, v, l, desk)
	if err != nil {
		return r, report.Scenes{}, err
	}
	e.checkKills(v)
	if e.Profile != "" {
		v.check("no limit of the broker was violated", e.Violations == 0, "%d times a client was cut off by a broker that enforces the limits of %s", e.Violations, e.Profile)
	}
	e.checkEnd(v)
	v.check("the agent stays within 32 MiB", r.Traffic.PeakMemory <= maxMemory, "at most %s in memory", report.Bytes(r.Traffic.PeakMemory))
	v.check("nothing secret is readable outside", len(r.Search.Hits) == 0, "%d found in %d files, %s: %s",
		len(r.Search.Hits), r.Search.Files, report.Bytes(r.Search.Bytes), strings.Join(r.Search.Places, ", "))
	e.measure(&r, l)
	e.checkCuts(v)
	r.Passed = len(r.Failed()) == 0
	scenes, err := e.scenes(l)
	scenes.Desk = e.deskScene(desk, reports)
	return r, scenes, err
}

// fixes is how many have to be back.
func (e Evidence) fixes() int { return e.Loops * len(e.Recording.Valid) }
