package uplink_test

import (
	"crypto/ed25519"
	"crypto/sha256"
	"slices"
	"time"

	"roadseal/agent/wire"
	"roadseal/crypto/envelope"
	"roadseal/firmware/fetch/fetchtest"
)

// A collector answers as PROTOCOL.md says, unless a hook makes it lie.
type collector struct {
	key    ed25519.PrivateKey
	parts  map[envelope.Name]*part
	stored map[envelope.Name]int // how often an object was completed
	dup    int                   // blocks that came twice
	refuse func(wire.Offer) wire.Reason
	forge  func(*wire.Receipt) // before signing; may replace the key id
	after  func(*wire.Receipt) // after signing
	mute   func(wire.Message) bool
	evil   func(wire.Message) []wire.Message // answers instead of the collector
	honest map[envelope.Name]bool            // a genuine receipt went out
	files  *fetchtest.Files                  // to be fetched
}

type part struct {
	offer wire.Offer
	bytes []byte
	have  wire.Bitmap
	count int // DATA messages
}

func newCollector() *collector {
	return &collector{key: signer, parts: map[envelope.Name]*part{}, stored: map[envelope.Name]int{}, honest: map[envelope.Name]bool{},
		files: fetchtest.NewFiles()}
}

func (c *collector) handle(m wire.Message) (out []wire.Message) {
	if c.evil != nil {
		return c.evil(m)
	}
	switch m := m.(type) {
	case wire.Offer:
		if c.refuse != nil {
			if r := c.refuse(m); r != 0 {
				return []wire.Message{wire.Refused{Object: m.Object, Reason: r}}
			}
		}
		if c.stored[m.Object] > 0 {
			out = []wire.Message{c.receipt(m)}
			break
		}
		if c.parts[m.Object] == nil {
			c.parts[m.Object] = &part{offer: m, bytes: make([]byte, m.Size), have: wire.NewBitmap(m.Size)}
		}
		out = []wire.Message{c.have(m.Object)}
	case wire.Data:
		out = c.data(m)
	case wire.Ask:
		out = c.files.Answer(m)
	}
	return slices.DeleteFunc(out, func(m wire.Message) bool { return c.mute != nil && c.mute(m) })
}

func (c *collector) data(m wire.Data) []wire.Message {
	p := c.parts[m.Object]
	if p == nil {
		return nil
	}
	for i := range wire.Blocks(int64(len(m.Blocks))) {
		if p.have.Has(int(m.Index) + i) {
			c.dup++
		}
		p.have.Set(int(m.Index) + i)
	}
	copy(p.bytes[int64(m.Index)*wire.BlockSize:], m.Blocks)
	switch p.count++; {
	case !p.have.Full(m.Size):
		if p.count%wire.HaveEvery == 0 {
			return []wire.Message{c.have(m.Object)}
		}
		return nil
	case sha256.Sum256(p.bytes) != m.Object:
		return []wire.Message{wire.Refused{Object: m.Object, Reason: wire.ReasonHash}}
	}
	have := c.have(m.Object)
	delete(c.parts, m.Object)
	c.stored[m.Object]++
	return []wire.Message{have, c.receipt(p.offer)}
}

func (c *collector) have(name envelope.Name) wire.Have {
	p := c.parts[name]
	return wire.Have{Object: name, Size: p.offer.Size, Blocks: slices.Clone(p.have)}
}

func (c *collector) receipt(o wire.Offer) wire.Receipt {
	r := wire.Receipt{Key: public(c.key).ID(), Object: o.Object, Size: o.Size, Class: o.Class, Tag: o.Tag, Time: time.Now()}
	if c.forge != nil {
		c.forge(&r)
	}
	copy(r.Signature[:], ed25519.Sign(c.key, r.Message()))
	if c.after != nil {
		c.after(&r)
	}
	if c.key.Equal(signer) && c.forge == nil && c.after == nil {
		c.honest[o.Object] = true
	}
	return r
}
