package release

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"path"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"roadseal/crypto/signed"
	"roadseal/crypto/signed/sign"
	"roadseal/hal/durable"
)

// A Stamp is when documents are issued, and until when they are good.
type Stamp struct {
	At      time.Time
	Expires time.Time // zero = as the plan says
}

// header is what a new document begins with.
func (r *Repo) header(folder, role string, version int64, s Stamp) (sign.Header, error) {
	plan, ok := r.Plan.repository(folder).role(role)
	if !ok {
		return sign.Header{}, fmt.Errorf("the plan has no [%s.delegated.%s]", folder, role)
	}
	h := sign.Header{Version: version, Issued: s.At, Expires: s.Expires, Audience: signed.Fleet}
	if device, ok := strings.CutPrefix(folder, Director+"/"); ok {
		h.Audience = device
	}
	if h.Expires.IsZero() {
		h.Expires = s.At.Add(time.Duration(plan.Expires))
	}
	if !h.Expires.After(s.At) {
		return h, fmt.Errorf("it would expire at %s, before it is issued", moment(h.Expires))
	}
	return h, nil
}

// next is the version that follows. A vehicle may come to the director's folder
// for the fleet from its own or the other way; its versions may never fall.
func (r *Repo) next(folder, role string) (int64, error) {
	highest := int64(0)
	for _, f := range folders(r.Path) {
		related := f == folder || f == Director && strings.HasPrefix(folder, Director+"/") || folder == Director && strings.HasPrefix(f, Director+"/")
		if !related || role == signed.Root && f != folder {
			continue
		}
		docs, err := r.tree().current(f)
		if err != nil {
			return 0, err
		}
		if d := docs[role]; d != nil {
			highest = max(highest, d.Version)
		}
	}
	return highest + 1, nil
}

// Init makes a repository by a plan. The first documents wait for signatures.
func Init(dir, plan string, s Stamp) ([]*Doc, error) {
	p, err := LoadPlan(plan, filepath.Dir(plan))
	if err != nil {
		return nil, err
	}
	if isRepository(dir) {
		return nil, fmt.Errorf("%s is a repository already; hint: rotate changes its roots", dir)
	}
	disk, err := durable.OpenDisk(dir)
	if err != nil {
		return nil, fmt.Errorf("cannot make %s: %w", dir, reason(err))
	}
	if err := disk.Close(); err != nil {
		return nil, err
	}
	r, err := open(dir)
	if err != nil {
		return nil, err
	}
	docs, err := r.begin(p, s)
	return docs, errors.Join(err, r.Close())
}

func (r *Repo) begin(p *Plan, s Stamp) (docs []*Doc, err error) {
	r.Plan = p
	for _, folder := range []string{Image, Director} {
		root, err := r.stageRoot(folder, 1, s)
		if err != nil {
			return nil, err
		}
		docs = append(docs, root)
	}
	// The director's first targets are the first order: a list without one
	// may be addressed to a single vehicle only (Uptane section 5.2.3.1).
	more, err := r.stageDelegations(Image, s)
	if err != nil {
		return nil, err
	}
	// The plan comes last: with it, it is a repository.
	r.Plan = &Plan{People: map[string]Person{}}
	return append(docs, more...), r.adopt(p)
}

// adopt makes a plan that of the repository. Keys that it no longer has are
// kept as former ones, so that old signatures still have names. At each moment
// the plan that is there has the public files that it names.
func (r *Repo) adopt(p *Plan) error {
	var gone []string
	for _, name := range slices.Sorted(maps.Keys(r.Plan.People)) {
		if err := r.retire(r.Plan.People[name], p); err != nil {
			return err
		}
		if _, stays := p.People[name]; !stays {
			gone = append(gone, name)
		}
	}
	for _, name := range slices.Sorted(maps.Keys(p.People)) {
		data, err := p.People[name].Public()
		if err != nil {
			return err
		}
		if err := r.write(path.Join(keysDir, name+".pub"), data); err != nil {
			return err
		}
	}
	maps.Copy(p.former, r.Plan.former)
	r.Plan = p
	if err := r.write(planFile, p.Text); err != nil {
		return err
	}
	for _, name := range gone {
		if err := r.remove(path.Join(keysDir, name+".pub")); err != nil {
			return err
		}
	}
	return nil
}

// retire keeps the public file of a person whose keys a plan does not have.
func (r *Repo) retire(was Person, p *Plan) error {
	old, err := was.Public()
	if err != nil {
		return err
	}
	if is, ok := p.People[was.Name]; ok {
		if data, err := is.Public(); err != nil || bytes.Equal(data, old) {
			return err
		}
	}
	for _, k := range was.Keys {
		p.former[k.ID()] = was.Name
	}
	return r.write(path.Join(keysDir, formerDir, was.Keys[0].ID()[:16]+".pub"), old)
}

// Adopt makes a plan, with the public files beside it, that of the repository.
// It says nothing to vehicles before roots or targets follow it.
func (r *Repo) Adopt(plan string) error {
	p, err := LoadPlan(plan, filepath.Dir(plan))
	if err != nil {
		return err
	}
	return r.adopt(p)
}

func (r *Repo) rootByPlan(folder string, version int64, s Stamp) (*sign.Document, error) {
	h, err := r.header(folder, signed.Root, version, s)
	if err != nil {
		return nil, err
	}
	root := sign.Root{Header: h, Roles: map[string]sign.Role{}}
	for _, name := range topRoles {
		plan, _ := r.Plan.repository(folder).role(name)
		root.Roles[name] = r.Plan.signRole(plan)
	}
	return root.Document(), nil
}

func (r *Repo) stageRoot(folder string, version int64, s Stamp) (*Doc, error) {
	d, err := r.rootByPlan(folder, version, s)
	if err != nil {
		return nil, err
	}
	return r.stage(folder, signed.Root, d)
}

// delegations are those of the plan, in the order of their names: the first
// that covers a path is asked first.
func (r *Repo) delegations(folder string) (all []sign.Delegation) {
	plan := r.Plan.repository(folder).Delegated
	for _, name := range slices.Sorted(maps.Keys(plan)) {
		d := plan[name]
		all = append(all, sign.Delegation{Name: name, Role: r.Plan.signRole(d.role()), Paths: d.Paths, Hardware: d.Hardware, Terminating: d.Terminating})
	}
	return all
}

// stageTargets stages the next version of a document of targets, changed.
func (r *Repo) stageTargets(folder, role string, s Stamp, change func(*sign.Targets) error) (*Doc, error) {
	state, err := r.tree().state(folder)
	if err != nil {
		return nil, err
	}
	t := sign.Targets{Files: map[string]sign.Target{}}
	if before := state.newest(role); before != nil {
		if t, err = before.targets(); err != nil {
			return nil, err
		}
	}
	version, err := r.next(folder, role)
	if err != nil {
		return nil, err
	}
	if t.Header, err = r.header(folder, role, version, s); err != nil {
		return nil, err
	}
	if err := change(&t); err != nil {
		return nil, err
	}
	d, err := t.Document()
	if err != nil {
		return nil, err
	}
	return r.stage(folder, role, d)
}

func unchanged(*sign.Targets) error { return nil }

// stageDelegations stages targets that delegate as the plan says, and documents
// of the delegated roles that have none or whose signers no longer are enough.
func (r *Repo) stageDelegations(folder string, s Stamp) (docs []*Doc, err error) {
	d, err := r.stageTargets(folder, signed.Targets, s, func(t *sign.Targets) error {
		t.Delegations = r.delegations(folder)
		return nil
	})
	if err != nil {
		return nil, err
	}
	docs = append(docs, d)
	state, err := r.tree().state(folder)
	if err != nil {
		return nil, err
	}
	for _, role := range r.delegations(folder) {
		need, _ := d.need(role.Name)
		now := state.newest(role.Name)
		if now != nil && (state.ready[role.Name] != nil || need.check(now, "", r.Plan.Who) == nil) {
			continue
		}
		n, err := r.stageTargets(folder, role.Name, s, unchanged)
		if err != nil {
			return nil, err
		}
		docs = append(docs, n)
	}
	return docs, nil
}

// Delegate stages targets that delegate as the plan says.
func (r *Repo) Delegate(s Stamp) ([]*Doc, error) { return r.stageDelegations(Image, s) }

// Rotate stages roots that follow the plan where they differ from those that
// are published, and targets anew whose signatures are then not enough.
// Snapshots and timestamps follow when they are published.
func (r *Repo) Rotate(s Stamp) (docs []*Doc, err error) {
	states, err := r.states()
	if err != nil {
		return nil, err
	}
	roots := map[string]*Doc{}
	for _, state := range states {
		if state.folder == repositoryOf(state.folder) {
			root, err := r.rotateRoot(state, s)
			if err != nil {
				return nil, err
			}
			if roots[state.folder] = root; root != state.current[signed.Root] {
				docs = append(docs, root)
			}
		}
		more, err := r.follow(state, roots[repositoryOf(state.folder)], s)
		if err != nil {
			return nil, err
		}
		docs = append(docs, more...)
	}
	return docs, nil
}

// repositoryOf is the folder whose root counts in a folder.
func repositoryOf(folder string) string {
	name, _, _ := strings.Cut(folder, "/")
	return name
}

// rotateRoot stages the root that follows, or returns the one that is published
// if it already says what the plan does.
func (r *Repo) rotateRoot(state *state, s Stamp) (*Doc, error) {
	root := state.current[signed.Root]
	if root == nil {
		return nil, fmt.Errorf("%s has no root yet; hint: publish the first one", state.folder)
	}
	next, err := r.rootByPlan(state.folder, root.Version+1, s)
	if err != nil {
		return nil, err
	}
	if same, err := sameRoles(root, next); err != nil || same {
		return root, err
	}
	// Signatures that were gathered already count, unless more is asked for.
	if ready := state.ready[signed.Root]; ready != nil && ready.Version == root.Version+1 && s.Expires.IsZero() && ready.Expires.After(s.At) {
		if same, err := sameRoles(ready, next); err != nil || same {
			return ready, err
		}
	}
	return r.stage(state.folder, signed.Root, next)
}

// follow stages targets anew whose signatures are not what a root demands.
func (r *Repo) follow(state *state, root *Doc, s Stamp) ([]*Doc, error) {
	need, ok := root.need(signed.Targets)
	now := state.current[signed.Targets]
	if !ok || now == nil || need.check(now, "", r.Plan.Who) == nil || state.ready[signed.Targets] != nil {
		return nil, nil
	}
	d, err := r.stageTargets(state.folder, signed.Targets, s, unchanged)
	if err != nil {
		return nil, err
	}
	return []*Doc{d}, nil
}

// sameRoles reports whether two roots say the same of who signs what.
func sameRoles(root *Doc, next *sign.Document) (bool, error) {
	n, err := ReadDoc("root", next.Bytes())
	if err != nil {
		return false, err
	}
	a, err := json.Marshal([]any{root.Keys, root.Roles})
	if err != nil {
		return false, err
	}
	b, err := json.Marshal([]any{n.Keys, n.Roles})
	return bytes.Equal(a, b), err
}

// Renew stages the next version of a document that says the same for longer.
// what is FOLDER/ROLE.
func (r *Repo) Renew(what string, s Stamp) (*Doc, error) {
	folder, role := path.Split(what)
	folder = path.Clean(folder)
	state, err := r.tree().state(folder)
	if err != nil {
		return nil, err
	}
	now := state.current[role]
	switch {
	case now == nil:
		return nil, fmt.Errorf("cannot renew %s: no such document is published; expected a name such as image/root", what)
	case role == signed.Timestamp || role == signed.Snapshot:
		return nil, fmt.Errorf("cannot renew %s by this; hint: \"publish --renew\" renews the snapshots, \"timestamp\" the timestamps", what)
	case role == signed.Root && folder != Image && folder != Director:
		return nil, fmt.Errorf("cannot renew %s: its root is that of %s", what, Director)
	case role == signed.Root:
		return r.stageRoot(folder, now.Version+1, s)
	}
	return r.stageTargets(folder, role, s, unchanged)
}

func moment(t time.Time) string { return t.UTC().Format("2006-01-02T15:04:05Z") }
