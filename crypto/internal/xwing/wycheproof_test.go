package xwing_test

import (
	"bytes"
	"crypto/ecdh"
	"crypto/mlkem"
	"slices"
	"testing"

	"github.com/cloudflare/circl/dh/x25519"
	"github.com/cloudflare/circl/kem/mlkem/mlkem768"
	"github.com/stretchr/testify/require"

	"roadseal/crypto/internal/xwing"
	"roadseal/testdata/wycheproof"
)

// TestX25519 runs the vectors through circl and crypto/ecdh. CheckShare refuses
// the points that give the secret zero, and no other: neither those on the
// twist nor those that are not reduced.
func TestX25519(t *testing.T) {
	type group struct {
		Tests []struct {
			wycheproof.Verdict
			Public, Private, Shared wycheproof.Hex
		}
	}
	ran, low := 0, 0
	for _, g := range wycheproof.Groups[group](t, "x25519_test.json") {
		for _, v := range g.Tests {
			ran++
			var shared, secret, public x25519.Key
			copy(secret[:], v.Private)
			copy(public[:], v.Public)
			zero := slices.Contains(v.Flags, "ZeroSharedSecret")
			require.Equal(t, !zero, x25519.Shared(&shared, &secret, &public), v.ID)
			require.Equal(t, []byte(v.Shared), shared[:], v.ID)

			sk, err := ecdh.X25519().NewPrivateKey(v.Private)
			require.NoError(t, err)
			pk, err := ecdh.X25519().NewPublicKey(v.Public)
			require.NoError(t, err)
			got, err := sk.ECDH(pk)
			if zero {
				low++
				require.Error(t, err, v.ID)
				require.ErrorContains(t, xwing.CheckShare(v.Public), "low order", v.ID)
				continue
			}
			require.NoError(t, err, v.ID)
			require.Equal(t, []byte(v.Shared), got, v.ID)
			require.NoError(t, xwing.CheckShare(v.Public), v.ID)
		}
	}
	require.Equal(t, [2]int{518, 31}, [2]int{ran, low})
}

type mlkemGroup struct {
	Tests []struct {
		wycheproof.Verdict
		Seed, EK, C, K, M wycheproof.Hex
	}
}

// TestMLKEMEncapsulation: keys that are not reduced or of another length are
// refused as the ML-KEM half of one of ours.
func TestMLKEMEncapsulation(t *testing.T) {
	count := map[string]int{}
	share := append([]byte{9}, make([]byte, 31)...)
	for _, g := range wycheproof.Groups[mlkemGroup](t, "mlkem_768_encaps_test.json") {
		for _, v := range g.Tests {
			count[v.Result]++
			_, ours := xwing.PublicKey(append(bytes.Clone(v.EK), share...))
			pk, err := mlkem768.Scheme().UnmarshalBinaryPublicKey(v.EK)
			_, theirs := mlkem.NewEncapsulationKey768(v.EK)
			if !v.Valid() {
				require.Error(t, ours, v.ID)
				require.Error(t, err, v.ID)
				require.Error(t, theirs, v.ID)
				continue
			}
			require.NoError(t, ours, v.ID)
			require.NoError(t, err, v.ID)
			require.NoError(t, theirs, v.ID)
			ct, ss, err := mlkem768.Scheme().EncapsulateDeterministically(pk, v.M)
			require.NoError(t, err, v.ID)
			require.Equal(t, []byte(v.C), ct, v.ID)
			require.Equal(t, []byte(v.K), ss, v.ID)
		}
	}
	require.Equal(t, map[string]int{"valid": 133, "invalid": 132}, count)
}

// TestMLKEMDecapsulation runs the vectors that begin with a seed of 64 bytes,
// as X-Wing does; expanded keys are never read.
func TestMLKEMDecapsulation(t *testing.T) {
	count := map[string]int{}
	for _, file := range []string{"mlkem_768_test.json", "mlkem_768_keygen_seed_test.json"} {
		for _, g := range wycheproof.Groups[mlkemGroup](t, file) {
			for _, v := range g.Tests {
				if len(v.Seed) != mlkem768.KeySeedSize {
					require.False(t, v.Valid(), v.ID)
					count["no seed of ours"]++
					continue
				}
				count[v.Result]++
				pk, sk := mlkem768.NewKeyFromSeed(v.Seed)
				second, err := mlkem.NewDecapsulationKey768(v.Seed)
				require.NoError(t, err)
				if len(v.EK) > 0 {
					ek, err := pk.MarshalBinary()
					require.NoError(t, err)
					require.Equal(t, []byte(v.EK), ek, v.ID)
					require.Equal(t, ek, second.EncapsulationKey().Bytes(), v.ID)
				}
				if file != "mlkem_768_test.json" {
					continue
				}
				ss, err := mlkem768.Scheme().Decapsulate(sk, v.C)
				again, errSecond := second.Decapsulate(v.C)
				if !v.Valid() {
					require.Error(t, err, v.ID)
					require.Error(t, errSecond, v.ID)
					continue
				}
				require.NoError(t, err, v.ID)
				require.NoError(t, errSecond, v.ID)
				require.Equal(t, []byte(v.K), ss, v.ID)
				require.Equal(t, ss, again, v.ID)
			}
		}
	}
	require.Equal(t, map[string]int{"valid": 261, "invalid": 20, "no seed of ours": 20}, count)
}
