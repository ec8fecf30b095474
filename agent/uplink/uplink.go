// Package uplink is the vehicle's side of the upload protocol
// (agent/wire/PROTOCOL.md): it takes sealed objects from the spool in their
// order, gets them to the collector over any number of sessions, and marks one
// delivered only for a receipt that verifies and matches field by field.
//
// One goroutine does it all but reading an object that the collector calls
// wrong. Several objects are in hand at a time and share one window of DATA
// messages, which only the collector's HAVE moves: what the broker acknowledges
// means nothing. What comes down, on the same link, has a turn after each DATA
// message.
//
// Side: black.
package uplink

import (
	"context"
	"errors"
	"iter"
	"log/slog"
	"math/rand/v2"
	"sync"
	"time"

	"roadseal/agent/mqttlink"
	"roadseal/agent/spool"
	"roadseal/agent/wire"
	"roadseal/crypto/envelope"
	"roadseal/hal/durable"
	"roadseal/hal/watchdog"
)

// A Link is a session with the broker; *mqttlink.Session is one.
type Link interface {
	// Publish hands over a message. The link has the payload until the next
	// Publish has returned, or for good if there is none.
	Publish(topic string, payload []byte) error
	Messages() <-chan mqttlink.Message
	// Done is closed when the link is lost; Err is not nil then.
	Done() <-chan struct{}
	Err() error
	// Close returns when nothing of the link is left.
	Close() error
}

// A Queue holds the objects; *spool.Spool is one.
type Queue interface {
	Pending() iter.Seq[spool.Entry] // in upload order
	Changed() <-chan struct{}       // receives after Pending has changed
	Open(spool.Entry) (durable.File, error)
	// MarkStored returns when it is durable. An object that has come to have a
	// longer class than that of the entry stays pending.
	MarkStored(spool.Entry) error
	// Verify reads the object whole. One whose bytes do not match its name is
	// not intact and leaves Pending.
	Verify(context.Context, spool.Entry) (intact bool, err error)
}

// Options are what an Uplink works with. All are needed but Receipt and
// Downloads.
type Options struct {
	Device string // device id, see wire.CheckDevice
	// Dial returns a link that is subscribed to wire.DownTopic(Device) and ends
	// with the context.
	Dial             func(context.Context) (Link, error)
	Queue            Queue
	ReceiptKeys      []wire.PublicKey
	BlocksPerMessage int                // 1 or 2, see profile.Limits.Blocks
	Receipt          func(wire.Receipt) // called for each valid receipt, after it is noted
	Downloads        Downloads          // what comes down over the same link
	Log              *slog.Logger
}

const (
	firstPause = 2 * time.Second // between sessions; half of it is chance
	lastPause  = time.Minute
)

// An Uplink uploads what its queue holds.
type Uplink struct {
	o        Options
	hand     []*transfer // in hand, in upload order; they outlive sessions
	limit    int         // DATA messages under way at most: wire.Window, fewer on a slow link
	suspects chan spool.Entry
	log      teller
	report   report
}

// New makes an Uplink; Run does the work.
func New(o Options) *Uplink {
	if o.Downloads == nil {
		o.Downloads = none{}
	}
	return &Uplink{o: o, limit: wire.Window, suspects: make(chan spool.Entry, maxSuspects),
		log: teller{log: o.Log}, report: report{deferred: map[envelope.Name]*deferral{}}}
}

// Run connects and uploads, and connects again, until ctx ends, whose error it
// returns.
func (u *Uplink) Run(ctx context.Context) error {
	var checker sync.WaitGroup
	checker.Go(func() {
		ctx, leave := watchdog.Join(ctx, "checking of objects")
		defer leave()
		u.check(ctx)
	})
	defer checker.Wait()
	defer u.putBack(func(*transfer) bool { return true })
	pause := firstPause
	for {
		progress, err := u.connect(ctx)
		if ctx.Err() != nil {
			u.report.disconnected(nil)
			return ctx.Err()
		}
		u.report.disconnected(err)
		u.log.lost(err)
		if progress {
			pause = firstPause
		}
		if err := watchdog.Sleep(ctx, pause/2+rand.N(pause/2)); err != nil {
			return err
		}
		pause = min(2*pause, lastPause)
	}
}

// connect runs one session. It reports whether the collector confirmed
// anything, and why the session is over.
func (u *Uplink) connect(ctx context.Context) (progress bool, err error) {
	link, err := u.o.Dial(ctx)
	if err != nil {
		return false, err
	}
	u.report.connected()
	u.log.connected()
	s := &session{Uplink: u, link: link, heard: time.Now(), dirty: true}
	for _, t := range u.hand {
		t.restart()
	}
	err = s.run(ctx)
	return s.progress, errors.Join(err, link.Close())
}

// putBack returns transfers to the queue; nothing is lost by it.
func (u *Uplink) putBack(which func(*transfer) bool) {
	kept := u.hand[:0]
	for _, t := range u.hand {
		if which(t) {
			t.close()
		} else {
			kept = append(kept, t)
		}
	}
	clear(u.hand[len(kept):])
	u.hand = kept
	u.report.setInHand(len(kept))
}
