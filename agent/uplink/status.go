package uplink

import (
	"cmp"
	"slices"
	"sync"
	"time"

	"roadseal/crypto/envelope"
)

// Status is a snapshot for people.
type Status struct {
	Connected   bool       `json:"connected"`
	Since       time.Time  `json:"since"`                 // of the present state
	LastError   string     `json:"last_error,omitempty"`  // why not connected, or why a receipt was refused; "" after a valid one
	LastReceipt time.Time  `json:"last_receipt,omitzero"` // time in the newest valid receipt; zero = none since the start
	InHand      int        `json:"in_hand"`               // objects being uploaded
	Delivered   int64      `json:"delivered"`             // objects since the start
	Sent        int64      `json:"sent_bytes"`            // of objects, since the start
	Resent      int64      `json:"resent_bytes"`          // the part of them that had been sent before
	BadReceipts int64      `json:"bad_receipts"`
	PutOff      int        `json:"put_off"`  // objects that wait for another try
	Deferred    []Deferred `json:"deferred"` // the first of them to be tried
}

// Deferred is an object that could not be uploaded.
type Deferred struct {
	Object string    `json:"object"` // first 12 digits of its name
	Reason string    `json:"reason"`
	Until  time.Time `json:"until"` // next try
}

// maxDeferred bounds what a status shows.
const maxDeferred = 20

// report collects the status; Run writes it and Status reads it.
type report struct {
	mu       sync.Mutex
	status   Status
	deferred map[envelope.Name]*deferral
}

type deferral struct {
	until   time.Time
	wait    time.Duration
	reason  string
	checked time.Time // when a look at the unit's own copy was last asked for
	effort  *effort
}

// Status returns a snapshot; it may be called at any time.
func (u *Uplink) Status() Status {
	r := &u.report
	r.mu.Lock()
	defer r.mu.Unlock()
	st, now := r.status, time.Now()
	st.Deferred = []Deferred{} // JSON: an empty list, never null
	for name, d := range r.deferred {
		if d.until.After(now) {
			st.Deferred = append(st.Deferred, Deferred{name.String()[:12], d.reason, d.until})
		}
	}
	slices.SortFunc(st.Deferred, func(a, b Deferred) int { return a.Until.Compare(b.Until) })
	st.PutOff = len(st.Deferred)
	st.Deferred = st.Deferred[:min(maxDeferred, len(st.Deferred))]
	return st
}

func (r *report) connected() {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.status.Connected, r.status.Since = true, time.Now()
}

// disconnected takes the reason, nil if Run was told to end.
func (r *report) disconnected(reason error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.status.Connected || r.status.Since.IsZero() {
		r.status.Connected, r.status.Since = false, time.Now()
	}
	if reason != nil {
		r.status.LastError = reason.Error()
	}
}

func (r *report) setInHand(n int) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.status.InHand = n
}

func (r *report) sent(n int, again bool) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.status.Sent += int64(n)
	if again {
		r.status.Resent += int64(n)
	}
}

func (r *report) badReceipt(reason error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.status.BadReceipts++
	r.status.LastError = reason.Error()
}

func (r *report) delivered(name envelope.Name, at time.Time) {
	r.mu.Lock()
	defer r.mu.Unlock()
	delete(r.deferred, name)
	r.status.Delivered++
	r.status.LastError = ""
	if at.After(r.status.LastReceipt) {
		r.status.LastReceipt = at
	}
}

// putOff defers an object for the first time or for twice as long as before,
// and forgets objects that have not come back for long.
func (r *report) putOff(name envelope.Name, reason string, first time.Duration, spent *effort) {
	r.mu.Lock()
	defer r.mu.Unlock()
	now, d := time.Now(), r.deferred[name]
	if d == nil {
		d = new(deferral)
		r.deferred[name] = d
	}
	d.wait = max(first, min(2*d.wait, lastDelay))
	d.until, d.reason, d.effort = now.Add(d.wait), reason, cmp.Or(spent, d.effort)
	for name, d := range r.deferred {
		if now.Sub(d.until) > 2*lastDelay {
			delete(r.deferred, name)
		}
	}
}

// putOffUntil is the time of the next try, zero for an object that was not put
// off.
func (r *report) putOffUntil(name envelope.Name) time.Time {
	r.mu.Lock()
	defer r.mu.Unlock()
	if d := r.deferred[name]; d != nil {
		return d.until
	}
	return time.Time{}
}

// effort is what an object has cost already.
func (r *report) effort(name envelope.Name) *effort {
	r.mu.Lock()
	defer r.mu.Unlock()
	if d := r.deferred[name]; d != nil && d.effort != nil {
		return d.effort
	}
	return new(effort)
}

// check reports whether an object that is put off may be read whole now, and
// notes that it is.
func (r *report) check(name envelope.Name) bool {
	r.mu.Lock()
	defer r.mu.Unlock()
	d, now := r.deferred[name], time.Now()
	if d == nil || now.Sub(d.checked) < checkAgain {
		return false
	}
	d.checked = now
	return true
}

// uncheck takes back what check noted.
func (r *report) uncheck(name envelope.Name) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if d := r.deferred[name]; d != nil {
		d.checked = time.Time{}
	}
}

// forget drops an object that is gone from the queue.
func (r *report) forget(name envelope.Name) {
	r.mu.Lock()
	defer r.mu.Unlock()
	delete(r.deferred, name)
}
