package cli

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"runtime/debug"
	"syscall"
	"testing"

	"github.com/spf13/cobra"
	"github.com/stretchr/testify/require"
)

// program is one with a verb that ends with err.
func program(err error) *cobra.Command {
	root := &cobra.Command{Use: "roadseal-test"}
	verb := &cobra.Command{Use: "verb FILE", Args: cobra.ExactArgs(1), RunE: func(*cobra.Command, []string) error { return err }}
	verb.Flags().Int("count", 0, "")
	return Program(root, verb)
}

func execute(root *cobra.Command, args ...string) (code int, stdout, stderr string) {
	var out, errs bytes.Buffer
	root.SetArgs(args)
	root.SetOut(&out)
	root.SetErr(&errs)
	code = run(context.Background(), root)
	return code, out.String(), errs.String()
}

func TestStatusFollowsTheError(t *testing.T) {
	caret := errors.New("a.toml:3:1: unknown key\n  3 | colour = 1\n    | ^^^^^^")
	for _, c := range []struct {
		name   string
		err    error
		args   []string
		code   int
		stderr string
	}{
		{"done", nil, []string{"verb", "f"}, Done, ""},
		{"failed", errors.New("cannot do it"), []string{"verb", "f"}, Failed, "roadseal-test: cannot do it\n"},
		{"found", WithCode(Found, errors.New("2 bad objects")), []string{"verb", "f"}, Found, "roadseal-test: 2 bad objects\n"},
		{"code under a wrap", fmt.Errorf("store: %w", WithCode(Found, errors.New("bad"))), []string{"verb", "f"}, Found,
			"roadseal-test: store: bad\n"},
		{"configuration with caret", Config(caret), []string{"verb", "f"}, Usage, "roadseal-test: " + caret.Error() + "\n"},
		{"usage from the verb", Usagef("no such mode %q", "x"), []string{"verb", "f"}, Usage,
			"roadseal-test: no such mode \"x\"\nrun \"roadseal-test verb --help\" for how to use it\n"},
		{"wrong number of arguments", nil, []string{"verb"}, Usage,
			"roadseal-test: accepts 1 arg(s), received 0\nrun \"roadseal-test verb --help\" for how to use it\n"},
		{"unknown flag", nil, []string{"verb", "f", "--colour"}, Usage,
			"roadseal-test: unknown flag: --colour\nrun \"roadseal-test verb --help\" for how to use it\n"},
		{"bad flag value", nil, []string{"verb", "f", "--count=many"}, Usage,
			"roadseal-test: --count \"many\": expected a whole number\n" +
				"run \"roadseal-test verb --help\" for how to use it\n"},
		{"unknown verb", nil, []string{"dance"}, Usage,
			"roadseal-test: unknown command \"dance\" for \"roadseal-test\"\nrun \"roadseal-test --help\" for how to use it\n"},
	} {
		t.Run(c.name, func(t *testing.T) {
			code, stdout, stderr := execute(program(c.err), c.args...)
			require.Equal(t, c.code, code)
			require.Equal(t, c.stderr, stderr)
			require.Empty(t, stdout)
		})
	}
}

func TestHelpIsDoneAndAMissingVerbIsNot(t *testing.T) {
	code, stdout, _ := execute(program(nil), "--help")
	require.Equal(t, Done, code)
	require.Contains(t, stdout, "Available Commands")
	code, stdout, _ = execute(program(nil))
	require.Equal(t, Usage, code)
	require.Contains(t, stdout, "Available Commands")
}

func TestVersion(t *testing.T) {
	code, stdout, _ := execute(program(nil), "version")
	require.Equal(t, Done, code)
	require.Regexp(t, `^roadseal-test \S+ \(.*go1.*, \w+/\w+\)\n$`, stdout)
	code, stdout, _ = execute(program(nil), "version", "--json")
	require.Equal(t, Done, code)
	var v Version
	require.NoError(t, json.Unmarshal([]byte(stdout), &v))
	require.Equal(t, BuildVersion("roadseal-test"), v)
	require.NotEmpty(t, v.Version)
}

func TestVersionNamesTheCommit(t *testing.T) {
	revision := debug.BuildSetting{Key: "vcs.revision", Value: "abc"}
	require.Equal(t, "", vcs(nil))
	require.Equal(t, "abc", vcs([]debug.BuildSetting{revision, {Key: "vcs.modified", Value: "false"}}))
	require.Equal(t, "abc+changed", vcs([]debug.BuildSetting{revision, {Key: "vcs.modified", Value: "true"}}))
	require.Equal(t, "p 1 (commit c, g, o/a)", Version{"p", "1", "c", "g", "o/a"}.String())
	require.Equal(t, "p 1 (g, o/a)", Version{"p", "1", "", "g", "o/a"}.String())
}

func TestASignalEndsTheContext(t *testing.T) {
	root := &cobra.Command{Use: "roadseal-test", RunE: func(cmd *cobra.Command, _ []string) error {
		if err := syscall.Kill(os.Getpid(), syscall.SIGTERM); err != nil {
			return err
		}
		<-cmd.Context().Done()
		return nil
	}}
	root.SetArgs(nil)
	old := os.Args
	os.Args = old[:1]
	defer func() { os.Args = old }()
	require.Equal(t, Done, Main(root))
}

func TestPrintJSON(t *testing.T) {
	var b bytes.Buffer
	require.NoError(t, PrintJSON(&b, map[string]string{"a": "<&>"}))
	require.Equal(t, "{\n  \"a\": \"<&>\"\n}\n", b.String())
}

func TestAPipeIsNoTerminal(t *testing.T) {
	r, w, err := os.Pipe()
	require.NoError(t, err)
	defer r.Close()
	defer w.Close()
	require.False(t, IsTerminal(w))
}
