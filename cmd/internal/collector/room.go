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
	"roadseal/crypto/envelope"
)

// A left is the staged copy of an object that was set aside.
type left struct {
	object envelope.Name
	size   int64
	since  time.Time
}

// A late is a receipt that came when its vehicle may no longer have listened.
type late struct {
	receipt wire.Receipt
	since   time.Time
}

// room makes room for an object of a vehicle that has not arrived yet, or says
// why there is none. What the vehicle offers now is what it wants now: of too
// many objects the one that it has left alone for the longest time is set
// aside. Too many bytes are another matter, they would come again.
func (c *Collector) room(ctx context.Context, v *vehicle, size int64) wire.Reason {
	q := &c.o.Quota
	if size > q.Bytes {
		return wire.ReasonQuota
	}
	for v.bytes+size > q.Bytes {
		a := idlest(maps.Values(v.open), q.Idle)
		if a == nil {
			return wire.ReasonQuota
		}
		c.discard(a)
	}
	if len(v.open) >= q.Objects {
		a := idlest(maps.Values(v.open), 0)
		if a == nil {
			return wire.ReasonBusy // with all of them, for a while
		}
		c.setAside(ctx, a)
	}
	if c.open >= q.Total && !c.makeWay(ctx, int64(len(v.open)+1), objectsOf) {
		return wire.ReasonBusy
	}
	for len(v.aside) > 0 && v.bytes+size+v.asideBytes() > q.Bytes {
		c.dropAside(ctx, v)
	}
	return 0
}

// idlest is the assembly of which nothing has come for the longest time, and at
// least so long, of those that no job has; nil if there is none.
func idlest(of iter.Seq[*assembly], least time.Duration) (oldest *assembly) {
	for a := range of {
		if !a.busy && time.Since(a.touched) >= least && (oldest == nil || a.touched.Before(oldest.touched)) {
			oldest = a
		}
	}
	return oldest
}

// Measures of what a vehicle occupies.
func objectsOf(v *vehicle) int64 { return int64(len(v.open)) }
func bytesOf(v *vehicle) int64   { return v.bytes }

// makeWay sets an assembly aside for a vehicle that would then occupy so much:
// the idlest of all if it is idle for long, otherwise one of the vehicle that
// occupies most. It returns false if none occupies more: so nobody is kept out
// by those who want everything, and no two push each other out in turn.
func (c *Collector) makeWay(ctx context.Context, much int64, measure func(*vehicle) int64) bool {
	a := idlest(slices.Values(c.assemblies()), c.o.Quota.Idle)
	if a == nil {
		for _, v := range c.vehicles {
			if measure(v) <= much {
				continue
			}
			if b := idlest(maps.Values(v.open), 0); b != nil {
				a, much = b, measure(v)
			}
		}
	}
	if a == nil {
		return false
	}
	c.setAside(ctx, a)
	return true
}

// setAside removes an assembly so that another can have its place. What has
// come of it stays; of each vehicle as many objects as may be arriving.
func (c *Collector) setAside(ctx context.Context, a *assembly) {
	c.status.Aside++
	if a.have.Count() == 0 {
		c.discard(a)
		return
	}
	c.put(a)
	a.v.aside = append(a.v.aside, left{a.offer.Object, a.offer.Size, time.Now()})
	if len(a.v.aside) > c.o.Quota.Objects {
		c.dropAside(ctx, a.v)
	}
}

// takeBack removes the copy of an offered object, if there is one, from what is
// set aside, so that what gives way for it does not push it out.
func (v *vehicle) takeBack(o wire.Offer) (back []left) {
	for i, l := range v.aside {
		if l.is(o.Object, o.Size) {
			v.aside = slices.Delete(v.aside, i, i+1)
			return []left{l}
		}
	}
	return nil
}

// is reports whether it is the copy of an object. One of another size is
// another copy.
func (l left) is(object envelope.Name, size int64) bool { return l.object == object && l.size == size }

func (v *vehicle) hasAside(object envelope.Name, size int64) bool {
	return slices.ContainsFunc(v.aside, func(l left) bool { return l.is(object, size) })
}

func (v *vehicle) asideBytes() (n int64) {
	for _, l := range v.aside {
		n += l.size
	}
	return n
}

// dropAside removes the oldest copy that was set aside, if the store has not
// done so.
func (c *Collector) dropAside(ctx context.Context, v *vehicle) {
	l := v.aside[0]
	v.aside = v.aside[1:]
	staged, _, err := c.o.Store.Resume(ctx, c.o.Key.stagingID(v.device, l.object, l.size), l.size)
	if err == nil {
		err = staged.Discard()
	}
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		c.trouble(err)
	}
}

// keepReceipt keeps a receipt that came late, for when the vehicle offers
// again: reading a large object back once more would be as late.
func (c *Collector) keepReceipt(v *vehicle, r wire.Receipt) {
	v.late = append(v.late, late{r, time.Now()})
	if len(v.late) > c.o.Quota.Objects {
		v.late = v.late[1:]
	}
}

// unheard returns the late receipt that answers an offer; nil if there is none.
func (c *Collector) unheard(device string, o wire.Offer) *wire.Receipt {
	v := c.vehicles[device]
	if v == nil {
		return nil
	}
	for _, l := range v.late {
		if l.receipt.Matches(o) == nil {
			return &l.receipt
		}
	}
	return nil
}

// lateness is how long a late receipt is kept: the longest that a vehicle waits
// between two offers of an object.
const lateness = time.Hour

// tidy removes what is too old, and vehicles of which nothing is left.
func (c *Collector) tidy(ctx context.Context) {
	c.down.tidy()
	for _, a := range c.assemblies() {
		if !a.busy && time.Since(a.touched) >= c.o.Quota.Age {
			c.discard(a)
		}
	}
	for device, v := range c.vehicles {
		for len(v.aside) > 0 && time.Since(v.aside[0].since) >= c.o.Quota.Age {
			c.dropAside(ctx, v)
		}
		for len(v.late) > 0 && time.Since(v.late[0].since) >= lateness {
			v.late = v.late[1:]
		}
		v.spent /= 2
		if len(v.open)+len(v.aside)+len(v.late) == 0 && v.spent < time.Millisecond {
			delete(c.vehicles, device)
		}
	}
}
