package downlink_test

import (
	"context"
	"slices"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"roadseal/agent/downlink"
	"roadseal/agent/wire"
	"roadseal/firmware/fetch"
	"roadseal/firmware/fetch/fetchtest"
)

const (
	name  = "director/2.targets.json"
	block = wire.BlockSize
)

// A rig is a session as agent/uplink has them, and a server behind a network
// that has a delay and a rate and decides the fate of each message.
type rig struct {
	t     *testing.T
	d     *downlink.Downlink
	files *fetchtest.Files
	delay time.Duration
	rate  int // bytes a second downwards; 0 = no limit
	busy  func() bool
	// answer is what the server says; default files.Answer.
	answer func(wire.Ask) []wire.Message
	// fate is "", "drop", "twice", "late" or "cut", for the n-th message of all.
	fate  func(n int, m wire.Message) string
	pause time.Duration // between sessions

	n        int
	line     []timed // what is on its way down
	free     time.Time
	asks     []wire.Ask
	at       []time.Duration // of each of asks, since the start
	start    time.Time
	came     map[uint32]int // blocks, how often
	news     int
	calls    int // of Next
	most     int // blocks outstanding, after an ASK
	sessions int
}

type timed struct {
	at time.Time
	m  wire.Message
}

func newRig(t *testing.T) *rig {
	r := &rig{t: t, d: downlink.New(), files: fetchtest.NewFiles(), delay: 50 * time.Millisecond, pause: 2 * time.Second,
		busy: func() bool { return false }, start: time.Now(), came: map[uint32]int{}}
	r.answer = r.files.Answer
	return r
}

// run has one session after the other until the test ends.
func (r *rig) run() (stop func()) {
	ctx, cancel := context.WithCancel(r.t.Context())
	var wg sync.WaitGroup
	wg.Go(func() {
		for ctx.Err() == nil {
			r.sessions++
			r.session(ctx)
			r.line = nil
			select {
			case <-time.After(r.pause):
			case <-ctx.Done():
			}
		}
	})
	return func() { cancel(); wg.Wait() }
}

func (r *rig) session(ctx context.Context) {
	r.d.Begin()
	for {
		if !r.deliver() {
			return
		}
		r.calls++
		payload, again := r.d.Next(r.busy())
		if payload != nil {
			if !r.up(payload) {
				return
			}
			continue
		}
		wake := time.Hour
		if !again.IsZero() {
			wake = time.Until(again)
		}
		if len(r.line) > 0 {
			wake = min(wake, time.Until(r.line[0].at))
		}
		select {
		case <-time.After(wake):
		case <-r.d.Wake():
		case <-ctx.Done():
			return
		}
	}
}

// up takes an ASK to the server and puts the answer on the line.
func (r *rig) up(payload []byte) bool {
	m, err := wire.Parse(payload)
	require.NoError(r.t, err)
	a := m.(wire.Ask)
	r.asks, r.at = append(r.asks, a), append(r.at, time.Since(r.start))
	r.most = max(r.most, r.outstanding())
	fate := r.fateOf(a)
	if fate == "cut" {
		return false
	}
	times := map[string]int{"": 1, "late": 1, "twice": 2}[fate]
	for range times {
		for _, m := range r.answer(a) {
			r.put(m)
		}
	}
	return true
}

// put puts a message on the line.
func (r *rig) put(m wire.Message) {
	if r.free.Before(time.Now()) {
		r.free = time.Now()
	}
	if p, ok := m.(wire.Part); ok && r.rate > 0 {
		r.free = r.free.Add(time.Duration(len(p.Block)) * time.Second / time.Duration(r.rate))
	}
	r.line = append(r.line, timed{r.free.Add(2 * r.delay), m})
}

// deliver hands over what has arrived. It reports false when the link is cut.
func (r *rig) deliver() bool {
	for len(r.line) > 0 && !time.Now().Before(r.line[0].at) {
		m := r.line[0].m
		r.line = r.line[1:]
		switch r.fateOf(m) {
		case "cut":
			return false
		case "late": // behind what follows in the next second
			r.line = append(r.line, timed{time.Now().Add(time.Second), m})
			slices.SortStableFunc(r.line, func(a, b timed) int { return a.at.Compare(b.at) })
		case "twice":
			r.hand(m)
			r.hand(m)
		case "":
			r.hand(m)
		}
	}
	return true
}

func (r *rig) hand(m wire.Message) {
	if p, ok := m.(wire.Part); ok {
		r.came[p.Index]++
	}
	b, err := m.MarshalBinary()
	require.NoError(r.t, err)
	m, err = wire.Parse(b)
	require.NoError(r.t, err)
	if r.d.Take(m) {
		r.news++
	}
}

func (r *rig) fateOf(m wire.Message) string {
	r.n++
	if r.fate == nil {
		return ""
	}
	return r.fate(r.n-1, m)
}

// outstanding counts what the line still owes of what was asked for in this
// session, the last ASK included.
func (r *rig) outstanding() int {
	parts := 0
	for _, x := range r.line {
		if _, ok := x.m.(wire.Part); ok {
			parts++
		}
	}
	last := r.asks[len(r.asks)-1]
	for i := range wire.MaxAsk {
		parts += int(last.Wanted >> i & 1)
	}
	return parts
}

// bubble runs a test in virtual time with a rig that is connected.
func bubble(t *testing.T, set func(*rig), test func(*testing.T, *rig)) {
	synctest.Test(t, func(t *testing.T) {
		r := newRig(t)
		set(r)
		defer r.run()()
		test(t, r)
	})
}

// get fetches the file and compares it. It returns the time that it took.
func (r *rig) get(want []byte) time.Duration {
	start := time.Now()
	got, err := r.d.Fetch(r.t.Context(), name, 64<<20)
	synctest.Wait() // the session has done with what it was at
	require.NoError(r.t, err)
	require.True(r.t, string(want) == string(got), "the file that was asked for")
	return time.Since(start)
}

// fails fetches a file that does not come, with a limit.
func (r *rig) fails(limit int64) (took time.Duration, err error) {
	start := time.Now()
	got, err := r.d.Fetch(r.t.Context(), name, limit)
	synctest.Wait()
	require.Error(r.t, err)
	require.Nil(r.t, got)
	return time.Since(start), err
}

var _ fetch.Fetcher = (*downlink.Downlink)(nil)
