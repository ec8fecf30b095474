package main

import (
	"testing"

	"roadseal/agent/config"
	"roadseal/cmd/internal/cli/clitest"
)

// TestCommands holds what the command lines of all programs have in common.
func TestCommands(t *testing.T) { clitest.Check(t, root()) }

// TestManual: the pages in docs/man are what the commands say.
func TestManual(t *testing.T) {
	clitest.CheckPages(t, map[string][]byte{
		"roadseal-agent.1": clitest.Manual(root(), clitest.Section{
			Files: [][2]string{
				{"/etc/roadseal/agent.toml", "the configuration, unless --config names another"},
				{"/var/lib/roadseal", "[device] state: spool, boot counter, trusted time"},
				{"/run/roadseal/status.json", "[device] run: what status prints"},
			},
			SeeAlso: []string{"roadseal-agent.toml.5", "roadseal-collector.1", "roadseal-open.1", "roadseal-bench.1"},
		}),
		"roadseal-agent.toml.5": clitest.ConfigManual("roadseal-agent.toml", "configuration of the agent on the vehicle", config.Example, clitest.Section{
			Files: [][2]string{
				{"/etc/roadseal/agent.toml", "the configuration, unless --config names another"},
			},
			SeeAlso: []string{"roadseal-agent.1"},
		}),
	})
}
