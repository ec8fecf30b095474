package gnss

import (
	"fmt"
	"slices"
	"strings"
)

// Marks is the set of reasons not to believe a fix; 0 is none.
type Marks uint16

// The marks. Positions and times are passed on as the receiver said them, save
// for MarkRollover.
const (
	// MarkJump: more than 200 m and more than 100 m/s away from the last
	// position believed.
	MarkJump Marks = 1 << iota
	// MarkTimeBack: earlier than the last time believed.
	MarkTimeBack
	// MarkTimeJump: later or less late than the last time believed, by more
	// than the monotonic clock allows.
	MarkTimeJump
	// MarkTimeRepeat: the same talker said the time of the epoch before
	// again.
	MarkTimeRepeat
	// MarkBeforeFloor: more than a day earlier than the trusted floor, and no
	// week rollover explains it.
	MarkBeforeFloor
	// MarkRollover: was more than a day earlier than the trusted floor; UTC is
	// 1,024 weeks later than said.
	MarkRollover
	// MarkFuture: 1,024 weeks less a day, or more, after the trusted floor, as
	// of a receiver that adds a week rollover too many.
	MarkFuture
	// MarkNoDate: the time is unknown, as no valid time of day was said or
	// no date for it; UTC is zero.
	MarkNoDate
	// MarkBadTime: an impossible time of day or date was said and not used:
	// hour 24, 31 February. 23:59:60 is possible.
	MarkBadTime
	// MarkNullIsland: latitude and longitude are both exactly 0.
	MarkNullIsland
	// MarkFrozen: the position has stayed the same to the last digit while
	// the speeds said would have moved the car by more than 50 m.
	MarkFrozen
	// MarkSpoofed: the receiver says that it hears false signals.
	MarkSpoofed

	// MarkOther: Fix.Other names marks that this release does not know. It is
	// in no name and set by no Decoder, only on fixes that are read back.
	MarkOther Marks = 1 << 15
)

// markNames is in the order of declaration. A release that adds a mark adds it
// at the end: older ones then read it as one that they do not know.
var markNames = [...]string{
	"jump", "time-back", "time-jump", "time-repeat", "before-floor",
	"rollover", "future", "no-date", "bad-time", "null-island",
	"frozen", "spoofed",
}

// String is the names of the marks, in the order of their declaration, joined
// by "|": "jump|time-back". It is empty for no mark.
func (m Marks) String() string {
	var names []string
	for i, name := range markNames {
		if m&(1<<i) != 0 {
			names = append(names, name)
		}
	}
	return strings.Join(names, "|")
}

// MarkNames is the names of all marks of the fix, those of Other last.
func (f Fix) MarkNames() string {
	names := f.Marks.String()
	if names != "" && f.Other != "" {
		names += "|"
	}
	return names + f.Other
}

// ParseMarks reads what MarkNames prints, and nothing else: marks, and behind
// them those of a later release, for Fix.Other, each of letters a to z and "-".
func ParseMarks(s string) (m Marks, other string, err error) {
	if s == "" {
		return 0, "", nil
	}
	var unknown []string
	for name := range strings.SplitSeq(s, "|") {
		switch i := slices.Index(markNames[:], name); {
		case i >= 0 && 1<<i > m: // MarkOther is above them all
			m |= 1 << i
		case i >= 0, slices.Contains(unknown, name):
			return 0, "", fmt.Errorf("cannot read marks %q: %s is repeated or out of order", s, name)
		case name == "" || strings.Trim(name, "abcdefghijklmnopqrstuvwxyz-") != "":
			return 0, "", fmt.Errorf("cannot read mark %q: expected letters a to z and '-', as in %s", name, strings.Join(markNames[:], ", "))
		default:
			m |= MarkOther
			unknown = append(unknown, name)
		}
	}
	return m, strings.Join(unknown, "|"), nil
}
