package camera

import (
	"errors"
	"fmt"
	"maps"
	"path"
	"regexp"
	"slices"
	"strings"
	"time"

	"roadseal/hal/red"
)

// Kinds of segments. The camera decides between them, for reasons of its own.
const (
	kindNormal  = "normal"  // continuous recording
	kindEvent   = "event"   // an impact or another alarm: goes first
	kindParking = "parking" // motion while parked
	kindManual  = "manual"  // a person pressed the button
	kindLapse   = "lapse"   // time-lapse
)

// Named groups of a pattern.
const (
	groupTime    = "time"
	groupKind    = "kind"
	groupChannel = "channel"
	groupLock    = "lock"
	groupCopy    = "copy"
)

// A Pattern reads a segment's time, kind and channel off its name. The zero
// Pattern matches nothing.
type Pattern struct{ forms []form }

// A form is one way in which a recorder names its files. The first that
// matches decides.
type form struct {
	expr     *regexp.Regexp
	whole    bool // the path below the folder is matched, not its last element
	layout   string
	sidecar  string // media type, or "" for a video
	kinds    map[string]string
	channels map[string]string
}

func newForm(expr, timeLayout, sidecar string, kinds, channels map[string]string) (form, error) {
	re, err := regexp.Compile(`\A(?:` + expr + `)\z`)
	if err != nil {
		return form{}, fmt.Errorf("cannot read the name pattern: %w", err)
	}
	return form{expr: re, whole: strings.Contains(expr, "/"), layout: timeLayout, sidecar: sidecar,
		kinds: maps.Clone(kinds), channels: maps.Clone(channels)}, nil
}

// NewPattern returns a pattern of the regular expression expr (RE2), which
// must match a whole file name, or the whole path below the folder if it
// contains a slash. It has these named groups:
//
//	time     required; timeLayout is its layout in the manner of Go's time package
//	kind     looked up in kinds, or a kind itself if kinds is empty; where it matches nothing the segment is "normal"
//	channel  looked up in channels, or the channel itself if channels is empty; it may match nothing
//	lock     if it matches anything, the recorder keeps the file from its ring: an "event", unless the kind is "manual"
//	copy     if it matches anything, the file is a low-resolution copy and skipped
//
// Values of kinds are "normal", "event", "parking", "manual" and "lapse";
// channels are 1 to 32 letters, digits, "-" and "_". What stands in neither
// map is no segment.
func NewPattern(expr, timeLayout string, kinds, channels map[string]string) (Pattern, error) {
	f, err := newForm(expr, timeLayout, "", kinds, channels)
	if err != nil {
		return Pattern{}, err
	}
	if err := checkGroups(f.expr, kinds, channels); err != nil {
		return Pattern{}, err
	}
	if err := checkLayout(timeLayout); err != nil {
		return Pattern{}, err
	}
	for raw, kind := range kinds {
		if !isKind(kind) {
			return Pattern{}, fmt.Errorf("kind %q of %q is not known: expected normal, event, parking, manual or lapse", kind, raw)
		}
	}
	for raw, channel := range channels {
		if !isChannel(channel) {
			return Pattern{}, fmt.Errorf("channel %q of %q: expected 1 to 32 letters, digits, \"-\" or \"_\"", channel, raw)
		}
	}
	return Pattern{[]form{f}}, nil
}

func checkGroups(re *regexp.Regexp, kinds, channels map[string]string) error {
	names := re.SubexpNames()
	for _, n := range names {
		switch n {
		case "", groupTime, groupKind, groupChannel, groupLock, groupCopy:
		default:
			return fmt.Errorf("group %q of the name pattern is not known: expected time, kind, channel, lock or copy", n)
		}
	}
	for group, values := range map[string]map[string]string{groupKind: kinds, groupChannel: channels} {
		if len(values) > 0 && !slices.Contains(names, group) {
			return fmt.Errorf("the name pattern has no group for the given %ss: expected (?P<%s>…) in it", group, group)
		}
	}
	if !slices.Contains(names, groupTime) {
		return errors.New("the name pattern has no group for the time: expected (?P<time>…) in it")
	}
	return nil
}

// checkLayout refuses a layout that loses the date or the minute.
func checkLayout(layout string) error {
	want := time.Date(2021, time.November, 23, 14, 35, 46, 0, time.UTC)
	got, err := time.Parse(layout, want.Format(layout))
	if err != nil || !got.Truncate(time.Minute).Equal(want.Truncate(time.Minute)) {
		return fmt.Errorf("time layout %q does not hold a date and a time of day: expected one like \"20060102_150405\"", layout)
	}
	return nil
}

func isKind(s string) bool {
	switch s {
	case kindNormal, kindEvent, kindParking, kindManual, kindLapse:
		return true
	}
	return false
}

func isChannel(s string) bool {
	for _, r := range s {
		if !('a' <= r && r <= 'z' || 'A' <= r && r <= 'Z' || '0' <= r && r <= '9' || r == '-' || r == '_') {
			return false
		}
	}
	return 0 < len(s) && len(s) <= 32
}

// parse reads a path below the folder: the segment, as far as its name tells,
// or why it is none.
func (p Pattern) parse(file string) (Segment, string) {
	for _, f := range p.forms {
		name := file
		if !f.whole {
			name = path.Base(file)
		}
		if m := f.expr.FindStringSubmatch(name); m != nil {
			return f.read(file, m)
		}
	}
	return Segment{File: red.Text(file), Kind: kindNormal}, notMatched
}

// read takes what the groups of a name have matched; one that is empty says
// nothing.
func (f form) read(file string, groups []string) (Segment, string) {
	s := Segment{File: red.Text(file), Kind: kindNormal, Sidecar: f.sidecar}
	var err error
	protected := false
	for i, group := range f.expr.SubexpNames() {
		text := groups[i]
		if text == "" {
			continue
		}
		switch group {
		case groupTime:
			if s.Start, err = time.Parse(f.layout, text); err != nil {
				return s, badTime
			}
			s.Start = s.Start.UTC()
		case groupKind:
			if s.Kind = lookUp(f.kinds, text); !isKind(s.Kind) {
				return s, badKind
			}
		case groupChannel:
			if s.Channel = lookUp(f.channels, text); !isChannel(s.Channel) {
				return s, badChannel
			}
		case groupLock:
			protected = true
		case groupCopy:
			return s, lowResolution
		}
	}
	if protected && s.Kind != kindManual {
		s.Kind = kindEvent
	}
	return s, ""
}

// lookUp translates the letters of a name; without a table they stand for
// themselves.
func lookUp(table map[string]string, raw string) string {
	if len(table) == 0 {
		return raw
	}
	return table[raw]
}
