package main

import (
	"bytes"
	"crypto/rand"
	"encoding/json"
	"fmt"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"testing"

	"github.com/rogpeppe/go-internal/testscript"
	"github.com/stretchr/testify/require"

	"roadseal/cmd/internal/bench/report"
	"roadseal/cmd/internal/bench/soak"
	"roadseal/cmd/internal/bench/speed"
	"roadseal/cmd/internal/broker/mosquitto"
	"roadseal/cmd/internal/cli"
)

// bin holds the programs under test, built once.
var bin string

func TestMain(m *testing.M) {
	testscript.Main(built{m}, map[string]func(){"roadseal-bench": func() { os.Exit(cli.Main(root())) }})
}

// built are the tests with the programs beside them.
type built struct{ tests *testing.M }

func (b built) Run() int {
	dir, err := os.MkdirTemp("", "roadseal-bench")
	if err != nil {
		panic(err)
	}
	defer os.RemoveAll(dir)
	bin = dir
	if err := showSources(); err != nil {
		panic(err)
	}
	build := exec.Command("go", "build", "-buildvcs=false", "-o", dir,
		"roadseal/cmd/roadseal-agent", "roadseal/cmd/roadseal-collector", "roadseal/cmd/roadseal-bench", "roadseal/cmd/roadseal-open", "roadseal/cmd/roadseal-sign", "filippo.io/age/cmd/age")
	build.Env = append(os.Environ(), "CGO_ENABLED=0")
	if out, err := build.CombinedOutput(); err != nil {
		panic(fmt.Sprintf("cannot build the programs: %v\n%s", err, out))
	}
	return b.tests.Run()
}

// showSources looks at every source file, so that the test cache notices a
// change: it sees what this process reads, not what the compiler does.
func showSources() error {
	for _, dir := range []string{"agent", "cmd", "crypto", "firmware", "hal"} {
		err := filepath.WalkDir(filepath.Join("../..", dir), func(path string, _ fs.DirEntry, err error) error {
			if err == nil {
				_, err = os.Stat(path)
			}
			return err
		})
		if err != nil {
			return err
		}
	}
	return nil
}

// runBench runs roadseal-bench and returns its exit status and output.
func runBench(t *testing.T, args ...string) (status int, stdout, stderr string) {
	t.Helper()
	var out, msg bytes.Buffer
	cmd := exec.CommandContext(t.Context(), filepath.Join(bin, "roadseal-bench"), args...)
	cmd.Stdout, cmd.Stderr, cmd.Dir = &out, &msg, t.TempDir()
	err := cmd.Run()
	if err != nil {
		require.ErrorAs(t, err, new(*exec.ExitError), "%s", msg.String())
	}
	return cmd.ProcessState.ExitCode(), out.String(), msg.String()
}

// passed wants a run whose checks all hold, and shows the logs of one whose do
// not.
func passed(t *testing.T, out string, status int, stderr string) report.Report {
	t.Helper()
	if status != cli.Done {
		logs, err := filepath.Glob(filepath.Join(out, "work/logs/*"))
		require.NoError(t, err)
		for _, log := range logs {
			b, err := os.ReadFile(log)
			require.NoError(t, err)
			t.Logf("%s:\n%s", filepath.Base(log), b)
		}
	}
	require.Equal(t, cli.Done, status, stderr)
	return readReport(t, out)
}

// readReport reads report.json of a run.
func readReport(t *testing.T, out string) (r report.Report) {
	t.Helper()
	b, err := os.ReadFile(filepath.Join(out, "report.json"))
	require.NoError(t, err)
	require.NoError(t, json.Unmarshal(b, &r))
	return r
}

func TestDemo(t *testing.T) {
	t.Parallel()
	out := filepath.Join(t.TempDir(), "demo")
	status, stdout, stderr := runBench(t, "demo", "--out", out, "--age", filepath.Join(bin, "age"), "--json")
	r := passed(t, out, status, stderr)
	for _, line := range []string{"What an outsider sees", "What the key holder sees", "0 found", "What the release desk sees", "attempt: verified",
		"attempt: refused, rollback, director, timestamp", "All 14 checks hold", filepath.Join(out, "report.html")} {
		require.Contains(t, stderr, line)
	}
	require.True(t, r.Passed)
	require.Equal(t, 10, r.Drive.Opened)
	require.Greater(t, r.Drive.Found, 1300)
	require.Equal(t, r.Drive.Fixes, r.Drive.Found)
	require.Zero(t, r.Traffic.Resent, "nothing went wrong, so nothing goes twice")
	var printed report.Report
	require.NoError(t, json.Unmarshal([]byte(stdout), &printed))
	require.Equal(t, r, printed)
	require.NoDirExists(t, filepath.Join(out, "work"))
	for _, name := range []string{"store/pool", "opened/track.gpx", "key.txt", "report.html", "releases/image/2.targets.json", "desk.txt", "ca.pem"} {
		_, err := os.Stat(filepath.Join(out, name))
		require.NoError(t, err)
	}
}

// TestKills kills each process in mid-upload. The clips are noise under the
// names of clips: nothing looks into them on the way.
func TestKills(t *testing.T) {
	t.Parallel()
	clips, out := noise(t, 6), filepath.Join(t.TempDir(), "kill")
	status, _, stderr := runBench(t, "drive", "--nmea", nmea(t), "--camera", clips, "--out", out, "--speed", "20", "--max-age", "1s",
		"--loop", "2", "--rate", "2500000", "--kill", "agent=2,collector=2,broker=2", "--keep")
	r := passed(t, out, status, stderr)
	require.Len(t, r.Kills, 6)
	require.Equal(t, 12, r.Drive.Opened)
	require.DirExists(t, filepath.Join(out, "work", "logs"))
}

// noise is a folder of n clips of 3 MiB that nobody can play.
func noise(t *testing.T, n int) string {
	t.Helper()
	clips := t.TempDir()
	for i := range n {
		b := make([]byte, 3<<20)
		_, err := rand.Read(b)
		require.NoError(t, err)
		require.NoError(t, os.WriteFile(filepath.Join(clips, fmt.Sprintf("%d.mp4", i)), b, 0o600))
	}
	return clips
}

// TestBrokers drives through Debian's mosquitto with the shipped configuration,
// and through a broker that enforces the limits of another.
func TestBrokers(t *testing.T) {
	t.Parallel()
	for _, option := range [][]string{{"--broker", "mosquitto", "--firmware"}, {"--broker-profile", "aws", "--firmware"}} {
		t.Run(option[1], func(t *testing.T) {
			t.Parallel()
			if _, err := mosquitto.Find("mosquitto"); err != nil && option[0] == "--broker" {
				t.Skip("needs mosquitto, which is not installed")
			}
			out := filepath.Join(t.TempDir(), "drive")
			status, _, stderr := runBench(t, append([]string{"drive", "--nmea", nmea(t), "--camera", noise(t, 2), "--out", out, "--speed", "20", "--max-age", "1s"}, option...)...)
			r := passed(t, out, status, stderr)
			require.Equal(t, 2, r.Drive.Opened)
			require.Greater(t, r.Traffic.DataMessages, 2*3<<20/(2*61440), "seen on the broker")
		})
	}
}

// TestRecorder lets one make drive that locks clips before they are sealed and
// after they were delivered; "make recorders" does all.
func TestRecorder(t *testing.T) {
	t.Parallel()
	out := filepath.Join(t.TempDir(), "drive")
	status, _, stderr := runBench(t, "drive", "--recorder", "70mai", "--out", out, "--speed", "25", "--max-age", "1s", "--age", filepath.Join(bin, "age"))
	d := passed(t, out, status, stderr).Drive
	require.Equal(t, []int{18, 18, 2, 2, 2, 17}, []int{d.Segments, d.Opened, d.LockedEarly, d.LockedLate, d.LockedOld, d.Left})
}

// TestNoEvents: where the kernel reports no change of the recorder's folder, scans
// find all, also what was locked. strace refuses inotify to the agent.
func TestNoEvents(t *testing.T) {
	t.Parallel()
	strace, err := exec.LookPath("strace")
	if err != nil {
		t.Skip("no strace: the agent cannot be kept from watching the folder")
	}
	agent, out := filepath.Join(t.TempDir(), "agent"), filepath.Join(t.TempDir(), "drive")
	script := fmt.Sprintf("#!/bin/sh\nexec %s -D -f --seccomp-bpf -qq -o /dev/null -e inject=inotify_init1:error=EMFILE %s \"$@\"\n",
		strace, filepath.Join(bin, "roadseal-agent"))
	require.NoError(t, os.WriteFile(agent, []byte(script), 0o700))
	status, _, stderr := runBench(t, "drive", "--recorder", "viofo", "--agent", agent, "--out", out, "--speed", "25", "--max-age", "1s", "--keep")
	d := passed(t, out, status, stderr).Drive
	require.Equal(t, []int{14, 14, 2, 2}, []int{d.Segments, d.Opened, d.LockedEarly, d.LockedLate})
	logs, err := filepath.Glob(filepath.Join(out, "work/logs/agent*"))
	require.NoError(t, err)
	require.NotEmpty(t, logs)
	for _, log := range logs {
		b, err := os.ReadFile(log)
		require.NoError(t, err)
		require.Contains(t, string(b), "cannot watch for changes, scanning every 2s instead")
	}
}

// TestHostileFolder: beside at least 20 entries that must not be read, 100 clips
// are delivered and nothing else is opened.
func TestHostileFolder(t *testing.T) {
	t.Parallel()
	out := filepath.Join(t.TempDir(), "drive")
	status, _, stderr := runBench(t, "drive", "--hostile", "--nmea", nmea(t), "--loop", "10", "--out", out, "--speed", "80", "--max-age", "1s", "--age", filepath.Join(bin, "age"))
	d := passed(t, out, status, stderr).Drive
	require.Equal(t, []int{100, 100}, []int{d.Segments, d.Opened})
	require.GreaterOrEqual(t, d.Hostile, 20)
}

// TestSoak lets three vehicles go through everything for some seconds; the dead
// links, which root can make, are not left out by root.
func TestSoak(t *testing.T) {
	t.Parallel()
	netns := "auto"
	if os.Geteuid() == 0 {
		netns = "on"
	}
	out := filepath.Join(t.TempDir(), "soak")
	status, stdout, stderr := runBench(t, "soak", "--for", "12s", "--vehicles", "3", "--netns", netns, "--out", out, "--json")
	require.Equal(t, cli.Done, status, stderr)
	require.Contains(t, stderr, "soak: PASSED")
	var r soak.Report
	require.NoError(t, json.Unmarshal([]byte(stdout), &r))
	require.True(t, r.Passed)
	require.Equal(t, 18, r.Counts.Clips)
	require.Positive(t, r.Faults.Cuts)
	require.Equal(t, r.Counts.Receipts, r.Counts.Objects)
	require.NoDirExists(t, filepath.Join(out, "work"))
	require.FileExists(t, filepath.Join(out, "key.txt"))
}

// TestSpeed: the one measurement that does not depend on what else the machine
// does, with the programs themselves.
func TestSpeed(t *testing.T) {
	if testing.Short() {
		t.Skip("writes 900 MB")
	}
	if _, err := mosquitto.Find("mosquitto"); err != nil {
		t.Skip("mosquitto is not installed")
	}
	dir := t.TempDir()
	status, stdout, stderr := runBench(t, "speed", "memory", "--memory", dir, "--disk", dir, "--json")
	require.Equal(t, cli.Done, status, stderr)
	var r speed.Report
	require.NoError(t, json.Unmarshal([]byte(stdout), &r))
	require.Len(t, r.Rows, 1)
	require.Equal(t, "holds", r.Rows[0].Verdict(), stdout)
	require.Greater(t, r.Rows[0].Ours, 5.0, "MiB; a Go program with TLS has more")
	left, err := os.ReadDir(dir)
	require.NoError(t, err)
	require.Empty(t, left)
}

// nmea writes a short recording: two fixes a second over a minute.
func nmea(t *testing.T) string {
	t.Helper()
	var b bytes.Buffer
	for i := range 60 {
		body := fmt.Sprintf("GNRMC,1200%02d.00,A,50%02d.%05d,N,006%02d.%05d,E,20.0,90.0,010526,,,A", i, 53, 1000+40*i, 18, 90000-70*i)
		var sum byte
		for _, c := range []byte(body) {
			sum ^= c
		}
		fmt.Fprintf(&b, "$%s*%02X\r\n", body, sum)
	}
	path := filepath.Join(t.TempDir(), "drive.nmea")
	require.NoError(t, os.WriteFile(path, b.Bytes(), 0o600))
	return path
}

// TestRealDrive plays what real receivers and cameras recorded.
func TestRealDrive(t *testing.T) {
	t.Parallel()
	data := os.Getenv("ROADSEAL_DATA")
	if data == "" {
		wd, err := os.Getwd()
		require.NoError(t, err)
		data = filepath.Join(wd, "../../../shared/data")
	}
	if _, err := os.Stat(data); err != nil {
		t.Skip("no real recordings in ../shared/data")
	}
	out := filepath.Join(t.TempDir(), "drive")
	status, _, stderr := runBench(t, "drive", "--nmea", filepath.Join(data, "nmea/drive-comma2k19-10hz.nmea"), "--camera", filepath.Join(data, "video"),
		"--out", out, "--speed", "10", "--age", filepath.Join(bin, "age"))
	r := passed(t, out, status, stderr)
	require.Equal(t, 579, r.Drive.Found, "as awk counts them")
	require.Equal(t, 5, r.Drive.Opened)
}

// TestBrokenCollector: a run that cannot be made says whose fault it is.
func TestBrokenCollector(t *testing.T) {
	t.Parallel()
	fake := filepath.Join(t.TempDir(), "collector")
	require.NoError(t, os.WriteFile(fake, []byte("#!/bin/sh\n[ $1 = keygen ] && exec "+filepath.Join(bin, "roadseal-collector")+" \"$@\"\necho no disk >&2; exit 1\n"), 0o700))
	status, _, stderr := runBench(t, "demo", "--collector", fake)
	require.Equal(t, cli.Failed, status)
	require.Contains(t, stderr, "roadseal-bench: collector ended: exit status 1; its log ends with: no disk")
}

// TestBrokenDesk: so does one whose release desk cannot work.
func TestBrokenDesk(t *testing.T) {
	t.Parallel()
	fake := filepath.Join(t.TempDir(), "sign")
	require.NoError(t, os.WriteFile(fake, []byte("#!/bin/sh\n[ $1 = key ] && exit 0\necho no plan >&2; exit 1\n"), 0o700))
	status, _, stderr := runBench(t, "demo", "--sign", fake)
	require.Equal(t, cli.Failed, status)
	require.Contains(t, stderr, "roadseal-bench: roadseal-sign firmware init: exit status 1: no plan")
}

func TestWrongCommandLine(t *testing.T) {
	t.Parallel()
	full := t.TempDir()
	require.NoError(t, os.WriteFile(filepath.Join(full, "thesis"), nil, 0o600))
	good := []string{"drive", "--nmea", nmea(t), "--camera", full, "--out", "x"}
	require.NoError(t, os.WriteFile(filepath.Join(full, "a.mp4"), []byte("x"), 0o600))
	for want, args := range map[string][]string{
		"cannot read the recording":              {"drive", "--nmea", "/gone", "--camera", full, "--out", "x"},
		"no RMC sentence of status A":            {"drive", "--nmea", filepath.Join(full, "thesis"), "--camera", full, "--out", "x"},
		"expected --out OUT":                     {"drive", "--nmea", "x"},
		"cannot read \"agent\" of --kill":        append(good, "--kill", "agent"),
		"expected --cut-every":                   append(good, "--cut-every", "1ms"),
		"expected --broker embedded":             append(good, "--broker", "emqx"),
		"--broker-profile: no broker is known":   append(good, "--broker-profile", "azure"),
		"expected --speed":                       append(good, "--speed", "0"),
		"name it with --agent PATH":              {"recorders", "--agent", "/gone"},
		"expected --recorder to be one of":       append(good, "--recorder", "nikon"),
		"cannot find roadseal-agent":             append(good, "--agent", "/gone"),
		"expected --vehicles":                    {"soak", "--vehicles", "0"},
		"unknown command":                        {"dance"},
		"expected --rounds":                      {"speed", "--rounds", "0"},
		`cannot measure "warp"`:                  {"speed", "warp"},
		"--camera /gone: cannot read the folder": {"drive", "--nmea", nmea(t), "--camera", "/gone", "--out", "x"},
	} {
		status, stdout, stderr := runBench(t, args...)
		require.Equal(t, cli.Usage, status, "%s: %s", want, stderr)
		require.Contains(t, stderr, want)
		require.Empty(t, stdout)
	}
	status, _, stderr := runBench(t, append(good[:5:5], "--out", full)...)
	require.Equal(t, cli.Failed, status)
	require.Contains(t, stderr, "is not empty and was not made by roadseal-bench")
	require.FileExists(t, filepath.Join(full, "thesis"))
}

func TestBrokerTakesNoRealCertificates(t *testing.T) {
	t.Parallel()
	status, _, stderr := runBench(t, "broker", "--ca", "/gone", "--certificate", "/gone", "--key", "/gone")
	require.Equal(t, cli.Usage, status)
	require.Contains(t, stderr, "cannot read the certificate")
}
