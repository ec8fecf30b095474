package durabletest

import (
	"errors"
	"fmt"
	"math/rand/v2"
	"testing"

	"roadseal/hal/durable/crashfs"
)

// A play is one life under observation.
type play struct {
	life  Life
	seed  uint64
	model crashfs.Model
	room  int64      // Capacity
	plan  *rand.Rand // of when it is killed, and what a power cut leaves then
	eye   *rand.Rand // of the crash states that are looked at
	looks int        // of these before each change
	fault func(crashfs.Op) error

	left   int  // changes until it is killed
	linger bool // until the next sync of a directory
	dead   bool
	over   bool // no more starts
	seen   map[uint64]bool
	states int
	broken error
}

func (s Sweep) newPlay(seed uint64, looks int) *play {
	return &play{life: s.Born(seed), seed: seed, model: crashfs.Model(seed % 2), room: s.Capacity, looks: looks, seen: map[uint64]bool{},
		plan: rand.New(rand.NewPCG(seed, 2)), eye: rand.New(rand.NewPCG(seed, 3)),
		left: 1 << 30, fault: func(crashfs.Op) error { return nil }}
}

func (p *play) report(t *testing.T) {
	t.Helper()
	if p.broken != nil {
		t.Fatalf("%s=%d (%v): %v", seedVariable, p.seed, p.model, p.broken)
	}
}

func (p *play) newFS() *crashfs.FS {
	return crashfs.New(crashfs.Options{Model: p.model, Capacity: p.room, Seed: p.seed})
}

// starts lives through some starts. Each ends with a kill, in any call or after
// the last one, and a third of them with a power cut.
func (p *play) starts(n int) {
	f := p.newFS()
	for range n {
		p.left, p.linger = p.plan.IntN(1+p.plan.IntN(100)), p.plan.IntN(2) == 0
		p.start(f)
		if p.broken != nil || p.over {
			return
		}
		if seed := p.plan.Uint64(); seed%3 == 0 {
			f = f.Crash(seed)
		}
	}
}

// start is one of them.
func (p *play) start(f *crashfs.FS) {
	p.dead = false
	f.Inject(func(op crashfs.Op) error {
		if !p.dead && op.Changes() {
			p.look(f, op)
			p.left--
			p.dead = p.broken != nil || p.over || p.left < 0 && (!p.linger || op.Call == "syncdir")
		}
		if p.dead {
			return crashfs.ErrKilled
		}
		return p.fault(op)
	})
	err := p.life.Work(f)
	f.Inject(nil)
	if err != nil && !p.dead {
		p.broken = errors.Join(p.broken, fmt.Errorf("at work: %w", err))
	}
	p.look(f, crashfs.Op{Call: "the end"})
}

// look judges crash states.
func (p *play) look(f *crashfs.FS, before crashfs.Op) {
	for range p.looks {
		if p.broken != nil {
			return
		}
		seed := p.eye.Uint64()
		c := f.Crash(seed)
		again := p.judge(c, true)
		if p.broken != nil {
			p.broken = fmt.Errorf("a power cut before %s %s (call %d) leaves\n%v%w", before.Call, before.Name, before.N, f.Crash(seed), p.broken)
			return
		}
		for _, d := range again {
			if p.judge(d.Crash(0), false); p.broken != nil { // nothing of d is unsynced, so this is a copy
				p.broken = fmt.Errorf("a power cut before %s %s (call %d), and one at the start after it, leave\n%v%w", before.Call, before.Name, before.N, d, p.broken)
				return
			}
		}
	}
}

// judge judges a crash state. It returns states that a power cut meanwhile
// leaves.
func (p *play) judge(c *crashfs.FS, twice bool) (again []*crashfs.FS) {
	p.seen[c.Sum()] = true
	p.states++
	if twice {
		c.Inject(func(op crashfs.Op) error {
			if op.Changes() && p.eye.IntN(8) == 0 {
				again = append(again, c.Crash(p.eye.Uint64()))
			}
			return nil
		})
	}
	p.broken = p.life.Judge(c)
	return again
}
