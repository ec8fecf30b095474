package release

import (
	"context"
	"errors"
	"fmt"
	"slices"

	"roadseal/crypto/signed"
	"roadseal/crypto/signed/sign"
)

// Timestamp renews the timestamps of all folders, and can do nothing else: the
// snapshots that they name stay. Orders that vehicles would refuse, as expired
// ones, are left as they are: they must not be in the way of all others.
func (r *Repo) Timestamp(ctx context.Context, p Publishing) (*Change, error) {
	b := &batch{Repo: r, Publishing: p, over: map[string][]byte{}}
	states, err := r.states()
	if err != nil {
		return nil, err
	}
	for _, s := range states {
		if s.current[signed.Timestamp] == nil {
			continue
		}
		if err := b.timestamp(s); err != nil {
			return nil, err
		}
	}
	if len(b.docs) == 0 {
		return nil, errors.New("there is nothing published yet")
	}
	for _, s := range states {
		s.ready = nil // what waits for signatures is no matter here
	}
	states, left, err := b.leave(ctx, states)
	if err == nil {
		err = b.judge(ctx, states)
	}
	return &Change{Docs: b.docs, Left: left}, err
}

// leave takes the folders of orders that vehicles would refuse out of what is
// about to be published, and says why.
func (b *batch) leave(ctx context.Context, states []*state) (stay []*state, left []error, err error) {
	after := tree{b.Path, b.over}
	roots, err := firstRoots(after)
	if err != nil {
		return nil, nil, err
	}
	for _, s := range states {
		v := vehicle{tree: after, roots: roots, folder: s.folder, seen: Seen{memory{}, memory{}}}
		if s.folder != Image && s.current[signed.Timestamp] != nil {
			if _, err := v.offers(ctx, b.At); err != nil {
				left = append(left, fmt.Errorf("%s: left as it is, vehicles would refuse it: %w; hint: if it has expired, \"rotate --renew %s/targets\" or \"publish --renew\"", s.folder, err, s.folder))
				b.docs = slices.DeleteFunc(b.docs, func(d *Doc) bool { return d.Folder == s.folder })
				delete(b.over, fileName(s.folder, signed.Timestamp, 0))
				continue
			}
		}
		stay = append(stay, s)
	}
	return stay, left, nil
}

func (b *batch) timestamp(s *state) error {
	root, snapshot := s.current[signed.Root], s.current[signed.Snapshot]
	need, _ := root.need(signed.Timestamp)
	for _, k := range b.Signers {
		if !slices.Contains(need.KeyIDs, k.Key().ID()) {
			return fmt.Errorf("%s: %s may not sign timestamps", root.Name, b.Plan.Who(k.Key().ID()))
		}
	}
	version, err := b.next(s.folder, signed.Timestamp)
	if err != nil {
		return err
	}
	h, err := b.header(s.folder, signed.Timestamp, version, b.Stamp)
	if err != nil {
		return err
	}
	made := sign.Timestamp{Header: h, Snapshot: snapshot.Bytes(), SnapshotVersion: snapshot.Version}.Document()
	d, err := ReadDoc(fileName(s.folder, signed.Timestamp, 0), made.Bytes())
	if err != nil {
		return err
	}
	d.Folder = s.folder
	if err := b.sign(d, need); err != nil {
		return err
	}
	if err := need.check(d, "as "+root.Name+" demands", b.Plan.Who); err != nil {
		return err
	}
	b.over[d.Name] = d.Bytes()
	b.docs = append(b.docs, d)
	return nil
}
