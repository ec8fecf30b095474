package main

import (
	"crypto"
	"crypto/rsa"
	"crypto/sha256"
	"crypto/x509"
	"encoding/pem"
	"errors"

	"roadseal/crypto/signed"
)

// rsaPSS is RSASSA-PSS with SHA-256 (RFC 8017, section 8.1), which the suite
// demands of a client.
func rsaPSS() signed.Scheme {
	return signed.Scheme{KeyType: "rsa", Name: "rsassa-pss-sha256", Parse: func(public string) (signed.Verifier, []byte, error) {
		block, _ := pem.Decode([]byte(public))
		if block == nil {
			return nil, nil, errors.New("expected a PEM block")
		}
		parsed, err := x509.ParsePKIXPublicKey(block.Bytes)
		if err != nil {
			return nil, nil, err
		}
		key, ok := parsed.(*rsa.PublicKey)
		if !ok {
			return nil, nil, errors.New("expected an RSA key")
		}
		return func(message, signature []byte) bool {
			digest := sha256.Sum256(message)
			return rsa.VerifyPSS(key, crypto.SHA256, digest[:], signature, nil) == nil
		}, x509.MarshalPKCS1PublicKey(key), nil
	}}
}
