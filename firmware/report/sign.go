package report

import (
	"crypto"
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/sha256"
	"crypto/x509"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"time"
)

// Context stands before the report in what is signed: such a signature is good
// for nothing else.
const Context = "roadseal report/1\x00"

// A file is a signed report as it is written. Bytes are base64 (RFC 4648,
// section 4).
type file struct {
	Certificate [][]byte        `json:"certificate"` // DER: the device's own first, each signed by the next
	Signature   []byte          `json:"signature"`
	Signed      json.RawMessage `json:"signed"` // a Report
}

// Certificates beside a report: how many, and bytes of all together.
const (
	maxChain = 4
	maxDER   = 16 << 10
)

// A Signer is a device's key and the certificates that vouch for it.
type Signer struct {
	key    crypto.Signer
	chain  [][]byte
	device string
}

// NewSigner takes a device's key, Ed25519 or ECDSA over P-256, and its
// certificates, DER, its own first.
func NewSigner(key crypto.Signer, chain [][]byte) (*Signer, error) {
	leaf, err := leafOf(chain)
	if err != nil {
		return nil, fmt.Errorf("certificate of the device: %w", err)
	}
	if public, ok := key.Public().(interface{ Equal(crypto.PublicKey) bool }); !ok || !public.Equal(leaf.PublicKey) {
		return nil, errors.New("certificate of the device: expected the one of its key")
	}
	return &Signer{key, chain, leaf.Subject.CommonName}, nil
}

// Device is the common name of the certificate.
func (s *Signer) Device() string { return s.device }

// leafOf parses the first certificate of a chain, whose key can sign reports.
func leafOf(chain [][]byte) (*x509.Certificate, error) {
	if len(chain) == 0 || len(chain) > maxChain {
		return nil, fmt.Errorf("expected 1 to %d certificates, not %d", maxChain, len(chain))
	}
	size := 0
	for _, der := range chain {
		size += len(der)
	}
	if size > maxDER {
		return nil, fmt.Errorf("expected certificates of at most %d bytes together, not %d", maxDER, size)
	}
	leaf, err := x509.ParseCertificate(chain[0])
	if err != nil {
		return nil, fmt.Errorf("expected a certificate: %w", err)
	}
	switch key := leaf.PublicKey.(type) {
	case ed25519.PublicKey:
	case *ecdsa.PublicKey:
		if key.Curve != elliptic.P256() {
			return nil, errors.New("expected a key on P-256 or an Ed25519 key, not one on another curve")
		}
	default:
		return nil, fmt.Errorf("expected a key on P-256 or an Ed25519 key, not %v", leaf.PublicKeyAlgorithm)
	}
	return leaf, nil
}

// Sign returns the report as a file. The report must be as Check demands, and
// of this device.
func (s *Signer) Sign(r *Report) ([]byte, error) {
	r.Type, r.Device = typeName, s.device
	if err := r.Check(); err != nil {
		return nil, fmt.Errorf("report: %w", err)
	}
	message, err := Marshal(r)
	if err != nil {
		return nil, err
	}
	text, hash := append([]byte(Context), message...), crypto.Hash(0)
	if _, ok := s.key.Public().(*ecdsa.PublicKey); ok {
		sum := sha256.Sum256(text)
		text, hash = sum[:], crypto.SHA256
	}
	signature, err := s.key.Sign(rand.Reader, text, hash)
	if err != nil {
		return nil, fmt.Errorf("cannot sign the report: %w", err)
	}
	data, err := Marshal(file{s.chain, signature, message})
	if err == nil && len(data) > MaxSize {
		err = fmt.Errorf("report: %d bytes, expected at most %d", len(data), MaxSize)
	}
	return data, err
}

// Open reads a report whose signature is that of the certificate in it. Who
// that certificate belongs to is not judged: Verify does that.
func Open(data []byte) (*Report, error) {
	_, r, err := open(data)
	return r, err
}

func open(data []byte) (*file, *Report, error) {
	var f file
	if err := Strict(data, &f); err != nil {
		return nil, nil, fmt.Errorf("report: %w", err)
	}
	r := &Report{}
	if err := Strict(f.Signed, r); err != nil {
		return nil, nil, fmt.Errorf("report: signed: %w", err)
	}
	if err := r.Check(); err != nil {
		return nil, nil, fmt.Errorf("report: signed: %w", err)
	}
	leaf, err := leafOf(f.Certificate)
	if err != nil {
		return nil, nil, fmt.Errorf("report: certificate: %w", err)
	}
	if leaf.Subject.CommonName != r.Device {
		return nil, nil, errors.New("report: device: expected the common name of the certificate")
	}
	if !verified(leaf, append([]byte(Context), f.Signed...), f.Signature) {
		return nil, nil, errors.New("report: signature: not that of the certificate over this report")
	}
	return &f, r, nil
}

func verified(leaf *x509.Certificate, text, signature []byte) bool {
	switch key := leaf.PublicKey.(type) {
	case ed25519.PublicKey:
		return ed25519.Verify(key, text, signature)
	case *ecdsa.PublicKey:
		sum := sha256.Sum256(text)
		return ecdsa.VerifyASN1(key, sum[:], signature)
	}
	return false
}

// Verify reads a report of a device that one of the CAs vouches for, with
// exactly the certificates that stand in it. These are judged at the time at,
// the zero time for when the report was made. That a report is one of a chain
// is for the caller to see, by Counter and Previous.
func Verify(data []byte, cas *x509.CertPool, at time.Time) (*Report, error) {
	f, r, err := open(data)
	if err != nil {
		return nil, err
	}
	o := x509.VerifyOptions{Roots: cas, Intermediates: x509.NewCertPool(), CurrentTime: at,
		KeyUsages: []x509.ExtKeyUsage{x509.ExtKeyUsageClientAuth}}
	leaf, between := (*x509.Certificate)(nil), []*x509.Certificate(nil)
	for i, der := range f.Certificate {
		c, err := x509.ParseCertificate(der)
		if err != nil {
			return nil, fmt.Errorf("report: certificate %d: %w", i+1, err)
		}
		if at.IsZero() && o.CurrentTime.Before(c.NotBefore) {
			o.CurrentTime = c.NotBefore // the time of a unit is a lower bound
		}
		if i == 0 {
			leaf = c
			continue
		}
		between = append(between, c)
		o.Intermediates.AddCert(c)
	}
	if at.IsZero() && o.CurrentTime.Before(r.Time) {
		o.CurrentTime = r.Time
	}
	chains, err := leaf.Verify(o)
	if err != nil {
		return nil, fmt.Errorf("report: certificate: %w", err)
	}
	// One that no chain needs could be altered unnoticed.
	if !slices.ContainsFunc(chains, func(chain []*x509.Certificate) bool {
		return slices.EqualFunc(chain[1:max(1, len(chain)-1)], between, (*x509.Certificate).Equal)
	}) {
		return nil, errors.New("report: certificate: expected only those that lead to the CA, in their order")
	}
	return r, nil
}
