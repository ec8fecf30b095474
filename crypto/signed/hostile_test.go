package signed_test

import (
	"bytes"
	"crypto/elliptic"
	"crypto/sha256"
	"fmt"
	"maps"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"roadseal/crypto/internal/canon"
	"roadseal/crypto/signed"
	"roadseal/crypto/signed/sign"
)

// replace changes a file that is served; old must be in it.
func (w *world) replace(name, old, with string) {
	data := w.files[name]
	require.Contains(w.t, string(data), old)
	w.files[name] = bytes.Replace(data, []byte(old), []byte(with), 1)
}

// resign signs what a change of a file's "signed" made of it: the desk itself
// is hostile or at fault.
func (w *world) resign(name, role, old, with string) {
	data := string(w.files[name])
	_, body, ok := strings.Cut(data, `,"signed":`)
	require.True(w.t, ok)
	body = strings.TrimSuffix(body, "}")
	require.Contains(w.t, body, old)
	body = strings.Replace(body, old, with, 1)
	var parts []string
	if v, err := canon.Parse([]byte(body), canon.Limits{Depth: 16, Count: 1 << 20}); err == nil {
		body = string(canon.Append(nil, v)) // what was put in need not stand where it belongs
	}
	for _, s := range w.pairs[role].signers() {
		signature, err := s.Sign([]byte(body))
		require.NoError(w.t, err)
		parts = append(parts, fmt.Sprintf(`{"keyid":"%s","sig":"%x"}`, s.Key().ID(), signature))
	}
	w.files[name] = []byte(`{"signatures":[` + strings.Join(parts, ",") + `],"signed":` + body + `}`)
}

// An attempt is one attack: what is refused, and what the error says.
type attempt struct {
	name   string
	attack signed.Attack
	detail string
	do     func(w *world)
}

// hostile is what a repository in wrong hands, or a desk's mistake, serves
// after one good refresh: version 2 of timestamp, snapshot and targets, and of
// the root where files are called "2.root".
var hostile = []attempt{
	{"unsigned", signed.Arbitrary, "0 valid signatures, 2 needed", func(w *world) { w.files[signed.Timestamp] = w.timestamp.Document().Bytes() }},
	{"one kind of signature only", signed.Arbitrary, "1 valid signatures, 2 needed", func(w *world) {
		w.files[signed.Timestamp] = w.signedBy(w.timestamp.Document(), w.pairs[signed.Timestamp].classic)
	}},
	{"the other kind only", signed.Arbitrary, "1 valid signatures, 2 needed", func(w *world) {
		w.files[signed.Timestamp] = w.signedBy(w.timestamp.Document(), w.pairs[signed.Timestamp].later)
	}},
	{"signed by another role", signed.Arbitrary, "0 valid signatures", func(w *world) {
		w.files[signed.Timestamp] = w.signedBy(w.timestamp.Document(), w.pairs[signed.Targets].signers()...)
	}},
	{"a signature twice", signed.Malformed, "second signature of one key id", func(w *world) {
		s := signatureOf(w.files[signed.Timestamp])
		w.replace(signed.Timestamp, s, s+","+s)
	}},
	{"a signature under another's id", signed.Arbitrary, "valid signatures", func(w *world) {
		p := w.pairs[signed.Timestamp]
		w.replace(signed.Timestamp, p.classic.Key().ID(), strings.Repeat("0", 64))
	}},
	{"a flipped signature", signed.Arbitrary, "valid signatures", func(w *world) { flipSignature(w) }},
	{"a short signature", signed.Arbitrary, "valid signatures", func(w *world) { w.replace(signed.Timestamp, `"sig":"`, `"sig":"00`) }},
	{"an empty signature", signed.Arbitrary, "valid signatures", func(w *world) {
		s := signatureOf(w.files[signed.Timestamp])
		w.replace(signed.Timestamp, s, s[:strings.Index(s, `"sig":"`)]+`"sig":""}`)
	}},
	{"an older timestamp", signed.Rollback, "version 1, and 2 was seen", func(w *world) {
		w.timestamp.Header.Version = 1
		w.publishTimestamp()
	}},
	{"an older snapshot", signed.Rollback, "it lists version 1 of the snapshot, and 2 was seen", func(w *world) {
		w.snapshot.Header.Version, w.timestamp.Header.Version = 1, 3
		w.publishSnapshot()
	}},
	{"older targets", signed.Rollback, "version 1 of a file that was listed with 2", func(w *world) {
		w.targets.Header.Version, w.snapshot.Header.Version, w.timestamp.Header.Version = 1, 3, 3
		w.publishTargets()
	}},
	{"a role vanishes from the snapshot", signed.Rollback, "a file that was listed before is missing", func(w *world) {
		w.snapshot.Header.Version, w.timestamp.Header.Version = 3, 3
		w.snapshot.Files = nil
		w.publishSnapshot()
	}},
	{"an expired timestamp", signed.Freeze, "version 3 expired on 2026-11-24", func(w *world) {
		w.timestamp.Header.Version, w.timestamp.Expires = 3, today
		w.publishTimestamp()
	}},
	{"an expired snapshot", signed.Freeze, "snapshot: freeze", func(w *world) {
		w.snapshot.Header.Version, w.timestamp.Header.Version, w.snapshot.Expires = 3, 3, today.AddDate(0, -1, 0)
		w.publishSnapshot()
	}},
	{"expired targets", signed.Freeze, "targets: freeze", func(w *world) {
		w.targets.Expires = today.AddDate(0, -1, 0)
		w.next()
	}},
	{"an expired root", signed.Freeze, "root: freeze", func(w *world) {
		w.root.Header.Version, w.root.Expires = 2, today.AddDate(0, -1, 0)
		w.publishRoot(w.pairs[signed.Root].signers()...)
	}},
	{"a snapshot of another day", signed.MixAndMatch, "its sha256 is not the one", func(w *world) {
		w.snapshot.Header.Version, w.timestamp.Header.Version = 3, 3
		w.publishSnapshot()
		w.snapshot.Expires = w.snapshot.Expires.AddDate(0, 0, 1)
		w.files["3.snapshot"] = w.signedBy(w.snapshot.Document(), w.pairs[signed.Snapshot].signers()...)
	}},
	{"targets of another day", signed.MixAndMatch, "its sha256 is not the one", func(w *world) {
		w.next()
		w.targets.Expires = w.targets.Expires.AddDate(0, 0, 1)
		d, err := w.targets.Document()
		require.NoError(w.t, err)
		w.files["3.targets"] = w.signedBy(d, w.pairs[signed.Targets].signers()...)
	}},
	{"a snapshot that is longer than listed", signed.EndlessData, "more than", func(w *world) {
		w.snapshot.Header.Version, w.timestamp.Header.Version = 3, 3
		w.publishSnapshot()
		w.files["3.snapshot"] = append(w.files["3.snapshot"], ' ')
	}},
	{"an endless timestamp", signed.EndlessData, "more than 32768 bytes", func(w *world) {
		w.files[signed.Timestamp] = bytes.Repeat([]byte(" "), signed.MaxTimestamp+1)
	}},
	{"an endless root", signed.EndlessData, "more than 262144 bytes", func(w *world) { w.files["2.root"] = make([]byte, signed.MaxRoot+1) }},
	{"a longer file in the snapshot's place", signed.EndlessData, "", func(w *world) {
		w.snapshot.Header.Version, w.timestamp.Header.Version = 3, 3
		w.publishSnapshot()
		w.files["3.snapshot"] = w.files[signed.Timestamp]
	}},
	{"a snapshot in the timestamp's place", signed.Malformed, `_type: expected "timestamp"`, func(w *world) { w.files[signed.Timestamp] = w.files["2.snapshot"] }},
	{"a version run ahead by half of a hybrid threshold", signed.Arbitrary, "1 valid signatures, 2 needed", func(w *world) {
		w.timestamp.Header.Version = 1<<63 - 1
		w.files[signed.Timestamp] = w.signedBy(w.timestamp.Document(), w.pairs[signed.Timestamp].classic)
	}},
	{"a snapshot run ahead that does not exist", signed.MixAndMatch, "the timestamp lists 9223372036854775807", func(w *world) {
		w.timestamp.Header.Version, w.timestamp.SnapshotVersion = 1<<63-1, 1<<63-1
		w.publishTimestamp()
		w.files["9223372036854775807.snapshot"] = w.files["2.snapshot"]
	}},
	{"another vehicle's timestamp", signed.WrongVehicle, "addressed to another", func(w *world) {
		w.timestamp.Header.Version, w.timestamp.Audience = 3, "YmFyYmFyYmFyYmFyYmFyYg"
		w.publishTimestamp()
	}},
	{"another vehicle's snapshot", signed.WrongVehicle, "snapshot: wrong vehicle", func(w *world) {
		w.snapshot.Header.Version, w.timestamp.Header.Version, w.snapshot.Audience = 3, 3, "YmFyYmFyYmFyYmFyYmFyYg"
		w.publishSnapshot()
	}},
	{"another vehicle's targets", signed.WrongVehicle, "targets: wrong vehicle", func(w *world) {
		w.targets.Audience = "YmFyYmFyYmFyYmFyYmFyYg"
		w.next()
	}},
	{"another vehicle's root", signed.WrongVehicle, "root: wrong vehicle", func(w *world) {
		w.root.Header.Version, w.root.Audience = 2, "YmFyYmFyYmFyYmFyYmFyYg"
		w.publishRoot(w.pairs[signed.Root].signers()...)
	}},
	{"addressed to nobody", signed.WrongVehicle, "expected \"audience\"", func(w *world) {
		w.timestamp.Header.Version, w.timestamp.Audience = 3, ""
		w.publishTimestamp()
	}},
	{"an empty audience", signed.Malformed, "audience: expected", func(w *world) {
		w.resign(signed.Timestamp, signed.Timestamp, `"audience":"fleet"`, `"audience":""`)
	}},
	{"a root by strangers", signed.Arbitrary, "by the keys of version 1", func(w *world) {
		w.root.Header.Version = 2
		p := newPair(w.t)
		w.root.Roles[signed.Root] = p.role()
		w.publishRoot(p.signers()...)
	}},
	{"a root that its own keys did not sign", signed.Arbitrary, "by its own keys", func(w *world) {
		w.root.Header.Version = 2
		w.root.Roles[signed.Root] = newPair(w.t).role()
		w.publishRoot(w.pairs[signed.Root].signers()...)
	}},
	{"a root by half of the hybrid", signed.Arbitrary, "1 valid signatures", func(w *world) {
		w.root.Header.Version = 2
		w.publishRoot(w.pairs[signed.Root].classic)
	}},
	{"the same root again", signed.Rollback, "expected version 2, not 1", func(w *world) { w.files["2.root"] = w.files["1.root"] }},
	{"a root that skips a version", signed.Rollback, "expected version 2, not 3", func(w *world) {
		w.root.Header.Version = 3
		w.publishRoot(w.pairs[signed.Root].signers()...)
		w.files["2.root"] = w.files["3.root"]
	}},
	{"a root with threshold 0", signed.Malformed, "threshold: expected a number of at least 1, not 0", func(w *world) {
		w.rootWith(func(r *sign.Role) { r.Threshold = 0 })
	}},
	{"a threshold of a scheme of 0", signed.Malformed, "ed25519: expected a number of at least 1, not 0", func(w *world) {
		w.rootWith(func(r *sign.Role) { r.Thresholds = map[string]int{"ed25519": 0} })
	}},
	{"a root with negative version", signed.Malformed, "version: expected a number of at least 1, not -2", func(w *world) {
		w.rootWith(func(*sign.Role) {})
		w.resign("2.root", signed.Root, `"version":2`, `"version":-2`)
	}},
	{"a root that lists one key twice", signed.Malformed, "stands twice", func(w *world) {
		w.rootWith(func(r *sign.Role) { r.Keys = append(r.Keys, r.Keys[0]) })
	}},
	{"one key under two ids", signed.Malformed, "are the same key", func(w *world) {
		w.rootWith(func(*sign.Role) {})
		w.twoIDs()
	}},
	{"a role that names a key that is not there", signed.Malformed, "is not among the keys", func(w *world) {
		w.rootWith(func(*sign.Role) {})
		id := w.pairs[signed.Timestamp].classic.Key().ID()
		w.resign("2.root", signed.Root, `"keyids":["`+id+`"`, `"keyids":["`+strings.Repeat("0", 64)+`"`)
	}},
	{"a key that is too short", signed.Malformed, "expected 32 bytes", func(w *world) {
		w.rootWith(func(r *sign.Role) { r.Keys[0].Public = r.Keys[0].Public[2:] })
	}},
	{"a key that is too long", signed.Malformed, "expected 32 bytes", func(w *world) {
		w.rootWith(func(r *sign.Role) { r.Keys[0].Public += "00" })
	}},
	{"half a digit of a key", signed.Malformed, "expected 32 bytes", func(w *world) {
		w.rootWith(func(r *sign.Role) { r.Keys[0].Public += "0" })
	}},
	{"an ML-DSA key that is too short", signed.Malformed, "expected 1952 bytes", func(w *world) {
		w.rootWith(func(r *sign.Role) { r.Keys[1].Public = r.Keys[0].Public })
	}},
	{"an ECDSA key that is none", signed.Malformed, "expected one PEM block", func(w *world) {
		w.rootWith(func(r *sign.Role) { r.Keys[0].Type, r.Keys[0].Scheme = "ecdsa", "ecdsa-sha2-nistp256" })
	}},
	{"an ECDSA key of another curve", signed.Malformed, "expected a public key of P-256", func(w *world) {
		w.rootWith(func(r *sign.Role) { r.Keys[0] = newECDSA(w.t, elliptic.P384()).Key() })
	}},
	{"a key in upper case", signed.Malformed, "lower-case hex", func(w *world) {
		w.rootWith(func(r *sign.Role) { r.Keys[0].Public = strings.ToUpper(r.Keys[0].Public) })
	}},
	{"a key under the id of another", signed.Malformed, "expected the SHA-256 of its canonical form", func(w *world) {
		w.rootWith(func(*sign.Role) {})
		w.resign("2.root", signed.Root, w.pairs[signed.Timestamp].classic.Key().Public, newPair(w.t).classic.Key().Public)
	}},
	{"a number for a key", signed.Malformed, "public: expected a string, not a number", func(w *world) {
		w.rootWith(func(*sign.Role) {})
		w.resign("2.root", signed.Root, `"`+w.pairs[signed.Timestamp].classic.Key().Public+`"`, "7")
	}},
	{"keys without end", signed.Malformed, "more than 64 keys", func(w *world) {
		w.rootWith(func(r *sign.Role) {
			for i := range 65 {
				r.Keys = append(r.Keys, sign.Key{Type: "t", Scheme: "s", Public: fmt.Sprint(i)})
			}
		})
	}},
	{"null for a key", signed.Malformed, "expected an object, not null", func(w *world) {
		w.rootWith(func(*sign.Role) {})
		w.resign("2.root", signed.Root, `"keys":{`, `"keys":{"0":null,`)
	}},
	{"null for a role", signed.Malformed, "expected an object, not null", func(w *world) {
		w.next()
		w.targetsWith(`"targets":{`, `"targets":{"a":null,`)
	}},
	{"null for the version", signed.Malformed, "version: expected a number, not null", func(w *world) {
		w.resign(signed.Timestamp, signed.Timestamp, `"version":2}`, `"version":null}`)
	}},
	{"a string for the version", signed.Malformed, "version: expected a number, not a string", func(w *world) {
		w.resign(signed.Timestamp, signed.Timestamp, `"version":2}`, `"version":"2"}`)
	}},
	{"1e308 for the version", signed.Malformed, "expected an integer", func(w *world) {
		w.resign(signed.Timestamp, signed.Timestamp, `"version":2}`, `"version":1e308}`)
	}},
	{"a version of 65 bits", signed.Malformed, "at most 64 bits", func(w *world) {
		w.resign(signed.Timestamp, signed.Timestamp, `"version":2}`, `"version":18446744073709551616}`)
	}},
	{"a member twice", signed.Malformed, "stands twice", func(w *world) {
		w.resign(signed.Timestamp, signed.Timestamp, `"version":2}`, `"version":2,"version":3}`)
	}},
	{"nesting without end", signed.Malformed, "levels deep", func(w *world) {
		w.files[signed.Timestamp] = []byte(strings.Repeat("[", signed.MaxTimestamp))
	}},
	{"values without end", signed.Malformed, "more than 100000 values", func(w *world) {
		w.next()
		w.targetsWith(`"targets":{`, `"a":[`+strings.Repeat("0,", 100_000)+`0],"targets":{`)
	}},
	{"another specification", signed.Malformed, "spec_version", func(w *world) {
		w.resign(signed.Timestamp, signed.Timestamp, `"spec_version":"1.0.34"`, `"spec_version":"2.0.0"`)
	}},
	{"a time that is none", signed.Malformed, "expires: expected a time", func(w *world) {
		w.resign(signed.Timestamp, signed.Timestamp, `"expires":"2027-11-24T12:00:00Z"`, `"expires":"2027-11-31T12:00:00Z"`)
	}},
	{"a time with a zone", signed.Malformed, "expires: expected a time", func(w *world) {
		w.resign(signed.Timestamp, signed.Timestamp, `12:00:00Z`, `12:00:00+01:00`)
	}},
	{"not the canonical form", signed.Malformed, "canonical", func(w *world) { w.replace(signed.Timestamp, `"version":2}`, `"version": 2}`) }},
	{"something behind the document", signed.Malformed, "expected nothing after", func(w *world) {
		w.files[signed.Timestamp] = append(w.files[signed.Timestamp], "{}"...)
	}},
	{"no UTF-8", signed.Malformed, "no valid UTF-8", func(w *world) { w.replace(signed.Timestamp, `"fleet"`, "\"\xff\"") }},
	{"no JSON", signed.Malformed, "expected a value", func(w *world) { w.files[signed.Timestamp] = []byte("<html>") }},
	{"nothing", signed.Malformed, "expected a value", func(w *world) { w.files[signed.Timestamp] = nil }},
	{"a signature that is no object", signed.Malformed, "expected an object", func(w *world) {
		s := signatureOf(w.files[signed.Timestamp])
		w.replace(signed.Timestamp, s, "null")
	}},
	{"an array for the signed part", signed.Malformed, "expected an object, not an array", func(w *world) {
		w.files[signed.Timestamp] = []byte(`{"signatures":[],"signed":[]}`)
	}},
	{"a delegated role in another folder", signed.Malformed, "expected a name of 1 to 64 small letters", func(w *world) {
		w.targets.Delegations = []sign.Delegation{{Name: "../1.root", Role: newPair(w.t).role(), Paths: []string{"*"}}}
		w.next()
	}},
	{"a delegated role with a long name", signed.Malformed, "expected a name of 1 to 64 small letters", func(w *world) {
		w.targets.Delegations = []sign.Delegation{{Name: strings.Repeat("a", 65), Role: newPair(w.t).role(), Paths: []string{"*"}}}
		w.next()
	}},
	{"a target in another folder", signed.Malformed, `without "." and ".."`, func(w *world) {
		w.next()
		w.targetsWith(`"unit/1.img"`, `"../unit/1.img"`)
	}},
	{"a target that is the folder", signed.Malformed, `expected a path of at most 255 bytes`, func(w *world) {
		w.next()
		w.targetsWith(`"unit/1.img"`, `"."`)
	}},
	{"a target with a path without end", signed.Malformed, `expected a path of at most 255 bytes`, func(w *world) {
		w.next()
		w.targetsWith(`"unit/1.img"`, `"`+strings.Repeat("a/", 1<<17)+`1.img"`)
	}},
	{"a target at the top of the disk", signed.Malformed, `without "." and ".."`, func(w *world) {
		w.next()
		w.targetsWith(`"unit/1.img"`, `"/unit/1.img"`)
	}},
	{"null for the hashes", signed.Malformed, "hashes: expected an object, not null", func(w *world) {
		w.next()
		w.targetsWith(fmt.Sprintf(`{"sha256":"%x"}`, sha256.Sum256([]byte("an image"))), "null")
	}},
	{"null for the delegations", signed.Malformed, "delegations: expected an object, not null", func(w *world) {
		w.next()
		w.targetsWith(`"expires"`, `"delegations":null,"expires"`)
	}},
	{"null for the snapshot's entry", signed.Malformed, "snapshot.json: expected an object, not null", func(w *world) {
		body := string(w.timestamp.Document().Bytes())
		meta := body[strings.Index(body, `{"hashes"`) : strings.Index(body, `,"spec_version"`)-1]
		w.resign(signed.Timestamp, signed.Timestamp, meta, "null")
	}},
	{"null for the signatures", signed.Malformed, "signatures: expected an array, not null", func(w *world) {
		w.files[signed.Timestamp] = []byte(`{"signatures":null,"signed":{}}`)
	}},
	{"null for the signed part", signed.Malformed, "signed: expected an object, not null", func(w *world) {
		w.files[signed.Timestamp] = []byte(`{"signatures":[],"signed":null}`)
	}},
	{"null for the file", signed.Malformed, "document: expected an object, not null", func(w *world) { w.files[signed.Timestamp] = []byte("null") }},
	{"a signature in upper case", signed.Arbitrary, "valid signatures", func(w *world) {
		s := signatureOf(w.files[signed.Timestamp])
		from := strings.Index(s, `"sig":"`) + len(`"sig":"`)
		w.replace(signed.Timestamp, s, s[:from]+strings.ToUpper(s[from:len(s)-2])+s[len(s)-2:])
	}},
	{"a snapshot of another version than listed", signed.MixAndMatch, "version 3, and the timestamp lists 4", func(w *world) {
		w.snapshot.Header.Version, w.timestamp.Header.Version = 3, 3
		w.publishSnapshot()
		w.timestamp.SnapshotVersion = 4
		w.files["4.snapshot"] = w.files["3.snapshot"]
		w.publishTimestamp()
	}},
	{"targets of another version than listed", signed.MixAndMatch, "version 3, and the snapshot lists 4", func(w *world) {
		w.next()
		w.snapshot.Files = map[string]sign.File{signed.Targets: {Version: 4, Data: w.files["3.targets"]}}
		w.files["4.targets"] = w.files["3.targets"]
		w.publishSnapshot()
	}},
	{"a threshold that its keys cannot reach", signed.Arbitrary, "2 valid signatures, 3 needed", func(w *world) {
		w.rootWith(func(r *sign.Role) { r.Threshold = 3 })
		w.timestamp.Header.Version = 3
		w.publishTimestamp()
	}},
	{"a delegated role called root", signed.Malformed, `cannot be called "root"`, func(w *world) {
		w.targets.Delegations = []sign.Delegation{{Name: signed.Root, Role: newPair(w.t).role(), Paths: []string{"*"}}}
		w.next()
	}},
	{"a delegated role twice", signed.Malformed, "second delegated role", func(w *world) {
		d := sign.Delegation{Name: "a", Role: newPair(w.t).role(), Paths: []string{"*"}}
		w.targets.Delegations = []sign.Delegation{d, d}
		w.next()
	}},
	{"a target without hashes", signed.Malformed, "hashes: expected a hash", func(w *world) {
		w.next()
		w.targetsWith(fmt.Sprintf(`"hashes":{"sha256":"%x"}`, sha256.Sum256([]byte("an image"))), `"hashes":{}`)
	}},
	{"a hash in upper case", signed.Malformed, "sha256: expected lower-case hex", func(w *world) {
		w.next()
		good := sha256Hex("an image")
		w.targetsWith(good, strings.ToUpper(good))
	}},
	{"a target of negative length", signed.Malformed, "length: expected a number of at least 0", func(w *world) {
		w.next()
		w.targetsWith(`"length":8`, `"length":-8`)
	}},
}

// signatureOf returns the first signature object of a file.
func signatureOf(data []byte) string {
	s := string(data)
	from := strings.Index(s, `{"keyid"`)
	return s[from : from+strings.Index(s[from:], "}")+1]
}

func flipSignature(w *world) {
	s := signatureOf(w.files[signed.Timestamp])
	at := strings.Index(s, `"sig":"`) + len(`"sig":"`)
	c := "0"
	if s[at] == '0' {
		c = "1"
	}
	w.replace(signed.Timestamp, s, s[:at]+c+s[at+1:])
}

// rootWith publishes a next root in which the timestamp's role is changed.
func (w *world) rootWith(change func(r *sign.Role)) {
	w.root.Header.Version = 2
	r := w.root.Roles[signed.Timestamp]
	change(&r)
	w.root.Roles[signed.Timestamp] = r
	w.publishRoot(w.pairs[signed.Root].signers()...)
}

// twoIDs lists the timestamp's classical key once more, under another id.
func (w *world) twoIDs() {
	k := w.pairs[signed.Timestamp].classic.Key()
	entry := fmt.Sprintf(`{"keytype":"ed25519","keyval":{"public":"%s"},"note":"another","scheme":"ed25519"}`, k.Public)
	other := fmt.Sprintf("%x", sha256.Sum256([]byte(entry)))
	w.resign("2.root", signed.Root, `"keyids":["`+k.ID()+`"`, `"keyids":["`+k.ID()+`","`+other+`"`)
	w.resign("2.root", signed.Root, `"keys":{`, `"keys":{"`+other+`":`+entry+`,`)
}

// targetsWith changes the newest targets, signs them again and lets the newest
// snapshot and timestamp speak of them.
func (w *world) targetsWith(old, with string) {
	name := fmt.Sprintf("%d.targets", w.targets.Header.Version)
	w.resign(name, signed.Targets, old, with)
	w.snapshot.Files = map[string]sign.File{signed.Targets: {Version: w.targets.Header.Version, Data: w.files[name]}}
	w.publishSnapshot()
}

// inOrder are the roles as a refresh takes them.
var inOrder = []string{signed.Root, signed.Timestamp, signed.Snapshot, signed.Targets}

// TestHostileMetadata: each is refused, the attack is named, and what was
// trusted before stays as it was: the bytes in the store of the refused role
// and of all behind it, and that the good repository is taken afterwards.
func TestHostileMetadata(t *testing.T) {
	require.GreaterOrEqual(t, len(hostile), 40)
	for _, h := range hostile {
		t.Run(h.name, func(t *testing.T) {
			w := newWorld(t)
			w.next()
			store := memory{}
			require.NoError(t, w.refresh(store))
			before, good := maps.Clone(store), maps.Clone(w.files)
			h.do(w)
			c := w.open(store)
			var e *signed.Error
			for range 2 { // the same client again, as a unit does
				err := c.Refresh(t.Context(), today)
				require.ErrorAs(t, err, &e)
				require.Equal(t, h.attack, e.Attack, err)
				require.ErrorContains(t, err, h.detail)
			}
			h.intact(t, e.Role, before, store)
			if h.attack == signed.Freeze && e.Role == signed.Root {
				return // the newest root was taken, and is found expired until there is another
			}
			require.NoError(t, w.open(store).CheckRoot(today))
			if maps.EqualFunc(before, store, bytes.Equal) {
				w.files = good
				require.NoError(t, w.refresh(store))
				require.NoError(t, c.Refresh(t.Context(), today))
			}
		})
	}
}

// intact demands that nothing of the refused role and of those behind it has
// changed. Only roles before it may have gone on, by files that were good.
func (h attempt) intact(t *testing.T, refused string, before, after memory) {
	t.Helper()
	behind := false
	for _, name := range inOrder {
		behind = behind || name == refused
		switch {
		case h.attack == signed.Freeze && name == signed.Root:
		case behind:
			require.Equal(t, before[name], after[name], name)
		default:
			require.NotEmpty(t, after[name], name)
		}
	}
	require.NotContains(t, after, "next-root")
}
