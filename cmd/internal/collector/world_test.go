package collector_test

import (
	"bytes"
	"context"
	"crypto/sha256"
	"crypto/tls"
	"log/slog"
	"os"
	"path/filepath"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"go.uber.org/goleak"

	"roadseal/agent/mqttlink"
	"roadseal/agent/wire"
	"roadseal/cmd/internal/broker"
	"roadseal/cmd/internal/broker/brokertest"
	"roadseal/cmd/internal/collector"
	"roadseal/cmd/internal/objstore"
	"roadseal/crypto/envelope"
	"roadseal/hal/durable"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// A world is a broker, a store folder and a collector that serves it.
type world struct {
	t          *testing.T
	ca         *brokertest.CA
	broker     *broker.Broker
	tls        *tls.Config
	key        collector.Key
	dir        string
	shards     collector.Shards
	quota      collector.Quota
	store      func(objstore.Store) objstore.Store // wraps the folder
	repository collector.Repository

	mu     sync.Mutex
	log    bytes.Buffer
	status collector.Status
	up     chan struct{} // closed when the collector has connected
}

func newWorld(t *testing.T) *world {
	t.Helper()
	w := &world{t: t, ca: brokertest.NewCA(t), dir: t.TempDir(), quota: collector.DefaultQuota()}
	w.broker = w.ca.Broker("127.0.0.1:0", nil)
	t.Cleanup(func() { require.NoError(t, w.broker.Close()) })
	w.tls = w.ca.Client("collector")
	key, err := collector.GenerateKey()
	require.NoError(t, err)
	w.key = key
	w.shards, err = collector.ParseShards([]string{"00-ff"})
	require.NoError(t, err)
	return w
}

// Write takes the collector's log.
func (w *world) Write(b []byte) (int, error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.log.Write(b)
}

func (w *world) logged() string {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.log.String()
}

func (w *world) told(s collector.Status) {
	w.mu.Lock()
	defer w.mu.Unlock()
	if s.Connected && !w.status.Connected && w.up != nil { // it tells so again and again
		close(w.up)
		w.up = nil
	}
	w.status = s
}

// start runs a collector until stop, which returns its last status.
func (w *world) start() (stop func() collector.Status) {
	w.t.Helper()
	disk, err := durable.OpenDisk(w.dir)
	require.NoError(w.t, err)
	folder, err := objstore.NewFolder(disk, objstore.Limits{Count: 100, Bytes: 1 << 30, Age: time.Hour})
	require.NoError(w.t, err)
	var store objstore.Store = folder
	if w.store != nil {
		store = w.store(folder)
	}
	up := make(chan struct{})
	w.up, w.status = up, collector.Status{}
	c := collector.New(collector.Options{
		Dial: collector.Dial(mqttlink.Options{Address: w.broker.Address(), ClientID: "collector", TLS: w.tls, MaxPacket: wire.MaxUp,
			Persistent: true, ManualAck: true, Queue: 1024}, w.shards),
		Store: store, Key: w.key, StoreID: w.key.StoreID(), Shards: w.shards, Slots: envelope.DefaultSlots, Quota: w.quota,
		Repository: w.repository, Status: w.told, Log: slog.New(slog.NewTextHandler(w, &slog.HandlerOptions{Level: slog.LevelInfo})),
	})
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan error)
	go func() { done <- c.Run(ctx) }()
	await(w.t, up)
	stop = sync.OnceValue(func() collector.Status {
		cancel()
		require.ErrorIs(w.t, await(w.t, done), context.Canceled)
		require.NoError(w.t, folder.Close())
		return w.status
	})
	w.t.Cleanup(func() { stop() })
	return stop
}

// await receives, or fails the test when nothing happens for far too long.
func await[T any](t *testing.T, c <-chan T) T {
	t.Helper()
	select {
	case v := <-c:
		return v
	case <-time.After(30 * time.Second):
		t.Fatal("nothing happens")
		panic("unreachable")
	}
}

func (w *world) path(class string, name envelope.Name) string {
	return filepath.Join(w.dir, "pool", class, name.String())
}

func (w *world) holds(class string, b []byte) {
	w.t.Helper()
	got, err := os.ReadFile(w.path(class, sha256.Sum256(b)))
	require.NoError(w.t, err)
	require.True(w.t, bytes.Equal(b, got), "the store holds other bytes")
}

// A vehicle speaks to the collector message by message.
type vehicle struct {
	w      *world
	device string
	link   *mqttlink.Session
}

func (w *world) vehicle() *vehicle {
	w.t.Helper()
	v := &vehicle{w: w, device: brokertest.Device(w.t)}
	link, err := mqttlink.Dial(w.t.Context(), mqttlink.Options{Address: w.broker.Address(), ClientID: v.device,
		TLS: w.ca.Client(v.device), MaxPacket: wire.MaxDown, Queue: 1024})
	require.NoError(w.t, err)
	w.t.Cleanup(func() { require.NoError(w.t, link.Close()) })
	require.NoError(w.t, link.Subscribe(w.t.Context(), wire.DownTopic(v.device)))
	v.link = link
	return v
}

func (v *vehicle) send(m wire.Message) { v.sendTo(wire.UpTopic(v.device), m) }

func (v *vehicle) sendTo(topic string, m wire.Message) {
	v.w.t.Helper()
	b, err := m.MarshalBinary()
	require.NoError(v.w.t, err)
	require.NoError(v.w.t, v.link.Publish(topic, b))
}

func (v *vehicle) offer(b []byte, class uint8) {
	v.w.t.Helper()
	v.send(wire.Offer{Object: sha256.Sum256(b), Size: int64(len(b)), Class: class})
}

// data sends n blocks of b from block i on.
func (v *vehicle) data(b []byte, i, n int) {
	v.w.t.Helper()
	v.send(wire.Data{Object: sha256.Sum256(b), Size: int64(len(b)), Index: uint32(i),
		Blocks: b[i*wire.BlockSize : min(len(b), (i+n)*wire.BlockSize)]})
}

func (v *vehicle) receive() wire.Message {
	v.w.t.Helper()
	m := await(v.w.t, v.link.Messages())
	require.Equal(v.w.t, wire.DownTopic(v.device), m.Topic)
	msg, err := wire.Parse(m.Payload)
	require.NoError(v.w.t, err)
	return msg
}

// expect receives a message of one kind.
func expect[M wire.Message](v *vehicle) M {
	v.w.t.Helper()
	msg := v.receive()
	m, ok := msg.(M)
	require.True(v.w.t, ok, "received %T: %v", msg, msg)
	return m
}

func (v *vehicle) expectRefused(why wire.Reason, object envelope.Name) {
	v.w.t.Helper()
	require.Equal(v.w.t, wire.Refused{Object: object, Reason: why}, expect[wire.Refused](v))
}

// expectReceipt receives a receipt and checks it as a vehicle does. A slow
// collector may say once more what it has before it answers.
func (v *vehicle) expectReceipt(b []byte, class uint8) wire.Receipt {
	v.w.t.Helper()
	m := v.receive()
	for {
		if _, have := m.(wire.Have); !have {
			break
		}
		m = v.receive()
	}
	r, ok := m.(wire.Receipt)
	require.True(v.w.t, ok, "received %T: %v", m, m)
	require.NoError(v.w.t, r.Verify([]wire.PublicKey{v.w.key.Public()}))
	require.NoError(v.w.t, r.Matches(wire.Offer{Object: sha256.Sum256(b), Size: int64(len(b)), Class: class}))
	require.Equal(v.w.t, v.w.key.StoreID(), r.Store)
	require.WithinDuration(v.w.t, time.Now(), r.Time, time.Minute)
	return r
}

// upload brings a whole object up and returns the blocks that were missing.
func (v *vehicle) upload(b []byte, class uint8) (sent int) {
	v.w.t.Helper()
	v.offer(b, class)
	n := wire.Blocks(int64(len(b)))
	gone := make([]bool, n) // nothing is lost here, so nothing goes up twice
	for h := expect[wire.Have](v); !h.Blocks.Full(int64(len(b))); h = expect[wire.Have](v) {
		round := 0
		for i := 0; i < n && round < wire.HaveEvery; i++ {
			if !h.Blocks.Has(i) && !gone[i] {
				v.data(b, i, 1)
				gone[i] = true
				sent++
				round++
			}
		}
		if round == 0 {
			v.offer(b, class)
		}
	}
	v.expectReceipt(b, class)
	return sent
}
