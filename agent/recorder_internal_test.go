package agent

import (
	"testing"

	"github.com/stretchr/testify/require"

	"roadseal/agent/config"
	"roadseal/hal/durable"
)

// TestARecorderIsMetOnce: what existing leaves is said until the folder was met,
// and never again.
func TestARecorderIsMetOnce(t *testing.T) {
	d, err := durable.OpenDisk(t.TempDir())
	require.NoError(t, err)
	defer d.Close()
	a := &Agent{state: d}
	left := func(existing string) (kinds []string) {
		cam, err := a.camera(config.Camera{Name: "dash", Existing: existing})
		require.NoError(t, err)
		if cam.Leave == nil {
			return nil
		}
		for _, kind := range []string{"normal", "event", "parking", "manual", "lapse"} {
			if cam.Leave(kind) {
				kinds = append(kinds, kind)
			}
		}
		return kinds
	}
	require.Empty(t, left(config.ExistingAll))
	require.Equal(t, []string{"normal", "parking", "lapse"}, left(config.ExistingEvents))
	require.Len(t, left(config.ExistingNone), 5)
	cam, err := a.camera(config.Camera{Name: "dash", Existing: config.ExistingNone})
	require.NoError(t, err)
	require.NoError(t, cam.Met())
	require.Empty(t, left(config.ExistingNone))
	require.NoError(t, durable.WriteFile(d, ".", "met.dash", []byte("spoiled")))
	require.Empty(t, left(config.ExistingNone), "rather a clip too many")
}
