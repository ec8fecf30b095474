package filekey_test

import (
	"bytes"
	"encoding/base64"
	"testing"

	"filippo.io/age"
	"github.com/stretchr/testify/require"

	"roadseal/crypto/internal/filekey"
)

// spy is an age recipient that keeps the file key and wraps nothing.
type spy struct{ key filekey.Key }

func (s *spy) Wrap(key []byte) ([]*age.Stanza, error) {
	s.key = filekey.Key(key)
	return []*age.Stanza{{Type: "spy"}}, nil
}

// TestAgainstAge derives from the file key of filippo.io/age what that module
// derived: the MAC, and the payload of one chunk, of a full one, and of three.
func TestAgainstAge(t *testing.T) {
	const chunk, tag = 64 << 10, 16
	for _, n := range []int{0, 1, chunk, 2*chunk + 1} {
		var file bytes.Buffer
		s := new(spy)
		w, err := age.Encrypt(&file, s)
		require.NoError(t, err)
		plain := bytes.Repeat([]byte{7}, n)
		_, err = w.Write(plain)
		require.NoError(t, err)
		require.NoError(t, w.Close())

		header, rest, ok := bytes.Cut(file.Bytes(), []byte("\n--- "))
		require.True(t, ok)
		text, payload, ok := bytes.Cut(rest, []byte("\n"))
		require.True(t, ok)
		mac, err := s.key.MAC(append(header, "\n---"...))
		require.NoError(t, err)
		require.Equal(t, base64.RawStdEncoding.EncodeToString(mac[:]), string(text))

		aead, err := s.key.Payload([16]byte(payload))
		require.NoError(t, err)
		var got []byte
		var nonce filekey.Nonce
		sealed := payload[16:]
		for i := int64(0); len(sealed) > 0; i++ {
			size := min(len(sealed), chunk+tag)
			nonce.Set(i, size == len(sealed))
			got, err = aead.Open(got, nonce[:], sealed[:size], nil)
			require.NoError(t, err)
			sealed = sealed[size:]
		}
		require.True(t, bytes.Equal(plain, got))
	}
}

func TestNonce(t *testing.T) {
	var n filekey.Nonce
	n.Set(0x0102030405060708, true)
	require.Equal(t, filekey.Nonce{0, 0, 0, 1, 2, 3, 4, 5, 6, 7, 8, 1}, n)
	n.Set(1, false)
	require.Equal(t, filekey.Nonce{10: 1}, n)
}
