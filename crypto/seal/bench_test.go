package seal_test

import (
	"bytes"
	"crypto/sha256"
	"io"
	"runtime"
	"slices"
	"syscall"
	"testing"

	"filippo.io/age"
	"github.com/stretchr/testify/require"
	"golang.org/x/crypto/chacha20poly1305"

	"roadseal/crypto/envelope"
	"roadseal/crypto/recipient"
	"roadseal/crypto/seal"
)

// BenchmarkSeal puts the same 64 MiB through a seal, through what no seal can do
// without, and through filippo.io/age with SHA-256, in turns, and compares their
// processor times: a machine that others share is not the same in two minutes.
//
//	go test -run '^$' -bench Seal -benchtime 15x ./crypto/seal
const benchSize = 64 << 20

// memory stands for the target file: it copies.
type memory struct {
	buf  []byte
	used int
}

func (m *memory) Write(p []byte) (int, error) {
	m.used += copy(m.buf[m.used:], p)
	return len(p), nil
}

func newMemory() *memory { return &memory{buf: make([]byte, benchSize+benchSize/8)} }

// cpu is the processor time that the whole process needs for f.
func cpu(b *testing.B, f func()) float64 {
	used := func() int64 {
		var r syscall.Rusage
		require.NoError(b, syscall.Getrusage(syscall.RUSAGE_SELF, &r))
		return r.Utime.Nano() + r.Stime.Nano()
	}
	runtime.GC() // nobody pays for what another has left behind
	start := used()
	f()
	return float64(used() - start)
}

func BenchmarkSeal(b *testing.B) {
	body, out := content(benchSize), newMemory()
	one, other := newReader(b), newReader(b)
	to, r := keys(one, other), one.id.Recipient()
	var seals, floors, ages []float64
	for b.Loop() {
		seals = append(seals, cpu(b, func() { sealOnce(b, out, body, to) }))
		floors = append(floors, cpu(b, func() { floorOnce(b, out, body) }))
		ages = append(ages, cpu(b, func() { ageOnce(b, out, body, r) }))
	}
	ratio := func(by []float64) float64 {
		r := slices.Clone(seals)
		for i := range r {
			r[i] /= by[i]
		}
		return median(r)
	}
	speed := func(times []float64) float64 { return benchSize / 1e6 / (median(times) / 1e9) }
	b.ReportMetric(0, "ns/op") // of all three, so it says nothing
	b.ReportMetric(speed(seals), "seal-MB/s")
	b.ReportMetric(speed(floors), "floor-MB/s")
	b.ReportMetric(speed(ages), "age-MB/s")
	b.ReportMetric(ratio(floors), "of-floor")
	b.ReportMetric(ratio(ages), "of-age")
}

func median(v []float64) float64 {
	v = slices.Sorted(slices.Values(v))
	return (v[(len(v)-1)/2] + v[len(v)/2]) / 2
}

func sealOnce(b *testing.B, out *memory, body []byte, to []recipient.Key) {
	out.used = 0
	_, err := seal.Object(out, bytes.NewReader(body), video(), to, envelope.DefaultSlots)
	require.NoError(b, err)
}

func floorOnce(b *testing.B, out *memory, body []byte) {
	out.used = 0
	a, err := chacha20poly1305.New(make([]byte, chacha20poly1305.KeySize))
	require.NoError(b, err)
	buf := make([]byte, envelope.ChunkSize+envelope.ChunkTag)
	nonce := make([]byte, chacha20poly1305.NonceSize)
	h := sha256.New()
	for p := body; len(p) > 0; p = p[envelope.ChunkSize:] {
		n := copy(buf, p[:envelope.ChunkSize])
		sealed := a.Seal(buf[:0], nonce, buf[:n], nil)
		h.Write(sealed)
		out.Write(sealed)
	}
	h.Sum(nil)
}

func ageOnce(b *testing.B, out *memory, body []byte, r age.Recipient) {
	out.used = 0
	h := sha256.New()
	w, err := age.Encrypt(io.MultiWriter(out, h), r, r, r, r)
	require.NoError(b, err)
	_, err = w.Write(body)
	require.NoError(b, err)
	require.NoError(b, w.Close())
	h.Sum(nil)
}

// BenchmarkObject shows what a seal allocates.
func BenchmarkObject(b *testing.B) {
	to := keys(newReader(b), newReader(b))
	body, out := content(benchSize), newMemory()
	b.ReportAllocs()
	for b.Loop() {
		sealOnce(b, out, body, to)
	}
}

func BenchmarkSelfTest(b *testing.B) {
	for b.Loop() {
		require.NoError(b, seal.SelfTest())
	}
}
