package oracle

import (
	"encoding/json"
	"errors"
	"reflect"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
	"github.com/theupdateframework/go-tuf/v2/metadata"

	"roadseal/crypto/signed"
)

// rewrites reports whether go-tuf, which verifies signatures over what it writes
// of what it has read, writes another thing than was signed: it adds members
// that are not there, and drops some that are null.
func rewrites[T metadata.Roles](m *metadata.Metadata[T], data []byte) bool {
	if _, err := m.FromBytes(data); err != nil {
		return false
	}
	text, err := json.Marshal(m.Signed)
	var came struct{ Signed any }
	var written any
	return err == nil && json.Unmarshal(data, &came) == nil && json.Unmarshal(text, &written) == nil && !reflect.DeepEqual(came.Signed, written)
}

func rewritten(role string, data []byte) bool {
	switch role {
	case signed.Root:
		return rewrites(metadata.Root(), data)
	case signed.Timestamp:
		return rewrites(metadata.Timestamp(), data)
	case signed.Snapshot:
		return rewrites(metadata.Snapshot(), data)
	}
	return rewrites(metadata.Targets(), data)
}

// compare demands that go-tuf takes whatever we take, unless it verifies another
// text. The other way round it need not be so, as we are stricter; but what we
// refuse is called an attack.
func compare(t *testing.T, r *repository, role string, data []byte) {
	t.Helper()
	ours, theirs := r.ours(role, data), r.theirs(role, data)
	if ours == nil {
		if theirs != nil && !errors.Is(theirs, errPanic) && rewritten(role, data) {
			return
		}
		require.NoError(t, theirs, "%s: we take what go-tuf refuses: %s", role, data)
		return
	}
	var e *signed.Error
	require.ErrorAs(t, ours, &e, "%s: %s", role, data)
	require.NotEmpty(t, e.Attack, "%s: %s", role, data)
	require.Equal(t, role, e.Role, "%s: %s", role, data)
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
	{"a hash that is no hex", signed.Targets, `"sha256":"`, `"sha256":"zz`, false, true},
	{"half a digit of a hash", signed.Targets, `"sha256":"`, `"sha256":"a`, false, true},
	{"a hash that is no hex", signed.Timestamp, `{"version":1}`, `{"hashes":{"x":"zz"},"version":1}`, false, true},
	{"nothing said of terminating", signed.Targets, `"terminating":true,`, ``, true, false},
	{"null for what is custom", signed.Targets, `"custom":{"n":1}`, `"custom":null`, true, false},
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

// FuzzDifferential: whatever the signed part of a role is changed to, we take no
// more than go-tuf does.
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
