package main

import (
	"testing"

	"github.com/rogpeppe/go-internal/testscript"

	"roadseal/cmd/internal/bench/pki"
	"roadseal/cmd/internal/cli/clitest"
)

// TestScripts runs the real program, but none of the long runs.
func TestScripts(t *testing.T) {
	testscript.Run(t, testscript.Params{
		Dir:  "testdata/script",
		Cmds: clitest.Commands("testdata/help"),
		Setup: func(e *testscript.Env) error {
			_, err := pki.Make(e.WorkDir)
			return err
		},
	})
}

// TestCommands holds what the command lines of all programs have in common.
func TestCommands(t *testing.T) {
	// The other tests and make run these.
	clitest.Check(t, root(), "demo", "drive", "recorders", "crash", "soak", "speed")
}

// TestManual: the page in docs/man is what the commands say.
func TestManual(t *testing.T) {
	clitest.CheckPages(t, map[string][]byte{"roadseal-bench.1": clitest.Manual(root(), clitest.Section{
		Files: [][2]string{
			{"OUT/report.html, OUT/report.json", "what the run found"},
			{"OUT/store", "the store of the run"},
			{"OUT/key.txt", "the key of the run, which opens the store"},
			{"OUT/releases, OUT/desk.txt, OUT/ca.pem", "the repository of the release desk, the key that opens what the vehicle reports to it, and the CA of the vehicle"},
			{"OUT/work", "logs, keys, spools and capture of a run that found something"},
		},
		SeeAlso: []string{"roadseal-agent.1", "roadseal-collector.1", "roadseal-open.1", "strace.1"},
	})})
}
