// Package vehicle tells whether the ignition is on, from what an integrator
// can offer: a file that another program keeps, the speed of the fixes, or
// nothing at all.
//
// Side: any.
package vehicle

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"log/slog"
	"math"
	"os"
	"strings"
	"sync/atomic"
	"time"

	"golang.org/x/sys/unix"

	"roadseal/hal/watchdog"
)

// How ignition is told from speed. A receiver at rest reports up to about
// 1 m/s; the longest red lights last two minutes.
const (
	MovingSpeed = 1.5               // m/s; above it the vehicle moves
	RestTime    = 120 * time.Second // without moving until the ignition counts as off
)

// pollInterval is how often the source is asked.
const pollInterval = time.Second

// Options describe where the ignition is read.
type Options struct {
	Ignition string        // "file:PATH" with content 1 or 0, on or off; "speed"; or "" = always on
	Changed  func(on bool) // called from Run at each change; may be nil
	Log      *slog.Logger  // nil = no log
}

// A Vehicle knows the ignition. Its methods may be called at the same time.
type Vehicle struct {
	opt      Options
	path     string // of the ignition file, or ""
	problem  string // with that file, as logged
	on       atomic.Bool
	started  time.Time    // with its monotonic clock
	lastMove atomic.Int64 // nanoseconds after started, plus 1; 0 = never
}

// New returns the Vehicle of o. Before Run has looked, the ignition is off,
// unless it is always on.
func New(o Options) (*Vehicle, error) {
	if o.Log == nil {
		o.Log = slog.New(slog.DiscardHandler)
	}
	v := &Vehicle{opt: o, started: time.Now()}
	path, isFile := strings.CutPrefix(o.Ignition, "file:")
	switch {
	case isFile && path != "":
		v.path = path
	case isFile:
		return nil, errors.New(`ignition "file:" names no file: expected "file:PATH"`)
	case o.Ignition == "":
		v.on.Store(true)
	case o.Ignition != "speed":
		return nil, fmt.Errorf(`ignition %q is not known: expected "file:PATH", "speed", or "" for always on`, o.Ignition)
	}
	return v, nil
}

// Ignition reports whether the ignition is on.
func (v *Vehicle) Ignition() bool { return v.on.Load() }

// Speed takes the speed of a fix in m/s; NaN and infinity say nothing.
func (v *Vehicle) Speed(mps float64) {
	if mps > MovingSpeed && !math.IsInf(mps, 1) {
		v.lastMove.Store(int64(time.Since(v.started)) + 1)
	}
}

// Run follows the ignition until ctx ends and returns ctx's error.
func (v *Vehicle) Run(ctx context.Context) error {
	if v.opt.Ignition == "" {
		return watchdog.Park(ctx)
	}
	tick := time.NewTicker(pollInterval)
	defer tick.Stop()
	for {
		watchdog.Beat(ctx)
		if on := v.look(); on != v.on.Swap(on) && v.opt.Changed != nil {
			v.opt.Changed(on)
		}
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-tick.C:
		}
	}
}

func (v *Vehicle) look() bool {
	if v.path != "" {
		return v.readFile()
	}
	last := v.lastMove.Load()
	return last != 0 && time.Since(v.started)-time.Duration(last-1) < RestTime
}

// readFile reads the ignition file. A missing file is an ignition that is off;
// content that says neither changes nothing, as a writer may be half-way.
func (v *Vehicle) readFile() bool {
	content, err := readSmall(v.path)
	if err != nil {
		v.report(fmt.Sprintf("%v; the ignition counts as off until it can be read", err))
		return false
	}
	switch strings.ToLower(strings.TrimSpace(content)) {
	case "1", "on":
		v.report("")
		return true
	case "0", "off":
		v.report("")
		return false
	case "":
		return v.on.Load()
	}
	v.report("content is neither 1 or on nor 0 or off")
	return v.on.Load()
}

// report logs a problem with the ignition file once, and its end.
func (v *Vehicle) report(problem string) {
	switch {
	case problem == v.problem:
		return
	case problem == "":
		v.opt.Log.Info("ignition file is good again", "file", v.path)
	default:
		v.opt.Log.Warn("cannot read the ignition file", "file", v.path, "reason", problem)
	}
	v.problem = problem
}

// readSmall reads the beginning of a regular file; it never waits for a FIFO.
func readSmall(path string) (string, error) {
	f, err := os.OpenFile(path, os.O_RDONLY|unix.O_NONBLOCK, 0)
	var p *fs.PathError
	if errors.As(err, &p) {
		return "", p.Err // the log line names the path
	}
	if err != nil {
		return "", err
	}
	defer f.Close()
	info, err := f.Stat()
	if err != nil {
		return "", err
	}
	if !info.Mode().IsRegular() {
		return "", errors.New("not a regular file")
	}
	b, err := io.ReadAll(io.LimitReader(f, 64))
	return string(b), err
}
