package crash

import (
	"context"
	"fmt"
	"time"

	"roadseal/cmd/internal/bench/crash/disk"
)

// What does not recover at once is what is looked for; it may also be only
// slow, so that it is looked at again.
const (
	guardPatience = 4 * time.Second
	secondLook    = 20 * time.Second
)

// enoughStates are looked at where a reason is known why none will be broken.
const enoughStates = 25

// A Mutant is a sync that was taken out of the recording.
type Mutant struct {
	Sync   string `json:"sync"`             // what it makes durable
	States int    `json:"states"`           // that only its loss makes possible
	Looked int    `json:"looked"`           // at how many, until one was broken
	Seen   string `json:"seen,omitempty"`   // what was broken; "" = nothing
	Reason string `json:"reason,omitempty"` // why its loss breaks nothing, if that is known
}

// guard takes each sync of a party out of the recording and replays: a sweep
// that does not see the loss tests nothing there, or the sync is of no use.
func (k *kit) guard(ctx context.Context, r *recording, cut party) (*Sweep, []Mutant, error) {
	s := newSweep("guard " + cut.String())
	sound := map[uint64]int{} // promises by state
	for _, st := range r.unique(cut, disk.None, false) {
		sound[st.digest] = len(st.promised)
	}
	h := r.of[cut]
	syncs := h.Syncs()
	mutants := make([]Mutant, len(syncs))
	err := k.each(ctx, k.o.Plan.Busy, func(l *lane, i int) (bool, error) {
		if i >= len(syncs) {
			return false, nil
		}
		m := Mutant{Sync: h.Describe(syncs[i]), Reason: harmless(h, syncs[i])}
		if err := k.mutate(ctx, l, r, cut, syncs[i], sound, &m); err != nil {
			return false, err
		}
		mutants[i] = m
		s.mutant(i, m)
		return true, nil
	})
	s.Of = len(syncs)
	return s.end(), mutants, err
}

func (s *Sweep) mutant(i int, m Mutant) {
	switch {
	case m.Seen != "":
		s.count("seen")
		s.point("", nil)
	case m.Reason != "":
		s.count("harmless, with a reason")
		s.point("", nil)
	default:
		s.point(fmt.Sprintf("sync %d, %s", i+1, m.Sync), []flaw{{failure, "its loss breaks nothing: the sweep is blind there, or it can go"}})
	}
}

// mutate replays without one sync until a state is broken: first the ends of
// the pending ops, the latest cut first, where most depends on the sync.
func (k *kit) mutate(ctx context.Context, l *lane, r *recording, cut party, dropped int, sound map[uint64]int, m *Mutant) error {
	looked := map[uint64]bool{}
	for _, ends := range []bool{true, false} {
		var fresh []state
		for _, st := range r.unique(cut, dropped, ends) {
			if promised, known := sound[st.digest]; (!known || promised < len(st.promised)) && !looked[st.digest] {
				fresh = append(fresh, st)
				looked[st.digest] = true
			}
		}
		m.States += len(fresh)
		for _, st := range k.shuffled(fresh) {
			if m.Reason != "" && m.Looked >= enoughStates {
				return nil
			}
			m.Looked++
			flaws, err := l.reviveWithin(ctx, st, guardPatience)
			if err != nil {
				return err
			}
			if len(flaws) > 0 && flaws[0].kind == stuck {
				flaws, err = l.reviveWithin(ctx, st, secondLook)
			}
			if err != nil {
				return err
			}
			if len(flaws) > 0 {
				m.Seen, m.Reason = flaws[0].String()+" ("+st.why+")", ""
				return nil
			}
		}
	}
	return nil
}

// reasons tell, for a sync by its description, why its loss breaks nothing.
var reasons = map[string]string{
	"sync state/time.tmp after write state/time.tmp":                                       "the build date stands in for the trusted time, and the next receipt mends it",
	"syncdir state after rename state/time.tmp to state/time":                              "the build date stands in for the trusted time, and the next receipt mends it",
	"sync state/boot.tmp after write state/boot.tmp":                                       "a damaged counter goes on from the newest name in the spool, and here there is always one",
	"sync state/spool/reserve.tmp after write state/spool/reserve.tmp":                     "the reserve counts where the disk is full, and here it never is",
	"syncdir moved after unlink moved/CLIP":                                                "a clip that comes back is known by its tag and removed again; tags are dropped only beyond 4,096",
	"syncdir state/spool after unlink state/spool/OBJECT.stored":                           "a delivered object that comes back is known to be delivered, and goes when space is needed",
	"syncdir state/spool after rename state/spool/OBJECT.age to state/spool/OBJECT.stored": "an object that comes back as undelivered is offered once more and gets its receipt again",
}

// harmless tells why the loss of a sync may break nothing, "" if it should.
func harmless(h *disk.History, sync int) string {
	switch why := reasons[h.Describe(sync)]; {
	case why != "":
		return why
	case h.Idle(sync):
		return "nothing was pending: it is for a start after one that was cut just before it"
	case h.Repeated(sync):
		return "the next sync of the same comes before anything depends on it"
	}
	return ""
}
