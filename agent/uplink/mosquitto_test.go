package uplink_test

import (
	"bytes"
	"crypto/x509"
	"encoding/pem"
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"roadseal/agent/mqttlink"
	"roadseal/agent/wire"
	"roadseal/docs/brokers"
)

// startMosquitto runs the mosquitto program with the configuration that
// docs/brokers ships, and returns its address. The test is skipped where the
// program is not installed.
func startMosquitto(t *testing.T, p *pki) string {
	program, err := exec.LookPath("mosquitto")
	if err != nil { // Debian puts it where not every user looks
		program, err = exec.LookPath("/usr/sbin/mosquitto")
	}
	if err != nil {
		t.Skip("needs mosquitto, which is not installed (Debian package mosquitto)")
	}
	l, err := net.Listen("tcp", "127.0.0.1:0")
	require.NoError(t, err)
	port := l.Addr().(*net.TCPAddr).Port
	require.NoError(t, l.Close())

	dir := t.TempDir()
	write := func(name string, b []byte) string {
		path := filepath.Join(dir, name)
		require.NoError(t, os.WriteFile(path, b, 0o644))
		return path
	}
	cert := p.server().Certificates[0]
	key, err := x509.MarshalPKCS8PrivateKey(cert.PrivateKey)
	require.NoError(t, err)
	conf := strings.Replace(brokers.MosquittoConf, "listener 8883", fmt.Sprintf("listener %d 127.0.0.1", port), 1)
	for name, b := range map[string][]byte{
		"ca.pem":        pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: p.ca.Raw}),
		"broker.pem":    pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: cert.Certificate[0]}),
		"broker.key":    pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: key}),
		"mosquitto.acl": []byte(strings.Replace(brokers.MosquittoACL, "user collector-1", "user collector", 1)),
	} {
		conf = strings.Replace(conf, "/etc/mosquitto/roadseal/"+name, write(name, b), 1)
	}
	var log bytes.Buffer
	// Started by root, mosquitto would become a user that cannot read the files.
	cmd := exec.Command(program, "-c", write("conf", []byte("user root\n"+conf)))
	cmd.Stdout, cmd.Stderr = &log, &log
	require.NoError(t, cmd.Start())
	t.Cleanup(func() {
		require.NoError(t, cmd.Process.Kill())
		_ = cmd.Wait() // killed
		if t.Failed() {
			t.Log(log.String())
		}
	})
	address := fmt.Sprintf("127.0.0.1:%d", port)
	waitFor(t, func() bool {
		conn, err := net.Dial("tcp", address)
		if err == nil {
			conn.Close()
		}
		return err == nil
	})
	return address
}

// TestMosquittoAcknowledgesWhatItDrops is why only a receipt counts: a message
// to another vehicle's topic is acknowledged and goes nowhere.
func TestMosquittoAcknowledgesWhatItDrops(t *testing.T) {
	p := newPKI(t)
	address := startMosquitto(t, p)
	all, err := mqttlink.Dial(t.Context(), mqttlink.Options{Address: address, ClientID: "collector", TLS: p.client("collector"), MaxPacket: wire.MaxUp})
	require.NoError(t, err)
	require.NoError(t, all.Subscribe(t.Context(), "v1/up/#"))
	s, err := mqttlink.Dial(t.Context(), mqttlink.Options{Address: address, ClientID: device, TLS: p.client(device)})
	require.NoError(t, err)
	other := "_-_-_-_-_-_-_-_-_-_-_w"
	require.NoError(t, s.Publish(wire.UpTopic(other), []byte("forbidden")))
	require.NoError(t, s.Publish(wire.UpTopic(device), make([]byte, 140_000))) // above its limit
	require.NoError(t, s.Publish(wire.UpTopic(device), []byte("allowed")))
	require.Equal(t, "allowed", string((<-all.Messages()).Payload))
	require.NoError(t, s.Err())
	require.NoError(t, s.Close())
	require.NoError(t, all.Close())
}
