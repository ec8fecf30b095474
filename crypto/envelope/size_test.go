package envelope_test

import (
	"bytes"
	"io"
	"math"
	"math/rand/v2"
	"strings"
	"testing"

	"filippo.io/age"
	"github.com/stretchr/testify/require"

	"roadseal/crypto/envelope"
)

func TestName(t *testing.T) {
	text := strings.Repeat("0123456789abcdef", 4)
	n, err := envelope.ParseName(text)
	require.NoError(t, err)
	require.Equal(t, text, n.String())
	b, err := n.MarshalText()
	require.NoError(t, err)
	var again envelope.Name
	require.NoError(t, again.UnmarshalText(b))
	require.Equal(t, n, again)
	for _, bad := range []string{"", text[1:], text + "0", strings.ToUpper(text), text[1:] + "g", " " + text[1:], text[1:] + "\n"} {
		_, err := envelope.ParseName(bad)
		require.ErrorContains(t, err, "64 lower-case", "%q", bad)
		require.Error(t, again.UnmarshalText([]byte(bad)))
	}
}

// ageFile is what filippo.io/age makes of zeros, for readers.
func ageFile(t testing.TB, readers int, plain int) []byte {
	t.Helper()
	var to []age.Recipient
	for range readers {
		id, err := age.GenerateHybridIdentity()
		require.NoError(t, err)
		to = append(to, id.Recipient())
	}
	var out bytes.Buffer
	w, err := age.Encrypt(&out, to...)
	require.NoError(t, err)
	_, err = io.CopyN(w, zeros{}, int64(plain))
	require.NoError(t, err)
	require.NoError(t, w.Close())
	return out.Bytes()
}

type zeros struct{}

func (zeros) Read(p []byte) (int, error) { clear(p); return len(p), nil }

func TestSizesAgainstAge(t *testing.T) {
	for _, readers := range []int{1, 2, 4} {
		for _, n := range []int{0, 1, 65535, 65536, 65537, 131072, 131073, 200000} {
			size := int64(len(ageFile(t, readers, n)))
			require.Equal(t, size, envelope.SealedSize(readers, int64(n)))
			plain, ok := envelope.PlainSize(readers, size)
			require.True(t, ok)
			require.Equal(t, int64(n), plain)
		}
	}
	require.EqualValues(t, 10426, envelope.SealedSize(4, 4096), "a batch of fixes")
}

// PlainSize finds every size that SealedSize gives, and no other.
func TestPlainSizeIsTheInverse(t *testing.T) {
	made := map[int64]int64{}
	for plain := range int64(3*envelope.ChunkSize + 100) {
		made[envelope.SealedSize(1, plain)] = plain
	}
	for size := range envelope.SealedSize(1, 3*envelope.ChunkSize+99) + 1 {
		want, is := made[size]
		got, ok := envelope.PlainSize(1, size)
		if is != ok || ok && got != want {
			t.Fatalf("size %d: %d %v, want %d %v", size, got, ok, want, is)
		}
	}
}

func TestExtremeSizes(t *testing.T) {
	for _, size := range []int64{math.MinInt64, -1, 0, 1, envelope.HeaderSize(4), envelope.HeaderSize(4) + 15} {
		_, ok := envelope.PlainSize(4, size)
		require.False(t, ok, size)
	}
	for d := range int64(200000) {
		size := math.MaxInt64 - d
		if plain, ok := envelope.PlainSize(4, size); ok && envelope.SealedSize(4, plain) != size {
			t.Fatal(size, plain)
		}
	}
	for _, n := range []int64{math.MinInt64, -1, 0, 1023, math.MaxInt64} {
		require.False(t, envelope.OnGrid(n), n)
	}
}

func TestPadme(t *testing.T) {
	for n, want := range map[int64]int64{0: 0, 1: 1, 9: 10, 1024: 1024, 1025: 1088, 10_000_001: 10_223_616, 50_000_001: 50_331_648} {
		require.Equal(t, want, envelope.Padme(n), n)
	}
	random := rand.New(rand.NewPCG(1, 2))
	for range 100_000 {
		n := random.Int64N(1 << (8 + random.IntN(40)))
		p := envelope.Padme(n)
		if p < n || float64(p) > 1.12*float64(n) || envelope.Padme(p) != p {
			t.Fatal(n, p)
		}
	}
}

func TestGrids(t *testing.T) {
	const kib = 1 << 10
	for _, c := range []struct{ content, text, binary int64 }{
		{0, 4 * kib, 1 * kib},
		{1, 4 * kib, 1088},
		{3 * kib, 4 * kib, 4 * kib},
		{3*kib + 1, 16 * kib, 4*kib + 256},
		{15 * kib, 16 * kib, 16 * kib},
		{15*kib + 1, 64 * kib, 17 * kib},
		{63 * kib, 64 * kib, 64 * kib},
		{63*kib + 1, 66 * kib, 66 * kib},
		{1 << 30, 1056 << 20, 1056 << 20},
	} {
		require.Equal(t, c.text, envelope.GridText(c.content), c.content)
		require.Equal(t, c.binary, envelope.GridBinary(c.content), c.content)
	}
	for n := int64(0); n < 1<<42; n += n/1000 + 1 {
		for _, g := range []int64{envelope.GridText(n), envelope.GridBinary(n)} {
			if g < n+envelope.RecordSize || !envelope.OnGrid(g) {
				t.Fatal(n, g)
			}
			// FORMAT.md promises that the record is in the last chunk.
			if rest := g % envelope.ChunkSize; rest != 0 && rest < envelope.RecordSize {
				t.Fatalf("a record for %d bytes reaches over a border: %d", n, g)
			}
		}
	}
}
