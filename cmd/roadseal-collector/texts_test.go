package main

import (
	"testing"

	"roadseal/cmd/internal/cli/clitest"
)

// TestCommands holds what the command lines of all programs have in common.
func TestCommands(t *testing.T) { clitest.Check(t, root()) }

// TestManual: the pages in docs/man are what the commands say.
func TestManual(t *testing.T) {
	clitest.CheckPages(t, map[string][]byte{
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
	})
}
