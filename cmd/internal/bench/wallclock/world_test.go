package wallclock

import (
	"bytes"
	"context"
	"crypto/rand"
	"crypto/sha256"
	"crypto/tls"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"roadseal/agent/health"
	"roadseal/agent/track"
	"roadseal/cmd/internal/bench/pki"
	"roadseal/cmd/internal/bench/player"
	"roadseal/cmd/internal/bench/process"
	"roadseal/cmd/internal/broker"
	"roadseal/cmd/internal/trip"
	"roadseal/crypto/mtls"
)

// programs builds agent and collector once.
var programs = sync.OnceValues(func() (string, error) {
	dir, err := os.MkdirTemp("", "roadseal-wallclock-bin-")
	if err != nil {
		return "", err
	}
	build := exec.Command("go", "build", "-buildvcs=false", "-o", dir, "roadseal/cmd/roadseal-agent", "roadseal/cmd/roadseal-collector")
	build.Env = append(os.Environ(), "CGO_ENABLED=0")
	if out, err := build.CombinedOutput(); err != nil {
		return dir, errors.Join(err, errors.New(string(out)))
	}
	return dir, nil
})

func runAndClean(m *testing.M) int {
	code := m.Run()
	if dir, err := programs(); err == nil {
		_ = os.RemoveAll(dir) // of this process alone
	}
	return code
}

// A world is a broker, a collector and a vehicle whose wall clock follows a
// file; all but the vehicle have the true time.
type world struct {
	t         *testing.T
	dir, bin  string
	clock     string // the file
	line      *player.Port
	collector *process.Process
	agent     *process.Process
	keys      trip.Keys
	connects  atomic.Int64 // TLS sessions of the vehicle
	clips     map[string][32]byte
	fixes     int // that the receiver has said
}

const collectorConfig = `
[broker]
address = "%[1]s"
server_name = "%[2]s"
ca = "DIR/ca.pem"
certificate = "DIR/collector.pem"
key = "DIR/collector.key"
[collector]
shards = ["00-ff"]
receipt_key = "DIR/receipt.key"
[store]
path = "DIR/store"
[bench]
enabled = true
`

const agentConfig = `
[device]
certificate = "DIR/device.pem"
key = "DIR/device.key"
state = "DIR/state"
run = "DIR/run"
[gnss]
port = "DIR/gnss"
baud = 115200
[[camera]]
name = "dash"
path = "DIR/recorder"
preset = "blackvue"
rescan = "2s"
[[stream]]
name = "event"
from = ["camera:event"]
to = ["%[3]s"]
class = 1
upload = "always"
priority = 1
[[stream]]
name = "track"
from = ["gnss"]
to = ["%[3]s"]
class = 2
upload = "always"
priority = 2
max_age = "2s"
[[stream]]
name = "video"
from = ["camera:normal", "camera:parking"]
to = ["%[3]s"]
class = 3
upload = "always"
priority = 3
[spool]
max_bytes = "1GiB"
keep_free = "16MiB"
[broker]
address = "%[1]s"
server_name = "%[2]s"
ca = "DIR/ca.pem"
profile = "mosquitto"
[collector]
receipt_keys = ["%[4]s"]
[bench]
enabled = true
`

// newWorld starts all but the agent.
func newWorld(t *testing.T, offset time.Duration) *world {
	w := &world{t: t, clock: newOffset(t, offset), dir: t.TempDir(), clips: map[string][32]byte{}}
	var err error
	w.bin, err = programs()
	require.NoError(t, err)
	for _, sub := range []string{"recorder", "state", "run", "store"} {
		require.NoError(t, os.Mkdir(w.path(sub), 0o700))
	}
	certs, err := pki.Make(w.dir)
	require.NoError(t, err)
	w.line, err = player.OpenPort(w.path("gnss"))
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, w.line.Close()) })

	file, reader, err := trip.NewKey(time.Now())
	require.NoError(t, err)
	require.NoError(t, os.WriteFile(w.path("key.txt"), []byte(file), 0o600))
	w.keys, err = trip.ReadKeys([]string{w.path("key.txt")}, nil, nil)
	require.NoError(t, err)
	receiptKey, err := exec.Command(filepath.Join(w.bin, "roadseal-collector"), "keygen", "-o", w.path("receipt.key")).Output()
	require.NoError(t, err)

	address := w.startBroker(certs)
	for name, text := range map[string]string{"collector.toml": collectorConfig, "agent.toml": agentConfig} {
		text = strings.ReplaceAll(text, "DIR", w.dir)
		args := []any{address, pki.ServerName, reader.String(), strings.TrimSpace(string(receiptKey))}
		if name == "collector.toml" {
			args = args[:2]
		}
		require.NoError(t, os.WriteFile(w.path(name), fmt.Appendf(nil, text, args...), 0o600))
	}
	w.collector = w.launch("collector", filepath.Join(w.bin, "roadseal-collector"), "serve", "--config", w.path("collector.toml"))
	return w
}

func (w *world) path(name string) string { return filepath.Join(w.dir, name) }

// startBroker starts one that counts the vehicle's sessions.
func (w *world) startBroker(certs pki.Files) (address string) {
	conf, err := mtls.Server(mtls.Options{Files: mtls.Files{CA: certs.CA, Certificate: certs.Broker.Certificate, Key: certs.Broker.Key}, Bench: true})
	require.NoError(w.t, err)
	judge := conf.VerifyConnection
	conf.VerifyConnection = func(cs tls.ConnectionState) error {
		if cs.PeerCertificates[0].Subject.CommonName == certs.DeviceID {
			w.connects.Add(1)
		}
		return judge(cs)
	}
	b, err := broker.Start(broker.Options{Address: "127.0.0.1:0", TLS: conf})
	require.NoError(w.t, err)
	w.t.Cleanup(func() { require.NoError(w.t, b.Close()) })
	return b.Address()
}

func (w *world) launch(name string, line ...string) *process.Process {
	p, err := process.Start(process.Program{Name: name, Path: line[0], Args: line[1:], Logs: w.dir})
	require.NoError(w.t, err)
	w.t.Cleanup(func() { _ = p.Kill() }) // if the test has failed
	return p
}

// vehicle is a command line of the agent with the false clock.
func (w *world) vehicle(args ...string) []string {
	return append(append(Command(os.Args[0], w.clock), filepath.Join(w.bin, "roadseal-agent")), args...)
}

// startAgent starts it and waits until it listens to receiver and recorder.
func (w *world) startAgent() {
	w.agent = w.launch("agent", w.vehicle("run", "--config", w.path("agent.toml"))...)
	w.await("the agent is not ready", func() bool {
		s := w.status()
		return s != nil && s.PID == w.agent.PID() && s.GNSS != nil && s.GNSS.Up && len(s.Cameras) > 0 && s.Cameras[0].Present
	})
}

// status is nil if there is none yet.
func (w *world) status() *health.Status {
	s, _ := health.Read(w.path("run"))
	return s
}

// await waits for what happens soon.
func (w *world) await(problem string, done func() bool) {
	w.t.Helper()
	for end := time.Now().Add(2 * limit); !done(); time.Sleep(20 * time.Millisecond) {
		select {
		case <-w.agent.Ended():
			require.NoError(w.t, w.agent.Failure())
		default:
		}
		require.True(w.t, time.Now().Before(end), problem)
	}
}

// say lets the receiver say one fix, a little further north than the one
// before.
func (w *world) say() {
	body := fmt.Sprintf("GPRMC,%s,A,48%s,N,01131.00000,E,1.0,,%s,,,A", time.Now().UTC().Format("150405.000000"), minutes(w.fixes), time.Now().UTC().Format("020106"))
	sum := byte(0)
	for _, c := range []byte(body) {
		sum ^= c
	}
	r := player.Recording{Epochs: []player.Epoch{{Bytes: fmt.Appendf(nil, "$%s*%02X\r\n", body, sum)}}}
	require.NoError(w.t, w.line.Play(w.t.Context(), r, 1, player.Clock{Start: time.Now(), Speed: 1}))
	w.fixes++
}

// minutes is the latitude of a fix, mm.mmmmm.
func minutes(fix int) string { return fmt.Sprintf("%08.5f", 7+float64(fix)/10000) }

// The ways a recorder may finish a clip.
const (
	growing = iota // written where it lies
	moved          // moved there when it is whole, with a time of its own
	dated          // written where it lies, its time set after it was closed
	ways
)

// record writes a clip into the recorder's folder; odd is the time of the file
// if the way sets one.
func (w *world) record(way int, odd time.Time) {
	n := len(w.clips)
	content := make([]byte, 200<<10)
	rand.Read(content)
	name := fmt.Sprintf("20260801_12%02d%02d_%sF.mp4", n/60, n%60, string("NE"[n%2]))
	w.clips[name] = sha256.Sum256(content)
	path := w.path("recorder/" + name)
	if way == moved {
		path = w.path(name)
	}
	require.NoError(w.t, os.WriteFile(path, content, 0o600))
	if way != growing {
		require.NoError(w.t, os.Chtimes(path, odd, odd))
	}
	if way == moved {
		require.NoError(w.t, os.Rename(path, w.path("recorder/"+name)))
	}
}

// A find is what the key holder has found in the store.
type find struct {
	objects int
	clips   map[string][32]byte
	fixes   []string // minutes of latitude and marks, in the order of boot and sequence
}

// open opens everything in the store. A clip that is there twice fails the
// test.
func (w *world) open() (f find) {
	f.clips = map[string][32]byte{}
	var batches []track.Batch
	bad := func(path string, err error) { require.NoError(w.t, err, path) }
	if _, err := os.Stat(w.path("store/pool")); err != nil {
		return f // the collector has not made it yet
	}
	files, _ := trip.Find([]string{w.path("store")}, bad)
	scan := trip.Scan{Keys: w.keys, Fault: bad}
	_, err := scan.Each(context.Background(), files, func(e *trip.Entry) error {
		f.objects++
		var content bytes.Buffer
		if _, err := e.WriteTo(&content); err != nil {
			return err
		}
		if trip.IsTrack(e.Record) {
			b, err := track.Parse(&content)
			batches = append(batches, b)
			return err
		}
		name := e.Record.File.Reveal()
		require.NotContains(w.t, f.clips, name, "twice in the store")
		f.clips[name] = sha256.Sum256(content.Bytes())
		return nil
	})
	require.NoError(w.t, err)
	slices.SortFunc(batches, func(a, b track.Batch) int { return int(a.Sequence) - int(b.Sequence) })
	for _, b := range batches {
		for _, fix := range b.Fixes {
			f.fixes = append(f.fixes, fmt.Sprintf("%08.5f%s", (fix.Lat.Reveal()-48)*60, fix.Marks))
		}
	}
	return f
}

// arrive waits until the store has everything and the vehicle knows it, and
// checks that each is there once. No fix is marked: the receiver's time is true.
func (w *world) arrive() {
	var f find
	w.await("not everything arrives", func() bool {
		f = w.open()
		waiting, err := filepath.Glob(w.path("state/spool/*.age"))
		require.NoError(w.t, err)
		return len(f.clips) >= len(w.clips) && len(f.fixes) >= w.fixes && len(waiting) == 0
	})
	require.Equal(w.t, w.clips, f.clips)
	var said []string
	for i := range w.fixes {
		said = append(said, minutes(i))
	}
	require.Equal(w.t, said, f.fixes)
}

// stop ends the agent and returns its last status and its log without times
// and sorted.
func (w *world) stop() (*health.Status, []string) {
	_, err := w.agent.Stop(limit)
	require.NoError(w.t, err)
	b, err := os.ReadFile(w.path("agent.log"))
	require.NoError(w.t, err)
	var lines []string
	for line := range strings.Lines(string(b)) {
		line = regexp.MustCompile(`^time=\S+ `).ReplaceAllString(line, "")
		lines = append(lines, strings.ReplaceAll(line, w.dir, "DIR"))
	}
	slices.Sort(lines) // of several goroutines
	return w.status(), lines
}
