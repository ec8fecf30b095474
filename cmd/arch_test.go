// Package cmd holds the rules of the architecture as tests: which package may
// reach which, who alone may import what, and what no package may do. The
// tests read the sources themselves, so that the test cache notices a change.
package cmd

import (
	"os"
	"slices"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

// A reachRule forbids a package to reach others, directly or through packages
// of this module. Imports made inside other modules are not seen; what they
// drag into a binary shows in its size and its symbols (make size).
type reachRule struct {
	pkg, why  string
	forbidden []string
}

// red are the packages that may hold plaintext.
var red = []string{"hal/red", "hal/gnss", "hal/camera", "hal/serialport", "agent/track", "agent/intake", "agent/config", "crypto/record"}

var reachRules = []reachRule{
	{"cmd/roadseal-agent", "the vehicle can neither open what it sealed nor act for another desk, and stays small",
		[]string{"crypto/open", "crypto/signed/sign", "cmd/internal/release", "cmd/internal/trip", "cmd/internal/collector", "cmd/internal/objstore", "cmd/internal/mirror", "cmd/internal/broker",
			"cmd/internal/bench", "text/template", "html/template", "github.com/vbauerster/mpb"}},
	{"cmd/roadseal-collector", "the collector never sees plaintext",
		append([]string{"crypto/open", "crypto/seal", "crypto/signed/sign", "cmd/internal/trip", "cmd/internal/bench"}, red...)},
	{"cmd/roadseal-sign", "the release desk sees no trip data and talks to no vehicle",
		append([]string{"crypto/open", "crypto/seal", "crypto/mtls", "agent/uplink", "agent/mqttlink", "agent/wire", "cmd/internal/trip", "cmd/internal/collector",
			"cmd/internal/objstore", "cmd/internal/broker", "cmd/internal/bench"}, red...)},
	{"cmd/roadseal-open", "the key holder's tool does not talk to vehicles",
		[]string{"agent/uplink", "agent/mqttlink", "agent/wire", "crypto/seal", "crypto/mtls", "cmd/internal/broker"}},
	{"agent/uplink", "only sealed objects reach the network", append([]string{"crypto/seal", "crypto/open"}, red...)},
	{"agent/mqttlink", "only sealed objects reach the network", append([]string{"crypto/seal", "crypto/open"}, red...)},
	{"agent/spool", "plaintext never reaches the spool", append([]string{"crypto/seal", "crypto/open"}, red...)},
	{"firmware", "what comes down is public and meets nothing red", append([]string{"crypto/seal", "crypto/open", "crypto/signed/sign"}, red...)},
	{"agent", "the vehicle's code stands without the desk's", []string{"crypto/open"}},
}

// onlyImporters names, for a package or module, the only packages that import
// it. An empty list leaves it to tests.
var onlyImporters = map[string][]string{
	"crypto/open":                         {"cmd/internal/trip", "cmd/roadseal-open", "cmd/internal/bench/..."},
	"crypto/seal":                         {"agent/intake", "agent"},
	"cmd/internal/trip":                   {"cmd/roadseal-open", "cmd/internal/bench/..."},
	"cmd/internal/collector":              {"cmd/roadseal-collector"},
	"cmd/internal/release":                {"cmd/roadseal-sign"},
	"cmd/internal/broker":                 {"cmd/roadseal-bench", "cmd/internal/bench/...", "cmd/internal/broker/..."},
	"cmd/internal/bench":                  {"cmd/roadseal-bench", "cmd/internal/bench/..."},
	"github.com/eclipse/paho.mqtt.golang": {"agent/mqttlink"},
	"github.com/mochi-mqtt/server":        {"cmd/internal/broker"},
	"go.bug.st/serial":                    {"hal/serialport"},
	"github.com/cloudflare/circl":         {"crypto/..."},
	"github.com/spf13/cobra":              {"cmd/..."},
	"cmd/internal/cli/clitest":            {},
	"github.com/stretchr/testify":         {"cmd/internal/objstore/objstoretest"},
	"hal/durable/crashfs":                 {"hal/durable/durabletest"},
	"hal/durable/durabletest":             {},
	"github.com/adrianmo/go-nmea":         {},
	"filippo.io/age":                      {"cmd/internal/release"}, // guards private key files; objects are sealed and opened without it
	"go.uber.org/goleak":                  {},
}

func TestForbiddenDependencies(t *testing.T) { report(t, loadModule(t).reach(reachRules)) }

func TestOnlyImporters(t *testing.T) { report(t, loadModule(t).importers(onlyImporters)) }

func TestSides(t *testing.T) { report(t, loadModule(t).sides()) }

// TestCalls holds what no package may call, but those named.
func TestCalls(t *testing.T) {
	report(t, loadModule(t).calls([]callRule{
		{in: []string{"agent/...", "crypto/...", "hal/...", "firmware/...", "cmd/internal/objstore", "cmd/internal/collector"},
			but:   []string{"hal/durable"},
			calls: []string{"os.Create", "os.CreateTemp", "os.WriteFile", "os.O_CREATE", "unix.O_CREAT", "os.Rename", "os.Remove", "os.RemoveAll", "os.Mkdir", "os.MkdirAll", "os.Truncate", "os.Link", "os.Symlink"},
			why:   "files that must survive a power cut are changed by hal/durable alone"},
		{in: []string{"..."}, but: []string{"main"}, calls: []string{"os.Exit", "log.Fatal", "log.Fatalf", "log.Panic"},
			why: "only main ends the process"},
		{in: []string{"agent/...", "crypto/...", "hal/...", "cmd/..."}, calls: []string{"slog.Info", "slog.Warn", "slog.Error", "slog.Debug", "log.Print", "log.Printf", "log.Println", "fmt.Print", "fmt.Printf", "fmt.Println"},
			why: "output goes through a logger or a writer that was handed in"},
	}))
}

func TestNoInit(t *testing.T) {
	for name, p := range loadModule(t) {
		require.Falsef(t, p.init, "%s has an init function: state is made where it is used", name)
	}
}

// TestVersionFloors: older versions have known holes; the dates are those of
// the fixes.
func TestVersionFloors(t *testing.T) {
	mod, err := os.ReadFile("../go.mod")
	require.NoError(t, err)
	for module, floor := range map[string]string{
		"github.com/cloudflare/circl":         "v1.6.5",  // 2026-08: HPKE panics on odd-length keys; below 1.6.1 CVE-2025-8556
		"github.com/eclipse/paho.mqtt.golang": "v1.5.1",  // 2025-09: CVE-2025-10543
		"go.bug.st/serial":                    "v1.8.0",  // read of -1, Close that does not unblock
		"github.com/mochi-mqtt/server/v2":     "v2.7.9",  // below 2.6.4 CVE-2024-50948
		"golang.org/x/crypto":                 "v0.58.0", // what the vectors were run with
	} {
		_, rest, ok := strings.Cut(string(mod), "\t"+module+" ")
		require.True(t, ok, module)
		version := strings.Fields(rest)[0]
		require.Truef(t, !older(version, floor), "%s %s is older than %s", module, version, floor)
	}
}

// TestReplaced: what is tested is what ships, so nothing but the websockets that
// nobody uses is another thing than its name says (agent/mqttlink/nowebsocket).
// Modules that need this one do not see the line.
func TestReplaced(t *testing.T) {
	mod, err := os.ReadFile("../go.mod")
	require.NoError(t, err)
	require.Equal(t, []string{"replace github.com/gorilla/websocket => ./agent/mqttlink/nowebsocket"}, replaced(string(mod)))
	for _, text := range []string{"replace a => b v1\n", "module m\nreplace (\n\ta => ./b\n)\n", "module m\n  replace\ta v1 => ../b\n"} {
		require.NotEmpty(t, replaced(text), text)
	}
}

// replaced are the lines of a go.mod that replace something.
func replaced(mod string) (lines []string) {
	for line := range strings.Lines(mod) {
		code, _, _ := strings.Cut(line, "//")
		if strings.HasPrefix(strings.TrimSpace(code), "replace") || strings.Contains(code, "=>") {
			lines = append(lines, strings.TrimSpace(line))
		}
	}
	return lines
}

func report(t *testing.T, bad []string) {
	t.Helper()
	slices.Sort(bad)
	for _, b := range bad {
		t.Error(b)
	}
}
