package seal_test

import (
	"bytes"
	"crypto/sha256"
	"errors"
	"io"
	"math/rand/v2"
	"runtime"
	"testing"
	"testing/iotest"

	"filippo.io/age"
	"github.com/stretchr/testify/require"

	"roadseal/crypto/envelope"
	"roadseal/crypto/internal/xwing"
	"roadseal/crypto/recipient"
	"roadseal/crypto/record"
	"roadseal/crypto/seal"
)

type reader struct {
	id  *age.HybridIdentity
	key recipient.Key
}

func newReader(t testing.TB) reader {
	t.Helper()
	id, err := age.GenerateHybridIdentity()
	require.NoError(t, err)
	k, err := recipient.Parse(id.Recipient().String())
	require.NoError(t, err)
	return reader{id, k}
}

func keys(readers ...reader) (to []recipient.Key) {
	for _, r := range readers {
		to = append(to, r.key)
	}
	return to
}

func video() record.Record {
	return record.Record{MediaType: "video/mp4", Stream: "video", Source: "camera front", Channel: "F", Clock: "name", Boot: 1, Sequence: 2, File: "Record/x.mp4"}
}

func track() record.Record {
	return record.Record{MediaType: "text/csv", Stream: "track", Source: "gnss", Clock: "gnss", Boot: 1, Sequence: 2}
}

// content is random, and the same for the same length.
func content(n int) []byte {
	b := make([]byte, n)
	rand.NewChaCha8([32]byte{1}).Read(b)
	return b
}

func object(t testing.TB, body []byte, rec record.Record, to []recipient.Key, slots int) ([]byte, seal.Sealed) {
	t.Helper()
	var out bytes.Buffer
	s, err := seal.Object(&out, bytes.NewReader(body), rec, to, slots)
	require.NoError(t, err)
	return out.Bytes(), s
}

func decrypt(t testing.TB, object []byte, id *age.HybridIdentity) []byte {
	t.Helper()
	r, err := age.Decrypt(bytes.NewReader(object), id)
	require.NoError(t, err)
	plain, err := io.ReadAll(r)
	require.NoError(t, err)
	return plain
}

// TestAgeOpens seals contents whose plaintexts end around the borders of
// chunks and steps of the grid, and takes them apart with filippo.io/age.
func TestAgeOpens(t *testing.T) {
	const chunk, rec = envelope.ChunkSize, envelope.RecordSize
	a, b := newReader(t), newReader(t)
	for _, n := range []int{
		0, 1, 3*1024 - 1, 3 * 1024, 3*1024 + 1, 15 * 1024, 15*1024 + 1,
		chunk - rec - 1, chunk - rec, chunk - rec + 1, chunk - 1, chunk, chunk + 1,
		2*chunk - rec - 1, 2*chunk - rec, 2*chunk - rec + 1, 2 * chunk, 2*chunk + 1, 300_000,
	} {
		for _, kind := range []record.Record{video(), track()} {
			body := content(n)
			file, s := object(t, body, kind, keys(a, b), envelope.DefaultSlots)

			grid := envelope.GridBinary
			if kind.MediaType == "text/csv" {
				grid = envelope.GridText
			}
			require.EqualValues(t, n, s.Length)
			require.EqualValues(t, len(file), s.Size)
			require.Equal(t, envelope.SealedSize(4, grid(int64(n))), s.Size)
			require.Equal(t, envelope.Name(sha256.Sum256(file)), s.Name)
			require.NoError(t, envelope.Check(bytes.NewReader(file), s.Size, 4))

			for _, r := range []reader{a, b} {
				plain := decrypt(t, file, r.id)
				require.True(t, bytes.Equal(body, plain[:n]))
				tail := len(plain) - rec
				require.Equal(t, make([]byte, tail-n), plain[n:tail])
				got, err := record.Parse(plain[tail:])
				require.NoError(t, err)
				require.NotZero(t, got.Nonce)
				want := kind
				want.Length, want.Nonce = int64(n), got.Nonce
				require.Equal(t, want, got)
			}
			_, err := age.Decrypt(bytes.NewReader(file), newReader(t).id)
			require.ErrorAs(t, err, new(*age.NoIdentityMatchError))
		}
	}
}

// What the caller leaves in the two fields that a seal fills in does not count.
func TestLengthAndNonceAreOurs(t *testing.T) {
	r, rec := newReader(t), video()
	rec.Length, rec.Nonce = 77, [16]byte{1, 2, 3}
	file, s := object(t, content(10), rec, keys(r), 1)
	require.EqualValues(t, 10, s.Length)
	plain := decrypt(t, file, r.id)
	got, err := record.Parse(plain[len(plain)-envelope.RecordSize:])
	require.NoError(t, err)
	require.EqualValues(t, 10, got.Length)
	require.NotEqual(t, rec.Nonce, got.Nonce)
}

// The content may come in any pieces; the object is the same.
func TestPiecesOfContent(t *testing.T) {
	to := keys(newReader(t))
	body := content(3*envelope.ChunkSize - 5)
	sealFrom := func(r io.Reader) seal.Sealed {
		s, err := seal.ObjectWith(rand.NewChaCha8([32]byte{}), io.Discard, r, video(), to, 2)
		require.NoError(t, err)
		return s
	}
	want := sealFrom(bytes.NewReader(body))
	for name, r := range map[string]io.Reader{
		"halves":         iotest.HalfReader(bytes.NewReader(body)),
		"end with bytes": iotest.DataErrReader(bytes.NewReader(body)),
		"two readers":    io.MultiReader(bytes.NewReader(body[:envelope.ChunkSize]), iotest.OneByteReader(bytes.NewReader(body[envelope.ChunkSize:]))),
	} {
		require.Equal(t, want, sealFrom(r), name)
	}
	require.Equal(t, want, sealFrom(bytes.NewReader(body)), "the same randomness, the same object")
	other, err := seal.ObjectWith(rand.NewChaCha8([32]byte{1}), io.Discard, bytes.NewReader(body), video(), to, 2)
	require.NoError(t, err)
	require.NotEqual(t, want.Name, other.Name)
}

func TestNoTwoObjectsAreAlike(t *testing.T) {
	r := newReader(t)
	first, a := object(t, nil, track(), keys(r), 1)
	second, b := object(t, nil, track(), keys(r), 1)
	require.NotEqual(t, a.Name, b.Name)
	require.NotEqual(t, decrypt(t, first, r.id), decrypt(t, second, r.id), "the record's nonce")
	for i := 0; i+43 < len(first); i += 43 {
		if at := bytes.Index(second, first[i:i+43]); at >= 0 {
			require.Less(t, at, 60, "only intro and stanza type are the same")
		}
	}
}

func TestReaders(t *testing.T) {
	a, b, c := newReader(t), newReader(t), newReader(t)
	for want, args := range map[string]struct {
		to    []recipient.Key
		slots int
	}{
		"no reader is given":          {nil, 4},
		"to 3 readers: an object has": {keys(a, b, c), 2},
		"readers 1 and 3 are the":     {keys(a, b, a), 4},
		"reader 2 is empty":           {append(keys(a), recipient.Key{}), 4},
		"with 0 stanzas":              {keys(a), 0},
		"with 65 stanzas":             {keys(a), envelope.MaxSlots + 1},
		"with -1 stanzas":             {keys(a), -1},
	} {
		var out bytes.Buffer
		_, err := seal.Object(&out, bytes.NewReader(nil), video(), args.to, args.slots)
		require.ErrorContains(t, err, want)
		require.Zero(t, out.Len(), "nothing is written before the arguments are good")
	}
	file, _ := object(t, nil, video(), keys(a, b, c), 3)
	for _, r := range []reader{a, b, c} {
		decrypt(t, file, r.id)
	}
	file, _ = object(t, nil, video(), keys(a), envelope.MaxSlots)
	decrypt(t, file, a.id)
}

func TestBadRecord(t *testing.T) {
	rec := video()
	rec.Clock = ""
	var out bytes.Buffer
	_, err := seal.Object(&out, bytes.NewReader(nil), rec, keys(newReader(t)), 1)
	require.ErrorContains(t, err, "clock")
	require.Zero(t, out.Len())
}

// TestPlacesAreShuffled finds the place of a reader's stanza by the only means
// there is, the reader's key: over many objects it is everywhere.
func TestPlacesAreShuffled(t *testing.T) {
	r := newReader(t)
	const slots, objects = 4, 400
	places := map[int]int{}
	random := rand.NewChaCha8([32]byte{7})
	for range objects {
		var out bytes.Buffer
		_, err := seal.ObjectWith(random, &out, bytes.NewReader(nil), video(), keys(r), slots)
		require.NoError(t, err)
		h, err := envelope.ReadHeader(&out)
		require.NoError(t, err)
		places[placeOf(t, h, r.id)]++
	}
	for i := range slots {
		require.InDelta(t, objects/slots, places[i], 45, "place %d of %v", i, places) // five standard deviations
	}
}

// 256 is no multiple of 60: the bytes above the last whole multiple would make
// the first places likelier, so they are drawn again.
func TestDrawsAreUnbiased(t *testing.T) {
	counts := map[int]int{}
	for b := range 256 {
		n, err := seal.Below(bytes.NewReader([]byte{byte(b), 59}), 60)
		require.NoError(t, err)
		if b >= 240 {
			require.Equal(t, 59, n)
			continue
		}
		counts[n]++
	}
	for n := range 60 {
		require.Equal(t, 4, counts[n])
	}
}

// placeOf asks age which stanza opens, and that one does.
func placeOf(t *testing.T, h *envelope.Header, id *age.HybridIdentity) int {
	t.Helper()
	place := -1
	for i := range h.Stanzas {
		one := envelope.Header{Stanzas: h.Stanzas[i : i+1]}
		_, err := age.DecryptHeader(bytes.TrimSuffix(one.Marshal(), one.Nonce[:]), id)
		if !errors.As(err, new(*age.NoIdentityMatchError)) {
			require.Equal(t, -1, place, "two stanzas open")
			place = i // opened, and the MAC is wrong
		}
	}
	require.NotEqual(t, -1, place, "no stanza opens")
	return place
}

// TestDummies looks at stanzas as an outsider does: dummies are as random as
// readers' stanzas, and no two stanzas have anything in common.
func TestDummies(t *testing.T) {
	file, _ := object(t, nil, video(), keys(newReader(t)), envelope.MaxSlots)
	h, err := envelope.ReadHeader(bytes.NewReader(file))
	require.NoError(t, err)
	seen := map[string]bool{}
	for _, s := range h.Stanzas {
		require.NoError(t, xwing.CheckShare(s.Enc[1088:]))
		both := append(s.Enc[:], s.Body[:]...)
		counts := [256]int{}
		for i, c := range both {
			counts[c]++
			if i%8 == 0 {
				require.False(t, seen[string(both[i:i+8])], "eight bytes occur twice")
				seen[string(both[i:i+8])] = true
			}
		}
		for c, n := range counts {
			require.Less(t, n, 25, "byte %d in 1,152", c) // 4.5 are expected
		}
	}
}

// A failing source or target ends the seal, and says which of them it was.
func TestErrorsEndTheSeal(t *testing.T) {
	to := keys(newReader(t))
	broken := errors.New("input/output error")
	for _, n := range []int{0, 1, envelope.ChunkSize, 200_000} {
		r := io.MultiReader(bytes.NewReader(content(n)), iotest.ErrReader(broken))
		_, err := seal.Object(io.Discard, r, video(), to, 4)
		require.ErrorIs(t, err, broken)
		require.ErrorContains(t, err, "cannot read the content")
	}
	file, _ := object(t, content(200_000), video(), to, 4)
	for n := 0; n < len(file); n += 5000 {
		w := &limited{room: n, err: broken}
		_, err := seal.Object(w, bytes.NewReader(content(200_000)), video(), to, 4)
		require.ErrorIs(t, err, broken)
		require.ErrorContains(t, err, "cannot write the sealed object")
		require.Equal(t, 1, w.failures, "it writes on after an error")
	}
	_, err := seal.Object(&limited{room: 100}, bytes.NewReader(nil), video(), to, 4)
	require.ErrorIs(t, err, io.ErrShortWrite)
}

// limited takes room bytes.
type limited struct {
	room, failures int
	err            error
}

func (l *limited) Write(p []byte) (int, error) {
	n := min(len(p), l.room)
	l.room -= n
	if n < len(p) {
		l.failures++
		return n, l.err
	}
	return n, nil
}

func TestRandomSourceErrors(t *testing.T) {
	to := keys(newReader(t))
	for n := 0; ; n++ {
		_, err := seal.ObjectWith(io.LimitReader(rand.NewChaCha8([32]byte{}), int64(n)), io.Discard, bytes.NewReader(nil), video(), to, 2)
		if err == nil {
			require.Greater(t, n, 200)
			return
		}
		require.Less(t, n, 1000)
	}
}

// TestMemoryIsBounded streams 64 MiB. What it allocates is what an empty
// object costs: one chunk buffer, and the header.
func TestMemoryIsBounded(t *testing.T) {
	to := keys(newReader(t), newReader(t))
	allocated := func(n int64) (bytes uint64, allocations float64) {
		run := func() {
			_, err := seal.Object(io.Discard, io.LimitReader(zeros{}, n), video(), to, 4)
			require.NoError(t, err)
		}
		var before, after runtime.MemStats
		runtime.ReadMemStats(&before)
		allocations = testing.AllocsPerRun(1, run) // runs it twice
		runtime.ReadMemStats(&after)
		return (after.TotalAlloc - before.TotalAlloc) / 2, allocations
	}
	emptyBytes, emptyCount := allocated(0)
	bigBytes, bigCount := allocated(64 << 20)
	t.Logf("empty: %d bytes in %.0f allocations, 64 MiB: %d in %.0f", emptyBytes, emptyCount, bigBytes, bigCount)
	require.Less(t, bigBytes, uint64(512<<10))
	require.Less(t, bigBytes, emptyBytes+64<<10)
	require.Less(t, bigCount, emptyCount+20)
}

type zeros struct{}

func (zeros) Read(p []byte) (int, error) { clear(p); return len(p), nil }
