package main

import (
	"context"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

// TestGettingStarted does what docs/getting-started.md says, command by
// command, with the broker of Debian. Only what a person does by patience is
// done by looking here, and the port is one that is free.
func TestGettingStarted(t *testing.T) {
	t.Parallel()
	for _, tool := range []string{"mosquitto", "openssl", "bash"} {
		_, err := exec.LookPath(tool)
		if _, sbin := os.Stat("/usr/sbin/" + tool); err != nil && sbin != nil {
			t.Skipf("needs %s", tool)
		}
	}
	const broker, patience = "mosquitto -c mosquitto.conf > mosquitto.log 2>&1 &\n", "sleep 15\n"
	doc, err := os.ReadFile("../../docs/getting-started.md")
	require.NoError(t, err)
	var script strings.Builder
	for _, block := range regexp.MustCompile("(?s)```(?:sh|bash)\n(.*?)```").FindAllStringSubmatch(string(doc), -1) {
		script.WriteString(block[1])
	}
	text := script.String()
	require.Contains(t, text, broker)
	require.Contains(t, text, patience)
	text = strings.Replace(text, broker, broker+"until (: > /dev/tcp/127.0.0.1/18883) 2>/dev/null; do sleep 0.1; done\n", 1)
	text = strings.Replace(text, patience, "until test -n \"$(roadseal-collector ls store 2>/dev/null)\"; do sleep 0.2; done\n", 1)
	free, err := net.Listen("tcp", "127.0.0.1:0")
	require.NoError(t, err)
	_, port, err := net.SplitHostPort(free.Addr().String())
	require.NoError(t, err)
	require.NoError(t, free.Close())
	text = strings.ReplaceAll(text, "18883", port)

	dir := t.TempDir()
	testdata, err := filepath.Abs("../../testdata")
	require.NoError(t, err)
	require.NoError(t, os.Symlink(testdata, filepath.Join(dir, "testdata")))
	require.NoError(t, os.Symlink(bin, filepath.Join(dir, "bin")))
	ctx, stop := context.WithTimeout(t.Context(), 5*time.Minute) // it hangs
	defer stop()
	cmd := exec.CommandContext(ctx, "bash", "-e", "-o", "pipefail", "-c", "trap 'kill $(jobs -p) 2>/dev/null || true' EXIT\n"+text+"\nwait\n")
	cmd.Dir = dir
	cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
	cmd.Cancel = func() error { return syscall.Kill(-cmd.Process.Pid, syscall.SIGKILL) }
	out, err := cmd.CombinedOutput()
	require.NoError(t, err, string(out))
	require.Contains(t, string(out), "\nbyte for byte\n")
	require.NotContains(t, string(out), "BAD")
}
