package bench

import (
	"context"
	"maps"
	"math/rand/v2"
	"slices"

	"roadseal/agent/wire"
	"roadseal/cmd/internal/bench/capture"
)

// chaos kills processes in mid-upload, in an order that the seed decides.
type chaos struct {
	rng   *rand.Rand
	order []string // victims to come
	due   int      // DATA messages from which the next one may be killed
}

// apart is how many DATA messages lie between two kills at least: what the
// first has cost shows within one window after it, and is then not charged to
// the second.
const apart = 2 * wire.Window

func newChaos(k Kills, seed uint64) *chaos {
	c := &chaos{rng: rand.New(rand.NewPCG(seed, 3))}
	for _, name := range slices.Sorted(maps.Keys(k)) {
		for range k[name] {
			c.order = append(c.order, name)
		}
	}
	c.rng.Shuffle(len(c.order), func(i, j int) { c.order[i], c.order[j] = c.order[j], c.order[i] })
	c.plan(0)
	return c
}

func (c *chaos) plan(now int) { c.due = now + apart + c.rng.IntN(wire.Window) }

// victim takes the next one from the order; an agent only if it may be killed.
// It is "" if nobody is to be killed now.
func (c *chaos) victim(l *capture.Ledger, agent bool) string {
	if len(c.order) == 0 || l.DataMessages < c.due || !l.MidUpload() {
		return ""
	}
	i := slices.IndexFunc(c.order, func(name string) bool { return agent || name != agentName })
	if i < 0 {
		return ""
	}
	name := c.order[i]
	c.order = slices.Delete(c.order, i, i+1)
	return name
}

// mayKillAgent is true once no fix is in the agent's memory only: before that,
// a kill may cost what is younger than max_age.
func (s *session) mayKillAgent() bool {
	return !s.lastFix.IsZero() && s.rig.sealedAllFixes(s.lastFix)
}

// strike kills a process, enters that after everything that passed before, and
// starts it again.
func (s *session) strike(ctx context.Context, name string) error {
	if err := s.rig.kill(name); err != nil {
		return err
	}
	if err := s.drain(); err != nil {
		return err
	}
	s.ledger.Kill(name)
	s.chaos.plan(s.ledger.DataMessages)
	return s.rig.revive(ctx, name)
}
