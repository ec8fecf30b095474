package collector

import (
	"context"
	"errors"
	"io/fs"
	"slices"
	"time"

	"roadseal/agent/wire"
	"roadseal/cmd/internal/objstore"
	"roadseal/crypto/envelope"
)

// A job is what takes long: it reads or syncs a whole object. While it is
// queued or with a worker, its assembly's staged copy is its own.
type job struct {
	a      *assembly
	name   envelope.Name
	size   int64
	class  int  // the longest that was asked for when the job was made
	commit bool // all blocks are there; otherwise: look whether the store has it, or stage it

	// The outcome: one of these, or none if the object is staged now.
	stored bool        // durable under class, or one that keeps it longer
	known  bool        // and was so before
	refuse wire.Reason // why the object is not taken
	alarm  error       // the store holds other bytes under the name
	err    error       // of the store
	have   wire.Bitmap // blocks of the staged copy
	anew   bool        // the staged copy was damaged and is begun anew
}

func (c *Collector) submit(a *assembly, commit bool) {
	a.busy = true
	c.queue = append(c.queue, &job{a: a, name: a.offer.Object, size: a.offer.Size, class: a.class, commit: commit})
}

// dispatch gives jobs to idle workers: the oldest first, and for each vehicle
// at most one to look and one to commit at a time, so that none can take all
// workers for itself, and the next object begins while one is being synced.
func (c *Collector) dispatch() {
	for i := 0; i < len(c.queue) && c.running < workers; {
		j := c.queue[i]
		busy := c.vehicles[j.a.device].busy(j)
		if *busy {
			i++
			continue
		}
		*busy = true
		c.running++
		c.queue = slices.Delete(c.queue, i, i+1)
		c.jobs <- j
	}
}

// work is a worker. It touches nothing of the collector but its options.
func (c *Collector) work(ctx context.Context) {
	for {
		select {
		case <-ctx.Done():
			return
		case j := <-c.jobs:
			if j.commit {
				c.commit(ctx, j)
			} else {
				c.look(ctx, j)
			}
			c.results <- j
		}
	}
}

// finish acts on the outcome of a job.
func (c *Collector) finish(ctx context.Context, j *job) {
	a := j.a
	a.busy, a.touched = false, time.Now()
	*c.vehicles[a.device].busy(j) = false
	c.running--
	if ctx.Err() != nil {
		return // the outcome is the end of ctx
	}
	if j.anew {
		c.status.Restarted++
	}
	switch {
	case errors.Is(j.err, objstore.ErrFull):
		c.end(a, wire.ReasonBusy)
		c.makeWay() // for the next attempt
	case j.err != nil:
		c.trouble(j.err)
		c.end(a, wire.ReasonStorage)
	case j.alarm != nil:
		c.alarm(j)
		c.end(a, wire.ReasonClash)
	case j.refuse != 0:
		c.end(a, j.refuse)
	case j.stored:
		c.wellAgain()
		c.finishStored(j)
	default:
		a.have, a.resumed, a.checked = j.have, j.have.Count() > 0, headerThere(j.have, c.o.Slots)
		c.sendHave(a)
		if a.have.Full(j.size) {
			c.submit(a, true)
		}
	}
}

// alarm tells of an object whose bytes are not those that were stored: in the
// log once for each, in the status each time.
func (c *Collector) alarm(j *job) {
	c.status.Alarms++
	if !c.alarmed[j.name] {
		c.o.Log.Error("ALARM: the store holds other bytes under this name; nothing was overwritten", "object", j.name, "err", j.alarm)
	}
	c.alarmed[j.name] = true
	c.report()
}

// end refuses an object that a job has found not to be taken.
func (c *Collector) end(a *assembly, why wire.Reason) {
	c.discard(a)
	c.refuse(a.device, a.offer, why)
}

func (c *Collector) finishStored(j *job) {
	if j.known {
		c.status.Known++
	} else {
		c.status.Stored++
	}
	if j.a.class < j.class { // a longer class was asked for while the job ran
		c.submit(j.a, false)
		return
	}
	c.status.Receipts++
	c.forget(j.a)
	c.reply(j.a.device, c.o.Key.receipt(c.o.StoreID, j.a.offer, time.Now()))
}

// look finds out whether the store has the object; if not, it opens the staged
// copy.
func (c *Collector) look(ctx context.Context, j *job) {
	for class := 1; class <= wire.MaxClass; class++ {
		key := objstore.Key{Class: class, Name: j.name}
		o, err := c.o.Store.Get(ctx, key)
		if errors.Is(err, fs.ErrNotExist) {
			continue
		}
		if err != nil {
			j.err = err
			return
		}
		c.confirm(ctx, j, key, o)
		if err := o.Close(); err != nil && j.err == nil {
			j.err = err
		}
		return
	}
	c.stage(ctx, j)
}

// confirm reads an object back that is there, makes it durable, and adds it
// under the class that was asked for if that keeps it longer.
func (c *Collector) confirm(ctx context.Context, j *job, key objstore.Key, o objstore.Object) {
	if j.err = o.Settle(ctx); j.err != nil {
		return
	}
	err := objstore.Check(ctx, o, o.Size(), j.name, c.o.Slots)
	switch {
	case errors.Is(err, objstore.ErrHash):
		j.alarm = err
	case errors.Is(err, envelope.ErrHeader), errors.Is(err, envelope.ErrSize):
		j.refuse = wire.ReasonHeader // stored when another number of stanzas was agreed
	case err != nil:
		j.err = err
	case o.Size() != j.size:
		j.refuse = wire.ReasonSize
	case key.Class > j.class:
		err := c.o.Store.Add(ctx, key, objstore.Key{Class: j.class, Name: j.name})
		if errors.Is(err, fs.ErrExist) {
			c.look(ctx, j) // somebody was faster
			return
		}
		j.err, j.stored, j.known = err, err == nil, err == nil
	default:
		j.stored, j.known = true, true
	}
}

// stage opens the staged copy. A header that a power cut has damaged is not the
// vehicle's fault: the copy is begun anew.
func (c *Collector) stage(ctx context.Context, j *job) {
	id := c.o.Key.stagingID(j.a.device, j.name, j.size)
	for range 2 {
		j.a.staged, j.have, j.err = c.o.Store.Stage(ctx, id, j.size)
		if j.err != nil || !headerThere(j.have, c.o.Slots) {
			return
		}
		if objstore.CheckHeader(j.a.staged, j.size, c.o.Slots) == nil {
			return
		}
		j.anew = true
		if j.err = c.drop(j.a); j.err != nil {
			return
		}
	}
	j.err = errors.New("internal error: a staged copy that was dropped is still there")
}

// commit verifies an object of which all blocks are there, and stores it.
func (c *Collector) commit(ctx context.Context, j *job) {
	err := objstore.Check(ctx, j.a.staged, j.size, j.name, c.o.Slots)
	switch {
	case errors.Is(err, objstore.ErrHash) && j.a.resumed:
		// A power cut can damage what was staged before it.
		j.anew = true
		if j.err = c.drop(j.a); j.err == nil {
			c.stage(ctx, j)
		}
	case errors.Is(err, objstore.ErrHash):
		j.refuse = wire.ReasonHash
	case errors.Is(err, envelope.ErrHeader), errors.Is(err, envelope.ErrSize):
		j.refuse = wire.ReasonHeader
	case err != nil:
		j.err = err
	default:
		staged := j.a.staged
		j.a.staged = nil // Commit ends it
		err = staged.Commit(ctx, objstore.Key{Class: j.class, Name: j.name})
		if errors.Is(err, fs.ErrExist) {
			c.look(ctx, j) // somebody was faster
			return
		}
		j.err, j.stored = err, err == nil
	}
}

// drop discards a staged copy.
func (c *Collector) drop(a *assembly) error {
	staged := a.staged
	a.staged = nil
	return staged.Discard()
}
