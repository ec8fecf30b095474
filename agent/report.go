package agent

import (
	"context"
	"errors"
	"fmt"
	"os"
	"strings"
	"time"

	"golang.org/x/sys/unix"

	"roadseal/agent/health"
	"roadseal/agent/policy"
	"roadseal/agent/spool"
	"roadseal/hal/watchdog"
)

// Intervals of the status file, and of the one line that a healthy agent logs.
const (
	reportEvery  = 2 * time.Second
	summaryEvery = time.Hour
)

// quietTime is what a receiver may take to begin to talk.
const quietTime = 15 * time.Second

// report keeps the status file fresh until ctx ends; Run writes the last one.
func (a *Agent) report(ctx context.Context) error {
	if a.cfg.Bench.Enabled {
		a.log.Warn("BENCH: throw-away certificates, never production")
	}
	a.log.Info("started", "version", a.opt.Version, "boot", a.boot)
	tick := time.NewTicker(reportEvery)
	defer tick.Stop()
	summary := time.NewTicker(summaryEvery)
	defer summary.Stop()
	failing, line := false, ""
	for {
		watchdog.Beat(ctx)
		s := a.status()
		if was := line; was != s.Line() {
			line = s.Line()
			a.tellManager(a.opt.Watchdog.Status(line))
		}
		err := health.Write(a.run, s)
		if err != nil && !failing {
			a.log.Warn("cannot write the status file", "reason", err)
		}
		failing = err != nil
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-tick.C:
		case <-summary.C:
			u := a.spool.Usage()
			a.log.Info("running", "queued", u.QueuedObjects, "delivered", u.StoredObjects, "connected", a.uplink.Status().Connected)
		}
	}
}

func (a *Agent) status() *health.Status {
	s := &health.Status{Version: 1, Bench: a.cfg.Bench.Enabled, Agent: a.opt.Version, PID: os.Getpid(), Boot: a.boot,
		Started: a.started.UTC(), Updated: time.Now().UTC(), Cameras: []health.Camera{}, Problems: []string{}, Late: a.opt.Watchdog.Late(),
		Certificate: health.Certificate{NotAfter: a.identity.NotAfter, Floor: a.clock.Floor()},
		Ignition:    a.vehicle.Ignition(), Spool: health.Spool{Usage: a.spool.Usage()}, Uplink: a.uplink.Status()}
	if a.receiver != nil {
		s.GNSS = a.receiver.status()
	}
	for _, c := range a.cameras {
		st, n := c.Folder.State(), a.intake.Counts(c.Name)
		s.Cameras = append(s.Cameras, health.Camera{Name: c.Name, Present: st.Present, Reason: st.Reason, Pending: st.Pending,
			Sealed: n.Sealed, Known: n.Known, Failed: n.Failed, Last: n.Last,
			Promoted: n.Promoted, Waiting: n.Waiting, Overwritten: n.Overwritten})
	}
	s.Firmware = a.firmwareStatus()
	if free, err := a.queue.Free(); err == nil {
		s.Spool.FreeBytes = free
	}
	s.Problems = append(s.Problems, a.problems(s)...)
	return s
}

// problems says in words what keeps data from being sealed or delivered.
func (a *Agent) problems(s *health.Status) (all []string) {
	add := func(format string, args ...any) { all = append(all, fmt.Sprintf(format, args...)) }
	if a.full != nil {
		s.Spool.Full = true
		add("nothing is recorded, what is sealed is uploaded: the disk %s", why(a.full))
	}
	all = append(all, a.damages...)
	if len(s.Late) > 0 {
		add("no progress for at least %.0f s: %s; hint: a medium or a device that does not answer; under systemd the agent is restarted",
			(a.opt.Watchdog.Limit / 2).Seconds(), strings.Join(s.Late, ", "))
	}
	if s.GNSS != nil && !s.GNSS.Up {
		add("no fixes: %s", s.GNSS.Reason)
	}
	if g := s.GNSS; g != nil && g.Up && g.Fixes+g.NoFix == 0 && time.Since(a.started) > quietTime {
		add("no fixes: the port is open, but nothing readable has come (%d bad checksums); hint: [gnss] baud, the wiring, or a receiver that does not send NMEA", g.BadChecksum)
	}
	if s.GNSS != nil && s.GNSS.UBlox != nil {
		settings(s.GNSS.UBlox, add)
	}
	for _, c := range s.Cameras {
		if !c.Present {
			add("no segments of camera %s: %s", c.Name, c.Reason)
		}
		if c.Last != "" {
			add("camera %s: %d attempts to seal a segment did not succeed, the last: %s", c.Name, c.Failed, c.Last)
		}
		if c.Waiting > 0 {
			add("camera %s: %d segments of the recorder's ring are not sealed: %v", c.Name, c.Waiting, spool.ErrKeepFree)
		}
		if c.Overwritten > 0 {
			add("camera %s: the recorder overwrote %d segments of its ring before there was room to seal them", c.Name, c.Overwritten)
		}
	}
	if p := a.intake.Problem(); p != "" {
		s.Spool.Full = true
		add("nothing can be sealed: %s", p)
	}
	if s.GNSS != nil && s.GNSS.Lost > 0 {
		add("%d fixes were dropped because nothing could be sealed", s.GNSS.Lost)
	}
	if !s.Uplink.Connected && s.Uplink.LastError != "" {
		add("not connected: %s", s.Uplink.LastError)
	}
	if s.Uplink.Connected && s.Uplink.BadReceipts > 0 && s.Uplink.LastError != "" {
		add("no receipt is accepted: %s", s.Uplink.LastError)
	}
	if f := s.Firmware; f != nil {
		firmwareProblems(f, add)
	}
	if n := len(a.spool.Losses()); n > 0 {
		add("%d objects were lost (%s) that the key holder has not been told of%s", n, lossCounts(s.Spool.Usage), a.noHealth())
	}
	if n := s.Spool.UnreadLines; n > 0 {
		add("%d lines of the spool's records were found damaged at the start: a loss may be missing in the counts, or a clip be sealed twice", n)
	}
	if s.Spool.Foreign > 0 {
		add("%d files in the spool belong to another release and are left alone", s.Spool.Foreign)
	}
	return all
}

// settings says which settings the receiver did not take.
func settings(u *health.UBlox, add func(format string, args ...any)) {
	if len(u.Refused) > 0 {
		add("the receiver refused %s; hint: not every u-blox takes every value of [gnss.ublox], the data sheet names rates and constellations", strings.Join(u.Refused, ", "))
	}
	if len(u.Unanswered) > 0 {
		add("the receiver does not answer: %d of %d settings of [gnss.ublox] are not made; hint: its RX is not wired, UBX input is off on this port, or it is no u-blox", len(u.Unanswered), u.Settings)
	}
}

// firmwareProblems says what keeps updates from being verified, or the release
// desk from knowing.
func firmwareProblems(f *health.Firmware, add func(format string, args ...any)) {
	if t := f.Attempt; t != nil && t.Error != "" {
		add("firmware: %s", t.Trouble())
	}
	if f.Waiting {
		add("firmware: report %d could not be sealed yet", f.Reports)
	}
}

// why is what a start found that could not be counted.
func why(err error) string {
	switch {
	case errors.Is(err, unix.ENOSPC):
		return "was full at the start; recording begins when uploading has made room"
	case errors.Is(err, unix.EROFS):
		return "is read-only, as a worn one ends; hint: replace the medium, then restart the agent"
	}
	return "could not be written at the start: " + err.Error()
}

// lossCounts says what was lost since the unit was set up.
func lossCounts(u spool.Usage) string {
	return fmt.Sprintf("ever: %d gave way to others on a full disk, %d were damaged", u.Evicted.All().Objects, u.Damaged.All().Objects)
}

func (a *Agent) noHealth() string {
	if _, ok := a.cfg.Streams.For(policy.Health); ok {
		return " yet"
	}
	return "; hint: add a [[stream]] with from = [\"health\"]"
}
