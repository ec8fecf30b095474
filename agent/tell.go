package agent

import (
	"context"
	"slices"
	"sync"
	"time"

	"roadseal/agent/health"
	"roadseal/agent/policy"
	"roadseal/agent/spool"
	"roadseal/crypto/envelope"
	"roadseal/hal/watchdog"
)

// Pauses of the health stream: before the first document of a start, for many
// trips are shorter than max_age, and after one that could not be sealed.
const (
	firstTelling = time.Minute
	tellAgain    = time.Minute
)

// tell seals a health document every max_age of the stream that takes them,
// until ctx ends.
func (a *Agent) tell(ctx context.Context) error {
	st, ok := a.cfg.Streams.For(policy.Health)
	if !ok || a.full != nil {
		return watchdog.Park(ctx)
	}
	for wait := min(firstTelling, st.MaxAge.Duration); ; {
		if err := watchdog.Sleep(ctx, wait); err != nil {
			return err
		}
		wait = st.MaxAge.Duration
		if err := a.tellOnce(ctx); err != nil { // the status says why nothing can be sealed
			wait = min(tellAgain, wait)
		}
	}
}

// tellLast seals the document of a trip that is over; if it cannot, the next
// start tells.
func (a *Agent) tellLast(ctx context.Context) {
	if _, ok := a.cfg.Streams.For(policy.Health); ok && a.full == nil {
		_ = a.tellOnce(ctx) // nothing is lost by an error
	}
}

// tellOnce seals one document.
func (a *Agent) tellOnce(ctx context.Context) error {
	sequence := a.next()
	d, told := health.NewDocument(a.status(), sequence, a.told.untold(a.spool.Losses()))
	b, err := d.Marshal()
	if err != nil {
		return err
	}
	return a.told.wait(told, func() (envelope.Name, error) {
		e, err := a.intake.Health(ctx, b, sequence)
		return e.Name, err
	})
}

// A told knows which losses stand in documents that have no receipt yet. Until
// then they stay on record: the document may be lost itself. A new start tells
// them again.
type told struct {
	mu      sync.Mutex
	waiting map[envelope.Name][]spool.Loss
}

// untold returns the losses that are in no waiting document.
func (t *told) untold(losses []spool.Loss) []spool.Loss {
	t.mu.Lock()
	defer t.mu.Unlock()
	for _, l := range losses {
		delete(t.waiting, l.Name)
	}
	in := map[spool.Loss]bool{}
	for _, w := range t.waiting {
		for _, l := range w {
			in[l] = true
		}
	}
	return slices.DeleteFunc(losses, func(l spool.Loss) bool { return in[l] })
}

// wait notes the losses in a document that seal makes. Its receipt is not looked
// at before that.
func (t *told) wait(losses []spool.Loss, seal func() (envelope.Name, error)) error {
	t.mu.Lock()
	defer t.mu.Unlock()
	document, err := seal()
	if err != nil || len(losses) == 0 {
		return err
	}
	if t.waiting == nil {
		t.waiting = map[envelope.Name][]spool.Loss{}
	}
	t.waiting[document] = losses
	return nil
}

// delivered returns the losses in a document that has its receipt.
func (t *told) delivered(document envelope.Name) []spool.Loss {
	t.mu.Lock()
	defer t.mu.Unlock()
	losses := t.waiting[document]
	delete(t.waiting, document)
	return losses
}
