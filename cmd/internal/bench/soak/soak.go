package soak

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"time"

	"golang.org/x/sync/errgroup"

	"roadseal/cmd/internal/bench"
	"roadseal/cmd/internal/bench/wallclock"
	"roadseal/cmd/internal/trip"
)

// Run makes a soak and audits it. What does not hold is no error: it is in the
// report. An error says that the run could not be made; the folder is then left
// as it is.
func Run(ctx context.Context, o Options) (r Report, err error) {
	dir, err := bench.Clear(o.Out)
	if err != nil {
		return r, err
	}
	w, err := newWorld(o, dir)
	if err == nil {
		r, err = w.soak(ctx)
	}
	keep := o.Keep || !r.Passed
	if err = errors.Join(err, w.close(keep)); err != nil {
		return r, err
	}
	if !keep {
		err = os.RemoveAll(w.path("work"))
	}
	b, fault := json.MarshalIndent(r, "", "  ")
	return r, errors.Join(err, fault, os.WriteFile(w.path("report.json"), append(b, '\n'), 0o644))
}

// soak is the whole of a run: start, faults, drain, stop, audit.
func (w *world) soak(ctx context.Context) (r Report, err error) {
	if err := w.drive(ctx); err != nil {
		return r, err
	}
	w.o.Tell.Step("The key holder opens the store, and the audit begins.")
	r = Report{Seed: w.o.Seed, Vehicles: w.o.Vehicles, Faulty: w.o.For.Seconds(), Broker: w.o.Broker, Left: w.left, Faults: w.faults, Findings: w.findings}
	if err := w.audit(ctx, &r); err != nil {
		return r, err
	}
	w.demand(&r)
	r.Total = time.Since(w.begin).Seconds()
	r.Passed = len(r.Findings) == 0
	return r, nil
}

// Of a run of two minutes and ten vehicles, what it is for.
const (
	fullRun   = 2 * time.Minute
	fullFleet = 10
	fullCuts  = 300
)

// demand makes a finding of faults that did not happen: a soak without them says
// nothing.
func (w *world) demand(r *Report) {
	if w.o.For < fullRun || w.o.Vehicles < fullFleet {
		return
	}
	f := r.Faults
	if f.Cuts < fullCuts {
		r.Findings = append(r.Findings, Finding{What: "too few links were cut", Detail: fmt.Sprintf("%d, expected %d", f.Cuts, fullCuts)})
	}
	if f.AgentKills == 0 || f.BrokerKills == 0 || f.CollectorKills == 0 || w.net != nil && f.HalfOpen == 0 {
		r.Findings = append(r.Findings, Finding{What: "a kind of fault did not happen", Detail: fmt.Sprintf("%+v", f)})
	}
}

// drive runs the fleet until everything has drained and all have stopped.
func (w *world) drive(ctx context.Context) error {
	if err := w.start(ctx); err != nil {
		return err
	}
	w.o.Tell.Step("%d vehicles, a collector and a broker (%s) run. Faults for %s, seed %d.", len(w.fleet), w.o.Broker, w.o.For, w.o.Seed)
	for _, l := range w.left {
		w.o.Tell.Step("Left out: %s.", l)
	}
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	g, ctx := errgroup.WithContext(ctx)
	for _, v := range w.fleet {
		g.Go(func() error { return unlessCanceled(v.link.Run(ctx)) })
	}
	g.Go(func() error { return w.watch(ctx) })
	g.Go(func() error {
		defer cancel()
		return w.phases(ctx)
	})
	return g.Wait()
}

func unlessCanceled(err error) error {
	if errors.Is(err, context.Canceled) {
		return nil
	}
	return err
}

// watch looks after the processes until ctx ends.
func (w *world) watch(ctx context.Context) error {
	t := time.NewTicker(5 * tick)
	defer t.Stop()
	for {
		select {
		case <-t.C:
		case <-ctx.Done():
			return nil
		}
		errs := []error{w.hub.look()}
		for _, v := range w.fleet {
			errs = append(errs, v.look())
		}
		if err := errors.Join(errs...); err != nil {
			return err
		}
	}
}

func (w *world) phases(ctx context.Context) error {
	g, play := errgroup.WithContext(ctx)
	faulty, cancel := context.WithTimeout(play, w.o.For)
	defer cancel()
	g.Go(func() error { return w.misbehave(faulty) })
	g.Go(func() error { return w.progress(faulty) })
	for _, v := range w.fleet {
		g.Go(func() error { return w.record(play, v) })
	}
	if err := g.Wait(); err != nil {
		return err
	}
	if err := ctx.Err(); err != nil {
		return err
	}
	w.o.Tell.Step("The faults stop after %d link cuts. Everything may drain.", w.faults.Cuts)
	if err := w.drain(ctx); err != nil {
		return err
	}
	return w.stop()
}

// progress tells how far the faults are.
func (w *world) progress(ctx context.Context) error {
	t := time.NewTicker(time.Second)
	defer t.Stop()
	begin := time.Now()
	for {
		select {
		case <-t.C:
		case <-ctx.Done():
			return nil
		}
		w.mu.Lock()
		f := w.faults
		w.mu.Unlock()
		w.o.Tell.Progress(time.Since(begin).Seconds()/w.o.For.Seconds(), fmt.Sprintf("%d cuts, %d dead, %d kills", f.Cuts, f.HalfOpen, f.kills()))
	}
}

// drainLimit is generous: an agent whose disk was full waits up to a minute.
const drainLimit = 5 * time.Minute

// drain lifts the limits of the links and waits until nothing is left to be
// delivered. That it takes too long is a finding.
func (w *world) drain(ctx context.Context) error {
	for _, v := range w.fleet {
		v.link.SetRate(0)
	}
	begin := time.Now()
	t := time.NewTicker(time.Second)
	defer t.Stop()
	for quiet := 0; quiet < 3; { // a clip may be between the folder and the spool
		select {
		case <-t.C:
		case <-ctx.Done():
			return ctx.Err()
		}
		var left []string
		for _, v := range w.fleet {
			done, what, err := v.drained()
			if err != nil {
				return err
			}
			if !done {
				left = append(left, what)
			}
		}
		quiet++
		if len(left) > 0 || time.Since(begin) < maxAge+statusAge {
			quiet = 0
		}
		w.o.Tell.Progress(1-float64(len(left))/float64(len(w.fleet)), fmt.Sprintf("%d of %d vehicles have delivered everything", len(w.fleet)-len(left), len(w.fleet)))
		if time.Since(begin) > drainLimit {
			w.find(Finding{What: "the fleet did not drain", Detail: fmt.Sprintf("after %s: %s", drainLimit, strings.Join(left, "; "))})
			return nil
		}
	}
	return nil
}

// stop ends all processes gently. That one does not end as it should is a
// finding.
func (w *world) stop() error {
	for _, v := range w.fleet {
		if err := v.stop(); err != nil {
			w.find(Finding{"an agent did not end as it should", v.name, err.Error()})
		}
		if v.clock != "" {
			n, err := wallclock.Seen(v.clock)
			if err != nil {
				return err
			}
			w.faults.ClockJumps += n
		}
	}
	if err := w.hub.stop(); err != nil {
		w.find(Finding{What: "broker or collector did not end as it should", Detail: err.Error()})
	}
	return w.witness.close()
}

// testify gathers what is known of a vehicle, and of what its agent could not
// deliver any more.
func (w *world) testify(ctx context.Context, v *vehicle) (t testimony, err error) {
	t = testimony{index: v.index, name: v.name, number: v.number, lives: v.lives, said: v.said, gaps: v.gaps}
	if t.losses, err = readLosses(v.spool()); err != nil {
		return t, err
	}
	left, err := filepath.Glob(filepath.Join(v.spool(), "*."+queued))
	if err != nil {
		return t, err
	}
	var files []trip.File
	for _, path := range left {
		files = append(files, trip.File{Path: path})
	}
	rest, err := openFiles(ctx, files, w.keys)
	if err != nil {
		return t, err
	}
	for name, reason := range rest.losses[v.number] {
		t.losses[name] = reason
	}
	key, err := v.tagKey()
	if err != nil {
		return t, err
	}
	for i, c := range v.clips {
		tag, err := sourceTag(filepath.Join(v.recorder(), v.plan[i].Name), key)
		if err != nil {
			return t, err
		}
		t.clips = append(t.clips, clip{v.plan[i].Name, c.SHA256, tag})
	}
	return t, nil
}
