// Package mosquitto prepares a run of Debian's mosquitto with the configuration
// and the access rules that docs/brokers ships; only addresses, paths and the
// name of the collector are filled in.
//
// Side: black.
package mosquitto

import (
	"context"
	"errors"
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"time"

	"roadseal/docs/brokers"
)

// Find looks for a program of mosquitto where Debian puts it, which is not in
// every user's path.
func Find(program string) (string, error) {
	for _, name := range []string{program, "/usr/sbin/" + program} {
		if path, err := exec.LookPath(name); err == nil {
			return path, nil
		}
	}
	return "", fmt.Errorf("cannot find %s; hint: apt-get install mosquitto mosquitto-clients", program)
}

// Options are what the shipped files leave open.
type Options struct {
	CA, Certificate, Key string // PEM files; the last two are the broker's
	Collector            string // common name
	Rules                string // more access rules; "" = none

	Address string   // to listen on; "" = a free one of this machine
	More    []string // lines of configuration beside
}

// ChaCha20 is a line of configuration that makes the broker prefer this cipher.
// Without it, it takes AES-256-GCM, whatever its clients prefer.
const ChaCha20 = "ciphers_tls1.3 TLS_CHACHA20_POLY1305_SHA256:TLS_AES_128_GCM_SHA256"

// Write writes mosquitto.conf and mosquitto.acl into dir. It returns the path of
// the former, and the address on which a mosquitto started with it listens.
func Write(dir string, o Options) (conf, address string, err error) {
	if address = o.Address; address == "" {
		if address, err = free(); err != nil {
			return "", "", err
		}
	}
	host, port, err := net.SplitHostPort(address)
	if err != nil {
		return "", "", err
	}
	conf, acl := filepath.Join(dir, "mosquitto.conf"), filepath.Join(dir, "mosquitto.acl")
	text := brokers.MosquittoConf
	for key, value := range map[string]string{"listener": port + " " + host, "cafile": o.CA, "certfile": o.Certificate, "keyfile": o.Key, "acl_file": acl} {
		if text, err = set(text, key, value); err != nil {
			return "", "", err
		}
	}
	if os.Geteuid() == 0 {
		text += "user root\n" // it would become one that cannot read the files
	}
	for _, line := range o.More {
		text += line + "\n"
	}
	rules, err := set(brokers.MosquittoACL, "user", o.Collector)
	if err != nil {
		return "", "", err
	}
	return conf, address, errors.Join(os.WriteFile(conf, []byte(text), 0o600), os.WriteFile(acl, []byte(rules+o.Rules), 0o600))
}

// free returns a loopback address on which nobody listens.
func free() (string, error) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return "", err
	}
	return l.Addr().String(), l.Close()
}

// set changes the value of the only line that begins with a key.
func set(text, key, value string) (string, error) {
	lines, found := strings.Split(text, "\n"), 0
	for i, line := range lines {
		if strings.HasPrefix(line, key+" ") {
			lines[i], found = key+" "+value, found+1
		}
	}
	if found != 1 {
		return "", fmt.Errorf("the shipped configuration of mosquitto has %d lines %q, expected one", found, key)
	}
	return strings.Join(lines, "\n"), nil
}

// Await waits until somebody listens at an address. It reports false if ctx or
// the process ends before.
func Await(ctx context.Context, address string, ended <-chan struct{}) bool {
	return AwaitDial(ctx, func() (net.Conn, error) { return net.Dial("tcp", address) }, ended)
}

// AwaitDial is Await for an address that only dial reaches.
func AwaitDial(ctx context.Context, dial func() (net.Conn, error), ended <-chan struct{}) bool {
	for {
		c, err := dial()
		if err == nil {
			return c.Close() == nil
		}
		select {
		case <-time.After(20 * time.Millisecond):
		case <-ended:
			return false
		case <-ctx.Done():
			return false
		}
	}
}
