package main

import (
	"bytes"
	"context"
	"crypto/sha256"
	"crypto/x509"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"log"
	"log/slog"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"roadseal/agent"
	"roadseal/agent/config"
	"roadseal/agent/health"
	"roadseal/agent/mqttlink"
	"roadseal/agent/wire"
	"roadseal/cmd/internal/broker"
	"roadseal/cmd/internal/broker/brokertest"
	"roadseal/cmd/internal/collector"
	"roadseal/cmd/internal/mirror"
	"roadseal/cmd/internal/objstore"
	"roadseal/crypto/envelope"
	"roadseal/crypto/mtls"
	"roadseal/crypto/open"
	"roadseal/crypto/signed"
	"roadseal/crypto/signed/sign"
	"roadseal/firmware/report"
	"roadseal/hal/durable"
)

// A fleet is broker, collector, release desk and key holder of some vehicles.
type fleet struct {
	t            *testing.T
	ca           *brokertest.CA
	broker       *broker.Broker
	key          collector.Key
	store, repo  string
	images       sign.Ed25519
	desk, holder open.Identity

	mu   sync.Mutex
	asks map[string]int // over MQTT, by device
}

func newFleet(t *testing.T) *fleet {
	f := &fleet{t: t, ca: brokertest.NewCA(t), store: t.TempDir(), repo: t.TempDir(), asks: map[string]int{}}
	var err error
	for _, id := range []*open.Identity{&f.desk, &f.holder} {
		*id, err = open.Generate()
		require.NoError(t, err)
	}
	f.key, err = collector.GenerateKey()
	require.NoError(t, err)
	f.broker = f.ca.Broker("127.0.0.1:0", f.heard)
	t.Cleanup(func() { require.NoError(t, f.broker.Close()) })
	f.images = f.signer()
	f.publish("image", signed.Fleet, f.images, map[string]sign.Target{"unit/2.img": {Data: release, Custom: map[string]any{"hardwareIds": []string{"board-3"}, "releaseCounter": 2, "rxswin": []string{"R79 1.2"}}}})
	f.collect()
	return f
}

var release = []byte("release 2")

func (f *fleet) heard(topic string, payload []byte) {
	m, err := wire.Parse(payload)
	if _, device, ok := wire.DeviceOf(topic); err == nil && ok {
		if _, ok := m.(wire.Ask); ok {
			f.mu.Lock()
			defer f.mu.Unlock()
			f.asks[device]++
		}
	}
}

func (f *fleet) asked(device string) int {
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.asks[device]
}

func (f *fleet) signer() sign.Ed25519 {
	s, _, err := sign.Generate()
	require.NoError(f.t, err)
	return s
}

// rootOf is the first root of a repository.
func rootOf(t *testing.T) []byte {
	s, _, err := sign.Generate()
	require.NoError(t, err)
	role := sign.Role{Keys: []sign.Key{s.Key()}, Threshold: 1}
	d := sign.Root{Header: sign.Header{Version: 1, Expires: time.Now().UTC().Add(time.Hour).Truncate(time.Second), Audience: signed.Fleet},
		Roles: map[string]sign.Role{signed.Root: role, signed.Timestamp: role, signed.Snapshot: role, signed.Targets: role}}.Document()
	require.NoError(t, d.Sign(s))
	return d.Bytes()
}

// publish writes a repository in which one key has all roles.
func (f *fleet) publish(dir, audience string, key sign.Ed25519, files map[string]sign.Target) {
	head := sign.Header{Version: 1, Issued: time.Now().UTC().Add(-time.Hour).Truncate(time.Second), Expires: time.Now().UTC().Add(12 * time.Hour).Truncate(time.Second), Audience: audience}
	role := sign.Role{Keys: []sign.Key{key.Key()}, Threshold: 1}
	root := sign.Root{Header: head, Roles: map[string]sign.Role{}}
	for _, name := range []string{signed.Root, signed.Timestamp, signed.Snapshot, signed.Targets} {
		root.Roles[name] = role
	}
	put := func(name string, d *sign.Document) []byte {
		require.NoError(f.t, d.Sign(key))
		path := filepath.Join(f.repo, dir, name)
		require.NoError(f.t, os.MkdirAll(filepath.Dir(path), 0o700))
		require.NoError(f.t, os.WriteFile(path, d.Bytes(), 0o600))
		return d.Bytes()
	}
	put("1.root.json", root.Document())
	targets, err := sign.Targets{Header: head, Files: files}.Document()
	require.NoError(f.t, err)
	list := put("1.targets.json", targets)
	snapshot := put("1.snapshot.json", sign.Snapshot{Header: head, Files: map[string]sign.File{"targets": {Version: 1, Data: list}}}.Document())
	put("timestamp.json", sign.Timestamp{Header: head, Snapshot: snapshot, SnapshotVersion: 1}.Document())
}

// order has the Director order the release for a device, for a kind of board.
func (f *fleet) order(device, hardware string) {
	f.publish("director/"+device, device, f.signer(), map[string]sign.Target{"unit/2.img": {Data: release, Custom: map[string]any{
		"ecuIdentifiers": map[string]any{"telematics": map[string]any{"hardwareId": hardware, "releaseCounter": 2}}, "campaign": "autumn"}}})
}

// collect runs a collector until the test ends.
func (f *fleet) collect() {
	disk, err := durable.OpenDisk(f.store)
	require.NoError(f.t, err)
	folder, err := objstore.NewFolder(disk, objstore.Limits{Count: 100, Bytes: 1 << 30, Age: time.Hour})
	require.NoError(f.t, err)
	shards, err := collector.ParseShards([]string{"00-ff"})
	require.NoError(f.t, err)
	c := collector.New(collector.Options{
		Dial: collector.Dial(mqttlink.Options{Address: f.broker.Address(), ClientID: "collector", TLS: f.ca.Client("collector"), MaxPacket: wire.MaxUp,
			Persistent: true, ManualAck: true, Queue: 1024}, shards),
		Store: folder, Key: f.key, StoreID: f.key.StoreID(), Shards: shards, Slots: envelope.DefaultSlots, Quota: collector.DefaultQuota(),
		Repository: mirror.New(f.repo), Log: slog.New(slog.DiscardHandler),
	})
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan error)
	go func() { done <- c.Run(ctx) }()
	f.t.Cleanup(func() {
		cancel()
		require.ErrorIs(f.t, <-done, context.Canceled)
		require.NoError(f.t, folder.Close())
	})
}

// serve serves the repositories by HTTPS and returns their address.
func (f *fleet) serve() string { return f.serveAs(f.ca, http.FileServer(http.Dir(f.repo))) + "/repo" }

// serveAs serves anything with a certificate by a CA.
func (f *fleet) serveAs(ca *brokertest.CA, handler http.Handler) string {
	conf, err := mtls.Server(mtls.Options{Files: ca.Files("localhost")})
	require.NoError(f.t, err)
	l, err := net.Listen("tcp", "127.0.0.1:0")
	require.NoError(f.t, err)
	s := &http.Server{Handler: http.StripPrefix("/repo", handler), TLSConfig: conf, ReadHeaderTimeout: time.Minute, ErrorLog: log.New(io.Discard, "", 0)}
	done := make(chan error)
	go func() { done <- s.ServeTLS(l, "", "") }()
	f.t.Cleanup(func() {
		require.NoError(f.t, s.Close())
		require.ErrorIs(f.t, <-done, http.ErrServerClosed)
	})
	_, port, err := net.SplitHostPort(l.Addr().String())
	require.NoError(f.t, err)
	return "https://localhost:" + port
}

const vehicleConfig = `
[device]
certificate = "%[1]s"
key = "%[2]s"
state = "state"
run = "run"
[[camera]]
name = "dash"
path = "record"
preset = "blackvue"
[[stream]]
name = "event"
from = ["camera:event"]
to = ["%[3]s"]
class = 1
[[stream]]
name = "health"
from = ["health"]
to = ["%[3]s"]
class = 3
[spool]
keep_free = "1MB"
[broker]
address = "%[4]s"
server_name = "localhost"
ca = "%[5]s"
[collector]
receipt_keys = ["%[6]s"]
`

const firmwareConfig = `
[[stream]]
name = "firmware"
from = ["firmware"]
to = ["%[1]s"]
class = 2
[firmware]
hardware = "board-3"
ecu = "telematics"
director_root = "%[2]s/director/%[3]s/1.root.json"
image_root = "%[2]s/image/1.root.json"
every = "1m"
%[4]s
`

// vehicle makes the files of a vehicle and returns its directory and
// configuration.
func (f *fleet) vehicle(device, more string) (dir string, c *config.Config) {
	dir = f.t.TempDir()
	files := f.ca.Files(device)
	text := fmt.Sprintf(vehicleConfig, files.Certificate, files.Key, f.holder.Recipient(), f.broker.Address(), files.CA, f.key.Public()) + more
	for _, sub := range []string{"record", "state", "state/firmware"} {
		require.NoError(f.t, os.Mkdir(filepath.Join(dir, sub), 0o700))
	}
	sum := sha256.Sum256([]byte("release 1"))
	installed, err := report.Marshal(&report.Image{Path: "unit/1.img", Length: 9, Counter: 1, RXSWIN: []string{}, SHA256: hex.EncodeToString(sum[:])})
	require.NoError(f.t, err)
	require.NoError(f.t, os.WriteFile(filepath.Join(dir, "state/firmware/installed"), append(installed, '\n'), 0o600))
	c, err = config.Parse(filepath.Join(dir, "agent.toml"), []byte(text))
	require.NoError(f.t, err)
	return dir, c
}

// start runs a vehicle until the test ends and returns its run directory.
func (f *fleet) start(device, more string) string {
	dir, c := f.vehicle(device, more)
	day := time.Now().UTC().AddDate(0, 0, -1)
	for _, found := range agent.Check(f.t.Context(), agent.CheckOptions{Config: c, Build: day, Offline: true}) {
		require.NotEqual(f.t, agent.Bad, found.Level, found)
	}
	a, err := agent.New(agent.Options{Config: c, Version: "test", Build: day, Log: slog.New(slog.DiscardHandler)})
	require.NoError(f.t, err)
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan error, 1)
	go func() { done <- a.Run(ctx) }()
	f.t.Cleanup(func() {
		cancel()
		require.NoError(f.t, errors.Join(<-done, a.Close()))
	})
	return filepath.Join(dir, "run")
}

func (f *fleet) until(what string, cond func() bool) {
	f.t.Helper()
	require.Eventually(f.t, cond, 3*time.Minute, 100*time.Millisecond, what)
}

// reports are the reports of a device in the store that the desk can open and
// verify.
func (f *fleet) reports(device string) (all []*report.Report) {
	cas := x509.NewCertPool()
	pem, err := os.ReadFile(f.ca.Files("desk").CA)
	require.NoError(f.t, err)
	require.True(f.t, cas.AppendCertsFromPEM(pem))
	require.NoError(f.t, filepath.WalkDir(filepath.Join(f.store, "pool"), func(path string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() {
			return err
		}
		data, err := os.ReadFile(path)
		require.NoError(f.t, err)
		o, err := open.New(bytes.NewReader(data), int64(len(data)), f.desk)
		if errors.Is(err, open.ErrNotRecipient) {
			return nil
		}
		require.NoError(f.t, err)
		require.Equal(f.t, "firmware", o.Record.Source)
		require.Equal(f.t, "text/json", o.Record.MediaType)
		_, err = open.New(bytes.NewReader(data), int64(len(data)), f.holder)
		require.ErrorIs(f.t, err, open.ErrNotRecipient, "it is for the release desk alone")
		var content bytes.Buffer
		_, err = o.WriteTo(&content)
		require.NoError(f.t, err)
		r, err := report.Verify(content.Bytes(), cas, time.Time{})
		require.NoError(f.t, err)
		if r.Device == device {
			all = append(all, r)
		}
		return nil
	}))
	return all
}

// TestUpdatesAreVerifiedAndReported: four vehicles with one collector. The first
// look of each comes within a second.
func TestUpdatesAreVerifiedAndReported(t *testing.T) {
	f := newFleet(t)
	good, attacked, https, without := brokertest.Device(t), brokertest.Device(t), brokertest.Device(t), brokertest.Device(t)
	f.order(good, "board-3")
	f.order(attacked, "board-4")
	f.order(https, "board-3")
	run := map[string]string{}
	for _, device := range []string{good, attacked} {
		run[device] = f.start(device, fmt.Sprintf(firmwareConfig, f.desk.Recipient(), f.repo, device, ""))
	}
	run[https] = f.start(https, fmt.Sprintf(firmwareConfig, f.desk.Recipient(), f.repo, https, `url = "`+f.serve()+`"`))
	run[without] = f.start(without, "")
	for _, device := range []string{good, attacked, https} {
		f.until("a report is delivered", func() bool { return len(f.reports(device)) > 0 })
	}
	for _, device := range []string{good, https} {
		r := f.reports(device)[0]
		require.Equal(t, report.Verified, r.Attempt.Result, r.Attempt.Error)
		require.Equal(t, "unit/2.img", r.Attempt.Offered.Path)
		require.Equal(t, []string{"R79 1.2"}, r.Attempt.Offered.RXSWIN)
		require.Equal(t, "unit/1.img", r.Installed[0].Image.Path)
		require.Equal(t, report.Signed, r.Confidence, "the metadata says when it was issued")
		require.WithinDuration(t, time.Now(), r.Time, 2*time.Hour)
		require.FileExists(t, filepath.Join(run[device], "../state/firmware/verified"))
	}
	r := f.reports(attacked)[0]
	require.Equal(t, report.Refused, r.Attempt.Result)
	require.Equal(t, "wrong hardware", r.Attempt.Attack)
	require.Nil(t, r.Attempt.Offered)
	require.NoFileExists(t, filepath.Join(run[attacked], "../state/firmware/verified"))
	require.Positive(t, f.asked(good))
	require.Zero(t, f.asked(https))
	require.Zero(t, f.asked(without))

	f.until("the vehicle without [firmware] is connected", func() bool { return f.status(run[without]).Uplink.Connected })
	require.Nil(t, f.status(run[without]).Firmware)
	f.said(run[good], `firmware +verified, .*; installed unit/1.img \(release counter 1\); offered unit/2.img \(release counter 2\); roots director 1, image 1; report 1 sealed`)
	f.said(run[attacked], `problem +firmware: refused: wrong hardware: director targets: `)
}

// TestCheckTriesTheServer of [firmware] url, and says what is wrong there.
func TestCheckTriesTheServer(t *testing.T) {
	f := newFleet(t)
	device := brokertest.Device(t)
	f.order(device, "board-3")
	f.publish("director", signed.Fleet, f.signer(), nil)
	good := f.serve()
	for url, want := range map[string]string{
		good:                     "^ok firmware url: the server takes this device's certificate and has both repositories$",
		good + "/elsewhere":      `^BAD firmware url: .*director/1\.root\.json: file does not exist; hint: url is that of the folder in which the folders director and image lie$`,
		"https://localhost:9":    "^BAD firmware url: .*connection refused$",
		"https://127.0.0.1:9/x/": "^BAD firmware url: .*connection refused$",
		f.serveAs(brokertest.NewCA(t), http.NotFoundHandler()):                                                                            "^BAD firmware url: .*the server's certificate is not from the CA in .*ca.pem",
		f.serveAs(f.ca, http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(http.StatusForbidden) })) + "/repo": "^BAD firmware url: .*status 403",
	} {
		_, c := f.vehicle(device, fmt.Sprintf(firmwareConfig, f.desk.Recipient(), f.repo, device, `url = "`+url+`"`))
		for _, offline := range []bool{false, true} {
			said := ""
			for _, found := range agent.Check(t.Context(), agent.CheckOptions{Config: c, Build: time.Now().AddDate(0, 0, -1), Offline: offline}) {
				if found.Subject == "firmware url" {
					said += found.Level + " " + found.Subject + ": " + found.Text
				}
			}
			if offline {
				require.Empty(t, said)
			} else {
				require.Regexp(t, want, said)
			}
		}
	}
}

func (f *fleet) status(run string) *health.Status {
	s, err := health.Read(run)
	require.NoError(f.t, err)
	return s
}

// said waits for a line of the status.
func (f *fleet) said(run, line string) {
	f.t.Helper()
	var text strings.Builder
	f.until(line, func() bool {
		text.Reset()
		require.NoError(f.t, f.status(run).Text(&text, time.Now()))
		return f.status(run).Firmware.Attempt != nil
	})
	require.Regexp(f.t, line, text.String())
}
