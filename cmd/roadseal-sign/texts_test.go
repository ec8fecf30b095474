package main

import (
	"testing"

	"roadseal/cmd/internal/cli/clitest"
)

// TestCommands holds what the command lines of all programs have in common.
func TestCommands(t *testing.T) { clitest.Check(t, rootCommand()) }

// TestManual: the pages in docs/man are what the commands say.
func TestManual(t *testing.T) {
	clitest.CheckPages(t, map[string][]byte{
		"roadseal-sign.1": clitest.Manual(rootCommand(), clitest.Section{
			Files: [][2]string{
				{"NAME.key, NAME.pub", "the private and the public file of who signs"},
				{"REPO/plan.toml, REPO/keys/NAME.pub", "who signs what"},
				{"REPO/staged/", "documents that wait for signatures"},
				{"REPO/image/, REPO/director/", "what is published, for the collector or a web server"},
			},
			SeeAlso: []string{"roadseal-agent.1", "roadseal-collector.1", "age.1"},
		}),
	})
}
