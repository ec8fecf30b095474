// Package agent is the vehicle's side of roadseal: it wires the parts together
// and owns every goroutine. New opens what the configuration names; Run works
// until its context ends or power fails, and makes the last fixes durable
// before it returns.
//
// It moves no data itself: fixes and segments pass from the hal packages to
// agent/intake, sealed objects from there to agent/spool and agent/uplink.
//
// Side: root.
package agent

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"path/filepath"
	"sync"
	"sync/atomic"
	"time"

	"golang.org/x/sync/errgroup"
	"golang.org/x/sys/unix"

	"roadseal/agent/config"
	"roadseal/agent/health"
	"roadseal/agent/intake"
	"roadseal/agent/policy"
	"roadseal/agent/profile"
	"roadseal/agent/spool"
	"roadseal/agent/track"
	"roadseal/agent/uplink"
	"roadseal/agent/wire"
	"roadseal/crypto/mtls"
	"roadseal/crypto/seal"
	"roadseal/firmware"
	"roadseal/firmware/fetch"
	"roadseal/hal/durable"
	"roadseal/hal/vehicle"
	"roadseal/hal/watchdog"
)

// SpoolDir is the folder of the spool in the state directory.
const SpoolDir = "spool"

// lockFile keeps a second agent out of the state directory.
const lockFile = "lock"

// Options are what an Agent is made of.
type Options struct {
	Config  *config.Config
	Version string    // of the software, for status
	Build   time.Time // of the software: no trusted time is earlier
	Log     *slog.Logger
	// Watchdog learns of the progress of every worker; nil = one that tells
	// nobody but the status.
	Watchdog *watchdog.Watchdog
}

// An Agent is made by New, run once and closed.
type Agent struct {
	opt      Options
	cfg      *config.Config
	log      *slog.Logger
	boot     uint32
	since    uint32 // start from which on the streams have their readers
	started  time.Time
	sequence atomic.Uint32

	state, queue, run *durable.Disk
	verified          *durable.Disk // folder of the updater; nil without [firmware]
	lock              io.Closer
	clock             *mtls.Clock
	saving            sync.Mutex   // held while the floor is written
	saved             atomic.Int64 // Unix time of the floor that is durable
	identity          mtls.Identity
	pace              *profile.Pace // of all connections with the broker

	spool    *spool.Spool
	intake   *intake.Intake
	uplink   *uplink.Uplink
	vehicle  *vehicle.Vehicle
	cameras  []intake.Camera
	receiver *receiver         // nil without [gnss]
	updater  *firmware.Updater // nil without [firmware]
	https    *fetch.HTTPS      // nil without [firmware] url

	power chan struct{}
	told  told  // losses of which the key holder is being told
	full  error // why this start could not be counted: it uploads only

	damages []string // of the state directory, found at the start
}

// New checks everything that can be checked without waiting and opens the
// state. Its errors are those of the configuration or of the installation.
func New(o Options) (*Agent, error) {
	if err := seal.SelfTest(); err != nil {
		return nil, fmt.Errorf("the sealing self-test does not pass on this processor, nothing is started: %w", err)
	}
	if o.Watchdog == nil {
		o.Watchdog = watchdog.New(watchdog.Notifier{}, o.Log)
	}
	cfg := *o.Config
	a := &Agent{opt: o, cfg: &cfg, log: o.Log, started: time.Now(), power: make(chan struct{}, 1)}
	if err := a.open(); err != nil {
		return nil, errors.Join(err, a.Close())
	}
	return a, nil
}

func (a *Agent) open() (err error) {
	// First what a person may have got wrong: nothing has been made yet.
	if _, a.identity, err = mtls.Client(TLS(a.cfg, mtls.NewClock(a.opt.Build))); err != nil {
		return err
	}
	if err := wire.CheckDevice(a.identity.CommonName); err != nil {
		return fmt.Errorf("[device] certificate: %w", err)
	}
	var offers firmware.Options
	if a.cfg.Firmware != nil {
		if offers, err = updates(a.cfg, mtls.NewClock(a.opt.Build)); err != nil {
			return err
		}
	}
	if a.run, err = durable.OpenDisk(a.cfg.Device.Run); err != nil {
		return fmt.Errorf("[device] run: %w", err)
	}
	if a.state, err = durable.OpenDisk(a.cfg.Device.State); err != nil {
		return fmt.Errorf("[device] state: %w", err)
	}
	if a.lock, err = a.state.Lock(lockFile); err != nil {
		if errors.Is(err, durable.ErrLocked) {
			err = errors.New("another roadseal-agent works in this directory; stop it first")
		}
		return fmt.Errorf("[device] state: %w", err)
	}
	if a.queue, err = durable.OpenDisk(filepath.Join(a.cfg.Device.State, SpoolDir)); err != nil {
		return fmt.Errorf("[device] state: %w", err)
	}
	if a.cfg.Firmware != nil {
		if a.verified, err = durable.OpenDisk(filepath.Join(a.cfg.Device.State, FirmwareDir)); err != nil {
			return fmt.Errorf("[device] state: %w", err)
		}
	}
	floor, err := timeFloor(a.state, a.opt.Build)
	if err != nil {
		return err
	}
	a.clock = mtls.NewClock(floor)
	a.saved.Store(floor.Unix())
	var damage string
	a.boot, damage, err = nextBoot(a.state, func() (uint32, error) { return spool.LastBoot(a.queue) })
	a.damaged(damage)
	if err == nil {
		a.since, err = readersSince(a.state, a.cfg.Streams, a.boot)
	}
	if errors.Is(err, unix.ENOSPC) || errors.Is(err, unix.EROFS) || errors.Is(err, unix.EIO) {
		a.full, err = err, nil // what is sealed can still be uploaded, which makes room
	}
	if err != nil {
		return err
	}
	return a.assemble(offers)
}

// damaged notes what was found amiss in the state directory; "" is nothing.
func (a *Agent) damaged(what string) {
	if what != "" {
		a.damages = append(a.damages, what)
		a.log.Warn("state directory", "damage", what)
	}
}

// TLS is how a configuration connects to its broker, by a clock.
func TLS(c *config.Config, clock *mtls.Clock) mtls.Options {
	return mtls.Options{
		Files:      mtls.Files{Certificate: c.Device.Certificate, Key: c.Device.Key, CA: c.Broker.CA},
		ServerName: c.Broker.ServerName, Clock: clock, Bench: c.Bench.Enabled,
	}
}

// assemble builds the parts, from the spool outwards.
func (a *Agent) assemble(offers firmware.Options) (err error) {
	key, damage, err := tagKey(a.state)
	if err != nil {
		return err
	}
	a.damaged(damage)
	a.spool, err = spool.Open(a.queue, spool.Options{MaxBytes: int64(a.cfg.Spool.MaxBytes), KeepFree: int64(a.cfg.Spool.KeepFree),
		Shares: shares(a.cfg.Spool), Slots: a.cfg.Collector.Stanzas, Order: a.cfg.Streams.Order})
	if err != nil {
		return err
	}
	if a.full != nil {
		a.cfg.Cameras, a.cfg.GNSS = nil, nil // nothing may be named by a start that is not counted
	}
	for _, c := range a.cfg.Cameras {
		cam, err := a.camera(c)
		if err != nil {
			return err
		}
		a.cameras = append(a.cameras, cam)
	}
	var rec *track.Recorder
	if st, ok := a.cfg.Streams.For(policy.GNSS); ok && a.cfg.GNSS != nil {
		rec = track.NewRecorder(track.Options{Boot: a.boot, Sequence: a.next, MaxAge: st.MaxAge.Duration})
		a.receiver = newReceiver(a, rec)
	}
	a.vehicle, err = vehicle.New(vehicle.Options{Ignition: a.cfg.Vehicle.Ignition, Log: a.log, Changed: func(on bool) {
		if !on && rec != nil {
			rec.Cut() // the trip is over: its end need not wait for the age limit
		}
	}})
	if err != nil {
		return fmt.Errorf("[vehicle] ignition: %w", err)
	}
	a.intake = intake.New(intake.Options{Streams: a.cfg.Streams, Cameras: a.cameras, Track: rec, Spool: a.spool,
		Slots: a.cfg.Collector.Stanzas, TagKey: key, Boot: a.boot, Since: a.since, Sequence: a.next, Vehicle: a.cfg.Vehicle.Number, Log: a.log})
	var down uplink.Downloads
	if a.cfg.Firmware != nil && a.full == nil {
		if down, err = a.verify(offers); err != nil {
			return err
		}
	}
	a.pace = profile.NewPace(a.cfg.Broker.Limits)
	a.uplink = uplink.New(uplink.Options{Device: a.identity.CommonName, Dial: a.dial, Queue: a.spool,
		ReceiptKeys: a.cfg.Collector.ReceiptKeys, BlocksPerMessage: a.cfg.Broker.Limits.Blocks(),
		Receipt: a.receipt, Downloads: down, Log: a.log})
	return nil
}

// shares are the percentages of [spool] shares in bytes.
func shares(c config.Spool) (all [spool.Classes]int64) {
	for i, percent := range c.Shares {
		all[i] = int64(c.MaxBytes) / 100 * int64(percent)
	}
	return all
}

// next is the next free sequence number of this start.
func (a *Agent) next() uint32 { return a.sequence.Add(1) }

// Close releases what New opened.
func (a *Agent) Close() error {
	var errs []error
	for _, d := range []*durable.Disk{a.verified, a.queue, a.state, a.run} {
		if d != nil {
			errs = append(errs, d.Close())
		}
	}
	if a.lock != nil {
		errs = append(errs, a.lock.Close())
	}
	return errors.Join(errs...)
}

// PowerFail tells a running agent that power lasts for [vehicle] holdup only.
func (a *Agent) PowerFail() {
	select {
	case a.power <- struct{}{}:
	default:
	}
}

// flushTime bounds what a clean stop may take, see cmd/roadseal-agent.
const flushTime = 4 * time.Second

// Run works until ctx ends or power fails. Uploads stop at once then; the open
// track document is made durable first, without waiting for the broker to be
// left or a clip to be synced, and on a power failure event clips are sealed
// while power lasts.
func (a *Agent) Run(ctx context.Context) error {
	asked := ctx
	watch, stop := context.WithCancel(context.WithoutCancel(ctx))
	defer stop()
	var folders errgroup.Group // they watch on while the last event clips are sealed
	for _, c := range a.cameras {
		a.work(watch, &folders, worker{"folder of camera " + c.Name, c.Folder.Run})
	}
	ctx, end := context.WithCancel(ctx)
	defer end()
	var others errgroup.Group
	workers := []worker{{"sealing", a.intake.Segments}, {"uplink", a.uplink.Run}, {"report", a.report},
		{"health stream", a.tell}, {"room on the disk", a.awaitRoom}}
	if a.updater != nil {
		workers = append(workers, worker{"firmware", a.lookForUpdates})
	}
	for _, w := range workers {
		run := w.run
		w.run = func(ctx context.Context) error {
			defer end() // none ends before ctx but by a fault
			return unlessCanceled(run(ctx))
		}
		a.work(ctx, &others, w)
	}
	since, power, err := a.record(ctx, end)
	if asked.Err() != nil { // where power fails, nobody waits for the end
		a.tellManager(a.opt.Watchdog.Stopping())
	}
	err = errors.Join(unlessCanceled(err), a.finish(since, power))
	stop()
	err = errors.Join(err, others.Wait(), unlessCanceled(folders.Wait()))
	last := a.status()
	last.Stopped = true
	if werr := health.Write(a.run, last); werr != nil {
		a.log.Warn("cannot write the last status", "reason", werr)
	}
	return err
}

// A worker is a part with a loop of its own. Its name is for logs.
type worker struct {
	name string
	run  func(context.Context) error
}

// work starts a worker in g, under the eyes of the watchdog.
func (a *Agent) work(ctx context.Context, g *errgroup.Group, w worker) {
	g.Go(func() error {
		ctx, leave := a.opt.Watchdog.Join(ctx, w.name)
		defer leave()
		return w.run(ctx)
	})
}

// watch tells the service manager that the agent has begun, and for as long as
// every worker makes progress that it lives. It is started after them.
func (a *Agent) watch(ctx context.Context) error {
	a.tellManager(a.opt.Watchdog.Ready("started"))
	return a.opt.Watchdog.Run(ctx)
}

// tellManager notes that the service manager could not be told something.
func (a *Agent) tellManager(err error) {
	if err != nil {
		a.log.Warn("cannot tell the service manager", "reason", err)
	}
}

// record runs the way of the fixes until ctx ends. It reports when that was,
// and whether failing power was the reason, which also ends ctx.
func (a *Agent) record(ctx context.Context, end context.CancelFunc) (since time.Time, power bool, err error) {
	defer end()
	g, ctx := errgroup.WithContext(ctx)
	workers := []worker{{"ignition", a.vehicle.Run}, {"sealing of fixes", a.intake.Documents}}
	if a.receiver != nil {
		workers = append(workers, worker{"serial port", a.receiver.Run})
	}
	for _, w := range workers {
		a.work(ctx, g, w)
	}
	g.Go(func() error { return a.watch(ctx) })
	g.Go(func() error {
		select {
		case <-ctx.Done():
		case <-a.power:
			power = true
			end()
		}
		since = time.Now()
		return nil
	})
	err = g.Wait()
	return since, power, err
}

// finish makes durable what is in memory only. Its time counts from the end.
func (a *Agent) finish(since time.Time, power bool) error {
	limit := flushTime
	if power {
		limit = a.cfg.Vehicle.HoldUp.Duration
		a.log.Warn("power is failing", "holdup", limit)
	}
	ctx, stop := context.WithDeadline(context.Background(), since.Add(limit))
	defer stop()
	err := a.intake.Flush(ctx)
	a.saveTime()
	if power {
		a.intake.Events(ctx)
	} else {
		a.tellLast(ctx)
	}
	return err
}

func unlessCanceled(err error) error {
	if errors.Is(err, context.Canceled) {
		return nil
	}
	return err
}
