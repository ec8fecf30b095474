// Package xwing pins down the one HPKE suite that wraps file keys: base mode of
// RFC 9180 with MLKEM768-X25519 (X-Wing, KEM 0x647a), HKDF-SHA256 and
// ChaCha20-Poly1305, as the C2SP age specification has it for mlkem768x25519.
// It also makes the checks that circl leaves out.
//
// Side: any.
package xwing

import (
	"crypto/ecdh"
	"errors"
	"fmt"

	"github.com/cloudflare/circl/hpke"
	"github.com/cloudflare/circl/kem"
)

// Sizes in bytes.
const (
	PublicKeySize = 1216 // ML-KEM-768 encapsulation key 1184, X25519 public key 32
	SeedSize      = 32
	shareSize     = 32
)

// Info is the HPKE info string; the aad is empty and each context seals once.
const Info = "age-encryption.org/mlkem768x25519"

// Suite is the only suite that roadseal uses. circl offers others that must
// not be accepted, among them a KEM from before FIPS 203.
func Suite() hpke.Suite {
	return hpke.NewSuite(hpke.KEM_XWING, hpke.KDF_HKDF_SHA256, hpke.AEAD_ChaCha20Poly1305)
}

// PublicKey reads a public key of PublicKeySize bytes. It refuses an ML-KEM
// half that is not reduced (FIPS 203, section 7.2) and a low-order X25519 half.
func PublicKey(b []byte) (kem.PublicKey, error) {
	if len(b) != PublicKeySize {
		return nil, fmt.Errorf("%d bytes long, expected %d", len(b), PublicKeySize)
	}
	if err := CheckShare(b[PublicKeySize-shareSize:]); err != nil {
		return nil, err
	}
	pk, err := hpke.KEM_XWING.Scheme().UnmarshalBinaryPublicKey(b)
	if err != nil {
		return nil, errors.New("its ML-KEM-768 half is not reduced")
	}
	return pk, nil
}

// PrivateKey expands a seed of SeedSize bytes. Seeds are what is stored and
// exchanged: HPKE's DeriveKeyPair differs between libraries for this KEM.
func PrivateKey(seed []byte) (kem.PrivateKey, error) {
	if len(seed) != SeedSize {
		return nil, fmt.Errorf("%d bytes long, expected %d", len(seed), SeedSize)
	}
	return hpke.KEM_XWING.Scheme().UnmarshalBinaryPrivateKey(seed)
}

// CheckShare refuses a low-order X25519 share: the last 32 bytes of a public
// key or of an encapsulation. With it the shared secret is zero whatever the
// other side does. circl takes it, crypto/hpke and so the stock age command do
// not: without this check the two would disagree on which files open.
func CheckShare(share []byte) error {
	if len(share) != shareSize {
		return fmt.Errorf("X25519 share of %d bytes, expected %d", len(share), shareSize)
	}
	point, err := ecdh.X25519().NewPublicKey(share)
	if err != nil {
		return err
	}
	// Any scalar will do: clamping makes it a multiple of the cofactor, and
	// ECDH refuses a zero result.
	probe, err := ecdh.X25519().NewPrivateKey(append(make([]byte, shareSize-1), 64))
	if err != nil {
		return err
	}
	if _, err := probe.ECDH(point); err != nil {
		return errors.New("its X25519 half has low order")
	}
	return nil
}
