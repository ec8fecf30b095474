package judge

import (
	"fmt"
	"os"
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/require"
)

// fakeAge makes a program that prints a file, whatever it is asked, and ends
// with a status.
func fakeAge(t *testing.T, output []byte, status int) string {
	t.Helper()
	dir := t.TempDir()
	require.NoError(t, os.WriteFile(filepath.Join(dir, "out"), output, 0o600))
	path := filepath.Join(dir, "age")
	script := fmt.Sprintf("#!/bin/sh\ncat %s/out\necho the reason >&2\nexit %d\n", dir, status)
	require.NoError(t, os.WriteFile(path, []byte(script), 0o700))
	return path
}

// TestWhatAgeMustGive: the real age is asked by the tests of the command; here
// it is one that is wrong.
func TestWhatAgeMustGive(t *testing.T) {
	s := newStage(t)
	l, err := openAll(t.Context(), s.Store, s.Opened, s.Keys, s.KeyFile)
	require.NoError(t, err)
	require.Len(t, l.items, 7)
	it := l.items[len(l.items)-1]
	content, err := os.ReadFile(filepath.Join(s.Opened, it.Opened))
	require.NoError(t, err)
	text, err := it.record.Marshal()
	require.NoError(t, err)
	whole := append(append(content, make([]byte, 500)...), text...)
	other, err := l.items[0].record.Marshal()
	require.NoError(t, err)

	for want, c := range map[string]struct {
		output []byte
		status int
	}{
		"":                          {whole, 0},
		"exit status 1: the reason": {whole, 1},
		"expected more than":        {content[:100], 0},
		"is not the original":       {append([]byte{1}, whole...), 0},
		"no record at the end":      {content, 0},
		"at the end of":             {append(content, make([]byte, 2000)...), 0},
		"another record":            {append(content[:len(content):len(content)], other...), 0},
	} {
		err := openWithAge(t.Context(), fakeAge(t, c.output, c.status), it)
		if want == "" {
			require.NoError(t, err)
			continue
		}
		require.ErrorContains(t, err, want)
	}
	require.ErrorContains(t, openWithAge(t.Context(), "/gone", it), "cannot run age")
}

func TestAgeIsOneOfTheChecks(t *testing.T) {
	s := newStage(t)
	s.Age = fakeAge(t, nil, 1)
	only(t, s.judged(), "0 of 7 objects, 7 not in order, as age does not open")
}
