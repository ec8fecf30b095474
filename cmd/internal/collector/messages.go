package collector

import (
	"context"
	"time"

	"roadseal/agent/mqttlink"
	"roadseal/agent/wire"
	"roadseal/cmd/internal/objstore"
	"roadseal/crypto/envelope"
)

// receive handles one message from a vehicle.
func (c *Collector) receive(ctx context.Context, m mqttlink.Message) {
	shard, device, ok := wire.DeviceOf(m.Topic)
	if !ok || !c.o.Shards.owns(shard) {
		c.status.Ignored++ // of another collector, whose subscription this session may have had before
		return
	}
	msg, err := wire.Parse(m.Payload)
	if err != nil {
		c.status.Ignored++
		return
	}
	offer, isOffer := msg.(wire.Offer)
	data, isData := msg.(wire.Data)
	ask, isAsk := msg.(wire.Ask)
	switch {
	case isOffer && shard != wire.Shard(device):
		c.refuse(device, offer, wire.ReasonShard)
	case isOffer:
		c.status.Offers++
		c.offer(ctx, device, offer)
	case isData && shard == wire.Shard(device):
		c.data(ctx, device, data)
	case isAsk && shard == wire.Shard(device):
		c.ask(device, ask)
	default:
		c.status.Ignored++
	}
}

// offer answers at once, or has a worker look. An OFFER of what is arriving asks
// how far it is: a job that is under way answers it as well.
func (c *Collector) offer(ctx context.Context, device string, o wire.Offer) {
	a := c.find(device, o.Object)
	why := c.judge(o)
	if why == 0 && a != nil && !a.busy && a.offer.Size != o.Size && a.have.Count() == 0 {
		c.discard(a) // one of the two is false, and nothing speaks for the older
		a = nil
	}
	switch {
	case why == 0 && a == nil:
		if r := c.unheard(device, o); r != nil {
			c.status.Receipts++
			c.reply(device, *r)
			return
		}
		a, why = c.admit(ctx, device, o)
		if why == 0 {
			c.submit(a, look, 0)
			return
		}
	case why == 0 && a.offer.Size != o.Size:
		why = wire.ReasonSize
	}
	if why != 0 {
		c.refuse(device, o, why)
		return
	}
	a.offer, a.class, a.touched = o, min(a.class, int(o.Class)), time.Now()
	if a.have == nil {
		return
	}
	c.sendHave(a)
	if !a.busy && a.have.Full(o.Size) {
		c.submit(a, commit, o.Size) // the class was missing
	}
}

// judge is what can be said about an offer without looking at the store.
func (c *Collector) judge(o wire.Offer) wire.Reason {
	plain, ok := envelope.PlainSize(c.o.Slots, o.Size)
	switch {
	case o.Tag != nil:
		return wire.ReasonClass
	case !ok || !envelope.OnGrid(plain) || o.Size > c.o.Quota.Largest[o.Class-1]:
		return wire.ReasonSize
	}
	return 0
}

func (c *Collector) sendHave(a *assembly) {
	c.reply(a.v.device, wire.Have{Object: a.offer.Object, Size: a.offer.Size, Blocks: a.have})
}

// data takes the blocks of a message that are not there yet. What is about
// nothing that is arriving is ignored: the vehicle hears nothing and offers
// again.
func (c *Collector) data(ctx context.Context, device string, d wire.Data) {
	a := c.find(device, d.Object)
	if a == nil {
		a = c.goOn(ctx, device, d)
	}
	if a == nil || a.busy || a.offer.Size != d.Size {
		c.status.Ignored++
		return
	}
	a.touched = time.Now()
	a.count++
	if err := c.write(a, d); err != nil {
		c.trouble(err)
		c.discard(a)
		c.refuse(device, d, wire.ReasonStorage)
		return
	}
	if !c.headerGood(a) {
		c.discard(a)
		c.refuse(device, d, wire.ReasonHeader)
		return
	}
	full := a.have.Full(a.offer.Size)
	if full && a.class == unasked {
		return // the vehicle hears nothing and offers again
	}
	if full || a.count%wire.HaveEvery == 0 {
		c.sendHave(a)
	}
	if full {
		c.submit(a, commit, a.offer.Size)
	}
}

// write stages the blocks of a message that are missing. The first that came
// stays: the hash decides in the end.
func (c *Collector) write(a *assembly, d wire.Data) error {
	i := int(d.Index)
	for rest := d.Blocks; len(rest) > 0; i++ {
		n := min(wire.BlockSize, len(rest))
		if a.have.Has(i) {
			c.status.Duplicate++
		} else {
			if err := a.staged.WriteBlock(i, rest[:n]); err != nil {
				return err
			}
			a.have.Set(i)
			c.status.Blocks++
		}
		rest = rest[n:]
	}
	return nil
}

// headerGood reports false for a header that is not what it must be. As long as
// its blocks are not all there it is not judged.
func (c *Collector) headerGood(a *assembly) bool {
	if !a.checked && headerThere(a.have, c.o.Slots) {
		if objstore.CheckHeader(a.staged, a.offer.Size, c.o.Slots) != nil {
			return false
		}
		a.checked = true
	}
	return true
}

func headerThere(have wire.Bitmap, slots int) bool {
	for i := range wire.Blocks(envelope.HeaderSize(slots)) {
		if !have.Has(i) {
			return false
		}
	}
	return true
}
