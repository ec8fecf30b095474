package crash

import (
	"context"
	"errors"
	"fmt"
	"sync/atomic"

	"roadseal/cmd/internal/bench/crash/disk"
)

// enoughMisses in a row say that a run has no more calls: two, because the
// number of messages differs a little from run to run.
const enoughMisses = 2

// kills kills a party at each of its durable calls, or at one of so many, in
// runs of their own, until there are no more.
func (k *kit) kills(ctx context.Context, of party, lanes int) (*Sweep, error) {
	s := newSweep("kill " + of.String())
	var misses atomic.Int32
	every := k.o.Plan.Every
	first := 1 + int(k.o.Seed%uint64(every))
	err := k.each(ctx, lanes, func(l *lane, i int) (bool, error) {
		t := &trap{l: l, root: l.root(of), nth: first + i*every}
		flaws, err := l.killed(ctx, t, of)
		if err != nil {
			return false, err
		}
		if t.hit == "" {
			return misses.Add(1) < enoughMisses, nil
		}
		misses.Store(0)
		if t.late {
			s.count("behind the call") // no less a moment to be killed
		}
		s.point(fmt.Sprintf("call %d, %s", t.nth, t.hit), flaws)
		return true, nil
	})
	return s.end(), err
}

// root is the directory whose files a party must not lose.
func (l *lane) root(of party) string { return l.path([...]string{"vehicle", "cloud"}[of]) }

// killed makes a run in which a trap is set for a party, and judges what is
// left after the next start.
func (l *lane) killed(ctx context.Context, t *trap, of party) ([]flaw, error) {
	if err := l.reset(l.cast.recorders(false), disk.Tree{}); err != nil {
		return nil, err
	}
	var tracers [2]tracer
	tracers[of] = t.tracer
	err := l.drive(ctx, tracers)
	hit := t.disarm()
	l.agent.kill()
	if of == cloud {
		l.collector.kill() // so that no trap is left
	}
	defer t.close()
	if ctx.Err() != nil {
		return nil, ctx.Err()
	}
	var flaws []flaw
	expected := of == vehicle && hit && (errors.Is(err, errEnded) || errors.Is(err, errBadEnd) && l.agent.killed())
	if err != nil && !expected {
		flaws = l.examine(err)
	}
	if len(flaws) == 0 && hit {
		flaws = l.examine(l.recover(ctx, untraced))
	}
	if len(flaws) == 0 && hit && l.trips > 0 {
		flaws = l.fixesThere()
	}
	return flaws, ctx.Err()
}
