// Package canary looks for secrets in places where they must not be readable:
// it knows each one as it is, in hexadecimal and in base64, and positions the
// way a careless program would print them.
//
// Side: red.
package canary

import (
	"bytes"
	"encoding/base64"
	"encoding/hex"
	"fmt"
	"io"
	"io/fs"
	"math"
	"strconv"
	"strings"
)

// keySize is the length of the shortest pattern: in a gigabyte of ciphertext, a
// thousand patterns of 7 bytes give a false alarm once in 70,000 runs.
const keySize = 7

// A Scanner holds the secrets to look for. It is not changed by scanning.
type Scanner struct {
	first    [1 << 16]bool // the first two bytes of every pattern
	patterns map[[keySize]byte][]pattern
	known    map[string]bool
	longest  int
}

type pattern struct {
	text   string
	what   string
	number bool // not a hit inside a longer number or a time of day
}

// A Hit is a secret that was found. It says what, and never quotes it.
type Hit struct {
	What   string `json:"what"`   // what kind of secret
	Where  string `json:"where"`  // which file
	Offset int64  `json:"offset"` // -1: in the name of the file
}

// String says it in a line.
func (h Hit) String() string {
	if h.Offset < 0 {
		return fmt.Sprintf("%s in the name of %s", h.What, h.Where)
	}
	return fmt.Sprintf("%s in %s at byte %d", h.What, h.Where, h.Offset)
}

// NewScanner makes a scanner that knows how clips, pictures and sentences of a
// receiver begin.
func NewScanner() *Scanner {
	s := &Scanner{patterns: map[[keySize]byte][]pattern{}, known: map[string]bool{}}
	for _, brand := range []string{"isom", "iso2", "iso4", "iso5", "iso6", "mp41", "mp42", "avc1", "qt  ", "M4V ", "3gp4", "3gp5"} {
		s.add(pattern{text: "ftyp" + brand, what: "head of an MP4 file"})
	}
	s.add(pattern{text: "\x00\x00\x00lmvhd", what: "movie header of an MP4 file"})
	s.add(pattern{text: "\xff\xd8\xff\xe0\x00\x10JFIF", what: "head of a JPEG file"})
	for _, order := range []string{"MM\x00*", "II*\x00"} {
		s.add(pattern{text: "Exif\x00\x00" + order, what: "head of a JPEG file"})
	}
	for _, talker := range []string{"GP", "GN", "GL", "GA", "GB", "BD", "QZ"} {
		for _, kind := range []string{"RMC", "GGA"} {
			s.add(pattern{text: "$" + talker + kind + ",", what: "sentence of a receiver"})
		}
	}
	return s
}

// add takes a pattern up; a shorter one than keySize would give false alarms.
func (s *Scanner) add(p pattern) {
	if len(p.text) < keySize || s.known[p.text] {
		return
	}
	s.known[p.text] = true
	s.first[prefix(p.text)] = true
	key := [keySize]byte([]byte(p.text))
	s.patterns[key] = append(s.patterns[key], p)
	s.longest = max(s.longest, len(p.text))
}

func prefix[T string | []byte](b T) int { return int(b[0])<<8 | int(b[1]) }

// Secret adds a secret of 7 bytes or more as it is, in both kinds of
// hexadecimal digits and in both kinds of base64, at each of the three places
// where it may stand in a longer text.
func (s *Scanner) Secret(what string, secret []byte) {
	s.add(pattern{text: string(secret), what: what})
	digits := hex.EncodeToString(secret)
	s.add(pattern{text: digits, what: what + " (hexadecimal)"})
	s.add(pattern{text: strings.ToUpper(digits), what: what + " (hexadecimal)"})
	for _, enc := range []*base64.Encoding{base64.RawStdEncoding, base64.RawURLEncoding} {
		for before := range 3 {
			text := enc.EncodeToString(append(make([]byte, before), secret...))
			// Characters that carry bits of a neighbour are left out.
			whole := text[(before*8+5)/6 : (before+len(secret))*8/6]
			s.add(pattern{text: whole, what: what + " (base64)"})
		}
	}
}

// Position adds a coordinate: its digits in the receiver's sentence and its
// degrees in decimals, rounded and cut. Four decimals find every longer form.
func (s *Scanner) Position(digits string, degrees float64) {
	s.add(pattern{text: digits, what: "position, as in the sentence", number: true})
	degrees = math.Abs(degrees)
	long := strconv.FormatFloat(degrees, 'f', 9, 64)
	dot := strings.IndexByte(long, '.')
	n := max(4, keySize-1-dot)
	for _, text := range []string{long[:dot+1+n], strconv.FormatFloat(degrees, 'f', n, 64)} {
		s.add(pattern{text: text, what: "position, in degrees", number: true})
	}
}

// chunk is how much is read at once.
const chunk = 1 << 20

// Scan reads r to its end. where stands in the hits.
func (s *Scanner) Scan(r io.Reader, where string) ([]Hit, error) {
	var hits []Hit
	var offset int64 // of buf[0]
	buf := make([]byte, 0, chunk+s.longest+context)
	next := 0 // first place in buf that was not looked at
	for {
		n, err := io.ReadFull(r, buf[len(buf):cap(buf)])
		buf = buf[:len(buf)+n]
		last := err == io.EOF || err == io.ErrUnexpectedEOF
		if err != nil && !last {
			return hits, fmt.Errorf("cannot scan %s: %w", where, err)
		}
		end := len(buf) - s.longest // a pattern that begins before it is whole
		if last {
			end = len(buf)
		}
		for i := next; i < end; i++ {
			for _, what := range s.at(buf, i) {
				hits = append(hits, Hit{what, where, offset + int64(i)})
			}
		}
		if last {
			return hits, nil
		}
		keep := max(0, end-context)
		offset += int64(keep)
		next = end - keep
		buf = buf[:copy(buf, buf[keep:])]
	}
}

// context is how many bytes before a pattern tell what it belongs to.
const context = 3

// at returns what begins at place i.
func (s *Scanner) at(b []byte, i int) (found []string) {
	if i+keySize > len(b) || !s.first[prefix(b[i:])] {
		return nil
	}
	for _, p := range s.patterns[[keySize]byte(b[i:])] {
		if len(b)-i >= len(p.text) && string(b[i:i+len(p.text)]) == p.text && !(p.number && insideNumber(b[:i])) {
			found = append(found, p.what)
		}
	}
	return found
}

// insideNumber reports whether what follows before is the rest of a longer
// number, or the seconds of a time of day.
func insideNumber(before []byte) bool {
	n := len(before)
	if n > 0 && digit(before[n-1]) {
		return true
	}
	return n > 2 && before[n-1] == ':' && digit(before[n-2]) && digit(before[n-3])
}

func digit(c byte) bool { return '0' <= c && c <= '9' }

// ScanTree scans every file below the root of fsys, and its name. name stands
// before each path in the hits. files is how many were scanned.
func (s *Scanner) ScanTree(fsys fs.FS, name string) (hits []Hit, files int, err error) {
	err = fs.WalkDir(fsys, ".", func(path string, d fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		where := name + "/" + path
		inName, err := s.Scan(bytes.NewReader([]byte(path)), where)
		if err != nil {
			return err
		}
		for _, h := range inName {
			h.Offset = -1
			hits = append(hits, h)
		}
		if !d.Type().IsRegular() {
			return nil
		}
		files++
		found, err := s.scanFile(fsys, path, where)
		hits = append(hits, found...)
		return err
	})
	return hits, files, err
}

func (s *Scanner) scanFile(fsys fs.FS, path, where string) ([]Hit, error) {
	f, err := fsys.Open(path)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	return s.Scan(f, where)
}
