package collector_test

import (
	"context"
	"crypto/sha256"
	"crypto/tls"
	"encoding/binary"
	"errors"
	"io"
	"io/fs"
	"log/slog"
	"math/rand/v2"
	"net"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	mochi "github.com/mochi-mqtt/server/v2"
	"github.com/mochi-mqtt/server/v2/packets"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"roadseal/agent/mqttlink"
	"roadseal/agent/profile"
	"roadseal/agent/spool"
	"roadseal/agent/uplink"
	"roadseal/agent/wire"
	"roadseal/cmd/internal/collector"
	"roadseal/cmd/internal/objstore"
	"roadseal/crypto/envelope"
	"roadseal/hal/durable/crashfs"
)

// A drive is everything between a spool and a store, in one bubble of virtual
// time: the uplink with the real MQTT client over pipes to the real broker,
// and behind that the real collector. Both disks are in memory.
type drive struct {
	t      *testing.T
	rng    *rand.Rand
	device string
	blocks int           // of one message
	delay  time.Duration // of the vehicle's link, each way
	sizes  []int64
	broker *mochi.Server
	conns  sync.WaitGroup
	key    collector.Key
	disk   *crashfs.FS // of the store
	folder *objstore.Folder
	card   *crashfs.FS // of the spool
	spool  *spool.Spool
	uplink *uplink.Uplink
	client *tls.Config // nil: no TLS
	server *tls.Config
	rented *rented // a broker with limits instead of the one above; nil = none

	plan     []cut // still to come
	fed      map[envelope.Name]bool
	damage   func(n int) bool       // whether the n-th object is damaged once it is in the spool
	damaged  map[envelope.Name]bool // these
	mu       sync.Mutex
	receipts map[objstore.Key]bool       // that the collector gave out
	lock     func(moment, envelope.Name) // what a recorder does then; nil if it never locks a clip
	stored   int64                       // by the collector
	cuts     int                         // that happened
	resent   int64                       // until the last session began
	most     int64                       // re-sent bytes in one session
}

func newDrive(t *testing.T, seed uint64, plan []cut) *drive {
	d := &drive{t: t, rng: rand.New(rand.NewPCG(seed, 3)), disk: crashfs.New(crashfs.Options{Seed: seed}), device: "AAECAwQFBgcICQoLDA0ODw", blocks: 1, plan: plan,
		sizes: []int64{1000, 50_000, 150_000, 500_000}, fed: map[envelope.Name]bool{}, damaged: map[envelope.Name]bool{}, damage: func(int) bool { return false }, receipts: map[objstore.Key]bool{}}
	d.broker = mochi.New(&mochi.Options{Logger: quiet})
	require.NoError(t, d.broker.AddHook(new(open), nil))
	var err error
	d.key, err = collector.GenerateKey()
	require.NoError(t, err)
	d.folder, err = objstore.NewFolder(d.disk, objstore.Limits{Count: 100, Bytes: 1 << 30, Age: time.Hour})
	require.NoError(t, err)
	d.card = crashfs.New(crashfs.Options{Seed: seed})
	d.spool, err = spool.Open(d.card, spool.Options{MaxBytes: 1 << 40, Slots: envelope.DefaultSlots,
		Order: func(string) (int, bool) { return 1, true }})
	require.NoError(t, err)
	return d
}

var quiet = slog.New(slog.DiscardHandler)

// open lets everybody do everything.
type open struct{ mochi.HookBase }

func (*open) Provides(b byte) bool                                     { return b == mochi.OnConnectAuthenticate || b == mochi.OnACLCheck }
func (*open) OnConnectAuthenticate(*mochi.Client, packets.Packet) bool { return true }
func (*open) OnACLCheck(*mochi.Client, string, bool) bool              { return true }

// pipe returns both ends of a new connection with the broker; far is nil if the
// broker has it already.
func (d *drive) pipe() (near, far net.Conn, err error) {
	if d.rented != nil {
		near, err = d.rented.pipes.Dial()
		return near, nil, err
	}
	near, far = net.Pipe()
	return near, far, nil
}

func (d *drive) serve(conn net.Conn) {
	d.conns.Go(func() {
		_ = d.broker.EstablishConnection("pipe", conn) // the end of every connection is an error
		conn.Close()
	})
}

// reach is the vehicle's way to the broker: the next of the plan's cuts ends it.
func (d *drive) reach(context.Context, string, string) (net.Conn, error) {
	near, far, err := d.pipe()
	if err != nil {
		return nil, err
	}
	c := &cable{Conn: near, did: func() { d.cuts++ }}
	d.count()
	if len(d.plan) > 0 {
		c.cut, d.plan = d.plan[0], d.plan[1:]
		d.feed()
	}
	if d.delay > 0 {
		c.Conn = newLag(near, d.delay)
	}
	if d.server != nil {
		far = tls.Server(far, d.server)
	}
	if far != nil {
		d.serve(far)
	}
	return c, nil
}

func (d *drive) dialVehicle(ctx context.Context) (uplink.Link, error) {
	o := mqttlink.Options{ClientID: d.device, TLS: d.client, MaxPacket: wire.MaxDown, KeepAlive: 10 * time.Hour, Dial: d.reach}
	if d.rented != nil {
		o.KeepAlive, o.Pace, o.InFlight = 0, d.rented.vehicle, d.rented.limits.InFlight
	}
	s, err := mqttlink.Dial(ctx, o)
	if err != nil {
		return nil, err
	}
	if err := s.Subscribe(ctx, wire.DownTopic(d.device)); err != nil {
		return nil, errors.Join(err, s.Close())
	}
	return s, nil
}

// dialCollector is a connection that nobody cuts. It takes note of receipts.
func (d *drive) dialCollector(shards collector.Shards) func(context.Context) (collector.Link, error) {
	o := mqttlink.Options{ClientID: "collector", MaxPacket: wire.MaxUp, KeepAlive: 10 * time.Hour, Persistent: true, ManualAck: true,
		Queue: 1024, Dial: func(context.Context, string, string) (net.Conn, error) {
			near, far, err := d.pipe()
			if far != nil {
				d.serve(far)
			}
			return near, err
		}}
	if d.rented != nil {
		o.TLS, o.KeepAlive, o.Pace, o.InFlight = d.rented.collector, 0, profile.NewPace(d.rented.limits), d.rented.limits.InFlight
	}
	dial := collector.Dial(o, shards)
	return func(ctx context.Context) (collector.Link, error) {
		l, err := dial(ctx)
		return &witness{l, d}, err
	}
}

// A witness sees what the collector says.
type witness struct {
	collector.Link
	d *drive
}

func (w *witness) Publish(topic string, payload []byte) error {
	switch m, err := wire.Parse(payload); m := m.(type) {
	case wire.Receipt:
		w.d.mu.Lock()
		w.d.receipts[objstore.Key{Class: int(m.Class), Name: m.Object}] = true
		w.d.mu.Unlock()
		w.d.passes(receipted, m.Object)
	case wire.Have:
		w.d.passes(arriving, m.Object)
	default:
		assert.NoError(w.d.t, err)
	}
	return w.Link.Publish(topic, payload)
}

// A ward is the spool, watched: an object is marked only after its receipt, and
// when it is in the store.
type ward struct {
	*spool.Spool
	d *drive
}

func (w ward) MarkStored(e spool.Entry) error {
	w.d.mu.Lock()
	assert.True(w.d.t, w.d.receipts[objstore.Key{Class: e.Class, Name: e.Name}], "marked without a receipt") // require would end the uplink's goroutine
	w.d.mu.Unlock()
	w.d.passes(marking, e.Name)
	if err := w.Spool.MarkStored(e); err != nil {
		return err
	}
	w.d.passes(marked, e.Name)
	if len(w.d.plan) > 0 {
		w.d.feed()
	}
	return nil
}

// sealed is what a sealed object looks like from outside: a good header, noise.
func sealed(rng *rand.Rand, size int64) []byte {
	h := envelope.Header{Stanzas: make([]envelope.Stanza, envelope.DefaultSlots)}
	b := make([]byte, envelope.SealedSize(envelope.DefaultSlots, envelope.Padme(size)))
	binary.LittleEndian.PutUint64(b[copy(b, h.Marshal()):], rng.Uint64())
	return b
}

// tagOf is the source tag of the clip of an object.
func tagOf(name envelope.Name) spool.Tag { return spool.Tag(name[:]) }

// feed keeps something to upload in the spool.
func (d *drive) feed() {
	for d.spool.Usage().QueuedObjects < 3 {
		size := d.sizes[len(d.fed)%len(d.sizes)]
		b := sealed(d.rng, size)
		name := envelope.Name(sha256.Sum256(b))
		class := 1 + len(d.fed)%wire.MaxClass
		draft, err := d.spool.Create(class, int64(len(b)))
		require.NoError(d.t, err)
		_, err = draft.Write(b)
		require.NoError(d.t, err)
		_, err = draft.Commit(spool.Meta{Class: class, Boot: 1, Sequence: uint32(len(d.fed)), Stream: "video", Tag: tagOf(name)}, name, int64(len(b)))
		require.NoError(d.t, err)
		if d.damage(len(d.fed)) {
			d.flip(name)
		}
		d.fed[name] = true
	}
}

// flip changes one bit of an object in the spool.
func (d *drive) flip(name envelope.Name) {
	d.damaged[name] = true
	require.NoError(d.t, d.card.List(".", func(e fs.DirEntry) error {
		if !strings.Contains(e.Name(), name.String()) {
			return nil
		}
		f, err := d.card.Update(e.Name())
		require.NoError(d.t, err)
		size, err := f.Size()
		require.NoError(d.t, err)
		at, b := d.rng.Int64N(size), make([]byte, 1)
		_, err = f.ReadAt(b, at)
		require.NoError(d.t, err)
		b[0] ^= 1 << d.rng.IntN(8)
		_, err = f.WriteAt(b, at)
		require.NoError(d.t, err)
		return f.Close()
	}))
}

// run uploads until the plan is used up and the spool has nothing left, and
// looks at what is in the store.
func (d *drive) run() {
	t := d.t
	ctx, cancel := context.WithCancel(t.Context())
	shards, err := collector.ParseShards([]string{"00-ff"})
	require.NoError(t, err)
	c := collector.New(collector.Options{Dial: d.dialCollector(shards), Store: d.folder, Key: d.key, StoreID: d.key.StoreID(), Shards: shards,
		Slots: envelope.DefaultSlots, Quota: collector.DefaultQuota(), Log: quiet,
		Status: func(s collector.Status) { d.stored = s.Stored }})
	d.uplink = uplink.New(uplink.Options{Device: d.device, Dial: d.dialVehicle, Queue: ward{d.spool, d},
		ReceiptKeys: []wire.PublicKey{d.key.Public()}, BlocksPerMessage: d.blocks, Log: quiet})
	var both sync.WaitGroup
	both.Go(func() { require.ErrorIs(t, c.Run(ctx), context.Canceled) })
	time.Sleep(time.Second) // it subscribes
	both.Go(func() { require.ErrorIs(t, d.uplink.Run(ctx), context.Canceled) })
	start := time.Now()
	for u := d.spool.Usage(); u.QueuedObjects > 0 || u.StoredObjects == 0; u = d.spool.Usage() {
		time.Sleep(time.Second)
		if d.rented != nil && time.Since(start) >= d.rented.limit {
			break
		}
		require.Less(t, time.Since(start), 30*24*time.Hour, "gets nowhere: %+v", d.uplink.Status())
		synctest.Wait()
	}
	cancel()
	both.Wait()
	require.NoError(t, d.broker.Close())
	d.conns.Wait()
	if d.rented != nil {
		require.NoError(t, d.rented.broker.Close())
		if d.spool.Usage().QueuedObjects > 0 {
			return // the limit was reached
		}
	}
	d.audit()
}

// count takes what was sent again in the session that has ended.
func (d *drive) count() {
	sent := d.uplink.Status().Resent
	d.most, d.resent = max(d.most, sent-d.resent), sent
}

// audit: every object is there once, intact, and nothing else.
func (d *drive) audit() {
	t, found, classes := d.t, map[envelope.Name]bool{}, map[objstore.Key]bool{}
	d.count()
	require.NoError(t, d.folder.List(t.Context(), func(e objstore.Entry) error {
		require.True(t, d.lock != nil || !found[e.Name], "one class asked for, one there")
		found[e.Name], classes[e.Key] = true, true
		require.True(t, d.fed[e.Name] && !d.damaged[e.Name])
		o, err := d.folder.Get(t.Context(), e.Key)
		require.NoError(t, err)
		b, err := io.ReadAll(io.NewSectionReader(o, 0, o.Size()))
		require.NoError(t, err)
		require.NoError(t, o.Close())
		require.Equal(t, e.Name, envelope.Name(sha256.Sum256(b)))
		return nil
	}))
	intact := len(d.fed) - len(d.damaged)
	require.Len(t, found, intact, "each object once")
	for name := range found {
		e, ok := d.spool.Find(tagOf(name))
		require.True(t, ok)
		require.True(t, classes[objstore.Key{Class: e.Class, Name: name}], "and for as long as the vehicle asked")
	}
	require.Equal(t, intact, d.spool.Usage().StoredObjects)
	require.Equal(t, len(d.damaged), d.spool.Usage().DamagedObjects)
	require.EqualValues(t, intact, d.stored, "and made durable once")
	require.NoError(t, d.disk.List("staging", func(e fs.DirEntry) error { return errors.New("left over: " + e.Name()) }))
	window := wire.Window
	if 2*d.delay < wire.Prompt {
		window = wire.Wide
	}
	require.LessOrEqual(t, d.most, int64(window*d.blocks*wire.BlockSize), "re-sent after one cut")
}
