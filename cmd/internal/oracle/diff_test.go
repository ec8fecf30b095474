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
	"stands twice",                        // Go's JSON takes the last of two members; and key ids that stand twice in a role
	"not null",                            // null decodes to nothing
	"expected a number of at least",       // version 0, threshold 0 of a role that does not sign here, negative lengths
	"expected a member",                   // what is missing is zero
	"expected an integer",                 // 1.0 and 1e3 are read as integers
	"no valid UTF-8",                      // is replaced
	"surrogate",                           // the same
	"levels deep",                         // no limit of depth
	"more than",                           // nor of keys and values
	"expected a time",                     // other forms of RFC 3339
	"is not among the keys",               // of a role that does not sign here
	"are the same key",                    // counted once, and not refused
	"as lower-case hex",                   // a wrong key of a role that does not sign here
	"PEM block",                           // the same
	"P-256",                               // the same
	"expected version 1 of the spec",      // any version 1.x.y and others
	"cannot be called",                    // a delegated role named like a top-level one
	"second delegated role",               // the first is taken
	"expected either \"paths\"",           // both or none
	"expected a hash",                     // a target without hashes
	"expected an object",                  // of members that go-tuf does not know
	"expected a string",                   // the same
	"expected true or false",              // the same
	"expected an array",                   // the same
	"is addressed to another",             // "audience" is ours
	"or the id of a vehicle",              // the same
	"control character",                   // Go's JSON refuses it as well, its canonical form does not
	"expected nothing after the value",    // of the signed part
	"does not list it",                    // a snapshot without the file that comes next
	"the timestamp lists",                 // the same of versions
	"none of its hashes is known",         // the same of hashes
	"it has ",                             // length of a file that comes next
	"is not the one that is listed",       // the same of hashes
	"valid signatures by",                 // "thresholds" are ours
	"valid signatures, 65 needed",         // thresholds above 64 count as 65
	"expected the name",                   // not JSON
	"expected a value",                    // the same
	"valid signatures, 2 needed",          // upper-case hex of a signature; see TestSignatures
	"cannot fetch",                        // the next file is asked for under another name
	"internal error: a snapshot before a", // never
}

// looser are the reasons for which go-tuf refuses what we take, by a piece of
// its error.
var looser = []string{
	"unsupported public key type", // a key that nobody knows verifies nothing, and is no fault
	"unsupported spec version",    // we take every 1.x
	"invalid byte",                // a signature that is no hex is one that does not hold
	"odd length hex string",       // the same
	"cannot unmarshal",            // of members that we do not need: kept and not looked at
	"Time.UnmarshalJSON",          // the same
	"parsing time",                // the same
	"threshold",                   // of roles that are not ours
	"no delegation found",         // a role without keys
	"expected exactly",            // more roles in a root than four
	"unrecognized",                // the same
	"exceeded max depth",          // ours has a limit of its own
	"path_hash_prefixes",          // forms that match nothing
	"failed to verify",            // a number that its canonical form writes otherwise
	"Verifying",                   // the same
	"number of signatures",        // go-tuf writes the signed part anew, without what it dropped
	"missing",                     // members that are of no use to a vehicle
}

func explained(err error, reasons []string) bool {
	for _, r := range reasons {
		if strings.Contains(err.Error(), r) {
			return true
		}
	}
	return false
}

// compare demands that both say the same of a file, or that the difference is
// one that is named above.
func compare(t *testing.T, r *repository, role string, data []byte) {
	t.Helper()
	ours, theirs := r.ours(role, data), r.theirs(role, data)
	switch {
	case errors.Is(theirs, errPanic):
		require.Error(t, ours, "%s: go-tuf panics: %s", role, data)
	case ours == nil && theirs != nil && !explained(theirs, looser):
		t.Errorf("%s: we take what go-tuf refuses: %v: %s", role, theirs, data)
	case ours != nil && theirs == nil && !explained(ours, stricter):
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
