// Package track gathers fixes into documents: UTF-8 CSV with a header of '#'
// lines, one fix a line, each document small enough to be sealed at once.
//
// A document is closed when its oldest fix reaches the age limit, when it has
// filled the largest step of the text grid, and when Cut is called (trip end,
// power failing, stop). Until it is closed its fixes live in memory only; the
// age limit is therefore what a power cut may cost.
//
// The format, version 1, is what Header and AppendFix write:
//
//	# roadseal-track/1
//	# boot 12
//	# sequence 34
//	# columns: mono_s,utc,clock,lat_deg,lon_deg,…
//	# units: …
//	12.345,2018-08-02T16:14:48.290Z,gnss,37.720997667,-122.472305333,33.40,7.823,2.14,1,11,0.80,4.0,
//
// The last field is empty, or the reasons not to believe the fix (gnss.Marks)
// joined by "|": each of letters a to z and "-", in the order of their list, none
// twice. A release that knows more of them adds them at the end of the list. A
// reader keeps those that it does not know, behind the others and by name, and
// believes their fix no more than that of any other mark.
//
// Side: red.
package track

import (
	"context"
	"sync"
	"time"

	"roadseal/crypto/envelope"
	"roadseal/hal/gnss"
)

// MediaType of a document.
const MediaType = "text/csv"

// maxContent closes a document before its content and record outgrow 64 KiB,
// the largest step of the text grid.
const maxContent = 64<<10 - envelope.RecordSize - maxLine

// maxWaiting bounds the closed documents in memory while nobody can take them
// (disk full): about a quarter of an hour at 10 Hz. The oldest go first and
// are counted.
const maxWaiting = 16

// sealTime is what is left of the age limit for sealing and syncing.
const sealTime = 2 * time.Second

// A Document is a closed batch of fixes.
type Document struct {
	Boot, Sequence uint32
	Content        []byte
	Fixes          int
	Start, End     time.Time // UTC of the first and last fix; zero if unknown
	Clock          gnss.Clock
}

// Options of a Recorder.
type Options struct {
	Boot     uint32
	Sequence func() uint32 // next free number of this start
	MaxAge   time.Duration // of a fix in memory
}

// A Recorder is safe for use by several goroutines.
type Recorder struct {
	opt Options

	mu      sync.Mutex
	open    Document
	opened  time.Time // when the first fix of open came, monotonic
	waiting []Document
	lost    int
	wake    chan struct{}
}

// NewRecorder returns an empty recorder.
func NewRecorder(o Options) *Recorder { return &Recorder{opt: o, wake: make(chan struct{}, 1)} }

// Add takes a fix.
func (r *Recorder) Add(f gnss.Fix) {
	r.mu.Lock()
	defer r.mu.Unlock()
	d := &r.open
	if d.Fixes == 0 {
		seq := r.opt.Sequence()
		*d = Document{Boot: r.opt.Boot, Sequence: seq, Content: AppendHeader(nil, r.opt.Boot, seq), Start: f.UTC}
		r.opened = time.Now()
		r.signal()
	}
	d.Content = AppendFix(d.Content, f)
	d.Fixes++
	d.Clock = f.Clock
	if !f.UTC.IsZero() {
		if d.Start.IsZero() {
			d.Start = f.UTC
		}
		d.End = f.UTC
	}
	if len(d.Content) > maxContent {
		r.cut()
	}
}

// Cut closes the open document at once.
func (r *Recorder) Cut() {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.cut()
}

func (r *Recorder) cut() {
	if r.open.Fixes == 0 {
		return
	}
	if len(r.waiting) == maxWaiting {
		r.lost += r.waiting[0].Fixes
		r.waiting = append(r.waiting[:0], r.waiting[1:]...)
	}
	r.waiting = append(r.waiting, r.open)
	r.open = Document{}
	r.signal()
}

func (r *Recorder) signal() {
	select {
	case r.wake <- struct{}{}:
	default:
	}
}

// Next returns the oldest closed document, waiting for one if need be. The
// document stays until Done: a caller that dies between the two loses nothing
// that it had not lost anyway. It has one caller.
func (r *Recorder) Next(ctx context.Context) (Document, error) {
	for {
		d, wait, ok := r.due()
		if ok {
			return d, nil
		}
		age := time.NewTimer(wait)
		select {
		case <-ctx.Done():
			age.Stop()
			return Document{}, ctx.Err()
		case <-r.wake:
			age.Stop()
		case <-age.C:
		}
	}
}

// due returns the oldest closed document, or when to look again: the time that
// the open one has left. An empty recorder wakes Next with the first fix.
func (r *Recorder) due() (d Document, wait time.Duration, ok bool) {
	r.mu.Lock()
	defer r.mu.Unlock()
	wait = r.opt.MaxAge
	if r.open.Fixes > 0 {
		if wait = r.opt.MaxAge - min(sealTime, r.opt.MaxAge/4) - time.Since(r.opened); wait <= 0 {
			r.cut()
		}
	}
	if len(r.waiting) > 0 {
		return r.waiting[0], 0, true
	}
	return Document{}, wait, false
}

// Done drops a document that Next returned: it is durable elsewhere.
func (r *Recorder) Done(d Document) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if len(r.waiting) > 0 && r.waiting[0].Sequence == d.Sequence {
		r.waiting = append(r.waiting[:0], r.waiting[1:]...)
	}
}

// Pending is the number of fixes that are in memory only.
func (r *Recorder) Pending() int {
	r.mu.Lock()
	defer r.mu.Unlock()
	n := r.open.Fixes
	for _, d := range r.waiting {
		n += d.Fixes
	}
	return n
}

// Lost is the number of fixes dropped because nobody could take them.
func (r *Recorder) Lost() int {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.lost
}
