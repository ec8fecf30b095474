package collector

import (
	"errors"
	"maps"
	"time"

	"roadseal/agent/wire"
	"roadseal/cmd/internal/objstore"
)

// Status is what a collector says of itself: counters since its start, none of
// which tells a vehicle or an object.
type Status struct {
	Connected bool             `json:"connected"`            // to the broker
	LastError string           `json:"last_error,omitempty"` // why not
	Offers    int64            `json:"offers"`
	Blocks    int64            `json:"blocks"`       // taken
	Duplicate int64            `json:"duplicate"`    // blocks that were there already
	Stored    int64            `json:"stored"`       // objects made durable
	Known     int64            `json:"known"`        // offers of objects that were there, read back
	Receipts  int64            `json:"receipts"`     // sent
	Restarted int64            `json:"restarted"`    // objects whose staged copy a crash had damaged
	Refused   map[string]int64 `json:"refused"`      // by reason
	Ignored   int64            `json:"ignored"`      // messages that are malformed, for other shards, or about nothing that is arriving
	Arriving  int              `json:"arriving"`     // objects at the moment
	Aside     int64            `json:"set_aside"`    // objects that gave way to others while they were arriving
	Vehicles  int              `json:"vehicles"`     // certificates of which anything is remembered
	StoreErrs int64            `json:"store_errors"` // errors of the store
	Alarms    int64            `json:"alarms"`       // objects found with other bytes than their name says
	Downloads Downloads        `json:"downloads"`
}

// Downloads are counters of the files that vehicles asked for. None tells which.
type Downloads struct {
	Asks    int64 `json:"asks"`
	Parts   int64 `json:"parts"`   // blocks sent
	None    int64 `json:"none"`    // asks answered: no such file
	Changed int64 `json:"changed"` // asks answered: the file has changed
	Later   int64 `json:"later"`   // asks answered: not now
	Dropped int64 `json:"dropped"` // blocks above what a vehicle may have outstanding
}

func (d *Downloads) absent(why wire.Absence) {
	switch why {
	case wire.AbsentNone:
		d.None++
	case wire.AbsentChanged:
		d.Changed++
	case wire.AbsentLater:
		d.Later++
	}
}

func newStatus() Status { return Status{Refused: map[string]int64{}} }

func (c *Collector) report() {
	if c.o.Status == nil {
		return
	}
	s := c.status
	s.Refused, s.Arriving, s.Vehicles = maps.Clone(s.Refused), c.open, len(c.vehicles)
	c.o.Status(s)
}

// trouble and wellAgain log the change between a store that works and one that
// does not. One that does now and then is said to be ill all the time: the lines
// are at least a minute apart, whatever vehicles do.
func (c *Collector) trouble(err error) {
	c.status.StoreErrs++
	switch {
	case !c.ill.IsZero():
	case errors.Is(err, objstore.ErrSpace):
		c.o.Log.Error("the store is short of space; objects for which it has none are refused", "err", err)
	default:
		c.o.Log.Error("the store does not work; objects are refused until it does", "err", err)
	}
	c.ill = time.Now()
}

func (c *Collector) wellAgain() {
	if c.ill.IsZero() || time.Since(c.ill) < time.Minute {
		return
	}
	c.o.Log.Info("the store works again")
	c.ill = time.Time{}
}
