package main

import (
	"crypto/sha256"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"roadseal/agent/mqttlink"
	"roadseal/agent/wire"
	"roadseal/cmd/internal/broker/brokertest"
	"roadseal/cmd/internal/cli"
	"roadseal/cmd/internal/objstore/objstoretest"
	"roadseal/crypto/envelope"
)

const scenarioConfig = `
[broker]
address = "%s"
server_name = "localhost"
ca = "%s"
certificate = "%s"
key = "%s"
[collector]
shards = ["00-ff"]
receipt_key = "receipt.key"
status = "status.json"
[store]
path = "store"
`

// A scenario is a broker, a vehicle with one object, and a folder in which the
// collector runs as a process of its own.
type scenario struct {
	t      *testing.T
	dir    string
	key    wire.PublicKey
	link   *mqttlink.Session
	device string

	object    []byte
	name      envelope.Name
	size      int64
	class     uint8
	confirmed wire.Bitmap
	under     map[int]bool // blocks under way
	sent      int
}

func newScenario(t *testing.T, plain int64) *scenario {
	s := &scenario{t: t, dir: t.TempDir(), device: brokertest.Device(t), under: map[int]bool{}}
	ca := brokertest.NewCA(t)
	b := ca.Broker("127.0.0.1:0", nil)
	t.Cleanup(func() { require.NoError(t, b.Close()) })
	files := ca.Files("collector")
	require.NoError(t, os.WriteFile(filepath.Join(s.dir, "collector.toml"),
		fmt.Appendf(nil, scenarioConfig, b.Address(), files.CA, files.Certificate, files.Key), 0o600))
	keygen := exec.Command("roadseal-collector", "keygen", "-o", "receipt.key")
	keygen.Dir = s.dir
	line, err := keygen.Output()
	require.NoError(t, err)
	s.key, err = wire.ParsePublicKey(strings.TrimSpace(string(line)))
	require.NoError(t, err)
	s.link, err = mqttlink.Dial(t.Context(), mqttlink.Options{Address: b.Address(), ClientID: s.device, TLS: ca.Client(s.device), Queue: 1024})
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, s.link.Close()) })
	require.NoError(t, s.link.Subscribe(t.Context(), wire.DownTopic(s.device)))
	s.object, s.name = objstoretest.Sealed(1, 4, envelope.Padme(plain))
	s.size, s.class = int64(len(s.object)), 2
	s.confirmed = wire.NewBitmap(s.size)
	return s
}

// start starts the collector.
func (s *scenario) start() *exec.Cmd {
	s.t.Helper()
	log, err := os.OpenFile(filepath.Join(s.dir, "log"), os.O_CREATE|os.O_APPEND|os.O_WRONLY, 0o600)
	require.NoError(s.t, err)
	defer log.Close()
	cmd := exec.Command("roadseal-collector", "serve", "-c", "collector.toml")
	cmd.Dir, cmd.Stderr = s.dir, log
	require.NoError(s.t, cmd.Start())
	s.t.Cleanup(func() { _ = cmd.Process.Kill() }) // if the test has failed
	return cmd
}

// stop ends the collector with SIGTERM and checks its exit status.
func (s *scenario) stop(cmd *exec.Cmd, status int) {
	s.t.Helper()
	require.NoError(s.t, cmd.Process.Signal(syscall.SIGTERM))
	_ = cmd.Wait() // the status is looked at
	require.Equal(s.t, status, cmd.ProcessState.ExitCode())
}

func (s *scenario) send(m wire.Message) {
	s.t.Helper()
	raw, err := m.MarshalBinary()
	require.NoError(s.t, err)
	require.NoError(s.t, s.link.Publish(wire.UpTopic(s.device), raw))
}

func (s *scenario) offer() {
	s.t.Helper()
	clear(s.under)
	s.send(wire.Offer{Object: s.name, Size: s.size, Class: s.class})
}

// receive offers again until something comes, as a vehicle does.
func (s *scenario) receive() wire.Message {
	s.t.Helper()
	for range 15 {
		select {
		case m := <-s.link.Messages():
			msg, err := wire.Parse(m.Payload)
			require.NoError(s.t, err)
			return msg
		case <-time.After(2 * time.Second):
			s.offer()
		}
	}
	log, err := os.ReadFile(filepath.Join(s.dir, "log"))
	require.NoError(s.t, err)
	s.t.Fatalf("the collector is silent; its log:\n%s", log)
	return nil
}

// answer takes a HAVE and fills the window.
func (s *scenario) answer(h wire.Have) {
	s.t.Helper()
	for i := range wire.Blocks(s.size) {
		require.False(s.t, s.confirmed.Has(i) && !h.Blocks.Has(i), "block %d was confirmed and is gone", i)
	}
	s.confirmed = h.Blocks
	for i := range wire.Blocks(s.size) {
		if s.confirmed.Has(i) {
			delete(s.under, i)
		} else if !s.under[i] && len(s.under) < wire.Window {
			at := int64(i) * wire.BlockSize
			s.send(wire.Data{Object: s.name, Size: s.size, Index: uint32(i), Blocks: s.object[at:min(s.size, at+wire.BlockSize)]})
			s.under[i] = true
			s.sent++
		}
	}
}

// upload goes on until so many blocks are confirmed; it reports true once the
// receipt has come.
func (s *scenario) upload(blocks int) bool {
	s.t.Helper()
	for s.offer(); s.confirmed.Count() < blocks; {
		switch m := s.receive().(type) {
		case wire.Have:
			s.answer(m)
		case wire.Receipt:
			require.NoError(s.t, m.Verify([]wire.PublicKey{s.key}))
			require.NoError(s.t, m.Matches(wire.Offer{Object: s.name, Size: s.size, Class: 2}))
			return true
		default:
			s.t.Fatalf("%T: %v", m, m)
		}
	}
	return false
}

const toTheEnd = 1 << 30 // blocks

// TestKillInMidUpload kills the collector with SIGKILL again and again while an
// object arrives. What it has confirmed it still has after each start, and the
// object is stored whole.
func TestKillInMidUpload(t *testing.T) {
	const kills, step = 6, 8 // blocks confirmed between two kills
	s := newScenario(t, 100*wire.BlockSize)
	for range kills {
		cmd := s.start()
		require.False(t, s.upload(s.confirmed.Count()+step))
		require.NoError(t, cmd.Process.Kill())
		require.Error(t, cmd.Wait())
	}
	cmd := s.start()
	require.True(t, s.upload(toTheEnd))
	s.stop(cmd, cli.Done)
	// A kill costs the window under way, and one more for a HAVE that was on
	// its way and comes after the new OFFER.
	require.LessOrEqual(t, s.sent, wire.Blocks(s.size)+2*kills*wire.Window, "more was sent again than the kills can have cost")
	got, err := os.ReadFile(filepath.Join(s.dir, "store/pool/2", s.name.String()))
	require.NoError(t, err)
	require.Equal(t, s.name, envelope.Name(sha256.Sum256(got)))
}

func TestAnAlarmShowsInTheStatusAndTheExitStatus(t *testing.T) {
	s := newScenario(t, 4096)
	cmd := s.start()
	require.True(t, s.upload(toTheEnd))
	path := filepath.Join(s.dir, "store/pool/2", s.name.String())
	bad := append([]byte(nil), s.object...)
	bad[7000] ^= 1
	require.NoError(t, os.WriteFile(path, bad, 0o600))
	s.class = 3 // a slow machine may have kept the receipt for the other one
	s.offer()
	for m := s.receive(); m != (wire.Refused{Object: s.name, Reason: wire.ReasonClash}); m = s.receive() {
		require.IsType(t, wire.Receipt{}, m, "answer to an earlier offer")
	}
	status, err := os.ReadFile(filepath.Join(s.dir, "status.json"))
	require.NoError(t, err)
	require.Regexp(t, `"alarms": [1-9]`, string(status))
	s.stop(cmd, cli.Found)
	log, err := os.ReadFile(filepath.Join(s.dir, "log"))
	require.NoError(t, err)
	require.Contains(t, string(log), "ALARM")
	require.Contains(t, string(log), `"roadseal-collector verify" finds all such objects`)
	require.NotContains(t, string(log), s.device)
}
