package strict_test

import (
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"roadseal/agent/config/strict"
)

type even int

func (e *even) UnmarshalText(b []byte) error {
	if len(b)%2 != 0 {
		return errors.New("expected an even number of letters")
	}
	*e = even(len(b))
	return nil
}

type config struct {
	Device struct {
		Name   string `toml:"name"`
		Number string `toml:"number"`
		Baud   int    `toml:"baud"`
		On     bool   `toml:"on"`
	} `toml:"device"`
	Stream []struct {
		Name string   `toml:"name"`
		To   []even   `toml:"to"`
		From []string `toml:"from"`
	} `toml:"stream"`
}

func TestErrorsNameThePlace(t *testing.T) {
	for name, c := range map[string]struct{ in, want string }{
		"unknown key": {
			"[device]\nname = 'x'\nbaud_rate = 5\n",
			`f.toml:3:1: unknown key "baud_rate"; [device] takes: name, number, baud, on
    baud_rate = 5
    ^`},
		"unknown table": {
			"[devise]\nname = 'x'\n",
			`f.toml:1:2: unknown key "devise"; the file takes: device, stream
    [devise]
     ^`},
		"wrong type": {
			"[device]\nbaud = '9600'\n",
			`f.toml:2:8: expected a whole number without quotes, found string
    baud = '9600'
           ^`},
		"list": {
			"[[stream]]\nfrom = 'gnss'\n",
			`f.toml:2:8: expected a list, in [ ], found string
    from = 'gnss'
           ^`},
		"syntax": {
			"[device]\n\tname = \n",
			"f.toml:2:9: unexpected character U+000A at start of value\n    \tname = \n    \t       ^"},
		"value with its own check": {
			"[[stream]]\n[[stream]]\nto = ['ab', 'abc']\n",
			`f.toml:3:13: expected an even number of letters
    to = ['ab', 'abc']
                ^`},
		"private": {
			"[device]\nnumber = WDB4711\n",
			`f.toml:2:10: `},
	} {
		t.Run(name, func(t *testing.T) {
			var v config
			_, err := strict.Decode("f.toml", []byte(c.in), &v, "number")
			if name == "private" {
				require.ErrorContains(t, err, c.want)
				require.NotContains(t, err.Error(), "4711")
				return
			}
			require.EqualError(t, err, c.want)
		})
	}
}

func TestErrorfFindsKeys(t *testing.T) {
	var v config
	d, err := strict.Decode("f.toml", []byte(`# comment
[device]
name = "x"
[[stream]]
name = "a"
[[stream]]
name = "b"
from = ["gnss"]
`), &v)
	require.NoError(t, err)
	for _, c := range []struct {
		path []any
		want string
	}{
		{[]any{"device", "name"}, "f.toml:3:1: no\n    name = \"x\"\n    ^"},
		{[]any{"device", "baud"}, "f.toml:2:2: no\n    [device]\n     ^"},
		{[]any{"stream", 0, "name"}, "f.toml:5:1: no\n    name = \"a\"\n    ^"},
		{[]any{"stream", 1, "from"}, "f.toml:8:1: no\n    from = [\"gnss\"]\n    ^"},
		{[]any{"stream", 1, "to"}, "f.toml:6:3: no\n    [[stream]]\n      ^"},
		{[]any{"broker"}, "f.toml: no"},
		{[]any{"broker", "ca"}, "f.toml: in [broker]: no"},
	} {
		require.EqualError(t, d.Errorf(c.path, "no"), c.want, "%v", c.path)
	}
}

func TestLoad(t *testing.T) {
	dir := t.TempDir()
	_, err := strict.Load(filepath.Join(dir, "none.toml"), &config{})
	require.EqualError(t, err, filepath.Join(dir, "none.toml")+`: there is no such configuration; hint: --config names the file, the verb "example" prints one to start from`)

	big := filepath.Join(dir, "big.toml")
	require.NoError(t, os.WriteFile(big, make([]byte, 2<<20), 0o600))
	_, err = strict.Load(big, &config{})
	require.ErrorContains(t, err, "larger than")
}

func TestWhatIsNoTextIsNotShown(t *testing.T) {
	_, err := strict.Decode("f.toml", []byte("[a]\nb\t\x1b[2J\u009b\xff\xefé = \x00"), &config{})
	require.ErrorContains(t, err, "\n    b\t?[2J????é = ?\n")
}

func FuzzDecode(f *testing.F) {
	f.Add([]byte("[device]\nname = 'x'\n[[stream]]\nto = ['ab']\n"))
	f.Add([]byte("a.b.c = [1, {x = 2}]\n[[a.b]]\n"))
	f.Fuzz(func(t *testing.T, b []byte) {
		var v config
		d, err := strict.Decode("f", b, &v)
		if err != nil {
			_ = err.Error()
			return
		}
		_ = d.Errorf([]any{"stream", 1, "to"}, "x").Error()
	})
}

func TestLongLinesAndSecretsAreNotShown(t *testing.T) {
	var v config
	long := "[[stream]]\nto = ['" + strings.Repeat("ab", 200) + "', 'abc', '" + strings.Repeat("cd", 200) + "']\n"
	_, err := strict.Decode("f.toml", []byte(long), &v)
	require.Error(t, err)
	lines := strings.Split(err.Error(), "\n")
	require.Equal(t, "f.toml:2:411: expected an even number of letters", lines[0])
	require.Less(t, len(lines[1]), 120)
	require.Equal(t, "'abc'", string([]rune(lines[1])[strings.IndexByte(lines[2], '^'):][:5]), "the caret stands under the fault")

	_, err = strict.Decode("f.toml", []byte("[[stream]]\nto = ['AGE-SECRET-KEY-PQ-1QQ']\n"), &v)
	require.ErrorContains(t, err, "[secret key]")
	require.NotContains(t, err.Error(), "1QQ")
}
