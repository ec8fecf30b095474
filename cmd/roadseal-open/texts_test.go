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
		"roadseal-open.1": clitest.Manual(rootCommand(), clitest.Section{
			Files: [][2]string{
				{"STORE/pool/CLASS/NAME", "a sealed object; NAME is its SHA-256"},
				{"DIR/STREAM/NAME", "what open writes, readable to its owner alone"},
			},
			SeeAlso: []string{"roadseal-agent.1", "roadseal-collector.1", "age.1"},
		}),
	})
}
