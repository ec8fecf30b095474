package collector

import (
	"context"
	"errors"
	"io/fs"

	"roadseal/agent/wire"
	"roadseal/cmd/internal/objstore"
	"roadseal/crypto/envelope"
)

// look finds out whether the store has the object; if not, it opens the staged
// copy.
func (c *Collector) look(ctx context.Context, j *job) {
	_, o := c.get(ctx, j)
	if o == nil {
		if j.err == nil {
			c.stage(ctx, j)
		}
		return
	}
	j.there, j.work = true, o.Size()
	if j.work == j.size {
		j.have = wire.NewBitmap(j.size)
		for i := range wire.Blocks(j.size) {
			j.have.Set(i)
		}
	}
	j.err = o.Close()
}

// get opens the object that the store has, under the class that keeps it
// longest; nil if it has none, or after an error, which the job has then.
func (c *Collector) get(ctx context.Context, j *job) (key objstore.Key, o objstore.Object) {
	for class := 1; class <= wire.MaxClass; class++ {
		key = objstore.Key{Class: class, Name: j.name}
		o, err := c.o.Store.Get(ctx, key)
		if err == nil {
			return key, o
		}
		if !errors.Is(err, fs.ErrNotExist) {
			j.err = err
			break
		}
	}
	return key, nil
}

// confirm reads an object back that is there. If it is there no longer, it is
// staged like any other.
func (c *Collector) confirm(ctx context.Context, j *job) {
	key, o := c.get(ctx, j)
	if o == nil {
		if j.err == nil {
			c.stage(ctx, j)
		}
		return
	}
	c.readBack(ctx, j, key, o)
	if err := o.Close(); err != nil && j.err == nil {
		j.err = err
	}
}

// readBack reads an object from the medium and makes it durable, and adds it
// under the class that was asked for if that keeps it longer.
func (c *Collector) readBack(ctx context.Context, j *job, key objstore.Key, o objstore.Object) {
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
			c.confirm(ctx, j) // somebody was faster
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
	id := c.o.Key.stagingID(j.a.v.device, j.name, j.size)
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
			c.confirm(ctx, j) // somebody was faster
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
