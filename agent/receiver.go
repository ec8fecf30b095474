package agent

import (
	"context"
	"sync"
	"time"

	"roadseal/agent/health"
	"roadseal/agent/track"
	"roadseal/hal/gnss"
	"roadseal/hal/serialport"
)

// A receiver joins port, decoder and track: bytes in, fixes out. All but
// status runs in the goroutine of the port.
type receiver struct {
	a     *Agent
	port  *serialport.Port
	dec   *gnss.Decoder
	track *track.Recorder

	mu     sync.Mutex
	up     bool
	reason string
	last   time.Time // of the latest fix, monotonic
	marked int64
	stats  gnss.Stats
}

func newReceiver(a *Agent, rec *track.Recorder) *receiver {
	r := &receiver{a: a, track: rec, reason: "not opened"}
	start := time.Now()
	r.dec = gnss.NewDecoder(gnss.Options{Now: func() time.Duration { return time.Since(start) }, Floor: a.clock.Floor, Fix: r.fix})
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
	if f.Marks != 0 {
		r.marked++
	}
}

// Data implements serialport.Handler.
func (r *receiver) Data(p []byte) {
	_, _ = r.dec.Write(p) // a decoder takes everything
	r.keep()
}

// Idle implements serialport.Handler.
func (r *receiver) Idle() {
	r.dec.Flush()
	r.keep()
}

func (r *receiver) keep() {
	st := r.dec.Stats()
	r.mu.Lock()
	defer r.mu.Unlock()
	r.stats = st
}

// Up implements serialport.Handler.
func (r *receiver) Up() { r.set(true, "") }

// Down implements serialport.Handler. What was half read when the line broke
// must not be joined with what comes after.
func (r *receiver) Down(err error) {
	r.dec.Reset()
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
	g := &health.GNSS{Up: r.up, Reason: r.reason, Fixes: r.stats.Fixes, Marked: r.marked, NoFix: r.stats.NoFix,
		BadChecksum: r.stats.BadChecksum, LastFixAge: -1, InMemory: r.track.Pending(), Lost: r.track.Lost()}
	if !r.last.IsZero() {
		g.LastFixAge = time.Since(r.last).Round(time.Second / 10).Seconds()
	}
	return g
}
