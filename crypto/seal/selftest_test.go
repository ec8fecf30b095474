package seal_test

import (
	"bytes"
	"crypto/cipher"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"hash"
	"io"
	"testing"

	"filippo.io/age"
	"github.com/stretchr/testify/require"

	"roadseal/crypto/internal/bech32"
	"roadseal/crypto/internal/filekey"
	"roadseal/crypto/seal"
)

func TestSelfTest(t *testing.T) {
	require.NoError(t, seal.SelfTest())
}

// The frozen answer is worth something because another implementation opens
// that object.
func TestKnownObjectOpensWithAge(t *testing.T) {
	object, seed, s, err := seal.KnownObject()
	require.NoError(t, err)
	sum := sha256.Sum256(object)
	require.Equal(t, hex.EncodeToString(sum[:]), s.Name.String())
	id, err := age.ParseHybridIdentity(string(bytes.ToUpper([]byte(bech32.Encode("age-secret-key-pq-", seed)))))
	require.NoError(t, err)
	r, err := age.Decrypt(bytes.NewReader(object), id)
	require.NoError(t, err)
	plain, err := io.ReadAll(r)
	require.NoError(t, err)
	require.Contains(t, string(plain[len(plain)-1024:]), "source: camera self-test\n")
	require.EqualValues(t, 2<<16+1, s.Length)
}

type aeadMaker = func(*filekey.Key, [16]byte) (cipher.AEAD, error)

// badAEAD spoils the ciphertext of one chunk by one bit.
type badAEAD struct {
	cipher.AEAD
	chunk, at int
	calls     *int
}

func (b badAEAD) Seal(dst, nonce, plain, aad []byte) []byte {
	out := b.AEAD.Seal(dst, nonce, plain, aad)
	if *b.calls == b.chunk {
		out[min(b.at, len(out)-1)] ^= 1
	}
	*b.calls++
	return out
}

// badHash loses one byte, miscounts, or gives a wrong digit.
type badHash struct {
	hash.Hash
	write func(hash.Hash, []byte)
	sum   func([]byte) []byte
}

func (b badHash) Write(p []byte) (int, error) { b.write(b.Hash, p); return len(p), nil }
func (b badHash) Sum(p []byte) []byte         { return b.sum(b.Hash.Sum(p)) }

func TestSelfTestFindsABrokenPart(t *testing.T) {
	const answer = "computes wrongly"
	for chunk := range 3 {
		for _, at := range []int{0, 3000, 1 << 20} { // the last is the tag
			calls := 0
			broken := aeadMaker(func(k *filekey.Key, nonce [16]byte) (cipher.AEAD, error) {
				a, err := k.Payload(nonce)
				return badAEAD{a, chunk, at, &calls}, err
			})
			require.ErrorContains(t, seal.SelfTestWith(nil, broken), answer, "chunk %d, byte %d", chunk, at)
		}
	}
	wrongKey := aeadMaker(func(k *filekey.Key, nonce [16]byte) (cipher.AEAD, error) {
		nonce[0]++
		return k.Payload(nonce)
	})
	require.ErrorContains(t, seal.SelfTestWith(nil, wrongKey), answer)
	noCPU := aeadMaker(func(*filekey.Key, [16]byte) (cipher.AEAD, error) { return nil, errors.New("no AEAD here") })
	require.ErrorContains(t, seal.SelfTestWith(nil, noCPU), "no AEAD here")

	for name, h := range map[string]badHash{
		"drops a byte": {write: func(h hash.Hash, p []byte) { h.Write(p[:len(p)-1]) }, sum: func(p []byte) []byte { return p }},
		"wrong digit":  {write: func(h hash.Hash, p []byte) { h.Write(p) }, sum: func(p []byte) []byte { p[len(p)-1] ^= 1; return p }},
		"always zero":  {write: func(hash.Hash, []byte) {}, sum: func(p []byte) []byte { clear(p); return p }},
	} {
		broken := func() hash.Hash { h.Hash = sha256.New(); return h }
		require.ErrorContains(t, seal.SelfTestWith(broken, nil), answer, name)
	}
	require.NoError(t, seal.SelfTestWith(nil, nil))
}
