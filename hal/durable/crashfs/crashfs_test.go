package crashfs_test

import (
	"errors"
	"fmt"
	"io/fs"
	"maps"
	"slices"
	"strings"
	"syscall"
	"testing"

	"github.com/stretchr/testify/require"

	"roadseal/hal/durable"
	"roadseal/hal/durable/crashfs"
	"roadseal/hal/durable/durabletest"
)

var models = []crashfs.Model{crashfs.Posix, crashfs.Ext4}

func TestConforms(t *testing.T) {
	for _, m := range models {
		t.Run(m.String(), func(t *testing.T) {
			durabletest.Run(t, func(*testing.T) durable.FS { return crashfs.New(crashfs.Options{Model: m}) })
		})
	}
}

func create(t *testing.T, f durable.FS, name, content string) durable.File {
	t.Helper()
	h, err := f.Create(name)
	require.NoError(t, err)
	_, err = h.Write([]byte(content))
	require.NoError(t, err)
	return h
}

// put makes a file that is durable but for its name.
func put(t *testing.T, f durable.FS, name, content string) {
	t.Helper()
	h := create(t, f, name, content)
	require.NoError(t, h.Sync())
	require.NoError(t, h.Close())
}

// tree is what is there, in one line.
func tree(t *testing.T, f durable.FS) string {
	t.Helper()
	var all []string
	var down func(dir string)
	down = func(dir string) {
		require.NoError(t, f.List(dir, func(e fs.DirEntry) error {
			name := strings.TrimPrefix(dir+"/"+e.Name(), "./")
			if e.IsDir() {
				all = append(all, name+"/")
				down(name)
				return nil
			}
			b, err := durable.ReadFile(f, name, 1<<20)
			all = append(all, name+"="+strings.ReplaceAll(string(b), "\x00", "0"))
			return err
		}))
	}
	down(".")
	slices.Sort(all)
	return strings.Join(all, " ")
}

// crashes are all the trees that many power cuts leave.
func crashes(t *testing.T, f *crashfs.FS) []string {
	t.Helper()
	seen := map[string]bool{}
	for seed := range uint64(2000) {
		seen[tree(t, f.Crash(seed))] = true
	}
	return slices.Sorted(maps.Keys(seen))
}

// TestWhatAPowerCutLeaves lists, for some changes, every state that is found
// afterwards, by model: neither more nor fewer.
func TestWhatAPowerCutLeaves(t *testing.T) {
	must := func(t *testing.T, err error) { t.Helper(); require.NoError(t, err) }
	for name, c := range map[string]struct {
		do          func(t *testing.T, f *crashfs.FS)
		posix, ext4 []string
	}{
		"a synced file without its directory": {
			func(t *testing.T, f *crashfs.FS) { put(t, f, "a", "1") },
			[]string{"", "a=1"}, []string{"a=1"}},
		"and with it": {
			func(t *testing.T, f *crashfs.FS) { put(t, f, "a", "1"); must(t, f.Sync(".")) },
			[]string{"a=1"}, []string{"a=1"}},
		"a name whose bytes were not synced": {
			func(t *testing.T, f *crashfs.FS) { create(t, f, "a", "123"); must(t, f.Sync(".")) },
			[]string{"a=", "a=000", "a=1", "a=12", "a=123"}, []string{"a=", "a=000", "a=1", "a=12", "a=123"}},
		"two writes": {
			func(t *testing.T, f *crashfs.FS) {
				h := create(t, f, "a", "1")
				must(t, errors.Join(h.Sync(), f.Sync(".")))
				_, err := h.Write([]byte("2"))
				must(t, err)
				_, err = h.Write([]byte("3"))
				must(t, err)
			},
			[]string{"a=1", "a=10", "a=100", "a=103", "a=12", "a=120", "a=123"}, []string{"a=1", "a=10", "a=100", "a=103", "a=12", "a=120", "a=123"}},
		"a truncation": {
			func(t *testing.T, f *crashfs.FS) {
				h := create(t, f, "a", "123")
				must(t, errors.Join(h.Sync(), f.Sync("."), h.Truncate(1)))
			},
			[]string{"a=1", "a=123"}, []string{"a=1", "a=123"}},
		"a new file over an old one": {
			func(t *testing.T, f *crashfs.FS) {
				put(t, f, "a", "old")
				must(t, f.Sync("."))
				put(t, f, "b", "new")
				must(t, f.Rename("b", "a"))
			},
			[]string{"a=new", "a=new b=new", "a=old", "a=old b=new"}, []string{"a=new", "a=old b=new"}},
		"from one directory to another": {
			func(t *testing.T, f *crashfs.FS) {
				must(t, errors.Join(f.Mkdir("d"), f.Mkdir("e")))
				put(t, f, "d/a", "1")
				must(t, errors.Join(f.Sync("."), f.Sync("d"), f.Rename("d/a", "e/a"), f.Sync("d")))
			},
			[]string{"d/ e/ e/a=1"}, []string{"d/ e/ e/a=1"}},
		"and only the other is synced": {
			func(t *testing.T, f *crashfs.FS) {
				must(t, errors.Join(f.Mkdir("d"), f.Mkdir("e")))
				put(t, f, "d/a", "1")
				must(t, errors.Join(f.Sync("."), f.Sync("d"), f.Rename("d/a", "e/a"), f.Sync("e")))
			},
			[]string{"d/ d/a=1 e/ e/a=1", "d/ e/ e/a=1"}, []string{"d/ e/ e/a=1"}},
		"a second name": {
			func(t *testing.T, f *crashfs.FS) {
				put(t, f, "a", "1")
				must(t, errors.Join(f.Sync("."), f.Link("a", "b"), f.Remove("a")))
			},
			[]string{"", "a=1", "a=1 b=1", "b=1"}, []string{"a=1", "a=1 b=1", "b=1"}},
		"a file in a directory without a name": {
			func(t *testing.T, f *crashfs.FS) {
				must(t, f.Mkdir("d"))
				put(t, f, "d/a", "1")
				must(t, f.Sync("d"))
			},
			[]string{"", "d/ d/a=1"}, []string{"d/ d/a=1"}},
		"a drive that lies": {
			func(t *testing.T, f *crashfs.FS) {
				f.Inject(func(op crashfs.Op) error {
					if op.Call == "sync" {
						return crashfs.ErrLie
					}
					return nil
				})
				put(t, f, "a", "1")
				must(t, f.Sync("."))
				f.Inject(nil)
			},
			[]string{"a=", "a=0", "a=1"}, []string{"a=", "a=0", "a=1"}},
	} {
		for m, want := range map[crashfs.Model][]string{crashfs.Posix: c.posix, crashfs.Ext4: c.ext4} {
			t.Run(name+"/"+m.String(), func(t *testing.T) {
				f := crashfs.New(crashfs.Options{Model: m})
				c.do(t, f)
				before := tree(t, f)
				require.ElementsMatch(t, want, crashes(t, f))
				require.Equal(t, before, tree(t, f), "the one that was asked goes on")
			})
		}
	}
}

// TestSectorsOfOneWrite: each is there or not, by itself.
func TestSectorsOfOneWrite(t *testing.T) {
	f := crashfs.New(crashfs.Options{})
	put(t, f, "a", strings.Repeat("o", 2000))
	require.NoError(t, f.Sync("."))
	h, err := f.Update("a")
	require.NoError(t, err)
	_, err = h.WriteAt([]byte(strings.Repeat("n", 1500)), 100)
	require.NoError(t, err)
	torn := 0
	for seed := range uint64(500) {
		b, err := durable.ReadFile(f.Crash(seed), "a", 2000)
		require.NoError(t, err)
		require.Equal(t, strings.Repeat("o", 100), string(b[:100]), "bytes beside a write are safe")
		require.Equal(t, strings.Repeat("o", 400), string(b[1600:]))
		if s := string(b[100:1600]); strings.HasPrefix(s, "o") && strings.Contains(s, "n") {
			for _, part := range []string{s[:412], s[412:924], s[924:1436], s[1436:]} {
				require.Equal(t, strings.Repeat(part[:1], len(part)), part)
			}
			torn++
		}
	}
	require.Positive(t, torn)
}

func TestAFailedSyncIsForgotten(t *testing.T) {
	for _, m := range models {
		lost := 0
		for seed := range uint64(50) {
			f := crashfs.New(crashfs.Options{Model: m, Seed: seed})
			f.Inject(func(op crashfs.Op) error {
				if strings.HasPrefix(op.Call, "sync") {
					return syscall.EIO
				}
				return nil
			})
			h := create(t, f, "a", "123")
			require.ErrorIs(t, h.Sync(), syscall.EIO)
			require.ErrorIs(t, f.Sync("."), syscall.EIO)
			f.Inject(nil)
			require.NoError(t, h.Sync(), "the system thinks that it has written all")
			require.NoError(t, f.Sync("."))
			require.Equal(t, "a=123", tree(t, f))
			all := crashes(t, f)
			require.Len(t, all, 1, "it is decided already")
			if all[0] != "a=123" {
				lost++
			}
		}
		require.Positive(t, lost)
		require.Less(t, lost, 50)
	}
}

func TestFaults(t *testing.T) {
	f := crashfs.New(crashfs.Options{Capacity: 10})
	put(t, f, "a", "1234567")
	h, err := f.Create("b")
	require.NoError(t, err)
	n, err := h.Write([]byte("12345"))
	require.Equal(t, 3, n, "a full disk takes a part")
	require.ErrorIs(t, err, syscall.ENOSPC)
	require.ErrorIs(t, h.Truncate(4), syscall.ENOSPC)
	free, err := f.Free()
	require.NoError(t, err)
	require.Zero(t, free)
	require.NoError(t, f.Remove("a"))
	_, err = h.Write([]byte("4567890"))
	require.NoError(t, err)

	f.Inject(func(op crashfs.Op) error { return syscall.EIO }) // the card is pulled out
	_, err = f.Free()
	require.ErrorIs(t, err, syscall.EIO)
	_, err = f.Create("c")
	require.ErrorIs(t, err, syscall.EIO)
	_, err = h.ReadAt(make([]byte, 1), 0)
	require.ErrorIs(t, err, syscall.EIO)
	n, err = h.WriteAt([]byte("ab"), 0)
	require.ErrorIs(t, err, syscall.EIO)
	require.Equal(t, 1, n, "half is written")
	for _, err := range []error{f.Remove("b"), f.Rename("b", "c"), f.Link("b", "c"), f.Mkdir("d"), f.Sync("."), h.Sync(), h.Truncate(0),
		f.List(".", func(fs.DirEntry) error { return nil })} {
		require.ErrorIs(t, err, syscall.EIO)
	}
	f.Inject(func(crashfs.Op) error { return crashfs.ErrKilled })
	n, err = h.WriteAt([]byte("zz"), 0)
	require.ErrorIs(t, err, crashfs.ErrKilled)
	require.Zero(t, n)
	f.Inject(nil)
	require.Equal(t, "b=a234567890", tree(t, f), "nothing else has happened")
}

// TestOperationsAreCounted: a hook finds the one that it wants.
func TestOperationsAreCounted(t *testing.T) {
	var got []string
	f := crashfs.New(crashfs.Options{})
	f.Inject(func(op crashfs.Op) error {
		got = append(got, fmt.Sprint(op.N, " ", op.Call, " ", op.Name, " ", op.Changes(), " ", op.Idle))
		return nil
	})
	put(t, f, "a", "1")
	require.NoError(t, f.Sync("."))
	require.NoError(t, f.Sync("."))
	_, err := f.Free()
	require.NoError(t, err)
	require.Equal(t, []string{"1 create a true false", "2 write a true false", "3 sync a true false", "4 syncdir . true false",
		"5 syncdir . true true", "6 free . false false"}, got)
}

func TestTheSameSeedIsTheSameState(t *testing.T) {
	f := crashfs.New(crashfs.Options{})
	for i := range 20 {
		create(t, f, fmt.Sprint(i), strings.Repeat("x", 100*i))
	}
	sums := map[uint64]bool{}
	for seed := range uint64(100) {
		require.Equal(t, f.Crash(seed).Sum(), f.Crash(seed).Sum())
		require.Equal(t, f.Crash(seed).String(), f.Crash(seed).String())
		sums[f.Crash(seed).Sum()] = true
	}
	require.Greater(t, len(sums), 50)
}
