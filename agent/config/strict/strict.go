// Package strict reads TOML configuration the way a person who has to mend it
// wants: unknown keys are refused, and each error names the file, line and
// column, shows the line with a caret under the fault, says what was expected
// and, where one is known, a hint.
//
// Side: any.
package strict

import (
	"bytes"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"reflect"
	"regexp"
	"slices"
	"strings"
	"unicode"
	"unicode/utf8"

	"github.com/pelletier/go-toml/v2"
)

// maxSize bounds a configuration file in bytes; real ones have a few thousand.
const maxSize = 1 << 20

// An Error is one fault in a configuration file.
type Error struct {
	File         string
	Line, Column int    // from 1; 0 = the file as a whole
	Source       string // the line itself, or the part around Column; private values masked
	What         string // what was expected
	shown        int    // bytes of the line before Source
}

// Error returns several lines: position and fault, the source line, the caret.
func (e *Error) Error() string {
	if e.Line == 0 {
		return fmt.Sprintf("%s: %s", e.File, e.What)
	}
	pad := strings.Map(func(r rune) rune {
		if r == '\t' {
			return r
		}
		return ' '
	}, strings.ToValidUTF8(e.Source[:min(max(e.Column-1-e.shown, 0), len(e.Source))], ""))
	return fmt.Sprintf("%s:%d:%d: %s\n    %s\n    %s^", e.File, e.Line, e.Column, e.What, e.Source, pad)
}

// A Document is a parsed configuration file; it turns the path of a key into
// an Error at its place, for checks that look at more than one key.
type Document struct {
	name    string
	data    []byte
	private []string
}

// Load reads the file at path into v, a pointer to a struct with toml tags.
// private names keys whose values no error may show. The error is an *Error,
// or several joined.
func Load(path string, v any, private ...string) (*Document, error) {
	data, err := os.ReadFile(path)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, &Error{File: path, What: `there is no such configuration; hint: --config names the file, the verb "example" prints one to start from`}
	}
	if err != nil {
		return nil, &Error{File: path, What: "cannot read the configuration: " + reason(err)}
	}
	return Decode(path, data, v, private...)
}

// Decode is Load for bytes already in memory; name stands for the file.
func Decode(name string, data []byte, v any, private ...string) (*Document, error) {
	d := &Document{name: name, data: data, private: private}
	if len(data) > maxSize {
		return nil, &Error{File: name, What: fmt.Sprintf("cannot be a configuration: larger than %d bytes", maxSize)}
	}
	err := toml.NewDecoder(bytes.NewReader(data)).DisallowUnknownFields().Decode(v)
	var missing *toml.StrictMissingError
	var bad *toml.DecodeError
	switch {
	case err == nil:
		return d, nil
	case errors.As(err, &missing):
		var all []error
		for _, m := range missing.Errors {
			line, col := m.Position()
			all = append(all, d.at(line, col, unknown(m.Key(), reflect.TypeOf(v))))
		}
		return nil, errors.Join(all...)
	case errors.As(err, &bad):
		line, col := bad.Position()
		return nil, d.at(line, col, plain(bad.Error()))
	default:
		return nil, d.at(d.search(err, reflect.TypeOf(v).Elem()), 1, plain(err.Error()))
	}
}

// search finds the line of an error that came without one (the parser gives
// none for a number that a value's own check refuses): the first line with
// which the error appears.
func (d *Document) search(err error, t reflect.Type) int {
	for i := range bytes.Count(d.data, []byte("\n")) + 1 {
		head := bytes.Join(bytes.SplitN(d.data, []byte("\n"), i+2)[:i+1], []byte("\n"))
		if e := toml.Unmarshal(head, reflect.New(t).Interface()); e != nil && e.Error() == err.Error() {
			return i + 1
		}
	}
	return 0
}

// Errorf is an *Error at the key with the given path, as in
// Errorf([]any{"stream", 1, "to"}, …): names of tables and keys, and the index
// of a [[table]]. Where the key is absent the nearest table above it is shown;
// where there is none either, it is named.
func (d *Document) Errorf(path []any, format string, args ...any) error {
	line, col := d.locate(path)
	what := fmt.Sprintf(format, args...)
	if line == 0 && len(path) > 1 {
		what = fmt.Sprintf("in [%v]: %s", path[0], what)
	}
	return d.at(line, col, what)
}

func (d *Document) at(line, col int, what string) *Error {
	e := &Error{File: d.name, Line: line, Column: col, What: what}
	lines := strings.Split(string(d.data), "\n")
	if line < 1 || line > len(lines) {
		return e
	}
	e.Source = secret.ReplaceAllString(printable(strings.TrimRight(lines[line-1], "\r")), "[secret key]")
	if key, _, ok := strings.Cut(e.Source, "="); ok && slices.Contains(d.private, strings.TrimSpace(key)) {
		e.Source, e.Column = key+"= [red]", len(key)+3
	}
	e.window()
	return e
}

// printable puts question marks for what a terminal would obey or cannot show,
// as in a file that is no text at all; columns stay where they are.
func printable(line string) string {
	var b strings.Builder
	for len(line) > 0 {
		r, size := utf8.DecodeRuneInString(line)
		if r == utf8.RuneError && size == 1 || unicode.IsControl(r) && r != '\t' {
			b.WriteString("??"[:size])
		} else {
			b.WriteString(line[:size])
		}
		line = line[size:]
	}
	return b.String()
}

// secret is an age identity, which somebody may have pasted by mistake.
var secret = regexp.MustCompile(`(?i)AGE-SECRET-KEY-[A-Z0-9-]+`)

// width bounds what is shown of a long line: a reader's key has 1,959
// characters.
const width = 100

// window cuts a long line to the part around its column.
func (e *Error) window() {
	if e.Column > width*3/4 && e.Column <= len(e.Source) {
		e.Source, e.shown = "…"+e.Source[e.Column-width/4:], e.Column-width/4-len("…")
	}
	if len(e.Source) > width {
		e.Source = strings.ToValidUTF8(e.Source[:width], "") + "…"
	}
}

// reason is an I/O error without the path, which stands before it already.
func reason(err error) string {
	var p *os.PathError
	if errors.As(err, &p) {
		return p.Err.Error()
	}
	return err.Error()
}

var mismatch = regexp.MustCompile(`cannot decode TOML (\w+) into .* of type (.+)$`)

// plain rewrites the parser's words, which speak of Go, for a person who wrote
// TOML.
func plain(msg string) string {
	msg = strings.TrimPrefix(msg, "toml: ")
	m := mismatch.FindStringSubmatch(msg)
	if m == nil {
		return msg
	}
	want := m[2]
	switch {
	case strings.HasPrefix(want, "[]"):
		want = "a list, in [ ]"
	case strings.HasPrefix(want, "int") || strings.HasPrefix(want, "uint"):
		want = "a whole number without quotes"
	case want == "bool":
		want = "true or false without quotes"
	case strings.HasPrefix(want, "map"):
		want = "a table"
	default:
		want = "text in quotes"
	}
	return fmt.Sprintf("expected %s, found %s", want, m[1])
}

// unknown explains a key that no field takes, with those that would be.
func unknown(key []string, t reflect.Type) string {
	for _, part := range key[:max(0, len(key)-1)] {
		f, ok := field(deref(t), part)
		if !ok {
			break
		}
		t = f.Type
	}
	table := "the file"
	if len(key) > 1 {
		table = "[" + strings.Join(key[:len(key)-1], ".") + "]"
	}
	return fmt.Sprintf("unknown key %q; %s takes: %s", key[len(key)-1], table, strings.Join(keys(deref(t)), ", "))
}

// deref goes from pointers, slices and arrays to the type of their elements.
func deref(t reflect.Type) reflect.Type {
	for slices.Contains([]reflect.Kind{reflect.Pointer, reflect.Slice, reflect.Array}, t.Kind()) {
		t = t.Elem()
	}
	return t
}

func field(t reflect.Type, key string) (reflect.StructField, bool) {
	if t.Kind() != reflect.Struct {
		return reflect.StructField{}, false
	}
	for i := range t.NumField() {
		f := t.Field(i)
		if tag(f) == key {
			return f, true
		}
	}
	return reflect.StructField{}, false
}

func keys(t reflect.Type) (all []string) {
	if t.Kind() != reflect.Struct {
		return nil
	}
	for i := range t.NumField() {
		f := t.Field(i)
		if tag(f) != "" {
			all = append(all, tag(f))
		}
	}
	return all
}

func tag(f reflect.StructField) string {
	name, _, _ := strings.Cut(f.Tag.Get("toml"), ",")
	if name == "-" {
		return ""
	}
	return name
}
