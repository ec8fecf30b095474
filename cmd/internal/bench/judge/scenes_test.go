package judge

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

// TestBothSidesShowTheSameObject follows one object from the dump to the
// commands that open it.
func TestBothSidesShowTheSameObject(t *testing.T) {
	s := newStage(t)
	_, sc, err := Judge(t.Context(), s.Evidence)
	require.NoError(t, err)

	require.Len(t, sc.Outsider.Dump, dumpLines)
	require.Regexp(t, `^0018aa ( [0-9a-f]{2}){16} [ -~]{16}$`, sc.Outsider.Dump[0])
	require.Len(t, sc.Outsider.Listing, 7)
	require.Equal(t, "roadseal/1", sc.Holder.Record[0])
	require.Contains(t, strings.Join(sc.Holder.Record, "\n"), "vehicle: "+s.Number)
	require.Len(t, sc.Holder.Try, 3)
	object := strings.TrimPrefix(sc.Holder.Try[0], "sha256sum ")
	require.FileExists(t, filepath.Join(s.dir, object))
	require.Len(t, sc.Track, len(s.Recording.Valid))
	require.Len(t, sc.Clips, len(s.Plan))
}

// TestOutsiderSeesNoSecret: the page shows both sides, but what it calls the
// outsider's must be his.
func TestOutsiderSeesNoSecret(t *testing.T) {
	s := newStage(t)
	_, sc, err := Judge(t.Context(), s.Evidence)
	require.NoError(t, err)
	scanner, err := s.secrets()
	require.NoError(t, err)
	for _, lines := range [][]string{sc.Outsider.Topics, sc.Outsider.Listing, sc.Outsider.Dump} {
		hits, err := scanner.Scan(strings.NewReader(strings.Join(lines, "\n")), "outsider")
		require.NoError(t, err)
		require.Empty(t, hits)
	}
	hits, err := scanner.Scan(strings.NewReader(strings.Join(sc.Holder.Record, "\n")), "holder")
	require.NoError(t, err)
	require.Len(t, hits, 2, "vehicle number and file name are the key holder's")
}

func TestLongListingIsCut(t *testing.T) {
	var l loot
	for range 20 {
		l.items = append(l.items, item{path: "/out/store/pool/3/" + strings.Repeat("a", 64)})
	}
	lines := listing("/out/store", l)
	require.Len(t, lines, listingLines+1)
	require.Equal(t, "… and 12 more", lines[listingLines])
	require.Equal(t, "        0  pool/3/"+strings.Repeat("a", 39)+"…", lines[0])
}

func TestDumpOfAShortFile(t *testing.T) {
	path := filepath.Join(t.TempDir(), "x")
	require.NoError(t, os.WriteFile(path, []byte("\x00roadseal"), 0o600))
	lines, err := dump(path, 1)
	require.NoError(t, err)
	require.Equal(t, []string{"000001  72 6f 61 64 73 65 61 6c roadseal"}, lines)
	lines, err = dump(path, 100)
	require.NoError(t, err)
	require.Empty(t, lines)
}
