package crash

import (
	"context"
	"fmt"
	"math/rand/v2"

	"roadseal/cmd/internal/bench/crash/disk"
)

// doubles draws states that a cut of power has left, and kills a program once
// more while it recovers from them.
func (k *kit) doubles(ctx context.Context, r *recording, points int) (*Sweep, error) {
	s := newSweep("double either")
	states := append(r.unique(vehicle, disk.None, false), r.unique(cloud, disk.None, false)...)
	rng := rand.New(rand.NewPCG(k.o.Seed, 4))
	type drawn struct {
		state
		of  party
		nth int
	}
	var all []drawn
	for range points {
		all = append(all, drawn{states[rng.IntN(len(states))], party(rng.IntN(2)), 1 + rng.IntN(secondFaults)})
	}
	err := k.each(ctx, k.o.Plan.Busy, func(l *lane, i int) (bool, error) {
		if i >= len(all) {
			return false, nil
		}
		d := all[i]
		t := &trap{l: l, root: l.root(d.of), nth: d.nth}
		flaws, err := l.doubled(ctx, t, d.state, d.of)
		if t.hit == "" && len(flaws) == 0 {
			s.count("ended before their second fault")
			return true, err
		}
		s.point(fmt.Sprintf("%s; then %v, call %d, %s", d.why, d.of, d.nth, t.hit), flaws)
		return true, err
	})
	s.Of = len(all)
	return s.end(), err
}

// secondFaults bounds where the second fault is looked for: about as many
// calls as a recovery makes.
const secondFaults = 60

// doubled recovers from a state under a trap, and then without.
func (l *lane) doubled(ctx context.Context, t *trap, st state, of party) ([]flaw, error) {
	if err := l.reset(st.trees[vehicle], st.trees[cloud]); err != nil {
		return nil, err
	}
	l.promised = st.promised
	var tracers [2]tracer
	tracers[of] = t.tracer
	err := l.recover(ctx, tracers)
	hit := t.disarm()
	l.agent.kill()
	l.collector.kill()
	t.close()
	if ctx.Err() != nil {
		return nil, ctx.Err()
	}
	if hit {
		err = l.recover(ctx, untraced)
	}
	return l.examine(err), ctx.Err()
}
