package agent

import (
	"context"
	"maps"
	"strings"
	"sync"
	"time"

	"roadseal/agent/health"
	"roadseal/agent/track"
	"roadseal/hal/gnss"
	"roadseal/hal/serialport"
)

// A receiver joins port, decoder, setup and track: bytes in, fixes out, and
// settings out while the receiver takes them. All but status runs in the goroutine of the port.
type receiver struct {
	a     *Agent
	port  *serialport.Port
	dec   *gnss.Decoder
	setup *gnss.Setup
	track *track.Recorder

	mu     sync.Mutex
	up     bool
	reason string
	last   time.Time // of the latest fix, monotonic
	marked int64
	marks  map[string]int64 // by name
	stats  gnss.Stats
	told   gnss.SetupReport
}

func newReceiver(a *Agent, rec *track.Recorder) *receiver {
	r := &receiver{a: a, track: rec, reason: "not opened", marks: map[string]int64{}}
	start := time.Now()
	now := func() time.Duration { return time.Since(start) }
	r.setup = gnss.NewSetup(gnss.SetupOptions{UBlox: gnss.UBlox(a.cfg.GNSS.UBlox), Now: now, Write: func(p []byte) (int, error) { return r.port.Write(p) }})
	r.dec = gnss.NewDecoder(gnss.Options{Now: now, Floor: a.clock.Floor, Fix: r.fix, Answer: r.setup.Answer})
	r.port = serialport.New(serialport.Options{Path: a.cfg.GNSS.Port, Baud: a.cfg.GNSS.Baud, LockDir: a.run.Path(), Log: a.log}, r)
	return r
}

func (r *receiver) Run(ctx context.Context) error {
	err := r.port.Run(ctx)
	r.dec.Flush()
	return err
}

// fix takes one fix. A false time says nothing against the speed: that of a
// receiver with a week rollover is marked for ever, and its car drives. A frozen
// receiver repeats its last speed for ever, and its car may be parked.
func (r *receiver) fix(f gnss.Fix) {
	r.track.Add(f)
	if f.Marks&(gnss.MarkJump|gnss.MarkNullIsland|gnss.MarkFrozen) == 0 {
		r.a.vehicle.Speed(f.Speed)
	}
	if f.Marks == 0 && f.Clock == gnss.ClockGNSS {
		r.a.clock.Plausible(f.UTC)
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	r.last = time.Now()
	if f.Marks == 0 {
		return
	}
	r.marked++
	for name := range strings.SplitSeq(f.Marks.String(), "|") {
		r.marks[name]++
	}
}

// Data implements serialport.Handler.
func (r *receiver) Data(p []byte) {
	_, _ = r.dec.Write(p) // a decoder takes everything
	r.setup.Step()
	r.keep()
}

// Idle implements serialport.Handler.
func (r *receiver) Idle() {
	r.dec.Flush()
	r.setup.Step()
	r.keep()
}

func (r *receiver) keep() {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.stats, r.told = r.dec.Stats(), r.setup.Report()
}

// Up implements serialport.Handler.
func (r *receiver) Up() {
	r.setup.Start()
	r.set(true, "")
}

// Down implements serialport.Handler. What was half read when the line broke
// must not be joined with what comes after.
func (r *receiver) Down(err error) {
	r.dec.Reset()
	r.setup.Stop()
	r.keep()
	r.set(false, err.Error())
}

func (r *receiver) set(up bool, reason string) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.up, r.reason = up, reason
}

func (r *receiver) status() *health.GNSS {
	r.mu.Lock()
	defer r.mu.Unlock()
	st := r.stats
	g := &health.GNSS{Up: r.up, Reason: r.reason, Fixes: st.Fixes, Marked: r.marked, Marks: maps.Clone(r.marks), NoFix: st.NoFix,
		Sentences: st.Sentences, Frames: st.Frames, BadChecksum: st.BadChecksum, Incomplete: st.Broken + st.TooLong + st.Unchecked,
		Ignored: st.Ignored, InView: st.InView, Signal: st.Signal, LastFixAge: -1, InMemory: r.track.Pending(), Lost: r.track.Lost()}
	if told := r.told; told.Settings > 0 {
		g.UBlox = &health.UBlox{Settings: told.Settings, Acknowledged: told.Acknowledged, Refused: told.Refused, Unanswered: told.Unanswered}
	}
	if !r.last.IsZero() {
		g.LastFixAge = time.Since(r.last).Round(time.Second / 10).Seconds()
	}
	return g
}
