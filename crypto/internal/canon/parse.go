package canon

import (
	"fmt"
	"slices"
	"sort"
	"strconv"
	"unicode/utf16"
	"unicode/utf8"
)

// Limits of what Parse takes.
type Limits struct {
	Depth int // of arrays and objects inside one another
	Count int // of values, which may be empty arrays and objects
}

// errAt is a fault of the text and where it is, in bytes from the start.
func errAt(pos int, format string, args ...any) error {
	return fmt.Errorf("byte %d: %w", pos, fmt.Errorf(format, args...))
}

// Parse reads one JSON text. The error says at which byte it is amiss. Nothing
// in the result refers to data.
func Parse(data []byte, lim Limits) (Value, error) {
	p := parser{data: data, lim: lim}
	p.space()
	v, err := p.value(0)
	if err != nil {
		return nil, err
	}
	if p.space(); p.pos < len(p.data) {
		return nil, errAt(p.pos, "expected nothing after the value")
	}
	return v, nil
}

type parser struct {
	data  []byte
	pos   int
	count int
	lim   Limits
}

// peek returns the next byte, or 0 at the end, which no JSON text holds.
func (p *parser) peek() byte {
	if p.pos < len(p.data) {
		return p.data[p.pos]
	}
	return 0
}

func (p *parser) space() {
	for p.pos < len(p.data) {
		switch p.data[p.pos] {
		case ' ', '\t', '\n', '\r':
			p.pos++
		default:
			return
		}
	}
}

func (p *parser) value(depth int) (Value, error) {
	if p.count++; p.count > p.lim.Count {
		return nil, errAt(p.pos, "more than %d values", p.lim.Count)
	}
	switch c := p.peek(); {
	case c == '{', c == '[':
		if depth >= p.lim.Depth {
			return nil, errAt(p.pos, "more than %d levels deep", p.lim.Depth)
		}
		if c == '{' {
			return p.object(depth + 1)
		}
		return p.array(depth + 1)
	case c == '"':
		return p.string()
	case c == '-', '0' <= c && c <= '9':
		return p.number()
	case c == 't':
		return true, p.word("true")
	case c == 'f':
		return false, p.word("false")
	case c == 'n':
		return nil, p.word("null")
	}
	return nil, errAt(p.pos, "expected a value")
}

func (p *parser) word(w string) error {
	if len(p.data)-p.pos < len(w) || string(p.data[p.pos:p.pos+len(w)]) != w {
		return errAt(p.pos, "expected a value")
	}
	p.pos += len(w)
	return nil
}

// more is called behind an element: it reports whether another follows.
func (p *parser) more(end byte) (bool, error) {
	p.space()
	switch p.peek() {
	case ',':
		p.pos++
		p.space()
		return true, nil
	case end:
		p.pos++
		return false, nil
	}
	return false, errAt(p.pos, "expected %q or %q", ',', end)
}

// opens steps into an array or object and reports whether it is not empty.
func (p *parser) opens(end byte) bool {
	p.pos++
	p.space()
	if p.peek() == end {
		p.pos++
		return false
	}
	return true
}

func (p *parser) array(depth int) (Value, error) {
	list := []Value{}
	for more := p.opens(']'); more; {
		v, err := p.value(depth)
		if err != nil {
			return nil, err
		}
		list = append(list, v)
		if more, err = p.more(']'); err != nil {
			return nil, err
		}
	}
	return list, nil
}

func (p *parser) object(depth int) (Value, error) {
	o, start := &Object{}, p.pos
	for more := p.opens('}'); more; {
		if p.peek() != '"' {
			return nil, errAt(p.pos, "expected the name of a member")
		}
		name, err := p.string()
		if err != nil {
			return nil, err
		}
		if p.space(); p.peek() != ':' {
			return nil, errAt(p.pos, "expected %q", ':')
		}
		p.pos++
		p.space()
		v, err := p.value(depth)
		if err != nil {
			return nil, err
		}
		o.members = append(o.members, member{name, v})
		if more, err = p.more('}'); err != nil {
			return nil, err
		}
	}
	sort.Sort(byName(o.members))
	for i, m := range o.members {
		if i > 0 && m.name == o.members[i-1].name {
			return nil, errAt(start, "a member stands twice in the object that begins here")
		}
	}
	return o, nil
}

// number reads an integer. Metadata has no use for others, and two programs
// seldom agree on how to write them.
func (p *parser) number() (Value, error) {
	start := p.pos
	if p.peek() == '-' {
		p.pos++
	}
	digits := p.pos
	for '0' <= p.peek() && p.peek() <= '9' {
		p.pos++
	}
	text := string(p.data[start:p.pos])
	switch c := p.peek(); {
	case c == '.', c == 'e', c == 'E':
		return nil, errAt(start, "expected an integer without fraction or exponent")
	case p.pos == digits, p.data[digits] == '0' && len(text) > 1:
		return nil, errAt(start, "expected an integer as in 0, 7 or -7")
	}
	n, err := strconv.ParseInt(text, 10, 64)
	if err != nil {
		return nil, errAt(start, "expected an integer of at most 64 bits")
	}
	return n, nil
}

func (p *parser) string() (string, error) {
	start := p.pos
	p.pos++
	plain := p.pos // from here on there was no escape yet
	for p.pos < len(p.data) && p.data[p.pos] != '"' && p.data[p.pos] != '\\' && p.data[p.pos] >= ' ' {
		p.pos++
	}
	b := slices.Clone(p.data[plain:p.pos])
	for {
		switch c := p.peek(); {
		case p.pos == len(p.data):
			return "", errAt(start, "a string without an end")
		case c == '"':
			p.pos++
			if !utf8.Valid(b) {
				return "", errAt(start, "a string that is no valid UTF-8")
			}
			return string(b), nil
		case c < ' ':
			return "", errAt(p.pos, "a control character in a string")
		case c == '\\':
			r, err := p.escape()
			if err != nil {
				return "", err
			}
			b = utf8.AppendRune(b, r)
		default:
			b = append(b, c)
			p.pos++
		}
	}
}

// escape reads one escaped character, two escapes if they are a pair.
func (p *parser) escape() (rune, error) {
	at := p.pos
	p.pos++
	c := p.peek()
	p.pos++
	switch c {
	case '"', '\\', '/':
		return rune(c), nil
	case 'b':
		return '\b', nil
	case 'f':
		return '\f', nil
	case 'n':
		return '\n', nil
	case 'r':
		return '\r', nil
	case 't':
		return '\t', nil
	case 'u':
		return p.unicode(at)
	}
	return 0, errAt(at, "an unknown escape in a string")
}

func (p *parser) unicode(at int) (rune, error) {
	r, ok := p.hex()
	if !ok {
		return 0, errAt(at, "expected four hex digits after \\u")
	}
	if !utf16.IsSurrogate(r) {
		return r, nil
	}
	if p.peek() == '\\' && p.pos+1 < len(p.data) && p.data[p.pos+1] == 'u' {
		p.pos += 2
		if low, ok := p.hex(); ok {
			if r = utf16.DecodeRune(r, low); r != utf8.RuneError {
				return r, nil
			}
		}
	}
	return 0, errAt(at, "half a surrogate pair in a string")
}

func (p *parser) hex() (rune, bool) {
	if len(p.data)-p.pos < 4 {
		return 0, false
	}
	var r rune
	for _, c := range p.data[p.pos : p.pos+4] {
		switch {
		case '0' <= c && c <= '9':
			r = r<<4 | rune(c-'0')
		case 'a' <= c && c <= 'f':
			r = r<<4 | rune(c-'a'+10)
		case 'A' <= c && c <= 'F':
			r = r<<4 | rune(c-'A'+10)
		default:
			return 0, false
		}
	}
	p.pos += 4
	return r, true
}
