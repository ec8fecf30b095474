package soak

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"roadseal/crypto/envelope"
)

func spoolFile(t *testing.T, name, suffix string) (string, envelope.Name) {
	t.Helper()
	n, err := envelope.ParseName(strings.Repeat(name, 64))
	require.NoError(t, err)
	return "3.00000001.0000000a.video." + strings.Repeat("b", 32) + ".4b8fa." + n.String() + "." + suffix, n
}

// TestTheWitnessSeesLives plays what an agent does in its spool.
func TestTheWitnessSeesLives(t *testing.T) {
	w, err := newWitness()
	require.NoError(t, err)
	dir, other := filepath.Join(t.TempDir(), "state/spool"), t.TempDir()
	seen, err := w.watch(dir)
	require.NoError(t, err)
	elsewhere, err := w.watch(other)
	require.NoError(t, err)

	names := map[string]envelope.Name{}
	path := func(name, suffix string) string {
		file, n := spoolFile(t, name, suffix)
		names[name] = n
		return filepath.Join(dir, file)
	}
	for _, name := range []string{"a", "b", "c", "d", "e"} {
		tmp := filepath.Join(dir, "1.tmp")
		require.NoError(t, os.WriteFile(tmp, nil, 0o600))
		require.NoError(t, os.Rename(tmp, path(name, queued)))
	}
	require.NoError(t, os.Rename(path("a", queued), path("a", stored)))
	require.NoError(t, os.Rename(path("b", queued), path("b", stored)))
	require.NoError(t, os.Remove(path("b", stored)))
	require.NoError(t, os.Remove(path("c", queued)))
	require.NoError(t, os.Rename(path("d", queued), path("d", damaged)))
	require.NoError(t, os.Rename(path("e", queued), path("e", stored)))
	require.NoError(t, os.WriteFile(path("e", queued), nil, 0o600)) // as after a power cut
	require.NoError(t, os.Remove(path("e", queued)))
	require.NoError(t, os.WriteFile(filepath.Join(dir, "tags"), nil, 0o600))
	require.NoError(t, w.close())

	require.NoError(t, w.fault)
	require.Empty(t, elsewhere)
	require.Len(t, seen, 5)
	for name, want := range map[string]life{
		"a": {Stored: true, Present: map[string]bool{stored: true}},
		"b": {Stored: true, Present: map[string]bool{}},
		"c": {Present: map[string]bool{}},
		"e": {Stored: true, Present: map[string]bool{stored: true}},
		"d": {Damaged: true, Present: map[string]bool{damaged: true}},
	} {
		want.Name, want.Class, want.Stream, want.Tag = names[name], 3, "video", strings.Repeat("b", 32)
		require.Equal(t, &want, seen[names[name]], name)
	}
	require.NoError(t, w.close(), "twice is no harm")
}

func TestLossRecordIsRead(t *testing.T) {
	dir := t.TempDir()
	none, err := readLosses(dir)
	require.NoError(t, err)
	require.Empty(t, none)
	a, nameA := spoolFile(t, "a", queued)
	b, nameB := spoolFile(t, "b", queued)
	text := "roadseal losses 1\n\nsum evicted 3 21 7096626 7d745119\n\nevicted " + a + " 00000000\n\ndamaged " + b + " 00000000\n"
	require.NoError(t, os.WriteFile(filepath.Join(dir, "losses"), []byte(text), 0o600))
	got, err := readLosses(dir)
	require.NoError(t, err)
	require.Equal(t, losses{nameA: "evicted", nameB: "damaged"}, got)
}
