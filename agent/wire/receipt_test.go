package wire_test

import (
	"bytes"
	"crypto/ed25519"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"roadseal/agent/wire"
)

var signer = ed25519.NewKeyFromSeed(bytes.Repeat([]byte{1}, 32))

func public(k ed25519.PrivateKey) wire.PublicKey {
	return wire.PublicKey(k.Public().(ed25519.PublicKey))
}

// receipt is signed for an object of 100,000 bytes and class 2.
func receipt(_ testing.TB, tag *[32]byte) wire.Receipt {
	r := wire.Receipt{
		Key: public(signer).ID(), Store: [16]byte(bytes.Repeat([]byte{0x55}, 16)), Object: object, Size: 100_000,
		Tag: tag, Class: 2, Time: time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC),
	}
	copy(r.Signature[:], ed25519.Sign(signer, r.Message()))
	return r
}

func TestVerify(t *testing.T) {
	other := ed25519.NewKeyFromSeed(bytes.Repeat([]byte{2}, 32))
	r := receipt(t, tag)
	require.NoError(t, r.Verify([]wire.PublicKey{public(signer)}))
	require.NoError(t, r.Verify([]wire.PublicKey{public(other), public(signer)}))
	require.ErrorIs(t, r.Verify(nil), wire.ErrNotPinned)
	err := r.Verify([]wire.PublicKey{public(other)})
	require.ErrorIs(t, err, wire.ErrNotPinned)
	require.ErrorContains(t, err, public(signer).ID().String())

	copy(r.Signature[:], ed25519.Sign(other, r.Message())) // another key under this key id
	err = r.Verify([]wire.PublicKey{public(other), public(signer)})
	require.ErrorContains(t, err, "wrong signature")
	require.NotErrorIs(t, err, wire.ErrNotPinned)
}

// TestNoBitOfAReceiptIsFree flips every bit: each flip is refused by the
// parser or by the signature, so the signature covers every field.
func TestNoBitOfAReceiptIsFree(t *testing.T) {
	keys := []wire.PublicKey{public(signer)}
	for _, tag := range []*[32]byte{nil, tag} {
		good := marshal(t, receipt(t, tag))
		for i := range 8 * len(good) {
			b := bytes.Clone(good)
			b[i/8] ^= 1 << (i % 8)
			m, err := wire.Parse(b)
			if err == nil {
				r, stored := m.(wire.Receipt)
				require.True(t, stored)
				require.Error(t, r.Verify(keys), "bit %d", i)
			}
		}
	}
}

// TestContext: a signature over the same fields in another context is worthless.
func TestContext(t *testing.T) {
	r := receipt(t, nil)
	signed := r.Message()
	require.True(t, bytes.HasPrefix(signed, []byte("roadseal receipt v1\x00\x01\x04\x01")))
	copy(r.Signature[:], ed25519.Sign(signer, signed[20:]))
	require.Error(t, r.Verify([]wire.PublicKey{public(signer)}))
}

func TestMatchesNamesTheField(t *testing.T) {
	offer := wire.Offer{Object: object, Size: 100_000, Class: 2, Tag: tag}
	same := *tag
	require.NoError(t, receipt(t, &same).Matches(offer), "tags are compared by value")
	require.NoError(t, receipt(t, nil).Matches(wire.Offer{Object: object, Size: 100_000, Class: 2}))
	for want, edit := range map[string]func(*wire.Offer){
		"another object":          func(o *wire.Offer) { o.Object[31]++ },
		"another size":            func(o *wire.Offer) { o.Size++ },
		"another retention class": func(o *wire.Offer) { o.Class++ },
		"another page tag":        func(o *wire.Offer) { o.Tag = nil },
	} {
		o := offer
		edit(&o)
		require.ErrorContains(t, receipt(t, tag).Matches(o), want)
	}
	other := same
	other[0]++
	require.ErrorContains(t, receipt(t, &other).Matches(offer), "another page tag")
	require.ErrorContains(t, receipt(t, nil).Matches(offer), "another page tag")
}

func TestPublicKeyText(t *testing.T) {
	k := public(signer)
	got, err := wire.ParsePublicKey(k.String())
	require.NoError(t, err)
	require.Equal(t, k, got)
	got, err = wire.ParsePublicKey(strings.TrimSuffix(k.String(), "="))
	require.NoError(t, err, "without padding")
	require.Equal(t, k, got)
	require.Len(t, k.ID().String(), 16)

	text := strings.TrimPrefix(k.String(), "ed25519:")
	for _, bad := range []string{
		"", text, "ed25519:", "ed25519 " + text, "ed448:" + text, "ed25519:" + text + "=", "ed25519:" + text[1:],
		"ed25519:" + text[:20] + "\n" + text[20:], " " + k.String(), k.String() + "\n",
		"ed25519:" + text[:42] + "x=", // spare bits set
		"ed25519:" + strings.Repeat("-", 43),
	} {
		_, err := wire.ParsePublicKey(bad)
		require.ErrorContains(t, err, "not a receipt key", "%q", bad)
	}
}

func FuzzParsePublicKey(f *testing.F) {
	f.Add(public(signer).String())
	f.Add("ed25519:")
	f.Fuzz(func(t *testing.T, s string) {
		k, err := wire.ParsePublicKey(s)
		if err == nil {
			require.Contains(t, []string{s, s + "="}, k.String())
		}
	})
}
