package strict_test

import (
	"testing"

	"github.com/stretchr/testify/require"

	"roadseal/agent/config/strict"
)

// FuzzValues: what is read, printed and read again is the same amount.
func FuzzValues(f *testing.F) {
	for _, s := range []string{"90s", "1h30m", "500MB", "8GiB", "1.5 TiB", "4611686018427387903", "0B", "1e3kB", "-1", "NaN", "Inf", "0x1p60B"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, s string) {
		var d, d2 strict.Duration
		if d.UnmarshalText([]byte(s)) == nil {
			require.Positive(t, d.Duration)
			require.NoError(t, d2.UnmarshalText([]byte(d.String())))
			require.Equal(t, d, d2)
		}
		var b, b2 strict.Bytes
		if b.UnmarshalText([]byte(s)) == nil {
			require.GreaterOrEqual(t, b, strict.Bytes(0))
			require.NoError(t, b2.UnmarshalText([]byte(b.String())))
			require.Equal(t, b, b2, "%q is %s", s, b)
		}
	})
}
