package clitest

import "strings"

// ConfigManual writes the page of a configuration file, section 5, from the
// example that names every key: comments before a key explain it, and the value
// is an example.
func ConfigManual(name, short, example string, s Section) []byte {
	r := newRoff(name, "5", short)
	r.section("DESCRIPTION")
	var comment []string
	tables := map[string]bool{}
	for line := range strings.Lines(example) {
		line = strings.TrimRight(line, "\n")
		switch {
		case strings.HasPrefix(line, "#"):
			comment = append(comment, strings.TrimPrefix(strings.TrimPrefix(line, "#"), " "))
			continue
		case strings.HasPrefix(line, "["):
			r.text(strings.Join(comment, "\n"))
			if !tables[line] {
				r.subsection(line)
			}
			tables[line] = true
		case line == "" && len(tables) > 0 && len(comment) > 0:
			continue // the comment is for the table that follows
		case line == "":
			r.text(strings.Join(comment, "\n"))
		default:
			r.item(line, strings.Join(comment, "\n"))
		}
		comment = nil
	}
	r.section("FILES")
	for _, f := range s.Files {
		r.item(f[0], f[1])
	}
	r.seeAlso(s.SeeAlso)
	return r.Bytes()
}
