package soak

import (
	"bytes"
	"cmp"
	"context"
	"fmt"
	"math/rand/v2"
	"os"
	"time"

	"golang.org/x/sync/errgroup"

	"roadseal/agent/wire"
	"roadseal/cmd/internal/bench/shaper"
	"roadseal/cmd/internal/bench/wallclock"
)

// misbehave makes all faults until ctx ends. What it has begun it mends, then it
// returns.
func (w *world) misbehave(ctx context.Context) error {
	g, ctx := errgroup.WithContext(ctx)
	seed := uint64(10)
	run := func(f func(context.Context, *rand.Rand) error) {
		seed++
		rng := rand.New(rand.NewPCG(w.o.Seed, seed))
		g.Go(func() error { return f(ctx, rng) })
	}
	for _, v := range w.fleet {
		run(func(ctx context.Context, rng *rand.Rand) error { return w.speak(ctx, v, rng) })
		run(func(ctx context.Context, rng *rand.Rand) error { return w.cutLink(ctx, v, rng) })
		if v.role.netns && w.net != nil {
			run(func(ctx context.Context, rng *rand.Rand) error { return w.deadenLink(ctx, v, rng) })
		}
		if v.mounted {
			run(func(ctx context.Context, rng *rand.Rand) error { return w.fillDisk(ctx, v, rng) })
		}
		if v.clock != "" {
			run(func(ctx context.Context, rng *rand.Rand) error { return w.turnClock(ctx, v, rng) })
		}
	}
	run(w.killAgents)
	run(func(ctx context.Context, rng *rand.Rand) error { return w.killHub(ctx, rng, brokerName) })
	run(func(ctx context.Context, rng *rand.Rand) error { return w.killHub(ctx, rng, collectorName) })
	return g.Wait()
}

// wait waits between least and most, and reports whether ctx has not ended.
func wait(ctx context.Context, rng *rand.Rand, least, most time.Duration) bool {
	t := time.NewTimer(least + drawTime(rng, most-least))
	defer t.Stop()
	select {
	case <-t.C:
		return ctx.Err() == nil
	case <-ctx.Done():
		return false
	}
}

// pause returns what waits before something is started again.
func pause(ctx context.Context, rng *rand.Rand) func() {
	return func() { wait(ctx, rng, time.Millisecond, time.Second) }
}

// tick is how often a goroutine looks whether its moment has come.
const tick = 20 * time.Millisecond

// cutLink cuts the link of a vehicle again and again: after numbers of bytes that
// the seed decides, mostly in the middle of blocks, now and then in a handshake;
// and after some time if not so much goes up.
func (w *world) cutLink(ctx context.Context, v *vehicle, rng *rand.Rand) error {
	t := time.NewTicker(tick)
	defer t.Stop()
	for last := int64(0); ; {
		budget, patience := cutAfter(rng, v.role.rate)
		var since time.Time // of the first byte after the last cut
		for how, n := shaper.Manner(rng.IntN(2)), 0; n == 0; {
			select {
			case <-t.C:
			case <-ctx.Done():
				return nil
			}
			up, _ := v.link.Counts()
			if since.IsZero() && up > last {
				since = time.Now()
			}
			if v.quiet.Load() || since.IsZero() || up-last < budget && time.Since(since) < patience {
				continue
			}
			if n = v.link.Cut(how); n == 0 {
				last, since = up, time.Time{} // something else has ended the connection
				continue
			}
			last = up
			w.note(func(f *Faults) { f.cut(how) })
		}
	}
}

// cutAfter draws after how many bytes or how much time a link is to be cut. An
// agent that gets nothing confirmed in a session waits longer before the next,
// so that most have time for the four messages that a confirmation takes.
func cutAfter(rng *rand.Rand, rate int64) (budget int64, patience time.Duration) {
	const confirmed = 4 * wire.MaxBlocks * wire.BlockSize
	patience = time.Duration(confirmed*int64(time.Second)/rate) + 200*time.Millisecond + drawTime(rng, 800*time.Millisecond)
	if rng.IntN(15) == 0 {
		return 1 + rng.Int64N(6_000), patience
	}
	return 100_000 + rng.Int64N(min(1_000_000, 3*rate)), patience
}

// drawTime draws a time shorter than most.
func drawTime(rng *rand.Rand, most time.Duration) time.Duration {
	return time.Duration(rng.Int64N(int64(most)))
}

// Bounds of a dead link: how long it is waited for its being noticed, and how
// long that may take while an object is in flight.
const (
	deadAtMost  = 40 * time.Second
	noticeLimit = 15 * time.Second
)

// deadenLink lets the link of a vehicle die in mid-upload without a word, until
// the agent notices.
func (w *world) deadenLink(ctx context.Context, v *vehicle, rng *rand.Rand) error {
	for wait(ctx, rng, 4*time.Second, 16*time.Second) {
		for !v.uploads(ctx) {
			if ctx.Err() != nil {
				return nil
			}
		}
		if err := w.deadOnce(ctx, v); err != nil {
			return err
		}
	}
	return nil
}

// uploads reports whether something goes up just now.
func (v *vehicle) uploads(ctx context.Context) bool {
	before, _ := v.link.Counts()
	select {
	case <-time.After(10 * tick):
	case <-ctx.Done():
	}
	after, _ := v.link.Counts()
	return after-before > 30_000
}

// deadOnce is one period of a dead link. No other fault hits the vehicle
// meanwhile: what is measured is the agent's own watchfulness.
func (w *world) deadOnce(ctx context.Context, v *vehicle) error {
	v.quiet.Store(true)
	defer v.quiet.Store(false)
	v.mu.Lock() // no kill of the agent
	defer v.mu.Unlock()
	pid := v.proc.PID()
	if n, err := established(pid); n == 0 || err != nil || !v.listens {
		return err
	}
	if err := w.net.Deaden(v.index); err != nil {
		return err
	}
	begin := time.Now()
	noticed, err := false, error(nil)
	for !noticed && err == nil && ctx.Err() == nil && time.Since(begin) < deadAtMost {
		time.Sleep(tick)
		var n int
		n, err = established(pid)
		noticed = n == 0
	}
	took := time.Since(begin)
	if fault := w.net.Revive(v.index); err != nil || fault != nil {
		return fmt.Errorf("cannot watch a dead link: %w", cmp.Or(err, fault))
	}
	switch {
	case noticed:
		w.note(func(f *Faults) { f.HalfOpen++; f.Notice = max(f.Notice, took.Seconds()) })
	case ctx.Err() != nil:
		return nil // the time for faults is over
	}
	if !noticed || took > noticeLimit {
		w.find(Finding{"a dead link was not noticed in time", v.name, fmt.Sprintf("%.1f s, expected %s at most", took.Seconds(), noticeLimit)})
	}
	return nil
}

// established counts the TCP connections of a process's network namespace that
// are open at both ends as far as it knows (proc_pid_net(5): state 01).
func established(pid int) (n int, err error) {
	b, err := os.ReadFile(fmt.Sprintf("/proc/%d/net/tcp", pid))
	if err != nil {
		return 0, err
	}
	for line := range bytes.Lines(b) {
		if f := bytes.Fields(line); len(f) > 3 && string(f[3]) == "01" {
			n++
		}
	}
	return n, nil
}

// turnClock lets the wall clock of a vehicle jump.
func (w *world) turnClock(ctx context.Context, v *vehicle, rng *rand.Rand) error {
	for wait(ctx, rng, 100*time.Millisecond, 3*time.Second) {
		if err := wallclock.Set(v.clock, jumps[rng.IntN(len(jumps))]); err != nil {
			return err
		}
	}
	return nil
}

// killAgents kills agents, one after the other.
func (w *world) killAgents(ctx context.Context, rng *rand.Rand) error {
	apart := 20 * time.Second / time.Duration(len(w.fleet)) // each about that often
	for wait(ctx, rng, apart/2, apart*3/2) {
		v := w.fleet[rng.IntN(len(w.fleet))]
		// Where the disk has no room, fixes cannot be made durable in time.
		if v.quiet.Load() || v.mounted {
			continue
		}
		done, err := v.bounce(pause(ctx, rng))
		if err != nil {
			return err
		}
		if done {
			w.note(func(f *Faults) { f.AgentKills++ })
		}
	}
	return nil
}

// killHub kills the broker or the collector again and again.
func (w *world) killHub(ctx context.Context, rng *rand.Rand, name string) error {
	for wait(ctx, rng, 8*time.Second, 20*time.Second) {
		if err := w.hub.bounce(context.WithoutCancel(ctx), name, pause(ctx, rng)); err != nil {
			return err
		}
		w.note(func(f *Faults) {
			if name == brokerName {
				f.BrokerKills++
			} else {
				f.CollectorKills++
			}
		})
	}
	return nil
}
