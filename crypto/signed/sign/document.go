package sign

import (
	"bytes"
	"crypto/ed25519"
	"encoding/hex"
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/cloudflare/circl/sign/mldsa/mldsa65"

	"roadseal/crypto/internal/canon"
	"roadseal/crypto/signed"
)

// SeedSize is the size of the secret of which each kind of key is made, in bytes.
const SeedSize = 32

// FromSeed returns the signer of a scheme ("ed25519", "ml-dsa-65") that is made
// of a secret of SeedSize bytes.
func FromSeed(scheme string, seed []byte) (Signer, error) {
	if len(seed) != SeedSize {
		return nil, fmt.Errorf("expected a seed of %d bytes, not %d", SeedSize, len(seed))
	}
	switch scheme {
	case "ed25519":
		return Ed25519(ed25519.NewKeyFromSeed(seed)), nil
	case "ml-dsa-65":
		_, private := mldsa65.NewKeyFromSeed((*[SeedSize]byte)(seed))
		return MLDSA65{private}, nil
	}
	return nil, fmt.Errorf("unknown scheme %q; expected ed25519 or ml-dsa-65", scheme)
}

// Verifier returns what verifies the key's signatures.
func (k Key) Verifier() (signed.Verifier, error) {
	for _, s := range signed.Schemes() {
		if s.KeyType == k.Type && s.Name == k.Scheme {
			verify, _, err := s.Parse(k.Public)
			return verify, err
		}
	}
	return nil, fmt.Errorf("unknown scheme %q of key type %q", k.Scheme, k.Type)
}

// A Signature is one that a document has.
type Signature struct {
	KeyID string // of the key that is said to have made it
	Value []byte
}

// Parse reads a file of metadata, in canonical form, with the signatures it has
// so far. None of them is verified.
func Parse(data []byte) (*Document, error) {
	v, err := canon.Parse(data, canon.Limits{Depth: 16, Count: 100_000})
	if err != nil {
		return nil, err
	}
	if !bytes.Equal(canon.AppendText(nil, v), data) {
		return nil, errors.New("expected the canonical form of JSON")
	}
	top, _ := v.(*canon.Object)
	body, _ := top.Get("signed")
	list, _ := top.Get("signatures")
	d := &Document{}
	var ok bool
	if d.body, ok = body.(*canon.Object); !ok {
		return nil, errors.New("expected a member \"signed\", an object")
	}
	signatures, ok := list.([]canon.Value)
	if !ok || len(top.Names()) != 2 {
		return nil, errors.New("expected two members, \"signatures\" (a list) and \"signed\"")
	}
	for i, s := range signatures {
		o, _ := s.(*canon.Object)
		id, _ := o.Get("keyid")
		value, _ := o.Get("sig")
		keyID, okID := id.(string)
		text, okSig := value.(string)
		if !okID || !okSig || len(o.Names()) != 2 {
			return nil, fmt.Errorf("signatures[%d]: expected two strings, \"keyid\" and \"sig\"", i)
		}
		raw, err := hex.DecodeString(text)
		if err != nil || hex.EncodeToString(raw) != text {
			return nil, fmt.Errorf("signatures[%d].sig: expected lower-case hex", i)
		}
		if !d.Add(Signature{keyID, raw}) {
			return nil, fmt.Errorf("signatures[%d]: a second signature of one key id", i)
		}
	}
	return d, nil
}

// Signed returns the canonical form of what is signed.
func (d *Document) Signed() []byte { return canon.Append(nil, d.body) }

// Signatures returns the signatures that the document has, sorted by key id.
func (d *Document) Signatures() []Signature { return d.signatures }

// Add takes a signature that was made elsewhere, unless one of its key is there.
// In which order signatures come does not show in the file.
func (d *Document) Add(s Signature) bool {
	if d.signers[s.KeyID] {
		return false
	}
	if d.signers == nil {
		d.signers = map[string]bool{}
	}
	d.signers[s.KeyID] = true
	d.signatures = append(d.signatures, s)
	slices.SortFunc(d.signatures, func(a, b Signature) int { return strings.Compare(a.KeyID, b.KeyID) })
	return true
}
