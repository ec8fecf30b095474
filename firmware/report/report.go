// Package report is the form of what a unit says of its software: what is
// installed, what came of the last attempt to update, and what has changed
// (Uptane Standard 2.0, section "Vehicle version manifest"; UN R156). The
// device's own key signs it, and each report names the one before, so that
// none can be altered, left out or put in later unnoticed.
//
// Vehicle and desk use the same codec. FORMAT.md in the folder above specifies
// it. A report is written in one form only: a byte that is another makes
// another report, or none.
//
// Side: black.
package report

import (
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"strings"
	"time"
)

// Limits of what is read: bytes of a report and of an image in it, entries, and
// bytes of one text. A report of one ECU names four images at most; with its
// certificates it always fits.
const (
	MaxSize  = 64 << 10
	MaxImage = 8 << 10
	MaxTexts = 64
	MaxText  = 255
)

// A Report is what a unit says. Texts are printable ASCII of 1 to MaxText
// bytes. Members stand in the order of their names, as they do when written.
type Report struct {
	Type       string      `json:"_type"` // "report"
	Attempt    Attempt     `json:"attempt"`
	Counter    int64       `json:"counter"`   // of the unit's reports, from 1 up
	Device     string      `json:"device"`    // common name of the certificate: the unit's pseudonym
	Installed  []Installed `json:"installed"` // none if what is installed cannot be read
	Previous   string      `json:"previous"`  // Digest of the report before, None in the first
	Changes    []Change    `json:"rxswin"`    // since the report before
	Time       time.Time   `json:"time"`      // UTC, whole seconds: it was at least that late
	Confidence Confidence  `json:"timeConfidence"`
}

// typeName stands in Report.Type.
const typeName = "report"

// None stands for the digest of a report that there is not.
var None = strings.Repeat("0", 2*sha256.Size)

// Confidence says what a unit's time rests on.
type Confidence string

// Kinds of time.
const (
	Signed Confidence = "signed" // a signed time of this start, moved on
	GNSS   Confidence = "gnss"   // a receiver's, which nobody signs
	Floor  Confidence = "floor"  // the last signed time of an earlier start: perhaps long ago
)

// A Result is what came of an attempt.
type Result string

// Results.
const (
	Current     Result = "current"     // verified, and nothing is to be installed
	Verified    Result = "verified"    // both repositories vouch for the image offered
	Refused     Result = "refused"     // Attack says why
	Unreachable Result = "unreachable" // a file could not be fetched
	Failed      Result = "failed"      // the unit itself could not: its disk, its provisioning
)

// An Attempt is one search for an update.
type Attempt struct {
	Attack     string   `json:"attack,omitempty"` // as crypto/signed and firmware name it
	Attempts   int64    `json:"attempts"`         // that this report stands for, since the one before or the start
	Director   Versions `json:"director"`
	Error      string   `json:"error,omitempty"`
	Images     Versions `json:"image"`
	Offered    *Image   `json:"offered,omitempty"`
	Repository string   `json:"repository,omitempty"` // "director" or "image"
	Result     Result   `json:"result"`
	Role       string   `json:"role,omitempty"` // whose file it was
}

// Versions are those of the metadata that a unit trusts, 0 where it has none.
type Versions struct {
	Root      int64 `json:"root"`
	Snapshot  int64 `json:"snapshot"`
	Targets   int64 `json:"targets"`
	Timestamp int64 `json:"timestamp"`
}

// An Image is software as the repositories, or who installed it, describe it.
type Image struct {
	Campaign      string   `json:"campaign,omitempty"` // that brought it
	Length        int64    `json:"length"`             // bytes
	Path          string   `json:"path"`               // on the Image repository
	Preconditions []string `json:"preconditions,omitempty"`
	Counter       int64    `json:"releaseCounter"`
	RXSWIN        []string `json:"rxswin"` // identifications by regulation (UN R156), perhaps none
	SHA256        string   `json:"sha256"` // lower-case hex
}

// Installed is what runs on one ECU.
type Installed struct {
	ECU      string `json:"ecu"`
	Hardware string `json:"hardware"`
	Image    Image  `json:"image"`
}

// Trouble is what came between, in one line: "" if nothing did.
func (a *Attempt) Trouble() string {
	s := string(a.Result)
	switch a.Result {
	case Current, Verified:
		return ""
	case Refused:
		s += ": " + a.Attack
	}
	if a.Repository != "" {
		s += ": " + a.Repository + " " + a.Role
	}
	return s + ": " + a.Error
}

// A Change of what is installed: with the time of its report, the record that
// UN R156 asks for. Campaign, preconditions and RXSWIN stand in To.
type Change struct {
	ECU    string  `json:"ecu"`
	From   *Image  `json:"from,omitempty"` // nil if nothing was known before
	Result Outcome `json:"result"`
	To     Image   `json:"to"`
}

// An Outcome of a change.
type Outcome string

// Outcomes.
const (
	Provisioned Outcome = "provisioned" // found at first sight
	Updated     Outcome = "installed"
	RolledBack  Outcome = "rolled back" // to a lower release counter
)

// Digest is the SHA-256 of the report's canonical form, in hex: what the next
// report calls Previous.
func (r *Report) Digest() string {
	message, err := Marshal(r)
	if err != nil {
		return None // one that Check refuses, such as a time without a form
	}
	sum := sha256.Sum256(message)
	return hex.EncodeToString(sum[:])
}

// Marshal returns the canonical form of a Report, an Image or a signed report:
// JSON without a space, members sorted. encoding/json writes just that, as the
// types here declare their members in order and hold texts of printable ASCII.
func Marshal(v any) ([]byte, error) {
	var b bytes.Buffer
	e := json.NewEncoder(&b)
	e.SetEscapeHTML(false)
	err := e.Encode(v)
	return bytes.TrimSuffix(b.Bytes(), []byte{'\n'}), err
}
