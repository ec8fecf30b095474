package trip_test

import (
	"encoding/json"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"roadseal/cmd/internal/trip"
)

// TestSecondOpenerReadsTracks: the second opener, a Python program, opens track
// documents, finds their header to be that of their record, and counts the same
// fixes. It refuses what Tracks takes for a fault.
func TestSecondOpenerReadsTracks(t *testing.T) {
	python, err := exec.LookPath("python3")
	if err != nil {
		t.Skip("python3 is not installed: the second opener was not run")
	}
	_, err = os.ReadDir("../../../testdata/opener") // so that the test cache notices a change
	require.NoError(t, err)
	file, public, err := trip.NewKey(time.Now())
	require.NoError(t, err)
	keys, err := trip.ReadKeys([]string{"-"}, strings.NewReader(file), nil)
	require.NoError(t, err)
	h := &holder{t: t, dir: t.TempDir(), keys: keys, to: public}
	keyFile := filepath.Join(t.TempDir(), "key")
	require.NoError(t, os.WriteFile(keyFile, []byte(file), 0o600))

	rec := batch()
	rec.Boot, rec.Sequence = 12, 34
	good := string(content(12, 34, fix(1, 0), bare(2), fix(3, 0)))
	edit := func(old, new string) string {
		require.Contains(t, good, old)
		return strings.Replace(good, old, new, 1)
	}
	contents := []string{
		good,
		edit("track/1", "track/2"),
		edit("# boot 12", "# boot 13"),
		edit("# sequence 34", "# sequence 034"),
		edit("mono_s,utc", "utc,mono_s"),
		edit("degrees WGS 84", "degrees ED50"),
		edit(",9,0.75,", ",9,0.75,,"),
		good[:len(good)-1],
	}
	args := []string{"-B", "../../../testdata/opener/opener.py", "--identity", keyFile}
	for _, c := range contents {
		args = append(args, h.add(rec, []byte(c)))
	}
	out, err := exec.Command(python, args...).Output()
	require.ErrorContains(t, err, "exit status 1")
	lines := strings.Split(strings.TrimSpace(string(out)), "\n")
	require.Len(t, lines, len(contents))
	for i, line := range lines {
		var v struct {
			Refused string
			Track   struct{ Boot, Sequence, Fixes int }
		}
		require.NoError(t, json.Unmarshal([]byte(line), &v))
		if i > 0 {
			require.Contains(t, v.Refused, "track document", contents[i])
			continue
		}
		require.Empty(t, v.Refused)
		require.Equal(t, [3]int{12, 34, 3}, [3]int{v.Track.Boot, v.Track.Sequence, v.Track.Fixes})
	}
}
