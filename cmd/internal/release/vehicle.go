package release

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"maps"
	"os"
	"path"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"roadseal/crypto/signed"
	"roadseal/firmware"
)

// anyVehicle is the id of one that has no orders of its own.
const anyVehicle = "a vehicle without orders of its own"

// memory is what a vehicle has stored.
type memory map[string][]byte

func (m memory) Load(name string) ([]byte, error) {
	data, ok := m[name]
	if !ok {
		return nil, fs.ErrNotExist
	}
	return data, nil
}

func (m memory) Save(name string, data []byte) error { m[name] = bytes.Clone(data); return nil }

func (m memory) Remove(name string) error { delete(m, name); return nil }

// source is a folder of a tree, as a vehicle fetches from it.
type source struct {
	tree
	folder string
}

func (s source) Fetch(_ context.Context, role string, version int64, limit int) ([]byte, error) {
	name := path.Join(s.folder, role+".json")
	if version > 0 {
		name = fileName(s.folder, role, version)
	}
	return s.read(name, int64(limit))
}

// A Seen is what a vehicle has of both repositories, in its store.
type Seen struct{ director, images memory }

// A vehicle looks at a tree as a unit with the given id does.
type vehicle struct {
	tree   tree
	roots  Roots
	folder string // of its orders
	device string // its id, "" = what the folder says
	seen   Seen
}

// Roots are those that vehicles were built with.
type Roots struct{ Image, Director []byte }

func (v *vehicle) id() string {
	if v.device != "" {
		return v.device
	}
	if device, ok := strings.CutPrefix(v.folder, Director+"/"); ok {
		return device
	}
	return anyVehicle
}

func (v *vehicle) clients() (director, images *signed.Client, err error) {
	o := signed.Options{Name: firmware.Director, Vehicle: v.id(), Addressed: true, Canonical: true}
	if director, err = signed.Open(v.roots.Director, source{v.tree, v.folder}, v.seen.director, o); err != nil {
		return nil, nil, err
	}
	o.Name = firmware.Images
	images, err = signed.Open(v.roots.Image, source{v.tree, Image}, v.seen.images, o)
	return director, images, err
}

// An Offer is an image that a kind of unit would take.
type Offer struct {
	Device   string `json:"device,omitempty"` // "" = the fleet
	ECU      string `json:"ecu"`
	Hardware string `json:"hardware"`
	Path     string `json:"path"`
	Length   int64  `json:"length"` // bytes
	SHA256   string `json:"sha256"`
	Counter  int64  `json:"release_counter"`
}

// offers checks everything as each unit would that the orders are for.
func (v *vehicle) offers(ctx context.Context, now time.Time) ([]Offer, error) {
	director, images, err := v.clients()
	if err != nil {
		return nil, err
	}
	if err := errors.Join(director.Refresh(ctx, now), images.Refresh(ctx, now)); err != nil {
		return nil, err
	}
	units := map[firmware.Unit]bool{}
	for _, t := range director.Listed() {
		var o Ordered
		if err := json.Unmarshal([]byte(t.Custom()), &o); err != nil {
			return nil, fmt.Errorf("%s: targets: %s: custom: %w", v.folder, t.Path, err)
		}
		for ecu, want := range o.ECUs {
			units[firmware.Unit{ECU: ecu, Hardware: want.Hardware}] = true
		}
	}
	if len(units) == 0 && director.Audience() != v.id() {
		return nil, fmt.Errorf("%s: %s: an empty list must be addressed to one vehicle", v.folder, signed.WrongVehicle)
	}
	var all []Offer
	for unit := range units {
		check := firmware.Verifier{Director: director, Images: images, Unit: unit, Vehicle: v.id()}
		image, err := check.Check(ctx, func() time.Time { return now })
		if err != nil {
			return nil, err
		}
		_, device, _ := strings.Cut(v.folder, "/")
		all = append(all, Offer{device, unit.ECU, unit.Hardware, image.Path, image.Length, image.Hashes["sha256"], image.Counter})
	}
	slices.SortFunc(all, func(a, b Offer) int { return strings.Compare(a.ECU, b.ECU) })
	return all, nil
}

// seenBefore is what a vehicle has that has taken all that is in a tree, be it
// expired or not. A root without a timestamp by those whom it names is all that it
// has then: a run of Publish was cut short.
func seenBefore(ctx context.Context, t tree, roots Roots, folder string) (Seen, error) {
	v := vehicle{tree: t, roots: roots, folder: folder, seen: Seen{memory{}, memory{}}}
	director, images, err := v.clients()
	if err != nil {
		return Seen{}, err
	}
	for _, c := range []*signed.Client{director, images} {
		err := c.Refresh(ctx, time.Time{})
		e, refused := errors.AsType[*signed.Error](err)
		if err != nil && !(refused && e.Attack == signed.Arbitrary && e.Role == signed.Timestamp) {
			return Seen{}, err
		}
	}
	return v.seen, nil
}

// A Listed is a document that counts now.
type Listed struct {
	File    string    `json:"file"`
	Version int64     `json:"version"`
	Expires time.Time `json:"expires"`
}

// A Result is what was found in a repository.
type Result struct {
	Documents []Listed `json:"documents"`
	Offers    []Offer  `json:"offers"`
	Files     int      `json:"files"` // images, each of which has the length and hash that is listed
}

// Soon returns the documents that expire before a time.
func (r *Result) Soon(limit time.Time) (soon []Listed) {
	for _, d := range r.Documents {
		if d.Expires.Before(limit) {
			soon = append(soon, d)
		}
	}
	return soon
}

// Verify looks at a whole repository as vehicles do that were built with the
// given roots, at a time. Of folders for single vehicles it looks at one, or at
// all if device is "". It returns all refusals, joined.
func Verify(ctx context.Context, dir string, roots Roots, device string, now time.Time) (*Result, error) {
	all := folders(dir)
	if device != "" {
		all = []string{Image, Director}
		if _, err := os.Stat(filepath.Join(dir, Director, device)); err == nil {
			all = []string{Image, path.Join(Director, device)}
		}
	}
	return verify(ctx, tree{dir: dir}, all, roots, now)
}

// FirstRoots are the first roots of a repository.
func FirstRoots(dir string) (Roots, error) { return firstRoots(tree{dir: dir}) }

func firstRoots(t tree) (r Roots, err error) {
	r.Image, err = t.read(fileName(Image, signed.Root, 1), signed.MaxRoot)
	if err == nil {
		r.Director, err = t.read(fileName(Director, signed.Root, 1), signed.MaxRoot)
	}
	return r, err
}

func verify(ctx context.Context, t tree, all []string, roots Roots, now time.Time) (*Result, error) {
	result := &Result{Documents: []Listed{}, Offers: []Offer{}}
	var faults []error
	for _, folder := range all {
		docs, err := t.current(folder)
		faults = append(faults, err)
		for _, role := range slices.Sorted(maps.Keys(docs)) {
			d := docs[role]
			result.Documents = append(result.Documents, Listed{d.Name, d.Version, d.Expires})
		}
		if _, err := t.read(fileName(Director, signed.Snapshot, 1), signed.MaxSnapshot); folder == Director && docs[signed.Timestamp] == nil && errors.Is(err, fs.ErrNotExist) {
			continue // nothing was ever ordered for the fleet
		}
		if folder == Image {
			n, err := files(ctx, t, docs, roots, now)
			faults = append(faults, err)
			result.Files = n
			continue
		}
		v := vehicle{tree: t, roots: roots, folder: folder, seen: Seen{memory{}, memory{}}}
		offers, err := v.offers(ctx, now)
		if err != nil {
			faults = append(faults, fmt.Errorf("%s: %w", folder, err))
		}
		result.Offers = append(result.Offers, offers...)
	}
	return result, errors.Join(faults...)
}

// files looks for each image that the image repository lists as a vehicle finds
// it, and reads it whole.
func files(ctx context.Context, t tree, docs map[string]*Doc, roots Roots, now time.Time) (int, error) {
	v := vehicle{tree: t, roots: roots, folder: Director, seen: Seen{memory{}, memory{}}}
	_, images, err := v.clients()
	if err != nil {
		return 0, err
	}
	if err := images.Refresh(ctx, now); err != nil {
		return 0, err
	}
	var faults []error
	names := map[string]bool{}
	for _, d := range docs {
		for name := range d.Metadata.Targets {
			names[name] = true
		}
	}
	n := 0
	for _, name := range slices.Sorted(maps.Keys(names)) {
		target, err := images.Find(ctx, name, now)
		if err == nil {
			err = t.image(target)
		}
		if err != nil {
			faults = append(faults, fmt.Errorf("%s: %w", name, err))
			continue
		}
		n++
	}
	return n, errors.Join(faults...)
}

// image demands that the file of an image is what its target says.
func (t tree) image(target *signed.Target) error {
	name := fileOfImage(target.Hashes["sha256"], target.Path)
	f, err := os.Open(filepath.Join(t.dir, filepath.FromSlash(name)))
	if errors.Is(err, fs.ErrNotExist) {
		f, err = os.Open(filepath.Join(t.dir, stagedDir, filepath.FromSlash(name)))
	}
	if err != nil {
		return fmt.Errorf("cannot read %s: %w", name, reason(err))
	}
	defer f.Close()
	hash := sha256.New()
	n, err := io.Copy(hash, io.LimitReader(f, target.Length+1))
	switch {
	case err != nil:
		return fmt.Errorf("cannot read %s: %w", name, reason(err))
	case n != target.Length:
		return fmt.Errorf("%s: %s: it has not the %d bytes that are listed", name, signed.MixAndMatch, target.Length)
	case hex.EncodeToString(hash.Sum(nil)) != target.Hashes["sha256"]:
		return fmt.Errorf("%s: %s: its SHA-256 is not the one that is listed", name, signed.MixAndMatch)
	}
	return nil
}
