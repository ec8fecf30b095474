package collector

import (
	"crypto/ed25519"
	"crypto/hkdf"
	"crypto/hmac"
	"crypto/rand"
	"crypto/sha256"
	"crypto/x509"
	"encoding/binary"
	"encoding/hex"
	"encoding/pem"
	"errors"
	"fmt"
	"strings"
	"time"

	"roadseal/agent/wire"
	"roadseal/crypto/envelope"
)

// A Key signs receipts (Ed25519, RFC 8032). It prints as its public half.
type Key struct {
	private ed25519.PrivateKey
	staging []byte // key of the staging ids
}

// GenerateKey makes a new key.
func GenerateKey() (Key, error) {
	_, private, err := ed25519.GenerateKey(rand.Reader)
	if err != nil {
		return Key{}, err
	}
	return newKey(private)
}

func newKey(private ed25519.PrivateKey) (Key, error) {
	staging, err := hkdf.Key(sha256.New, private.Seed(), nil, "roadseal staging id v1", sha256.Size)
	return Key{private, staging}, err
}

const pemType = "PRIVATE KEY"

// ParseKey reads a PKCS #8 PEM file (RFC 5958), as MarshalPEM and
// "openssl genpkey -algorithm ed25519" write it.
func ParseKey(data []byte) (Key, error) {
	block, rest := pem.Decode(data)
	if block == nil || block.Type != pemType || strings.TrimSpace(string(rest)) != "" {
		return Key{}, errors.New(`not a receipt key: expected one PEM block "PRIVATE KEY" (PKCS #8, Ed25519); "roadseal-collector keygen" makes one`)
	}
	k, err := x509.ParsePKCS8PrivateKey(block.Bytes)
	if err != nil {
		return Key{}, errors.New("not a receipt key: the PEM block holds no PKCS #8 private key")
	}
	private, ok := k.(ed25519.PrivateKey)
	if !ok {
		return Key{}, fmt.Errorf("not a receipt key: expected an Ed25519 key, found %T", k)
	}
	return newKey(private)
}

// MarshalPEM is what ParseKey reads. It is secret.
func (k Key) MarshalPEM() ([]byte, error) {
	der, err := x509.MarshalPKCS8PrivateKey(k.private)
	if err != nil {
		return nil, err
	}
	return pem.EncodeToMemory(&pem.Block{Type: pemType, Bytes: der}), nil
}

// Public is what vehicles pin.
func (k Key) Public() wire.PublicKey {
	return wire.PublicKey(k.private.Public().(ed25519.PublicKey))
}

// String is the line for receipt_keys in the vehicles' configuration.
func (k Key) String() string { return k.Public().String() }

// GoString keeps the private half out of %#v.
func (k Key) GoString() string { return k.String() }

// StoreID is the id of the store that a collector with this key fills, unless
// its configuration names another.
func (k Key) StoreID() (id [16]byte) {
	public := k.Public()
	sum := sha256.Sum256(append([]byte("roadseal store id v1\x00"), public[:]...))
	copy(id[:], sum[:])
	return id
}

// receipt signs that the offered object is on durable storage, now.
func (k Key) receipt(store [16]byte, o wire.Offer, now time.Time) wire.Receipt {
	r := wire.Receipt{Key: k.Public().ID(), Store: store, Object: o.Object, Size: o.Size, Tag: o.Tag, Class: o.Class,
		Time: now.UTC().Truncate(time.Second)}
	r.Signature = [ed25519.SignatureSize]byte(ed25519.Sign(k.private, r.Message()))
	return r
}

// stagingID names the staged copy of an object from a device; without the key
// the name tells neither.
func (k Key) stagingID(device string, object envelope.Name, size int64) string {
	h := hmac.New(sha256.New, k.staging)
	h.Write(binary.BigEndian.AppendUint64(nil, uint64(len(device))))
	h.Write([]byte(device))
	h.Write(object[:])
	h.Write(binary.BigEndian.AppendUint64(nil, uint64(size)))
	return hex.EncodeToString(h.Sum(nil))
}
