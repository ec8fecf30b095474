// Package sign makes signed metadata, for the desks that release firmware,
// policy and receipt keys. The vehicle never links it.
//
// A document is written in its canonical form and signed by one key after
// another, on one machine or several: a signature is added to the file.
//
// Side: desk.
package sign

import (
	"crypto"
	"crypto/ed25519"
	"crypto/rand"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"time"

	"github.com/cloudflare/circl/sign/mldsa/mldsa65"

	"roadseal/crypto/internal/canon"
	"roadseal/crypto/signed"
)

// A Key is a public key as metadata lists it.
type Key struct {
	Type, Scheme string
	Public       string // as signed.Scheme.Parse reads it
}

func (k Key) value() *canon.Object {
	return canon.NewObject(map[string]canon.Value{
		"keytype": k.Type,
		"scheme":  k.Scheme,
		"keyval":  canon.NewObject(map[string]canon.Value{"public": k.Public}),
	})
}

// ID is the hex of the SHA-256 of the key's canonical form (TUF section 4.2).
func (k Key) ID() string {
	sum := sha256.Sum256(canon.Append(nil, k.value()))
	return hex.EncodeToString(sum[:])
}

// A Signer holds a private key.
type Signer interface {
	Key() Key
	Sign(message []byte) ([]byte, error)
}

// Ed25519 is a signer by RFC 8032.
type Ed25519 ed25519.PrivateKey

// Key implements Signer.
func (s Ed25519) Key() Key {
	public := ed25519.PrivateKey(s).Public().(ed25519.PublicKey)
	return Key{"ed25519", "ed25519", hex.EncodeToString(public)}
}

// Sign implements Signer.
func (s Ed25519) Sign(message []byte) ([]byte, error) {
	return ed25519.PrivateKey(s).Sign(nil, message, crypto.Hash(0))
}

// MLDSA65 is a signer by FIPS 204.
type MLDSA65 struct{ Private *mldsa65.PrivateKey }

// Key implements Signer.
func (s MLDSA65) Key() Key {
	public := s.Private.Public().(*mldsa65.PublicKey)
	return Key{"ml-dsa", "ml-dsa-65", hex.EncodeToString(public.Bytes())}
}

// Sign implements Signer. It is the deterministic variant (FIPS 204, section
// 3.4): the same document signed twice is the same file.
func (s MLDSA65) Sign(message []byte) ([]byte, error) {
	signature := make([]byte, mldsa65.SignatureSize)
	err := mldsa65.SignTo(s.Private, message, []byte(signed.MLDSAContext), false, signature)
	return signature, err
}

// Generate returns two new signers, one of each kind.
func Generate() (Ed25519, MLDSA65, error) {
	_, classic, err := ed25519.GenerateKey(rand.Reader)
	if err != nil {
		return nil, MLDSA65{}, err
	}
	_, private, err := mldsa65.GenerateKey(rand.Reader)
	return Ed25519(classic), MLDSA65{private}, err
}

// A Header is what all documents have in common.
type Header struct {
	Version         int64
	Expires, Issued time.Time // UTC, whole seconds; Issued may be zero
	Audience        string    // signed.Fleet, a vehicle's id, or ""
}

func (h Header) members(kind string) map[string]canon.Value {
	const layout = "2006-01-02T15:04:05Z"
	m := map[string]canon.Value{"_type": kind, "spec_version": "1.0.34", "version": h.Version,
		"expires": h.Expires.UTC().Format(layout)}
	if h.Audience != "" {
		m["audience"] = h.Audience
	}
	if !h.Issued.IsZero() {
		m["issued"] = h.Issued.UTC().Format(layout)
	}
	return m
}

// A Role says whose signatures a document needs.
type Role struct {
	Keys       []Key
	Threshold  int
	Thresholds map[string]int // by scheme, beside Threshold
}

func (r Role) members() map[string]canon.Value {
	ids := []canon.Value{}
	for _, k := range r.Keys {
		ids = append(ids, k.ID())
	}
	m := map[string]canon.Value{"keyids": ids, "threshold": int64(r.Threshold)}
	if r.Thresholds != nil {
		each := map[string]canon.Value{}
		for scheme, n := range r.Thresholds {
			each[scheme] = int64(n)
		}
		m["thresholds"] = canon.NewObject(each)
	}
	return m
}

func keys(into map[string]canon.Value, r Role) {
	for _, k := range r.Keys {
		into[k.ID()] = k.value()
	}
}

// A Root says who signs what.
type Root struct {
	Header
	Roles map[string]Role // of signed.Root, Timestamp, Snapshot and Targets
}

// Document returns the root, to be signed.
func (r Root) Document() *Document {
	m, all, roles := r.members(signed.Root), map[string]canon.Value{}, map[string]canon.Value{}
	for name, role := range r.Roles {
		keys(all, role)
		roles[name] = canon.NewObject(role.members())
	}
	m["consistent_snapshot"], m["keys"], m["roles"] = true, canon.NewObject(all), canon.NewObject(roles)
	return &Document{body: canon.NewObject(m)}
}

// A Timestamp names the newest snapshot.
type Timestamp struct {
	Header
	Snapshot        []byte // the file
	SnapshotVersion int64
}

// Document returns the timestamp, to be signed.
func (t Timestamp) Document() *Document {
	m := t.members(signed.Timestamp)
	m["meta"] = canon.NewObject(map[string]canon.Value{"snapshot.json": fileOf(t.SnapshotVersion, t.Snapshot)})
	return &Document{body: canon.NewObject(m)}
}

func fileOf(version int64, data []byte) *canon.Object {
	return canon.NewObject(map[string]canon.Value{"version": version, "length": int64(len(data)), "hashes": hashes(data)})
}

func hashes(data []byte) *canon.Object {
	sum := sha256.Sum256(data)
	return canon.NewObject(map[string]canon.Value{"sha256": hex.EncodeToString(sum[:])})
}

// A Snapshot names the files of targets that belong together.
type Snapshot struct {
	Header
	Files map[string]File // by role
}

// A File is one that a snapshot names.
type File struct {
	Version int64
	Data    []byte
}

// Document returns the snapshot, to be signed.
func (s Snapshot) Document() *Document {
	m, meta := s.members(signed.Snapshot), map[string]canon.Value{}
	for role, f := range s.Files {
		meta[role+".json"] = fileOf(f.Version, f.Data)
	}
	m["meta"] = canon.NewObject(meta)
	return &Document{body: canon.NewObject(m)}
}

// A Target is a file that a role vouches for.
type Target struct {
	Data   []byte
	Length int64 // bytes; with SHA256 (hex) it stands for Data where that is nil
	SHA256 string
	Custom any // what encoding/json writes of it, integers only
}

func (t Target) members() map[string]canon.Value {
	if t.Data == nil && t.SHA256 != "" {
		return map[string]canon.Value{"length": t.Length, "hashes": canon.NewObject(map[string]canon.Value{"sha256": t.SHA256})}
	}
	return map[string]canon.Value{"length": int64(len(t.Data)), "hashes": hashes(t.Data)}
}

// Targets lists files, and the roles that speak for others.
type Targets struct {
	Header
	Files       map[string]Target
	Delegations []Delegation
}

// A Delegation lets another role speak for some paths.
type Delegation struct {
	Name        string
	Role        Role
	Paths       []string
	Hardware    []string // kinds of unit that it may speak for; nil = all
	Terminating bool
}

// Document returns the targets, to be signed.
func (t Targets) Document() (*Document, error) {
	m, files := t.members(signed.Targets), map[string]canon.Value{}
	for path, f := range t.Files {
		file := f.members()
		if f.Custom != nil {
			text, err := json.Marshal(f.Custom)
			if err != nil {
				return nil, fmt.Errorf("target %q: %w", path, err)
			}
			if file["custom"], err = canon.Parse(text, canon.Limits{Depth: 8, Count: 10_000}); err != nil {
				return nil, fmt.Errorf("target %q: custom: %w", path, err)
			}
		}
		files[path] = canon.NewObject(file)
	}
	m["targets"] = canon.NewObject(files)
	if len(t.Delegations) > 0 {
		all, roles := map[string]canon.Value{}, []canon.Value{}
		for _, d := range t.Delegations {
			keys(all, d.Role)
			r := d.Role.members()
			paths := []canon.Value{}
			for _, p := range d.Paths {
				paths = append(paths, p)
			}
			r["name"], r["paths"], r["terminating"] = d.Name, paths, d.Terminating
			if d.Hardware != nil {
				hardware := []canon.Value{}
				for _, h := range d.Hardware {
					hardware = append(hardware, h)
				}
				r["custom"] = canon.NewObject(map[string]canon.Value{"hardwareIds": hardware})
			}
			roles = append(roles, canon.NewObject(r))
		}
		m["delegations"] = canon.NewObject(map[string]canon.Value{"keys": canon.NewObject(all), "roles": roles})
	}
	return &Document{body: canon.NewObject(m)}, nil
}

// A Document is metadata with the signatures it has so far.
type Document struct {
	body       *canon.Object
	signatures []Signature // sorted by key id
	signers    map[string]bool
}

// Sign adds a signature. A key signs a document once.
func (d *Document) Sign(signers ...Signer) error {
	message := d.Signed()
	for _, s := range signers {
		id := s.Key().ID()
		if d.signers[id] {
			return errors.New("this key has signed the document already")
		}
		signature, err := s.Sign(message)
		if err != nil {
			return fmt.Errorf("cannot sign: %w", err)
		}
		d.Add(Signature{id, signature})
	}
	return nil
}

// Bytes returns the file.
func (d *Document) Bytes() []byte {
	list := []canon.Value{}
	for _, s := range d.signatures {
		list = append(list, canon.NewObject(map[string]canon.Value{"keyid": s.KeyID, "sig": hex.EncodeToString(s.Value)}))
	}
	return canon.AppendText(nil, canon.NewObject(map[string]canon.Value{"signatures": list, "signed": d.body}))
}
