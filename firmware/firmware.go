// Package firmware decides whether an update may run on this unit: Uptane's
// full verification (Uptane Standard 2.0, section 5.4.4.2). Two repositories
// must agree on an image: the Director, online, which says what this vehicle
// is to install, and the Image repository, signed offline, which says what was
// released. One of them in wrong hands is not enough.
//
// A Verifier judges once, and has no memory but that of its clients. An Updater
// does it over time: it asks again and again, keeps durable what both
// repositories vouch for, and signs a report of what came of it. FORMAT.md
// beside this file specifies what it keeps and what it reports.
//
// Whatever a repository serves, what was verified before stays, and what has
// expired is never in the way of something newer. Time is a lower bound that
// only signed metadata raises from here, and never beyond what other signers
// say (signed.Trusted.Certain), so that no wrong clock locks a unit out.
//
// Side: black.
package firmware

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"slices"
	"time"

	"roadseal/crypto/signed"
	"roadseal/firmware/report"
)

// WrongHardware is an image for another kind of unit.
const WrongHardware signed.Attack = "wrong hardware"

// Names of the two repositories, in errors and reports.
const (
	Director = "director"
	Images   = "image"
)

// A Unit is what images are made for.
type Unit struct {
	ECU      string // its identifier toward the Director
	Hardware string // the kind of board
}

// An Image is an update that both repositories vouch for.
type Image struct {
	Path     string // on the Image repository
	Length   int64  // bytes
	Hashes   map[string]string
	Counter  int64    // release counter
	Campaign string   // as the Director calls it, or ""
	RXSWIN   []string // identifications by regulation (UN R156)
	target   *signed.Target
	record   *report.Image // the same as reports have it
}

// Verify demands that data is the image.
func (i *Image) Verify(data []byte) error { return i.target.Verify(data) }

// A Verifier checks updates for one unit.
type Verifier struct {
	Director, Images *signed.Client
	Unit             Unit
	// Installed is what runs now. Lower release counters are refused, and what
	// has its SHA-256 is not looked for again.
	Installed report.Image
	// Vehicle is the id that a Director must address an empty list to, so that
	// nobody's empty list withholds another's update. "" takes any.
	Vehicle string
	// AnyHardware takes an image for which the Image repository names no
	// hardware, where the Director alone speaks of it. Of use only for
	// repositories that are not ours.
	AnyHardware bool
	// Verified, if not nil, is called with each repository whose metadata is
	// up to date.
	Verified func(*signed.Client)
}

// members are those of a JSON object, by their exact names: json.Unmarshal into
// a struct would take other spellings as well.
type members map[string]json.RawMessage

// need reads a member that must be there.
func (m members) need(name string, into any) error {
	raw, ok := m[name]
	if !ok || string(raw) == "null" {
		return fmt.Errorf("custom: expected a member %q", name)
	}
	if err := json.Unmarshal(raw, into); err != nil {
		return fmt.Errorf("custom: %s: expected a value of another kind", name)
	}
	return nil
}

// optional reads a member that may be missing.
func (m members) optional(name string, into any) error {
	if _, ok := m[name]; !ok {
		return nil
	}
	return m.need(name, into)
}

func custom(t *signed.Target) (members, error) {
	var m members
	if err := json.Unmarshal([]byte(t.Custom()), &m); err != nil || m == nil {
		return nil, errors.New("expected a member \"custom\" with an object")
	}
	return m, nil
}

func refuse(repository string, a signed.Attack, format string, args ...any) error {
	return &signed.Error{Attack: a, Repository: repository, Role: signed.Targets, Err: fmt.Errorf(format, args...)}
}

// An order is what the Director wants on this unit.
type order struct {
	*signed.Target
	counter  int64
	campaign string
}

// Check fetches what is new and returns the image that this unit is to have,
// nil if it has it already or the Director names none: the Image repository is
// not asked then. now is a time that has certainly come; it is asked anew
// before each repository.
func (v *Verifier) Check(ctx context.Context, now func() time.Time) (*Image, error) {
	if err := v.refresh(ctx, v.Director, now()); err != nil {
		return nil, err
	}
	o, err := v.order()
	if err != nil || o == nil || v.runs(o) {
		return nil, err
	}
	if err := v.refresh(ctx, v.Images, now()); err != nil {
		return nil, err
	}
	return v.match(ctx, o, now())
}

// runs reports whether what the Director wants is installed.
func (v *Verifier) runs(o *order) bool {
	return v.Installed.SHA256 != "" && o.Hashes["sha256"] == v.Installed.SHA256 && o.Length == v.Installed.Length
}

func (v *Verifier) refresh(ctx context.Context, c *signed.Client, now time.Time) error {
	err := c.Refresh(ctx, now)
	if err == nil && v.Verified != nil {
		v.Verified(c)
	}
	return err
}

// order judges what the Director lists (Uptane section 5.4.4.6).
func (v *Verifier) order() (*order, error) {
	if v.Director.Delegates() {
		return nil, refuse(Director, signed.Arbitrary, "a Director cannot delegate")
	}
	listed := v.Director.Listed()
	if len(listed) == 0 && v.Vehicle != "" && v.Director.Audience() != v.Vehicle {
		return nil, refuse(Director, signed.WrongVehicle, "it lists nothing, and is for %q: only a list for this vehicle alone may be empty, or anybody's could withhold its updates", v.Director.Audience())
	}
	var found *order
	for _, t := range listed {
		o := &order{Target: t}
		m, err := custom(t)
		var ecus map[string]members
		if err == nil {
			err = errors.Join(m.need("ecuIdentifiers", &ecus), m.optional("campaign", &o.campaign))
		}
		if err == nil && len(ecus) == 0 {
			err = errors.New("custom: ecuIdentifiers: expected an ECU")
		}
		if err == nil && o.campaign != "" && !report.IsText(o.campaign) {
			err = errors.New("custom: campaign: expected at most 255 characters of printable ASCII")
		}
		if err != nil {
			return nil, refuse(Director, signed.Malformed, "%w", err)
		}
		for _, ecu := range slices.Sorted(maps.Keys(ecus)) {
			if found != nil && ecu == v.Unit.ECU {
				return nil, refuse(Director, signed.MixAndMatch, "two images for one ECU")
			}
			if o.counter, err = v.ordered(ecu, ecus[ecu]); err != nil {
				return nil, err
			}
		}
		found = o
	}
	return found, nil
}

// ordered judges what the Director says of an ECU and returns the release
// counter.
func (v *Verifier) ordered(ecu string, m members) (counter int64, err error) {
	if ecu != v.Unit.ECU {
		return 0, refuse(Director, signed.WrongVehicle, "it lists an ECU that this vehicle does not have")
	}
	var hardware string
	if err := m.need("hardwareId", &hardware); err != nil {
		return 0, refuse(Director, signed.Malformed, "%w", err)
	}
	if err := m.optional("releaseCounter", &counter); err != nil {
		return 0, refuse(Director, signed.Malformed, "%w", err)
	}
	switch {
	case hardware != v.Unit.Hardware:
		return 0, refuse(Director, WrongHardware, "it is for hardware %q, this is %q", hardware, v.Unit.Hardware)
	case counter < v.Installed.Counter:
		return 0, refuse(Director, signed.Rollback, "release counter %d, and %d is installed", counter, v.Installed.Counter)
	}
	return counter, nil
}

// match demands that the Image repository says the same of the image (Uptane
// section 5.4.4.2).
func (v *Verifier) match(ctx context.Context, o *order, now time.Time) (*Image, error) {
	t, err := v.Images.Find(ctx, o.Path, now)
	if errors.Is(err, signed.ErrNoTarget) {
		return nil, refuse(Images, signed.MixAndMatch, "it does not list what the Director wants installed")
	}
	if err != nil {
		return nil, err
	}
	i := &Image{Path: t.Path, Length: t.Length, Hashes: t.Hashes, Campaign: o.campaign, target: t}
	var hardware []string
	m, err := custom(t)
	if err == nil {
		err = errors.Join(m.optional("hardwareIds", &hardware), m.optional("releaseCounter", &i.Counter), m.optional("rxswin", &i.RXSWIN))
	}
	switch {
	case err != nil:
		return nil, refuse(Images, signed.Malformed, "%w", err)
	case t.Length != o.Length || !maps.Equal(t.Hashes, o.Hashes):
		return nil, refuse(Images, signed.MixAndMatch, "length or hashes are not those that the Director lists")
	case !slices.Contains(hardware, v.Unit.Hardware) && !(v.AnyHardware && hardware == nil):
		return nil, refuse(Images, WrongHardware, "it was released for %q, this is %q", hardware, v.Unit.Hardware)
	case i.Counter != o.counter:
		return nil, refuse(Images, signed.MixAndMatch, "release counter %d, and the Director lists %d", i.Counter, o.counter)
	}
	i.record, err = describe(i)
	return i, err
}

// concerns reports whether a delegation speaks for a kind of hardware: one that
// names none does (Uptane section 5.4.4.7).
func concerns(custom, hardware string) bool {
	var m members
	var kinds []string
	if json.Unmarshal([]byte(custom), &m) != nil || m.optional("hardwareIds", &kinds) != nil {
		return false
	}
	return kinds == nil || slices.Contains(kinds, hardware)
}
