package collector_test

import (
	"bytes"
	"context"
	"crypto/sha256"
	"errors"
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"roadseal/agent/mqttlink"
	"roadseal/agent/wire"
	"roadseal/cmd/internal/collector"
	"roadseal/cmd/internal/objstore"
	"roadseal/cmd/internal/objstore/objstoretest"
	"roadseal/crypto/envelope"
	"roadseal/hal/durable"
)

// Device ids and their shards: 47 and 38.
const (
	deviceA = "AAAAAAAAAAAAAAAAAAAAAA"
	deviceB = "AAAAAAAAAAAAAAAAAAAAAQ"
)

// A fakeLink is a session without a broker, for tests under virtual time.
type fakeLink struct {
	in   chan mqttlink.Message
	done chan struct{}

	slow   time.Duration // what a message takes to leave
	record bool          // keep order

	mu    sync.Mutex
	out   map[string][]wire.Message // by topic
	order []wire.Message
}

func newFakeLink() *fakeLink {
	return &fakeLink{in: make(chan mqttlink.Message, 1000), done: make(chan struct{}), out: map[string][]wire.Message{}}
}

func (l *fakeLink) Publish(topic string, payload []byte) error {
	if l.slow > 0 {
		time.Sleep(l.slow)
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	m, err := wire.Parse(payload)
	l.out[topic] = append(l.out[topic], m)
	if l.record {
		l.order = append(l.order, m)
	}
	return err
}

func (l *fakeLink) Send(topic string, payload []byte) error { return l.Publish(topic, payload) }

func (l *fakeLink) Messages() <-chan mqttlink.Message { return l.in }
func (l *fakeLink) Done() <-chan struct{}             { return l.done }
func (l *fakeLink) Err() error                        { return errors.New("link lost") }
func (l *fakeLink) Close() error                      { return nil }

// A rig is a collector on fake links inside a synctest bubble.
type rig struct {
	t       *testing.T
	dir     string
	options collector.Options
	stop    func()

	mu      sync.Mutex
	link    *fakeLink // that the next dial yields
	dialErr error     // or fails with
	dials   int
	status  collector.Status
	log     bytes.Buffer
}

// virtual runs a test with a collector under virtual time.
func virtual(t *testing.T, change func(*rig), test func(t *testing.T, r *rig)) {
	synctest.Test(t, func(t *testing.T) {
		r := &rig{t: t, dir: t.TempDir(), link: newFakeLink()}
		disk, err := durable.OpenDisk(r.dir)
		require.NoError(t, err)
		folder, err := objstore.NewFolder(disk, objstore.Limits{Count: 100, Bytes: 1 << 30, Age: 100 * 24 * time.Hour})
		require.NoError(t, err)
		defer func() { require.NoError(t, folder.Close()) }()
		key, err := collector.GenerateKey()
		require.NoError(t, err)
		all, err := collector.ParseShards([]string{"00-ff"})
		require.NoError(t, err)
		r.options = collector.Options{Dial: r.dial, Store: folder, Key: key, Shards: all, Slots: 4, Quota: collector.DefaultQuota(),
			Status: r.told, Log: slog.New(slog.NewTextHandler(r, nil))}
		if change != nil {
			change(r)
		}
		ctx, cancel := context.WithCancel(t.Context())
		done := make(chan error, 1)
		go func() { done <- collector.New(r.options).Run(ctx) }()
		r.stop = sync.OnceFunc(func() {
			cancel()
			require.ErrorIs(t, <-done, context.Canceled)
		})
		defer func() {
			if !t.Failed() { // a failed test may hold what Run waits for
				r.stop()
			}
		}()
		synctest.Wait()
		test(t, r)
	})
}

func (r *rig) told(s collector.Status) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.status = s
}

func (r *rig) last() (s collector.Status, dials int) {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.status, r.dials
}

// Write takes the log.
func (r *rig) Write(b []byte) (int, error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.log.Write(b)
}

// sleep lets time go by until all is quiet.
func sleep(d time.Duration) {
	time.Sleep(d)
	synctest.Wait()
}

// set decides what becomes of the next attempts to connect, and cuts the
// session that there is.
func (r *rig) set(dialErr error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	close(r.link.done)
	r.link, r.dialErr = newFakeLink(), dialErr
}

func (r *rig) dial(context.Context) (collector.Link, error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.dials++
	if r.dialErr != nil {
		return nil, r.dialErr
	}
	return r.link, nil
}

// send delivers a message from a device and waits until all is quiet.
func (r *rig) send(device string, m wire.Message) {
	r.t.Helper()
	b, err := m.MarshalBinary()
	require.NoError(r.t, err)
	r.current().in <- mqttlink.Message{Topic: wire.UpTopic(device), Payload: b}
	synctest.Wait()
}

// offer offers an object and returns the answers since the last call.
func (r *rig) offer(device string, b []byte, class uint8) []wire.Message {
	r.t.Helper()
	r.send(device, offerOf(b, class))
	return r.answers(device)
}

func offerOf(b []byte, class uint8) wire.Offer {
	return wire.Offer{Object: sha256.Sum256(b), Size: int64(len(b)), Class: class}
}

func (r *rig) blocks(device string, b []byte, first, end int) []wire.Message {
	r.t.Helper()
	for i := first; i < end; i++ {
		r.send(device, wire.Data{Object: sha256.Sum256(b), Size: int64(len(b)), Index: uint32(i),
			Blocks: b[i*wire.BlockSize : min(len(b), (i+1)*wire.BlockSize)]})
	}
	return r.answers(device)
}

func (r *rig) current() *fakeLink {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.link
}

func (r *rig) answers(device string) []wire.Message {
	link := r.current()
	link.mu.Lock()
	defer link.mu.Unlock()
	out := link.out[wire.DownTopic(device)]
	delete(link.out, wire.DownTopic(device))
	return out
}

func (r *rig) staged() int {
	r.t.Helper()
	left, err := os.ReadDir(filepath.Join(r.dir, "staging"))
	require.NoError(r.t, err)
	return len(left)
}

func (r *rig) lines(level string) int {
	r.mu.Lock()
	defer r.mu.Unlock()
	return strings.Count(r.log.String(), "level="+level)
}

func kinds(messages []wire.Message) (names []string) {
	for _, m := range messages {
		switch m := m.(type) {
		case wire.Have:
			names = append(names, "have")
		case wire.Receipt:
			names = append(names, "stored")
		case wire.Refused:
			names = append(names, m.Reason.String())
		}
	}
	return names
}

func object(seed uint64) []byte {
	b, _ := objstoretest.Sealed(seed, 4, envelope.Padme(100_000)) // two blocks
	return b
}
