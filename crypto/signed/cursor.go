package signed

import (
	"fmt"
	"time"

	"roadseal/crypto/internal/canon"
)

// A cursor reads the fields of a document. Its first fault sticks and says
// which field it was; what it returns after that is of no use.
type cursor struct{ fault error }

func (c *cursor) fail(at, format string, args ...any) {
	if c.fault == nil {
		c.fault = fmt.Errorf("%s: %w", at, fmt.Errorf(format, args...))
	}
}

// A place is a value and where it stands.
type place struct {
	c  *cursor
	at string
	v  canon.Value
	ok bool
}

func (c *cursor) top(v canon.Value) place { return place{c, "document", v, true} }

// maxShown is how much of a name says where a value stands. A name can be as long
// as the file, and have as many members.
const maxShown = 64

// get returns a member of an object, there or not.
func (p place) get(name string) place {
	o, _ := p.v.(*canon.Object)
	v, ok := o.Get(name)
	return place{p.c, p.at + "." + name[:min(len(name), maxShown)], v, ok}
}

// need returns a member that must be there.
func (p place) need(name string) place {
	m := p.object().get(name)
	if !m.ok {
		p.c.fail(p.at, "expected a member %q", name)
	}
	return m
}

func (p place) wrong(expected string) {
	got := "null"
	switch p.v.(type) {
	case bool:
		got = "true or false"
	case int64:
		got = "a number"
	case string:
		got = "a string"
	case []canon.Value:
		got = "an array"
	case *canon.Object:
		got = "an object"
	}
	p.c.fail(p.at, "expected %s, not %s", expected, got)
}

// object demands that the place holds an object.
func (p place) object() place {
	if _, ok := p.v.(*canon.Object); !ok {
		p.wrong("an object")
	}
	return p
}

// members calls f for each member of an object.
func (p place) members(f func(name string, m place)) {
	o, ok := p.v.(*canon.Object)
	if !ok {
		p.wrong("an object")
		return
	}
	for _, name := range o.Names() {
		f(name, p.get(name))
	}
}

// elements calls f for each element of an array.
func (p place) elements(f func(e place)) {
	list, ok := p.v.([]canon.Value)
	if !ok {
		p.wrong("an array")
		return
	}
	for i, v := range list {
		f(place{p.c, fmt.Sprintf("%s[%d]", p.at, i), v, true})
	}
}

func (p place) text() string {
	s, ok := p.v.(string)
	if !ok {
		p.wrong("a string")
	}
	return s
}

// texts returns an array of strings in which none stands twice.
func (p place) texts() []string {
	var list []string
	seen := map[string]bool{} // a list can be as long as the file
	p.elements(func(e place) {
		s := e.text()
		if seen[s] {
			p.c.fail(e.at, "it stands twice in the list")
		}
		seen[s] = true
		list = append(list, s)
	})
	return list
}

func (p place) flag() bool {
	b, ok := p.v.(bool)
	if !ok {
		p.wrong("true or false")
	}
	return b
}

// integer returns a number of at least low.
func (p place) integer(low int64) int64 {
	n, ok := p.v.(int64)
	switch {
	case !ok:
		p.wrong("a number")
	case n < low:
		p.c.fail(p.at, "expected a number of at least %d, not %d", low, n)
	}
	return n
}

// moment returns a time in TUF's form, YYYY-MM-DDTHH:MM:SSZ.
func (p place) moment() time.Time {
	const layout = "2006-01-02T15:04:05Z"
	s := p.text()
	t, err := time.Parse(layout, s)
	if err != nil || t.Format(layout) != s {
		p.c.fail(p.at, "expected a time such as 2026-11-24T12:00:00Z")
	}
	return t
}
