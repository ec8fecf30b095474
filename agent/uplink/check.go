package uplink

import (
	"context"
	"time"

	"roadseal/agent/spool"
	"roadseal/hal/watchdog"
)

const (
	// checkAgain keeps a peer that calls every object wrong from making the
	// unit read its spool all day: what was found intact is believed for so long.
	checkAgain  = 24 * time.Hour
	maxSuspects = 16 // waiting to be read; who finds no room comes again
)

// suspect asks for a look at the unit's own copy of an object that is put off
// because somebody calls its bytes wrong.
func (u *Uplink) suspect(e spool.Entry) {
	if !u.report.check(e.Name) {
		return
	}
	select {
	case u.suspects <- e:
	default:
		u.report.uncheck(e.Name)
	}
}

// check reads the suspects, one at a time, until ctx ends. It has a goroutine
// of its own: a large object takes seconds, in which the others go up. The
// queue drops what is damaged; about what is intact the collector was wrong.
func (u *Uplink) check(ctx context.Context) {
	for {
		var e spool.Entry
		err := watchdog.Await(ctx, func(turn context.Context) error {
			select {
			case e = <-u.suspects:
				return nil
			case <-turn.Done():
				return turn.Err()
			}
		})
		if err != nil {
			return
		}
		switch intact, err := u.o.Queue.Verify(ctx, e); {
		case ctx.Err() != nil:
			return
		case err != nil:
			u.report.uncheck(e.Name)
			u.log.warn("cannot check an object on this unit", err.Error())
		case !intact:
			u.report.forget(e.Name)
			u.log.warn("an object on this unit is damaged", "its bytes do not match its name; the spool sets it aside and counts it, the others go on")
		}
	}
}
