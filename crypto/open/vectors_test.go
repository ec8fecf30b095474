package open_test

import (
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"io"
	"os"
	"path/filepath"
	"testing"

	"filippo.io/age"
	"github.com/stretchr/testify/require"

	"roadseal/crypto/envelope"
	"roadseal/crypto/open"
	"roadseal/crypto/record"
)

const vectorDir = "../../testdata/vectors/sealed-v1"

func read(t *testing.T, file string) []byte {
	t.Helper()
	b, err := os.ReadFile(filepath.Join(vectorDir, file))
	require.NoError(t, err)
	return b
}

// TestFrozenVectors opens what the first version sealed. It must pass for as
// long as there is a roadseal.
func TestFrozenVectors(t *testing.T) {
	var list []struct {
		File, Name, Record string
		Slots              int
		Readers            []string
		Size, Length       int64
		Content            string `json:"content_sha256"`
	}
	require.NoError(t, json.Unmarshal(read(t, "manifest.json"), &list))
	require.Len(t, list, 5)
	for _, v := range list {
		file := read(t, v.File)
		require.EqualValues(t, v.Size, len(file))
		require.Equal(t, v.Name, hexSum(file))
		require.NoError(t, envelope.Check(bytes.NewReader(file), v.Size, v.Slots))
		want, err := record.Parse(read(t, v.Record))
		require.NoError(t, err)
		for _, key := range []string{"a.key", "b.key"} {
			ids, err := open.ParseIdentities(bytes.NewReader(read(t, key)))
			require.NoError(t, err)
			got, rec, err := opened(file, ids...)
			theirs, ageErr := byStockAge(t, file, read(t, key))
			if key != v.Readers[0] && key != v.Readers[len(v.Readers)-1] {
				require.ErrorIs(t, err, open.ErrNotRecipient, v.File)
				require.Error(t, ageErr, v.File)
				continue
			}
			require.NoError(t, err, v.File)
			require.Equal(t, want, rec)
			require.Equal(t, v.Length, rec.Length)
			require.Equal(t, v.Content, hexSum(got))
			require.NoError(t, ageErr, v.File)
			require.Equal(t, v.Content, hexSum(theirs[:v.Length]))
			require.Equal(t, read(t, v.Record), theirs[len(theirs)-envelope.RecordSize:])
		}
	}
}

func byStockAge(t *testing.T, file, keyFile []byte) ([]byte, error) {
	t.Helper()
	ids, err := age.ParseIdentities(bytes.NewReader(keyFile))
	require.NoError(t, err)
	r, err := age.Decrypt(bytes.NewReader(file), ids...)
	if err != nil {
		return nil, err
	}
	return io.ReadAll(r)
}

func hexSum(b []byte) string {
	sum := sha256.Sum256(b)
	return hex.EncodeToString(sum[:])
}
