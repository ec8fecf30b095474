package signed

import (
	"maps"
	"slices"
	"time"
)

// Versions are those of the four roles' files that are trusted, 0 where there
// is none.
type Versions struct{ Root, Snapshot, Targets, Timestamp int64 }

// Versions returns which metadata is trusted.
func (t *Trusted) Versions() Versions {
	v := Versions{Root: t.root.version}
	if t.timestamp != nil {
		v.Timestamp = t.timestamp.version
	}
	if t.snapshot != nil {
		v.Snapshot = t.snapshot.version
	}
	if t.targets != nil {
		v.Targets = t.targets.version
	}
	return v
}

// Audience returns to whom the top-level targets are addressed, "" if they do
// not say or there are none.
func (t *Trusted) Audience() string {
	if t.targets == nil {
		return ""
	}
	return t.targets.audience
}

// Certain returns a time that has certainly come, by what is trusted after
// Refresh: the latest "issued" that comes before anything of it expires; the
// zero time if there is none. So no single signer whose clock is wrong, or
// whose key was stolen, can move a unit's time to where the rest would count as
// expired: the online key of the timestamp is held by what was signed offline.
func (t *Trusted) Certain() time.Time {
	docs := []*document{t.root.document}
	if t.timestamp != nil {
		docs = append(docs, t.timestamp.document)
	}
	if t.snapshot != nil {
		docs = append(docs, t.snapshot.document)
	}
	if t.targets != nil {
		docs = append(docs, t.targets.document)
	}
	expires := docs[0].expires
	for _, doc := range docs {
		if doc.expires.Before(expires) {
			expires = doc.expires
		}
	}
	var certain time.Time
	for _, doc := range docs {
		if doc.issued.After(certain) && doc.issued.Before(expires) {
			certain = doc.issued
		}
	}
	return certain
}

// ConsistentSnapshot reports whether names of files hold their version or hash
// (TUF section 6.2).
func (t *Trusted) ConsistentSnapshot() bool { return t.root.consistent }

// Listed returns the targets that the top-level role lists, by path.
func (t *Trusted) Listed() []*Target {
	var list []*Target
	for _, path := range slices.Sorted(maps.Keys(t.targets.files)) {
		list = append(list, t.targets.files[path])
	}
	return list
}

// Delegates reports whether the top-level targets delegate to other roles.
func (t *Trusted) Delegates() bool { return len(t.targets.delegated) > 0 }
