package crash

import (
	"context"
	"errors"
	"fmt"
	"os"
	"slices"
	"time"

	"roadseal/cmd/internal/bench/player"
)

// A tracer gives what is put before a program when it is started for the nth
// time in a run, from 0; nil puts nothing.
type tracer func(n int) []string

func (t tracer) before(n int) []string {
	if t == nil {
		return nil
	}
	return t(n)
}

// untraced starts both programs as they are.
var untraced [2]tracer

// drive is the run that is cut: two trips, with a stop between them. In the
// first the vehicle records and uploads; the last fixes are left for the
// second, in which a delivered clip is locked, and one comes for which others must
// give way. It returns early, with errEnded, when the agent has ended by itself.
func (l *lane) drive(ctx context.Context, tracers [2]tracer) error {
	l.nurse, l.starts = tracers[cloud], 0
	if err := l.plug(); err != nil {
		return err
	}
	trips := []func(context.Context) error{l.firstTrip, l.secondTrip}
	for n, trip := range trips {
		l.up = false
		if err := l.await(ctx, "the collector is connected", l.nursed(l.connected)); err != nil {
			return err
		}
		if err := l.startAgent(tracers[vehicle].before(n)...); err != nil {
			return err
		}
		if err := l.await(ctx, "the agent watches the recorders", l.nursed(l.watching), l.agent); err != nil {
			return err
		}
		l.up = true
		if err := trip(ctx); err != nil {
			return err
		}
		if err := l.agent.stop(); err != nil {
			return err
		}
		l.trips++
	}
	return nil
}

func (l *lane) firstTrip(ctx context.Context) error {
	said := player.Recording{Epochs: []player.Epoch{{Bytes: sentences(fixes)}}}
	if err := l.line.Play(ctx, said, 1, player.Clock{Start: time.Now(), Speed: 1}); err != nil {
		return err
	}
	for _, c := range l.cast.first {
		if err := l.finish(c, false); err != nil {
			return err
		}
	}
	done := l.nursed(func() bool {
		return l.count(func(o spooled) bool { return o.state == stored || o.stream == heldStream }) >= len(l.cast.first)
	})
	return errors.Join(l.await(ctx, "the first clips are delivered", done, l.agent), l.unplug())
}

func (l *lane) secondTrip(ctx context.Context) error {
	if err := l.press(); err != nil {
		return err
	}
	promoted := l.nursed(func() bool {
		return l.count(func(o spooled) bool {
			return o.state == stored && o.class == longest && o.size == l.cast.first[0].sealed
		}) > 0
	})
	if err := l.await(ctx, "the locked clip is delivered to be kept longer", promoted, l.agent); err != nil {
		return err
	}
	if err := l.finish(l.cast.later, false); err != nil {
		return err
	}
	done := l.nursed(func() bool {
		return l.count(func(o spooled) bool { return o.state == stored && o.size == l.cast.later.sealed }) > 0 && l.count(waiting) == 0
	})
	return l.await(ctx, "the later clip and the fixes are delivered", done, l.agent)
}

// fixes are few enough to fit into the buffer of a terminal.
const fixes = 8

// nursed is a condition while which the collector is started again whenever it
// has ended.
func (l *lane) nursed(ask func() bool) func() (bool, error) {
	return func() (bool, error) {
		if !l.collector.running() {
			if err := l.collector.panicked(); err != nil {
				return false, err
			}
			if err := l.startCollector(l.nurse.before(l.starts)...); err != nil {
				return false, err
			}
			l.starts++
		}
		return ask(), nil
	}
}

// recover is the start after a cut, until all is delivered. A second fault may
// be waiting in the tracers.
func (l *lane) recover(ctx context.Context, tracers [2]tracer) error {
	if !l.collector.running() {
		if err := l.startCollector(tracers[cloud].before(0)...); err != nil {
			return err
		}
	}
	ask := func(f func() bool) func() (bool, error) { return func() (bool, error) { return f(), nil } }
	if err := l.await(ctx, "the collector is connected", ask(l.connected), l.collector); err != nil {
		return err
	}
	if err := errors.Join(l.unplug(), l.press(), l.startAgent(tracers[vehicle].before(0)...)); err != nil {
		return err
	}
	if err := l.await(ctx, "the agent watches the recorders", ask(l.watching), l.agent); err != nil {
		return err
	}
	if err := l.deliver(ctx, l.cast.first...); err != nil {
		return err
	}
	if err := l.deliver(ctx, l.cast.later, l.cast.after); err != nil {
		return err
	}
	return errors.Join(l.agent.stop(), l.collector.stop())
}

// press is what a driver did meanwhile: a clip has another name.
func (l *lane) press() error {
	for _, c := range l.cast.first {
		if c.renamed == "" {
			continue
		}
		err := os.Rename(l.path("vehicle", c.path(false)), l.path("vehicle", c.path(true)))
		if ignoreMissing(err) != nil {
			return err
		}
	}
	return nil
}

// deliver has clips finished by their recorders and waits until they are where
// they belong and nothing is left to do.
func (l *lane) deliver(ctx context.Context, clips ...clip) error {
	for _, c := range clips {
		if c.folder == movedFolder && !l.present(c) {
			continue // it was removed before the cut
		}
		if err := l.finish(c, true); err != nil {
			return err
		}
	}
	return l.await(ctx, "all is delivered", func() (bool, error) { return l.settled(clips) }, l.agent, l.collector)
}

// settled reports whether clips are where they belong: in the store, in the
// spool if they are held, or on the record of losses. That an object is not in
// the store although the agent has a receipt for it is an error at once.
func (l *lane) settled(clips []clip) (bool, error) {
	there, err := l.spooled() // before the store, which has all that is delivered
	if err != nil {
		return false, err
	}
	r, err := l.ledger()
	if err != nil {
		return false, err
	}
	if names := l.absent(there, r.losses); len(names) > 0 {
		return false, fmt.Errorf("%w: object %.8s was durable in the spool and is neither there nor in the store", errLost, names[0])
	}
	for _, o := range there {
		if o.state == stored && !l.store.has(o.name) {
			return false, fmt.Errorf("%w: object %.8s has a receipt and is not in the store", errLost, o.name)
		}
	}
	for _, c := range clips {
		done := l.store.keeps(c) || c.held && len(l.spool.names(c)) > 0 || c.gaveWay(r.losses)
		if !done || c.folder == movedFolder && l.present(c) {
			return false, nil
		}
	}
	// Now, and not before: a clip that was just found may wait for its receipt.
	there, err = l.spooled()
	return !slices.ContainsFunc(there, waiting), err
}

// errLost says that what cannot be made good was seen during a recovery.
var errLost = errors.New("lost")

// present reports whether the recorder has a clip.
func (l *lane) present(c clip) bool {
	for _, cut := range []bool{false, true} {
		if _, err := os.Stat(l.path("vehicle", c.path(cut))); err == nil {
			return true
		}
	}
	return false
}
