package clitest

import (
	"bytes"
	"fmt"
	"strings"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"
)

// Section is what a page says beyond the command tree: pairs of a file and what
// it is for, and the names of pages.
type Section struct {
	Files   [][2]string
	SeeAlso []string
}

// Manual writes the page of a program, section 1, in the macros of man(7). It
// has no date and no version: the same tree gives the same bytes.
func Manual(root *cobra.Command, s Section) []byte {
	r := newRoff(root.Name(), "1", root.Short)
	r.section("SYNOPSIS")
	for _, c := range Verbs(root) {
		r.paragraph()
		r.printf("\\fB%s\\fR%s\n", escape(c.CommandPath()), escape(strings.TrimPrefix(use(c), verb(c))))
	}
	r.section("DESCRIPTION")
	text, status := split(root.Long)
	r.text(text)
	r.section("COMMANDS")
	for _, c := range Verbs(root) {
		r.verb(c)
	}
	r.section("OPTIONS")
	r.text("Every command takes these too:")
	r.flags(root.PersistentFlags())
	r.item("-h, --help", "explain the command; the same as "+root.Name()+" help COMMAND")
	r.section("EXAMPLES")
	r.text(root.Example)
	r.section("EXIT STATUS")
	for _, l := range status {
		r.item(l.Code, l.Text)
	}
	r.section("FILES")
	for _, f := range s.Files {
		r.item(f[0], f[1])
	}
	r.seeAlso(s.SeeAlso)
	return r.Bytes()
}

// use is a verb with its arguments.
func use(c *cobra.Command) string {
	return strings.TrimSuffix(strings.TrimPrefix(c.UseLine(), c.Root().Name()+" "), " [flags]")
}

// verb writes the subsection of a verb.
func (r *roff) verb(c *cobra.Command) {
	r.subsection(use(c))
	text, status := split(c.Long)
	r.text(text)
	r.flags(c.LocalNonPersistentFlags())
	r.text("Exit status:")
	r.printf(".PD 0\n")
	for _, s := range status {
		r.item(s.Code, s.Text)
	}
	r.printf(".PD\n")
	r.text("Examples:")
	r.text(c.Example)
}

func (r *roff) flags(flags *pflag.FlagSet) {
	flags.VisitAll(func(f *pflag.Flag) {
		if f.Hidden || f.Name == "help" {
			return
		}
		value, usage := pflag.UnquoteUsage(f)
		name := "--" + f.Name
		if f.Shorthand != "" {
			name = "-" + f.Shorthand + ", " + name
		}
		if value != "" {
			name += " " + value
		}
		switch f.DefValue {
		case "", "false", "0", "0s", "[]":
		default:
			usage += " (default " + f.DefValue + ")"
		}
		r.item(name, usage)
	})
}

// roff builds a page.
type roff struct {
	bytes.Buffer
	fresh bool // nothing stands below the last heading yet
}

func newRoff(name, section, short string) *roff {
	r := &roff{}
	r.printf(".\\\" Written by \"make man\". Do not edit.\n.TH %s %s \"\" roadseal \"roadseal manual\"\n", escape(strings.ToUpper(name)), section)
	r.section("NAME")
	r.printf("%s \\- %s\n", escape(name), escape(short))
	r.fresh = false
	return r
}

func (r *roff) printf(format string, a ...any) { fmt.Fprintf(r, format, a...) }

func (r *roff) section(name string) {
	r.printf(".SH %s\n", escape(name))
	r.fresh = true
}

func (r *roff) subsection(name string) {
	r.printf(".SS %s\n", escape(name))
	r.fresh = true
}

func (r *roff) paragraph() {
	if !r.fresh {
		r.printf(".PP\n")
	}
	r.fresh = false
}

// text writes paragraphs.
func (r *roff) text(s string) {
	for paragraph := range strings.SplitSeq(s, "\n\n") {
		if paragraph != "" {
			r.paragraph()
			r.lines(paragraph)
		}
	}
}

// lines writes lines; those that begin with two spaces stay as they are.
func (r *roff) lines(s string) {
	verbatim := false
	for line := range strings.Lines(s) {
		line = strings.TrimRight(line, "\n")
		if indented := strings.HasPrefix(line, "  "); indented != verbatim {
			verbatim = indented
			r.printf("%s\n", map[bool]string{true: ".EX", false: ".EE"}[verbatim])
		}
		r.printf("%s\n", escape(line))
	}
	if verbatim {
		r.printf(".EE\n")
	}
}

func (r *roff) item(term, text string) {
	r.printf(".TP\n\\fB%s\\fR\n", escape(term))
	r.lines(text)
	r.fresh = false
}

func (r *roff) seeAlso(pages []string) {
	r.section("SEE ALSO")
	for i, p := range pages {
		dot := strings.LastIndex(p, ".")
		end := ","
		if i == len(pages)-1 {
			end = ""
		}
		r.printf(".BR %s (%s)%s\n", escape(p[:dot]), p[dot+1:], end)
	}
}

var special = strings.NewReplacer(`\`, `\e`, "-", `\-`, "'", `\(aq`, "`", `\(ga`, "^", `\(ha`, "~", `\(ti`)

// escape makes one line that says what s says: no request at its beginning, no
// character beyond ASCII.
func escape(s string) string {
	var b strings.Builder
	for _, c := range special.Replace(s) {
		if c < 0x7f {
			b.WriteRune(c)
		} else {
			fmt.Fprintf(&b, `\[u%04X]`, c)
		}
	}
	if s := b.String(); strings.HasPrefix(s, ".") {
		return `\&` + s
	}
	return b.String()
}
