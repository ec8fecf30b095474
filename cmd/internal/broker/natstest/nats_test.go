// Package natstest uploads through the real nats-server with the configuration
// that docs/brokers ships. It is a module of its own, because the server would
// more than double the dependencies of the others.
//
// Side: black.
package natstest

import (
	"context"
	"crypto/sha256"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"math/rand/v2"
	"net"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"sync"
	"testing"
	"time"

	natsd "github.com/nats-io/nats-server/v2/server"
	"github.com/stretchr/testify/require"

	"roadseal/agent/mqttlink"
	"roadseal/agent/profile"
	"roadseal/agent/spool"
	"roadseal/agent/uplink"
	"roadseal/agent/wire"
	"roadseal/cmd/internal/broker/brokertest"
	"roadseal/cmd/internal/collector"
	"roadseal/cmd/internal/objstore"
	"roadseal/crypto/envelope"
	"roadseal/hal/durable"
)

const collectorName = "collector-1"

// A scene is a running nats-server with its CA and two vehicles that it knows.
type scene struct {
	t          *testing.T
	ca         *brokertest.CA
	address    string
	car, other string
}

func start(t *testing.T) *scene {
	s := &scene{t: t, ca: brokertest.NewCA(t), car: brokertest.Device(t), other: brokertest.Device(t)}
	b, err := os.ReadFile("../../../../docs/brokers/nats.conf")
	require.NoError(t, err)
	conf, files := string(b), s.ca.Files("localhost")
	l, err := net.Listen("tcp", "127.0.0.1:0")
	require.NoError(t, err)
	s.address = l.Addr().String()
	require.NoError(t, l.Close())
	vehicle := regexp.MustCompile(`(?s)    \{ user: "CN=DEVICE".*?\} \} \}\n`).FindString(conf)
	require.NotEmpty(t, vehicle)
	conf = strings.Replace(conf, vehicle, strings.ReplaceAll(vehicle, "DEVICE", s.car)+strings.ReplaceAll(vehicle, "DEVICE", s.other), 1)
	for shipped, here := range map[string]string{"127.0.0.1:4222": "127.0.0.1:-1", "0.0.0.0:8883": s.address, "/var/lib/nats": t.TempDir(),
		"/etc/nats/roadseal/ca.pem": files.CA, "/etc/nats/roadseal/broker.pem": files.Certificate, "/etc/nats/roadseal/broker.key": files.Key} {
		require.Equal(t, 1, strings.Count(conf, shipped), shipped)
		conf = strings.Replace(conf, shipped, here, 1)
	}
	path := filepath.Join(t.TempDir(), "nats.conf")
	require.NoError(t, os.WriteFile(path, []byte(conf), 0o600))
	o, err := natsd.ProcessConfigFile(path)
	require.NoError(t, err)
	o.NoSigs, o.NoLog = true, true
	server, err := natsd.NewServer(o)
	require.NoError(t, err)
	server.Start()
	t.Cleanup(func() { server.Shutdown(); server.WaitForShutdown() })
	require.True(t, server.ReadyForConnections(30*time.Second))
	return s
}

func (s *scene) options(name string) mqttlink.Options {
	return mqttlink.Options{Address: s.address, ClientID: name, TLS: s.ca.Client(name), MaxPacket: wire.MaxUp}
}

func (s *scene) client(name string) *mqttlink.Session {
	s.t.Helper()
	c, err := mqttlink.Dial(s.t.Context(), s.options(name))
	require.NoError(s.t, err)
	s.t.Cleanup(func() { require.NoError(s.t, c.Close()) })
	return c
}

func (s *scene) next(c *mqttlink.Session) string {
	s.t.Helper()
	select {
	case m := <-c.Messages():
		return m.Topic + " " + string(m.Payload)
	case <-time.After(30 * time.Second):
		s.t.Fatal("nothing happens")
	}
	return ""
}

// TestUpload: the real uplink, spool and collector bring megabytes through it.
func TestUpload(t *testing.T) {
	s := start(t)
	limits := profile.Choose("nats", profile.Limits{}, func(_ []any, format string, args ...any) { t.Fatalf(format, args...) })
	quiet := slog.New(slog.DiscardHandler)
	store, err := durable.OpenDisk(t.TempDir())
	require.NoError(t, err)
	folder, err := objstore.NewFolder(store, objstore.Limits{Count: 100, Bytes: 1 << 30, Age: time.Hour})
	require.NoError(t, err)
	defer folder.Close()
	card, err := durable.OpenDisk(t.TempDir())
	require.NoError(t, err)
	defer card.Close()
	queue, err := spool.Open(card, spool.Options{MaxBytes: 1 << 30, Slots: envelope.DefaultSlots, Order: func(string) (int, bool) { return 1, true }})
	require.NoError(t, err)
	rng := rand.New(rand.NewPCG(1, 1))
	fed := map[envelope.Name]bool{}
	for i, size := range []int64{5_000_000, 1000, 3_000_000, 200_000} {
		fed[feed(t, queue, rng, uint32(i), size)] = true
	}

	ctx, cancel := context.WithCancel(t.Context())
	key, err := collector.GenerateKey()
	require.NoError(t, err)
	shards, err := collector.ParseShards([]string{"00-ff"})
	require.NoError(t, err)
	co := s.options(collectorName)
	co.Persistent, co.ManualAck, co.Queue, co.Pace, co.InFlight = true, true, 1024, profile.NewPace(limits), limits.InFlight
	up := make(chan struct{}, 100)
	c := collector.New(collector.Options{Dial: collector.Dial(co, shards), Store: folder, Key: key, StoreID: key.StoreID(), Shards: shards,
		Slots: envelope.DefaultSlots, Quota: collector.DefaultQuota(), Log: quiet, Status: func(st collector.Status) {
			if st.Connected {
				select {
				case up <- struct{}{}:
				default:
				}
			}
		}})
	var both sync.WaitGroup
	both.Go(func() { require.ErrorIs(t, c.Run(ctx), context.Canceled) })
	<-up
	vo := s.options(s.car)
	vo.MaxPacket, vo.Pace, vo.InFlight = wire.MaxDown, profile.NewPace(limits), limits.InFlight
	u := uplink.New(uplink.Options{Device: s.car, Queue: queue, ReceiptKeys: []wire.PublicKey{key.Public()}, BlocksPerMessage: limits.Blocks(), Log: quiet,
		Dial: func(ctx context.Context) (uplink.Link, error) {
			l, err := mqttlink.Dial(ctx, vo)
			if err != nil {
				return nil, err
			}
			if err := l.Subscribe(ctx, wire.DownTopic(s.car)); err != nil {
				return nil, errors.Join(err, l.Close())
			}
			return l, nil
		}})
	both.Go(func() { require.ErrorIs(t, u.Run(ctx), context.Canceled) })
	require.Eventually(t, func() bool { return queue.Usage().QueuedObjects == 0 }, 2*time.Minute, 20*time.Millisecond, "%+v", u.Status())
	cancel()
	both.Wait()

	found := 0
	require.NoError(t, folder.List(t.Context(), func(e objstore.Entry) error {
		found++
		require.True(t, fed[e.Name])
		o, err := folder.Get(t.Context(), e.Key)
		require.NoError(t, err)
		defer o.Close()
		b, err := io.ReadAll(io.NewSectionReader(o, 0, o.Size()))
		require.NoError(t, err)
		require.Equal(t, e.Name, envelope.Name(sha256.Sum256(b)))
		return nil
	}))
	require.Equal(t, len(fed), found)
	require.Zero(t, u.Status().Resent)
}

// feed puts what looks like a sealed object from outside into the spool.
func feed(t *testing.T, queue *spool.Spool, rng *rand.Rand, sequence uint32, size int64) envelope.Name {
	h := envelope.Header{Stanzas: make([]envelope.Stanza, envelope.DefaultSlots)}
	b := make([]byte, envelope.SealedSize(envelope.DefaultSlots, envelope.Padme(size)))
	binary.LittleEndian.PutUint64(b[copy(b, h.Marshal()):], rng.Uint64())
	name := envelope.Name(sha256.Sum256(b))
	draft, err := queue.Create(3, int64(len(b)))
	require.NoError(t, err)
	_, err = draft.Write(b)
	require.NoError(t, err)
	_, err = draft.Commit(spool.Meta{Class: 3, Boot: 1, Sequence: sequence, Stream: "video"}, name, int64(len(b)))
	require.NoError(t, err)
	return name
}

// TestTopicsAreTheClientsOwn: what is forbidden is acknowledged and dropped, a
// forbidden subscription is refused.
func TestTopicsAreTheClientsOwn(t *testing.T) {
	s := start(t)
	up, c := s.client(collectorName), s.client(s.car)
	require.NoError(t, up.Subscribe(t.Context(), "v1/up/+/+"))
	require.NoError(t, c.Subscribe(t.Context(), wire.DownTopic(s.car)))
	for _, filter := range []string{wire.DownTopic(s.other), "v1/down/+", "#", "v1/up/+/+", wire.UpTopic(s.car)} {
		require.ErrorContains(t, c.Subscribe(t.Context(), filter), "refused", filter)
	}
	require.ErrorContains(t, up.Subscribe(t.Context(), wire.DownTopic(s.car)), "refused")
	for _, topic := range []string{wire.UpTopic(s.other), wire.DownTopic(s.other), wire.DownTopic(s.car), "v1/up/00/00/" + s.car} {
		require.NoError(t, c.Publish(topic, []byte("forged")))
	}
	require.NoError(t, c.Publish(wire.UpTopic(s.car), []byte("own")))
	require.Equal(t, wire.UpTopic(s.car)+" own", s.next(up))
	require.NoError(t, up.Publish(wire.UpTopic(s.car), []byte("forged")))
	require.NoError(t, up.Publish(wire.DownTopic(s.car), []byte("down")))
	require.Equal(t, wire.DownTopic(s.car)+" down", s.next(c))
	require.Empty(t, up.Messages())
	require.NoError(t, c.Err())
}

// TestWhoIsUnknownIsRefused: a certificate of the CA is not enough.
func TestWhoIsUnknownIsRefused(t *testing.T) {
	s := start(t)
	_, err := mqttlink.Dial(t.Context(), s.options(brokertest.Device(t)))
	require.Error(t, err)
	stranger := s.options(s.car)
	stranger.TLS = brokertest.NewCA(t).Client(s.car)
	_, err = mqttlink.Dial(t.Context(), stranger)
	require.Error(t, err)
}

// TestAClientIDIsNotBound: the document says so; should it change, the document
// has to.
func TestAClientIDIsNotBound(t *testing.T) {
	s := start(t)
	c := s.client(s.car)
	thief := s.options(s.other)
	thief.ClientID = s.car
	evil, err := mqttlink.Dial(t.Context(), thief)
	require.NoError(t, err)
	defer evil.Close()
	select {
	case <-c.Done():
	case <-time.After(30 * time.Second):
		t.Fatal(fmt.Errorf("the session was not taken over"))
	}
}
