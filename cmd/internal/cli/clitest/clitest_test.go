package clitest

import (
	"strings"
	"testing"

	"github.com/spf13/cobra"
	"github.com/stretchr/testify/require"

	"roadseal/cmd/internal/cli"
)

// program is one in order.
func program() (root, verb *cobra.Command) {
	verb = &cobra.Command{
		Use:   "show FILE",
		Short: "show a file",
		Long: `show shows a file, as in
  a: 1

--json prints {a}.

Exit status: 0 done, 1 failed, 2 wrong command line, 3 there
is something, 'odd'.`,
		Example: "  prog show a \\\n    b   # and so on",
		RunE:    func(*cobra.Command, []string) error { return nil },
	}
	verb.Flags().Bool("json", false, "print JSON")
	verb.Flags().StringP("out", "o", "x.txt", "write to `FILE`")
	cli.Files(verb, "out")
	root = &cobra.Command{Use: "prog", Short: "do it", Long: "prog does it.\n\nExit status: 0 done, 2 not…", Example: "  prog show a"}
	return cli.Program(root, verb), verb
}

func TestAProgramInOrderHasNoFaults(t *testing.T) {
	root, _ := program()
	require.Empty(t, Faults(root))
}

func TestFaults(t *testing.T) {
	for want, spoil := range map[string]func(*cobra.Command){
		`prog show: expected a short text without a capital and a period, not "Show"`:  func(c *cobra.Command) { c.Short = "Show" },
		`prog show: expected a short text without a capital and a period, not "show."`: func(c *cobra.Command) { c.Short = "show." },
		"prog show: expected a text that says what it does":                            func(c *cobra.Command) { c.Long = c.Long[strings.Index(c.Long, "\n\nExit"):] },
		`prog show: expected a last paragraph`:                                         func(c *cobra.Command) { c.Long = "show shows" },
		`prog show: expected a meaning of status 0`:                                    func(c *cobra.Command) { c.Long = strings.Replace(c.Long, "0 done", "0 Done", 1) },
		"prog show: expected an example":                                               func(c *cobra.Command) { c.Example = "" },
		`prog show: "prog a" is no example of it`:                                      func(c *cobra.Command) { c.Example = "  prog a" },
		"prog show: a line of its help is too long":                                    func(c *cobra.Command) { c.Example += strings.Repeat("…", width) },
		"prog show: expected a paragraph that says what --json prints":                 func(c *cobra.Command) { c.Long = strings.Replace(c.Long, "--json prints", "it is", 1) },
		"prog show: expected a completion of its arguments":                            func(c *cobra.Command) { c.ValidArgsFunction = nil },
		`prog show: --wide: expected a text`:                                           func(c *cobra.Command) { c.Flags().Bool("wide", false, "Wide") },
		`prog show: --wide: expected the letter ""`:                                    func(c *cobra.Command) { c.Flags().BoolP("wide", "w", false, "wide") },
		`prog show: --out: expected the letter "o"`:                                    func(c *cobra.Command) { c.Flags().Lookup("out").Shorthand = "" },
		`prog show: --output: is called out everywhere`:                                func(c *cobra.Command) { c.Flags().Bool("output", false, "x") },
		`prog show: --password: a secret`:                                              func(c *cobra.Command) { c.Flags().Bool("password", false, "x") },
		`prog show: --insecure: no switch`:                                             func(c *cobra.Command) { c.Flags().Bool("insecure", false, "x") },
		`prog show: --n: expected a name such as FILE for its value, not "int"`:        func(c *cobra.Command) { c.Flags().Int("n", 0, "number") },
		`prog show: --s: expected a completion of its values`:                          func(c *cobra.Command) { c.Flags().String("s", "", "`TEXT` to show") },
	} {
		root, verb := program()
		spoil(verb)
		require.Contains(t, strings.Join(Faults(root), "\n"), want)
	}
}

func TestManualOfAVerb(t *testing.T) {
	root, _ := program()
	page := string(Manual(root, Section{Files: [][2]string{{"/a-b", "what"}}, SeeAlso: []string{"x.1", "y.toml.5"}}))
	for _, want := range []string{
		".TH PROG 1 \"\" roadseal \"roadseal manual\"\n.SH NAME\nprog \\- do it\n.SH SYNOPSIS\n",
		"\n.PP\n\\fBprog show\\fR FILE\n",
		"\n.SS show FILE\nshow shows a file, as in\n.EX\n  a: 1\n.EE\n",
		".TP\n\\fB\\-o, \\-\\-out FILE\\fR\nwrite to FILE (default x.txt)\n",
		".TP\n\\fB3\\fR\nthere is something, \\(aqodd\\(aq\n",
		".EX\n  prog show a \\e\n    b   # and so on\n.EE\n",
		".SH EXIT STATUS\n.TP\n\\fB0\\fR\ndone\n.TP\n\\fB2\\fR\nnot\\[u2026]\n",
		".SH SEE ALSO\n.BR x (1),\n.BR y.toml (5)\n",
	} {
		require.Contains(t, page, want)
	}
	again, _ := program()
	require.Equal(t, page, string(Manual(again, Section{Files: [][2]string{{"/a-b", "what"}}, SeeAlso: []string{"x.1", "y.toml.5"}})))
}

func TestManualOfAConfiguration(t *testing.T) {
	page := string(ConfigManual("p.toml", "it", "# All.\n\n# The first.\n[a]\n# Some\n#   x = 1\n# more.\nk = \"v\"\nl = 2\n\n[[b]]\nm = 3\n\n[[b]]\nm = 4\n", Section{SeeAlso: []string{"p.1"}}))
	require.Contains(t, page, ".SH DESCRIPTION\nAll.\n.PP\nThe first.\n.SS [a]\n.TP\n\\fBk = \"v\"\\fR\nSome\n.EX\n  x = 1\n.EE\nmore.\n.TP\n\\fBl = 2\\fR\n.SS [[b]]\n.TP\n\\fBm = 3\\fR\n.TP\n\\fBm = 4\\fR\n.SH FILES\n")
}

func TestExamples(t *testing.T) {
	require.Equal(t, []string{"a b c", "d '#'"}, Examples("  a b \\\n    c   # why\n\n  d '#'\n"))
}
