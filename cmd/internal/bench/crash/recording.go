package crash

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"hash/maphash"
	"io/fs"
	"iter"
	"os"
	"path"
	"slices"
	"strings"

	"roadseal/cmd/internal/bench/crash/disk"
)

// A party is one of the two whose power can be cut.
type party int

const (
	vehicle party = iota
	cloud
)

func (p party) String() string { return [...]string{"agent", "collector"}[p] }

func (p party) other() party { return 1 - p }

// A recording is one whole run of both programs, by one clock.
type recording struct {
	of       [2]*disk.History
	events   []event   // of both, in order
	promises []promise // in order
	seed     maphash.Seed
}

// An event is an op of one of the histories.
type event struct {
	party party
	op    int
}

// A promise is an object that is durable in the spool once an op of the agent
// has ended: it must reach the store, whatever happens.
type promise struct {
	op   int
	name string // of the object
}

// record makes the run that is replayed.
func (l *lane) record(ctx context.Context) (*recording, error) {
	begin := [2]disk.Tree{l.cast.recorders(true), {}}
	if err := l.reset(begin[vehicle], begin[cloud]); err != nil {
		return nil, err
	}
	if err := errors.Join(l.hold(l.cast.later, false), l.hold(l.cast.locked(), true)); err != nil {
		return nil, err
	}
	err := l.drive(ctx, [2]tracer{l.traces(vehicle), l.traces(cloud)})
	if err == nil {
		err = l.collector.stop()
	}
	if err != nil {
		return nil, err
	}
	r := &recording{seed: maphash.MakeSeed()}
	for p, root := range [2]string{l.path("vehicle"), l.path("cloud")} {
		if r.of[p], err = l.readTraces(party(p), root, begin[p]); err != nil {
			return nil, err
		}
	}
	r.order()
	r.promise()
	return r, nil
}

func (l *lane) trace(p party, n int) string { return l.path(fmt.Sprintf("%v.%d.trace", p, n)) }

// traces records each start of a party into a file.
func (l *lane) traces(p party) tracer {
	return func(n int) []string { return disk.Tracer(l.o.Strace, l.trace(p, n)) }
}

// readTraces reads the history of all starts of a party.
func (l *lane) readTraces(p party, root string, begin disk.Tree) (*disk.History, error) {
	x := disk.NewReader(root, begin)
	for n := 0; ; n++ {
		f, err := os.Open(l.trace(p, n))
		if errors.Is(err, fs.ErrNotExist) && n > 0 {
			return x.History(), nil
		}
		if err != nil {
			return nil, err
		}
		if err := errors.Join(x.ReadTrace(f), f.Close(), os.Remove(l.trace(p, n))); err != nil {
			return nil, fmt.Errorf("start %d of %v: %w", n+1, p, err)
		}
	}
}

// order merges the histories.
func (r *recording) order() {
	for p, h := range r.of {
		for i := h.First; i < len(h.Ops); i++ {
			r.events = append(r.events, event{party(p), i})
		}
	}
	slices.SortStableFunc(r.events, func(a, b event) int {
		return cmp.Compare(r.of[a.party].Ops[a.op].Time, r.of[b.party].Ops[b.op].Time)
	})
}

// promise finds the objects that were renamed into the spool, and the sync by
// which that became durable.
func (r *recording) promise() {
	ops := r.of[vehicle].Ops
	for i, o := range ops {
		if o.Kind != disk.Rename || !strings.HasSuffix(o.Path, ".tmp") || !strings.HasSuffix(o.To, ".age") {
			continue
		}
		for j := i + 1; j < len(ops); j++ {
			if disk.Models[0].Keeps(ops[j], o) {
				fields := strings.Split(path.Base(o.To), ".")
				r.promises = append(r.promises, promise{j, fields[len(fields)-2]})
				break
			}
		}
	}
}

// A state is what a cut of one party's power leaves, with what the other has at
// that moment.
type state struct {
	trees    [2]disk.Tree
	promised []string // names of objects that must be in the store at the end
	why      string
	digest   uint64
}

// states returns what a cut of a party's power may leave at any moment, or of
// that only the ends: nothing and all of what was not synced. Of its ops the
// dropped one, a sync, does nothing. Equal states come again.
func (r *recording) states(cut party, m disk.Model, dropped int, ends bool) iter.Seq[state] {
	return func(yield func(state) bool) {
		mine, other := disk.New(r.of[cut], m, dropped), disk.New(r.of[cut.other()], m, disk.None)
		going := true
		promised := []string(nil)
		emit := func(when string) func(string, disk.Tree) {
			live := other.Live()
			return func(why string, t disk.Tree) {
				if !going {
					return
				}
				s := state{promised: promised, why: when + ": " + why}
				s.trees[cut], s.trees[cut.other()] = t, live
				s.digest = disk.Digest(r.seed, s.trees[:]...)
				going = yield(s)
			}
		}
		mine.Ends(emit("before all"))
		for _, e := range r.events {
			if !going {
				return
			}
			label := r.of[e.party].Ops[e.op].Label()
			if e.party == vehicle {
				promised = r.promisedBy(e.op, promised)
			}
			if e.party == cut {
				mine.Step(e.op)
				if ends {
					mine.Ends(emit("after " + label))
				} else {
					mine.Cuts(emit("after " + label))
				}
			} else {
				other.Step(e.op)
				mine.Ends(emit("when the other has done " + label))
			}
		}
	}
}

// promisedBy adds the objects that op has made durable.
func (r *recording) promisedBy(op int, before []string) []string {
	for _, p := range r.promises {
		if p.op == op {
			before = append(slices.Clip(before), p.name)
		}
	}
	return before
}
