package agent_test

import (
	"encoding/json"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"roadseal/agent/health"
)

// TestTheKeyHolderLearnsOfALoss: a small spool, clips for which others must give
// way, and what is then sealed for the key holder.
func TestTheKeyHolderLearnsOfALoss(t *testing.T) {
	u := newUnit(t)
	u.configure(
		"[spool]\n", "[spool]\nmax_bytes = \"1MiB\"\n",
		"[[stream]]\nname = \"rest\"", "[[stream]]\nname = \"health\"\nfrom = [\"health\"]\nto = [\""+u.id.Recipient().String()+"\"]\nclass = 2\n[[stream]]\nname = \"rest\"",
	)
	_, stop := u.start()
	clip := strings.Repeat("footage ", 100_000/8)
	for i := range 12 {
		u.write("record/20261124_05300"+string(rune('0'+i/2))+"_N"+[]string{"F", "R"}[i%2]+".mp4", clip+string(rune('a'+i)))
	}
	u.until("some gave way", func(s *health.Status) bool {
		return s.Cameras[0].Sealed == 12 && s.Spool.Evicted.All().Objects > 0 &&
			strings.Contains(strings.Join(s.Problems, ";"), "were lost (ever: ")
	})
	require.NoError(t, stop())

	docs := u.sealed()["health"]
	require.Len(t, docs, 1, "one at a clean stop")
	var d health.Document
	require.NoError(t, json.Unmarshal([]byte(docs[0]), &d))
	require.EqualValues(t, 1, d.Boot)
	require.Zero(t, d.More)
	require.EqualValues(t, len(d.Losses), d.Status.Spool.Evicted.All().Objects)
	for _, l := range d.Losses {
		require.Equal(t, "evicted", l.Reason)
		require.Equal(t, "rest", l.Stream)
		require.Len(t, l.Object, 64)
	}
	for _, secret := range []string{"20261124_0530", "QX4711", "footage", u.dir} {
		require.NotContains(t, docs[0], secret)
	}

	// Without a receipt for the document the next start tells them again.
	lost := d.Losses
	_, stop = u.start()
	require.NoError(t, stop())
	docs = u.sealed()["health"]
	require.Len(t, docs, 2)
	require.NoError(t, json.Unmarshal([]byte(docs[1]), &d))
	require.EqualValues(t, 2, d.Boot)
	require.Equal(t, lost, d.Losses)
}
