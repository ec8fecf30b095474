package gnss

import (
	"fmt"
	"log/slog"
	"time"

	"roadseal/hal/red"
)

// A Fix is what the receiver said about one instant. It prints as [red] through
// fmt, log/slog and encoding/json: height, speed and course tell the place
// almost as well as the coordinates do.
type Fix struct {
	// Mono is when the epoch's first sentence was complete: monotonic time
	// since the decoder was made.
	Mono time.Duration
	// UTC is the time of the position, as Clock says; zero if unknown. A
	// leap second, 23:59:60, reads as the last nanosecond before midnight.
	UTC time.Time
	// Clock says where UTC comes from.
	Clock Clock
	// Lat and Lon are degrees, WGS 84; north and east are positive.
	Lat, Lon red.Degrees
	// Altitude is metres above the geoid (mean sea level); NaN if not said.
	Altitude float64
	// Speed over ground is metres a second; NaN if not said.
	Speed float64
	// Course over ground is degrees from true north, 0 <= Course < 360; NaN
	// if not said.
	Course float64
	// HDOP is the horizontal dilution of precision, a plain number; NaN if
	// not said.
	HDOP float64
	// Accuracy is an estimate of the horizontal error, metres, one standard
	// deviation: that of the receiver (NAV-PVT, else GST, else GBS), else HDOP
	// times 5 m, what a single-frequency receiver under an open sky is off by
	// in each range. NaN without any.
	Accuracy float64
	// Satellites is the number used for the position; -1 if not said.
	Satellites int
	// Quality is the GGA quality indicator: 0 invalid, 1 autonomous, 2
	// differential, 3 precise, 4 RTK fixed, 5 RTK float, 6 estimated (dead
	// reckoning), 7 manual input, 8 simulator. Without GGA it is derived
	// from GNS, NAV-PVT, RMC or GLL.
	Quality byte
	// Marks says what about the fix is not believed.
	Marks Marks
	// Other names marks of a later release, joined by "|": see MarkOther.
	Other string
}

// rangeError is the user equivalent range error behind Fix.Accuracy, metres.
const rangeError = 5.0

// String implements fmt.Stringer; it prints red.Mark.
func (Fix) String() string { return red.Mark }

// Format implements fmt.Formatter; it prints red.Mark for every verb.
func (Fix) Format(s fmt.State, _ rune) { fmt.Fprint(s, red.Mark) }

// LogValue implements slog.LogValuer.
func (Fix) LogValue() slog.Value { return slog.StringValue(red.Mark) }

// MarshalText implements encoding.TextMarshaler, and with it hides a fix from
// encoding/json.
func (Fix) MarshalText() ([]byte, error) { return []byte(red.Mark), nil }

// A Clock says which clock a time comes from.
type Clock uint8

// The clocks of a fix.
const (
	// ClockNone: no time is known.
	ClockNone Clock = iota
	// ClockGNSS: as the receiver said.
	ClockGNSS
	// ClockGNSSRollover: the receiver said a time 1,024 weeks earlier, the
	// fault of firmware that counts GPS weeks in ten bits.
	ClockGNSSRollover
)

var clockNames = [...]string{"none", "gnss", "gnss-rollover"}

// String is "none", "gnss" or "gnss-rollover".
func (c Clock) String() string {
	if int(c) < len(clockNames) {
		return clockNames[c]
	}
	return fmt.Sprintf("clock(%d)", uint8(c))
}

// ParseClock is the inverse of Clock.String.
func ParseClock(s string) (Clock, error) {
	for i, name := range clockNames {
		if s == name {
			return Clock(i), nil
		}
	}
	return ClockNone, fmt.Errorf("cannot read clock %q: expected none, gnss or gnss-rollover", s)
}
