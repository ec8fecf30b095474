package release

import (
	"bytes"
	"errors"
	"fmt"
	"slices"
	"strings"

	"roadseal/crypto/signed"
	"roadseal/crypto/signed/sign"
)

// root finds the root that counts in a folder, and demands that a staged one
// has the signatures of the old and the new signers.
func (b *batch) root(s *state) error {
	if s.folder != repositoryOf(s.folder) {
		return nil
	}
	b.roots[s.folder] = s.newest(signed.Root)
	staged, was := s.ready[signed.Root], s.current[signed.Root]
	if staged == nil || b.Only != "" && b.Only != s.folder {
		b.roots[s.folder] = was
		return nil
	}
	own, ok := staged.need(signed.Root)
	if !ok {
		return fmt.Errorf("%s: expected a role %q", staged.Name, signed.Root)
	}
	if err := own.check(staged, "by its own signers", b.Plan.Who); err != nil {
		return err
	}
	if was == nil || was.Version >= staged.Version {
		return nil
	}
	old, _ := was.need(signed.Root)
	return old.check(staged, fmt.Sprintf("by the signers of version %d", was.Version), b.Plan.Who)
}

// folder completes what is staged in one folder.
func (b *batch) folder(s *state) error {
	root := b.roots[repositoryOf(s.folder)]
	if root == nil {
		return fmt.Errorf("%s has no root; hint: init stages the first one", s.folder)
	}
	if err := b.takeRoots(s, root); err != nil {
		return err
	}
	if s.newest(signed.Targets) == nil {
		return nil // nothing was ordered yet
	}
	files := map[string]sign.File{}
	if was := s.current[signed.Snapshot]; was != nil {
		// A snapshot never drops a file: vehicles refuse that as a rollback.
		for name := range was.Meta {
			d := s.current[strings.TrimSuffix(name, ".json")]
			files[d.Role] = sign.File{Version: d.Version, Data: d.Bytes()}
		}
	}
	if err := b.roles(s, root, files); err != nil {
		return err
	}
	snapshot, err := b.follow(s, root, signed.Snapshot, b.Publishing.Renew, func(h sign.Header) *sign.Document {
		return sign.Snapshot{Header: h, Files: files}.Document()
	})
	if err != nil {
		return err
	}
	_, err = b.follow(s, root, signed.Timestamp, false, func(h sign.Header) *sign.Document {
		return sign.Timestamp{Header: h, Snapshot: snapshot.Bytes(), SnapshotVersion: snapshot.Version}.Document()
	})
	return err
}

// takeRoots takes a staged root; a vehicle's own folder gets all roots of the
// director, in copy.
func (b *batch) takeRoots(s *state, root *Doc) error {
	if s.folder == repositoryOf(s.folder) {
		if s.ready[signed.Root] == root {
			return b.take(s, root)
		}
		return nil
	}
	from := int64(1)
	if was := s.current[signed.Root]; was != nil {
		from = was.Version + 1
	}
	for v := from; v <= root.Version; v++ {
		name := fileName(s.folder, signed.Root, v)
		data := root.Bytes()
		if v < root.Version || b.over[fileName(Director, signed.Root, v)] == nil {
			var err error
			if data, err = b.tree().read(fileName(Director, signed.Root, v), signed.MaxRoot); err != nil {
				return err
			}
		}
		b.over[name] = data
		d, err := ReadDoc(name, data)
		if err != nil {
			return err
		}
		d.Folder = s.folder
		b.docs = append(b.docs, d)
	}
	return nil
}

// roles demands the signatures on targets and on the roles that they delegate
// to, and notes all in files, for the snapshot.
func (b *batch) roles(s *state, root *Doc, files map[string]sign.File) error {
	top := s.newest(signed.Targets)
	names := []string{signed.Targets}
	if top.Delegations != nil {
		for _, r := range top.Delegations.Roles {
			names = append(names, r.Name)
		}
	}
	for role, d := range s.ready {
		if !slices.Contains(names, role) && !slices.Contains(topRoles, role) {
			return fmt.Errorf("%s: no role delegates to %s; hint: remove the file", d.Name, role)
		}
	}
	var faults []error
	for _, role := range names {
		d := s.newest(role)
		if d == nil {
			faults = append(faults, fmt.Errorf("%s: there is no document of the role %s; hint: \"role\" stages one", s.folder, role))
			continue
		}
		by := top
		if role == signed.Targets {
			by = root
		}
		need, _ := by.need(role)
		faults = append(faults, need.check(d, "as "+by.Name+" demands", b.Plan.Who))
		if was := s.current[role]; was != nil && d.Version < was.Version {
			faults = append(faults, fmt.Errorf("%s: %s: version %d, and version %d is published", d.Name, signed.Rollback, d.Version, was.Version))
		}
		files[role] = sign.File{Version: d.Version, Data: d.Bytes()}
		faults = append(faults, b.take(s, d))
	}
	return errors.Join(faults...)
}

// follow returns the document of a role that follows from others: the staged or
// published one if it says the same and has its signatures, else a new one,
// signed with the keys at hand.
func (b *batch) follow(s *state, root *Doc, role string, renew bool, make func(sign.Header) *sign.Document) (*Doc, error) {
	need, ok := root.need(role)
	if !ok {
		return nil, fmt.Errorf("%s: expected a role %q", root.Name, role)
	}
	for _, d := range []*Doc{s.ready[role], s.current[role]} {
		if d == nil || !bytes.Equal(make(d.header()).Signed(), d.Signed()) || renew && d == s.current[role] {
			continue
		}
		if d == s.ready[role] {
			if err := b.sign(d, need); err != nil {
				return nil, err
			}
		}
		err := need.check(d, "as "+root.Name+" demands", b.Plan.Who)
		if err == nil {
			return d, b.take(s, d)
		}
		if d == s.ready[role] {
			return nil, errors.Join(err, b.write(d.Name, d.Bytes()))
		}
	}
	version, err := b.next(s.folder, role)
	if err != nil {
		return nil, err
	}
	h, err := b.header(s.folder, role, version, b.Stamp)
	if err != nil {
		return nil, err
	}
	d, err := ReadDoc(stagedName(s.folder, role), make(h).Bytes())
	if err != nil {
		return nil, err
	}
	d.Folder = s.folder
	if err := b.sign(d, need); err != nil {
		return nil, err
	}
	if err := need.check(d, "as "+root.Name+" demands", b.Plan.Who); err != nil {
		return nil, errors.Join(err, b.write(d.Name, d.Bytes()))
	}
	return d, b.take(s, d)
}

// sign signs with those keys at hand that count.
func (b *batch) sign(d *Doc, n need) error {
	var asked []sign.Signer
	for _, s := range b.Signers {
		if slices.Contains(n.KeyIDs, s.Key().ID()) {
			asked = append(asked, s)
		}
	}
	_, err := d.SignWith(asked)
	return err
}

func signedBy(d *Doc, id string) bool {
	return slices.ContainsFunc(d.Signatures(), func(s sign.Signature) bool { return s.KeyID == id })
}
