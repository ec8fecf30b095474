package trip

import (
	"fmt"
	"path"
	"strings"
	"unicode"
	"unicode/utf8"

	"roadseal/crypto/envelope"
)

// Limits of the parts of a file name, in bytes. Together with the object's
// short name and a suffix for the unfinished file they stay below the 255 that
// file systems allow.
const (
	maxStem = 180
	maxExt  = 10
)

// Place is where Save puts an entry: "<stream>/<name>", slash-separated. Both
// parts come from the record, which repeats what others said; no part is a
// path, hidden, an option or a control sequence, whatever the record holds.
// The object's short name makes it unique, so that the same clip name on two
// cars does not collide.
func Place(e *Entry) string {
	r := e.Record
	stem, ext := splitName(r.File.Reveal())
	if stem == "" {
		stem = fmt.Sprintf("%06d-%06d", r.Boot, r.Sequence)
	}
	if ext == "" {
		ext = extensions[r.MediaType]
	}
	return safe(r.Stream) + "/" + stem + "-" + Short(e.Name) + ext
}

// Short is the beginning of an object's name: enough to tell objects apart.
func Short(n envelope.Name) string { return n.String()[:12] }

// extensions of the media types that are sealed, where the record has no file
// name.
var extensions = map[string]string{
	"text/csv":                 ".csv",
	"text/json":                ".json",
	"video/mp4":                ".mp4",
	"video/quicktime":          ".mov",
	"video/mp2t":               ".ts",
	"application/octet-stream": ".bin",
}

// splitName makes a recorder's path into the stem and extension of a harmless
// file name; both may be empty.
func splitName(file string) (stem, ext string) {
	base := file[strings.LastIndexAny(file, `/\`)+1:]
	ext = path.Ext(base)
	if ext == base || !plainExt(ext) {
		ext = "" // ".bashrc" is a name, not an extension
	}
	base = strings.TrimSuffix(base, ext)
	if base == "" {
		return "", ext
	}
	return safe(base), ext
}

func plainExt(ext string) bool {
	if len(ext) < 2 || len(ext) > maxExt {
		return false
	}
	return strings.Trim(ext[1:], "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789") == ""
}

// edgy are signs that are harmless only between others.
const edgy = ". -=+@"

// safe makes any bytes into a file name: letters, digits and a few signs stay,
// all else becomes % and two hexadecimal digits for each byte. An empty one
// becomes "_".
func safe(s string) string {
	if s == "" {
		return "_"
	}
	var out strings.Builder
	for i := 0; i < len(s); {
		r, n := utf8.DecodeRuneInString(s[i:])
		piece := s[i : i+n]
		// First and last must not make the name hidden, an option or, for
		// some shells and file systems, another name.
		edge := i == 0 || i+n == len(s)
		if !harmless(r, n) || edge && strings.ContainsRune(edgy, r) {
			piece = escape(piece)
		}
		if out.Len()+len(piece) > maxStem {
			return strings.TrimRight(out.String(), edgy) // what is last now was not at an edge
		}
		out.WriteString(piece)
		i += n
	}
	return out.String()
}

func harmless(r rune, n int) bool {
	if r == utf8.RuneError && n == 1 {
		return false
	}
	return unicode.IsLetter(r) || unicode.IsDigit(r) || unicode.IsMark(r) || strings.ContainsRune("._-+=@,() ", r)
}

func escape(s string) string {
	var out strings.Builder
	for i := range len(s) {
		fmt.Fprintf(&out, "%%%02X", s[i])
	}
	return out.String()
}

// Printable makes any text safe for one line of a terminal: what does not
// print is escaped.
func Printable(s string) string {
	var out strings.Builder
	for i := 0; i < len(s); {
		r, n := utf8.DecodeRuneInString(s[i:])
		if !unicode.IsPrint(r) || r == utf8.RuneError && n == 1 {
			out.WriteString(escape(s[i : i+n]))
		} else {
			out.WriteString(s[i : i+n])
		}
		i += n
	}
	return out.String()
}
