package collector

import (
	"context"
	"errors"
	"io/fs"
	"time"

	"roadseal/agent/wire"
	"roadseal/cmd/internal/objstore"
	"roadseal/crypto/envelope"
)

// An assembly is an object of one vehicle between its first OFFER and its
// receipt or refusal. Two vehicles that send one object have an assembly each,
// so that neither can spoil the other's.
type assembly struct {
	v       *vehicle
	offer   wire.Offer      // the latest: the receipt repeats it
	class   int             // the longest of all classes that were asked for
	staged  objstore.Staged // nil before the store was asked for it, and once it has ended
	have    wire.Bitmap     // nil as long as the store was not asked; all bits while an object that is there is read back
	resumed bool            // a part of it was staged before this process started
	checked bool            // the header is good
	busy    bool            // a job has it, and staged belongs to the job
	count   int             // DATA messages
	touched time.Time
}

// A vehicle is a certificate of which the collector has something in mind.
type vehicle struct {
	device       string
	open         map[envelope.Name]*assembly
	bytes        int64         // of their sizes
	aside        []left        // what was set aside, the oldest first
	late         []late        // receipts that it may not have heard, the oldest first
	light, heavy bool          // a worker has such a job of it
	spent        time.Duration // of the workers' time; half of it is forgotten every ten seconds
}

// vehicle returns that of a device; a new one is not yet in the map.
func (c *Collector) vehicle(device string) *vehicle {
	if v := c.vehicles[device]; v != nil {
		return v
	}
	return &vehicle{device: device, open: map[envelope.Name]*assembly{}}
}

// admit makes an assembly for an offer, or says why not.
func (c *Collector) admit(ctx context.Context, device string, o wire.Offer) (*assembly, wire.Reason) {
	v := c.vehicle(device)
	back := v.takeBack(o)
	if why := c.room(ctx, v, o.Size); why != 0 {
		v.aside = append(back, v.aside...)
		return nil, why
	}
	a := &assembly{v: v, offer: o, class: int(o.Class), touched: time.Now()}
	v.open[o.Object] = a
	v.bytes += o.Size
	c.vehicles[device] = v
	c.open++
	return a, 0
}

// unasked is the class of an assembly whose OFFER went to an earlier process.
const unasked = wire.MaxClass + 1

// goOn takes up an object that was arriving when an earlier process ended; nil
// if there is none. Its staged copy proves that an OFFER was taken. Without
// this, a restart of the collector would cost each vehicle what it has under
// way, and a pause. The class comes with the next OFFER. What this process has
// set aside comes back by an OFFER only: the place was needed.
func (c *Collector) goOn(ctx context.Context, device string, d wire.Data) *assembly {
	if v := c.vehicles[device]; v != nil && v.hasAside(d.Object, d.Size) {
		return nil
	}
	staged, have, err := c.o.Store.Resume(ctx, c.o.Key.stagingID(device, d.Object, d.Size), d.Size)
	if err != nil {
		if !errors.Is(err, fs.ErrNotExist) {
			c.trouble(err)
		}
		return nil
	}
	a, why := c.admit(ctx, device, wire.Offer{Object: d.Object, Size: d.Size, Class: unasked})
	if why != 0 {
		if err := staged.Close(); err != nil {
			c.trouble(err)
		}
		return nil
	}
	a.staged, a.have, a.resumed = staged, have, true
	if !c.headerGood(a) { // a power cut has damaged it
		c.status.Restarted++
		c.discard(a)
		return nil
	}
	return a
}

// find returns the assembly of an object from a device, or nil.
func (c *Collector) find(device string, object envelope.Name) *assembly {
	if v := c.vehicles[device]; v != nil {
		return v.open[object]
	}
	return nil
}

// forget removes an assembly whose staged copy has ended.
func (c *Collector) forget(a *assembly) {
	delete(a.v.open, a.offer.Object)
	a.v.bytes -= a.offer.Size
	c.open--
}

// discard removes an assembly and what has come of it.
func (c *Collector) discard(a *assembly) {
	if a.staged != nil {
		if err := a.staged.Discard(); err != nil {
			c.trouble(err)
		}
	}
	c.forget(a)
}

// put removes an assembly and keeps what has come of it for a later OFFER or
// process.
func (c *Collector) put(a *assembly) {
	if a.staged != nil {
		if err := a.staged.Close(); err != nil {
			c.trouble(err)
		}
	}
	c.forget(a)
}

// closeAll ends the use of the store. The workers have ended.
func (c *Collector) closeAll() {
	for _, a := range c.assemblies() {
		c.put(a)
	}
}

func (c *Collector) assemblies() (all []*assembly) {
	for _, v := range c.vehicles {
		for _, a := range v.open {
			all = append(all, a)
		}
	}
	return all
}
