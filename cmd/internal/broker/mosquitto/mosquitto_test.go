package mosquitto_test

import (
	"bytes"
	"crypto/tls"
	"fmt"
	"net"
	"os"
	"os/exec"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"roadseal/agent/mqttlink"
	"roadseal/agent/wire"
	"roadseal/cmd/internal/broker/brokertest"
	"roadseal/cmd/internal/broker/mosquitto"
)

const collector = "collector-test"

// A scene is a running mosquitto with its CA.
type scene struct {
	t       *testing.T
	ca      *brokertest.CA
	address string
}

// start runs mosquitto with the shipped files, in which change, if not nil,
// alters the access rules. The test is skipped where it is not installed.
func start(t *testing.T, change func(rules string) string) *scene {
	program, err := mosquitto.Find("mosquitto")
	if err != nil {
		t.Skip("needs mosquitto, which is not installed")
	}
	s := &scene{t: t, ca: brokertest.NewCA(t)}
	files := s.ca.Files("localhost")
	conf, address, err := mosquitto.Write(t.TempDir(), mosquitto.Options{CA: files.CA, Certificate: files.Certificate, Key: files.Key, Collector: collector})
	require.NoError(t, err)
	s.address = address
	if change != nil {
		acl := strings.TrimSuffix(conf, "conf") + "acl"
		rules, err := os.ReadFile(acl)
		require.NoError(t, err)
		require.NotEqual(t, string(rules), change(string(rules)))
		require.NoError(t, os.WriteFile(acl, []byte(change(string(rules))), 0o600))
	}
	var log bytes.Buffer
	cmd := exec.Command(program, "-c", conf)
	cmd.Stdout, cmd.Stderr = &log, &log
	require.NoError(t, cmd.Start())
	t.Cleanup(func() {
		require.NoError(t, cmd.Process.Kill())
		_ = cmd.Wait() // killed
		if t.Failed() {
			t.Log(log.String())
		}
	})
	require.Eventually(t, func() bool {
		c, err := net.Dial("tcp", address)
		if err == nil {
			c.Close()
		}
		return err == nil
	}, time.Minute, 5*time.Millisecond)
	return s
}

// client connects with the certificate of a name.
func (s *scene) client(name string) *mqttlink.Session {
	s.t.Helper()
	return s.as(name, name)
}

// as connects with the certificate of a name and another client id.
func (s *scene) as(name, id string) *mqttlink.Session {
	s.t.Helper()
	c, err := mqttlink.Dial(s.t.Context(), mqttlink.Options{Address: s.address, ClientID: id, TLS: s.ca.Client(name), MaxPacket: wire.MaxUp})
	require.NoError(s.t, err)
	s.t.Cleanup(func() { require.NoError(s.t, c.Close()) })
	return c
}

// next is the payload of the next message.
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

// publish sends and waits until the broker has handled it, which a SUBACK that
// comes after it shows.
func (s *scene) publish(c *mqttlink.Session, topic, payload string) {
	s.t.Helper()
	require.NoError(s.t, c.Publish(topic, []byte(payload)))
	require.NoError(s.t, c.Subscribe(s.t.Context(), "nothing"))
}

// written is what the collector gets when a vehicle writes wherever it can, and
// at last to its own topic.
func written(s *scene) (got []string, car string) {
	car, other := brokertest.Device(s.t), brokertest.Device(s.t)
	up, c := s.client(collector), s.client(car)
	require.NoError(s.t, up.Subscribe(s.t.Context(), "v1/up/#"))
	listener := s.client(other)
	require.NoError(s.t, listener.Subscribe(s.t.Context(), wire.DownTopic(other)))
	for _, topic := range []string{wire.UpTopic(other), "v1/up/" + other, "v1/up/00/00/" + car, wire.DownTopic(other), wire.DownTopic(car), "v1/up/x/y"} {
		s.publish(c, topic, "forged")
	}
	s.publish(c, wire.UpTopic(car), "own")
	for {
		m := s.next(up)
		got = append(got, m)
		if strings.HasSuffix(m, "own") {
			break
		}
	}
	s.publish(up, wire.DownTopic(other), "from the collector")
	if m := s.next(listener); m != wire.DownTopic(other)+" from the collector" {
		got = append(got, m)
	}
	return got, car
}

func TestAVehicleWritesItsOwnTopicOnly(t *testing.T) {
	got, car := written(start(t, nil))
	require.Equal(t, []string{wire.UpTopic(car) + " own"}, got)
}

// TestTheWriteTestFailsWithoutItsRule: what the rules forbid is seen when they
// do not.
func TestTheWriteTestFailsWithoutItsRule(t *testing.T) {
	got, _ := written(start(t, func(rules string) string {
		return strings.Replace(rules, "pattern write v1/up/+/%u", "pattern write v1/#", 1)
	}))
	require.Contains(t, strings.Join(got, "\n"), "forged")
}

// read is what another vehicle gets of messages that are not for it, when it
// listens wherever it can, before one that is.
func read(s *scene) (got []string) {
	car, other := brokertest.Device(s.t), brokertest.Device(s.t)
	up, c, spy := s.client(collector), s.client(car), s.client(other)
	require.NoError(s.t, c.Subscribe(s.t.Context(), wire.DownTopic(car)))
	for _, filter := range []string{"#", "v1/#", "v1/down/+", "+/down/" + car, wire.DownTopic(car), wire.UpTopic(car), "v1/up/+/+", "$SYS/#", wire.DownTopic(other)} {
		require.NoError(s.t, spy.Subscribe(s.t.Context(), filter)) // mosquitto grants each and filters what it delivers
	}
	s.publish(c, wire.UpTopic(car), "secret")
	s.publish(up, wire.DownTopic(car), "secret")
	require.Equal(s.t, wire.DownTopic(car)+" secret", s.next(c))
	s.publish(up, wire.DownTopic(other), "own")
	for {
		m := s.next(spy)
		if m == wire.DownTopic(other)+" own" {
			return got
		}
		got = append(got, m)
	}
}

func TestAVehicleReadsItsOwnTopicOnly(t *testing.T) { require.Empty(t, read(start(t, nil))) }

// TestTheReadTestFailsWithoutItsRule is the counter-proof of the test above.
func TestTheReadTestFailsWithoutItsRule(t *testing.T) {
	require.NotEmpty(t, read(start(t, func(rules string) string {
		return strings.Replace(rules, "pattern read v1/down/%u", "pattern read #", 1)
	})))
}

// TestACollectorReadsUpAndWritesDown, and not the reverse.
func TestACollectorReadsUpAndWritesDown(t *testing.T) {
	s := start(t, nil)
	car := brokertest.Device(t)
	up, c := s.client(collector), s.client(car)
	for _, filter := range []string{"v1/up/+/+", "v1/down/#"} {
		require.NoError(t, up.Subscribe(t.Context(), filter))
	}
	s.publish(up, wire.UpTopic(car), "forged")
	s.publish(up, wire.DownTopic(car), "down")
	s.publish(c, wire.UpTopic(car), "up")
	require.Equal(t, wire.UpTopic(car)+" up", s.next(up))
}

// TestNobodyTakesOverAClientID: the id that a client names does not count, only
// its certificate.
func TestNobodyTakesOverAClientID(t *testing.T) {
	s := start(t, nil)
	car, thief := brokertest.Device(t), brokertest.Device(t)
	up, c := s.client(collector), s.client(car)
	require.NoError(t, c.Subscribe(t.Context(), wire.DownTopic(car)))
	evil := s.as(thief, car)
	require.NoError(t, evil.Subscribe(t.Context(), wire.DownTopic(car)))
	require.NoError(t, evil.Subscribe(t.Context(), wire.DownTopic(thief)))
	s.publish(up, wire.DownTopic(car), "secret")
	s.publish(up, wire.DownTopic(thief), "own")
	require.Equal(t, wire.DownTopic(car)+" secret", s.next(c))
	require.Equal(t, wire.DownTopic(thief)+" own", s.next(evil))
	require.NoError(t, c.Err(), "still connected")
}

func TestOnlyCertificatesOfTheCAUnderTLS13(t *testing.T) {
	s := start(t, nil)
	car := brokertest.Device(t)
	dial := func(c *tls.Config) error {
		session, err := mqttlink.Dial(t.Context(), mqttlink.Options{Address: s.address, ClientID: car, TLS: c})
		if err == nil {
			err = session.Subscribe(t.Context(), wire.DownTopic(car))
			require.NoError(t, session.Close())
		}
		return err
	}
	require.NoError(t, dial(s.ca.Client(car)))
	stranger := brokertest.NewCA(t).Client(car)
	stranger.RootCAs, stranger.VerifyConnection = s.ca.Client(car).RootCAs, nil
	stranger.InsecureSkipVerify = true // it wants to talk to this broker all the same
	none := s.ca.Client(car)
	none.GetClientCertificate = func(*tls.CertificateRequestInfo) (*tls.Certificate, error) { return new(tls.Certificate), nil }
	old := s.ca.Client(car)
	old.MinVersion, old.MaxVersion = tls.VersionTLS12, tls.VersionTLS12
	for what, c := range map[string]*tls.Config{"another CA": stranger, "no certificate": none, "TLS 1.2": old} {
		require.Error(t, dial(c), what) // an alert of TLS, or the connection is reset before it is read
	}
	plain, err := net.Dial("tcp", s.address)
	require.NoError(t, err)
	defer plain.Close()
	_, err = plain.Write([]byte("\x10\x0e\x00\x04MQTT\x04\x02\x00\x1e\x00\x02ab")) // CONNECT, without TLS
	require.NoError(t, err)
	require.NoError(t, plain.SetReadDeadline(time.Now().Add(30*time.Second)))
	answer := make([]byte, 64)
	n, err := plain.Read(answer)
	require.False(t, err == nil && n > 0 && answer[0] == 0x20, "a CONNACK without TLS")
}

// TestMessagesAboveTheLimitAreDropped, acknowledged all the same, while two
// blocks pass.
func TestMessagesAboveTheLimitAreDropped(t *testing.T) {
	s := start(t, nil)
	car := brokertest.Device(t)
	up, c := s.client(collector), s.client(car)
	require.NoError(t, up.Subscribe(t.Context(), "v1/up/+/+"))
	s.publish(c, wire.UpTopic(car), strings.Repeat("x", 140_000))
	largest := strings.Repeat("y", wire.MaxBlocks*wire.BlockSize+46)
	s.publish(c, wire.UpTopic(car), largest)
	require.Equal(t, fmt.Sprint(wire.UpTopic(car), " ", largest), s.next(up))
}
