package soak

import (
	"context"
	"errors"
	"fmt"
	"net"
	"os"
	"os/exec"
	"strings"
	"time"

	"roadseal/cmd/internal/bench/pki"
)

// mosquittoConf is what agent/wire/PROTOCOL.md demands of mosquitto.
const mosquittoConf = `listener %d 127.0.0.1
cafile %s
certfile %s
keyfile %s
require_certificate true
use_identity_as_username true
use_username_as_clientid true
tls_version tlsv1.3
allow_anonymous false
acl_file %s
persistence false
set_tcp_nodelay true
max_inflight_messages 100
max_queued_messages 10000
message_size_limit 135168
`

const mosquittoACL = `user ` + pki.CollectorName + `
topic read v1/up/#
topic write v1/down/#

pattern write v1/up/+/%u
pattern read v1/down/%u
`

// findMosquitto looks where Debian puts it, which is not in every user's path.
func findMosquitto() (string, error) {
	for _, name := range []string{"mosquitto", "/usr/sbin/mosquitto"} {
		if path, err := exec.LookPath(name); err == nil {
			return path, nil
		}
	}
	return "", errors.New("cannot find mosquitto; hint: apt-get install mosquitto")
}

// startMosquitto starts it and waits until it listens.
func (h *hub) startMosquitto(ctx context.Context) error {
	program, err := findMosquitto()
	if err != nil {
		return err
	}
	conf := h.w.path("work/mosquitto.conf")
	if h.broker == "" {
		if h.broker, err = h.writeMosquitto(conf); err != nil {
			return err
		}
	}
	if err := h.launch(brokerName, program, "-c", conf); err != nil {
		return err
	}
	for {
		c, err := net.Dial("tcp", h.broker)
		if err == nil {
			return c.Close()
		}
		select {
		case <-time.After(20 * time.Millisecond):
		case <-h.running[brokerName].Ended():
			return h.running[brokerName].Failure()
		case <-ctx.Done():
			return ctx.Err()
		}
	}
}

// writeMosquitto writes its files and returns the address that it will have.
func (h *hub) writeMosquitto(conf string) (address string, err error) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return "", err
	}
	port := l.Addr().(*net.TCPAddr).Port
	if err := l.Close(); err != nil {
		return "", err
	}
	c, acl := h.w.certs, h.w.path("work/mosquitto.acl")
	var text strings.Builder
	if os.Geteuid() == 0 {
		fmt.Fprintln(&text, "user root") // it would become one that cannot read the files
	}
	fmt.Fprintf(&text, mosquittoConf, port, c.CA, c.Broker.Certificate, c.Broker.Key, acl)
	return fmt.Sprintf("127.0.0.1:%d", port), errors.Join(
		os.WriteFile(acl, []byte(mosquittoACL), 0o600), os.WriteFile(conf, []byte(text.String()), 0o600))
}
