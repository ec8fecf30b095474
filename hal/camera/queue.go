package camera

import (
	"context"
	"strings"
	"time"
)

// pending counts the files that next could hand out.
func (t *table) pending() int {
	t.mu.Lock()
	defer t.mu.Unlock()
	n := 0
	for _, e := range t.files {
		if e.phase == ready && e.missing == 0 {
			n++
		}
	}
	return n
}

// next waits for a finished file and hands it out.
func (t *table) next(ctx context.Context) (Segment, error) {
	for {
		t.mu.Lock()
		var best *entry
		for _, e := range t.files {
			if e.phase == ready && e.missing == 0 && (best == nil || before(e, best)) {
				best = e
			}
		}
		if best != nil {
			t.handed++
			best.phase, best.decided = handed, false
			s := best.Segment
			t.mu.Unlock()
			return s, nil
		}
		wake := t.wake
		t.mu.Unlock()
		select {
		case <-ctx.Done():
			return Segment{}, ctx.Err()
		case <-wake:
		}
	}
}

// before is the order of handing out: events, then by time, then by name.
func before(a, b *entry) bool {
	if ae, be := a.Kind == kindEvent, b.Kind == kindEvent; ae != be {
		return ae
	}
	if c := a.Start.Compare(b.Start); c != 0 {
		return c < 0
	}
	return strings.Compare(a.File.Reveal(), b.File.Reveal()) < 0
}

// retry puts a handed-out file back; it settles first, for twice as long each
// further time.
func (t *table) retry(s Segment, now time.Time) {
	t.mu.Lock()
	defer t.mu.Unlock()
	if e := t.files[s.File]; e != nil && e.phase == handed {
		e.tries++
		t.settleAgain(e, e.Segment, now)
	}
}

// maxWaits bounds how often a wait doubles: 16 times Settle. To look at a whole
// card more often is work for nothing.
const maxWaits = 5

// wait puts a handed-out file back, which is not to blame.
func (t *table) wait(s Segment, now time.Time) {
	t.mu.Lock()
	defer t.mu.Unlock()
	if e := t.files[s.File]; e != nil && e.phase == handed {
		e.tries = min(e.tries+1, max(e.tries, maxWaits))
		t.settleAgain(e, e.Segment, now)
	}
}

// release undoes next.
func (t *table) release(s Segment) {
	t.mu.Lock()
	defer t.mu.Unlock()
	if e := t.files[s.File]; e != nil && e.phase == handed && e.same(s) {
		t.handed--
		t.makeReady(e)
	}
}

// tagged notes the tag of a file that was handed out.
func (t *table) tagged(s Segment, tag [16]byte) {
	t.mu.Lock()
	defer t.mu.Unlock()
	if e := t.files[s.File]; e != nil && e.same(s) {
		e.decided, e.tag = true, tag
	}
}

// tags returns the tags of the files that are present, and whether there can be
// no other.
func (t *table) tags() (tags [][16]byte, complete bool) {
	t.mu.Lock()
	defer t.mu.Unlock()
	// An empty folder may be a mount point without its card.
	complete = t.scanned && !t.partial && !t.crowded && len(t.files) > 0
	for _, e := range t.files {
		if e.tag != ([16]byte{}) {
			tags = append(tags, e.tag)
		}
		growing := e.phase == settling && e.grown // no file of an earlier run
		if !e.decided && !growing && e.missing == 0 {
			complete = false
		}
	}
	return tags, complete
}
