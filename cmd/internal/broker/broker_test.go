package broker_test

import (
	"bytes"
	"crypto/tls"
	"net"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"go.uber.org/goleak"

	"roadseal/agent/mqttlink"
	"roadseal/agent/wire"
	"roadseal/cmd/internal/broker"
	"roadseal/cmd/internal/broker/brokertest"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// A scene is a broker with its CA.
type scene struct {
	t      *testing.T
	ca     *brokertest.CA
	broker *broker.Broker
}

func newScene(t *testing.T, capture func(string, []byte)) *scene {
	s := &scene{t: t, ca: brokertest.NewCA(t)}
	s.broker = s.ca.Broker("127.0.0.1:0", capture)
	t.Cleanup(func() { require.NoError(t, s.broker.Close()) })
	return s
}

// dial connects with a client id and a certificate.
func (s *scene) dial(id, certificate string) (*mqttlink.Session, error) {
	return mqttlink.Dial(s.t.Context(), mqttlink.Options{Address: s.broker.Address(), ClientID: id, TLS: s.ca.Client(certificate),
		MaxPacket: wire.MaxUp, Persistent: id == "collector", ManualAck: id == "collector", Queue: 4096})
}

func (s *scene) client(name string) *mqttlink.Session {
	s.t.Helper()
	c, err := s.dial(name, name)
	require.NoError(s.t, err)
	s.t.Cleanup(func() { require.NoError(s.t, c.Close()) })
	return c
}

func await[T any](t *testing.T, c <-chan T) (v T) {
	t.Helper()
	select {
	case v = <-c:
	case <-time.After(30 * time.Second):
		t.Fatal("nothing happens")
	}
	return v
}

func TestTheClientIDIsTheCommonName(t *testing.T) {
	s := newScene(t, nil)
	car, other := brokertest.Device(t), brokertest.Device(t)
	for what, id := range map[string][2]string{
		"another vehicle's id":        {other, car},
		"the collector's id":          {"collector", car},
		"a vehicle's, by a collector": {car, "collector"},
		"no device id":                {"car1", "car1"},
		"topic characters":            {"collector/+", "collector/+"},
	} {
		_, err := s.dial(id[0], id[1])
		require.ErrorContains(t, err, "refused", what)
	}
	s.client(car)
	s.client("collector-2")
}

func TestOnlyClientsWithACertificateOfTheCA(t *testing.T) {
	s := newScene(t, nil)
	car := brokertest.Device(t)
	stranger := brokertest.NewCA(t).Client(car)
	stranger.VerifyConnection = nil // it wants to talk to this broker all the same
	none := s.ca.Client(car)
	none.GetClientCertificate = func(*tls.CertificateRequestInfo) (*tls.Certificate, error) { return new(tls.Certificate), nil }
	old := s.ca.Client(car)
	old.MinVersion, old.MaxVersion = tls.VersionTLS12, tls.VersionTLS12
	for what, c := range map[string]*tls.Config{"another CA": stranger, "no certificate": none, "TLS 1.2": old} {
		_, err := mqttlink.Dial(t.Context(), mqttlink.Options{Address: s.broker.Address(), ClientID: car, TLS: c})
		require.Error(t, err, what)
	}
}

func TestTopicsAreTheClientsOwn(t *testing.T) {
	s := newScene(t, nil)
	car, other := brokertest.Device(t), brokertest.Device(t)
	c := s.client(car)
	require.NoError(t, c.Subscribe(t.Context(), wire.DownTopic(car)))
	for _, filter := range []string{wire.DownTopic(other), "v1/down/+", "#", "+/down/" + car, "v1/up/+/+", wire.UpTopic(car), "$SYS/#"} {
		require.Error(t, c.Subscribe(t.Context(), filter), filter)
	}
	collector := s.client("collector")
	require.NoError(t, collector.Subscribe(t.Context(), "v1/up/+/+"))
	for _, filter := range []string{"#", "v1/down/+", "$SYS/#"} {
		require.Error(t, collector.Subscribe(t.Context(), filter), filter)
	}
	for _, topic := range []string{wire.UpTopic(other), wire.DownTopic(car), "v1/up/" + car, "v1/up/00/" + car + "/x", "x"} {
		c, err := s.dial(car, car)
		require.NoError(t, err)
		_ = c.Publish(topic, []byte("x")) // may learn at once that
		await(t, c.Done())                // the broker ends the connection
		require.NoError(t, c.Close())
	}
	_ = collector.Publish(wire.UpTopic(car), nil)
	await(t, collector.Done())
	require.Empty(t, collector.Messages())
}

func TestCaptureSeesAllThatIsAccepted(t *testing.T) {
	var mu sync.Mutex
	seen := map[string][]byte{}
	s := newScene(t, func(topic string, payload []byte) {
		mu.Lock()
		defer mu.Unlock()
		seen[topic] = bytes.Clone(payload)
	})
	car := brokertest.Device(t)
	c, collector := s.client(car), s.client("collector")
	require.NoError(t, c.Subscribe(t.Context(), wire.DownTopic(car)))
	require.NoError(t, collector.Subscribe(t.Context(), "v1/up/+/+"))
	up := bytes.Repeat([]byte{7}, wire.MaxBlocks*wire.BlockSize+46)
	require.NoError(t, c.Publish(wire.UpTopic(car), up))
	m := await(t, collector.Messages())
	require.Equal(t, up, m.Payload)
	m.Ack()
	require.NoError(t, collector.Publish(wire.DownTopic(car), []byte("down")))
	require.Equal(t, []byte("down"), await(t, c.Messages()).Payload)
	mu.Lock()
	defer mu.Unlock()
	require.Equal(t, map[string][]byte{wire.UpTopic(car): up, wire.DownTopic(car): []byte("down")}, seen)
}

func TestNothingIsDroppedWhileTheCollectorIsAway(t *testing.T) {
	s := newScene(t, nil)
	const vehicles = 100
	collector := s.client("collector")
	require.NoError(t, collector.Subscribe(t.Context(), "v1/up/+/+"))
	require.NoError(t, collector.Close()) // its session stays
	var cars []*mqttlink.Session
	for range vehicles {
		car := brokertest.Device(t)
		c := s.client(car)
		require.NoError(t, c.Subscribe(t.Context(), wire.DownTopic(car)))
		for i := range wire.Window {
			require.NoError(t, c.Publish(wire.UpTopic(car), []byte{byte(i)}))
		}
		cars = append(cars, c)
	}
	for _, c := range cars { // what was sent before is there when the broker answers
		require.Error(t, c.Subscribe(t.Context(), "x"))
	}
	collector = s.client("collector")
	require.NoError(t, collector.Subscribe(t.Context(), "v1/up/+/+"), "with messages under way that bear the same packet ids")
	got := map[string]int{}
	for range vehicles * wire.Window {
		m := await(t, collector.Messages())
		got[m.Topic]++
		m.Ack()
	}
	require.Len(t, got, vehicles)
}

func TestOversizePacketsEndTheConnection(t *testing.T) {
	s := newScene(t, nil)
	car := brokertest.Device(t)
	c := s.client(car)
	_ = c.Publish(wire.UpTopic(car), make([]byte, wire.MaxUp+1))
	await(t, c.Done())
}

func TestAnAddressThatIsTaken(t *testing.T) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	require.NoError(t, err)
	defer l.Close()
	_, err = broker.Start(broker.Options{Address: l.Addr().String(), TLS: new(tls.Config)})
	require.ErrorContains(t, err, "broker cannot listen on "+l.Addr().String())
}
