package recipient_test

import (
	"math/rand/v2"
	"strings"
	"testing"

	"filippo.io/age"
	"github.com/stretchr/testify/require"

	"roadseal/crypto/internal/bech32"
	"roadseal/crypto/recipient"
)

func newKey(t testing.TB) (text, secret string) {
	t.Helper()
	id, err := age.GenerateHybridIdentity()
	require.NoError(t, err)
	return id.Recipient().String(), id.String()
}

func TestAgainstAge(t *testing.T) {
	text, _ := newKey(t)
	k, err := recipient.Parse(text)
	require.NoError(t, err)
	require.Equal(t, text, k.String())
	require.Len(t, k.Bytes(), 1216)
	again, err := recipient.New(k.Bytes())
	require.NoError(t, err)
	require.True(t, k.Equal(again))
	require.Equal(t, map[recipient.Key]bool{k: true}, map[recipient.Key]bool{again: true})

	other, _ := newKey(t)
	k2, err := recipient.Parse(other)
	require.NoError(t, err)
	require.False(t, k.Equal(k2))
	_, err = age.ParseHybridRecipient(k2.String())
	require.NoError(t, err)
}

func TestBytesAreACopy(t *testing.T) {
	text, _ := newKey(t)
	k, err := recipient.Parse(text)
	require.NoError(t, err)
	clear(k.Bytes())
	require.Equal(t, text, k.String())
}

func TestText(t *testing.T) {
	text, _ := newKey(t)
	var k recipient.Key
	require.True(t, k.IsZero())
	require.Empty(t, k.String())
	_, err := k.MarshalText()
	require.ErrorContains(t, err, "missing")
	require.NoError(t, k.UnmarshalText([]byte(text)))
	require.False(t, k.IsZero())
	b, err := k.MarshalText()
	require.NoError(t, err)
	require.Equal(t, text, string(b))
	require.Error(t, k.UnmarshalText(nil))
	require.True(t, k.IsZero())
}

// TestErrors pastes into a configuration what people paste there. Each has its
// own message, and none shows any of what may be a secret.
func TestErrors(t *testing.T) {
	text, secret := newKey(t)
	classic, err := age.GenerateX25519Identity()
	require.NoError(t, err)
	k, err := recipient.Parse(text)
	require.NoError(t, err)
	lowOrder, unreduced := k.Bytes(), k.Bytes()
	clear(lowOrder[1184:])
	copy(unreduced, []byte{0xff, 0xff, 0xff})
	encode := func(b []byte) string { return bech32.Encode("age1pq", b) }

	for name, c := range map[string]struct{ in, want string }{
		"identity":          {secret, "secret key"},
		"identity, lower":   {strings.ToLower(secret), "secret key"},
		"identity, spaces":  {"  " + secret + "\n", "secret key"},
		"classic identity":  {classic.String(), "secret key"},
		"plugin identity":   {"AGE-PLUGIN-YUBIKEY-1QQQQ", "secret key"},
		"SSH private key":   {"-----BEGIN OPENSSH PRIVATE KEY-----", "secret key"},
		"classic recipient": {classic.Recipient().String(), "age-keygen -pq"},
		"plugin recipient":  {"age1yubikey1qwt50d05nh5vutpdzmlg5wn80xq5negm4uj9ghv0snvdd3yysf5yw3rhl3t", "post-quantum"},
		"SSH public key":    {"ssh-ed25519 AAAAC3Nz", "SSH key"},
		"empty":             {"", "missing"},
		"spaces only":       {" \t", "missing"},
		"spaces":            {text + " ", "spaces or line breaks"},
		"line break inside": {text[:100] + "\n" + text[100:], "character 101"},
		"upper case":        {strings.ToUpper(text), "lower case"},
		"mixed case":        {text[:100] + strings.ToUpper(text[100:]), "mixed"},
		"something else":    {"me@example.org", "does not begin with age1pq1"},
		"abbreviated":       {text[:16] + "…", "only the beginning"},
		"with three dots":   {text[:16] + "...", "only the beginning"},
		"cut":               {text[:len(text)-1], "checksum"},
		"mistyped":          {text[:500] + swap(text[500]) + text[501:], "checksum"},
		"too short":         {encode(k.Bytes()[:1215]), "1215 bytes long, expected 1216"},
		"too long":          {encode(append(k.Bytes(), 0)), "1217 bytes long, expected 1216"},
		"nothing in it":     {encode(nil), "0 bytes long, expected 1216"},
		"low order":         {encode(lowOrder), "low order"},
		"not reduced":       {encode(unreduced), "not reduced"},
		"other prefix":      {bech32.Encode("age1pqx", k.Bytes()), "post-quantum"},
	} {
		t.Run(name, func(t *testing.T) {
			got, err := recipient.Parse(c.in)
			require.ErrorContains(t, err, c.want)
			require.True(t, got.IsZero())
			for i := 0; i+12 <= len(c.in); i++ {
				require.NotContains(t, strings.ToUpper(err.Error()), strings.ToUpper(c.in[i:i+12]))
			}
		})
	}
}

func swap(c byte) string {
	if c == 'q' {
		return "p"
	}
	return "q"
}

func FuzzParse(f *testing.F) {
	text, secret := newKey(f)
	f.Add(text)
	f.Add(secret)
	f.Add("age1pq1")
	f.Fuzz(func(t *testing.T, s string) {
		k, err := recipient.Parse(s)
		if err == nil && k.String() != s {
			t.Fatalf("%q reads and writes as %q", s, k)
		}
	})
}

// TestAgreesWithAge changes a key at random: both take it or both refuse it.
func TestAgreesWithAge(t *testing.T) {
	text, _ := newKey(t)
	k, err := recipient.Parse(text)
	require.NoError(t, err)
	random := rand.New(rand.NewPCG(1, 2))
	taken := 0
	for range 400 {
		b := k.Bytes()
		b[random.IntN(len(b))] ^= byte(1 << random.IntN(8))
		_, err := recipient.New(b)
		_, ageErr := age.ParseHybridRecipient(bech32.Encode("age1pq", b))
		require.Equal(t, ageErr == nil, err == nil, "age: %v, here: %v", ageErr, err)
		if err == nil {
			taken++
		}
	}
	require.Greater(t, taken, 100)
	require.Less(t, taken, 399)
}
