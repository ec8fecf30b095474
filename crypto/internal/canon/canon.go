// Package canon reads JSON (RFC 8259) as signed metadata needs it read, and
// writes its canonical form, over which signatures are made.
//
// Two readers of one text must never see two things. So this one refuses what
// leaves room for that: names twice in an object, text that is no valid UTF-8
// or holds half a surrogate pair, numbers that are not plain integers of 64
// bits, anything after the value, and more depth or values than a limit. The
// canonical form is OLPC's, as TUF uses it: members sorted by code point, no
// space, and in strings only the quote and the backslash escaped. That is no
// JSON where a string holds a control character, as the PEM of a key does; the
// text of a file is the same with these as \u00XX.
//
// Side: black.
package canon

import (
	"sort"
	"strconv"
)

// A Value is what stands in a JSON text: nil for null, bool, int64, string,
// []Value or *Object.
type Value any

// An Object holds the members of a JSON object. It has no map: whoever serves a
// file can fill it with small objects, before any signature is looked at.
type Object struct{ members []member } // sorted by name

type member struct {
	name  string
	value Value
}

// NewObject returns the object of the given members.
func NewObject(members map[string]Value) *Object {
	o := &Object{}
	for name, v := range members {
		o.members = append(o.members, member{name, v})
	}
	sort.Sort(byName(o.members))
	return o
}

// byName sorts. Of sort's functions there is one in a program, of those of slices
// one for each type.
type byName []member

func (m byName) Len() int           { return len(m) }
func (m byName) Less(i, j int) bool { return m[i].name < m[j].name }
func (m byName) Swap(i, j int)      { m[i], m[j] = m[j], m[i] }

// Names returns the names of all members, sorted.
func (o *Object) Names() []string {
	if o == nil {
		return nil
	}
	names := make([]string, len(o.members))
	for i, m := range o.members {
		names[i] = m.name
	}
	return names
}

// Get returns a member, and whether it is there. A nil object has none.
func (o *Object) Get(name string) (Value, bool) {
	if o == nil {
		return nil, false
	}
	i := sort.Search(len(o.members), func(i int) bool { return o.members[i].name >= name })
	if i == len(o.members) || o.members[i].name != name {
		return nil, false
	}
	return o.members[i].value, true
}

// Append adds the canonical form of v to b. It panics on what is no Value.
func Append(b []byte, v Value) []byte { return appendValue(b, v, false) }

// AppendText adds the canonical form of v to b as JSON, for a file: each value
// has one text. It panics on what is no Value.
func AppendText(b []byte, v Value) []byte { return appendValue(b, v, true) }

func appendValue(b []byte, v Value, text bool) []byte {
	switch v := v.(type) {
	case nil:
		return append(b, "null"...)
	case bool:
		return strconv.AppendBool(b, v)
	case int64:
		return strconv.AppendInt(b, v, 10)
	case string:
		return appendString(b, v, text)
	case []Value:
		b = append(b, '[')
		for i, e := range v {
			if i > 0 {
				b = append(b, ',')
			}
			b = appendValue(b, e, text)
		}
		return append(b, ']')
	case *Object:
		b = append(b, '{')
		for i, m := range v.members {
			if i > 0 {
				b = append(b, ',')
			}
			b = append(appendString(b, m.name, text), ':')
			b = appendValue(b, m.value, text)
		}
		return append(b, '}')
	}
	panic("internal error: canon: no JSON value")
}

func appendString(b []byte, s string, text bool) []byte {
	const hex = "0123456789abcdef"
	b = append(b, '"')
	for i := range len(s) {
		switch c := s[i]; {
		case c == '"' || c == '\\':
			b = append(b, '\\', c)
		case c < ' ' && text:
			b = append(b, '\\', 'u', '0', '0', hex[c>>4], hex[c&15])
		default:
			b = append(b, c)
		}
	}
	return append(b, '"')
}
