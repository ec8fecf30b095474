package crash

import (
	"context"
	"errors"
	"fmt"
	"os"
	"strings"
	"sync"
	"time"

	"roadseal/cmd/internal/bench/crash/disk"
)

// A probe is a system call that is made to fail.
type probe struct {
	call string
	most int // calls of a kind that are alike are not all made to fail; 0 = no bound
	// ours names the files whose calls count, below the root; nil counts every
	// call, where a socket or a library has none of them.
	ours []string
}

// probes of both parties: each call on their files that can fail for want of
// space or by a broken medium.
var probes = [2][]probe{
	vehicle: {
		{call: "mkdirat"}, {call: "renameat"}, {call: "unlinkat"}, {call: "fsync"}, {call: "pread64", most: 16},
		{call: "openat", most: 24, ours: []string{".", "state", "state/spool", keptFolder, movedFolder}},
		{call: "write", ours: []string{"state/boot.tmp", "state/tag.key.tmp", "state/time.tmp", "state/spool/tags.tmp", "state/spool/1.tmp",
			"state/spool/2.tmp", "state/spool/3.tmp", "state/spool/4.tmp", "state/spool/5.tmp"}},
		{call: "read", ours: []string{"state/boot", "state/tag.key", "state/time", "state/spool/tags"}},
	},
	cloud: {
		{call: "mkdirat"}, {call: "linkat"}, {call: "unlinkat"}, {call: "fsync"}, {call: "ftruncate"}, {call: "utimensat"},
		{call: "pread64", most: 8}, {call: "pwrite64", most: 12},
		{call: "openat", most: 24, ours: []string{"store", "store/pool", "store/pool/1", "store/pool/2", "store/pool/3", "store/pool/4", "store/staging"}},
	},
}

// A fault is a probe that fails at its nth call of some thread, once or from
// then on.
type fault struct {
	probe
	errno   string
	nth     int
	lasting bool
}

func (f fault) String() string {
	s := fmt.Sprintf("%s at %s %d", f.errno, f.call, f.nth)
	if f.lasting {
		s += " and later"
	}
	return s
}

// tracer injects the fault into the first start of a program.
func (f fault) tracer(l *lane, root string) tracer {
	return func(n int) []string {
		if n > 0 {
			return nil
		}
		when := fmt.Sprint(f.nth)
		if f.lasting {
			when += "+"
		}
		args := []string{l.o.Strace, "-f", "-qq", "-y", "-s", "0", "--seccomp-bpf", "-o", l.path("fault"), "-e", "signal=none", "-e", "trace=" + f.call,
			"-e", fmt.Sprintf("inject=%s:error=%s:when=%s", f.call, f.errno, when)}
		for _, p := range f.ours {
			args = append(args, "-P", strings.TrimSuffix(root+"/"+p, "/."))
		}
		return args
	}
}

// injected names the first call that was made to fail, "" if there was none.
func (l *lane) injected(root string) string {
	b, err := os.ReadFile(l.path("fault"))
	if err != nil {
		return ""
	}
	for line := range strings.SplitSeq(string(b), "\n") {
		if strings.Contains(line, "(INJECTED)") {
			_, call, _ := strings.Cut(line, " ")
			return met(call, root)
		}
	}
	return ""
}

// Times of a run with a fault: what heals at once takes less than the first;
// one run of each kind is given long enough for every pause of the programs.
const (
	faultPatience = 1500 * time.Millisecond
	healPatience  = 40 * time.Second
)

// healers remember the kinds of faults for which a run has been given time.
type healers struct {
	mu   sync.Mutex
	seen map[string]bool
}

func (h *healers) first(kind string) bool {
	h.mu.Lock()
	defer h.mu.Unlock()
	was := h.seen[kind]
	h.seen[kind] = true
	return !was
}

// faults makes each call of a party fail, in runs of their own.
func (k *kit) faults(ctx context.Context, of party, errno string, lasting bool) (*Sweep, error) {
	s := newSweep(fmt.Sprintf("%s %v", errno, of))
	if lasting {
		s.Name += " lasting"
	}
	q := newQueue(probes[of], lasting)
	healed := &healers{seen: map[string]bool{}}
	err := k.each(ctx, k.o.Plan.Waiting, func(l *lane, _ int) (bool, error) {
		p, nth, ok := q.next()
		if !ok {
			return false, nil
		}
		f := fault{p, errno, nth, lasting}
		hit, flaws, err := l.failed(ctx, s, f, of, healed)
		if err != nil {
			return false, err
		}
		if q.result(p.call, hit != ""); hit != "" {
			s.point(f.String()+", "+hit, flaws)
		}
		return true, nil
	})
	return s.end(), err
}

// failed makes a run with a fault and judges what is left after it is gone.
func (l *lane) failed(ctx context.Context, s *Sweep, f fault, of party, healed *healers) (hit string, flaws []flaw, err error) {
	err = errors.Join(l.reset(l.cast.recorders(false), disk.Tree{}), ignoreMissing(os.Remove(l.path("fault"))))
	if err != nil {
		return "", nil, err
	}
	l.patience = faultPatience
	l.more = func() time.Duration {
		if hit := l.injected(l.root(of)); hit != "" && !f.lasting && healed.first(hit) {
			return healPatience
		}
		return 0
	}
	var tracers [2]tracer
	tracers[of] = f.tracer(l, l.root(of))
	err = l.drive(ctx, tracers)
	if ctx.Err() != nil {
		return "", nil, ctx.Err()
	}
	if hit = l.injected(l.root(of)); hit == "" && err == nil {
		return "", nil, nil
	}
	switch {
	case err == nil:
		s.count("healed in place")
	case errors.Is(err, errPanic), errors.Is(err, errEnded) && l.up, errors.Is(err, errBadEnd) && !f.lasting:
		return hit, l.examine(err), nil
	default:
		s.count("healed by the next start")
	}
	if l.agent.running() {
		if err := l.agent.stop(); err != nil && !f.lasting {
			return hit, l.examine(err), nil
		}
	}
	l.collector.kill()
	l.patience, l.more = patience, nil
	if flaws = l.examine(l.recover(ctx, untraced)); len(flaws) == 0 && l.trips > 0 {
		flaws = l.fixesThere()
	}
	return hit, flaws, ctx.Err()
}

// A queue hands out the probes with growing numbers, each until it has missed
// twice in a row.
type queue struct {
	mu     sync.Mutex
	probes []probe
	turn   int
	count  map[string]int
	misses map[string]int
}

// lastingPoints of each call are enough: a lasting fault meets all that come
// later too.
const lastingPoints = 4

func newQueue(all []probe, lasting bool) *queue {
	q := &queue{count: map[string]int{}, misses: map[string]int{}}
	for _, p := range all {
		if lasting {
			p.most = lastingPoints
		}
		q.probes = append(q.probes, p)
	}
	return q
}

// next is the next call to fail.
func (q *queue) next() (p probe, nth int, ok bool) {
	q.mu.Lock()
	defer q.mu.Unlock()
	for range q.probes {
		p = q.probes[q.turn%len(q.probes)]
		q.turn++
		if q.misses[p.call] < enoughMisses && (p.most == 0 || q.count[p.call] < p.most) {
			q.count[p.call]++
			return p, q.count[p.call], true
		}
	}
	return probe{}, 0, false
}

func (q *queue) result(call string, hit bool) {
	q.mu.Lock()
	defer q.mu.Unlock()
	if hit {
		q.misses[call] = 0
	} else {
		q.misses[call]++
	}
}
