package agent_test

import (
	"bytes"
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"math/big"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/creack/pty"
	"github.com/stretchr/testify/require"
	"go.uber.org/goleak"

	"roadseal/agent"
	"roadseal/agent/config"
	"roadseal/agent/health"
	"roadseal/agent/spool"
	"roadseal/agent/track"
	"roadseal/crypto/open"
	"roadseal/hal/durable"
)

var build = time.Date(2026, 11, 1, 0, 0, 0, 0, time.UTC)

// A unit is a vehicle's directories with a pty for a receiver and no broker.
type unit struct {
	t   *testing.T
	dir string
	id  open.Identity
	gps *os.File // the receiver's end
	log logbook
}

// A logbook is a log that may be read while it is written.
type logbook struct {
	mu  sync.Mutex
	buf bytes.Buffer
}

func (l *logbook) Write(p []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.buf.Write(p)
}

func (l *logbook) String() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.buf.String()
}

func newUnit(t *testing.T) *unit {
	t.Helper()
	u := &unit{t: t, dir: t.TempDir()}
	var err error
	u.id, err = open.Generate()
	require.NoError(t, err)
	gps, tty, err := pty.Open()
	require.NoError(t, err)
	u.gps = gps
	t.Cleanup(func() {
		if u.gps != nil {
			require.NoError(t, gps.Close())
		}
		require.NoError(t, tty.Close())
	})
	require.NoError(t, os.Symlink(tty.Name(), filepath.Join(u.dir, "gps0")))
	require.NoError(t, os.Mkdir(filepath.Join(u.dir, "record"), 0o700))
	u.certificate()
	u.write("agent.toml", fmt.Sprintf(`
[device]
certificate = "device.pem"
key = "device.key"
state = "state"
run = "run"
[vehicle]
number = "WDB-QX4711"
holdup = "3s"
[gnss]
port = "gps0"
[[camera]]
name = "dash"
path = "record"
preset = "blackvue"
[[stream]]
name = "event"
from = ["camera:event"]
to = ["%[1]s"]
class = 1
[[stream]]
name = "rest"
from = ["gnss", "camera:normal"]
to = ["%[1]s"]
class = 2
max_age = "1h"
[spool]
keep_free = "1MB"
[broker]
address = "127.0.0.1:1"
ca = "ca.pem"
[collector]
receipt_keys = ["ed25519:AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA="]
`, u.id.Recipient()))
	return u
}

func (u *unit) write(name, content string) {
	u.t.Helper()
	require.NoError(u.t, os.WriteFile(filepath.Join(u.dir, name), []byte(content), 0o600))
}

// configure replaces parts of the configuration: old, new, old, new.
func (u *unit) configure(parts ...string) {
	u.t.Helper()
	text, err := os.ReadFile(filepath.Join(u.dir, "agent.toml"))
	require.NoError(u.t, err)
	u.write("agent.toml", strings.NewReplacer(parts...).Replace(string(text)))
}

// certificate writes the device's and the CA that it is from.
func (u *unit) certificate() {
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	require.NoError(u.t, err)
	ca := &x509.Certificate{SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: "CA"}, NotBefore: build,
		NotAfter: build.AddDate(10, 0, 0), KeyUsage: x509.KeyUsageCertSign, BasicConstraintsValid: true, IsCA: true}
	leaf := &x509.Certificate{SerialNumber: big.NewInt(2), Subject: pkix.Name{CommonName: "AAAAAAAAAAAAAAAAAAAAAA"},
		NotBefore: build, NotAfter: build.AddDate(10, 0, 0), KeyUsage: x509.KeyUsageDigitalSignature}
	for name, c := range map[string]*x509.Certificate{"ca.pem": ca, "device.pem": leaf} {
		der, err := x509.CreateCertificate(rand.Reader, c, ca, &key.PublicKey, key)
		require.NoError(u.t, err)
		u.write(name, string(pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der})))
	}
	sec, err := x509.MarshalPKCS8PrivateKey(key)
	require.NoError(u.t, err)
	u.write("device.key", string(pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: sec})))
}

// start runs an agent; stop ends it, if it has not ended by itself, and
// returns what Run returned.
func (u *unit) start() (a *agent.Agent, stop func() error) {
	u.t.Helper()
	c, err := config.Load(filepath.Join(u.dir, "agent.toml"))
	require.NoError(u.t, err)
	require.NoError(u.t, os.RemoveAll(filepath.Join(u.dir, "run")))
	a, err = agent.New(agent.Options{Config: c, Version: "test", Build: build, Log: slog.New(slog.NewTextHandler(&u.log, nil))})
	require.NoError(u.t, err)
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan error, 1)
	go func() { done <- a.Run(ctx) }()
	end := sync.OnceValue(func() error {
		cancel()
		return errors.Join(<-done, a.Close())
	})
	u.t.Cleanup(func() { require.NoError(u.t, end()) })
	u.until("the port is open", func(s *health.Status) bool { return s.GNSS.Up })
	return a, end
}

func (u *unit) until(what string, cond func(*health.Status) bool) {
	u.t.Helper()
	require.Eventually(u.t, func() bool {
		s, err := health.Read(filepath.Join(u.dir, "run"))
		return err == nil && cond(s)
	}, 30*time.Second, 20*time.Millisecond, what)
}

// drive sends n fixes, one a second of drive time.
func (u *unit) drive(n int) {
	u.t.Helper()
	for i := range n {
		body := fmt.Sprintf("GPRMC,1203%02d.00,A,4807.%04d,N,01131.0000,E,022.4,084.4,230326,,,A", i%60, i)
		sum := byte(0)
		for _, c := range []byte(body) {
			sum ^= c
		}
		_, err := fmt.Fprintf(u.gps, "$%s*%02X\r\n", body, sum)
		require.NoError(u.t, err)
	}
}

// sealed opens all objects of the spool and returns contents by stream.
func (u *unit) sealed() map[string][]string {
	u.t.Helper()
	d, err := durable.OpenExisting(filepath.Join(u.dir, "state", agent.SpoolDir))
	require.NoError(u.t, err)
	defer d.Close()
	s, err := spool.Open(d, spool.Options{Slots: 4, Order: func(string) (int, bool) { return 1, true }})
	require.NoError(u.t, err)
	all := map[string][]string{}
	for e := range s.Pending() {
		f, err := s.Open(e)
		require.NoError(u.t, err)
		o, err := open.New(f, e.Size, u.id)
		require.NoError(u.t, err)
		var b bytes.Buffer
		_, err = o.WriteTo(&b)
		require.NoError(u.t, err)
		require.NoError(u.t, f.Close())
		require.Equal(u.t, "WDB-QX4711", o.Record.Vehicle.Reveal())
		all[o.Record.Source] = append(all[o.Record.Source], b.String())
	}
	return all
}

func TestACleanStopMakesTheOpenBatchDurable(t *testing.T) {
	defer goleak.VerifyNone(t)
	u := newUnit(t)
	_, stop := u.start()
	u.drive(50)
	u.until("fixes came in", func(s *health.Status) bool { return s.GNSS.InMemory >= 49 })
	require.NoError(t, stop())
	docs := u.sealed()["gnss"]
	require.Len(t, docs, 1)
	b, err := track.Parse(strings.NewReader(docs[0]))
	require.NoError(t, err)
	require.Len(t, b.Fixes, 50, "the last epoch too")
	require.EqualValues(t, 1, b.Boot)
}

func TestPowerFailureSealsFixesAndEventClips(t *testing.T) {
	u := newUnit(t)
	a, stop := u.start()
	u.drive(20)
	u.until("fixes came in", func(s *health.Status) bool { return s.GNSS.InMemory >= 19 })
	u.write("record/20261124_053100_EF.mp4", "crash")
	a.PowerFail()
	require.Eventually(t, func() bool {
		return strings.Contains(u.log.String(), "power is failing")
	}, 10*time.Second, 10*time.Millisecond)
	require.Eventually(t, func() bool { return len(u.sealedNames()) >= 2 }, 10*time.Second, 10*time.Millisecond)
	require.NoError(t, stop())
	got := u.sealed()
	require.Equal(t, []string{"crash"}, got["camera dash"])
	require.Len(t, got["gnss"], 1)
}

func (u *unit) sealedNames() []string {
	names, err := filepath.Glob(filepath.Join(u.dir, "state", agent.SpoolDir, "*.age"))
	require.NoError(u.t, err)
	return names
}

var stamps = regexp.MustCompile(`\d{4}-\d\d-\d\dT[\d:.]+(Z|[+-]\d\d:\d\d)?`)

// timeless is a text without its times, whose digits may look like a position.
func timeless(s string) string { return stamps.ReplaceAllString(s, "TIME") }

// TestNothingPrivateInLogAndStatus drives, seals and looks for what was driven.
func TestNothingPrivateInLogAndStatus(t *testing.T) {
	u := newUnit(t)
	_, stop := u.start()
	u.write("record/20261124_053000_NF.mp4", "private clip")
	u.drive(30)
	u.until("sealed", func(s *health.Status) bool { return s.Cameras[0].Sealed == 1 && s.GNSS.InMemory >= 29 })
	require.NoError(t, stop())
	status, err := os.ReadFile(filepath.Join(u.dir, "run", health.FileName))
	require.NoError(t, err)
	for _, out := range []string{timeless(u.log.String()), timeless(string(status))} {
		for _, secret := range []string{"4807.", "48.1", "11.5", "01131", "QX4711", "20261124_0530", "private clip", "AGE-SECRET"} {
			require.NotContains(t, out, secret)
		}
	}
	require.Less(t, strings.Count(u.log.String(), "\n"), 10, "a healthy start and stop say little")
}

func TestStateFiles(t *testing.T) {
	u := newUnit(t)
	_, stop := u.start()
	require.NoError(t, stop())
	state := filepath.Join(u.dir, "state")
	boot, err := os.ReadFile(filepath.Join(state, "boot"))
	require.NoError(t, err)
	require.Equal(t, "1 7d1d6f4e\n\n1 7d1d6f4e\n", string(boot))
	for _, name := range []string{"boot", "tag.key"} {
		st, err := os.Stat(filepath.Join(state, name))
		require.NoError(t, err)
		require.Equal(t, fs.FileMode(0o600), st.Mode().Perm())
	}
	key, err := os.ReadFile(filepath.Join(state, "tag.key"))
	require.NoError(t, err)

	// A damaged trusted time costs nothing; the key of the tags stays.
	require.NoError(t, os.WriteFile(filepath.Join(state, "time"), []byte("garbage"), 0o600))
	_, stop = u.start()
	u.until("started", func(s *health.Status) bool { return s.Boot == 2 && s.Certificate.Floor.Equal(build) })
	require.NoError(t, stop())
	again, err := os.ReadFile(filepath.Join(state, "tag.key"))
	require.NoError(t, err)
	require.Equal(t, key, again)

	// A damaged boot counter goes on from the names in the spool, and says so.
	require.NoError(t, os.WriteFile(filepath.Join(state, "boot"), []byte("x"), 0o600))
	require.NoError(t, os.WriteFile(filepath.Join(state, agent.SpoolDir, "2.00000007.00000001.rest."+strings.Repeat("0", 32)+".1000."+strings.Repeat("a", 64)+".age"), nil, 0o600))
	_, stop = u.start()
	u.until("started", func(s *health.Status) bool {
		return s.Boot == 8 && strings.Contains(strings.Join(s.Problems, ";"), "the boot counter was damaged")
	})
	require.NoError(t, stop())
}

func TestAnUnfitCertificateStartsNothing(t *testing.T) {
	u := newUnit(t)
	require.NoError(t, os.Remove(filepath.Join(u.dir, "device.key")))
	c, err := config.Load(filepath.Join(u.dir, "agent.toml"))
	require.NoError(t, err)
	_, err = agent.New(agent.Options{Config: c, Build: build, Log: slog.New(slog.DiscardHandler)})
	require.ErrorContains(t, err, "device.key")
	require.NoDirExists(t, filepath.Join(u.dir, "state"))
	require.NoDirExists(t, filepath.Join(u.dir, "run"))
}
