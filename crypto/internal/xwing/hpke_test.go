package xwing_test

import (
	"bytes"
	"crypto/hpke"
	"crypto/sha3"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	circl "github.com/cloudflare/circl/hpke"
	"github.com/stretchr/testify/require"

	"roadseal/crypto/internal/xwing"
	"roadseal/testdata/wycheproof"
)

type vector struct {
	Mode      int            `json:"mode"`
	KEM       int            `json:"kem_id"`
	KDF       int            `json:"kdf_id"`
	AEAD      int            `json:"aead_id"`
	Info      wycheproof.Hex `json:"info"`
	Ephemeral wycheproof.Hex `json:"ikmE"`
	Private   wycheproof.Hex `json:"skRm"`
	Public    wycheproof.Hex `json:"pkRm"`
	Enc       wycheproof.Hex `json:"enc"`
	Messages  []struct {
		AAD        wycheproof.Hex `json:"aad"`
		Plaintext  wycheproof.Hex `json:"pt"`
		Ciphertext wycheproof.Hex `json:"ct"`
	} `json:"encryptions"`
	Accumulated wycheproof.Hex `json:"encryptions_accumulated"` // SHAKE128 of 1,000 ciphertexts
}

// hpkeVectors are those for base mode, HKDF-SHA256, ChaCha20-Poly1305 and one
// KEM in a file of the Go distribution.
func hpkeVectors(t *testing.T, file string, kem int) (all []vector) {
	t.Helper()
	root, err := exec.Command("go", "env", "GOROOT").Output()
	require.NoError(t, err)
	b, err := os.ReadFile(filepath.Join(strings.TrimSpace(string(root)), "src/crypto/hpke/testdata", file))
	if err != nil {
		t.Skip("this Go distribution comes without its sources: ", err)
	}
	var vectors []vector
	require.NoError(t, json.Unmarshal(b, &vectors))
	for _, v := range vectors {
		if v.Mode == 0 && v.KEM == kem && v.KDF == 1 && v.AEAD == 3 {
			all = append(all, v)
		}
	}
	require.NotEmpty(t, all)
	return all
}

// TestHPKEVectors runs the vectors of draft-ietf-hpke-pq for exactly our suite
// through circl in both directions, and opens them with crypto/hpke.
func TestHPKEVectors(t *testing.T) {
	ran := 0
	for _, v := range hpkeVectors(t, "hpke-pq.json", 0x647a) {
		sk, err := xwing.PrivateKey(v.Private)
		require.NoError(t, err)
		pk, err := xwing.PublicKey(v.Public)
		require.NoError(t, err)
		require.True(t, pk.Equal(sk.Public()))
		sender, err := xwing.Suite().NewSender(pk, v.Info)
		require.NoError(t, err)
		enc, sealer, err := sender.Setup(bytes.NewReader(v.Ephemeral))
		require.NoError(t, err)
		require.Equal(t, []byte(v.Enc), enc)
		receiver, err := xwing.Suite().NewReceiver(sk, v.Info)
		require.NoError(t, err)
		opener, err := receiver.Setup(v.Enc)
		require.NoError(t, err)
		stdKey, err := hpke.MLKEM768X25519().NewPrivateKey(v.Private)
		require.NoError(t, err)
		require.Equal(t, []byte(v.Public), stdKey.PublicKey().Bytes())
		std, err := hpke.NewRecipient(v.Enc, stdKey, hpke.HKDFSHA256(), hpke.ChaCha20Poly1305(), v.Info)
		require.NoError(t, err)
		for _, m := range v.Messages {
			ct, err := sealer.Seal(m.Plaintext, m.AAD)
			require.NoError(t, err)
			require.Equal(t, []byte(m.Ciphertext), ct)
			pt, err := opener.Open(m.Ciphertext, m.AAD)
			require.NoError(t, err)
			require.Equal(t, []byte(m.Plaintext), pt)
			pt, err = std.Open(m.AAD, m.Ciphertext)
			require.NoError(t, err)
			require.Equal(t, []byte(m.Plaintext), pt)
			ran++
		}
	}
	require.Equal(t, 10, ran, "messages")
}

// TestRFC9180 runs the vector of RFC 9180 that differs from our suite in its
// KEM alone: the key schedule and 1,000 messages of one context are the same
// code.
func TestRFC9180(t *testing.T) {
	suite := circl.NewSuite(circl.KEM_X25519_HKDF_SHA256, circl.KDF_HKDF_SHA256, circl.AEAD_ChaCha20Poly1305)
	scheme := circl.KEM_X25519_HKDF_SHA256.Scheme()
	for _, v := range hpkeVectors(t, "rfc9180.json", 0x20) {
		pk, err := scheme.UnmarshalBinaryPublicKey(v.Public)
		require.NoError(t, err)
		sk, err := scheme.UnmarshalBinaryPrivateKey(v.Private)
		require.NoError(t, err)
		sender, err := suite.NewSender(pk, v.Info)
		require.NoError(t, err)
		enc, sealer, err := sender.Setup(bytes.NewReader(v.Ephemeral))
		require.NoError(t, err)
		require.Equal(t, []byte(v.Enc), enc)
		receiver, err := suite.NewReceiver(sk, v.Info)
		require.NoError(t, err)
		opener, err := receiver.Setup(enc)
		require.NoError(t, err)
		source, sink := sha3.NewSHAKE128(), sha3.NewSHAKE128()
		draw := func() []byte {
			n := make([]byte, 1)
			source.Read(n)
			b := make([]byte, n[0])
			source.Read(b)
			return b
		}
		for range 1000 {
			aad, plain := draw(), draw()
			ct, err := sealer.Seal(plain, aad)
			require.NoError(t, err)
			sink.Write(ct)
			got, err := opener.Open(ct, aad)
			require.NoError(t, err)
			require.True(t, bytes.Equal(plain, got))
		}
		sum := make([]byte, len(v.Accumulated))
		sink.Read(sum)
		require.Equal(t, []byte(v.Accumulated), sum)
	}
}

// TestAgainstStandardLibrary seals with one library and opens with the other.
func TestAgainstStandardLibrary(t *testing.T) {
	kem, kdf, aead := hpke.MLKEM768X25519(), hpke.HKDFSHA256(), hpke.ChaCha20Poly1305()
	for i := range 20 {
		stdKey, err := kem.GenerateKey()
		require.NoError(t, err)
		seed, err := stdKey.Bytes()
		require.NoError(t, err)
		sk, err := xwing.PrivateKey(seed)
		require.NoError(t, err)
		pk, err := xwing.PublicKey(stdKey.PublicKey().Bytes())
		require.NoError(t, err)
		message := bytes.Repeat([]byte{byte(i)}, 16)

		enc, theirs, err := hpke.NewSender(stdKey.PublicKey(), kdf, aead, []byte(xwing.Info))
		require.NoError(t, err)
		ct, err := theirs.Seal(nil, message)
		require.NoError(t, err)
		receiver, err := xwing.Suite().NewReceiver(sk, []byte(xwing.Info))
		require.NoError(t, err)
		opener, err := receiver.Setup(enc)
		require.NoError(t, err)
		got, err := opener.Open(ct, nil)
		require.NoError(t, err)
		require.Equal(t, message, got)

		sender, err := xwing.Suite().NewSender(pk, []byte(xwing.Info))
		require.NoError(t, err)
		enc, ours, err := sender.Setup(nil)
		require.NoError(t, err)
		ct, err = ours.Seal(message, nil)
		require.NoError(t, err)
		recipient, err := hpke.NewRecipient(enc, stdKey, kdf, aead, []byte(xwing.Info))
		require.NoError(t, err)
		got, err = recipient.Open(nil, ct)
		require.NoError(t, err)
		require.Equal(t, message, got)
	}
}

// draftHash is SHAKE128 of spec/test-vectors.txt of
// draft-connolly-cfrg-xwing-kem, version 05, as circl has it too.
const draftHash = "1bcd0057d861d6b866239936cadcaeee1ec0164dedc181c386e9e54fe46156fe"

// TestDraftVectors makes the three vectors of the X-Wing draft again, whose
// seeds come from SHAKE128, and prints them as the draft does.
func TestDraftVectors(t *testing.T) {
	scheme := circl.KEM_XWING.Scheme()
	random := sha3.NewSHAKE128()
	var text bytes.Buffer
	for range 3 {
		seed, eseed := make([]byte, xwing.SeedSize), make([]byte, 64)
		random.Read(seed)
		random.Read(eseed)
		sk, err := xwing.PrivateKey(seed)
		require.NoError(t, err)
		stored, err := sk.MarshalBinary()
		require.NoError(t, err)
		public, err := sk.Public().MarshalBinary()
		require.NoError(t, err)
		pk, err := xwing.PublicKey(public)
		require.NoError(t, err)
		ct, ss, err := scheme.EncapsulateDeterministically(pk, eseed)
		require.NoError(t, err)
		again, err := scheme.Decapsulate(sk, ct)
		require.NoError(t, err)
		require.Equal(t, ss, again)
		for i, value := range [][]byte{seed, stored, public, eseed, ct, ss} {
			name := []string{"seed", "sk", "pk", "eseed", "ct", "ss"}[i]
			text.WriteString(wrapped(name, hex.EncodeToString(value)))
		}
		text.WriteByte('\n')
	}
	hash := sha3.NewSHAKE128()
	hash.Write(text.Bytes())
	sum := make([]byte, 32)
	hash.Read(sum)
	require.Equal(t, draftHash, hex.EncodeToString(sum))
}

// wrapped is a value as the draft prints it: 74 columns wide.
func wrapped(name, digits string) string {
	if len(name)+len(digits)+5 < 74 {
		return fmt.Sprintf("%s     %s\n", name, digits)
	}
	out := name + "\n"
	for len(digits) > 0 {
		n := min(72, len(digits))
		out, digits = out+"  "+digits[:n]+"\n", digits[n:]
	}
	return out
}
