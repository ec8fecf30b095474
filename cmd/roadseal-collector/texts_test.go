package main

import (
	"os"
	"testing"

	"github.com/stretchr/testify/require"

	"roadseal/cmd/internal/cli/clitest"
)

// TestCommands holds what the command lines of all programs have in common.
func TestCommands(t *testing.T) {
	require.Empty(t, clitest.Faults(root()))
	untried, err := clitest.Untried(root(), "testdata/script")
	require.NoError(t, err)
	require.Empty(t, untried, "no script runs these examples")
}

// TestManual: the pages in docs/man are what the commands say.
func TestManual(t *testing.T) {
	for name, page := range map[string][]byte{
		"roadseal-collector.1": clitest.Manual(root(), clitest.Section{
			Files: [][2]string{
				{"/etc/roadseal/collector.toml", "the configuration, unless --config names another"},
				{"/var/lib/roadseal-store/pool/CLASS/NAME", "[store] path: a sealed object"},
				{"/run/roadseal-collector/status.json", "[collector] status: counters, renewed every ten seconds"},
			},
			SeeAlso: []string{"roadseal-collector.toml.5", "roadseal-agent.1", "roadseal-open.1"},
		}),
		"roadseal-collector.toml.5": clitest.ConfigManual("roadseal-collector.toml", "configuration of a collector", example, clitest.Section{
			Files: [][2]string{
				{"/etc/roadseal/collector.toml", "the configuration, unless --config names another"},
			},
			SeeAlso: []string{"roadseal-collector.1"},
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
