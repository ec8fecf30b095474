package gnss

import (
	"fmt"
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
)

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

// ParseMarks is the inverse of Marks.String: only what String prints is read.
func ParseMarks(s string) (Marks, error) {
	var m Marks
	if s == "" {
		return m, nil
	}
	for name := range strings.SplitSeq(s, "|") {
		bit, err := parseMark(name)
		if err != nil {
			return 0, err
		}
		if bit <= m {
			return 0, fmt.Errorf("cannot read marks %q: %s is repeated or out of order", s, name)
		}
		m |= bit
	}
	return m, nil
}

func parseMark(s string) (Marks, error) {
	for i, name := range markNames {
		if s == name {
			return 1 << i, nil
		}
	}
	return 0, fmt.Errorf("cannot read mark %q: expected one of %s", s, strings.Join(markNames[:], ", "))
}
