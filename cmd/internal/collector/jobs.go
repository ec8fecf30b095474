package collector

import (
	"context"
	"errors"
	"slices"
	"time"

	"roadseal/agent/wire"
	"roadseal/cmd/internal/objstore"
	"roadseal/crypto/envelope"
)

// A task is what a worker can do for an assembly.
type task int

const (
	look    task = iota // does the store have the object? if not, stage it
	confirm             // read an object back that the store has
	commit              // verify and store one of which all blocks are there
)

// A job is a task that a worker has or will have. While it is queued or with a
// worker, its assembly's staged copy is its own.
type job struct {
	a     *assembly
	task  task
	name  envelope.Name
	size  int64 // as offered
	class int   // the longest that was asked for when the job was made
	work  int64 // bytes to read
	made  time.Time
	began time.Time

	// The outcome: one of these, or none if the object is staged now.
	there  bool        // the store has an object of that name, of work bytes; still to be confirmed
	stored bool        // durable under class, or one that keeps it longer
	known  bool        // and was so before
	refuse wire.Reason // why the object is not taken
	alarm  error       // the store holds other bytes under the name
	err    error       // of the store
	have   wire.Bitmap // blocks of the staged copy, or all if an object of that size is there
	anew   bool        // the staged copy was damaged and is begun anew
}

func (j *job) heavy() bool { return j.task != look }
func (j *job) large() bool { return j.heavy() && j.work > large }

// Bounds of the jobs that workers have. One worker always is there for those
// who only ask, and one for objects that are not large.
const (
	workers  = 4
	maxHeavy = workers - 1
	maxLarge = maxHeavy - 1
	large    = 512 << 20 // bytes
)

func (c *Collector) submit(a *assembly, t task, work int64) {
	a.busy = true
	c.queue = append(c.queue, &job{a: a, task: t, name: a.offer.Object, size: a.offer.Size, class: a.class, work: work, made: time.Now()})
}

// dispatch gives jobs to idle workers. For each vehicle there is at most one
// that looks and a heavy one at a time, so that the next object begins while
// one is being synced; the vehicle that has used the workers least goes first,
// so that none waits for all that another has asked for.
func (c *Collector) dispatch() {
	for c.running < workers {
		next := -1
		for i, j := range c.queue {
			if c.may(j) && (next < 0 || j.a.v.spent < c.queue[next].a.v.spent) {
				next = i
			}
		}
		if next < 0 {
			return
		}
		j := c.queue[next]
		c.queue = slices.Delete(c.queue, next, next+1)
		c.count(j, 1)
		j.began = time.Now()
		c.jobs <- j
	}
}

// may reports whether a job can begin now.
func (c *Collector) may(j *job) bool {
	if !j.heavy() {
		return !j.a.v.light
	}
	return !j.a.v.heavy && c.heavy < maxHeavy && (!j.large() || c.large < maxLarge)
}

// count notes that a job begins (1) or has ended (-1).
func (c *Collector) count(j *job, n int) {
	c.running += n
	if !j.heavy() {
		j.a.v.light = n > 0
		return
	}
	j.a.v.heavy = n > 0
	c.heavy += n
	if j.large() {
		c.large += n
	}
}

// work is a worker. It touches nothing of the collector but its options.
func (c *Collector) work(ctx context.Context) {
	for {
		select {
		case <-ctx.Done():
			return
		case j := <-c.jobs:
			switch j.task {
			case look:
				c.look(ctx, j)
			case confirm:
				c.confirm(ctx, j)
			case commit:
				c.commit(ctx, j)
			}
			c.results <- j
		}
	}
}

// finish acts on the outcome of a job.
func (c *Collector) finish(ctx context.Context, j *job) {
	a := j.a
	a.busy, a.touched = false, time.Now()
	a.v.spent += time.Since(j.began)
	c.count(j, -1)
	if ctx.Err() != nil {
		return // the outcome is the end of ctx
	}
	if j.anew {
		c.status.Restarted++
	}
	switch {
	case errors.Is(j.err, objstore.ErrFull), errors.Is(j.err, objstore.ErrSpace):
		c.finishFull(ctx, j)
	case j.err != nil:
		c.trouble(j.err)
		c.end(a, wire.ReasonStorage)
	case j.alarm != nil:
		c.alarm(j)
		c.end(a, wire.ReasonClash)
	case j.refuse != 0:
		c.end(a, j.refuse)
	case j.there:
		a.have = j.have // said only to a vehicle that asks again meanwhile
		c.submit(a, confirm, j.work)
	case j.stored:
		c.finishStored(j)
	default:
		a.have, a.resumed, a.checked = j.have, j.have.Count() > 0, headerThere(j.have, c.o.Slots)
		c.sendHave(a)
		if a.have.Full(j.size) {
			c.submit(a, commit, j.size)
		}
	}
}

// finishFull is for an object for which the store has no room. If it can be
// made at the cost of those who have more, the store is asked again.
func (c *Collector) finishFull(ctx context.Context, j *job) {
	why := wire.ReasonBusy
	switch {
	case c.makeWay(ctx, j.a.v.bytes, bytesOf):
		j.a.have = nil // a copy that was begun anew is gone
		c.submit(j.a, look, 0)
		return
	case errors.Is(j.err, objstore.ErrSpace):
		c.trouble(j.err)
		why = wire.ReasonStorage
	}
	c.end(j.a, why)
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
	c.refuse(a.v.device, a.offer, why)
}

// listens is how long a vehicle waits for a receipt before it asks again, and
// may turn to other objects.
const listens = 10 * time.Second

func (c *Collector) finishStored(j *job) {
	if j.known {
		c.status.Known++
	} else {
		c.status.Stored++
		c.wellAgain()
	}
	if j.a.class < j.class { // a longer class was asked for while the job ran
		c.submit(j.a, look, 0)
		return
	}
	c.status.Receipts++
	c.forget(j.a)
	r := c.o.Key.receipt(c.o.StoreID, j.a.offer, time.Now())
	if time.Since(j.made) > listens {
		c.keepReceipt(j.a.v, r)
	}
	c.reply(j.a.v.device, r)
}
