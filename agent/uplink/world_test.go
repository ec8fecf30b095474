package uplink_test

import (
	"bytes"
	"context"
	"crypto/ed25519"
	"crypto/sha256"
	"errors"
	"io"
	"iter"
	"log/slog"
	"math/rand/v2"
	"runtime/debug"
	"slices"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"roadseal/agent/mqttlink"
	"roadseal/agent/spool"
	"roadseal/agent/uplink"
	"roadseal/agent/wire"
	"roadseal/crypto/envelope"
	"roadseal/hal/durable"
)

const device = "AAECAwQFBgcICQoLDA0ODw"

var (
	signer   = ed25519.NewKeyFromSeed(bytes.Repeat([]byte{1}, 32))
	stranger = ed25519.NewKeyFromSeed(bytes.Repeat([]byte{2}, 32))
)

func public(k ed25519.PrivateKey) wire.PublicKey {
	return wire.PublicKey(k.Public().(ed25519.PublicKey))
}

// A queue is a spool in memory. The objects stand in upload order.
type queue struct {
	mu      sync.Mutex
	order   []spool.Entry
	bytes   map[envelope.Name][]byte
	stored  []envelope.Name // as marked
	changed chan struct{}
	broken  map[envelope.Name]error // of reading
	mark    error                   // of MarkStored
	marking func(envelope.Name)     // before an object is marked
	verify  func(context.Context, spool.Entry) (bool, error)
	checks  []envelope.Name // calls of Verify
	open    int             // files
	forgot  int             // calls of Forget
}

func newQueue() *queue {
	return &queue{bytes: map[envelope.Name][]byte{}, changed: make(chan struct{}, 1), broken: map[envelope.Name]error{}}
}

// add puts an object of random bytes at a place in the order, -1 for its end.
func (q *queue) add(at int, size int64) spool.Entry {
	b := make([]byte, size)
	r := rand.NewChaCha8([32]byte{byte(size), byte(size >> 8), byte(size >> 16), byte(len(q.bytes))})
	r.Read(b)
	e := spool.Entry{Name: sha256.Sum256(b), Size: size}
	e.Class = 1 + len(q.bytes)%wire.MaxClass
	q.mu.Lock()
	defer q.mu.Unlock()
	q.bytes[e.Name] = b
	if at < 0 {
		at = len(q.order)
	}
	q.order = slices.Insert(slices.Clone(q.order), at, e)
	q.touch()
	return e
}

func (q *queue) touch() {
	select {
	case q.changed <- struct{}{}:
	default:
	}
}

func (q *queue) remove(name envelope.Name) {
	q.order = slices.DeleteFunc(slices.Clone(q.order), func(e spool.Entry) bool { return e.Name == name })
	q.touch()
}

func (q *queue) Pending() iter.Seq[spool.Entry] { return slices.Values(q.pending()) }

func (q *queue) pending() []spool.Entry {
	q.mu.Lock()
	defer q.mu.Unlock()
	return q.order
}

func (q *queue) Changed() <-chan struct{} { return q.changed }

func (q *queue) Open(e spool.Entry) (durable.File, error) {
	q.mu.Lock()
	defer q.mu.Unlock()
	if err := q.broken[e.Name]; err != nil {
		return nil, err
	}
	q.open++
	return &file{q: q, Reader: bytes.NewReader(q.bytes[e.Name])}, nil
}

func (q *queue) MarkStored(name envelope.Name) error {
	q.mu.Lock()
	defer q.mu.Unlock()
	if q.mark != nil {
		return q.mark
	}
	if q.marking != nil {
		q.marking(name)
	}
	q.stored = append(q.stored, name)
	q.remove(name)
	return nil
}

// Verify compares the bytes with the name, as the spool does, or asks the hook.
func (q *queue) Verify(ctx context.Context, e spool.Entry) (bool, error) {
	q.mu.Lock()
	q.checks = append(q.checks, e.Name)
	verify, intact := q.verify, sha256.Sum256(q.bytes[e.Name]) == e.Name
	q.mu.Unlock()
	if verify != nil {
		return verify(ctx, e)
	}
	q.mu.Lock()
	defer q.mu.Unlock()
	if !intact {
		q.remove(e.Name)
	}
	return intact, nil
}

func (q *queue) marked() []envelope.Name {
	q.mu.Lock()
	defer q.mu.Unlock()
	return slices.Clone(q.stored)
}

type file struct {
	*bytes.Reader
	durable.File
	q *queue
}

func (f *file) Read(p []byte) (int, error)             { return f.Reader.Read(p) }
func (f *file) ReadAt(p []byte, at int64) (int, error) { return f.Reader.ReadAt(p, at) }
func (f *file) Size() (int64, error)                   { return f.Reader.Size(), nil }
func (f *file) Forget()                                { f.q.forgot++ }
func (f *file) Close() error                           { f.q.mu.Lock(); f.q.open--; f.q.mu.Unlock(); return nil }

// A collector answers as PROTOCOL.md says, unless a hook makes it lie.
type collector struct {
	key    ed25519.PrivateKey
	parts  map[envelope.Name]*part
	stored map[envelope.Name]int // how often an object was completed
	dup    int                   // blocks that came twice
	refuse func(wire.Offer) wire.Reason
	forge  func(*wire.Receipt) // before signing; may replace the key id
	after  func(*wire.Receipt) // after signing
	mute   func(wire.Message) bool
	evil   func(wire.Message) []wire.Message // answers instead of the collector
	honest map[envelope.Name]bool            // a genuine receipt went out
}

type part struct {
	offer wire.Offer
	bytes []byte
	have  wire.Bitmap
	count int // DATA messages
}

func newCollector() *collector {
	return &collector{key: signer, parts: map[envelope.Name]*part{}, stored: map[envelope.Name]int{}, honest: map[envelope.Name]bool{}}
}

func (c *collector) handle(m wire.Message) (out []wire.Message) {
	if c.evil != nil {
		return c.evil(m)
	}
	switch m := m.(type) {
	case wire.Offer:
		if c.refuse != nil {
			if r := c.refuse(m); r != 0 {
				return []wire.Message{wire.Refused{Object: m.Object, Reason: r}}
			}
		}
		if c.stored[m.Object] > 0 {
			out = []wire.Message{c.receipt(m)}
			break
		}
		if c.parts[m.Object] == nil {
			c.parts[m.Object] = &part{offer: m, bytes: make([]byte, m.Size), have: wire.NewBitmap(m.Size)}
		}
		out = []wire.Message{c.have(m.Object)}
	case wire.Data:
		out = c.data(m)
	}
	return slices.DeleteFunc(out, func(m wire.Message) bool { return c.mute != nil && c.mute(m) })
}

func (c *collector) data(m wire.Data) []wire.Message {
	p := c.parts[m.Object]
	if p == nil {
		return nil
	}
	for i := range wire.Blocks(int64(len(m.Blocks))) {
		if p.have.Has(int(m.Index) + i) {
			c.dup++
		}
		p.have.Set(int(m.Index) + i)
	}
	copy(p.bytes[int64(m.Index)*wire.BlockSize:], m.Blocks)
	switch p.count++; {
	case !p.have.Full(m.Size):
		if p.count%wire.HaveEvery == 0 {
			return []wire.Message{c.have(m.Object)}
		}
		return nil
	case sha256.Sum256(p.bytes) != m.Object:
		return []wire.Message{wire.Refused{Object: m.Object, Reason: wire.ReasonHash}}
	}
	have := c.have(m.Object)
	delete(c.parts, m.Object)
	c.stored[m.Object]++
	return []wire.Message{have, c.receipt(p.offer)}
}

func (c *collector) have(name envelope.Name) wire.Have {
	p := c.parts[name]
	return wire.Have{Object: name, Size: p.offer.Size, Blocks: slices.Clone(p.have)}
}

func (c *collector) receipt(o wire.Offer) wire.Receipt {
	r := wire.Receipt{Key: public(c.key).ID(), Object: o.Object, Size: o.Size, Class: o.Class, Tag: o.Tag, Time: time.Now()}
	if c.forge != nil {
		c.forge(&r)
	}
	copy(r.Signature[:], ed25519.Sign(c.key, r.Message()))
	if c.after != nil {
		c.after(&r)
	}
	if c.key.Equal(signer) && c.forge == nil && c.after == nil {
		c.honest[o.Object] = true
	}
	return r
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
	rate    int                                // bytes a second upwards; 0 = no limit
	fate    func(n int, m wire.Message) string // "", "drop", "twice", "cut" or "last", for the n-th message of all
	dial    func() error
	blocks  int        // of one message
	mu      sync.Mutex // of the collector, too
	n       int
	links   int
	dialled []time.Time
	trace   []wire.Message // what went up and down, in the order of the vehicle
	under   map[envelope.Name]map[uint32]int
	most    int // DATA messages under way at a time
	got     []wire.Receipt
	noise   []wire.Message                  // comes down with every message, and bytes that are none
	alter   func(wire.Message) wire.Message // what the broker makes of a message on its way up
	garble  func([]byte) []byte             // … and of the bytes of one on its way down
}

func newWorld(t *testing.T) *world {
	w := &world{t: t, q: newQueue(), c: newCollector(), delay: 50 * time.Millisecond, blocks: 2}
	return w
}

// run starts the uplink; the test ends it with stop.
func (w *world) run() (stop func()) {
	w.u = uplink.New(uplink.Options{
		Device: device, Dial: w.connect, Queue: w.q, ReceiptKeys: []wire.PublicKey{public(signer)}, BlocksPerMessage: w.blocks,
		Receipt: func(r wire.Receipt) { w.got = append(w.got, r) }, Log: slog.New(slog.NewTextHandler(&w.log, nil)),
	})
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
	m, err := wire.Parse(payload)
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
	l.carry(l.up, func(m wire.Message) {
		l.w.mu.Lock()
		if l.w.alter != nil {
			m = l.w.alter(m)
		}
		answer := l.w.c.handle(m)
		l.w.mu.Unlock()
		for _, out := range answer {
			l.down <- timed{time.Now().Add(l.w.delay), out}
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
