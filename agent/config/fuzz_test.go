package config_test

import (
	"errors"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"roadseal/agent/config"
	"roadseal/agent/config/strict"
)

// FuzzRewrite: a configuration says the same with other line ends, comments and
// empty lines, whether it is in order or not; each fault has its place.
func FuzzRewrite(f *testing.F) {
	f.Add(config.Example)
	f.Add(strings.ReplaceAll(config.Example, "\n\n", "\n"))
	f.Add("[spool]\npath = 'x'\nmax = '1GB'\n")
	f.Add("[[camera]]\npattern='('\n[[stream]]\nto=['age1']\n")
	f.Fuzz(func(t *testing.T, s string) {
		c, err := config.Parse("f.toml", []byte(s))
		again, errAgain := config.Parse("f.toml", []byte(s+"\n\t# a comment\n\n"))
		require.Equal(t, err == nil, errAgain == nil, "%v, then %v", err, errAgain)
		if err == nil {
			require.Equal(t, c, again)
			return
		}
		require.Nil(t, c)
		var fault *strict.Error
		require.True(t, errors.As(err, &fault), "%v", err)
		for line := range strings.SplitSeq(err.Error(), "\n") {
			require.True(t, strings.HasPrefix(line, "f.toml:") || strings.HasPrefix(line, "    "), "%q", line)
		}
	})
}
