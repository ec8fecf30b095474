package signed

import (
	"bytes"
	"crypto/sha256"
	"encoding/base64"
	"encoding/hex"
	"errors"
	"fmt"
	"strings"
	"time"

	"roadseal/crypto/internal/canon"
)

// Fleet is the audience of metadata that every vehicle takes.
const Fleet = "fleet"

// A document is one file of metadata, read but not yet judged: nothing in it
// may be believed before verify.
type document struct {
	raw        []byte // as fetched; stored as it is
	message    []byte // canonical form of "signed", which the signatures are over
	signatures []signature
	body       place // "signed"
	c          *cursor

	kind     string // "_type"
	version  int64
	expires  time.Time
	audience string    // "" if it is addressed to nobody
	issued   time.Time // zero if it does not say
}

type signature struct {
	keyID string
	value []byte // nil if it is no hex
}

var errTooLong = errors.New("the file is too long")

// limits bound what a file can make its reader do.
var limits = canon.Limits{Depth: 16, Count: 100_000}

// read parses a file that should be of a role.
func read(role string, data []byte, o Options) (*document, error) {
	d := o.Dialect
	if len(data) > limitOf(role) {
		return nil, fmt.Errorf("%w: %d bytes, at most %d expected", errTooLong, len(data), limitOf(role))
	}
	v, err := canon.Parse(data, limits)
	if err != nil {
		return nil, err
	}
	if o.Canonical && !bytes.Equal(canon.AppendText(nil, v), data) {
		return nil, errors.New("expected the canonical form of JSON")
	}
	c := &cursor{}
	top := c.top(v).object()
	doc := &document{raw: data, body: top.need("signed").object(), c: c}
	ids := map[string]bool{}
	top.need("signatures").elements(func(e place) {
		s := signature{keyID: e.need("keyid").text()}
		if ids[s.keyID] {
			c.fail(e.at, "a second signature of one key id")
		}
		ids[s.keyID] = true
		// A signature that is no hex is one that does not hold, no more.
		s.value, _ = d.signature(e.need("sig").text())
		doc.signatures = append(doc.signatures, s)
	})
	doc.header(role, d)
	if c.fault != nil {
		return nil, c.fault
	}
	doc.message = canon.Append(nil, doc.body.v)
	return doc, nil
}

// header reads what all roles have in common.
func (doc *document) header(role string, d Dialect) {
	kind := role
	switch role {
	case Root, Timestamp, Snapshot:
	default:
		kind = Targets
	}
	if at := doc.body.need("_type"); at.text() != d.typeName(kind) {
		doc.c.fail(at.at, "expected %q", d.typeName(kind))
	}
	if !d.NoSpecVersion {
		if at := doc.body.need("spec_version"); !strings.HasPrefix(at.text(), "1.") {
			doc.c.fail(at.at, "expected version 1 of the specification, such as \"1.0.34\"")
		}
	}
	doc.kind = kind
	doc.version = doc.body.need("version").integer(1)
	doc.expires = doc.body.need("expires").moment()
	if a := doc.body.get("audience"); a.ok {
		if doc.audience = a.text(); doc.audience == "" {
			doc.c.fail(a.at, "expected %q or the id of a vehicle", Fleet)
		}
	}
	if i := doc.body.get("issued"); i.ok {
		doc.issued = i.moment()
	}
}

// A role says whose signatures a file needs.
type role struct {
	keys      []key
	ids       []string // of keys, in the same order
	threshold int
	each      map[string]int // scheme: signatures of that scheme that are needed as well
}

// maxKeys bounds the keys of one role: each costs a verification.
const maxKeys = 64

// role reads a role object: key ids, a threshold, and thresholds of schemes.
func (p place) role(keys map[string]key) role {
	r := role{threshold: int(min(p.need("threshold").integer(1), maxKeys+1)), ids: p.need("keyids").texts()}
	if len(r.ids) > maxKeys {
		p.c.fail(p.at, "more than %d keys", maxKeys)
	}
	counted := map[string]string{}
	for _, id := range r.ids {
		k, ok := keys[id]
		if !ok {
			p.c.fail(p.at, "key id %.16q is not among the keys", id)
		}
		if other, twice := counted[k.material]; twice && ok {
			p.c.fail(p.at, "key ids %.16q and %.16q are the same key", other, id)
		}
		counted[k.material] = id
		r.keys = append(r.keys, k)
	}
	if each := p.get("thresholds"); each.ok {
		r.each = map[string]int{}
		each.members(func(scheme string, m place) { r.each[scheme] = int(min(m.integer(1), maxKeys+1)) })
	}
	return r
}

// keys reads an object of keys.
func (p place) keys(o Options) map[string]key {
	d := o.Dialect
	if d.KeyID == nil && o.Canonical {
		d.KeyID = keyID
	}
	keys := map[string]key{}
	p.members(func(id string, m place) {
		keyType, public := m.need("keytype").text(), m.need("keyval").need("public").text()
		scheme := d.scheme(keyType, m)
		if p.c.fault != nil {
			return
		}
		if d.KeyID != nil && d.KeyID(canon.Append(nil, m.v), public) != id {
			p.c.fail(m.at, "the key id is not that of the key: expected the SHA-256 of its canonical form")
		}
		k, err := parseKey(o.Schemes, keyType, scheme, public)
		if err != nil {
			p.c.fail(m.at, "%w", err)
		}
		keys[id] = k
	})
	return keys
}

// keyID is the hex of the SHA-256 of a key's canonical form (TUF section 4.2).
func keyID(canonical []byte, _ string) string {
	sum := sha256.Sum256(canonical)
	return hex.EncodeToString(sum[:])
}

// verify demands the signatures that a role needs. Those of other keys and
// wrong ones are passed over.
func (r role) verify(doc *document) error {
	valid, each := 0, map[string]int{}
	for i, id := range r.ids {
		for _, s := range doc.signatures {
			if s.keyID == id && s.value != nil && r.keys[i].verify(doc.message, s.value) {
				valid++
				each[r.keys[i].scheme]++
			}
		}
	}
	if valid < r.threshold {
		return fmt.Errorf("%d valid signatures, %d needed", valid, r.threshold)
	}
	for scheme, need := range r.each {
		if each[scheme] < need {
			return fmt.Errorf("%d valid signatures by %s, %d needed", each[scheme], scheme, need)
		}
	}
	return nil
}

// same reports whether two roles have the same keys.
func (r role) same(o role) bool {
	if len(r.keys) != len(o.keys) {
		return false
	}
	of := map[string]bool{}
	for _, k := range r.keys {
		of[k.material] = true
	}
	for _, k := range o.keys {
		if !of[k.material] {
			return false
		}
	}
	return true
}

// A Dialect is what differs in metadata that is not written by TUF's present
// specification. The zero Dialect is the present one; another is of use only
// for test vectors and foreign repositories.
type Dialect struct {
	TitleTypes    bool // "_type" is "Root", not "root"
	NoSpecVersion bool
	NoScheme      bool // keys say no scheme: it is their type
	Base64        bool // signatures
	Canonical     bool // hashes of metadata are of its canonical form, and lengths of another
	// SameVersion: a timestamp of the same version with other content is a
	// new one (Uptane section 5.4.4.4 only refuses lower versions).
	SameVersion bool
	// KeyID returns the id of a key from its canonical form and its public
	// text. If nil, it is the SHA-256 of the canonical form where
	// Options.Canonical demands that, and elsewhere only a name.
	KeyID func(canonical []byte, public string) string
}

func (d Dialect) typeName(kind string) string {
	if d.TitleTypes {
		return strings.ToUpper(kind[:1]) + kind[1:]
	}
	return kind
}

func (d Dialect) scheme(keyType string, k place) string {
	if d.NoScheme {
		return strings.ToLower(keyType)
	}
	return k.need("scheme").text()
}

func (d Dialect) signature(text string) ([]byte, error) {
	if d.Base64 {
		return base64.StdEncoding.Strict().DecodeString(text)
	}
	raw, err := hex.DecodeString(text)
	// Upper case would be another file with the same signature.
	if err != nil || len(raw) == 0 || hex.EncodeToString(raw) != text {
		return nil, errors.New("no lower-case hex")
	}
	return raw, nil
}

// matches demands that data is the metadata that f speaks of.
func (d Dialect) matches(f file, data []byte) error {
	if !d.Canonical {
		return f.matches(data)
	}
	v, err := canon.Parse(data, limits)
	if err != nil {
		return err
	}
	return file{length: -1, hashes: f.hashes}.matches(canon.Append(nil, v))
}
