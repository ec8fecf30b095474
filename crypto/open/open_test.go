package open_test

import (
	"bytes"
	"errors"
	"io"
	"math/rand/v2"
	"strings"
	"testing"
	"testing/iotest"

	"filippo.io/age"
	"github.com/stretchr/testify/require"

	"roadseal/crypto/envelope"
	"roadseal/crypto/open"
	"roadseal/crypto/recipient"
	"roadseal/crypto/record"
	"roadseal/crypto/seal"
)

func video() record.Record {
	return record.Record{MediaType: "video/mp4", Stream: "event", Kind: "event", Source: "camera front", Channel: "F", Vehicle: "van 7", Clock: "name", Boot: 1, Sequence: 2, File: "Record/x.mp4"}
}

func track() record.Record {
	return record.Record{MediaType: "text/csv", Stream: "track", Source: "gnss", Clock: "gnss", Boot: 1, Sequence: 2}
}

func content(n int) []byte {
	b := make([]byte, n)
	rand.NewChaCha8([32]byte{1}).Read(b)
	return b
}

func sealed(t testing.TB, body []byte, rec record.Record, slots int, ids ...open.Identity) []byte {
	t.Helper()
	var to []recipient.Key
	for _, id := range ids {
		to = append(to, id.Recipient())
	}
	var out bytes.Buffer
	_, err := seal.Object(&out, bytes.NewReader(body), rec, to, slots)
	require.NoError(t, err)
	return out.Bytes()
}

// plain is a plaintext of length grid whose record claims what it is told.
func plain(t testing.TB, body []byte, claims record.Record, grid int64) []byte {
	t.Helper()
	b := make([]byte, grid-envelope.RecordSize)
	copy(b, body)
	rec, err := claims.Marshal()
	require.NoError(t, err)
	return append(b, rec...)
}

// byAge seals a plaintext with filippo.io/age.
func byAge(t testing.TB, plaintext []byte, ids ...open.Identity) []byte {
	t.Helper()
	var to []age.Recipient
	for _, id := range ids {
		r, err := age.ParseHybridRecipient(id.Recipient().String())
		require.NoError(t, err)
		to = append(to, r)
	}
	var out bytes.Buffer
	w, err := age.Encrypt(&out, to...)
	require.NoError(t, err)
	_, err = w.Write(plaintext)
	require.NoError(t, err)
	require.NoError(t, w.Close())
	return out.Bytes()
}

// opened opens an object wholly.
func opened(file []byte, ids ...open.Identity) ([]byte, record.Record, error) {
	o, err := open.New(bytes.NewReader(file), int64(len(file)), ids...)
	if err != nil {
		return nil, record.Record{}, err
	}
	var out bytes.Buffer
	n, err := o.WriteTo(&out)
	if err == nil && n != int64(out.Len()) {
		err = errors.New("WriteTo miscounts")
	}
	return out.Bytes(), o.Record, err
}

func refused(t *testing.T, file []byte, want string, ids ...open.Identity) {
	t.Helper()
	_, _, err := opened(file, ids...)
	require.ErrorContains(t, err, want)
}

func TestRoundTrip(t *testing.T) {
	const chunk, rec = envelope.ChunkSize, envelope.RecordSize
	a, b, stranger := newIdentity(t), newIdentity(t), newIdentity(t)
	for _, n := range []int{0, 1, 3 * 1024, 3*1024 + 1, chunk - rec - 1, chunk - rec, chunk - rec + 1, chunk, 2*chunk - rec, 2*chunk + 1, 300_000} {
		for _, kind := range []record.Record{video(), track()} {
			body := content(n)
			file := sealed(t, body, kind, 4, a, b)
			for _, ids := range [][]open.Identity{{a}, {b}, {stranger, b}, {a, b, stranger}} {
				got, r, err := opened(file, ids...)
				require.NoError(t, err)
				require.True(t, bytes.Equal(body, got))
				require.EqualValues(t, n, r.Length)
				require.NotZero(t, r.Nonce)
				kind.Length, kind.Nonce = r.Length, r.Nonce
				require.Equal(t, kind, r)
			}
			_, _, err := opened(file, stranger)
			require.ErrorIs(t, err, open.ErrNotRecipient)
		}
	}
}

// TestSealedByAge opens what filippo.io/age made of content, zeros and record.
func TestSealedByAge(t *testing.T) {
	id, other := newIdentity(t), newIdentity(t)
	for _, n := range []int{0, 1, 3 * 1024, 64512, 64513, 200_000} {
		rec := video()
		rec.Length = int64(n)
		body := content(n)
		got, r, err := opened(byAge(t, plain(t, body, rec, envelope.GridBinary(int64(n))), other, id), id)
		require.NoError(t, err)
		require.True(t, bytes.Equal(body, got))
		require.Equal(t, rec, r)
	}
}

// TestEveryFlipAndCut spoils each byte of an object and cuts it at each.
func TestEveryFlipAndCut(t *testing.T) {
	id := newIdentity(t)
	file := sealed(t, []byte("a segment"), video(), 1, id)
	for i := range file {
		spoilt := bytes.Clone(file)
		spoilt[i] ^= 1 << (i % 8)
		_, _, err := opened(spoilt, id)
		require.Error(t, err, "flip of byte %d", i)
		_, _, err = opened(file[:i], id)
		require.Error(t, err, "cut after %d bytes", i)
	}
	for _, more := range [][]byte{{0}, {'\n'}, make([]byte, 16), make([]byte, 17), file} {
		refused(t, append(bytes.Clone(file), more...), "altered, damaged or cut short", id)
	}
}

// TestChunksAreHeldTogether plays with whole chunks.
func TestChunksAreHeldTogether(t *testing.T) {
	const step = envelope.ChunkSize + envelope.ChunkTag
	id := newIdentity(t)
	file := sealed(t, content(4*envelope.ChunkSize-envelope.RecordSize), video(), 2, id)
	start := int(envelope.HeaderSize(2))
	require.Len(t, file, start+4*step)
	chunk := func(i int) []byte { return file[start+i*step : start+(i+1)*step] }
	build := func(chunks ...int) []byte {
		out := bytes.Clone(file[:start])
		for _, i := range chunks {
			out = append(out, chunk(i)...)
		}
		return out
	}
	_, _, err := opened(build(0, 1, 2, 3), id)
	require.NoError(t, err)
	refused(t, build(0, 1, 2), "truncated: its end is missing", id)
	refused(t, build(0), "truncated: its end is missing", id)
	refused(t, build(), "altered, damaged or cut short", id)
	refused(t, build(3), "altered, damaged or cut short", id)
	refused(t, build(0, 1, 3), "altered, damaged or cut short", id)
	refused(t, build(0, 1, 2, 3, 3), "altered, damaged or cut short", id)
	refused(t, build(1, 0, 2, 3), "altered, damaged or cut short", id)
	refused(t, build(0, 1, 2, 2), "altered, damaged or cut short", id)

	another := sealed(t, content(4*envelope.ChunkSize-envelope.RecordSize), video(), 2, id)
	refused(t, append(bytes.Clone(another[:start]), file[start:]...), "altered, damaged or cut short", id)
}

// Nothing of a chunk is written before it is found authentic.
func TestNothingUnauthenticIsWritten(t *testing.T) {
	id := newIdentity(t)
	body := content(300_000)
	file := sealed(t, body, video(), 1, id)
	file[int(envelope.HeaderSize(1))+2*(envelope.ChunkSize+envelope.ChunkTag)+500] ^= 4 // in the third chunk
	o, err := open.New(bytes.NewReader(file), int64(len(file)), id)
	require.NoError(t, err, "header and last chunk are good")
	var out bytes.Buffer
	n, err := o.WriteTo(&out)
	require.ErrorContains(t, err, "altered")
	require.EqualValues(t, 2*envelope.ChunkSize, n)
	require.True(t, bytes.Equal(body[:n], out.Bytes()))
}

// Age files that are in order, and yet no objects of ours.
func TestNotARoadsealObject(t *testing.T) {
	id := newIdentity(t)
	claim := func(n int64) record.Record { r := video(); r.Length = n; return r }
	refused(t, byAge(t, nil, id), "not a roadseal object: no record", id)
	refused(t, byAge(t, []byte("hello"), id), "not a roadseal object: no record", id)
	refused(t, byAge(t, content(4096), id), "not a roadseal object: no record", id)
	refused(t, byAge(t, content(envelope.ChunkSize+1), id), "not a roadseal object: no record", id)
	refused(t, byAge(t, plain(t, nil, claim(0), 4095), id), "length is not on the grid", id)
	refused(t, byAge(t, plain(t, nil, claim(3073), 4096), id), "record's length does not fit", id)
	refused(t, byAge(t, plain(t, nil, claim(1<<62), 4096), id), "record's length does not fit", id)

	newer := plain(t, nil, claim(0), 1024)
	copy(newer, "roadseal/2\n")
	refused(t, byAge(t, newer, id), "a version that this program does not know", id)
	malformed := plain(t, nil, claim(0), 1024)
	malformed[1000] = 'x'
	refused(t, byAge(t, malformed, id), "malformed record", id)
}

// The padding is zero to its last byte, in every chunk.
func TestPaddingIsChecked(t *testing.T) {
	id := newIdentity(t)
	for _, size := range []int64{4096, 66 << 10, 192 << 10} {
		rec := video()
		rec.Length = 10
		for _, at := range []int64{10, 11, size / 2, size - envelope.RecordSize - 1} {
			p := plain(t, content(10), rec, size)
			_, _, err := opened(byAge(t, p, id), id)
			require.NoError(t, err)
			p[at] = 1
			refused(t, byAge(t, p, id), "padding is not zero", id)
		}
	}
}

func TestForeignFiles(t *testing.T) {
	id := newIdentity(t)
	refused(t, nil, "the file is empty", id)
	refused(t, []byte("\x00\x00\x00\x18ftypmp42"), "not an age v1 file", id)
	classic, err := age.GenerateX25519Identity()
	require.NoError(t, err)
	var out bytes.Buffer
	w, err := age.Encrypt(&out, classic.Recipient())
	require.NoError(t, err)
	require.NoError(t, w.Close())
	refused(t, out.Bytes(), `type "X25519"`, id)
}

func TestIdentitiesAreNeeded(t *testing.T) {
	id := newIdentity(t)
	file := sealed(t, nil, video(), 1, id)
	_, _, err := opened(file)
	require.ErrorIs(t, err, open.ErrNotRecipient)
	refused(t, file, "empty identity", open.Identity{})
}

// A share of low order is refused wherever it stands, as stock age refuses it
// when it comes upon it.
func TestLowOrderShare(t *testing.T) {
	id := newIdentity(t)
	file := sealed(t, nil, video(), 3, id)
	h, err := envelope.ReadHeader(bytes.NewReader(file))
	require.NoError(t, err)
	for i := range h.Stanzas {
		spoilt := *h
		spoilt.Stanzas = append([]envelope.Stanza{}, h.Stanzas...)
		clear(spoilt.Stanzas[i].Enc[1088:])
		refused(t, append(spoilt.Marshal(), file[envelope.HeaderSize(3):]...), "low-order", id)
	}
}

// source counts what is read, and fails where it is told to.
type source struct {
	file []byte
	fail int64 // offset from which reads fail; 0 = none
	read int
}

var errDisk = errors.New("input/output error")

func (s *source) ReadAt(p []byte, off int64) (int, error) {
	if s.fail > 0 && off+int64(len(p)) > s.fail {
		return 0, errDisk
	}
	n, err := bytes.NewReader(s.file).ReadAt(p, off)
	s.read += n
	return n, err
}

func TestNewReadsLittle(t *testing.T) {
	id := newIdentity(t)
	s := &source{file: sealed(t, content(5<<20), video(), 4, id)}
	_, err := open.New(s, int64(len(s.file)), id)
	require.NoError(t, err)
	require.LessOrEqual(t, s.read, int(envelope.HeaderSize(4))+envelope.ChunkSize+envelope.ChunkTag)
}

func TestErrorsOfTheSource(t *testing.T) {
	id := newIdentity(t)
	file := sealed(t, content(300_000), video(), 1, id)
	for _, at := range []int64{1, 1000, envelope.HeaderSize(1) + 1} {
		_, err := open.New(&source{file: file, fail: at}, int64(len(file)), id)
		require.ErrorIs(t, err, errDisk)
	}
	s := &source{file: file}
	o, err := open.New(s, int64(len(file)), id)
	require.NoError(t, err)
	s.fail = 200_000
	n, err := o.WriteTo(io.Discard)
	require.ErrorIs(t, err, errDisk)
	require.EqualValues(t, 3*envelope.ChunkSize, n)
	s.fail, s.file = 0, file[:150_000]
	_, err = o.WriteTo(io.Discard)
	require.ErrorContains(t, err, "truncated", "the file shrank meanwhile")
	_, err = open.New(s, int64(len(file)), id)
	require.ErrorContains(t, err, "truncated", "the file is shorter than its size")
}

func TestErrorsOfTheTarget(t *testing.T) {
	id := newIdentity(t)
	file := sealed(t, content(300_000), video(), 1, id)
	o, err := open.New(bytes.NewReader(file), int64(len(file)), id)
	require.NoError(t, err)
	for range 2 { // an object can be written again
		n, err := o.WriteTo(iotest.TruncateWriter(io.Discard, 10))
		require.NoError(t, err)
		require.EqualValues(t, 300_000, n)
	}
	_, err = o.WriteTo(failing{errDisk})
	require.ErrorIs(t, err, errDisk)
	_, err = o.WriteTo(failing{})
	require.ErrorIs(t, err, io.ErrShortWrite)
}

type failing struct{ err error }

func (f failing) Write(p []byte) (int, error) { return len(p) / 2, f.err }

// Errors reach a terminal and perhaps a log: they show nothing private.
func TestErrorsShowNothingPrivate(t *testing.T) {
	id := newIdentity(t)
	rec := video()
	rec.Length = 4000
	for _, file := range [][]byte{
		byAge(t, plain(t, nil, rec, 4096), id),
		byAge(t, []byte(strings.ReplaceAll(string(plain(t, nil, rec, 4096)), "length: ", "Length: ")), id),
	} {
		_, _, err := opened(file, id)
		require.Error(t, err)
		require.NotContains(t, err.Error(), "x.mp4")
		require.NotContains(t, err.Error(), "van 7")
		require.NotContains(t, err.Error(), id.Secret()[19:])
	}
}

func FuzzOpen(f *testing.F) {
	id := newIdentity(f)
	file := sealed(f, []byte("a segment"), video(), 1, id)
	f.Add(file, 0, []byte{})
	f.Add(file[:200], 100, []byte("x"))
	f.Fuzz(func(t *testing.T, in []byte, at int, change []byte) {
		in = bytes.Clone(in)
		if at >= 0 && at < len(in) {
			copy(in[at:], change)
		}
		if got, _, err := opened(in, id); err == nil && (!bytes.Equal(in, file) || string(got) != "a segment") {
			t.Fatal("opened something else")
		}
	})
}
