package collector_test

import (
	"math/rand/v2"
	"sync"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"roadseal/crypto/envelope"
)

// A moment is when a clip may be locked.
type moment int

const (
	arriving  moment = iota // the collector says what it has
	receipted               // its receipt is on its way
	marking                 // and has come
	marked                  // and is durable
)

func (d *drive) passes(m moment, name envelope.Name) {
	if d.lock != nil {
		d.lock(m, name)
	}
}

// A driver locks clips at one moment of their uploads.
type driver struct {
	t     *testing.T
	d     *drive
	at    moment
	mu    sync.Mutex
	rng   *rand.Rand
	locks int
}

// lock promotes the object that something is said of, or another one.
func (p *driver) lock(m moment, name envelope.Name) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if m != p.at || p.rng.IntN(2) == 0 {
		return
	}
	e, ok := p.d.spool.Find(tagOf(name))
	if !ok || e.Class == 1 {
		return
	}
	done, err := p.d.spool.Promote(e, 1+p.rng.IntN(e.Class-1), "event", e.Tag)
	assert.NoError(p.t, err)
	assert.True(p.t, done)
	p.locks++
}

// TestPromotedDuringAnUpload: a clip is locked while its object goes up, when its
// receipt is on its way, and after that, and the link is cut now and then. At the
// end the store has it once, for the longest class that was asked for, the vehicle
// has a receipt for that, and no block went up for it again.
func TestPromotedDuringAnUpload(t *testing.T) {
	for what, at := range map[string]moment{"arriving": arriving, "receipted": receipted, "marking": marking, "marked": marked} {
		t.Run(what, func(t *testing.T) {
			rng := rand.New(rand.NewPCG(uint64(at), 7))
			var s tally
			locks := 0
			for round := range some(20, 4) {
				var plan []cut
				if round%2 > 0 {
					plan = randomCuts(rng, 10)
				}
				var p *driver
				s.drive(t, rng.Uint64(), plan, func(d *drive) {
					p = &driver{t: d.t, d: d, at: at, rng: rand.New(rand.NewPCG(uint64(round), 1))}
					d.lock = p.lock
					d.feed()
				})
				require.Zero(t, p.d.uplink.Status().BadReceipts, "the receipt for the shorter class is no bad one")
				if plan == nil {
					require.Zero(t, p.d.uplink.Status().Resent)
				}
				locks += p.locks
			}
			t.Log(&s, locks, "promotions")
			require.Positive(t, locks)
		})
	}
}
