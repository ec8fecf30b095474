package record

import (
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"roadseal/crypto/envelope"
	"roadseal/hal/red"
)

const (
	magic   = "roadseal/"
	version = magic + "1\n"

	maxWord  = 64 // bytes of a text value as written, file apart
	maxFlag  = 24
	maxFlags = 6 // that a caller may set; as many are left for cut values
)

// Record says what a sealed object holds. A text may be any bytes: what would
// not print is escaped. A text that is too long is cut and a flag says so:
// sealing never stops because a name is long.
type Record struct {
	Length    int64  // of the content, in bytes
	MediaType string // "text/csv", "video/mp4"; required
	Stream    string // of the policy: "track", "event"; required
	Kind      string // of the segment: "normal", "event", "parking"; may be empty
	Source    string // "gnss" or "camera NAME"; required
	Channel   string // of the camera: "F", "R"; may be empty
	Vehicle   red.Text
	// Start and End span the capture, to the millisecond; zero if unknown.
	Start, End time.Time
	// Clock says what vouches for Start and End: "none", "gnss",
	// "gnss-rollover" (week rollover corrected) or "name" (from the file name:
	// the recorder's own clock, zone unknown, written as if it were UTC).
	Clock string
	// Boot counts the starts of the agent, Sequence rises with what it has
	// made since: together they put objects in order without a clock.
	Boot, Sequence uint32
	Flags          []string // words of a-z, 0-9 and -; no more than six
	File           red.Text // the recorder's name for the segment; may be empty
	Nonce          [16]byte // random: equal contents make unequal plaintexts
}

// Marshal writes the record: envelope.RecordSize bytes. Kind, Source, Channel,
// Stream and Vehicle keep their beginning when they are too long, File its
// end; a flag such as "file-truncated" is then added. It is an error if a
// required value is missing, or if MediaType, Clock, a flag or a year cannot be
// written; no error repeats a value.
func (r Record) Marshal() ([]byte, error) {
	r.Flags = slices.Clone(r.Flags)
	for _, t := range []struct {
		key   string
		value *string
	}{{"stream", &r.Stream}, {"kind", &r.Kind}, {"source", &r.Source}, {"channel", &r.Channel}, {"vehicle", (*string)(&r.Vehicle)}} {
		if cut := keepStart(*t.value, maxWord); cut != *t.value {
			*t.value = cut
			r.addFlag(t.key + cutSuffix)
		}
	}
	if room := r.roomForFile(); len(escape(r.File.Reveal())) > room {
		r.addFlag("file" + cutSuffix)
		r.File = red.Text(keepEnd(r.File.Reveal(), r.roomForFile()))
	}
	if err := r.check(); err != nil {
		return nil, fmt.Errorf("cannot write the record: %w", err)
	}
	b := r.appendLines(make([]byte, 0, envelope.RecordSize))
	for len(b) < envelope.RecordSize {
		b = append(b, '\n')
	}
	return b, nil
}

// cutSuffix ends the flags that Marshal adds.
const cutSuffix = "-truncated"

func (r *Record) addFlag(flag string) {
	if !slices.Contains(r.Flags, flag) {
		r.Flags = append(r.Flags, flag)
	}
}

// roomForFile is how many bytes as written all other lines leave to the name.
func (r Record) roomForFile() int {
	r.File = "x" // so that the line is there
	return envelope.RecordSize - len(r.appendLines(nil)) + 1
}

func (r *Record) appendLines(b []byte) []byte {
	b = append(b, version...)
	for _, f := range r.fields() {
		if text := f.String(); text != "" {
			b = append(b, f.key+": "+text+"\n"...)
		}
	}
	return b
}

// check refuses what Marshal cannot write or Parse must not read.
func (r *Record) check() error {
	switch {
	case r.Length < 0:
		return errors.New("length: negative")
	case r.Stream == "":
		return errors.New("stream: missing")
	case r.Source == "":
		return errors.New("source: missing")
	case !strings.Contains(r.MediaType, "/") || len(r.MediaType) > maxWord || strings.ContainsFunc(r.MediaType, notPrintable):
		return fmt.Errorf("media-type: expected type/subtype, at most %d printable ASCII characters", maxWord)
	case !word(r.Clock, maxFlag):
		return fmt.Errorf("clock: expected a word of a-z, 0-9 and -, at most %d characters", maxFlag)
	}
	for _, t := range []time.Time{r.Start, r.End} {
		if y := t.UTC().Year(); y < 0 || y > 9999 {
			return errors.New("start or end: the year does not have four digits")
		}
	}
	return r.checkFlags()
}

func (r *Record) checkFlags() error {
	own := 0
	for i, f := range r.Flags {
		if !word(f, maxFlag) {
			return fmt.Errorf("flags: number %d is not a word of a-z, 0-9 and -, at most %d characters", i+1, maxFlag)
		}
		if slices.Contains(r.Flags[:i], f) {
			return fmt.Errorf("flags: number %d is there twice", i+1)
		}
		if !strings.HasSuffix(f, cutSuffix) {
			own++
		}
	}
	if own > maxFlags || len(r.Flags)-own > maxFlags {
		return fmt.Errorf("flags: more than %d", maxFlags)
	}
	return nil
}

func notPrintable(c rune) bool { return c < ' ' || c > '~' || c == '%' }

// word reports whether s is 1 to limit characters of a-z, 0-9 and -.
func word(s string, limit int) bool {
	return s != "" && len(s) <= limit && strings.Trim(s, "abcdefghijklmnopqrstuvwxyz0123456789-") == ""
}
