package seal_test

import (
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"flag"
	"math/rand/v2"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"filippo.io/age"
	"github.com/stretchr/testify/require"

	"roadseal/crypto/envelope"
	"roadseal/crypto/internal/bech32"
	"roadseal/crypto/recipient"
	"roadseal/crypto/record"
	"roadseal/crypto/seal"
	"roadseal/hal/red"
)

var update = flag.Bool("update", false, "write testdata/vectors/sealed-v1 anew: only for a new format version")

const vectorDir = "../../testdata/vectors/sealed-v1"

// vector is a line of manifest.json.
type vector struct {
	File    string   `json:"file"`
	Slots   int      `json:"slots"`
	Readers []string `json:"readers"` // key files
	Name    string   `json:"name"`
	Size    int64    `json:"size"`
	Length  int64    `json:"length"`
	Content string   `json:"content_sha256"`
	Record  string   `json:"record"` // file with the 1,024 bytes

	rec     record.Record
	content []byte
}

func vectorList() []vector {
	at := time.Date(2026, 1, 31, 23, 59, 0, 0, time.UTC)
	var csv strings.Builder
	csv.WriteString("# roadseal test vector: made-up positions in the open sea\nutc,lat,lon\n")
	for i := range 40 {
		csv.WriteString(at.Add(time.Duration(i)*time.Second).Format("2006-01-02T15:04:05Z") + ",-48.8767,-123.39" + string(rune('0'+i%10)) + "\n")
	}
	return []vector{
		{File: "track.age", Slots: 4, Readers: []string{"a.key", "b.key"}, content: []byte(csv.String()), rec: record.Record{
			MediaType: "text/csv", Stream: "track", Source: "gnss", Vehicle: "test vehicle 1", Start: at, End: at.Add(39 * time.Second), Clock: "gnss", Boot: 7, Sequence: 1,
		}},
		{File: "event.age", Slots: 4, Readers: []string{"a.key"}, content: content(70_000), rec: record.Record{
			MediaType: "video/mp4", Stream: "event", Kind: "event", Source: "camera front", Channel: "F",
			Start: at, End: at.Add(time.Minute), Clock: "name", Boot: 7, Sequence: 2, File: "Record/20260131_235900_EF.mp4",
		}},
		{File: "full-chunk.age", Slots: 2, Readers: []string{"b.key"}, content: content(envelope.ChunkSize - envelope.RecordSize), rec: record.Record{
			MediaType: "video/mp4", Stream: "video", Kind: "normal", Source: "camera rear", Channel: "R",
			Start: at, Clock: "name", Boot: 7, Sequence: 3, File: "Record/20260131_235900_NR.mp4",
		}},
		{File: "empty.age", Slots: 1, Readers: []string{"a.key"}, rec: record.Record{
			MediaType: "application/octet-stream", Stream: "health", Source: "agent", Clock: "none",
		}},
		{File: "odd-name.age", Slots: 4, Readers: []string{"a.key", "b.key"}, content: []byte("named oddly\n"), rec: record.Record{
			MediaType: "text/plain; charset=utf-8", Stream: "event", Source: "camera \xff%\n\u202e", Clock: "name", Boot: 1<<32 - 1, Sequence: 1<<32 - 1, Flags: []string{"first", "second"},
			Channel: strings.Repeat("é", 40), File: red.Text("\x00/%/\xe4/" + strings.Repeat("0123456789", 70) + "/20260131_235900_PF.mp4"),
		}},
	}
}

// vectorKey is the secret key of a key file: the seed is its name, repeated.
func vectorKey(t *testing.T, file string) *age.HybridIdentity {
	t.Helper()
	seed := bytes.Repeat([]byte(file[:1]), 32)
	id, err := age.ParseHybridIdentity(strings.ToUpper(bech32.Encode("age-secret-key-pq-", seed)))
	require.NoError(t, err)
	return id
}

// TestVectors seals the frozen objects again: with the same randomness the
// same bytes come out. A difference means another format, or other draws from
// the random source; only the first needs new vectors, in a folder of their own.
func TestVectors(t *testing.T) {
	var list []vector
	for i, v := range vectorList() {
		var to []recipient.Key
		for _, file := range v.Readers {
			id := vectorKey(t, file)
			k, err := recipient.Parse(id.Recipient().String())
			require.NoError(t, err)
			to = append(to, k)
			frozen(t, file, []byte("# public key: "+k.String()+"\n"+id.String()+"\n"))
		}
		var out bytes.Buffer
		s, err := seal.ObjectWith(rand.NewChaCha8([32]byte{31: byte(i)}), &out, bytes.NewReader(v.content), v.rec, to, v.Slots)
		require.NoError(t, err)
		sum := sha256.Sum256(v.content)
		v.Name, v.Size, v.Length, v.Content = s.Name.String(), s.Size, s.Length, hex.EncodeToString(sum[:])
		v.Record = strings.TrimSuffix(v.File, ".age") + ".record"
		plain := decrypt(t, out.Bytes(), vectorKey(t, v.Readers[0]))
		frozen(t, v.File, out.Bytes())
		frozen(t, v.Record, plain[len(plain)-envelope.RecordSize:])
		list = append(list, v)
	}
	manifest, err := json.MarshalIndent(list, "", "\t")
	require.NoError(t, err)
	frozen(t, "manifest.json", append(manifest, '\n'))
}

// frozen compares a file with what it should be, or with -update writes it.
func frozen(t *testing.T, file string, want []byte) {
	t.Helper()
	path := filepath.Join(vectorDir, file)
	if *update {
		require.NoError(t, os.WriteFile(path, want, 0o644))
	}
	got, err := os.ReadFile(path)
	require.NoError(t, err)
	require.True(t, bytes.Equal(want, got), "%s differs", file)
}
