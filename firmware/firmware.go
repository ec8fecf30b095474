// Package firmware decides whether an update may run on this unit: Uptane's
// full verification (Uptane Standard 2.0, section 5.4.4.2). Two repositories
// must agree on an image: the Director, online, which says what this vehicle
// is to install, and the Image repository, signed offline, which says what was
// released. One of them in wrong hands is not enough.
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
)

// WrongHardware is an image for another kind of unit.
const WrongHardware signed.Attack = "wrong hardware"

// A Unit is what images are made for.
type Unit struct {
	ECU      string // its identifier toward the Director
	Hardware string // the kind of board
	Counter  int64  // release counter of what is installed; lower ones are refused
}

// An Image is an update that both repositories vouch for.
type Image struct {
	Path    string // on the Image repository
	Length  int64  // bytes
	Hashes  map[string]string
	Counter int64 // release counter
	target  *signed.Target
}

// Verify demands that data is the image.
func (i *Image) Verify(data []byte) error { return i.target.Verify(data) }

// A Verifier checks updates for one unit.
type Verifier struct {
	Director, Images *signed.Client
	Unit             Unit
	// AnyHardware takes an image for which the Image repository names no
	// hardware, where the Director alone speaks of it. Of use only for
	// repositories that are not ours.
	AnyHardware bool
}

// directed is what the Director says of an image.
type directed struct {
	ECUs map[string]struct {
		Hardware string `json:"hardwareId"`
		Counter  int64  `json:"releaseCounter"`
	} `json:"ecuIdentifiers"`
}

// released is what the Image repository says of one.
type released struct {
	Hardware []string `json:"hardwareIds"`
	Counter  int64    `json:"releaseCounter"`
}

func custom(t *signed.Target, into any) error {
	text := t.Custom()
	if text == "" {
		return errors.New("expected a member \"custom\"")
	}
	return json.Unmarshal([]byte(text), into)
}

func refuse(repository string, a signed.Attack, format string, args ...any) error {
	return &signed.Error{Attack: a, Repository: repository, Role: signed.Targets, Err: fmt.Errorf(format, args...)}
}

// Check fetches what is new and returns the image that this unit is to have,
// nil if the Director names none. now is a time that has certainly come.
func (v *Verifier) Check(ctx context.Context, now time.Time) (*Image, error) {
	if err := v.Director.Refresh(ctx, now); err != nil {
		return nil, err
	}
	order, counter, err := v.order()
	if err != nil {
		return nil, err
	}
	if err := v.Images.Refresh(ctx, now); err != nil || order == nil {
		return nil, err
	}
	return v.match(ctx, order, counter, now)
}

// order returns what the Director wants on this unit.
func (v *Verifier) order() (order *signed.Target, counter int64, err error) {
	const director = "director"
	if v.Director.Delegates() {
		return nil, 0, refuse(director, signed.Arbitrary, "a Director cannot delegate")
	}
	seen := map[string]bool{}
	for _, t := range v.Director.Listed() {
		var d directed
		if err := custom(t, &d); err != nil {
			return nil, 0, refuse(director, signed.Malformed, "%w", err)
		}
		for ecu, want := range d.ECUs {
			switch {
			case seen[ecu]:
				return nil, 0, refuse(director, signed.MixAndMatch, "two images for one ECU")
			case ecu != v.Unit.ECU:
				return nil, 0, refuse(director, signed.WrongVehicle, "it lists an ECU that this vehicle does not have")
			case want.Hardware != v.Unit.Hardware:
				return nil, 0, refuse(director, WrongHardware, "it is for hardware %q, this is %q", want.Hardware, v.Unit.Hardware)
			case want.Counter < v.Unit.Counter:
				return nil, 0, refuse(director, signed.Rollback, "release counter %d, and %d is installed", want.Counter, v.Unit.Counter)
			}
			seen[ecu] = true
			order, counter = t, want.Counter
		}
	}
	return order, counter, nil
}

// match demands that the Image repository says the same of the image.
func (v *Verifier) match(ctx context.Context, order *signed.Target, counter int64, now time.Time) (*Image, error) {
	const images = "image repository"
	t, err := v.Images.Find(ctx, order.Path, now)
	if errors.Is(err, signed.ErrNoTarget) {
		return nil, refuse(images, signed.MixAndMatch, "it does not list what the Director wants installed")
	}
	if err != nil {
		return nil, err
	}
	var r released
	if err := custom(t, &r); err != nil {
		return nil, refuse(images, signed.Malformed, "%w", err)
	}
	switch {
	case t.Length != order.Length || !maps.Equal(t.Hashes, order.Hashes):
		return nil, refuse(images, signed.MixAndMatch, "length or hashes are not those that the Director lists")
	case !slices.Contains(r.Hardware, v.Unit.Hardware) && !(v.AnyHardware && r.Hardware == nil):
		return nil, refuse(images, WrongHardware, "it was released for %q, this is %q", r.Hardware, v.Unit.Hardware)
	case r.Counter != counter:
		return nil, refuse(images, signed.MixAndMatch, "release counter %d, and the Director lists %d", r.Counter, counter)
	}
	return &Image{Path: t.Path, Length: t.Length, Hashes: t.Hashes, Counter: counter, target: t}, nil
}
