package bench

import (
	"context"
	"errors"
	"fmt"
	"path/filepath"
	"time"

	"golang.org/x/sync/errgroup"

	"roadseal/agent/health"
	"roadseal/cmd/internal/bench/capture"
	"roadseal/cmd/internal/bench/hostile"
	"roadseal/cmd/internal/bench/judge"
	"roadseal/cmd/internal/bench/player"
	"roadseal/cmd/internal/bench/report"
	"roadseal/cmd/internal/bench/shaper"
	"roadseal/cmd/internal/cli"
)

// session is one run between the first process and the last.
type session struct {
	o       Options
	f       folder
	rec     player.Recording
	plan    []player.Segment
	old     []player.Segment // before them, there when the agent starts
	folders []string         // of the recorder
	rig     *rig
	tail    *capture.Tail
	ledger  *capture.Ledger
	topics  map[string]bool
	holder  *judge.Holder
	chaos   *chaos

	clips     []player.Clip // once the camera is done
	oldClips  []player.Clip
	there     arrivals
	field     *hostile.Field // nil: the recorder's folder is a good one
	opened    []string       // of the field, what must not be
	lastFix   time.Time      // when the receiver had said all; zero before
	fixesDone chan time.Time
	clipsDone chan []player.Clip
	cuts      int           // of the link
	cutDue    time.Time     // of the next
	began     bool          // the first receipt was told of
	moved     time.Time     // when the count below changed
	mark      int           // of all that moves
	gaveUp    string        // why the run did not wait any longer; "" if all arrived
	stopped   time.Duration // what the agent took to end
	resent    int64         // bytes, by the word of the agent since its last start
	stopFault error         // what was wrong with the end of a process

	violations int // of limits of the broker
}

func newSession(o Options, f folder, rec player.Recording, r *rig) (*session, error) {
	length := time.Duration(o.Loops) * rec.Length
	start := rec.Start
	if start.IsZero() {
		start = o.Now
	}
	s := &session{o: o, f: f, rec: rec, rig: r,
		tail: capture.Follow(f.capture()), ledger: capture.NewLedger(), topics: map[string]bool{},
		holder: judge.NewHolder(f.store(), r.keys()), chaos: newChaos(o.Kill, o.Seed),
		fixesDone: make(chan time.Time, 1), clipsDone: make(chan []player.Clip, 1)}
	return s, s.load(length, start.UTC())
}

// run brings everything up, plays the drive, waits until all has arrived, and
// stops everything.
func (s *session) run(ctx context.Context) error {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	if err := s.prepare(ctx); err != nil {
		return err
	}
	if err := s.rig.start(ctx); err != nil {
		return err
	}
	s.o.Tell.Step("A broker, a collector and the vehicle's agent run, each a process of its own, with throw-away keys.")
	g, ctx := errgroup.WithContext(ctx)
	g.Go(func() error {
		if err := s.rig.link.Run(ctx); !errors.Is(err, context.Canceled) {
			return err
		}
		return nil
	})
	if s.field != nil {
		g.Go(func() error { return s.field.Run(ctx) })
	}
	g.Go(func() error {
		defer cancel()
		return s.drive(ctx)
	})
	return errors.Join(g.Wait(), s.tail.Close(), s.closeField())
}

// drive plays and watches.
func (s *session) drive(ctx context.Context) error {
	if err := s.rig.ready(ctx); err != nil {
		return err
	}
	seconds := time.Duration(s.o.Loops) * s.rec.Length
	s.o.Tell.Step("The vehicle starts: %.0f s of driving at %g times the speed, %d segments, %d fixes.",
		seconds.Seconds(), s.o.Speed, s.segments(), s.fixes())
	clock := player.Clock{Start: time.Now(), Speed: s.o.Speed}
	g, play := errgroup.WithContext(ctx)
	g.Go(func() error {
		err := s.rig.line.Play(play, s.rec, s.o.Loops, clock)
		s.fixesDone <- time.Now()
		return err
	})
	g.Go(func() error {
		clips, err := s.camera().Play(play, s.plan, clock)
		s.clipsDone <- clips
		return err
	})
	g.Go(func() error { return s.watch(play, clock) })
	if err := g.Wait(); err != nil {
		return err
	}
	if s.gaveUp == "" {
		s.o.Tell.Step("Everything is in the store and has its receipt: %d objects.", s.ledger.Receipts())
		if s.o.Firmware {
			if err := s.putBack(ctx); err != nil {
				return err
			}
		}
	}
	return s.stop()
}

// stop ends the agent and then the others. That one does not end as it should
// is a finding, not the end of the run.
func (s *session) stop() error {
	s.o.Tell.Step("The vehicle is switched off.")
	took, err := s.rig.stop(agentName)
	s.stopped = max(s.stopped, took)
	if last, fault := health.Read(s.f.run()); fault == nil {
		s.resent = last.Uplink.Resent
	}
	for _, name := range []string{collectorName, brokerName} {
		if name == brokerName {
			err = errors.Join(err, s.rig.observer.stop())
		}
		_, e := s.rig.stop(name)
		err = errors.Join(err, e)
	}
	s.stopFault = errors.Join(s.stopFault, err)
	if s.violations, err = s.rig.violations(); err != nil {
		return err
	}
	return s.drain()
}

// drain enters all that the broker has captured by now.
func (s *session) drain() error {
	for {
		m, ok, err := s.tail.Next()
		if !ok {
			return err
		}
		s.ledger.Add(m)
		s.topics[m.Topic] = true
	}
}

// Intervals of the watch.
const (
	watchEvery = 20 * time.Millisecond
	lookEvery  = 10 // ticks between two looks into the store
)

// watch follows the run until everything has arrived, or nothing moves any
// more.
func (s *session) watch(ctx context.Context, clock player.Clock) error {
	tick := time.NewTicker(watchEvery)
	defer tick.Stop()
	s.moved = time.Now()
	for n := 0; ; n++ {
		select {
		case s.lastFix = <-s.fixesDone:
			s.o.Tell.Step("The vehicle has arrived. The agent seals the last positions within %s.", s.o.MaxAge)
		case s.clips = <-s.clipsDone:
		case <-tick.C:
		case <-ctx.Done():
			return ctx.Err()
		}
		if err := errors.Join(s.drain(), s.rig.alive()); err != nil {
			return err
		}
		if err := s.cut(); err != nil {
			return err
		}
		looks := n%lookEvery == 0
		if name := s.chaos.victim(s.ledger, looks && s.mayKillAgent()); name != "" {
			if err := s.strike(ctx, name); err != nil {
				return err
			}
		}
		if !looks {
			continue
		}
		if done, err := s.look(ctx, clock); done || err != nil {
			return err
		}
	}
}

// cut cuts the link if it is time, and enters that after everything that passed
// before. A cut that meets no connection is none.
func (s *session) cut() error {
	now := time.Now()
	if s.o.CutEvery == 0 || now.Before(s.cutDue) {
		return nil
	}
	s.cutDue = now.Add(s.o.CutEvery)
	if s.rig.link.Cut(shaper.Reset) == 0 {
		return nil
	}
	s.cuts++
	err := s.drain()
	s.ledger.Kill(linkName)
	return err
}

// look looks into the store, tells how far the run is, and reports whether it
// is over.
func (s *session) look(ctx context.Context, clock player.Clock) (done bool, err error) {
	if err := s.holder.Look(ctx); err != nil {
		return false, err
	}
	s.there.note(s.holder, s.ledger)
	if !s.began && s.ledger.Receipts() > 0 {
		s.began = true
		s.o.Tell.Step("A first object is sealed for the reader, stored, and signed for by the collector, %.1f s after the agent's start.",
			s.ledger.FirstReceipt().Sub(s.rig.first.Round(0)).Seconds())
	}
	s.tellProgress(clock)
	if done, err := s.arrived(); done || err != nil {
		return done, err
	}
	if m := s.ledger.DataMessages + len(s.holder.Segments) + s.holder.Fixes; m != s.mark || !s.played() {
		s.moved, s.mark = time.Now(), m
	}
	if time.Since(s.moved) > patience {
		s.gaveUp = fmt.Sprintf("nothing moved for %s: %d of %d segments and %d of %d fixes had arrived", patience,
			s.segments()-s.missing(), s.segments(), s.holder.Fixes, s.fixes())
		if s.o.Firmware && !s.holder.Updated() {
			s.gaveUp += ", and no report of a verified release"
		}
	}
	return s.gaveUp != "", nil
}

func (s *session) played() bool { return s.clips != nil && !s.lastFix.IsZero() }

// arrived reports whether the key holder has everything and the vehicle knows.
func (s *session) arrived() (bool, error) {
	if !s.played() || s.o.Firmware && !s.holder.Updated() || s.field != nil && !s.field.Met() || s.missing() > 0 || s.holder.Fixes < s.fixes() {
		return false, nil
	}
	n, err := undelivered(s.f.state())
	return n == 0, err
}

func (s *session) tellProgress(clock player.Clock) {
	seconds := time.Since(clock.Start).Seconds() * s.o.Speed
	played := min(1, seconds/(s.rec.Length.Seconds()*float64(s.o.Loops)))
	there := s.segments() - s.missing()
	arrived := float64(there) / float64(s.segments())
	text := fmt.Sprintf("%d/%d segments, %d/%d fixes arrived", there, s.segments(), s.holder.Fixes, s.fixes())
	if k := s.o.Kill.total(); k > 0 {
		text += fmt.Sprintf(", %d/%d kills", len(s.ledger.Kills())-s.cuts, k)
	}
	if s.o.CutEvery > 0 {
		text += fmt.Sprintf(", %d cuts", s.cuts)
	}
	s.o.Tell.Progress((played+arrived)/2, text)
}

// undelivered is the number of objects in the vehicle's spool that have no
// receipt yet, by its file names (agent/spool/FORMAT.md).
func undelivered(state string) (int, error) {
	names, err := filepath.Glob(filepath.Join(state, "spool", "*.age"))
	return len(names), err
}

// evidence is what the run has left behind for the judge.
func (s *session) evidence() (judge.Evidence, error) {
	desk, err := s.desk()
	e := judge.Evidence{
		Desk:      desk,
		Recording: s.rec, Loops: s.o.Loops, Speed: s.o.Speed, Plan: s.all(), Clips: append(s.oldClips, s.clips...), Kill: s.o.Kill, Cuts: s.cuts, GaveUp: s.gaveUp, Profile: s.o.Profile, Violations: s.violations,
		Store: s.f.store(), Opened: s.f.opened(), Keys: s.rig.enrolled.keys, Mark: s.rig.enrolled.mark, Number: s.rig.enrolled.vehicle,
		Places: []judge.Place{{Name: "store", Dir: s.f.store()}, {Name: "state and spool", Dir: s.f.state()}, {Name: "status", Dir: s.f.run()},
			{Name: "broker", Dir: s.f.capture()}, {Name: "logs", Dir: s.f.logs()}},
		Age: s.o.Programs.Age, KeyFile: s.f.key(),
		Ledger: s.ledger, Topics: s.topics, Device: s.rig.enrolled.certs.DeviceID,
		Started: s.rig.first, Stopped: s.stopped, StopLimit: stopLimit, StopFault: s.stopFault,
	}
	if s.field != nil {
		e.Hostile = &judge.Hostile{Entries: s.field.Entries, Opened: s.opened, Once: s.field.Once}
	}
	r := &e.Report
	r.Title, r.Made, r.Version = s.o.Title, s.o.Now.UTC(), cli.BuildVersion("roadseal-bench").Version
	r.Options = report.Options{Speed: s.o.Speed, Loops: s.o.Loops, Rate: s.o.Rate, Seed: s.o.Seed, MaxAge: s.o.MaxAge.Seconds()}
	r.Drive.Recording, r.Drive.Recorder = s.o.Name, s.o.Recorder
	r.Traffic.WireUp, r.Traffic.WireDown = s.rig.link.Counts()
	r.Traffic.PeakMemory, r.Traffic.ResentBytes = s.rig.memory, s.resent
	return e, err
}
