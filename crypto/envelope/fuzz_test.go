package envelope_test

import (
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"roadseal/crypto/envelope"
)

// FuzzParseName: an object has one name.
func FuzzParseName(f *testing.F) {
	f.Add(strings.Repeat("0123456789abcdef", 4))
	f.Add(strings.Repeat("0123456789ABCDEF", 4))
	f.Fuzz(func(t *testing.T, s string) {
		if n, err := envelope.ParseName(s); err == nil {
			require.Equal(t, s, n.String())
		}
	})
}

// FuzzSizes: a size that is taken is the one that its plaintext gives, and what
// sealing makes of a content is on the grid and taken.
func FuzzSizes(f *testing.F) {
	f.Add(int64(10426), uint8(3), int64(3072))
	f.Add(int64(1643+1024+16), uint8(0), int64(0))
	f.Add(int64(1)<<62, uint8(63), int64(1)<<50)
	f.Fuzz(func(t *testing.T, size int64, more uint8, content int64) {
		slots := 1 + int(more)%envelope.MaxSlots
		if plain, ok := envelope.PlainSize(slots, size); ok {
			require.Equal(t, size, envelope.SealedSize(slots, plain))
			require.Equal(t, envelope.OnGrid(plain), plain >= envelope.RecordSize && envelope.Padme(plain) == plain)
		}
		if content < 0 || content > 1<<55 {
			return
		}
		for _, grid := range []func(int64) int64{envelope.GridText, envelope.GridBinary} {
			plain := grid(content)
			require.True(t, envelope.OnGrid(plain))
			require.GreaterOrEqual(t, plain, content+envelope.RecordSize)
			require.True(t, plain <= 64<<10 || float64(plain) <= 1.12*float64(content+envelope.RecordSize), plain)
			back, ok := envelope.PlainSize(slots, envelope.SealedSize(slots, plain))
			require.True(t, ok)
			require.Equal(t, plain, back)
		}
	})
}
