package oracle

import (
	"errors"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"roadseal/crypto/signed"
)

// stricter are the reasons for which we refuse what go-tuf takes, by a piece of
// our error.
var stricter = []string{
	"expected an object, not null",           // null decodes to nothing
	"expected a number of at least 1, not 0", // go-tuf takes a version of 0
	"is not among the keys",                  // go-tuf notices when the role signs
}

func explained(err error) bool {
	for _, r := range stricter {
		if strings.Contains(err.Error(), r) {
			return true
		}
	}
	return false
}

// compare demands that go-tuf takes whatever we take; and that we take whatever
// it takes, but for the differences that are named above.
func compare(t *testing.T, r *repository, role string, data []byte) {
	t.Helper()
	ours, theirs := r.ours(role, data), r.theirs(role, data)
	switch {
	case errors.Is(theirs, errPanic):
		require.Error(t, ours, "%s: go-tuf panics: %s", role, data)
	case ours == nil && theirs != nil:
		t.Errorf("%s: we take what go-tuf refuses: %v: %s", role, theirs, data)
	case ours != nil && theirs == nil && !explained(ours):
		t.Errorf("%s: we refuse what go-tuf takes: %v: %s", role, ours, data)
	}
}

// edits change the signed part of a role, by replacing a text once. same says
// that both verifiers must agree on the outcome, taken or refused.
var edits = []struct {
	name, role, old, with string
	taken, same           bool
}{
	{"nothing", signed.Root, "", "", true, true},
	{"nothing", signed.Timestamp, "", "", true, true},
	{"nothing", signed.Snapshot, "", "", true, true},
	{"nothing", signed.Targets, "", "", true, true},
	{"nothing", delegated, "", "", true, true},
	{"a member that nobody knows", signed.Root, `"version":2`, `"version":2,"zzz":{"a":[1,"b"]}`, true, true},
	{"a member that nobody knows", signed.Timestamp, `"version":1}`, `"version":1,"zzz":1}`, true, false},
	{"a member that nobody knows", signed.Targets, `"version":1}`, `"version":1,"zzz":"x"}`, true, true},
	{"a root that skips a version", signed.Root, `"version":2`, `"version":3`, false, true},
	{"the version of before", signed.Root, `"version":2`, `"version":1`, false, true},
	{"expired", signed.Root, `2027-`, `2025-`, false, true},
	{"expired", signed.Timestamp, `2027-`, `2025-`, false, true},
	{"expired", signed.Snapshot, `2027-`, `2025-`, false, true},
	{"expired", signed.Targets, `2027-`, `2025-`, false, true},
	{"expired", delegated, `2027-`, `2025-`, false, true},
	{"another type", signed.Timestamp, `"timestamp"`, `"snapshot"`, false, true},
	{"another type", delegated, `"targets","exp`, `"root","exp`, false, true},
	{"another version than listed", signed.Snapshot, `"version":1}`, `"version":2}`, false, false},
	{"another version than listed", signed.Targets, `"version":1}`, `"version":2}`, false, true},
	{"a version of zero", signed.Timestamp, `"version":1}`, `"version":0}`, false, false},
	{"null for a target", signed.Targets, `"targets":{"a":`, `"targets":{"0":null,"a":`, false, true},
	{"null for a target", delegated, `"targets":{`, `"targets":{"0":null,`, false, true},
	{"null for what is listed", signed.Snapshot, `"meta":{`, `"meta":{"a.json":null,`, false, false},
	{"a float", signed.Timestamp, `"version":1}`, `"version":1e308}`, false, true},
}

// TestEdits: files that a desk at fault has signed.
func TestEdits(t *testing.T) {
	r := newRepository(t)
	for _, e := range edits {
		t.Run(e.role+" "+e.name, func(t *testing.T) {
			body := r.bodies[e.role]
			require.Contains(t, body, e.old)
			at := strings.LastIndex(body, e.old)
			data := r.file(e.role, body[:at]+e.with+body[at+len(e.old):])
			ours, theirs := r.ours(e.role, data), r.theirs(e.role, data)
			require.Equal(t, e.taken, ours == nil, "%v", ours)
			if e.same {
				require.Equal(t, e.taken, theirs == nil, "%v", theirs)
			}
			compare(t, r, e.role, data)
		})
	}
}

// FuzzDifferential: whatever the signed part of a role is changed to, both say
// the same of it, or the difference has a name.
func FuzzDifferential(f *testing.F) {
	r := newRepository(f)
	for i, role := range roles {
		f.Add(byte(i), r.bodies[role])
	}
	for _, e := range edits {
		for i, role := range roles {
			if role == e.role {
				f.Add(byte(i), strings.Replace(r.bodies[role], e.old, e.with, 1))
			}
		}
	}
	f.Fuzz(func(t *testing.T, i byte, body string) {
		role := roles[int(i)%len(roles)]
		compare(t, r, role, r.file(role, body))
	})
}

// FuzzFile is the same of whole files, signatures included.
func FuzzFile(f *testing.F) {
	r := newRepository(f)
	for i, role := range roles {
		f.Add(byte(i), r.files[role])
	}
	f.Fuzz(func(t *testing.T, i byte, data []byte) {
		compare(t, r, roles[int(i)%len(roles)], data)
	})
}
