package release_test

import (
	"testing"

	"github.com/stretchr/testify/require"

	"roadseal/cmd/internal/release"
	"roadseal/crypto/signed/sign"
)

// FuzzParsePerson: a public file that is taken is written again to the same bytes.
func FuzzParsePerson(f *testing.F) {
	signer, err := sign.FromSeed("ed25519", make([]byte, sign.SeedSize))
	require.NoError(f, err)
	public, err := release.Person{Name: "anna", Keys: []sign.Key{signer.Key()}}.Public()
	require.NoError(f, err)
	f.Add(public)
	f.Add([]byte(`{"keys":{},"name":"anna"}`))
	f.Fuzz(func(t *testing.T, data []byte) {
		p, err := release.ParsePerson(data)
		if err != nil {
			return
		}
		again, err := p.Public()
		require.NoError(t, err)
		require.Equal(t, string(data), string(again))
	})
}

// FuzzReadDoc: whatever a document says can be shown, and is the same as itself.
func FuzzReadDoc(f *testing.F) {
	f.Add([]byte(`{"signatures":[{"keyid":"a","sig":"ab"}],"signed":{"_type":"targets","delegations":{"keys":{},"roles":[{"keyids":["a"],"name":"b","paths":["c"]}]},"targets":{"x":{"custom":{"ecuIdentifiers":{"e":{}}},"hashes":{"sha256":"00"},"length":1}},"version":1}}`))
	f.Add([]byte(`{"signatures":[],"signed":{"_type":"root","keys":{},"roles":{"root":{"keyids":[],"threshold":0}},"version":1}}`))
	f.Fuzz(func(t *testing.T, data []byte) {
		d, err := release.ReadDoc("image/1.targets.json", data)
		if err != nil {
			return
		}
		var nobody *release.Plan
		require.NotEmpty(t, release.Facts(d, nobody.Who))
		require.Empty(t, release.Diff(d, d, nobody.Who))
	})
}

// A private file opens with its passphrase, and not if a byte of it is another.
func TestPrivateFile(t *testing.T) {
	private, err := release.NewPrivate("anna", release.Kinds)
	require.NoError(t, err)
	sealed, err := private.Seal("correct horse battery staple", 2)
	require.NoError(t, err)
	opened, err := release.OpenPrivate(sealed, "correct horse battery staple")
	require.NoError(t, err)
	require.Equal(t, private, opened)
	_, err = release.OpenPrivate(sealed, "correct horse battery stable")
	require.ErrorIs(t, err, release.ErrPassphrase)
	for i := range sealed {
		if sealed[i] == '\n' {
			continue
		}
		sealed[i] ^= 1
		_, err := release.OpenPrivate(sealed, "correct horse battery staple")
		require.Error(t, err, i)
		sealed[i] ^= 1
	}
}
