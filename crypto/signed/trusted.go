package signed

import (
	"errors"
	"fmt"
	"time"
)

// Options say whose metadata is taken.
type Options struct {
	Name    string   // of the repository, for errors
	Schemes []Scheme // nil = Schemes()
	// Vehicle is this unit's id. What is addressed to another is refused.
	Vehicle string
	// Addressed demands that timestamp, snapshot and targets say to whom
	// they are addressed.
	Addressed bool
	// Canonical demands that files are written in canonical form, so that no
	// byte of one can be changed without a signature's failing; that the id of
	// a key is the SHA-256 of its canonical form; and that names of targets
	// and of delegated roles are good for names of files.
	Canonical bool
	// RootAndTargets is for a repository that has no timestamp and no
	// snapshot, as Uptane's Director of old.
	RootAndTargets bool
	// Concerns is asked of a delegation with a member "custom", in canonical
	// form, whether it speaks for this unit. If nil, each one does.
	Concerns func(custom string) bool
	Dialect  Dialect
}

func (o Options) roles() []string {
	if o.RootAndTargets {
		return []string{Root, Targets}
	}
	return []string{Root, Timestamp, Snapshot, Targets}
}

// A Trusted is the metadata of one repository that was found good so far.
type Trusted struct {
	opt       Options
	root      *root
	timestamp *timestamp // perhaps expired, if it comes from storage
	snapshot  *snapshot  // perhaps not the one of timestamp, if it comes from storage
	targets   *targets
}

// New starts from a root that is trusted for reasons of its own: it was built
// in, or was stored after it had been verified. It must be signed by itself.
func New(rootFile []byte, o Options) (*Trusted, error) {
	if o.Schemes == nil {
		o.Schemes = Schemes()
	}
	t := &Trusted{opt: o}
	r, err := t.readRoot(rootFile)
	if err != nil {
		return nil, t.malformed(Root, err)
	}
	if err := r.roles[Root].verify(r.document); err != nil {
		return nil, t.refuse(Arbitrary, Root, err)
	}
	t.root = r
	return t, nil
}

func (t *Trusted) refuse(a Attack, role string, err error) error {
	return &Error{a, t.opt.Name, role, err}
}

func (t *Trusted) refusef(a Attack, role, format string, args ...any) error {
	return t.refuse(a, role, fmt.Errorf(format, args...))
}

func (t *Trusted) malformed(role string, err error) error {
	if errors.Is(err, errTooLong) {
		return t.refuse(EndlessData, role, err)
	}
	return t.refuse(Malformed, role, err)
}

// addressed refuses what is for another vehicle.
func (t *Trusted) addressed(name string, doc *document) error {
	switch a := doc.audience; {
	case a == "" && t.opt.Addressed:
		return t.refusef(WrongVehicle, name, "expected \"audience\": %q or this vehicle's id", Fleet)
	case a != "" && a != Fleet && a != t.opt.Vehicle:
		return t.refusef(WrongVehicle, name, "it is addressed to another")
	}
	return nil
}

// RootVersion returns the version of the trusted root.
func (t *Trusted) RootVersion() int64 { return t.root.version }

// UpdateRoot takes the successor of the trusted root (TUF section 5.3): the
// next version, signed as both roots demand. Its expiry is not judged here, as
// an old one leads on to a newer. Where the signers of timestamp or snapshot
// change, what is trusted of them is dropped: they may have run far ahead
// under a stolen key (fast-forward recovery). It reports whether they did.
func (t *Trusted) UpdateRoot(data []byte) (dropped bool, err error) {
	next, err := t.readRoot(data)
	if err != nil {
		return false, t.malformed(Root, err)
	}
	if err := t.root.roles[Root].verify(next.document); err != nil {
		return false, t.refusef(Arbitrary, Root, "by the keys of version %d: %w", t.root.version, err)
	}
	if err := next.roles[Root].verify(next.document); err != nil {
		return false, t.refusef(Arbitrary, Root, "by its own keys: %w", err)
	}
	if next.version != t.root.version+1 {
		return false, t.refusef(Rollback, Root, "expected version %d, not %d", t.root.version+1, next.version)
	}
	if next.audience != "" && next.audience != Fleet && next.audience != t.opt.Vehicle {
		return false, t.refusef(WrongVehicle, Root, "it is addressed to another")
	}
	for _, name := range t.opt.roles() {
		if (name == Timestamp || name == Snapshot || t.opt.RootAndTargets && name == Targets) && !next.roles[name].same(t.root.roles[name]) {
			dropped = true
		}
	}
	t.root = next
	if dropped {
		t.timestamp, t.snapshot, t.targets = nil, nil, nil
	}
	return dropped, nil
}

// fresh refuses what has expired.
func (t *Trusted) fresh(name string, doc *document, now time.Time) error {
	if doc.expires.After(now) {
		return nil
	}
	return t.refusef(Freeze, name, "version %d expired on %s", doc.version, doc.expires.Format(time.DateOnly))
}

// CheckRoot refuses a root that has expired. It is asked when there is no
// newer one.
func (t *Trusted) CheckRoot(now time.Time) error { return t.fresh(Root, t.root.document, now) }

// UpdateTimestamp takes a timestamp that is not older than the trusted one
// (TUF section 5.4). stored says that it was verified before: then it may have
// expired, and still nothing older is taken after it. It reports whether it is
// a new one.
func (t *Trusted) UpdateTimestamp(data []byte, now time.Time, stored bool) (newer bool, err error) {
	next, err := t.readTimestamp(data)
	if err != nil {
		return false, t.malformed(Timestamp, err)
	}
	if err := t.root.roles[Timestamp].verify(next.document); err != nil {
		return false, t.refuse(Arbitrary, Timestamp, err)
	}
	if err := t.addressed(Timestamp, next.document); err != nil {
		return false, err
	}
	if was := t.timestamp; was != nil {
		switch {
		case was.audience != "" && was.audience == t.opt.Vehicle && next.audience != was.audience:
			// Whoever holds no key, but the server, could choose between both.
			return false, t.refusef(WrongVehicle, Timestamp, "it is addressed to the fleet, and this vehicle has had its own")
		case next.version < was.version:
			return false, t.refusef(Rollback, Timestamp, "version %d, and %d was seen before", next.version, was.version)
		case next.version == was.version && !t.opt.Dialect.SameVersion:
			return false, t.fresh(Timestamp, was.document, now)
		case next.snapshot.version < was.snapshot.version:
			return false, t.refusef(Rollback, Timestamp, "it lists version %d of the snapshot, and %d was seen before", next.snapshot.version, was.snapshot.version)
		}
	}
	if was := t.snapshot; was != nil && next.snapshot.version < was.version {
		return false, t.refusef(Rollback, Timestamp, "it lists version %d of the snapshot, and %d was seen before", next.snapshot.version, was.version)
	}
	if !stored {
		if err := t.fresh(Timestamp, next.document, now); err != nil {
			return false, err
		}
	}
	t.timestamp = next
	return true, nil
}

// UpdateSnapshot takes the snapshot that the timestamp lists (TUF section
// 5.5). stored says that it was verified before: then it may be an older one,
// of which only the versions count.
func (t *Trusted) UpdateSnapshot(data []byte, now time.Time, stored bool) error {
	var listed file
	if !stored {
		if t.timestamp == nil {
			return errors.New("internal error: a snapshot before a timestamp")
		}
		listed = t.timestamp.snapshot
		if err := t.opt.Dialect.matches(listed, data); err != nil {
			return t.refuse(MixAndMatch, Snapshot, err)
		}
	}
	next, err := t.readSnapshot(data)
	if err != nil {
		return t.malformed(Snapshot, err)
	}
	if err := t.root.roles[Snapshot].verify(next.document); err != nil {
		return t.refuse(Arbitrary, Snapshot, err)
	}
	if err := t.addressed(Snapshot, next.document); err != nil {
		return err
	}
	if !stored && next.version != listed.version {
		return t.refusef(MixAndMatch, Snapshot, "version %d, and the timestamp lists %d", next.version, listed.version)
	}
	if t.snapshot != nil {
		if err := t.notBelow(next); err != nil {
			return err
		}
	}
	if !stored {
		if err := t.fresh(Snapshot, next.document, now); err != nil {
			return err
		}
	}
	t.snapshot = next
	return nil
}

// notBelow refuses a snapshot that drops a file or lowers its version.
func (t *Trusted) notBelow(next *snapshot) error {
	for name, was := range t.snapshot.files {
		is, ok := next.files[name]
		if !ok {
			return t.refusef(Rollback, Snapshot, "a file that was listed before is missing")
		}
		if is.version < was.version {
			return t.refusef(Rollback, Snapshot, "version %d of a file that was listed with %d before", is.version, was.version)
		}
	}
	return nil
}

// HasSnapshot reports whether the trusted snapshot is the one that the
// timestamp lists and has not expired.
func (t *Trusted) HasSnapshot(now time.Time) bool {
	return t.snapshot != nil && t.timestamp != nil && t.snapshot.version == t.timestamp.snapshot.version &&
		t.opt.Dialect.matches(t.timestamp.snapshot, t.snapshot.raw) == nil && t.snapshot.expires.After(now)
}

// UpdateTargets takes the top-level targets (TUF section 5.6).
func (t *Trusted) UpdateTargets(data []byte, now time.Time) error {
	next, err := t.delegated(Targets, t.root.roles[Targets], data, now)
	if err == nil {
		t.targets = next
	}
	return err
}

// listed returns what the snapshot says of a file of targets.
func (t *Trusted) listed(name string) (file, error) {
	if t.opt.RootAndTargets {
		return file{length: -1}, nil
	}
	if t.snapshot == nil {
		return file{}, errors.New("internal error: targets before a snapshot")
	}
	f, ok := t.snapshot.files[name+".json"]
	if !ok {
		return file{}, t.refusef(MixAndMatch, name, "the snapshot does not list it")
	}
	return f, nil
}

// delegated judges a file of targets by who signed for it and by the snapshot.
func (t *Trusted) delegated(name string, signers role, data []byte, now time.Time) (*targets, error) {
	listed, err := t.listed(name)
	if err != nil {
		return nil, err
	}
	if !t.opt.RootAndTargets {
		if err := t.opt.Dialect.matches(listed, data); err != nil {
			return nil, t.refuse(MixAndMatch, name, err)
		}
	}
	next, err := t.readTargets(name, data)
	if err != nil {
		return nil, t.malformed(name, err)
	}
	if err := signers.verify(next.document); err != nil {
		return nil, t.refuse(Arbitrary, name, err)
	}
	if err := t.addressed(name, next.document); err != nil {
		return nil, err
	}
	switch {
	case t.opt.RootAndTargets:
		if t.targets != nil && name == Targets && next.version < t.targets.version {
			return nil, t.refusef(Rollback, name, "version %d, and %d was seen before", next.version, t.targets.version)
		}
	case next.version != listed.version:
		return nil, t.refusef(MixAndMatch, name, "version %d, and the snapshot lists %d", next.version, listed.version)
	}
	return next, t.fresh(name, next.document, now)
}
