package crash

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"time"

	"roadseal/cmd/internal/bench/crash/disk"
	"roadseal/cmd/internal/bench/player"
	"roadseal/cmd/internal/broker"
	"roadseal/crypto/mtls"
)

// A lane is a place for one vehicle, one broker and one collector:
//
//	vehicle/state        of the agent; not there before its first start
//	vehicle/kept, moved  the recorders' folders
//	cloud/store          of the collector; not there before its first start
//	run, watch           what both programs keep in a tmpfs
//
// Its methods are called from one goroutine.
type lane struct {
	*kit
	dir       string
	line      *player.Port
	broker    *broker.Broker
	agent     *actor
	collector *actor
	store     *shelf
	spool     *shelf               // undelivered objects that were met there
	promised  []string             // names of objects that are durable in the spool, or were
	patience  time.Duration        // for whatever is waited for
	more      func() time.Duration // asked once when it is over; may be nil
	pens      []*os.File           // what holds clips open, see hold
	trips     int                  // that ended gently
	up        bool                 // the agent has begun to work
	nurse     tracer               // of the collector, during a drive
	starts    int                  // of the collector, during a drive
}

func (k *kit) newLane(name string) (*lane, error) {
	l := &lane{kit: k, dir: filepath.Join(k.dir, name)}
	if err := os.MkdirAll(l.dir, 0o700); err != nil {
		return nil, err
	}
	var err error
	l.line, err = player.OpenPort(l.path("receiver"))
	return l, err
}

func (l *lane) path(parts ...string) string {
	return filepath.Join(append([]string{l.dir}, parts...)...)
}

// reset stops everything and lays out what a power cut has left.
func (l *lane) reset(vehicle, cloud disk.Tree) error {
	if err := l.halt(); err != nil {
		return err
	}
	conf, err := mtls.Server(mtls.Options{Files: mtls.Files{Certificate: l.certs.Broker.Certificate, Key: l.certs.Broker.Key, CA: l.certs.CA}, Bench: true})
	if err != nil {
		return err
	}
	if l.broker, err = broker.Start(broker.Options{Address: "127.0.0.1:0", TLS: conf}); err != nil {
		return err
	}
	l.patience, l.more, l.trips, l.up = patience, nil, 0, false
	l.promised = nil
	l.store = newShelf(l.path("cloud/store/pool"), "", l.keys)
	l.spool = newShelf(l.path(spoolFolder), "."+queued, l.keys)
	err = errors.Join(vehicle.Write(l.path("vehicle")), cloud.Write(l.path("cloud")),
		disk.Tree{}.Write(l.path("run")), disk.Tree{}.Write(l.path("watch")))
	for _, log := range []string{agentName, collectorName} {
		err = errors.Join(err, ignoreMissing(os.Remove(l.path(log+".log"))))
	}
	return errors.Join(err, l.configure(l), l.unplug())
}

// halt kills what runs.
func (l *lane) halt() error {
	l.agent.kill()
	l.collector.kill()
	l.agent, l.collector = nil, nil
	for _, p := range l.pens {
		_ = p.Close() // nothing was written
	}
	l.pens = nil
	if l.broker == nil {
		return nil
	}
	b := l.broker
	l.broker = nil
	return b.Close()
}

func (l *lane) close() error {
	return errors.Join(l.halt(), l.line.Close())
}

// plug lets the agent find the receiver, unplug takes it away.
func (l *lane) plug() error {
	return errors.Join(l.line.Release(), os.Symlink(l.line.Path(), l.path("gnss")))
}

func (l *lane) unplug() error { return ignoreMissing(os.Remove(l.path("gnss"))) }

func ignoreMissing(err error) error {
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	return err
}

// Names of the programs.
const (
	agentName     = "agent"
	collectorName = "collector"
)

func (l *lane) startAgent(tracer ...string) (err error) {
	args := append(tracer, l.o.Emulator...)
	l.agent, err = start(agentName, l.dir, len(tracer) > 0, append(args, l.o.Agent, "run", "--config", l.path("agent.toml"))...)
	return err
}

func (l *lane) startCollector(tracer ...string) (err error) {
	// The status of an earlier start would say what no longer holds.
	if err := (disk.Tree{}).Write(l.path("watch")); err != nil {
		return err
	}
	l.collector, err = start(collectorName, l.dir, len(tracer) > 0, append(tracer, l.o.Collector, "serve", "--config", l.path("collector.toml"))...)
	return err
}

// connected reports whether the collector listens to the vehicles.
func (l *lane) connected() bool {
	b, err := os.ReadFile(l.path("watch/status.json"))
	var s struct {
		Connected bool `json:"connected"`
	}
	return err == nil && json.Unmarshal(b, &s) == nil && s.Connected
}

// watching reports whether the agent watches both recorders.
func (l *lane) watching() bool {
	return l.agent.watches(l.path("vehicle", keptFolder)) && l.agent.watches(l.path("vehicle", movedFolder))
}

// Intervals and bounds of waiting.
const (
	firstLook = time.Millisecond // grows with the time that was waited
	lastLook  = 25 * time.Millisecond
	patience  = time.Minute // on a slow machine that has other work
)

// errEnded says that a program that was waited for has ended.
var errEnded = errors.New("it has ended")

// await waits until what holds. It gives up when one of the actors ends, or
// when its patience is over.
func (l *lane) await(ctx context.Context, what string, holds func() (bool, error), actors ...*actor) error {
	begin, limit, more := time.Now(), l.patience, l.more
	for {
		if ok, err := holds(); ok || err != nil {
			return err
		}
		for _, a := range actors {
			if !a.running() {
				return fmt.Errorf("%s: %w", a.name, errEnded)
			}
		}
		if time.Since(begin) > limit && more != nil {
			limit, more = limit+more(), nil
		}
		if time.Since(begin) > limit {
			return fmt.Errorf("waited %s in vain for this: %s", limit, what)
		}
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-time.After(min(max(time.Since(begin)/8, firstLook), lastLook)):
		}
	}
}

// finish does what a recorder does at the end of a clip: it closes the file.
// One that is there already is only touched.
func (l *lane) finish(c clip, cut bool) error {
	path := l.path("vehicle", c.path(cut))
	if i := slices.IndexFunc(l.pens, func(p *os.File) bool { return p.Name() == path }); i >= 0 {
		pen := l.pens[i]
		l.pens = slices.Delete(l.pens, i, i+1)
		return pen.Close()
	}
	f, err := os.OpenFile(path, os.O_WRONLY, 0)
	if err == nil {
		return f.Close()
	}
	if !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	return os.WriteFile(path, c.data, 0o600)
}

// hold is what a recorder does while it records: it has the file open. So that
// the agent leaves one alone that is there from the start.
func (l *lane) hold(c clip, cut bool) error {
	pen, err := os.OpenFile(l.path("vehicle", c.path(cut)), os.O_WRONLY, 0)
	if err == nil {
		l.pens = append(l.pens, pen)
	}
	return err
}
