package sign_test

import (
	"bytes"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"roadseal/crypto/signed"
	"roadseal/crypto/signed/sign"
)

func signers(t *testing.T, n byte) (list []sign.Signer) {
	for _, scheme := range []string{"ed25519", "ml-dsa-65"} {
		s, err := sign.FromSeed(scheme, bytes.Repeat([]byte{n}, sign.SeedSize))
		require.NoError(t, err)
		list = append(list, s)
	}
	return list
}

func root(t *testing.T) *sign.Document {
	s := signers(t, 1)
	roles := map[string]sign.Role{}
	for _, name := range []string{signed.Root, signed.Timestamp, signed.Snapshot, signed.Targets} {
		roles[name] = sign.Role{Keys: []sign.Key{s[0].Key(), s[1].Key()}, Threshold: 2}
	}
	at := time.Date(2026, 11, 24, 12, 0, 0, 0, time.UTC)
	return sign.Root{Header: sign.Header{Version: 1, Expires: at.AddDate(1, 0, 0), Issued: at, Audience: signed.Fleet}, Roles: roles}.Document()
}

// The same document has the same bytes, in whichever order and wherever it was
// signed.
func TestSignaturesAreTheSameInAnyOrder(t *testing.T) {
	a, b := signers(t, 1), signers(t, 2)
	once := root(t)
	require.NoError(t, once.Sign(append(a, b...)...))
	here, err := sign.Parse(root(t).Bytes())
	require.NoError(t, err)
	there, err := sign.Parse(root(t).Bytes())
	require.NoError(t, err)
	require.NoError(t, here.Sign(b...))
	require.NoError(t, there.Sign(a...))
	for _, s := range there.Signatures() {
		require.True(t, here.Add(s))
		require.False(t, here.Add(s), "a key signs once")
	}
	require.Equal(t, string(once.Bytes()), string(here.Bytes()))
	again, err := sign.Parse(once.Bytes())
	require.NoError(t, err)
	require.Equal(t, string(once.Bytes()), string(again.Bytes()))
	_, err = signed.New(once.Bytes(), signed.Options{Canonical: true})
	require.NoError(t, err)
}

func TestVerifier(t *testing.T) {
	for _, s := range signers(t, 1) {
		signature, err := s.Sign([]byte("text"))
		require.NoError(t, err)
		verify, err := s.Key().Verifier()
		require.NoError(t, err)
		require.True(t, verify([]byte("text"), signature))
		require.False(t, verify([]byte("test"), signature))
	}
	_, err := sign.Key{Type: "rsa", Scheme: "rsassa-pss-sha256"}.Verifier()
	require.ErrorContains(t, err, "unknown scheme")
	_, err = sign.FromSeed("rsa", make([]byte, sign.SeedSize))
	require.ErrorContains(t, err, "unknown scheme")
	_, err = sign.FromSeed("ed25519", make([]byte, 31))
	require.ErrorContains(t, err, "expected a seed of 32 bytes")
}

func TestParseRefuses(t *testing.T) {
	for text, want := range map[string]string{
		`{"signatures":[],"signed":{}} `:                        "canonical form",
		`{"signatures":[],"signed":[]}`:                         `expected a member "signed"`,
		`{"signatures":{},"signed":{}}`:                         "expected two members",
		`{"more":1,"signatures":[],"signed":{}}`:                "expected two members",
		`[]`:                                                    `expected a member "signed"`,
		`{"signatures":[{"keyid":"a","sig":1}],"signed":{}}`:    "signatures[0]: expected two strings",
		`{"signatures":[{"keyid":"a","sig":"AB"}],"signed":{}}`: "signatures[0].sig: expected lower-case hex",
		`{"signatures":[{"keyid":"a","sig":"ab"},{"keyid":"a","sig":"cd"}],"signed":{}}`: "signatures[1]: a second signature",
		`{"signatures":[null],"signed":{}}`:                                              "signatures[0]: expected two strings",
		`{"signatures":[{"keyid":"a","sig":"ab","why":"x"}],"signed":{}}`:                "signatures[0]: expected two strings",
	} {
		_, err := sign.Parse([]byte(text))
		require.ErrorContains(t, err, want, text)
	}
}

// FuzzParse: what is taken and written again is taken again, as the same.
func FuzzParse(f *testing.F) {
	f.Add([]byte(`{"signatures":[{"keyid":"b","sig":"ab"},{"keyid":"a","sig":""}],"signed":{"a":[1]}}`))
	f.Fuzz(func(t *testing.T, data []byte) {
		d, err := sign.Parse(data)
		if err != nil {
			return
		}
		require.Len(t, d.Bytes(), len(data))
		again, err := sign.Parse(d.Bytes())
		require.NoError(t, err)
		require.Equal(t, d.Bytes(), again.Bytes())
		require.Equal(t, d.Signed(), again.Signed())
	})
}
