package player

import (
	"context"
	"time"
)

// A Clock turns time of the drive into real time.
type Clock struct {
	Start time.Time // when the drive begins
	Speed float64   // seconds of the drive in a second, > 0
}

// Wait returns when the drive is at the given time, or with the context's error.
func (c Clock) Wait(ctx context.Context, at time.Duration) error {
	due := c.Start.Add(time.Duration(float64(at) / c.Speed))
	t := time.NewTimer(time.Until(due))
	defer t.Stop()
	select {
	case <-t.C:
		return ctx.Err()
	case <-ctx.Done():
		return ctx.Err()
	}
}
