package main

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

// FuzzLoad: whatever a configuration holds, its faults are named with their
// file, and what is taken has no fault.
func FuzzLoad(f *testing.F) {
	example, err := os.ReadFile("collector.example.toml")
	require.NoError(f, err)
	f.Add(string(example))
	f.Add("[broker]\naddress = 'x:1'\n[collector]\nshards = ['00-ff']\nstanzas = 4\n[store]\npath = 's'\nkeep_free = '1GB'\n")
	f.Add("[quota]\nobjects = -1\n")
	path := filepath.Join(f.TempDir(), "c.toml")
	f.Fuzz(func(t *testing.T, s string) {
		require.NoError(t, os.WriteFile(path, []byte(s), 0o600))
		_, err := load(path)
		if err == nil {
			return
		}
		for line := range strings.SplitSeq(err.Error(), "\n") {
			require.True(t, strings.HasPrefix(line, path) || strings.HasPrefix(line, "    "), "%q", line)
		}
	})
}
