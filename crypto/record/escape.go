package record

import (
	"errors"
	"fmt"
	"strings"
	"unicode/utf8"
)

// escape writes any bytes as one line of UTF-8 that is safe on a terminal:
// each byte of what hidden names, and of what is not UTF-8, becomes % and two
// upper-case hexadecimal digits. A file name survives it whatever it holds.
func escape(s string) string {
	var out strings.Builder
	for len(s) > 0 {
		n := piece(s)
		if r, _ := utf8.DecodeRuneInString(s); hidden(r, n) {
			for i := range n {
				fmt.Fprintf(&out, "%%%02X", s[i])
			}
		} else {
			out.WriteString(s[:n])
		}
		s = s[n:]
	}
	return out.String()
}

// piece is the length of the first character of s, or 1 if that is not UTF-8.
func piece(s string) int {
	_, n := utf8.DecodeRuneInString(s)
	return n
}

// hidden reports whether a character of n bytes is escaped. The list is fixed
// by the format: it must not grow with the Unicode tables of a library, or one
// record would have two forms.
func hidden(r rune, n int) bool {
	switch {
	case r < ' ', r == '%', r >= 0x7f && r < 0xa0: // controls and the sign itself
		return true
	case r == utf8.RuneError && n == 1: // not UTF-8
		return true
	case r == 0x61c, r == 0x200e, r == 0x200f, r >= 0x2028 && r <= 0x202e, r >= 0x2066 && r <= 0x2069, r == 0xfeff:
		return true // line ends and changes of direction
	}
	return false
}

func unescape(s string) (string, error) {
	var out strings.Builder
	for {
		plain, rest, ok := strings.Cut(s, "%")
		out.WriteString(plain)
		if !ok {
			return out.String(), nil
		}
		if len(rest) < 2 {
			return "", errEscape
		}
		high, low := strings.IndexByte(digits, rest[0]), strings.IndexByte(digits, rest[1])
		if high < 0 || low < 0 {
			return "", errEscape
		}
		out.WriteByte(byte(high<<4 | low))
		s = rest[2:]
	}
}

const digits = "0123456789ABCDEF"

var errEscape = errors.New("% without two upper-case hexadecimal digits")

// keepStart cuts s, between two characters, so that it is written in at most
// limit bytes.
func keepStart(s string, limit int) string {
	end := 0
	for end < len(s) {
		n := piece(s[end:])
		if limit -= len(escape(s[end : end+n])); limit < 0 {
			break
		}
		end += n
	}
	return s[:end]
}

// keepEnd is keepStart from the other side: the end of a path tells most.
func keepEnd(s string, limit int) string {
	for over := len(escape(s)) - limit; over > 0 && s != ""; {
		n := piece(s)
		over -= len(escape(s[:n]))
		s = s[n:]
	}
	return s
}
