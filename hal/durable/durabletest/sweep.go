package durabletest

import (
	"fmt"
	"maps"
	"math/rand/v2"
	"os"
	"runtime"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"testing"

	"roadseal/hal/durable"
	"roadseal/hal/durable/crashfs"
)

// A Life is one user of a file system, which starts on it again and again. A
// life draws all that it draws from the seed that it was born with.
type Life interface {
	// Work starts on fsys as after any end, works for a while and remembers
	// what it was promised: each call that returned without an error. It
	// lives with the errors of Faults; its own error fails the sweep. The
	// process may be killed in any call: all later ones return errors then.
	Work(fsys durable.FS) error
	// Judge starts on what a power cut at this moment has left, and says
	// which promise is broken. Work may be in the middle of a call.
	Judge(fsys durable.FS) error
}

// A Sweep takes crash states before every change and judges them, and those
// that a second power cut leaves while the first is being recovered from.
type Sweep struct {
	Born     func(seed uint64) Life
	Capacity int64 // bytes in all files together; 0 is no limit
	// Sparse lets Faults try one fault at each change, in turns, instead of all
	// four; in short runs not at each change, either. It is for lives whose
	// judgement is slow.
	Sparse bool
}

const starts = 6 // of a life

// short is for runs that look for something else: a tenth of the states, and
// no guard.
func short() bool { return underRace || testing.Short() }

// seedVariable sets the first seed of a sweep. It is printed when one fails.
const seedVariable = "ROADSEAL_CRASH_SEED"

func firstSeed(t *testing.T) uint64 {
	t.Helper()
	s := os.Getenv(seedVariable)
	if s == "" {
		return 1
	}
	seed, err := strconv.ParseUint(s, 10, 64)
	must(t, err)
	return seed
}

// States judges at least that many crash states, no two of them the same tree.
func (s Sweep) States(t *testing.T, want int) {
	t.Helper()
	const maxLives = 20_000
	if short() {
		want /= 10
	}
	seen, all, first := map[uint64]bool{}, 0, firstSeed(t)
	seed := first
	for ; len(seen) < want && seed < first+maxLives; seed++ {
		p := s.newPlay(seed, 1)
		p.seen = seen
		p.starts(starts)
		all += p.states
		p.report(t)
	}
	t.Logf("%d unique crash states of %d, %d lives from seed %d", len(seen), all, seed-first, first)
	if len(seen) < want {
		t.Fatalf("the sweep reaches %d unique crash states, want %d", len(seen), want)
	}
}

// A fault is what a change fails with.
type fault struct {
	err     error
	lasting bool // every later call fails as well
}

// Faults lets every change of some lives fail, once with EIO and once with
// ENOSPC, and again with every call after it, and judges crash states from then
// on.
func (s Sweep) Faults(t *testing.T, lives int) {
	t.Helper()
	if short() {
		lives = 1
	}
	all := []fault{{syscall.EIO, false}, {syscall.EIO, true}, {syscall.ENOSPC, false}, {syscall.ENOSPC, true}}
	first, faults, states := firstSeed(t), map[fault]int{}, 0
	for seed := first; seed < first+uint64(lives); seed++ {
		draw := rand.New(rand.NewPCG(seed, 4))
		for k, kind, more := 1, int(seed), true; more; k++ {
			tried := all
			if s.Sparse {
				tried = all[kind%4 : kind%4+1]
				kind++
			}
			for _, f := range tried {
				p, hit := s.fail(seed, k, f)
				p.report(t)
				if more = hit; hit {
					faults[f]++
					states += p.states
				}
			}
			if s.Sparse && short() {
				k += draw.IntN(16)
			}
		}
	}
	t.Logf("faults %v, %d crash states, %d lives from seed %d", faults, states, lives, first)
	if len(faults) < len(all) {
		t.Fatalf("only some kinds of fault were tried: %v", faults)
	}
}

// fail lives one start, of which the k-th change fails if it comes to it.
func (s Sweep) fail(seed uint64, k int, f fault) (p *play, hit bool) {
	p = s.newPlay(seed, 0)
	n := 0
	p.fault = func(op crashfs.Op) error {
		if op.Changes() {
			n++
		}
		if n == k && op.Changes() || n >= k && f.lasting {
			p.looks = 1
			return f.err
		}
		return nil
	}
	p.start(p.newFS())
	if p.broken != nil {
		p.broken = fmt.Errorf("change %d fails with %w (and every later call: %t): %w", k, f.err, f.lasting, p.broken)
	}
	return p, n >= k
}

// Quiet lists syncs, as Guard prints them, each with the reason why it is
// there although not every loss shows.
type Quiet struct {
	Seldom map[string]string // some loss shows
	Never  map[string]string // none does
}

// A tally counts what came of dropping a sync.
type tally struct{ dropped, idle, seen int }

// Guard proves that the sweep sees: in each of some lives it drops each sync by
// itself, and the sweep must turn red if the sync had anything to do.
func (s Sweep) Guard(t *testing.T, lives int, quiet Quiet) {
	t.Helper()
	if short() {
		return
	}
	sites := map[string]tally{}
	for seed := uint64(1); seed <= uint64(lives); seed++ {
		for k := 1; s.drop(seed, k, sites); k++ {
		}
	}
	for _, site := range slices.Sorted(maps.Keys(sites)) {
		n := sites[site]
		t.Logf("%-55s dropped %3d times, idle %3d, seen %3d", site, n.dropped, n.idle, n.seen)
		seldom, never := quiet.Seldom[site] != "", quiet.Never[site] != ""
		if needed := n.dropped - n.idle; seldom != (n.seen > 0 && n.seen < needed) || never != (n.seen == 0) {
			t.Errorf("%s: %d of %d losses show (listed as seldom seen: %t, as never seen: %t)", site, n.seen, needed, seldom, never)
		}
	}
	for _, list := range []map[string]string{quiet.Seldom, quiet.Never} {
		for site := range list {
			if sites[site] == (tally{}) {
				t.Errorf("%s is listed and does not happen", site)
			}
		}
	}
}

// drop lives a life with its k-th sync dropped, if there is one.
func (s Sweep) drop(seed uint64, k int, sites map[string]tally) bool {
	const (
		spared = 20 // changes after it before the process may be killed: the call has returned then
		more   = 100
		looks  = 16
	)
	var n tally
	p, site, syncs, since := s.newPlay(seed, 0), "", 0, 0
	p.model = crashfs.Posix
	p.fault = func(op crashfs.Op) error {
		if op.Changes() && site != "" {
			since++
			p.over = since > more
		}
		if op.Call != "sync" && op.Call != "syncdir" {
			return nil
		}
		if syncs++; syncs != k {
			return nil
		}
		site, p.looks, p.left = op.Call+" in "+caller(), looks, max(p.left, spared)
		n = sites[site]
		n.dropped++
		if op.Idle {
			n.idle++
			p.over = true
		}
		return crashfs.ErrLie
	}
	p.starts(starts)
	if p.broken != nil {
		n.seen++
	}
	if site != "" {
		sites[site] = n
	}
	return site != ""
}

// caller is the function that asked package durable for a sync.
func caller() string {
	pc := make([]uintptr, 32)
	frames := runtime.CallersFrames(pc[:runtime.Callers(2, pc)])
	for {
		f, more := frames.Next()
		name, ours := strings.CutPrefix(f.Function, "roadseal/")
		if ours && !strings.HasPrefix(name, "hal/durable.") && !strings.HasPrefix(name, "hal/durable/") || !more {
			return name
		}
	}
}
