// Package clitest holds what the command lines of all programs have in common,
// as rules that a test walks a program's tree with; it writes the manual from
// the same tree, and has commands for scripts that run the real program. Only
// tests import it.
//
// Side: any.
package clitest

import (
	"fmt"
	"regexp"
	"slices"
	"strings"
	"unicode/utf8"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"
)

// width is how long a line of help may be, in characters.
const width = 82

// Verbs are the commands of a program that a person can run, in the order of
// the help; those of a group of verbs stand in its place.
func Verbs(root *cobra.Command) (verbs []*cobra.Command) {
	for _, c := range root.Commands() {
		switch {
		case c.HasSubCommands():
			verbs = append(verbs, Verbs(c)...)
		case c.IsAvailableCommand() || c.Name() == "help":
			verbs = append(verbs, c)
		}
	}
	return verbs
}

// verb is how a command is called after the name of its program.
func verb(c *cobra.Command) string {
	return strings.TrimPrefix(c.CommandPath(), c.Root().Name()+" ")
}

// Faults walks a program and names each text that is missing or not as in all
// other programs.
func Faults(root *cobra.Command) []string {
	var f faults
	f.command(root)
	for _, c := range root.Commands() {
		if c.HasSubCommands() {
			f = append(f, Faults(c)...)
		} else if c.IsAvailableCommand() || c.Name() == "help" {
			f.command(c)
		}
	}
	return f
}

type faults []string

func (f *faults) add(c *cobra.Command, format string, a ...any) {
	*f = append(*f, c.CommandPath()+": "+fmt.Sprintf(format, a...))
}

// expect notes a fault unless ok.
func (f *faults) expect(ok bool, c *cobra.Command, format string, a ...any) {
	if !ok {
		f.add(c, format, a...)
	}
}

var message = regexp.MustCompile(`^[^A-Z].*[^.\n]$`)

func (f *faults) command(c *cobra.Command) {
	f.expect(message.MatchString(c.Short), c, "expected a short text without a capital and a period, not %q", c.Short)
	text, status := split(c.Long)
	f.expect(text != "", c, "expected a text that says what it does")
	f.status(c, status)
	f.examples(c)
	for line := range strings.Lines(c.Long + "\n" + c.Example) {
		f.expect(utf8.RuneCountInString(line) <= width, c, "a line of its help is too long: %q", line)
	}
	c.LocalNonPersistentFlags().VisitAll(func(flag *pflag.Flag) { f.flag(c, flag) })
	c.PersistentFlags().VisitAll(func(flag *pflag.Flag) { f.flag(c, flag) })
	if asJSON := c.Flags().Lookup("json"); asJSON != nil {
		f.expect(strings.Contains(c.Long, "\n--json prints "), c, "expected a paragraph that says what --json prints")
	}
	f.expect(c.HasSubCommands() || c.ValidArgsFunction != nil || c.ValidArgs != nil, c, "expected a completion of its arguments")
}

func (f *faults) status(c *cobra.Command, status []Status) {
	var codes []string
	for _, s := range status {
		codes = append(codes, s.Code)
		f.expect(message.MatchString(s.Text), c, "expected a meaning of status %s without a capital and a period, not %q", s.Code, s.Text)
	}
	f.expect(slices.IsSorted(codes) && slices.Contains(codes, "0") && slices.Contains(codes, "2"), c,
		`expected a last paragraph "Exit status: 0 …, 1 …, 2 …."; read %q`, codes)
}

func (f *faults) examples(c *cobra.Command) {
	f.expect(c.Example != "", c, "expected an example")
	for _, e := range Examples(c.Example) {
		f.expect(strings.Contains(e, c.CommandPath()), c, "%q is no example of it", e)
	}
}

// Flags that several verbs have are called the same and mean the same.
var (
	letters   = map[string]string{"config": "c", "out": "o", "identity": "i", "help": "h"}
	otherName = map[string]string{"output": "out", "outfile": "out", "key-file": "identity", "verbose": "debug", "quiet": "2> /dev/null", "format-json": "json"}
	secret    = regexp.MustCompile(`pass|secret|token|private|pin\b`)
	weakening = regexp.MustCompile(`insecure|skip|unsafe|^no-|disable|allow|trust|ignore`)
)

func (f *faults) flag(c *cobra.Command, flag *pflag.Flag) {
	name, usage := pflag.UnquoteUsage(flag)
	bad := func(format string, a ...any) { f.add(c, "--"+flag.Name+": "+format, a...) }
	if !message.MatchString(usage) && (name == "" || !strings.HasPrefix(usage, name)) {
		bad("expected a text without a capital and a period, not %q", usage)
	}
	if want, ok := letters[flag.Name]; flag.Shorthand != want && (ok || flag.Shorthand != "") {
		bad("expected the letter %q, not %q", want, flag.Shorthand)
	}
	if want, ok := otherName[flag.Name]; ok {
		bad("is called %s everywhere", want)
	}
	if secret.MatchString(flag.Name) && !strings.HasSuffix(flag.Name, "-file") {
		bad("a secret in a flag is read by every process of the machine")
	}
	if weakening.MatchString(flag.Name) {
		bad("no switch weakens anything")
	}
	kind := flag.Value.Type()
	if kind == "bool" {
		return
	}
	if name != strings.ToUpper(name) {
		bad("expected a name such as FILE for its value, not %q", name)
	}
	if kind == "string" || kind == "stringArray" {
		_, values := c.GetFlagCompletionFunc(flag.Name)
		_, files := flag.Annotations[cobra.BashCompFilenameExt]
		_, folders := flag.Annotations[cobra.BashCompSubdirsInDir]
		if !values && !files && !folders {
			bad("expected a completion of its values")
		}
	}
}

// A Status is one line of a section EXIT STATUS.
type Status struct{ Code, Text string }

const statusMark = "Exit status: "

var statusCode = regexp.MustCompile(`(?:^|, )([0-3]) `)

// split takes the exit statuses off a long help.
func split(long string) (text string, status []Status) {
	text, rest, ok := strings.Cut(long, "\n\n"+statusMark)
	if !ok {
		return long, nil
	}
	rest = strings.TrimSuffix(strings.ReplaceAll(rest, "\n", " "), ".")
	marks := statusCode.FindAllStringSubmatchIndex(rest, -1)
	for i, m := range marks {
		end := len(rest)
		if i+1 < len(marks) {
			end = marks[i+1][0]
		}
		status = append(status, Status{rest[m[2]:m[3]], rest[m[1]:end]})
	}
	return text, status
}

var continued = regexp.MustCompile(`\\\n\s*`)

// Examples are the command lines of an example, without comments. A line that
// ends with a backslash goes on in the next.
func Examples(text string) (lines []string) {
	for line := range strings.Lines(continued.ReplaceAllString(text, "")) {
		line, _, _ = strings.Cut(line, "  #")
		if line = strings.TrimSpace(line); line != "" {
			lines = append(lines, line)
		}
	}
	return lines
}
