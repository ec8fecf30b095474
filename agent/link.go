package agent

import (
	"context"
	"time"

	"roadseal/agent/uplink"
	"roadseal/agent/wire"
)

// dial opens a session with the broker. Certificate and key are read anew each
// time, so that a renewed certificate is used without a restart.
func (a *Agent) dial(ctx context.Context) (uplink.Link, error) {
	return connect(ctx, a.cfg, a.clock, a.pace, a.identity.CommonName)
}

// saveStep is how far trusted time runs ahead of its durable copy: the copy is
// a lower bound, and flash need not be worn for every receipt.
const saveStep = time.Hour

// receipt notes that the key holder can read of the losses in a document, and
// moves trusted time on.
func (a *Agent) receipt(r wire.Receipt) {
	if err := a.spool.Reported(a.told.delivered(r.Object)); err != nil {
		a.log.Warn("cannot note that losses were told, they are told again", "reason", err)
	}
	if a.raise(r.Time) && a.clock.Floor().Unix()-a.saved.Load() >= int64(saveStep/time.Second) {
		a.saveTime()
	}
}

// raise moves trusted time on, but never past the end of our own certificate:
// the broker accepts it, so such a time is false, and believing it would lock the
// unit out for good. Neither a stolen receipt key nor one of the release desk's
// must be able to do that.
func (a *Agent) raise(t time.Time) bool {
	return !t.After(a.identity.NotAfter) && a.clock.Raise(t)
}

func (a *Agent) saveTime() {
	a.saving.Lock()
	defer a.saving.Unlock()
	t := a.clock.Floor()
	if t.Unix() == a.saved.Load() {
		return
	}
	if err := writeTimeFloor(a.state, t); err != nil {
		a.log.Warn("cannot save the trusted time", "reason", err)
		return
	}
	a.saved.Store(t.Unix())
}
