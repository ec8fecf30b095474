package collector

import (
	"context"
	"errors"
	"io/fs"
	"slices"
	"time"

	"roadseal/agent/wire"
	"roadseal/cmd/internal/mirror"
	"roadseal/crypto/envelope"
)

// A Repository has the files that vehicles ask for, as a mirror.Repository
// does. One goroutine uses it.
type Repository interface {
	Block(device, name string, index uint32) (mirror.Block, error)
}

// Bounds of what a vehicle can make the collector send. A full bucket lets
// burst answers through at once.
const (
	answerEvery = time.Second / 16
	burst       = 64
	// courtesy is how many messages of vehicles may go before a block that is
	// ready to be sent.
	courtesy = 16
)

// A want is one block that a vehicle waits for.
type want struct {
	request wire.Request
	file    envelope.Name // zero at first
	name    string
	index   uint32
}

// An asker is a vehicle that asks for files, or did so a moment ago.
type asker struct {
	device string
	wants  []want    // at most wire.MaxAsk, the next to be answered first
	full   time.Time // when its token bucket is full again
}

// wait is how long the next answer must wait for its token.
func (a *asker) wait(now time.Time) time.Duration {
	return a.full.Add(-(burst - 1) * answerEvery).Sub(now)
}

func (a *asker) spend(now time.Time) {
	if a.full.Before(now) {
		a.full = now
	}
	a.full = a.full.Add(answerEvery)
}

// downloads is what vehicles wait for. It belongs to Run's goroutine, but for
// the two channels.
type downloads struct {
	askers map[string]*asker
	turns  []*asker // that want something, the next to be served first; but for one whose block is read
	busy   bool     // a block is read, or waits to be sent
	passed int      // messages of vehicles that went before it
	ill    bool     // the repository could not be read the last time
	reads  chan read
	parts  chan read
}

// A read is what the reader is given, and its outcome.
type read struct {
	a *asker
	want
	answer wire.Message // nil if the file has no such block
	err    error        // of the repository
}

func newDownloads() downloads {
	// With room for the only read that there is, nobody ever waits on these two.
	return downloads{askers: map[string]*asker{}, reads: make(chan read, 1), parts: make(chan read, 1)}
}

// ask notes what a vehicle wants. What it wants twice it gets once. More than it
// may have outstanding falls on deaf ears: it will ask again.
func (c *Collector) ask(device string, m wire.Ask) {
	d, sums := &c.down, &c.status.Downloads
	sums.Asks++
	a := d.askers[device]
	if a == nil {
		a = &asker{device: device}
		d.askers[device] = a
	}
	if len(a.wants) == 0 {
		d.turns = append(d.turns, a)
	}
	for i := range uint32(wire.MaxAsk) {
		w := want{m.Request, m.File, m.Name, m.First + i}
		switch {
		case m.Wanted&(1<<i) == 0, slices.Contains(a.wants, w):
		case len(a.wants) == wire.MaxAsk:
			sums.Dropped++
		default:
			a.wants = append(a.wants, w)
		}
	}
}

// nextRead gives the reader, if it is idle, what the next vehicle wants. If all
// must wait for tokens, it returns a channel that ends the wait.
func (c *Collector) nextRead() <-chan time.Time {
	d, now := &c.down, time.Now()
	if d.busy || len(d.turns) == 0 {
		return nil
	}
	least := time.Duration(1<<63 - 1)
	for i, a := range d.turns {
		wait := a.wait(now)
		if wait <= 0 {
			a.spend(now)
			d.busy, d.turns = true, slices.Delete(d.turns, i, i+1)
			d.reads <- read{a: a, want: a.wants[0]}
			return nil
		}
		least = min(least, wait)
	}
	return time.After(least)
}

// read is the reader, a worker of its own: a disk that hangs is in the way of
// nobody but those who ask.
func (c *Collector) read(ctx context.Context) {
	for {
		select {
		case <-ctx.Done():
			return
		case r := <-c.down.reads:
			r.answer, r.err = c.answer(r.a.device, r.want)
			c.down.parts <- r
		}
	}
}

// answer finds what is to be said to somebody who wants a block.
func (c *Collector) answer(device string, w want) (wire.Message, error) {
	if c.o.Repository == nil {
		return wire.Absent{Request: w.request, Reason: wire.AbsentAll}, nil
	}
	b, err := c.o.Repository.Block(device, w.name, w.index)
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return wire.Absent{Request: w.request, Reason: wire.AbsentNone}, nil
	case err != nil:
		return wire.Absent{Request: w.request, Reason: wire.AbsentLater}, err
	case w.file != envelope.Name{} && w.file != b.File:
		return wire.Absent{Request: w.request, Reason: wire.AbsentChanged}, nil
	case b.Bytes == nil:
		return nil, nil
	}
	return wire.Part{Request: w.request, File: b.File, Size: b.Size, Index: w.index, Block: b.Bytes}, nil
}

// ready is where an answer to ASK comes from, nil as long as others go first:
// what vehicles send, and what was done about it.
func (c *Collector) ready() <-chan read {
	d := &c.down
	if d.passed < courtesy && len(c.link.Messages())+len(c.results) > 0 {
		d.passed++
		return nil
	}
	return d.parts
}

// answered sends an answer and lets its vehicle queue up again.
func (c *Collector) answered(r read) {
	d, sums := &c.down, &c.status.Downloads
	d.busy, d.passed = false, 0
	c.repositoryWorks(r.err)
	done := func(w want) bool { return w == r.want }
	switch m := r.answer.(type) {
	case wire.Part:
		sums.Parts++
	case wire.Absent:
		sums.absent(m.Reason)
		done = func(w want) bool { return w.request == r.request && w.file == r.file }
	case nil:
		done = func(w want) bool { return w.request == r.request && w.index >= r.index }
	}
	r.a.wants = slices.DeleteFunc(r.a.wants, done)
	if len(r.a.wants) > 0 {
		d.turns = append(d.turns, r.a)
	}
	if r.answer != nil {
		c.send(r.a.device, r.answer)
	}
}

// repositoryWorks logs the change between a repository that can be read and one
// that cannot.
func (c *Collector) repositoryWorks(err error) {
	switch d := &c.down; {
	case err != nil && !d.ill:
		c.o.Log.Warn("the release repository cannot be read; vehicles are told to ask again", "err", err)
		d.ill = true
	case err == nil && d.ill:
		c.o.Log.Info("the release repository can be read again")
		d.ill = false
	}
}

// tidy forgets vehicles that want nothing and have all their tokens.
func (d *downloads) tidy() {
	for device, a := range d.askers {
		if len(a.wants) == 0 && !a.full.After(time.Now()) {
			delete(d.askers, device)
		}
	}
}
