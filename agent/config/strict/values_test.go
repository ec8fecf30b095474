package strict_test

import (
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"roadseal/agent/config/strict"
)

func TestValues(t *testing.T) {
	for in, want := range map[string]int64{
		"0": 0, "17": 17, "17B": 17, "4KiB": 4096, "1.5 MiB": 3 << 19, "8GiB": 8 << 30, "500MB": 500_000_000, "2TB": 2e12,
	} {
		var b strict.Bytes
		require.NoError(t, b.UnmarshalText([]byte(in)), in)
		require.EqualValues(t, want, b, in)
		var again strict.Bytes
		require.NoError(t, again.UnmarshalText([]byte(b.String())))
		require.Equal(t, b, again)
	}
	for _, in := range []string{"", "x", "-1", "8 gigs", "GiB", "NaN", "1e300TB", "Inf"} {
		var b strict.Bytes
		require.ErrorContains(t, b.UnmarshalText([]byte(in)), "8GiB", in)
	}
	var d strict.Duration
	require.NoError(t, d.UnmarshalText([]byte("90s")))
	require.Equal(t, 90*time.Second, d.Duration)
	require.Equal(t, "1m30s", d.String())
	for _, in := range []string{"", "90", "-1s", "0s", "soon"} {
		require.ErrorContains(t, d.UnmarshalText([]byte(in)), "30s", in)
	}
}
