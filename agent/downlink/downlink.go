// Package downlink fetches files of the release repositories over the
// vehicle's MQTT connection, as "Downloads" of agent/wire/PROTOCOL.md
// specifies: by name, block by block, what is missing asked for by a bitmap.
//
// It has no connection and no goroutine of its own. The session of agent/uplink
// asks it what to send and hands it what comes, between uploads and below them.
// What the other side says proves nothing: it can keep a file away or alter it,
// which crypto/signed notices, and waste some time and memory within bounds.
//
// Side: black.
package downlink

import (
	"context"
	"fmt"
	"sync"
	"time"

	"roadseal/agent/wire"
	"roadseal/firmware/fetch"
	"roadseal/hal/watchdog"
)

// A Downlink is a fetch.Fetcher. Calls of Fetch take turns; the other methods
// are for the session, of which there is one at a time.
type Downlink struct {
	turn chan struct{} // holds an element while no file is in hand
	wake chan struct{}

	mu       sync.Mutex
	file     *file         // in hand; nil = none
	seen     time.Time     // up to when connected time has been counted
	patience time.Duration // without news, before blocks are asked for again
}

const (
	firstPatience = 2 * time.Second
	lastPatience  = 10 * time.Second
)

// New makes a Downlink.
func New() *Downlink {
	d := &Downlink{turn: make(chan struct{}, 1), wake: make(chan struct{}, 1), patience: firstPatience}
	d.turn <- struct{}{}
	return d
}

// Fetch implements fetch.Fetcher.
func (d *Downlink) Fetch(ctx context.Context, name string, limit int64) ([]byte, error) {
	if err := fetch.CheckName(name); err != nil {
		return nil, err
	}
	if err := receive(ctx, d.turn); err != nil {
		return nil, fmt.Errorf("%s: %w", name, err)
	}
	defer func() { d.turn <- struct{}{} }()
	f := newFile(name, limit)
	d.hold(f)
	defer d.hold(nil)
	select {
	case d.wake <- struct{}{}:
	default:
	}
	if err := receive(ctx, f.done); err != nil {
		return nil, fmt.Errorf("%s: %w", name, err)
	}
	if f.err != nil {
		return nil, f.err
	}
	return f.data, nil
}

// receive waits for c; the worker that calls it beats meanwhile.
func receive(ctx context.Context, c <-chan struct{}) error {
	return watchdog.Await(ctx, func(turn context.Context) error {
		select {
		case <-c:
			return nil
		case <-turn.Done():
			return turn.Err()
		}
	})
}

// hold takes a file in hand, or none.
func (d *Downlink) hold(f *file) {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.file, d.seen = f, time.Now()
}

// Wake receives when Next may have something to send that it had not before.
func (d *Downlink) Wake() <-chan struct{} { return d.wake }

// Begin says that a session begins: what was asked for in an earlier one will
// not come, and the time between the two counts for nothing.
func (d *Downlink) Begin() {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.seen = time.Now()
	if d.file != nil {
		d.file.forget()
	}
}

// Next returns an ASK to publish, nil if there is none now. busy says that an
// upload is in hand. It must be called again after anything happened and no
// later than at the time that it returns; zero is whenever Wake receives.
func (d *Downlink) Next(busy bool) (ask []byte, again time.Time) {
	d.mu.Lock()
	defer d.mu.Unlock()
	now, f := d.elapse(), d.file
	if f == nil {
		return nil, time.Time{}
	}
	if f.idle >= fetch.Patience {
		d.end(f.late())
		return nil, time.Time{}
	}
	tooSlow := now.Add(fetch.Patience - f.idle)
	if now.Before(f.rest) {
		return nil, earlier(f.rest, tooSlow)
	}
	if f.outstanding() > 0 && !now.Before(f.due) {
		d.patience = min(2*d.patience, lastPatience)
		f.forget()
	}
	if ask = f.ask(now, busy); ask == nil {
		return nil, earlier(f.due, tooSlow)
	}
	f.due = now.Add(d.patience)
	return ask, now // there may be more to ask for
}

func earlier(a, b time.Time) time.Time {
	if a.Before(b) {
		return a
	}
	return b
}

// Take handles a PART or an ABSENT. It reports whether that brought a block. What
// does not answer an ASK for the file in hand changes nothing.
func (d *Downlink) Take(m wire.Message) (news bool) {
	d.mu.Lock()
	defer d.mu.Unlock()
	now, f := d.elapse(), d.file
	if f == nil {
		return false
	}
	switch m := m.(type) {
	case wire.Part:
		if m.Request == f.request {
			return d.part(m, now)
		}
	case wire.Absent:
		if m.Request == f.request {
			d.absent(m.Reason, now)
		}
	}
	return false
}

// elapse counts the time since the last call as time in which there was a
// connection and no new block, and returns the present one.
func (d *Downlink) elapse() time.Time {
	now := time.Now()
	if d.file != nil {
		d.file.idle += now.Sub(d.seen)
	}
	d.seen = now
	return now
}

// end finishes the file in hand.
func (d *Downlink) end(err error) {
	d.file.err = err
	close(d.file.done)
	d.file = nil
}
