package crash

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"slices"
	"sync"
	"time"

	"golang.org/x/sync/errgroup"
	"golang.org/x/sys/unix"
)

// Options are what a run is made of.
type Options struct {
	Agent, Collector string   // programs to test
	Emulator         []string // before the agent's command line; empty: it is run as it is
	Strace           string   // "" looks for it
	Work             string   // folder for what a run makes, best in memory; "" looks for one
	Seed             uint64   // of all that is left to chance but keys
	Plan             Plan
	Tell             func(*Sweep) // called at the end of each sweep; may be nil

	lanes int // that may be in use at once
}

// A Plan says how much of each sweep is run.
type Plan struct {
	Busy      int  // points of a sweep that are run at once, if it keeps the processor busy
	Waiting   int  // the same of a sweep that waits for the pauses of the programs; 0 = none of them
	Every     int  // one of so many calls of a run is a point of the kill sweep
	States    int  // that are replayed of each party at most
	Doubles   int  // double faults
	Collector bool // cut its power too
	Guard     bool // take syncs out
}

// Native is the whole: every call, every fault, every sync.
func Native() Plan {
	return Plan{Busy: 4, Waiting: 10, Every: 1, States: 520, Doubles: 60, Collector: true, Guard: true}
}

// Emulated is a sample of the agent's sweeps: a program in an emulator takes
// ten times as long.
func Emulated() Plan { return Plan{Busy: 2, Every: 4, States: 100} }

// A Report is the outcome of a run.
type Report struct {
	Seed    uint64              `json:"seed"`
	Sweeps  []*Sweep            `json:"sweeps"`
	Mutants map[string][]Mutant `json:"mutants,omitempty"` // by party, in the order of the recording
	Passed  bool                `json:"passed"`
	Seconds float64             `json:"seconds"`
}

// Total adds up a count of all sweeps: points, or a kind of flaw.
func (r *Report) Total(of func(*Sweep) int) (n int) {
	for _, s := range r.Sweeps {
		n += of(s)
	}
	return n
}

// Run makes all sweeps. An error says that the run could not be made; that a
// promise is broken is in the report.
func Run(ctx context.Context, o Options) (Report, error) {
	if err := o.complete(ctx); err != nil {
		return Report{}, err
	}
	dir, err := os.MkdirTemp(o.Work, "roadseal-crash-")
	if err != nil {
		return Report{}, fmt.Errorf("cannot make a folder for the run: %w", err)
	}
	k, err := newKit(o, dir)
	if err != nil {
		return Report{}, errors.Join(err, os.RemoveAll(dir))
	}
	began := time.Now()
	r := Report{Seed: o.Seed, Mutants: map[string][]Mutant{}}
	err = k.sweeps(ctx, &r)
	r.Seconds = time.Since(began).Seconds()
	r.Passed = err == nil && r.Total(func(s *Sweep) int { return s.Broken }) == 0
	return r, errors.Join(err, k.close(), os.RemoveAll(dir))
}

// A sweep that can be run.
type sweep func(ctx context.Context) (*Sweep, error)

// sweeps runs at the same time: the kills of the agent; one after the other, all
// that replay; and each of those that mostly wait.
func (k *kit) sweeps(ctx context.Context, r *Report) error {
	rec, err := k.recording(ctx)
	if err != nil {
		return fmt.Errorf("cannot record a run without a fault: %w", err)
	}
	var mu sync.Mutex
	g, ctx := errgroup.WithContext(ctx)
	chains := [][]sweep{
		{func(ctx context.Context) (*Sweep, error) { return k.kills(ctx, vehicle, k.o.Plan.Busy) }},
		k.replays(rec, r),
	}
	for _, s := range k.waiting() {
		chains = append(chains, []sweep{s})
	}
	for _, chain := range chains {
		g.Go(func() error {
			for _, run := range chain {
				s, err := run(ctx)
				if err != nil {
					return err
				}
				mu.Lock()
				r.Sweeps = append(r.Sweeps, s)
				if k.o.Tell != nil {
					k.o.Tell(s)
				}
				mu.Unlock()
			}
			return nil
		})
	}
	return g.Wait()
}

// parties are those whose power is cut.
func (p Plan) parties() []party {
	if p.Collector {
		return []party{vehicle, cloud}
	}
	return []party{vehicle}
}

// replays are the sweeps that start from a recording.
func (k *kit) replays(rec *recording, r *Report) (all []sweep) {
	p := k.o.Plan
	for _, of := range p.parties() {
		all = append(all, func(ctx context.Context) (*Sweep, error) { return k.replay(ctx, rec, of, p.States) })
	}
	if p.Doubles > 0 {
		all = append(all, func(ctx context.Context) (*Sweep, error) { return k.doubles(ctx, rec, p.Doubles) })
	}
	if !p.Guard {
		return all
	}
	for _, of := range p.parties() {
		all = append(all, func(ctx context.Context) (s *Sweep, err error) {
			s, mutants, err := k.guard(ctx, rec, of)
			r.Mutants[of.String()] = mutants
			return s, err
		})
	}
	return all
}

// waiting are the sweeps in which the programs pause before they try again.
func (k *kit) waiting() (all []sweep) {
	p := k.o.Plan
	if p.Waiting == 0 {
		return nil
	}
	if p.Collector {
		all = append(all, func(ctx context.Context) (*Sweep, error) { return k.kills(ctx, cloud, p.Waiting) })
	}
	for _, of := range p.parties() {
		for _, errno := range []string{"ENOSPC", "EIO"} {
			all = append(all, func(ctx context.Context) (*Sweep, error) { return k.faults(ctx, of, errno, false) })
		}
		all = append(all, func(ctx context.Context) (*Sweep, error) { return k.faults(ctx, of, "ENOSPC", true) })
	}
	return all
}

// recording makes the run that is replayed.
func (k *kit) recording(ctx context.Context) (*recording, error) {
	l, err := k.lane(ctx)
	if err != nil {
		return nil, err
	}
	defer k.back(l)
	return l.record(ctx)
}

// complete looks for what a run needs.
func (o *Options) complete(ctx context.Context) (err error) {
	if o.Strace == "" {
		if o.Strace, err = exec.LookPath("strace"); err != nil {
			return errors.New("cannot find strace, which these sweeps need: install the Debian package strace")
		}
	}
	if len(o.Emulator) > 0 {
		if _, err := exec.LookPath(o.Emulator[0]); err != nil {
			return fmt.Errorf("cannot find %s, which runs the armv7 agent: install the Debian package qemu-user", o.Emulator[0])
		}
	}
	if os.Geteuid() != 0 {
		return errors.New("expected to be run as root: the agent lets no other user look into its memory, and strace must")
	}
	probe := exec.CommandContext(ctx, o.Strace, "-f", "-qq", "-o", os.DevNull, "-e", "trace=none", "true")
	if out, err := probe.CombinedOutput(); err != nil {
		return fmt.Errorf("strace cannot trace here (a container needs the right SYS_PTRACE): %w: %s", err, out)
	}
	o.lanes = max(leastLanes, (freeWatches()-spareWatches)/watchesOfLane)
	if o.Work == "" {
		o.Work = workFolder()
	}
	return nil
}

// workRoom is what the lanes of a run need, in bytes.
const workRoom = 512 << 20

// workFolder is in memory if there is room: a sweep writes gigabytes.
func workFolder() string {
	const memory = "/dev/shm"
	var st unix.Statfs_t
	if err := unix.Statfs(memory, &st); err == nil && int64(st.Bavail)*int64(st.Bsize) >= workRoom {
		return memory
	}
	return os.TempDir()
}

// Harmless are the syncs whose loss breaks nothing, by party, each with how
// often it stands in the recording.
func (r *Report) Harmless() (lines []string) {
	for _, of := range []party{vehicle, cloud} {
		counts := map[string]int{}
		var order []string
		for _, m := range r.Mutants[of.String()] {
			if m.Seen != "" {
				continue
			}
			line := fmt.Sprintf("%v: %s: %s", of, m.Sync, m.Reason)
			if counts[line]++; !slices.Contains(order, line) {
				order = append(order, line)
			}
		}
		for _, line := range order {
			lines = append(lines, fmt.Sprintf("%d × %s", counts[line], line))
		}
	}
	return lines
}
