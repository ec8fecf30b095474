package report

import (
	"bytes"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"
)

// Strict reads the canonical form of what v points to, and nothing else: a
// member that is unknown, missing, null, twice there or out of order is an
// error, and so is a space.
func Strict(data []byte, v any) error {
	if len(data) > MaxSize {
		return fmt.Errorf("%d bytes, expected at most %d", len(data), MaxSize)
	}
	d := json.NewDecoder(bytes.NewReader(data))
	d.DisallowUnknownFields()
	var wrong *json.UnmarshalTypeError
	switch err := d.Decode(v); {
	case errors.As(err, &wrong):
		return fmt.Errorf("%s: expected a value of another kind, not %.20s", wrong.Field, wrong.Value)
	case err != nil:
		return fmt.Errorf("%s", strings.TrimPrefix(err.Error(), "json: "))
	}
	again, err := Marshal(v)
	if err != nil {
		return err
	}
	if at := apart(data, again); at >= 0 {
		return fmt.Errorf("byte %d: expected the canonical form, every member in the order of the names and no space: …%.40s", at, again[min(at, len(again)):])
	}
	return nil
}

// apart returns where a and b differ, -1 if they do not.
func apart(a, b []byte) int {
	for i := range min(len(a), len(b)) {
		if a[i] != b[i] {
			return i
		}
	}
	if len(a) != len(b) {
		return min(len(a), len(b))
	}
	return -1
}

// A checker keeps the first fault of what was read, and the field it is in.
type checker struct{ fault error }

func (c *checker) demand(ok bool, field, expected string) {
	if !ok && c.fault == nil {
		c.fault = fmt.Errorf("%s: expected %s", field, expected)
	}
}

// IsText reports whether s may stand in a report.
func IsText(s string) bool {
	return s != "" && len(s) <= MaxText && !strings.ContainsFunc(s, func(r rune) bool { return r < ' ' || r > '~' })
}

const textual = "1 to 255 characters of printable ASCII"

func (c *checker) text(field, s string) { c.demand(IsText(s), field, textual) }

func (c *checker) optional(field, s string) {
	if s != "" {
		c.text(field, s)
	}
}

func (c *checker) texts(field string, list []string) {
	c.demand(len(list) <= MaxTexts, field, "at most 64 texts")
	for i, s := range list {
		c.text(field, s)
		c.demand(!slices.Contains(list[:i], s), field, "each text once")
	}
}

func (c *checker) digest(field, s string) {
	raw, err := hex.DecodeString(s)
	c.demand(err == nil && len(raw) == 32 && strings.ToLower(s) == s, field, "64 lower-case hex digits")
}

func (c *checker) oneOf(field string, s string, known ...string) {
	c.demand(slices.Contains(known, s), field, "one of "+strings.Join(known, ", "))
}

// Check says which field of an image is not as it has to be.
func (i *Image) Check() error {
	c := &checker{}
	c.image("", i)
	return c.fault
}

func (c *checker) image(at string, i *Image) {
	c.optional(at+"campaign", i.Campaign)
	c.demand(i.Length >= 0, at+"length", "a number of bytes")
	c.text(at+"path", i.Path)
	c.texts(at+"preconditions", i.Preconditions)
	c.demand(i.Counter >= 0, at+"releaseCounter", "a number of at least 0")
	c.demand(i.RXSWIN != nil, at+"rxswin", "a list of texts, [] for none")
	c.texts(at+"rxswin", i.RXSWIN)
	c.digest(at+"sha256", i.SHA256)
	text, err := Marshal(i)
	c.demand(err == nil && len(text) <= MaxImage, at+"rxswin", fmt.Sprintf("an image of at most %d bytes as JSON", MaxImage))
}

func (c *checker) versions(at string, v Versions) {
	c.demand(min(v.Root, v.Snapshot, v.Targets, v.Timestamp) >= 0, at, "versions of at least 0")
}

// Check says which field of a report is not as it has to be.
func (r *Report) Check() error {
	c := &checker{}
	c.oneOf("_type", r.Type, typeName)
	c.attempt(&r.Attempt)
	c.demand(r.Counter >= 1, "counter", "a number of at least 1")
	c.text("device", r.Device)
	c.demand(r.Installed != nil && len(r.Installed) <= MaxTexts, "installed", "a list of at most 64 ECUs, [] for none")
	for _, i := range r.Installed {
		c.text("installed.ecu", i.ECU)
		c.text("installed.hardware", i.Hardware)
		c.image("installed.image.", &i.Image)
	}
	c.digest("previous", r.Previous)
	c.demand((r.Counter == 1) == (r.Previous == None), "previous", "64 zeros in the first report, and only there")
	c.demand(r.Changes != nil && len(r.Changes) <= MaxTexts, "rxswin", "a list of at most 64 changes, [] for none")
	for _, x := range r.Changes {
		c.text("rxswin.ecu", x.ECU)
		if x.From != nil {
			c.image("rxswin.from.", x.From)
		}
		c.oneOf("rxswin.result", string(x.Result), string(Provisioned), string(Updated), string(RolledBack))
		c.image("rxswin.to.", &x.To)
	}
	c.demand(r.Time.Location() == time.UTC && r.Time.Nanosecond() == 0 && r.Time.Year() >= 1970 && r.Time.Year() < 10000,
		"time", "a time such as 2026-11-24T12:00:00Z")
	c.oneOf("timeConfidence", string(r.Confidence), string(Signed), string(GNSS), string(Floor))
	return c.fault
}

func (c *checker) attempt(a *Attempt) {
	c.optional("attempt.attack", a.Attack)
	c.demand(a.Attempts >= 1, "attempt.attempts", "a number of at least 1")
	c.versions("attempt.director", a.Director)
	c.optional("attempt.error", a.Error)
	c.versions("attempt.image", a.Images)
	if a.Offered != nil {
		c.image("attempt.offered.", a.Offered)
	}
	c.optional("attempt.repository", a.Repository)
	c.oneOf("attempt.result", string(a.Result), string(Current), string(Verified), string(Refused), string(Unreachable), string(Failed))
	c.optional("attempt.role", a.Role)
	c.demand((a.Attack != "") == (a.Result == Refused), "attempt.attack", "the name of an attack with the result \"refused\", and only there")
	c.demand((a.Offered != nil) == (a.Result == Verified), "attempt.offered", "an image with the result \"verified\", and only there")
}
