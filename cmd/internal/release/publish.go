package release

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io/fs"
	"slices"

	"roadseal/crypto/signed"
	"roadseal/crypto/signed/sign"
)

// Publishing says what to publish and with what.
type Publishing struct {
	Stamp
	Signers []sign.Signer // of snapshots and timestamps
	Only    string        // Image or Director; "" = both
	Renew   bool          // snapshots anew, though they list the same
}

// A Change is what was published, or would be.
type Change struct {
	Docs   []*Doc
	Images []string // files
	Left   []error  // what was left as it is, and why
}

// Prepare completes what is staged: it demands the signatures of people, makes
// the snapshots and timestamps that follow, signs them with the keys at hand,
// and has the vehicle's code judge the outcome. Nothing is published yet.
func (r *Repo) Prepare(ctx context.Context, p Publishing) (*Change, error) {
	states, err := r.states()
	if err != nil {
		return nil, err
	}
	b := &batch{Repo: r, Publishing: p, over: map[string][]byte{}, roots: map[string]*Doc{}}
	var faults []error
	for _, s := range states {
		faults = append(faults, b.root(s))
		if p.Only != "" && p.Only != repositoryOf(s.folder) {
			continue
		}
		if err := b.folder(s); err != nil {
			faults = append(faults, err)
		}
	}
	if err := errors.Join(faults...); err != nil {
		return nil, err
	}
	if len(b.docs) == 0 {
		return nil, errors.New("there is nothing to publish: nothing is staged")
	}
	images, err := r.stagedImages()
	if err != nil {
		return nil, err
	}
	return &Change{Docs: b.docs, Images: images}, b.judge(ctx, states)
}

// A batch is what is about to be published.
type batch struct {
	*Repo
	Publishing
	over  map[string][]byte // by name of the published file
	docs  []*Doc
	roots map[string]*Doc // that count in image and director
}

// take puts a document among those to be published, unless it counts already.
// What was published under a version stays.
func (b *batch) take(s *state, d *Doc) error {
	if d == s.current[d.Role] {
		return nil
	}
	name := fileName(s.folder, d.Role, d.Version)
	was, err := b.tree().read(name, signed.MaxTargets)
	if err == nil && d.Role != signed.Timestamp && !bytes.Equal(was, d.Bytes()) {
		return fmt.Errorf("%s: %s is published already, with other content; hint: if %s is older than the files beside it, put the newer one back", d.Name, name, fileName(s.folder, signed.Timestamp, 0))
	}
	b.over[name] = d.Bytes()
	b.docs = append(b.docs, d)
	return nil
}

// judge asks the vehicle's code: as a unit that was just built, and as one that
// has taken everything that is published now.
func (b *batch) judge(ctx context.Context, states []*state) error {
	after := tree{b.Path, b.over}
	roots, err := firstRoots(after)
	if err != nil {
		return err
	}
	var all []string
	for _, s := range states {
		if s.newest(signed.Targets) != nil && (b.Only == "" || b.Only == repositoryOf(s.folder) || s.current[signed.Timestamp] != nil) {
			all = append(all, s.folder)
		}
	}
	if _, err := verify(ctx, after, all, roots, b.At); err != nil {
		return fmt.Errorf("vehicles would refuse it: %w", err)
	}
	for _, s := range states {
		if s.folder == Image || !slices.Contains(all, s.folder) {
			continue
		}
		// What a vehicle has seen is what its folder had, or the fleet's.
		was := Director
		if s.current[signed.Timestamp] != nil {
			was = s.folder
		}
		if _, err := b.tree().read(fileName(was, signed.Timestamp, 0), signed.MaxTimestamp); errors.Is(err, fs.ErrNotExist) {
			continue
		}
		seen, err := seenBefore(ctx, b.tree(), roots, was)
		if err != nil {
			return fmt.Errorf("what is published is refused already: %w", err)
		}
		v := vehicle{tree: after, roots: roots, folder: s.folder, seen: seen}
		if _, err := v.offers(ctx, b.At); err != nil {
			return fmt.Errorf("%s: vehicles that have taken what is published would refuse it: %w", s.folder, err)
		}
	}
	return nil
}
