package durabletest

import (
	"errors"
	"fmt"
	"maps"
	"slices"
	"testing"

	"roadseal/hal/durable"
	"roadseal/hal/durable/crashfs"
)

// A Disk is what a script of Losses works on.
type Disk struct {
	*crashfs.FS
	// Ours says which syncs are dropped; nil is all.
	Ours func(op crashfs.Op) bool

	drop   int // number of the sync that is dropped, 0 for none
	syncs  int
	site   string // of the sync that was dropped
	idle   bool   // it had nothing to do
	kill   func(op crashfs.Op) bool
	killed bool
	looked int // promises since the drop
	broken error
}

var errOver = errors.New("enough was seen")

// Kill ends the process at the first call of which at is true: all calls fail
// until the next Kill. Nil is never.
func (d *Disk) Kill(at func(op crashfs.Op) bool) { d.kill, d.killed = at, false }

// Promise says that holds is true of whatever a power cut would leave now. The
// script ends with its error.
func (d *Disk) Promise(holds func(fsys durable.FS) error) error {
	const (
		looks    = 32
		patience = 12 // promises after the loss that may show it
	)
	if d.broken != nil || d.killed || d.drop != 0 && d.site == "" {
		return d.broken
	}
	for seed := range uint64(looks) {
		if err := holds(d.Crash(seed)); err != nil {
			d.broken = fmt.Errorf("a power cut breaks a promise: %w", err)
			return d.broken
		}
	}
	if d.looked++; d.drop != 0 && d.looked == patience {
		d.broken = errOver
	}
	return d.broken
}

func (d *Disk) before(op crashfs.Op) error {
	if d.killed = d.killed || d.kill != nil && d.kill(op); d.killed {
		return crashfs.ErrKilled
	}
	if op.Call != "sync" && op.Call != "syncdir" || d.Ours != nil && !d.Ours(op) {
		return nil
	}
	if d.syncs++; d.syncs != d.drop {
		return nil
	}
	d.site, d.idle = fmt.Sprintf("%s %s in %s", op.Call, op.Name, caller()), op.Idle
	if d.idle {
		d.broken = errOver
	}
	return crashfs.ErrLie
}

// Losses plays a script, which must keep its promises, and then once more for
// each of its syncs, with that sync dropped. Of each place in the code some loss
// must be seen, by a promise that is broken, unless the place is listed as
// unseen, with the reason. This costs far less than Guard, and is for users each
// of whose calls is a promise.
func Losses(t *testing.T, script func(d *Disk) error, unseen map[string]string) {
	t.Helper()
	if short() {
		return
	}
	play := func(drop int) (d *Disk, err error) {
		d = &Disk{FS: crashfs.New(crashfs.Options{Model: crashfs.Posix, Seed: 1}), drop: drop}
		d.Inject(d.before)
		return d, script(d)
	}
	_, err := play(0)
	must(t, err)
	sites := map[string]tally{}
	for k := 1; ; k++ {
		d, err := play(k)
		if d.site == "" {
			break
		}
		n := sites[d.site]
		n.dropped++
		switch {
		case d.idle:
			n.idle++
		case err != nil && !errors.Is(err, errOver), d.broken != nil && !errors.Is(d.broken, errOver):
			n.seen++
		}
		sites[d.site] = n
	}
	for _, site := range slices.Sorted(maps.Keys(sites)) {
		n := sites[site]
		t.Logf("%-60s dropped %2d times, idle %2d, seen %2d", site, n.dropped, n.idle, n.seen)
		if listed := unseen[site] != ""; listed != (n.seen == 0) {
			t.Errorf("%s: %d of %d losses show (listed as unseen: %t)", site, n.seen, n.dropped-n.idle, listed)
		}
	}
	for site := range unseen {
		if sites[site] == (tally{}) {
			t.Errorf("%s is listed and does not happen", site)
		}
	}
}
