package uplink_test

import (
	"bytes"
	"context"
	"crypto/ed25519"
	"errors"
	"io"
	"log/slog"
	"runtime/debug"
	"slices"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"roadseal/agent/downlink"
	"roadseal/agent/mqttlink"
	"roadseal/agent/spool"
	"roadseal/agent/uplink"
	"roadseal/agent/wire"
	"roadseal/crypto/envelope"
)

const device = "AAECAwQFBgcICQoLDA0ODw"

var (
	signer   = ed25519.NewKeyFromSeed(bytes.Repeat([]byte{1}, 32))
	stranger = ed25519.NewKeyFromSeed(bytes.Repeat([]byte{2}, 32))
)

func public(k ed25519.PrivateKey) wire.PublicKey {
	return wire.PublicKey(k.Public().(ed25519.PublicKey))
}

// A world is a queue, a collector and the network between them. The network
// has a delay and a rate, and a hook decides the fate of each message.
type world struct {
	t       *testing.T
	q       *queue
	c       *collector
	u       *uplink.Uplink
	log     bytes.Buffer
	delay   time.Duration
	rate    int                // bytes a second upwards; 0 = no limit
	down    int                // … and downwards
	d       *downlink.Downlink // nil = no downloads
	asked   []asked
	fate    func(n int, m wire.Message) string // "", "drop", "twice", "cut" or "last", for the n-th message of all
	dial    func() error
	blocks  int        // of one message
	mu      sync.Mutex // of the collector, too
	n       int
	links   int
	dialled []time.Time
	since   int            // the trace of this session begins there
	trace   []wire.Message // what went up and down, in the order of the vehicle
	under   map[envelope.Name]map[uint32]int
	most    int // DATA messages under way at a time
	got     []wire.Receipt
	noise   []wire.Message                  // comes down with every message, and bytes that are none
	alter   func(wire.Message) wire.Message // what the broker makes of a message on its way up
	garble  func([]byte) []byte             // … and of the bytes of one on its way down
}

// asked is an ASK, how many objects were in hand then, and how many blocks were
// outstanding with it.
type asked struct {
	wire.Ask
	inHand, outstanding int
}

func newWorld(t *testing.T) *world {
	w := &world{t: t, q: newQueue(), c: newCollector(), delay: 50 * time.Millisecond, blocks: 2}
	return w
}

// run starts the uplink; the test ends it with stop.
func (w *world) run() (stop func()) {
	o := uplink.Options{
		Device: device, Dial: w.connect, Queue: w.q, ReceiptKeys: []wire.PublicKey{public(signer)}, BlocksPerMessage: w.blocks,
		Receipt: func(r wire.Receipt) { w.got = append(w.got, r) }, Log: slog.New(slog.NewTextHandler(&w.log, nil)),
	}
	if w.d != nil {
		o.Downloads = w.d
	}
	w.u = uplink.New(o)
	ctx, cancel := context.WithCancel(w.t.Context())
	done := make(chan error, 1)
	go func() { done <- w.u.Run(ctx) }()
	return func() {
		cancel()
		start := time.Now()
		require.ErrorIs(w.t, <-done, context.Canceled)
		require.Zero(w.t, time.Since(start), "the end takes no time")
		require.Zero(w.t, w.q.open, "open files")
		require.False(w.t, w.u.Status().Connected)
		require.Zero(w.t, w.u.Status().InHand)
	}
}

// finish runs until the queue is empty, for at most limit of virtual time.
func (w *world) finish(limit time.Duration) time.Duration {
	start := time.Now()
	stop := w.run()
	for len(w.q.pending()) > 0 && time.Since(start) < limit {
		time.Sleep(100 * time.Millisecond)
	}
	synctest.Wait()
	took := time.Since(start)
	stop()
	require.Empty(w.t, w.q.pending(), "not delivered in %v, last error: %s", limit, w.u.Status().LastError)
	return took
}

// sessions counts the attempts to connect so far.
func (w *world) sessions() int {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.links
}

// A link is one connection through the network.
type link struct {
	w        *world
	up       chan timed
	down     chan timed
	messages chan mqttlink.Message
	done     chan struct{}
	once     sync.Once
	err      error
	wg       sync.WaitGroup
	unwatch  func() bool
	busy     time.Time // until when the upward line is taken
}

type timed struct {
	at time.Time
	m  wire.Message
}

var errCut = errors.New("connection reset by peer")

func (w *world) connect(ctx context.Context) (uplink.Link, error) {
	w.mu.Lock()
	w.links++
	w.dialled = append(w.dialled, time.Now())
	w.under = map[envelope.Name]map[uint32]int{}
	w.since = len(w.trace)
	w.mu.Unlock()
	if w.dial != nil {
		if err := w.dial(); err != nil {
			return nil, err
		}
	}
	l := &link{w: w, up: make(chan timed, 1000), down: make(chan timed, 1000), messages: make(chan mqttlink.Message, 64), done: make(chan struct{})}
	l.wg.Go(l.carryUp)
	l.wg.Go(l.carryDown)
	l.unwatch = context.AfterFunc(ctx, func() { l.end(ctx.Err()) })
	return l, nil
}

func (l *link) end(err error) { l.once.Do(func() { l.err = err; close(l.done) }) }

func (l *link) Publish(topic string, payload []byte) error {
	m, err := wire.Parse(bytes.Clone(payload)) // which is used again
	require.NoError(l.w.t, err)
	require.Equal(l.w.t, wire.UpTopic(device), topic)
	select {
	case <-l.done:
		return l.err
	default:
	}
	rate := l.w.wentUp(m)
	now := time.Now()
	if l.busy.Before(now) {
		l.busy = now
	}
	if rate > 0 {
		l.busy = l.busy.Add(time.Duration(len(payload)) * time.Second / time.Duration(rate))
	}
	l.up <- timed{l.busy.Add(l.w.delay), m}
	return nil
}

func (l *link) Messages() <-chan mqttlink.Message { return l.messages }
func (l *link) Done() <-chan struct{}             { return l.done }
func (l *link) Err() error                        { return l.err }
func (l *link) Close() error                      { l.unwatch(); l.end(io.EOF); l.wg.Wait(); return nil }

func (l *link) carryUp() {
	var busy time.Time // until when the downward line is taken
	l.carry(l.up, func(m wire.Message) {
		l.w.mu.Lock()
		if l.w.alter != nil {
			m = l.w.alter(m)
		}
		answer := l.w.c.handle(m)
		l.w.mu.Unlock()
		for _, out := range answer {
			if busy.Before(time.Now()) {
				busy = time.Now()
			}
			if l.w.down > 0 {
				b, err := out.MarshalBinary()
				require.NoError(l.w.t, err)
				busy = busy.Add(time.Duration(len(b)) * time.Second / time.Duration(l.w.down))
			}
			l.down <- timed{busy.Add(l.w.delay), out}
		}
	})
}

func (l *link) carryDown() {
	l.carry(l.down, func(m wire.Message) {
		l.w.cameDown(m)
		topic := wire.DownTopic(device)
		if l.w.noise != nil {
			for _, m := range l.w.noise {
				l.push(topic, m)
			}
			l.messages <- mqttlink.Message{Topic: topic, Payload: []byte{wire.Version, 2, 3}}
			l.push(wire.DownTopic("other"), wire.Refused{Object: m.Subject(), Reason: wire.ReasonBusy})
		}
		l.push(topic, m)
	})
}

func (l *link) push(topic string, m wire.Message) {
	b, err := m.MarshalBinary()
	require.NoError(l.w.t, err)
	if l.w.garble != nil {
		b = l.w.garble(b)
	}
	select {
	case l.messages <- mqttlink.Message{Topic: topic, Payload: b}:
	case <-l.done:
	}
}

// carry delivers in order, each message at its time and by its fate.
func (l *link) carry(in chan timed, deliver func(wire.Message)) {
	for {
		var x timed
		select {
		case x = <-in:
		case <-l.done:
			return
		}
		select {
		case <-time.After(time.Until(x.at)):
		case <-l.done:
			return
		}
		switch l.w.fateOf(x.m) {
		case "cut":
			l.end(errCut)
			return
		case "twice":
			deliver(x.m)
			deliver(x.m)
		case "last":
			deliver(x.m)
			l.end(errCut)
			return
		case "":
			deliver(x.m)
		}
	}
}

func (w *world) fateOf(m wire.Message) string {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.n++
	if w.fate == nil {
		return ""
	}
	return w.fate(w.n-1, m)
}

// wentUp counts what is under way as the collector's words confirm it, and
// returns the rate of the line.
func (w *world) wentUp(m wire.Message) (rate int) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.trace = append(w.trace, m)
	if a, ok := m.(wire.Ask); ok {
		w.asked = append(w.asked, asked{a, w.u.Status().InHand, w.outstanding()})
	}
	d, ok := m.(wire.Data)
	if !ok {
		return w.rate
	}
	if w.under[d.Object] == nil {
		w.under[d.Object] = map[uint32]int{}
	}
	w.under[d.Object][d.Index] = wire.Blocks(int64(len(d.Blocks)))
	sum := 0
	for _, u := range w.under {
		sum += len(u)
	}
	w.most = max(w.most, sum)
	return w.rate
}

// outstanding counts the blocks that were asked for in this session and have not
// come.
func (w *world) outstanding() int {
	owed := map[uint32]bool{}
	for _, m := range w.trace[w.since:] {
		switch m := m.(type) {
		case wire.Ask:
			for i := range uint32(wire.MaxAsk) {
				if m.Wanted>>i&1 != 0 {
					owed[m.First+i] = true
				}
			}
		case wire.Part:
			delete(owed, m.Index)
		}
	}
	return len(owed)
}

func (w *world) cameDown(m wire.Message) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.trace = append(w.trace, m)
	switch m := m.(type) {
	case wire.Have:
		for i, n := range w.under[m.Object] {
			if m.Blocks.Has(int(i)) && m.Blocks.Has(int(i)+n-1) {
				delete(w.under[m.Object], i)
			}
		}
	case wire.Refused, wire.Receipt:
		delete(w.under, m.Subject())
	}
}

// names lists entries' names.
func names(es ...spool.Entry) (n []envelope.Name) {
	for _, e := range es {
		n = append(n, e.Name)
	}
	return n
}

// some is a number for an ordinary run, or for a short one; under the race
// detector, which is twenty times slower, every run is short.
func some(all, few int) int {
	info, _ := debug.ReadBuildInfo()
	if testing.Short() || info != nil && slices.Contains(info.Settings, debug.BuildSetting{Key: "-race", Value: "true"}) {
		return few
	}
	return all
}
