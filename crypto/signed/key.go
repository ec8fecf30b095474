package signed

import (
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/elliptic"
	"crypto/sha256"
	"crypto/x509"
	"encoding/hex"
	"encoding/pem"
	"errors"
	"fmt"

	"github.com/cloudflare/circl/sign/mldsa/mldsa65"
)

// A Scheme is one way to sign.
type Scheme struct {
	KeyType, Name string // "keytype" and "scheme" of a key
	// Parse reads the "public" text of a key: a function that verifies, and
	// the key in its only form, by which it counts.
	Parse func(public string) (verify Verifier, material []byte, err error)
}

// A Verifier reports whether a signature over message is the key's. It must
// not panic, whatever the signature.
type Verifier func(message, signature []byte) bool

// Schemes returns what the vehicle verifies: Ed25519 (RFC 8032), ECDSA over
// P-256 with SHA-256 (FIPS 186-5), and ML-DSA-65 (FIPS 204).
func Schemes() []Scheme {
	return []Scheme{
		{"ed25519", "ed25519", parseEd25519},
		{"ecdsa", "ecdsa-sha2-nistp256", parseECDSA},
		{"ml-dsa", "ml-dsa-65", parseMLDSA},
	}
}

func parseEd25519(public string) (Verifier, []byte, error) {
	key, err := parseHex(public, ed25519.PublicKeySize)
	if err != nil {
		return nil, nil, err
	}
	return func(message, signature []byte) bool { return ed25519.Verify(key, message, signature) }, key, nil
}

// MLDSAContext is the context string (FIPS 204, section 5.2) under which
// metadata is signed with ML-DSA: such a signature is good for nothing else.
const MLDSAContext = "roadseal metadata/1"

func parseMLDSA(public string) (Verifier, []byte, error) {
	raw, err := parseHex(public, mldsa65.PublicKeySize)
	if err != nil {
		return nil, nil, err
	}
	var key mldsa65.PublicKey
	if err := key.UnmarshalBinary(raw); err != nil {
		return nil, nil, err
	}
	return func(message, signature []byte) bool {
		return len(signature) == mldsa65.SignatureSize && mldsa65.Verify(&key, message, []byte(MLDSAContext), signature)
	}, raw, nil
}

func parseECDSA(public string) (Verifier, []byte, error) {
	block, rest := pem.Decode([]byte(public))
	if block == nil || block.Type != "PUBLIC KEY" || len(rest) > 0 {
		return nil, nil, errors.New("expected one PEM block \"PUBLIC KEY\"")
	}
	parsed, err := x509.ParsePKIXPublicKey(block.Bytes)
	if err != nil {
		return nil, nil, fmt.Errorf("expected a public key of P-256: %w", err)
	}
	key, ok := parsed.(*ecdsa.PublicKey)
	if !ok || key.Curve != elliptic.P256() {
		return nil, nil, errors.New("expected a public key of P-256")
	}
	material, err := key.Bytes()
	if err != nil {
		return nil, nil, fmt.Errorf("expected a public key of P-256: %w", err)
	}
	return func(message, signature []byte) bool {
		digest := sha256.Sum256(message)
		return ecdsa.VerifyASN1(key, digest[:], signature)
	}, material, nil
}

func parseHex(text string, size int) ([]byte, error) {
	raw, err := hex.DecodeString(text)
	if err != nil || len(raw) != size || hex.EncodeToString(raw) != text {
		return nil, fmt.Errorf("expected %d bytes as lower-case hex", size)
	}
	return raw, nil
}

// A key is a public key that a root or a delegation lists.
type key struct {
	scheme   string
	verify   Verifier
	material string // scheme and key: equal for equal keys under any id
}

// parseKey reads one key. A scheme that is not known is no fault, the role may
// reach its threshold without it: such a key verifies nothing.
func parseKey(schemes []Scheme, keyType, scheme, public string) (key, error) {
	for _, s := range schemes {
		if s.KeyType != keyType || s.Name != scheme {
			continue
		}
		verify, material, err := s.Parse(public)
		if err != nil {
			return key{}, fmt.Errorf("%s: %w", scheme, err)
		}
		return key{scheme, verify, scheme + " " + string(material)}, nil
	}
	return key{scheme: scheme, verify: func(_, _ []byte) bool { return false }, material: scheme + " " + public}, nil
}
