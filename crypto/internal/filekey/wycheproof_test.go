package filekey_test

import (
	"crypto/hkdf"
	"crypto/hmac"
	"crypto/sha256"
	"testing"

	"github.com/stretchr/testify/require"
	"golang.org/x/crypto/chacha20poly1305"

	"roadseal/testdata/wycheproof"
)

// TestChaCha20Poly1305 runs the vectors through the AEAD of the chunks. Nonces
// of other lengths are left out: a Nonce has 12 bytes.
func TestChaCha20Poly1305(t *testing.T) {
	type group struct {
		Tests []struct {
			wycheproof.Verdict
			Key, IV, AAD, Msg, CT, Tag wycheproof.Hex
		}
	}
	count := map[string]int{}
	for _, g := range wycheproof.Groups[group](t, "chacha20_poly1305_test.json") {
		for _, v := range g.Tests {
			if len(v.IV) != chacha20poly1305.NonceSize {
				require.Contains(t, v.Flags, "InvalidNonceSize")
				count["no nonce of ours"]++
				continue
			}
			aead, err := chacha20poly1305.New(v.Key)
			require.NoError(t, err)
			sealed := append(append([]byte{}, v.CT...), v.Tag...)
			again := aead.Seal(nil, v.IV, v.Msg, v.AAD)
			plain, err := aead.Open(nil, v.IV, sealed, v.AAD)
			count[v.Result]++
			if !v.Valid() {
				require.Error(t, err, v.ID)
				require.NotEqual(t, sealed, again, v.ID)
				continue
			}
			require.NoError(t, err, v.ID)
			require.Equal(t, string(v.Msg), string(plain), v.ID)
			require.Equal(t, sealed, again, v.ID)
		}
	}
	require.Equal(t, map[string]int{"valid": 256, "invalid": 60, "no nonce of ours": 9}, count)
}

func TestHKDF(t *testing.T) {
	type group struct {
		Tests []struct {
			wycheproof.Verdict
			IKM, Salt, Info, OKM wycheproof.Hex
			Size                 int
		}
	}
	ran := 0
	for _, g := range wycheproof.Groups[group](t, "hkdf_sha256_test.json") {
		for _, v := range g.Tests {
			okm, err := hkdf.Key(sha256.New, v.IKM, v.Salt, string(v.Info), v.Size)
			ran++
			if !v.Valid() {
				require.Error(t, err, v.ID)
				continue
			}
			require.NoError(t, err, v.ID)
			require.Equal(t, []byte(v.OKM), okm, v.ID)
		}
	}
	require.Equal(t, 86, ran)
}

func TestHMAC(t *testing.T) {
	type group struct {
		TagSize int // bits
		Tests   []struct {
			wycheproof.Verdict
			Key, Msg, Tag wycheproof.Hex
		}
	}
	ran := 0
	for _, g := range wycheproof.Groups[group](t, "hmac_sha256_test.json") {
		for _, v := range g.Tests {
			h := hmac.New(sha256.New, v.Key)
			h.Write(v.Msg)
			require.Equal(t, v.Valid(), hmac.Equal(h.Sum(nil)[:g.TagSize/8], v.Tag), v.ID)
			ran++
		}
	}
	require.Equal(t, 174, ran)
}
