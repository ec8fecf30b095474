package main

import (
	"os"
	"slices"
	"strings"
	"testing"

	"github.com/rogpeppe/go-internal/testscript"
	"github.com/stretchr/testify/require"

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
	require.Empty(t, clitest.Faults(root()))
	untried, err := clitest.Untried(root(), "testdata/script")
	require.NoError(t, err)
	// Whole runs: the other tests and make run them.
	runs := []string{"demo", "drive", "recorders", "crash", "soak", "speed"}
	untried = slices.DeleteFunc(untried, func(e string) bool { return slices.Contains(runs, strings.Fields(e)[1]) })
	require.Empty(t, untried, "no script runs these examples")
}

// TestManual: the page in docs/man is what the commands say.
func TestManual(t *testing.T) {
	const path = "../../docs/man/roadseal-bench.1"
	page := clitest.Manual(root(), clitest.Section{
		Files: [][2]string{
			{"OUT/report.html, OUT/report.json", "what the run found"},
			{"OUT/store", "the store of the run"},
			{"OUT/key.txt", "the key of the run, which opens the store"},
			{"OUT/work", "logs, keys, spools and capture of a run that found something"},
		},
		SeeAlso: []string{"roadseal-agent.1", "roadseal-collector.1", "roadseal-open.1", "strace.1"},
	})
	if clitest.Update() {
		require.NoError(t, os.WriteFile(path, page, 0o644))
	}
	committed, err := os.ReadFile(path)
	require.NoError(t, err)
	require.Equal(t, string(committed), string(page), "the page is stale; \"make man\" writes it anew")
}
