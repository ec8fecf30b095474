// Package red holds the types of values that must never appear in our own
// output: positions, vehicle numbers, recorder file names.
//
// Whatever prints them (fmt with any verb, log/slog, encoding/json, an error
// text) prints [red]. The only way to the value is Reveal, so that one search
// for it finds every place that handles plaintext.
//
// One hole is left, because fmt calls no methods on unexported fields: a struct
// that keeps a red value in one must not be printed.
//
// Side: red.
package red

import (
	"fmt"
	"io"
	"log/slog"
)

// Mark is what stands in the output in place of a red value.
const Mark = "[red]"

// Text is a private string: a vehicle number or a recorder's file name.
type Text string

// Reveal returns the plain value.
func (t Text) Reveal() string { return string(t) }

// String implements fmt.Stringer; it prints Mark.
func (Text) String() string { return Mark }

// Format implements fmt.Formatter; it prints Mark for every verb.
func (Text) Format(s fmt.State, _ rune) { hide(s) }

// LogValue implements slog.LogValuer.
func (Text) LogValue() slog.Value { return slog.StringValue(Mark) }

// MarshalText implements encoding.TextMarshaler.
func (Text) MarshalText() ([]byte, error) { return []byte(Mark), nil }

// Degrees is a private angle in degrees: a latitude or a longitude, WGS 84.
type Degrees float64

// Reveal returns the plain value in degrees.
func (d Degrees) Reveal() float64 { return float64(d) }

// String implements fmt.Stringer; it prints Mark.
func (Degrees) String() string { return Mark }

// Format implements fmt.Formatter; it prints Mark for every verb.
func (Degrees) Format(s fmt.State, _ rune) { hide(s) }

// LogValue implements slog.LogValuer.
func (Degrees) LogValue() slog.Value { return slog.StringValue(Mark) }

// MarshalText implements encoding.TextMarshaler.
func (Degrees) MarshalText() ([]byte, error) { return []byte(Mark), nil }

// hide writes Mark. A formatter has no way to report an error; fmt keeps the
// writer's own.
func hide(w io.Writer) { fmt.Fprint(w, Mark) }
