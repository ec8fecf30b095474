package open_test

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"strings"
	"testing"
	"testing/iotest"

	"filippo.io/age"
	"github.com/stretchr/testify/require"

	"roadseal/crypto/open"
	"roadseal/hal/red"
)

func TestIdentitiesAgainstAge(t *testing.T) {
	ours, err := open.Generate()
	require.NoError(t, err)
	theirs, err := age.ParseHybridIdentity(ours.Secret())
	require.NoError(t, err)
	require.Equal(t, theirs.Recipient().String(), ours.Recipient().String())

	theirs, err = age.GenerateHybridIdentity()
	require.NoError(t, err)
	ids, err := open.ParseIdentities(strings.NewReader(theirs.String()))
	require.NoError(t, err)
	require.Len(t, ids, 1)
	require.Equal(t, theirs.String(), ids[0].Secret())
	require.Equal(t, theirs.Recipient().String(), ids[0].Recipient().String())
}

func TestKeyFile(t *testing.T) {
	a, b := newIdentity(t), newIdentity(t)
	for _, file := range []string{
		"# created: 2026-01-31T23:59:59Z\n# public key: " + a.Recipient().String() + "\n" + a.Secret() + "\n\n# old\n" + b.Secret(),
		"\r\n#\r\n" + a.Secret() + "\r\n" + b.Secret() + "\r\n",
	} {
		ids, err := open.ParseIdentities(iotest.OneByteReader(strings.NewReader(file)))
		require.NoError(t, err)
		require.Len(t, ids, 2)
		require.Equal(t, []string{a.Secret(), b.Secret()}, []string{ids[0].Secret(), ids[1].Secret()})

		theirs, err := age.ParseIdentities(strings.NewReader(file))
		require.NoError(t, err, "age reads it too")
		require.Len(t, theirs, 2)
	}
}

func TestKeyFileErrors(t *testing.T) {
	good := newIdentity(t)
	secret := good.Secret()
	classic, err := age.GenerateX25519Identity()
	require.NoError(t, err)
	other := byte('Q')
	if secret[30] == other {
		other = 'P'
	}
	for name, c := range map[string]struct{ file, want string }{
		"empty":            {"", "no secret key in it"},
		"comments only":    {"# public key: age1pq1\n\n", "no secret key in it"},
		"recipient":        {good.Recipient().String(), "line 1: this is a public key"},
		"classic":          {secret + "\n" + classic.String(), "line 2: this age key is not a post-quantum one"},
		"classic public":   {classic.Recipient().String(), "line 1: this is a public key"},
		"plugin":           {"AGE-PLUGIN-YUBIKEY-1QQQQ", "line 1: this age key is not a post-quantum one"},
		"SSH":              {"-----BEGIN OPENSSH PRIVATE KEY-----\n", "line 1: this is not an age key"},
		"SSH public":       {"ssh-ed25519 AAAA", "line 1: this is not an age key"},
		"encrypted":        {"age-encryption.org/v1\n-> scrypt x 18\n", "line 1: the key file is itself encrypted"},
		"encrypted, armor": {"-----BEGIN AGE ENCRYPTED FILE-----\n", "line 1: the key file is itself encrypted"},
		"lower case":       {"# mine\n" + strings.ToLower(secret), "line 2: a secret key is written in upper case"},
		"mixed case":       {secret[:30] + strings.ToLower(secret[30:]), "line 1: not a secret key: upper and lower"},
		"spaces":           {"  " + secret, "line 1: there are spaces"},
		"two on a line":    {secret + " " + secret, "line 1: not a secret key: character 78"},
		"mistyped":         {secret[:30] + string(other) + secret[31:], "line 1: not a secret key: wrong checksum"},
		"cut":              {secret[:70], "line 1: not a secret key: wrong checksum"},
		"other text":       {"hello\n", "line 1: not a secret key: it does not begin with"},
		"NULs":             {"\x00\x00", "line 1: not a secret key: it does not begin with"},
		"too long a line":  {strings.Repeat("A", 100_000), "too long"},
		"too long a file":  {strings.Repeat("#\n", 1<<20), "too long"},
	} {
		t.Run(name, func(t *testing.T) {
			ids, err := open.ParseIdentities(strings.NewReader(c.file))
			require.ErrorContains(t, err, c.want)
			require.Nil(t, ids)
			for _, key := range []string{secret, classic.String()} {
				for i := 19; i+8 <= len(key); i++ {
					require.NotContains(t, strings.ToUpper(err.Error()), key[i:i+8])
				}
			}
		})
	}
	broken := errors.New("input/output error")
	_, err = open.ParseIdentities(io.MultiReader(strings.NewReader(secret+"\n"), iotest.ErrReader(broken)))
	require.ErrorIs(t, err, broken)
}

// TestSecretDoesNotShow prints an identity in every way a careless line could,
// also from inside other values, where fmt does not ask its methods.
func TestSecretDoesNotShow(t *testing.T) {
	id := newIdentity(t)
	inside := struct {
		Public open.Identity
		hidden open.Identity
		list   []open.Identity
		ptr    *open.Identity
	}{id, id, []open.Identity{id}, &id}
	var out strings.Builder
	for _, verb := range []string{"%v", "%+v", "%#v", "%s", "%q", "%x", "%X", "%d"} {
		fmt.Fprintf(&out, verb+"\n", id)
		fmt.Fprintf(&out, verb+"\n", inside)
		fmt.Fprintf(&out, verb+"\n", &inside)
	}
	for _, h := range []slog.Handler{slog.NewTextHandler(&out, nil), slog.NewJSONHandler(&out, nil)} {
		slog.New(h).Info("careless", "id", id, "inside", inside)
	}
	js, err := json.Marshal(inside)
	require.NoError(t, err)
	out.Write(js)
	require.Contains(t, out.String(), red.Mark)

	var zero open.Identity
	require.Empty(t, zero.Secret())
	require.True(t, zero.Recipient().IsZero())
	seed := id.Seed()
	for _, form := range []string{id.Secret(), fmt.Sprintf("%x", seed[:4]), fmt.Sprintf("%X", seed[:4]), fmt.Sprintf("%d, %d, %d", seed[0], seed[1], seed[2]), fmt.Sprintf("%d %d %d", seed[0], seed[1], seed[2]), fmt.Sprintf("%#x, %#x", seed[0], seed[1])} {
		require.NotContains(t, out.String(), form)
	}
}

func newIdentity(t testing.TB) open.Identity {
	t.Helper()
	id, err := open.Generate()
	require.NoError(t, err)
	return id
}

func FuzzParseIdentities(f *testing.F) {
	id := newIdentity(f)
	f.Add("# comment\n" + id.Secret() + "\n")
	f.Add("AGE-SECRET-KEY-PQ-1")
	f.Fuzz(func(t *testing.T, file string) {
		ids, err := open.ParseIdentities(strings.NewReader(file))
		if err != nil {
			return
		}
		theirs, err := age.ParseIdentities(strings.NewReader(file))
		if err != nil || len(theirs) != len(ids) {
			t.Fatalf("age reads it differently: %v, %d and %d keys", err, len(theirs), len(ids))
		}
		for i := range ids {
			if ids[i].Secret() != theirs[i].(*age.HybridIdentity).String() {
				t.Fatal("another key")
			}
		}
	})
}
