package uplink_test

import (
	"bytes"
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"errors"
	"io"
	"io/fs"
	"log/slog"
	"math/big"
	"net"
	"strings"
	"sync"
	"testing"
	"time"

	mochi "github.com/mochi-mqtt/server/v2"
	"github.com/mochi-mqtt/server/v2/listeners"
	"github.com/mochi-mqtt/server/v2/packets"
	"github.com/stretchr/testify/require"
	"go.uber.org/goleak"

	"roadseal/agent/downlink"
	"roadseal/agent/mqttlink"
	"roadseal/agent/uplink"
	"roadseal/agent/wire"
	"roadseal/firmware/fetch/fetchtest"
)

// A pki is a throw-away certificate authority.
type pki struct {
	t    *testing.T
	ca   *x509.Certificate
	key  *ecdsa.PrivateKey
	pool *x509.CertPool
}

func newPKI(t *testing.T) *pki {
	p := &pki{t: t, pool: x509.NewCertPool()}
	var cert tls.Certificate
	template := &x509.Certificate{Subject: pkix.Name{CommonName: "test authority"}, IsCA: true, BasicConstraintsValid: true, KeyUsage: x509.KeyUsageCertSign}
	cert, p.key = p.sign(template)
	ca, err := x509.ParseCertificate(cert.Certificate[0])
	require.NoError(t, err)
	p.ca = ca
	p.pool.AddCert(ca)
	return p
}

func (p *pki) sign(template *x509.Certificate) (tls.Certificate, *ecdsa.PrivateKey) {
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	require.NoError(p.t, err)
	template.SerialNumber, err = rand.Int(rand.Reader, big.NewInt(1<<62))
	require.NoError(p.t, err)
	template.NotBefore, template.NotAfter = time.Now().Add(-time.Hour), time.Now().Add(time.Hour)
	parent, signer := p.ca, p.key
	if parent == nil {
		parent, signer = template, key
	}
	der, err := x509.CreateCertificate(rand.Reader, template, parent, &key.PublicKey, signer)
	require.NoError(p.t, err)
	return tls.Certificate{Certificate: [][]byte{der}, PrivateKey: key}, key
}

func (p *pki) client(name string) *tls.Config {
	cert, _ := p.sign(&x509.Certificate{Subject: pkix.Name{CommonName: name}, ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageClientAuth}})
	return &tls.Config{MinVersion: tls.VersionTLS13, RootCAs: p.pool, ServerName: "broker", Certificates: []tls.Certificate{cert}}
}

func (p *pki) server() *tls.Config {
	cert, _ := p.sign(&x509.Certificate{Subject: pkix.Name{CommonName: "broker"}, DNSNames: []string{"broker"}, ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth}})
	return &tls.Config{MinVersion: tls.VersionTLS13, ClientAuth: tls.RequireAndVerifyClientCert, ClientCAs: p.pool, Certificates: []tls.Certificate{cert}}
}

// rules bind client id and topics to the certificate's common name.
type rules struct{ mochi.HookBase }

func (*rules) ID() string           { return "rules" }
func (*rules) Provides(b byte) bool { return b == mochi.OnConnectAuthenticate || b == mochi.OnACLCheck }

func commonName(cl *mochi.Client) string {
	return cl.Net.Conn.(*tls.Conn).ConnectionState().VerifiedChains[0][0].Subject.CommonName
}

func (*rules) OnConnectAuthenticate(cl *mochi.Client, pk packets.Packet) bool {
	return pk.Connect.ClientIdentifier == commonName(cl)
}

func (*rules) OnACLCheck(cl *mochi.Client, topic string, write bool) bool {
	name := commonName(cl)
	if name == "collector" {
		return true
	}
	return topic == wire.DownTopic(name) && !write || topic == wire.UpTopic(name) && write
}

// startBroker returns the address of a broker that ends with the test.
func startBroker(t *testing.T, p *pki) string {
	caps := mochi.NewDefaultServerCapabilities()
	caps.MaximumPacketSize = wire.MaxUp
	s := mochi.New(&mochi.Options{Capabilities: caps, Logger: slog.New(slog.NewTextHandler(io.Discard, nil))})
	require.NoError(t, s.AddHook(new(rules), nil))
	l := listeners.NewTCP(listeners.Config{ID: "tls", Address: "127.0.0.1:0", TLSConfig: p.server()})
	require.NoError(t, s.AddListener(l))
	require.NoError(t, s.Serve())
	t.Cleanup(func() { require.NoError(t, s.Close()) })
	return l.Address()
}

// collect runs the collector of the other tests behind a real session.
func collect(t *testing.T, c *collector, mu *sync.Mutex, s *mqttlink.Session) {
	for {
		select {
		case m := <-s.Messages():
			in, err := wire.Parse(m.Payload)
			require.NoError(t, err)
			shard, from, ok := wire.DeviceOf(m.Topic)
			require.True(t, ok && shard == wire.Shard(from))
			mu.Lock()
			out := c.handle(in)
			mu.Unlock()
			for _, answer := range out {
				b, err := answer.MarshalBinary()
				require.NoError(t, err)
				if s.Publish(wire.DownTopic(from), b) != nil {
					return
				}
			}
			m.Ack()
		case <-s.Done():
			return
		}
	}
}

// TestThroughABroker uploads over mutual TLS through a broker, and fetches files
// meanwhile, with the vehicle's connection cut several times, and its session
// taken over.
func TestThroughABroker(t *testing.T) {
	for name, start := range map[string]func(*testing.T, *pki) string{"mochi": startBroker, "mosquitto": startMosquitto} {
		t.Run(name, func(t *testing.T) {
			before := goleak.IgnoreCurrent()
			t.Cleanup(func() { goleak.VerifyNone(t, before) })
			p := newPKI(t)
			throughBroker(t, p, start(t, p))
		})
	}
}

func throughBroker(t *testing.T, p *pki, address string) {
	ctx, cancel := context.WithCancel(t.Context())

	var mu sync.Mutex
	c := newCollector()
	var wg sync.WaitGroup
	fetched := make(chan struct{})
	again := make(chan *mqttlink.Session, 1)
	identity := p.client("collector")
	wg.Go(func() {
		for ctx.Err() == nil {
			s, err := mqttlink.Dial(ctx, mqttlink.Options{Address: address, ClientID: "collector", TLS: identity, MaxPacket: wire.MaxUp,
				Persistent: true, ManualAck: true, Queue: 2048})
			if err != nil {
				continue // ctx has ended
			}
			if err := s.Subscribe(ctx, wire.UpFilter(wire.Shard(device))); err == nil {
				again <- s
				collect(t, c, &mu, s)
			}
			require.NoError(t, s.Close())
		}
	})
	require.NotNil(t, <-again)

	q := newQueue()
	for _, size := range []int64{1, 12_000_000, 100_000, 61440, 5_000_000, 77} {
		q.add(-1, size)
	}
	all := names(q.pending()...)
	file := fetchtest.Noise(7, 120*wire.BlockSize+1)
	c.files.Put(targets, file)
	down := downlink.New()
	var conns sync.Map // of the vehicle, by number
	vehicle := p.client(device)
	log := new(bytes.Buffer)
	u := uplink.New(uplink.Options{Device: device, Queue: q, ReceiptKeys: []wire.PublicKey{public(signer)}, BlocksPerMessage: 2, Downloads: down,
		Log: slog.New(slog.NewTextHandler(log, nil)),
		Dial: func(ctx context.Context) (uplink.Link, error) {
			s, err := mqttlink.Dial(ctx, mqttlink.Options{Address: address, ClientID: device, TLS: vehicle, MaxPacket: wire.MaxDown,
				Dial: func(ctx context.Context, network, address string) (net.Conn, error) {
					conn, err := new(net.Dialer).DialContext(ctx, network, address)
					conns.Store("vehicle", conn)
					return conn, err
				}})
			if err != nil {
				return nil, err
			}
			if err := s.Subscribe(ctx, wire.DownTopic(device)); err != nil {
				return nil, errors.Join(err, s.Close())
			}
			return s, nil
		}})
	done := make(chan error, 1)
	go func() { done <- u.Run(ctx) }()
	wg.Go(func() {
		for range 3 { // beside the uploads, and after them
			got, err := down.Fetch(ctx, targets, 64<<20)
			require.NoError(t, err)
			require.True(t, bytes.Equal(file, got), "the file that was asked for")
		}
		_, err := down.Fetch(ctx, "image/timestamp.json", 1000)
		require.ErrorIs(t, err, fs.ErrNotExist)
		close(fetched)
	})

	for cut := int64(1); cut <= 5; cut++ {
		waitFor(t, func() bool { return u.Status().Sent > cut*3_000_000 })
		if cut > 3 { // a second client with our id takes the session over
			s, err := mqttlink.Dial(ctx, mqttlink.Options{Address: address, ClientID: device, TLS: vehicle})
			require.NoError(t, err)
			require.NoError(t, s.Close())
			continue
		}
		conn, _ := conns.Load("vehicle")
		conn.(*net.TCPConn).SetLinger(0)
		conn.(*net.TCPConn).Close()
	}
	waitFor(t, func() bool { return len(q.pending()) == 0 })
	<-fetched
	cancel()
	require.ErrorIs(t, <-done, context.Canceled)
	wg.Wait()
	require.ElementsMatch(t, all, q.marked())
	require.Len(t, c.stored, len(all))
	require.Zero(t, q.open)
	require.LessOrEqual(t, u.Status().Resent, int64(5*wire.Wide*wire.MaxBlocks*wire.BlockSize), "a window for each cut")
	require.Less(t, strings.Count(log.String(), "\n"), 10, log.String())
	require.NotContains(t, log.String(), "127.0.0.1")
}

// TestForeignTopicIsRefused: the broker of this test closes the connection of
// a vehicle that subscribes to or writes for another.
func TestForeignTopicIsRefused(t *testing.T) {
	p := newPKI(t)
	address := startBroker(t, p)
	other := "_-_-_-_-_-_-_-_-_-_-_w"
	require.NoError(t, wire.CheckDevice(other))
	s, err := mqttlink.Dial(t.Context(), mqttlink.Options{Address: address, ClientID: device, TLS: p.client(device)})
	require.NoError(t, err)
	require.Error(t, s.Subscribe(t.Context(), wire.DownTopic(other)))
	_ = s.Publish(wire.UpTopic(other), []byte("x")) // the session may be over by now
	<-s.Done()
	require.ErrorContains(t, s.Err(), "connection lost")
	require.NoError(t, s.Close())

	_, err = mqttlink.Dial(t.Context(), mqttlink.Options{Address: address, ClientID: other, TLS: p.client(device)})
	require.ErrorContains(t, err, "refused the connection")
	stranger := newPKI(t).client(device)
	stranger.RootCAs = p.pool
	_, err = mqttlink.Dial(t.Context(), mqttlink.Options{Address: address, ClientID: device, TLS: stranger})
	require.ErrorContains(t, err, "tls")
}

// waitFor polls for what only sockets and other goroutines bring about.
func waitFor(t *testing.T, ready func() bool) {
	t.Helper()
	require.Eventually(t, ready, time.Minute, 5*time.Millisecond)
}
