package collector_test

import (
	"crypto/sha256"
	"os"
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/require"

	"roadseal/agent/wire"
	"roadseal/crypto/envelope"
)

// TestAStoreThatIsNotWhatItWas: its folder was restored from a bad backup, or
// somebody lies with it. Whoever asks, for whichever class: an alarm, no
// receipt, and not a byte changed; what is merely gone is taken again.
func TestAStoreThatIsNotWhatItWas(t *testing.T) {
	b := object(1)
	changed := append([]byte(nil), b...)
	changed[5_000] ^= 1
	name := envelope.Name(sha256.Sum256(b)).String()
	const clash = "store holds other bytes under this name"
	for what, c := range map[string]struct {
		files  map[string][]byte // by class
		answer string
	}{
		"other bytes":                       {map[string][]byte{"3": changed}, clash},
		"cut short":                         {map[string][]byte{"3": b[:len(b)-1]}, clash},
		"empty":                             {map[string][]byte{"3": {}}, clash},
		"longer":                            {map[string][]byte{"3": append(b[:len(b):len(b)], 0)}, clash},
		"another object":                    {map[string][]byte{"3": object(2)}, clash},
		"bad where it is kept longest":      {map[string][]byte{"1": changed, "3": b}, clash},
		"bad where it is kept less long":    {map[string][]byte{"1": b, "3": changed}, "stored"},
		"the same bytes, put there by hand": {map[string][]byte{"3": b}, "stored"},
		"gone":                              {nil, "have"},
	} {
		t.Run(what, func(t *testing.T) {
			virtual(t, nil, func(t *testing.T, r *rig) {
				path := func(class string) string { return filepath.Join(r.dir, "pool", class, name) }
				r.offer(deviceA, b, 3)
				require.Equal(t, []string{"have", "stored"}, kinds(r.blocks(deviceA, b, 0, 2)))
				require.NoError(t, os.Remove(path("3")))
				for class, content := range c.files {
					require.NoError(t, os.WriteFile(path(class), content, 0o600))
				}
				for _, device := range []string{deviceA, deviceB} {
					for _, class := range []uint8{4, 3, 2, 1} {
						answers := r.offer(device, b, class)
						require.Equal(t, []string{c.answer}, kinds(answers), "class %d", class)
						if c.answer == clash { // nor by sending it once more
							require.Empty(t, r.blocks(device, b, 0, 2))
						}
						if c.answer == "have" {
							require.Zero(t, answers[0].(wire.Have).Blocks.Count())
						}
					}
				}
				for class, content := range c.files {
					got, err := os.ReadFile(path(class))
					require.NoError(t, err)
					require.Equal(t, content, got, "class %s was changed", class)
				}
				if c.answer != clash {
					return
				}
				for class := range 4 {
					class := string('1' + rune(class))
					if c.files[class] == nil {
						require.NoFileExists(t, path(class), "added under another class")
					}
				}
				require.Zero(t, r.staged())
				require.Equal(t, 1, r.lines("ERROR"))
				r.stop()
				s, _ := r.last()
				require.EqualValues(t, 8, s.Alarms)
				require.EqualValues(t, 1, s.Receipts, "the first one")
			})
		})
	}
}
