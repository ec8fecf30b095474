package seal_test

import (
	"bytes"
	"crypto/sha256"
	"hash"
	"io"
	"syscall"
	"testing"

	"filippo.io/age"
	"github.com/stretchr/testify/require"
	"golang.org/x/crypto/chacha20poly1305"

	"roadseal/crypto/envelope"
	"roadseal/crypto/seal"
)

// The three benchmarks put the same 64 MiB through a seal, through what no
// seal can do without, and through filippo.io/age. Compare cpuMB/s:
//
//	GOMAXPROCS=1 go test -run x -bench . -count 6 ./crypto/seal
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

// cpu reports the throughput by the processor time of the whole process.
func cpu(b *testing.B) func() {
	used := func() int64 {
		var r syscall.Rusage
		require.NoError(b, syscall.Getrusage(syscall.RUSAGE_SELF, &r))
		return r.Utime.Nano() + r.Stime.Nano()
	}
	start := used()
	return func() { b.ReportMetric(benchSize/1e6*float64(b.N)*1e9/float64(used()-start), "cpuMB/s") }
}

func BenchmarkSeal(b *testing.B) {
	to := keys(newReader(b), newReader(b))
	body, out := content(benchSize), newMemory()
	b.ReportAllocs()
	defer cpu(b)()
	for b.Loop() {
		out.used = 0
		_, err := seal.Object(out, bytes.NewReader(body), video(), to, envelope.DefaultSlots)
		require.NoError(b, err)
	}
}

func BenchmarkFloor(b *testing.B) {
	body, out := content(benchSize), newMemory()
	a, err := chacha20poly1305.New(make([]byte, chacha20poly1305.KeySize))
	require.NoError(b, err)
	buf := make([]byte, envelope.ChunkSize+envelope.ChunkTag)
	nonce := make([]byte, chacha20poly1305.NonceSize)
	b.ReportAllocs()
	defer cpu(b)()
	for b.Loop() {
		out.used = 0
		h := sha256.New()
		for p := body; len(p) > 0; p = p[envelope.ChunkSize:] {
			n := copy(buf, p[:envelope.ChunkSize])
			sealed := a.Seal(buf[:0], nonce, buf[:n], nil)
			h.Write(sealed)
			out.Write(sealed)
		}
		h.Sum(nil)
	}
}

func BenchmarkAge(b *testing.B) {
	r := newReader(b).id.Recipient()
	body, out := content(benchSize), newMemory()
	b.ReportAllocs()
	defer cpu(b)()
	for b.Loop() {
		out.used = 0
		var h hash.Hash = sha256.New()
		w, err := age.Encrypt(io.MultiWriter(out, h), r, r, r, r)
		require.NoError(b, err)
		_, err = w.Write(body)
		require.NoError(b, err)
		require.NoError(b, w.Close())
		h.Sum(nil)
	}
}

func BenchmarkSelfTest(b *testing.B) {
	for b.Loop() {
		require.NoError(b, seal.SelfTest())
	}
}
