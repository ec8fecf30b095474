package collector

import (
	"context"
	"errors"
	"io/fs"
	"iter"
	"maps"
	"slices"
	"time"

	"roadseal/agent/wire"
	"roadseal/cmd/internal/objstore"
	"roadseal/crypto/envelope"
)

// An assembly is an object of one vehicle between its first OFFER and its
// receipt or refusal. Two vehicles that send one object have an assembly each,
// so that neither can spoil the other's.
type assembly struct {
	device  string
	offer   wire.Offer      // the latest: the receipt repeats it
	class   int             // the longest of all classes that were asked for
	staged  objstore.Staged // nil before the store was asked for it, and once it has ended
	have    wire.Bitmap     // nil as long as the store was not asked
	resumed bool            // a part of it was staged before this process started
	checked bool            // the header is good
	busy    bool            // a job has it, and staged belongs to the job
	count   int             // DATA messages
	touched time.Time
}

// A vehicle is a certificate that has objects arriving.
type vehicle struct {
	open       map[envelope.Name]*assembly
	bytes      int64 // of their sizes
	looking    bool  // a worker looks for one of them
	committing bool  // a worker commits one
}

// busy is the mark that a worker has a job of this kind for the vehicle.
func (v *vehicle) busy(j *job) *bool {
	if j.commit {
		return &v.committing
	}
	return &v.looking
}

// admit makes an assembly for an offer, or says why not.
func (c *Collector) admit(device string, o wire.Offer) (*assembly, wire.Reason) {
	v := c.vehicles[device]
	if v == nil {
		v = &vehicle{open: map[envelope.Name]*assembly{}}
	}
	for len(v.open) >= c.o.Quota.Objects || v.bytes+o.Size > c.o.Quota.Bytes {
		a := c.idlest(maps.Values(v.open))
		if a == nil || o.Size > c.o.Quota.Bytes {
			return nil, wire.ReasonQuota
		}
		c.discard(a)
	}
	if c.open >= c.o.Quota.Total && !c.makeWay() {
		return nil, wire.ReasonBusy
	}
	a := &assembly{device: device, offer: o, class: int(o.Class), touched: time.Now()}
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
// way, and a pause. The class comes with the next OFFER.
func (c *Collector) goOn(ctx context.Context, device string, d wire.Data) *assembly {
	staged, have, err := c.o.Store.Resume(ctx, c.o.Key.stagingID(device, d.Object, d.Size), d.Size)
	if err != nil {
		if !errors.Is(err, fs.ErrNotExist) {
			c.trouble(err)
		}
		return nil
	}
	a, why := c.admit(device, wire.Offer{Object: d.Object, Size: d.Size, Class: unasked})
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

// idlest is the assembly of which nothing has come for the longest time, of
// those that must give way to others; nil if there is none.
func (c *Collector) idlest(of iter.Seq[*assembly]) (oldest *assembly) {
	for a := range of {
		if !a.busy && time.Since(a.touched) >= c.o.Quota.Idle && (oldest == nil || a.touched.Before(oldest.touched)) {
			oldest = a
		}
	}
	return oldest
}

// makeWay sets the idlest assembly of all vehicles aside; false if there is
// none that must give way.
func (c *Collector) makeWay() bool {
	a := c.idlest(slices.Values(c.assemblies()))
	if a == nil {
		return false
	}
	c.setAside(a)
	return true
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
	v := c.vehicles[a.device]
	delete(v.open, a.offer.Object)
	v.bytes -= a.offer.Size
	c.open--
	if len(v.open) == 0 {
		delete(c.vehicles, a.device)
	}
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

// setAside removes an assembly and keeps what has come of it, as a restart of
// the collector would.
func (c *Collector) setAside(a *assembly) {
	if a.staged != nil {
		if err := a.staged.Close(); err != nil {
			c.trouble(err)
		}
	}
	c.forget(a)
}

// dropOld removes assemblies that will not be completed any more.
func (c *Collector) dropOld() {
	for _, a := range c.assemblies() {
		if !a.busy && time.Since(a.touched) >= c.o.Quota.Age {
			c.discard(a)
		}
	}
}

// closeAll sets everything aside. The workers have ended.
func (c *Collector) closeAll() {
	for _, a := range c.assemblies() {
		c.setAside(a)
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
