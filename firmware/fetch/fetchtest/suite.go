// Package fetchtest holds what every fetch.Fetcher must pass, and the files of a
// server for it. Only tests import it.
//
// Side: any.
package fetchtest

import (
	"bytes"
	"context"
	"errors"
	"io/fs"
	"math/rand/v2"
	"strings"
	"sync"
	"testing"

	"roadseal/agent/wire"
	"roadseal/crypto/signed"
	"roadseal/firmware/fetch"
)

// Run tests a fetcher. start makes one that reads files, which may change, from
// a server that is honest and near.
func Run(t *testing.T, start func(t *testing.T, files *Files) fetch.Fetcher) {
	for name, test := range map[string]func(*testing.T, *Files, fetch.Fetcher){
		"sizes around the grid": sizes,
		"limits":                limits,
		"no such file":          absent,
		"bad names":             badNames,
		"an end":                ends,
		"a file that changes":   changes,
		"many at once":          many,
		"bytes are the callers": own,
	} {
		t.Run(name, func(t *testing.T) {
			files := NewFiles()
			test(t, files, start(t, files))
		})
	}
}

const name = "director/1.root.json"

// Noise is n bytes that differ by seed.
func Noise(seed uint64, n int) []byte {
	b := make([]byte, n)
	r := rand.New(rand.NewPCG(seed, 0))
	for i := range b {
		b[i] = byte(r.Uint32())
	}
	return b
}

func sizes(t *testing.T, files *Files, f fetch.Fetcher) {
	const block = wire.BlockSize
	for i, n := range []int{1, 2, block - 1, block, block + 1, 2 * block, 8*block + 1, 9 * block, 33*block + 7} {
		files.Put(name, Noise(uint64(i), n))
		mustGet(t, f, name, int64(n), Noise(uint64(i), n))
		mustGet(t, f, name, 1<<40, Noise(uint64(i), n))
	}
}

func mustGet(t *testing.T, f fetch.Fetcher, name string, limit int64, want []byte) {
	t.Helper()
	got, err := f.Fetch(t.Context(), name, limit)
	if err != nil {
		t.Fatal(err)
	}
	if !bytes.Equal(got, want) {
		t.Fatalf("%d bytes that are not the %d of the file", len(got), len(want))
	}
}

func limits(t *testing.T, files *Files, f fetch.Fetcher) {
	for _, n := range []int{1, 100, wire.BlockSize, wire.BlockSize + 1, 10 * wire.BlockSize} {
		files.Put("image/7.snapshot.json", Noise(1, n))
		got, err := f.Fetch(t.Context(), "image/7.snapshot.json", int64(n)-1)
		var e *signed.Error
		if got != nil || !errors.As(err, &e) || e.Attack != signed.EndlessData || e.Repository != "image" {
			t.Fatalf("%d bytes with a limit of one less: got %d bytes and error %v, want %v", n, len(got), err, signed.EndlessData)
		}
	}
}

func absent(t *testing.T, files *Files, f fetch.Fetcher) {
	for range 3 {
		if got, err := f.Fetch(t.Context(), name, 1000); got != nil || !errors.Is(err, fs.ErrNotExist) {
			t.Fatalf("got %d bytes and error %v, want %v", len(got), err, fs.ErrNotExist)
		}
		files.Put(name, []byte("here"))
		mustGet(t, f, name, 1000, []byte("here"))
		files.Remove(name)
	}
}

// badNames: such a name is a fault of the caller. It must not look as if the
// server had no such file, which ends a chain of roots.
func badNames(t *testing.T, files *Files, f fetch.Fetcher) {
	for _, bad := range []string{"", "/", "../secret", "a/../b", "a/b/c/d", "a b", "a//b", ".a", "a?b", "a%2fb", strings.Repeat("x", 256)} {
		files.Put(bad, []byte("never"))
		if got, err := f.Fetch(t.Context(), bad, 1000); got != nil || err == nil || errors.Is(err, fs.ErrNotExist) {
			t.Fatalf("name %q: got %d bytes and error %v, want another error", bad, len(got), err)
		}
	}
}

func ends(t *testing.T, files *Files, f fetch.Fetcher) {
	files.Put(name, []byte("here"))
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if got, err := f.Fetch(ctx, name, 1000); got != nil || !errors.Is(err, context.Canceled) {
		t.Fatalf("got %d bytes and error %v, want %v", len(got), err, context.Canceled)
	}
	mustGet(t, f, name, 1000, []byte("here"))
}

// changes: what comes is one file or the other, or an error that accuses
// nobody.
func changes(t *testing.T, files *Files, f fetch.Fetcher) {
	both := [][]byte{Noise(1, 5*wire.BlockSize+1), Noise(2, 4*wire.BlockSize+9)}
	files.Each(func(n int) { files.Put(name, both[n/5%2]) })
	for range 20 {
		got, err := f.Fetch(t.Context(), name, 1<<20)
		var e *signed.Error
		switch {
		case err == nil && (bytes.Equal(got, both[0]) || bytes.Equal(got, both[1])):
		case err == nil:
			t.Fatalf("%d bytes that are neither file", len(got))
		case errors.As(err, &e), errors.Is(err, fs.ErrNotExist):
			t.Fatal(err)
		}
	}
	files.Each(nil)
	files.Put(name, both[0])
	mustGet(t, f, name, 1<<20, both[0])
}

func many(t *testing.T, files *Files, f fetch.Fetcher) {
	names := []string{"image/a.json", "image/b.json", "image/c.json", "director/a.json", "director/b.json", "director/c.json"}
	for i, name := range names {
		files.Put(name, Noise(uint64(i), 1+i*wire.BlockSize))
	}
	var wg sync.WaitGroup
	for range 3 {
		for i, name := range names {
			wg.Go(func() {
				got, err := f.Fetch(t.Context(), name, 1<<20)
				if err != nil || !bytes.Equal(got, Noise(uint64(i), 1+i*wire.BlockSize)) {
					t.Errorf("%s: %d bytes, error %v", name, len(got), err)
				}
			})
		}
	}
	wg.Wait()
}

func own(t *testing.T, files *Files, f fetch.Fetcher) {
	files.Put(name, []byte("here"))
	got, err := f.Fetch(t.Context(), name, 1000)
	if err != nil {
		t.Fatal(err)
	}
	clear(got)
	mustGet(t, f, name, 1000, []byte("here"))
}
