package intake

import (
	"errors"
	"io/fs"
	"maps"
	"time"

	"roadseal/agent/spool"
	"roadseal/hal/camera"
	"roadseal/hal/red"
)

// Counts tell what became of a camera's segments since start.
type Counts struct {
	Sealed   int
	Known    int // met again, not sealed twice
	Promoted int // locked after they were sealed: their objects are kept longer now
	Failed   int // attempts that did not end in a sealed object
	Last     string
	// Waiting segments of the recorder's ring are not sealed while the spool's
	// file system has less than keep_free; Overwritten ones the recorder has
	// dropped before that was over.
	Waiting, Overwritten int
}

// A tally is what is counted for one camera.
type tally struct {
	Counts
	met     bool // what is to stay in the vehicle is known
	waiting map[red.Text]waiter
}

// A waiter is a segment that waits for room, as it was when it was read.
type waiter struct {
	tag  spool.Tag
	size int64
	time time.Time
}

// maxWaiting bounds what is remembered, as a folder does.
const maxWaiting = 1 << 15

// tally returns that of a camera. Called with the lock held.
func (i *Intake) tally(camera string) *tally {
	n := i.tallies[camera]
	if n == nil {
		n = &tally{waiting: map[red.Text]waiter{}}
		i.tallies[camera] = n
	}
	return n
}

// Counts returns what became of the segments of a camera.
func (i *Intake) Counts(camera string) Counts {
	i.mu.Lock()
	defer i.mu.Unlock()
	n := i.tally(camera)
	for _, c := range i.opt.Cameras {
		if c.Name == camera {
			n.dropGone(c)
		}
	}
	n.Waiting = len(n.waiting)
	return n.Counts
}

// dropGone finds the waiting segments that the recorder has dropped.
func (n *tally) dropGone(c Camera) {
	if len(n.waiting) == 0 {
		return
	}
	tags, complete := c.Folder.Tags()
	if !complete {
		return
	}
	there := map[spool.Tag]bool{}
	for _, t := range tags {
		there[t] = true
	}
	maps.DeleteFunc(n.waiting, func(_ red.Text, w waiter) bool {
		if !there[w.tag] {
			n.Overwritten++
		}
		return !there[w.tag]
	})
}

// waits notes that a segment is not sealed for want of room in the spool, or
// that it has been dealt with.
func (i *Intake) waits(c Camera, s camera.Segment, tag spool.Tag, waits bool) {
	i.mu.Lock()
	n := i.tally(c.Name)
	first := waits && len(n.waiting) == 0
	switch {
	case !waits: // nor does it under the name that it had before it was locked
		maps.DeleteFunc(n.waiting, func(file red.Text, w waiter) bool { return file == s.File || w.tag == tag })
	case len(n.waiting) < maxWaiting:
		if was, ok := n.waiting[s.File]; ok && was.tag != tag {
			n.Overwritten++
		}
		n.waiting[s.File] = waiter{tag, s.Size, s.ModTime}
	}
	i.mu.Unlock()
	if first {
		i.opt.Log.Warn("segments of the recorder's ring wait, will try again", "camera", c.Name, "reason", spool.ErrKeepFree)
	}
}

// inVain reports whether a segment waits for room and there is still none: it
// need not be read again to know that.
func (i *Intake) inVain(c Camera, s camera.Segment) bool {
	i.mu.Lock()
	w, waits := i.tally(c.Name).waiting[s.File]
	i.mu.Unlock()
	if !waits || w.size != s.Size || !w.time.Equal(s.ModTime) || !i.opt.Spool.Tight() {
		return false
	}
	c.Folder.Tagged(s, w.tag)
	return true
}

// count notes what became of a segment in one turn.
func (i *Intake) count(c Camera, what outcome, err error) {
	i.mu.Lock()
	defer i.mu.Unlock()
	switch n := i.tally(c.Name); what {
	case sealedNow:
		n.Sealed++
		n.Last = "" // what kept one from it is over, or will be met again
	case promoted:
		n.Promoted++
	case knownAlready:
		n.Known++
	case failed:
		n.Failed++
		n.Last = reason(err)
		if errors.Is(err, fs.ErrNotExist) {
			n.Last = "a segment vanished before it could be sealed"
		}
	}
}
