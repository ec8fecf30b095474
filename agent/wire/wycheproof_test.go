package wire_test

import (
	"crypto/ed25519"
	"encoding/binary"
	"math/bits"
	"testing"

	"github.com/stretchr/testify/require"

	"roadseal/agent/wire"
	"roadseal/testdata/wycheproof"
)

// TestEd25519 runs the vectors through the verification that receipts use.
// Signatures of another length are left out: a receipt has room for 64 bytes.
func TestEd25519(t *testing.T) {
	type group struct {
		PublicKey struct{ PK wycheproof.Hex }
		Tests     []struct {
			wycheproof.Verdict
			Msg, Sig wycheproof.Hex
		}
	}
	count := map[string]int{}
	for _, g := range wycheproof.Groups[group](t, "ed25519_test.json") {
		key := wire.PublicKey(g.PublicKey.PK)
		for _, v := range g.Tests {
			if len(v.Sig) != len(wire.Receipt{}.Signature) {
				require.False(t, v.Valid(), v.ID)
				count["no signature of ours"]++
				continue
			}
			require.Equal(t, v.Valid(), ed25519.Verify(key[:], v.Msg, v.Sig), v.ID)
			count[v.Result]++
		}
	}
	require.Equal(t, map[string]int{"valid": 88, "invalid": 51, "no signature of ours": 12}, count)
}

// TestASignatureHasOneForm adds the order of the group to the second half of a
// signature, which makes another one wherever that half is not checked
// (RFC 8032, section 5.1.7).
func TestASignatureHasOneForm(t *testing.T) {
	order := [4]uint64{0x5812631a5cf5d3ed, 0x14def9dea2f79cd6, 0, 0x1000000000000000} // 2^252 + …, from the lowest word
	r := receipt(t, tag)
	keys := []wire.PublicKey{public(signer)}
	require.NoError(t, r.Verify(keys))
	var carry uint64
	for i, word := range order {
		s := r.Signature[32+8*i:]
		var sum uint64
		sum, carry = bits.Add64(binary.LittleEndian.Uint64(s), word, carry)
		binary.LittleEndian.PutUint64(s, sum)
	}
	require.Zero(t, carry)
	require.ErrorContains(t, r.Verify(keys), "wrong signature")
}
