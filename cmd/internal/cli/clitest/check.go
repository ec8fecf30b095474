package clitest

import (
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/spf13/cobra"
)

// Check holds what the command lines of all programs have in common, and that
// the scripts in testdata/script run each example but those of the verbs named
// long, which are whole runs.
func Check(t *testing.T, root *cobra.Command, long ...string) {
	t.Helper()
	for _, f := range Faults(root) {
		t.Error(f)
	}
	untried, err := Untried(root, "testdata/script")
	if err != nil {
		t.Error(err)
	}
	for _, e := range untried {
		if !slices.Contains(long, strings.Fields(e)[1]) {
			t.Errorf("no script runs this example: %s", e)
		}
	}
}

// CheckPages compares manual pages, by the names of their files, with those in
// docs/man, or writes them there (Update). It is for tests of a program.
func CheckPages(t *testing.T, pages map[string][]byte) {
	t.Helper()
	for name, page := range pages {
		path := filepath.Join("../../docs/man", name)
		if Update() {
			if err := os.WriteFile(path, page, 0o644); err != nil {
				t.Error(err)
			}
		}
		committed, err := os.ReadFile(path)
		if err != nil {
			t.Error(err)
		}
		if string(committed) != string(page) {
			t.Errorf("%s is stale; \"make man\" writes it anew", name)
		}
	}
}
