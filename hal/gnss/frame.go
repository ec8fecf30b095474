package gnss

import (
	"bytes"
	"encoding/binary"
)

// maxSentence bounds a sentence, bytes from `$` to its end. The standard allows
// 82; 132 was seen.
const maxSentence = 256

// A token is one thing that the framer found in the stream.
type token int

const (
	tokenMore      token = iota // nothing more until other bytes come
	tokenSentence               // a sentence that ends in `*hh`, not yet verified
	tokenUnchecked              // a sentence that ended without a checksum
	tokenBadEnd                 // a sentence with `*` but no two digits after it
	tokenTooLong                // a sentence that does not end within the bound
	tokenBroken                 // a sentence cut off by `$` or by a byte that none holds
	tokenFrame                  // a UBX or RTCM frame whose checksum holds
)

// A framer finds sentences in a stream that also holds binary.
//
// A sentence begins at any `$`, so that whatever precedes it costs nothing. It
// ends right behind its checksum and does not need a line end. A frame of UBX or
// RTCM is taken whole, and with it any `$` inside, but only once its checksum
// holds; until then its bytes are kept, and if it does not hold they are searched
// for sentences. So binary can neither fake a sentence nor swallow one.
type framer struct {
	buf        [2 * (maxPayload + frameOverhead)]byte
	start, end int // bounds of what has not been consumed
	seen       int // bytes of the sentence at start that were looked at already
}

// fill takes bytes from p and says how many. There is always room, since next
// leaves less than half of buf.
func (f *framer) fill(p []byte) int {
	if f.start > 0 {
		f.end = copy(f.buf[:], f.buf[f.start:f.end])
		f.start = 0
	}
	n := copy(f.buf[f.end:], p)
	f.end += n
	return n
}

// next returns the next token and its bytes, valid until fill. When idle, what
// could still become a frame is taken for none, so that a false sync does
// not hold back the sentences behind it.
func (f *framer) next(idle bool) (token, []byte) {
	for f.start < f.end {
		b := f.buf[f.start:f.end]
		switch b[0] {
		case '$':
			t, n := f.sentence(b)
			if t == tokenMore {
				return t, nil
			}
			f.start, f.seen = f.start+n, 0
			return t, b[:n]
		case ubxSync1, rtcmSync:
			n, more := frame(b)
			if n > 0 {
				f.start += n
				return tokenFrame, b[:n]
			}
			if more && !idle {
				return tokenMore, nil
			}
			f.start++
		default:
			f.start++
		}
	}
	return tokenMore, nil
}

// sentence looks for the end of the sentence that begins b and returns its
// length.
func (f *framer) sentence(b []byte) (token, int) {
	i := max(f.seen, 1)
	if f.seen == 0 { // up to `*` nothing is special about nearly every byte
		for _, c := range b[1:min(len(b), maxSentence)] {
			if c <= '*' || c > '~' {
				break
			}
			i++
		}
	}
	for ; i < len(b); i++ {
		switch c := b[i]; {
		case c == '\r' || c == '\n':
			if bytes.IndexByte(b[:i], '*') >= 0 {
				return tokenBadEnd, i
			}
			return tokenUnchecked, i
		case c == '$' || c < ' ' || c > '~':
			return tokenBroken, i
		case i > 2 && b[i-2] == '*':
			return tokenSentence, i + 1
		case i == maxSentence:
			return tokenTooLong, i
		}
	}
	f.seen = len(b)
	return tokenMore, 0
}

// reset forgets what was received in part.
func (f *framer) reset() { f.start, f.end, f.seen = 0, 0, 0 }

// verify returns what stands between `$` and `*` if the checksum that follows
// holds. s ends in `*hh`.
func verify(s []byte) (body []byte, ok bool) {
	body = s[1 : len(s)-3]
	sum := xor(body)
	hi, ok1 := hexDigit(s[len(s)-2])
	lo, ok2 := hexDigit(s[len(s)-1])
	return body, ok1 && ok2 && sum == hi<<4|lo
}

// xor is the checksum of NMEA, eight bytes at a time.
func xor(b []byte) byte {
	var sum uint64
	for len(b) >= 8 {
		sum ^= binary.LittleEndian.Uint64(b)
		b = b[8:]
	}
	for _, c := range b {
		sum ^= uint64(c)
	}
	sum ^= sum >> 32
	sum ^= sum >> 16
	return byte(sum ^ sum>>8)
}

func hexDigit(c byte) (byte, bool) {
	switch {
	case '0' <= c && c <= '9':
		return c - '0', true
	case 'A' <= c && c <= 'F':
		return c - 'A' + 10, true
	case 'a' <= c && c <= 'f':
		return c - 'a' + 10, true
	}
	return 0, false
}
