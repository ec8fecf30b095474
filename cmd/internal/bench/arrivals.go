package bench

import (
	"context"
	"errors"
	"sync"
	"time"

	"roadseal/cmd/internal/bench/capture"
	"roadseal/cmd/internal/bench/judge"
	"roadseal/cmd/internal/bench/player"
)

// arrivals are the segments that were delivered so far, for those who wait for
// one.
type arrivals struct {
	mu    sync.Mutex
	names map[string]bool
}

// note takes in what the key holder has and the vehicle has a receipt for.
func (a *arrivals) note(h *judge.Holder, l *capture.Ledger) {
	a.mu.Lock()
	defer a.mu.Unlock()
	a.names = map[string]bool{}
	for file, object := range h.Segments {
		if _, ok := l.Receipt(object); ok {
			a.names[file] = true
		}
	}
}

func (a *arrivals) has(name string) bool {
	a.mu.Lock()
	defer a.mu.Unlock()
	return a.names[name]
}

// wait returns when a segment was delivered.
func (a *arrivals) wait(ctx context.Context, s player.Segment) error {
	ctx, cancel := context.WithTimeoutCause(ctx, patience, errors.New("a clip that was to be locked after its delivery was not delivered within "+patience.String()))
	defer cancel()
	tick := time.NewTicker(watchEvery)
	defer tick.Stop()
	for !a.has(s.Name) {
		select {
		case <-tick.C:
		case <-ctx.Done():
			return context.Cause(ctx)
		}
	}
	return nil
}
