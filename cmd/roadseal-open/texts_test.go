package main

import (
	"os"
	"testing"

	"github.com/stretchr/testify/require"

	"roadseal/cmd/internal/cli/clitest"
)

// TestCommands holds what the command lines of all programs have in common.
func TestCommands(t *testing.T) {
	require.Empty(t, clitest.Faults(rootCommand()))
	untried, err := clitest.Untried(rootCommand(), "testdata/script")
	require.NoError(t, err)
	require.Empty(t, untried, "no script runs these examples")
}

// TestManual: the pages in docs/man are what the commands say.
func TestManual(t *testing.T) {
	for name, page := range map[string][]byte{
		"roadseal-open.1": clitest.Manual(rootCommand(), clitest.Section{
			Files: [][2]string{
				{"STORE/pool/CLASS/NAME", "a sealed object; NAME is its SHA-256"},
				{"DIR/STREAM/NAME", "what open writes, readable to its owner alone"},
			},
			SeeAlso: []string{"roadseal-agent.1", "roadseal-collector.1", "age.1"},
		}),
	} {
		path := "../../docs/man/" + name
		if clitest.Update() {
			require.NoError(t, os.WriteFile(path, page, 0o644))
		}
		committed, err := os.ReadFile(path)
		require.NoError(t, err)
		require.Equal(t, string(committed), string(page), "%s is stale; \"make man\" writes it anew", name)
	}
}
