package main

import (
	"bytes"
	"fmt"
	"io"
	"maps"
	"math"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/creack/pty"
	"github.com/rogpeppe/go-internal/testscript"
	"github.com/stretchr/testify/require"

	"roadseal/agent/track"
	"roadseal/cmd/internal/cli/clitest"
	"roadseal/crypto/envelope"
	"roadseal/crypto/recipient"
	"roadseal/crypto/record"
	"roadseal/crypto/seal"
	"roadseal/hal/gnss"
	"roadseal/hal/red"
)

func TestMain(m *testing.M) {
	testscript.Main(m, map[string]func(){"roadseal-open": func() { os.Exit(run()) }})
}

func TestScripts(t *testing.T) {
	age := sync.OnceValues(func() (string, error) { return buildAge(t.TempDir()) })
	commands := clitest.Commands("testdata/help")
	maps.Copy(commands, map[string]func(*testscript.TestScript, bool, []string){
		"seal": cmdSeal, "alter": cmdAlter, "cut": cmdCut, "mode": cmdMode, "repeat": cmdRepeat, "fixes": cmdFixes,
		"age": func(ts *testscript.TestScript, neg bool, args []string) {
			path, err := age()
			ts.Check(err)
			runAge(ts, path, neg, args)
		},
	})
	testscript.Run(t, testscript.Params{
		Dir:                 "testdata/script",
		RequireExplicitExec: true,
		UpdateScripts:       os.Getenv("UPDATE_SCRIPTS") != "",
		Cmds:                commands,
		Condition: func(cond string) (bool, error) {
			if cond != "age" {
				return false, fmt.Errorf("unknown condition %q", cond)
			}
			_, err := age()
			return err == nil, nil
		},
	})
}

// cmdSeal makes a sealed object:
//
//	seal CONTENT DIR to=PUBLICKEYFILE [var=NAME] [slots=N] [as=FILE] [stream=…] [file=…] …
//
// It is DIR/<object name>, or DIR/FILE, and its path is put into $NAME. Values
// may hold Go escapes.
func cmdSeal(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) < 3 {
		ts.Fatalf("usage: seal CONTENT DIR to=FILE …")
	}
	opt := map[string]string{"stream": "video", "source": "camera front", "media": "video/mp4", "clock": "none", "slots": "2", "boot": "0", "seq": "0"}
	for _, a := range args[2:] {
		key, value, _ := strings.Cut(a, "=")
		plain, err := strconv.Unquote(`"` + value + `"`)
		ts.Check(err)
		opt[key] = plain
	}
	rec := record.Record{
		MediaType: opt["media"], Stream: opt["stream"], Kind: opt["kind"], Source: opt["source"], Channel: opt["channel"],
		Vehicle: red.Text(opt["vehicle"]), File: red.Text(opt["file"]), Clock: opt["clock"],
		Boot: uint32(number(ts, opt["boot"])), Sequence: uint32(number(ts, opt["seq"])),
		Start: instant(ts, opt["start"]), End: instant(ts, opt["end"]),
	}
	key, err := recipient.Parse(strings.TrimSpace(ts.ReadFile(opt["to"])))
	ts.Check(err)
	var object bytes.Buffer
	sealed, err := seal.Object(&object, strings.NewReader(ts.ReadFile(args[0])), rec, []recipient.Key{key}, number(ts, opt["slots"]))
	ts.Check(err)
	name := sealed.Name.String()
	if opt["as"] != "" {
		name = opt["as"]
	}
	path := filepath.Join(args[1], name)
	ts.Check(os.MkdirAll(ts.MkAbs(filepath.Dir(path)), 0o700))
	ts.Check(os.WriteFile(ts.MkAbs(path), object.Bytes(), 0o600))
	if opt["var"] != "" {
		ts.Setenv(opt["var"], path)
		ts.Setenv(opt["var"]+"_SHORT", sealed.Name.String()[:12])
		ts.Setenv(opt["var"]+"_SHA", sealed.Name.String())
	}
}

func number(ts *testscript.TestScript, s string) int {
	n, err := strconv.Atoi(s)
	ts.Check(err)
	return n
}

func instant(ts *testscript.TestScript, s string) time.Time {
	if s == "" {
		return time.Time{}
	}
	t, err := time.Parse(time.RFC3339, s)
	ts.Check(err)
	return t
}

// cmdAlter changes a byte, to one that base64 knows: alter FILE OFFSET; a
// negative offset counts from the end.
func cmdAlter(ts *testscript.TestScript, _ bool, args []string) {
	b := []byte(ts.ReadFile(args[0]))
	i := number(ts, args[1])
	if i < 0 {
		i += len(b)
	}
	if b[i] == 'A' {
		b[i] = 'B'
	} else {
		b[i] = 'A'
	}
	ts.Check(os.WriteFile(ts.MkAbs(args[0]), b, 0o600))
}

// cmdCut drops bytes from the end: cut FILE N.
func cmdCut(ts *testscript.TestScript, _ bool, args []string) {
	b := ts.ReadFile(args[0])
	ts.Check(os.WriteFile(ts.MkAbs(args[0]), []byte(b[:len(b)-number(ts, args[1])]), 0o600))
}

// cmdMode checks permissions: mode FILE 600.
func cmdMode(ts *testscript.TestScript, _ bool, args []string) {
	st, err := os.Stat(ts.MkAbs(args[0]))
	ts.Check(err)
	if got := strconv.FormatUint(uint64(st.Mode().Perm()), 8); got != args[1] {
		ts.Fatalf("%s has mode %s, not %s", args[0], got, args[1])
	}
}

// cmdFixes makes a batch: fixes SPEC BOOT SEQUENCE FILE. Each line of SPEC is
// "seconds lat lon utc marks", with "-" for no time and no marks.
func cmdFixes(ts *testscript.TestScript, _ bool, args []string) {
	b := track.AppendHeader(nil, uint32(number(ts, args[1])), uint32(number(ts, args[2])))
	for line := range strings.Lines(ts.ReadFile(args[0])) {
		var mono, lat, lon float64
		var utc, marks string
		_, err := fmt.Sscan(line, &mono, &lat, &lon, &utc, &marks)
		ts.Check(err)
		f := gnss.Fix{Mono: time.Duration(mono * float64(time.Second)), Lat: red.Degrees(lat), Lon: red.Degrees(lon),
			Altitude: 33.4, Speed: 7.823, Course: math.NaN(), HDOP: 0.8, Accuracy: 4, Satellites: 11, Quality: 1}
		if utc != "-" {
			f.UTC, f.Clock = instant(ts, utc), gnss.ClockGNSS
		}
		f.Marks, f.Other, err = gnss.ParseMarks(strings.Trim(marks, "-"))
		ts.Check(err)
		b = track.AppendFix(b, f)
	}
	ts.Check(os.WriteFile(ts.MkAbs(args[3]), b, 0o600))
}

// cmdRepeat makes a long file: repeat FILE N LONGFILE.
func cmdRepeat(ts *testscript.TestScript, _ bool, args []string) {
	b := strings.Repeat(ts.ReadFile(args[0]), number(ts, args[1]))
	ts.Check(os.WriteFile(ts.MkAbs(args[2]), []byte(b), 0o600))
}

// buildAge builds the age command of go.mod for this machine, whatever the
// tests are built for.
func buildAge(dir string) (string, error) {
	path := filepath.Join(dir, "age")
	build := exec.Command("go", "build", "-o", path, "filippo.io/age/cmd/age")
	build.Env = append(os.Environ(), "GOOS=", "GOARCH=", "GOARM=", "CGO_ENABLED=0")
	if out, err := build.CombinedOutput(); err != nil {
		return "", fmt.Errorf("cannot build age: %w: %s", err, out)
	}
	return path, nil
}

// runAge runs age with its output in a file: age OUT ARGS….
func runAge(ts *testscript.TestScript, path string, neg bool, args []string) {
	cmd := exec.Command(path, args[1:]...)
	cmd.Dir = ts.MkAbs(".")
	out, err := cmd.Output()
	if neg != (err != nil) {
		ts.Fatalf("age: %v", err)
	}
	ts.Check(os.WriteFile(ts.MkAbs(args[0]), out, 0o600))
}

// self runs this test binary as roadseal-open.
func self(t *testing.T, args ...string) *exec.Cmd {
	t.Helper()
	exe, err := os.Executable()
	require.NoError(t, err)
	return &exec.Cmd{Path: exe, Args: append([]string{"roadseal-open"}, args...), Dir: t.TempDir()}
}

// store seals n small objects and returns a folder and a key file.
func store(t *testing.T, n int) (dir, key string) {
	t.Helper()
	dir = t.TempDir()
	key = filepath.Join(dir, "key")
	public, err := self(t, "keygen", "-o", key).Output()
	require.NoError(t, err)
	to, err := recipient.Parse(strings.TrimSpace(string(public)))
	require.NoError(t, err)
	dir = filepath.Join(dir, "store", "pool", "1")
	require.NoError(t, os.MkdirAll(dir, 0o700))
	for i := range n {
		var b bytes.Buffer
		rec := record.Record{MediaType: "video/mp4", Stream: "video", Source: "camera front", Clock: "none", Sequence: uint32(i)}
		s, err := seal.Object(&b, strings.NewReader("x"), rec, []recipient.Key{to}, 1)
		require.NoError(t, err)
		require.NoError(t, os.WriteFile(filepath.Join(dir, s.Name.String()), b.Bytes(), 0o600))
	}
	return filepath.Dir(filepath.Dir(dir)), key
}

// On a terminal, long work has a progress bar, and messages keep their lines.
func TestProgressBar(t *testing.T) {
	dir, key := store(t, longFiles)
	damaged := filepath.Join(dir, "pool", "1", envelope.Name{}.String())
	require.NoError(t, os.WriteFile(damaged, []byte("not a sealed object"), 0o600))

	terminal, stderr, err := pty.Open()
	require.NoError(t, err)
	defer terminal.Close()
	require.NoError(t, pty.Setsize(terminal, &pty.Winsize{Rows: 24, Cols: 80}))
	cmd := self(t, "open", dir, "-i", key, "-o", "out")
	cmd.Stderr = stderr
	shown := make(chan string)
	go func() {
		b, _ := io.ReadAll(terminal) // ends with EIO when the last writer has gone
		shown <- string(b)
	}()
	stdout, err := cmd.Output()
	require.NoError(t, stderr.Close())
	text := <-shown
	require.Error(t, err)
	require.Equal(t, 1, cmd.ProcessState.ExitCode())
	require.Len(t, strings.Fields(string(stdout)), longFiles)
	require.Contains(t, text, " KiB of ", "the bar")
	require.Contains(t, text, "roadseal-open: "+damaged+": ")
	require.Contains(t, text, "roadseal-open: 200 objects opened\r\n")
	require.Contains(t, text, "roadseal-open: 1 file could not be opened\r\n")
}

func TestNoProgressBarForShortWork(t *testing.T) {
	dir, key := store(t, 1)
	terminal, stderr, err := pty.Open()
	require.NoError(t, err)
	defer terminal.Close()
	cmd := self(t, "open", dir, "-i", key, "-o", "out")
	cmd.Stderr = stderr
	require.NoError(t, cmd.Run())
	require.NoError(t, stderr.Close())
	b, _ := io.ReadAll(terminal)
	require.Equal(t, "roadseal-open: 1 object opened\r\n", string(b))
}

// Keys are in memory: a crash must not write them to a core file.
func TestNoCoreFile(t *testing.T) {
	var limit syscall.Rlimit
	require.NoError(t, syscall.Getrlimit(syscall.RLIMIT_CORE, &limit))
	if limit.Max == 0 {
		t.Skip("core files are off for the tests already")
	}
	limit.Cur = limit.Max
	require.NoError(t, syscall.Setrlimit(syscall.RLIMIT_CORE, &limit))

	fifo := filepath.Join(t.TempDir(), "key")
	require.NoError(t, syscall.Mkfifo(fifo, 0o600))
	cmd := self(t, "recipient", "-i", fifo)
	require.NoError(t, cmd.Start())
	w, err := os.OpenFile(fifo, os.O_WRONLY, 0) // returns when the program reads its key
	require.NoError(t, err)
	limits, err := os.ReadFile(fmt.Sprintf("/proc/%d/limits", cmd.Process.Pid))
	require.NoError(t, err)
	require.NoError(t, w.Close())
	require.Error(t, cmd.Wait())
	require.Regexp(t, `Max core file size +0 +0 `, string(limits))
}

// A signal ends the work, and nothing half-written stays.
func TestInterrupt(t *testing.T) {
	dir, key := store(t, longFiles)
	fifo := filepath.Join(t.TempDir(), "key")
	require.NoError(t, syscall.Mkfifo(fifo, 0o600))
	secret, err := os.ReadFile(key)
	require.NoError(t, err)
	var stderr bytes.Buffer
	cmd := self(t, "open", dir, "-i", fifo, "-o", "out")
	cmd.Stderr = &stderr
	require.NoError(t, cmd.Start())
	w, err := os.OpenFile(fifo, os.O_WRONLY, 0) // returns when the program reads its key
	require.NoError(t, err)
	require.NoError(t, cmd.Process.Signal(syscall.SIGTERM))
	_, err = w.Write(secret)
	require.NoError(t, err)
	require.NoError(t, w.Close())
	require.Error(t, cmd.Wait())
	require.Equal(t, 1, cmd.ProcessState.ExitCode())
	require.Equal(t, "roadseal-open: stopped\n", stderr.String())
	left, err := filepath.Glob(filepath.Join(cmd.Dir, "out", "*", "*.tmp"))
	require.NoError(t, err)
	require.Empty(t, left)
}
