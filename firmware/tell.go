package firmware

import (
	"time"

	"roadseal/firmware/report"
)

// again is when an outcome that has not changed is reported once more.
const again = 24 * time.Hour

// tell reports an attempt, if its outcome is another than the one reported last
// or that is long ago. A report that cannot be handed over waits, and no other
// is made before: the next one tells of the last attempt until then.
func (u *Updater) tell(a report.Attempt, installed *report.Image) error {
	u.count++
	l, damaged, err := u.state.last()
	if err != nil {
		return err
	}
	if damaged != nil {
		u.o.Log.Warn("a stored report is damaged and passed over", "reason", damaged)
	}
	if l.waiting {
		// Whoever stored it may have been killed before it was durable.
		if err := u.state.save(l.file); err != nil {
			return err
		}
		if err := u.hand(l); err != nil {
			return err
		}
	}
	r := u.next(l.Report, a, installed)
	if l.Report != nil && len(r.Changes) == 0 && same(r.Attempt, l.Attempt) && r.Time.Sub(l.Time) < again {
		u.note(l.Counter, false)
		return nil
	}
	file, err := u.signer.Sign(r)
	if err != nil {
		return err
	}
	if err := u.state.save(file); err != nil {
		return err
	}
	u.count = 0
	return u.hand(last{r, file, true})
}

// hand hands a durable report over.
func (u *Updater) hand(l last) error {
	u.note(l.Counter, true)
	if err := u.o.Report(l.file); err != nil {
		return err
	}
	if err := u.state.handed(); err != nil {
		return err
	}
	u.note(l.Counter, false)
	return nil
}

func (u *Updater) note(counter int64, waiting bool) {
	u.mu.Lock()
	defer u.mu.Unlock()
	u.status.Reports, u.status.Waiting = counter, waiting
}

// next is the report after another, nil for the first.
func (u *Updater) next(before *report.Report, a report.Attempt, installed *report.Image) *report.Report {
	a.Attempts = u.count
	r := &report.Report{Attempt: a, Counter: 1, Previous: report.None, Installed: []report.Installed{}, Changes: []report.Change{},
		Time: u.o.Now().UTC().Truncate(time.Second), Confidence: u.o.Confidence()}
	if before != nil {
		r.Counter, r.Previous = before.Counter+1, before.Digest()
	}
	if installed == nil {
		return r
	}
	r.Installed = append(r.Installed, report.Installed{ECU: u.o.Unit.ECU, Hardware: u.o.Unit.Hardware, Image: *installed})
	change := report.Change{ECU: u.o.Unit.ECU, Result: report.Provisioned, To: *installed}
	if before != nil && len(before.Installed) == 1 {
		from := before.Installed[0].Image
		if equal(from, *installed) {
			return r
		}
		change.From, change.Result = &from, report.Updated
		if installed.Counter < from.Counter {
			change.Result = report.RolledBack
		}
	}
	r.Changes = append(r.Changes, change)
	return r
}

func equal(a, b report.Image) bool {
	one, errOne := report.Marshal(a)
	two, errTwo := report.Marshal(b)
	return errOne == nil && errTwo == nil && string(one) == string(two)
}
