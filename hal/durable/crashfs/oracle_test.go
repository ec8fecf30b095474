package crashfs_test

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"math/rand/v2"
	"testing"

	"github.com/stretchr/testify/require"

	"roadseal/hal/durable"
	"roadseal/hal/durable/crashfs"
)

// A pair is a disk and its imitation. Every call goes to both.
type pair struct {
	fs   [2]durable.FS
	open [2][]durable.File
}

// kind is what callers branch on.
func kind(err error) error {
	for _, k := range []error{fs.ErrNotExist, fs.ErrExist, fs.ErrClosed, io.EOF} {
		if errors.Is(err, k) {
			return k
		}
	}
	if err != nil {
		return errors.New("other")
	}
	return nil
}

// TestItDoesWhatADiskDoes compares the two over random calls.
func TestItDoesWhatADiskDoes(t *testing.T) {
	for seed := range uint64(60) {
		disk, err := durable.OpenDisk(t.TempDir())
		require.NoError(t, err)
		p := &pair{fs: [2]durable.FS{disk, crashfs.New(crashfs.Options{Model: crashfs.Model(seed % 2)})}}
		rng := rand.New(rand.NewPCG(seed, 0))
		for n := range 400 {
			call := p.call(rng)
			want, wantErr := call(0)
			got, gotErr := call(1)
			require.Equal(t, kind(wantErr), kind(gotErr), "seed %d, call %d: %v, %v", seed, n, wantErr, gotErr)
			require.Equal(t, want, got, "seed %d, call %d", seed, n)
		}
		require.Equal(t, tree(t, p.fs[0]), tree(t, p.fs[1]))
		require.NoError(t, disk.Close())
	}
}

// call draws one, which is then made to either.
func (p *pair) call(rng *rand.Rand) func(i int) (any, error) {
	names := []string{"a", "b", "c", "d", "d/a", "d/b", "none/a", "a/b", "../a"}
	a, b := names[rng.IntN(len(names))], names[rng.IntN(len(names))]
	data, at := make([]byte, 1+rng.IntN(40)), int64(rng.IntN(60)-2)
	for i := range data {
		data[i] = byte('a' + rng.IntN(26))
	}
	name := func(f func(fsys durable.FS) error) func(int) (any, error) {
		return func(i int) (any, error) { return nil, f(p.fs[i]) }
	}
	handle := rng.IntN(1 << 20)
	file := func(f func(h durable.File) (any, error)) func(int) (any, error) {
		return func(i int) (any, error) {
			if len(p.open[i]) == 0 {
				return nil, nil
			}
			return f(p.open[i][handle%len(p.open[i])])
		}
	}
	keep := func(open func(fsys durable.FS) (durable.File, error)) func(int) (any, error) {
		return func(i int) (any, error) {
			h, err := open(p.fs[i])
			if err == nil {
				p.open[i] = append(p.open[i], h)
			}
			return nil, err
		}
	}
	buf := func() []byte { return make([]byte, len(data)) }
	calls := []func(int) (any, error){
		keep(func(fsys durable.FS) (durable.File, error) { return fsys.Create(a) }),
		keep(func(fsys durable.FS) (durable.File, error) { return fsys.Update(a) }),
		name(func(fsys durable.FS) error { return fsys.Link(a, b) }),
		name(func(fsys durable.FS) error { return fsys.Remove(a) }),
		name(func(fsys durable.FS) error { return fsys.Mkdir("d") }),
		name(func(fsys durable.FS) error { return fsys.Sync(".") }),
		func(i int) (any, error) {
			if a == "d" { // crashfs renames no directories
				return nil, nil
			}
			return nil, p.fs[i].Rename(a, b)
		},
		file(func(h durable.File) (any, error) { return h.Write(data) }),
		file(func(h durable.File) (any, error) { return h.WriteAt(data, at) }),
		file(func(h durable.File) (any, error) { b := buf(); n, err := h.Read(b); return string(b[:n]), err }),
		file(func(h durable.File) (any, error) { b := buf(); n, err := h.ReadAt(b, at); return string(b[:n]), err }),
		file(func(h durable.File) (any, error) { return h.Size() }),
		file(func(h durable.File) (any, error) { return nil, h.Truncate(at) }),
		file(func(h durable.File) (any, error) { return nil, h.Sync() }),
		file(func(h durable.File) (any, error) {
			if handle%4 > 0 {
				return nil, nil
			}
			return nil, h.Close()
		}),
		func(i int) (any, error) {
			b, err := durable.ReadFile(p.fs[i], a, 1<<20)
			return fmt.Sprint(len(b)), err
		},
	}
	return calls[rng.IntN(len(calls))]
}
