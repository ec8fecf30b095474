package open

import (
	"bufio"
	"bytes"
	"compress/zlib"
	"crypto/hpke"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"io"
	"io/fs"
	"strings"
	"testing"

	agetest "c2sp.org/CCTV/age"
	"github.com/stretchr/testify/require"

	"roadseal/crypto/envelope"
	"roadseal/crypto/internal/filekey"
	"roadseal/crypto/internal/xwing"
)

// A vector of C2SP CCTV: what age must make of a file.
type vector struct {
	name       string
	expect     string
	payload    string // SHA-256 of the plaintext
	fileKey    []byte
	identities []Identity // the post-quantum ones
	armored    bool
	file       []byte
}

func vectors(t *testing.T) (all []vector) {
	t.Helper()
	names, err := fs.Glob(agetest.Vectors, "*")
	require.NoError(t, err)
	for _, name := range names {
		f, err := agetest.Vectors.Open(name)
		require.NoError(t, err)
		v := vector{name: name}
		r := bufio.NewReader(f)
		compressed := false
		for {
			line, err := r.ReadString('\n')
			require.NoError(t, err)
			if line == "\n" {
				break
			}
			key, value, _ := strings.Cut(strings.TrimSuffix(line, "\n"), ": ")
			switch key {
			case "expect":
				v.expect = value
			case "payload":
				v.payload = value
			case "armored":
				v.armored = value == "yes"
			case "file key":
				v.fileKey, err = hex.DecodeString(value)
			case "identity":
				if strings.HasPrefix(value, prefix) {
					var ids []Identity
					ids, err = ParseIdentities(strings.NewReader(value))
					v.identities = append(v.identities, ids...)
				}
			case "compressed":
				compressed = value == "zlib"
			}
			require.NoError(t, err, name)
		}
		var body io.Reader = r
		if compressed {
			body, err = zlib.NewReader(r)
			require.NoError(t, err, name)
		}
		v.file, err = io.ReadAll(body)
		require.NoError(t, err, name)
		require.NoError(t, f.Close())
		all = append(all, v)
	}
	return all
}

// plaintext opens a file as age does: to its end, record or none.
func plaintext(file []byte, ids ...Identity) ([]byte, error) {
	h, err := envelope.ReadHeader(bytes.NewReader(file))
	if err != nil {
		return nil, err
	}
	p, err := openPayload(bytes.NewReader(file), int64(len(file)), h, ids)
	if err != nil {
		return nil, err
	}
	var out []byte
	buf := make([]byte, envelope.ChunkSize+envelope.ChunkTag)
	for i := range p.chunks() {
		plain, err := p.open(buf, i)
		if err != nil {
			return nil, err
		}
		out = append(out, plain...)
	}
	return out, nil
}

func hexSum(b []byte) string {
	sum := sha256.Sum256(b)
	return hex.EncodeToString(sum[:])
}

// policy says which rule of FORMAT.md, stricter than age's, refuses a file before
// anything else can: objects are not armored, for they are made and read by
// programs; and all their stanzas are post-quantum ones of one type, for a classic
// one beside them would undo the seal, and an odd one would tell objects apart.
func policy(v vector, err error) string {
	switch {
	case v.armored:
		return "armored"
	case strings.Contains(err.Error(), "only mlkem768x25519 is allowed"):
		return "stanza of another type"
	}
	return ""
}

// TestCCTV runs all vectors. Each is opened and gives its payload, is refused as
// it says, or falls under a policy.
func TestCCTV(t *testing.T) {
	count := map[string]int{}
	for _, v := range vectors(t) {
		got, err := plaintext(v.file, v.identities...)
		if err == nil {
			require.Equal(t, "success", v.expect, v.name)
			require.Equal(t, v.payload, hexSum(got), v.name)
			count["opened"]++
			continue
		}
		isHeader := errors.Is(err, envelope.ErrHeader) || errors.Is(err, errShare)
		if p := policy(v, err); p != "" {
			require.True(t, isHeader, "%s: %v", v.name, err)
			if p != "armored" && v.identities != nil && v.expect != "header failure" {
				require.Contains(t, []string{"hybrid_and_x25519", "hybrid_grease", "hybrid_uppercase"}, v.name)
			}
			count[p]++
			continue
		}
		switch v.expect {
		case "no match":
			require.ErrorIs(t, err, ErrNotRecipient, v.name)
		case "header failure":
			require.True(t, isHeader, "%s: %v", v.name, err)
		default:
			t.Errorf("%s expects %s: %v", v.name, v.expect, err)
		}
		count[v.expect]++
	}
	require.Equal(t, map[string]int{"opened": 2, "no match": 4, "header failure": 11, "armored": 37, "stanza of another type": 93}, count)
}

// TestCCTVPayloads puts the payload of each vector behind a header of ours for
// the same file key: chunk rules and header MACs are checked by all vectors
// that come that far, whatever their stanzas were.
func TestCCTVPayloads(t *testing.T) {
	id, err := Generate()
	require.NoError(t, err)
	count := map[string]int{}
	for _, v := range vectors(t) {
		if v.armored || len(v.fileKey) != 16 || v.expect != "success" && v.expect != "payload failure" {
			continue
		}
		_, rest, ok := bytes.Cut(v.file, []byte("\n--- "))
		require.True(t, ok)
		_, payload, ok := bytes.Cut(rest, []byte("\n"))
		require.True(t, ok)
		got, err := plaintext(append(ownHeader(t, id, filekey.Key(v.fileKey)), payload...), id)
		count[v.expect]++
		if v.expect == "success" {
			require.NoError(t, err, v.name)
			require.Equal(t, v.payload, hexSum(got), v.name)
		} else {
			require.Error(t, err, v.name)
		}
	}
	require.Equal(t, map[string]int{"success": 19, "payload failure": 18}, count)
}

// ownHeader wraps a file key with crypto/hpke of the standard library; the
// payload nonce is left off.
func ownHeader(t *testing.T, id Identity, key filekey.Key) []byte {
	t.Helper()
	pk, err := hpke.MLKEM768X25519().NewPublicKey(id.Recipient().Bytes())
	require.NoError(t, err)
	enc, sender, err := hpke.NewSender(pk, hpke.HKDFSHA256(), hpke.ChaCha20Poly1305(), []byte(xwing.Info))
	require.NoError(t, err)
	body, err := sender.Seal(nil, key[:])
	require.NoError(t, err)
	h := &envelope.Header{Stanzas: make([]envelope.Stanza, 1)}
	copy(h.Stanzas[0].Enc[:], enc)
	copy(h.Stanzas[0].Body[:], body)
	h.MAC, err = key.MAC(h.Signed())
	require.NoError(t, err)
	return bytes.TrimSuffix(h.Marshal(), h.Nonce[:])
}
