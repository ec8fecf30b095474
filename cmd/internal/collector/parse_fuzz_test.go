package collector_test

import (
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"roadseal/cmd/internal/collector"
)

// FuzzParseShards: a set of shards, written again, is the same set.
func FuzzParseShards(f *testing.F) {
	for _, s := range []string{"00-ff", "00-7f, a3", "3a", "ff-00", "0a, 0A", "00-10, 10-20", ""} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, text string) {
		s, err := collector.ParseShards(strings.Split(text, ", "))
		if err != nil {
			return
		}
		again, err := collector.ParseShards(strings.Split(s.String(), ", "))
		require.NoError(t, err)
		require.Equal(t, s, again)
		require.NotEmpty(t, s.Filters())
	})
}

// FuzzParseKey: a receipt key, written again, is the same key; no error shows
// any of the file.
func FuzzParseKey(f *testing.F) {
	k, err := collector.GenerateKey()
	require.NoError(f, err)
	good, err := k.MarshalPEM()
	require.NoError(f, err)
	f.Add(good)
	f.Add(append([]byte("a note\n"), good...))
	f.Add([]byte(strings.ReplaceAll(string(good), "PRIVATE", "EC PRIVATE")))
	f.Fuzz(func(t *testing.T, b []byte) {
		k, err := collector.ParseKey(b)
		if err != nil {
			require.Contains(t, err.Error(), "not a receipt key: ")
			require.Less(t, len(err.Error()), 200)
			return
		}
		text, err := k.MarshalPEM()
		require.NoError(t, err)
		again, err := collector.ParseKey(text)
		require.NoError(t, err)
		require.Equal(t, k.Public(), again.Public())
		canonical, err := again.MarshalPEM()
		require.NoError(t, err)
		require.Equal(t, string(text), string(canonical))
	})
}
