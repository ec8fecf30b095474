package main

import (
	"crypto/rand"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"roadseal/agent/health"
	"roadseal/cmd/internal/bench/pki"
	"roadseal/crypto/open"
)

// TestMemory: the shipped program with a year's backlog of track documents in
// its spool and a clip of 300 MB to seal.
func TestMemory(t *testing.T) {
	if testing.Short() {
		t.Skip("writes 600 MB")
	}
	const objects, limit = 26_500, 32 << 20
	dir := t.TempDir()
	program := filepath.Join(dir, "roadseal-agent")
	build := exec.Command("go", "build", "-buildvcs=false", "-o", program, ".")
	build.Env = append(os.Environ(), "CGO_ENABLED=0")
	out, err := build.CombinedOutput()
	require.NoError(t, err, string(out))
	memoryWorld(t, dir, objects)

	agent := exec.Command(program, "run", "--config", filepath.Join(dir, "agent.toml"))
	agent.Stderr = os.Stderr
	require.NoError(t, agent.Start())
	var st *health.Status
	ok := waitFor(func() bool {
		st, err = health.Read(filepath.Join(dir, "run"))
		return err == nil && len(st.Cameras) == 1 && st.Cameras[0].Sealed == 1
	})
	peak := vmHWM(t, agent.Process.Pid)
	require.NoError(t, agent.Process.Signal(syscall.SIGTERM))
	require.NoError(t, agent.Wait())
	require.True(t, ok, "the clip is sealed")
	require.Equal(t, objects+1, st.Spool.QueuedObjects)
	t.Logf("%d objects queued, 300 MB sealed: VmHWM %.1f MB (limit %.1f)", objects, float64(peak)/1e6, float64(limit)/1e6)
	require.LessOrEqual(t, peak, int64(limit))
}

func memoryWorld(t *testing.T, dir string, objects int) {
	t.Helper()
	_, err := pki.Make(dir)
	require.NoError(t, err)
	id, err := open.Generate()
	require.NoError(t, err)
	config := fmt.Sprintf(`
[device]
certificate = "device.pem"
key = "device.key"
state = "state"
run = "run"
[[camera]]
name = "dash"
path = "record"
preset = "blackvue"
[[stream]]
name = "video"
from = ["camera:normal"]
to = ["%s"]
class = 3
[spool]
keep_free = "1MB"
[broker]
address = "127.0.0.1:1"
ca = "ca.pem"
[collector]
receipt_keys = ["ed25519:AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA="]
[bench]
enabled = true
`, id.Recipient())
	require.NoError(t, os.WriteFile(filepath.Join(dir, "agent.toml"), []byte(config), 0o600))
	spool := filepath.Join(dir, "state", "spool")
	require.NoError(t, os.MkdirAll(spool, 0o700))
	for i := range objects {
		name := fmt.Sprintf("2.00000001.%08x.track.%032x.1c90.%064x.age", i, 0, i+1)
		require.NoError(t, os.WriteFile(filepath.Join(spool, name), nil, 0o600))
	}
	record := filepath.Join(dir, "record")
	require.NoError(t, os.Mkdir(record, 0o700))
	clip, err := os.Create(filepath.Join(record, "20261124_053000_NF.mp4"))
	require.NoError(t, err)
	_, err = io.CopyN(clip, rand.Reader, 300_000_000)
	require.NoError(t, err)
	require.NoError(t, clip.Close())
}

func waitFor(cond func() bool) bool {
	for end := time.Now().Add(2 * time.Minute); time.Now().Before(end); time.Sleep(100 * time.Millisecond) {
		if cond() {
			return true
		}
	}
	return false
}

// vmHWM is the most memory that a process has had, in bytes (proc(5)).
func vmHWM(t *testing.T, pid int) int64 {
	t.Helper()
	b, err := os.ReadFile(fmt.Sprintf("/proc/%d/status", pid))
	require.NoError(t, err)
	_, rest, ok := strings.Cut(string(b), "VmHWM:")
	require.True(t, ok)
	kB, err := strconv.ParseInt(strings.Fields(rest)[0], 10, 64)
	require.NoError(t, err)
	return kB << 10
}
