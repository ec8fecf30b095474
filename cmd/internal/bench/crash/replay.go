package crash

import (
	"context"
	"fmt"
	"math/rand/v2"
	"time"

	"roadseal/cmd/internal/bench/crash/disk"
)

// replay lets the programs recover from each state that a cut of a party's
// power could have left, or from most of them, drawn by the seed.
func (k *kit) replay(ctx context.Context, r *recording, cut party, most int) (*Sweep, error) {
	s := newSweep("replay " + cut.String())
	states := k.draw(s, r.unique(cut, disk.None, false), most)
	err := k.each(ctx, k.o.Plan.Busy, func(l *lane, i int) (bool, error) {
		if i >= len(states) {
			return false, nil
		}
		flaws, err := l.revive(ctx, states[i])
		if err != nil {
			return false, err
		}
		s.point(states[i].why, flaws)
		return true, nil
	})
	return s.end(), err
}

// unique are the states of both models, each once; of equal ones that which
// promises most.
func (r *recording) unique(cut party, dropped int, ends bool) (all []state) {
	seen := map[uint64]int{}
	for _, m := range disk.Models {
		for st := range r.states(cut, m, dropped, ends) {
			st.why = m.Name + ", " + st.why
			i, again := seen[st.digest]
			switch {
			case !again:
				seen[st.digest] = len(all)
				all = append(all, st)
			case len(st.promised) > len(all[i].promised):
				all[i] = st
			}
		}
	}
	return all
}

// draw shuffles states and keeps most of them.
func (k *kit) draw(s *Sweep, states []state, most int) []state {
	states = k.shuffled(states)
	s.Of = len(states)
	if most > 0 && len(states) > most {
		return states[:most]
	}
	return states
}

func (k *kit) shuffled(states []state) []state {
	rng := rand.New(rand.NewPCG(k.o.Seed, 3))
	rng.Shuffle(len(states), func(i, j int) { states[i], states[j] = states[j], states[i] })
	return states
}

// revive lays out a state, lets the programs recover and judges. An error is
// one of the bench.
func (l *lane) revive(ctx context.Context, st state) ([]flaw, error) {
	return l.reviveWithin(ctx, st, patience)
}

func (l *lane) reviveWithin(ctx context.Context, st state, patience time.Duration) ([]flaw, error) {
	if err := l.reset(st.trees[vehicle], st.trees[cloud]); err != nil {
		return nil, fmt.Errorf("cannot lay out a state: %w", err)
	}
	l.patience, l.promised = patience, st.promised
	flaws := l.examine(l.recover(ctx, untraced))
	return flaws, ctx.Err()
}
