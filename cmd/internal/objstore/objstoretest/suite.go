// Package objstoretest holds what every store behind the port of objstore must
// pass. Only tests import it.
//
// Side: black.
package objstoretest

import (
	"bytes"
	"crypto/sha256"
	"errors"
	"io"
	"io/fs"
	"math/rand/v2"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"roadseal/agent/wire"
	"roadseal/cmd/internal/objstore"
	"roadseal/crypto/envelope"
)

// Run tests a store. backing makes an empty one and returns a function that
// opens it: each call stands for a start of the process, the ones before it
// having been killed. The store must have room to stage 4 objects of 1 MiB.
func Run(t *testing.T, backing func(t *testing.T) (open func() objstore.Store)) {
	for name, test := range map[string]func(*testing.T, func() objstore.Store){
		"stored objects read back":      readBack,
		"nothing is overwritten":        noOverwrite,
		"a second class adds":           secondClass,
		"resume after a crash":          resume,
		"close keeps, discard drops":    closeAndDiscard,
		"blocks off the grid":           offGrid,
		"ids and sizes do not mix":      idsAndSizes,
		"listing":                       listing,
		"one name committed many times": race,
	} {
		t.Run(name, func(t *testing.T) { test(t, backing(t)) })
	}
}

// Bytes are n bytes that differ by seed, and their name.
func Bytes(seed uint64, n int) ([]byte, envelope.Name) {
	b := make([]byte, n)
	r := rand.New(rand.NewPCG(seed, 0))
	for i := range b {
		b[i] = byte(r.Uint32())
	}
	return b, sha256.Sum256(b)
}

// Sealed is what a sealed object looks like from outside, with a plaintext of
// that many bytes: a good header and noise. Its name is the second result.
func Sealed(seed uint64, slots int, plain int64) ([]byte, envelope.Name) {
	b, _ := Bytes(seed, int(envelope.SealedSize(slots, plain)))
	h := envelope.Header{Stanzas: make([]envelope.Stanza, slots)}
	for i := range h.Stanzas {
		copy(h.Stanzas[i].Enc[:], b[i:])
		copy(h.Stanzas[i].Body[:], b[2*i:])
	}
	copy(b, h.Marshal())
	return b, sha256.Sum256(b)
}

// ID is a staging id.
func ID(seed uint64) string {
	_, n := Bytes(seed, 1)
	return n.String()
}

// Write stages all blocks of b that are missing.
func Write(t *testing.T, s objstore.Store, id string, b []byte) objstore.Staged {
	t.Helper()
	st, have, err := s.Stage(t.Context(), id, int64(len(b)))
	must(t, err)
	for i := range wire.Blocks(int64(len(b))) {
		if !have.Has(i) {
			must(t, st.WriteBlock(i, block(b, i)))
		}
	}
	return st
}

func block(b []byte, i int) []byte {
	return b[i*wire.BlockSize : min(len(b), (i+1)*wire.BlockSize)]
}

// Put stores b under key.
func Put(t *testing.T, s objstore.Store, key objstore.Key, b []byte) {
	t.Helper()
	must(t, Write(t, s, key.Name.String(), b).Commit(t.Context(), key))
}

func must(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

func mustBe(t *testing.T, err, want error) {
	t.Helper()
	if !errors.Is(err, want) {
		t.Fatalf("got error %v, want %v", err, want)
	}
}

func holds(t *testing.T, s objstore.Store, key objstore.Key, want []byte) {
	t.Helper()
	o, err := s.Get(t.Context(), key)
	must(t, err)
	must(t, o.Settle(t.Context()))
	got, err := io.ReadAll(io.NewSectionReader(o, 0, o.Size()+1))
	must(t, err)
	must(t, o.Close())
	if o.Size() != int64(len(want)) || !bytes.Equal(got, want) {
		t.Fatalf("%v holds other bytes than were stored", key)
	}
}

func readBack(t *testing.T, open func() objstore.Store) {
	for i, n := range []int{1, 1000, wire.BlockSize, wire.BlockSize + 1, 9*wire.BlockSize - 1, 1 << 20} {
		b, name := Bytes(uint64(i), n)
		key := objstore.Key{Class: 1 + i%4, Name: name}
		s := open()
		_, err := s.Get(t.Context(), key)
		mustBe(t, err, fs.ErrNotExist)
		Put(t, s, key, b)
		holds(t, s, key, b)
		holds(t, open(), key, b)
	}
}

func noOverwrite(t *testing.T, open func() objstore.Store) {
	s := open()
	b, name := Bytes(1, 100_000)
	other, _ := Bytes(2, 100_000)
	key := objstore.Key{Class: 2, Name: name}
	Put(t, s, key, b)
	mustBe(t, Write(t, s, ID(1), other).Commit(t.Context(), key), fs.ErrExist)
	mustBe(t, s.Add(t.Context(), key, key), fs.ErrExist)
	holds(t, s, key, b)
	_, have, err := s.Stage(t.Context(), ID(1), int64(len(other)))
	must(t, err)
	if have.Count() != 0 {
		t.Fatal("the staged copy is still there after Commit")
	}
}

func secondClass(t *testing.T, open func() objstore.Store) {
	s := open()
	b, name := Bytes(1, 100_000)
	three, one := objstore.Key{Class: 3, Name: name}, objstore.Key{Class: 1, Name: name}
	mustBe(t, s.Add(t.Context(), three, one), fs.ErrNotExist)
	Put(t, s, three, b)
	must(t, s.Add(t.Context(), three, one))
	for _, s := range []objstore.Store{s, open()} {
		holds(t, s, three, b)
		holds(t, s, one, b)
	}
}

func resume(t *testing.T, open func() objstore.Store) {
	b, name := Bytes(1, 9*wire.BlockSize+5)
	order := []int{3, 0, 9, 8, 1, 2, 7, 4, 6, 5}
	written := wire.NewBitmap(int64(len(b)))
	for _, i := range order {
		s := open() // the one before is killed with its copy open
		st, have, err := s.Stage(t.Context(), ID(1), int64(len(b)))
		must(t, err)
		if !bytes.Equal(have, written) {
			t.Fatalf("found %08b after a crash, wrote %08b", have, written)
		}
		must(t, st.WriteBlock(i, block(b, i)))
		written.Set(i)
	}
	s := open()
	st := Write(t, s, ID(1), b)
	got, err := io.ReadAll(io.NewSectionReader(st, 0, int64(len(b))))
	must(t, err)
	if !bytes.Equal(got, b) {
		t.Fatal("the staged copy does not read back")
	}
	key := objstore.Key{Class: 4, Name: name}
	must(t, st.Commit(t.Context(), key))
	holds(t, s, key, b)
}

func closeAndDiscard(t *testing.T, open func() objstore.Store) {
	s := open()
	b, _ := Bytes(1, 2*wire.BlockSize)
	st := Write(t, s, ID(1), b)
	if _, _, err := s.Stage(t.Context(), ID(1), int64(len(b))); err == nil {
		t.Fatal("one copy was opened twice")
	}
	must(t, st.Close())
	st, have, err := s.Stage(t.Context(), ID(1), int64(len(b)))
	must(t, err)
	if !have.Full(int64(len(b))) {
		t.Fatal("Close has lost blocks")
	}
	must(t, st.Discard())
	_, have, err = s.Stage(t.Context(), ID(1), int64(len(b)))
	must(t, err)
	if have.Count() != 0 {
		t.Fatal("Discard has kept blocks")
	}
}

func offGrid(t *testing.T, open func() objstore.Store) {
	s := open()
	size := int64(2*wire.BlockSize + 10)
	st, _, err := s.Stage(t.Context(), ID(1), size)
	must(t, err)
	for i, n := range map[int]int{-1: wire.BlockSize, 0: wire.BlockSize - 1, 1: wire.BlockSize + 1, 2: 11, 3: 0} {
		if st.WriteBlock(i, make([]byte, n)) == nil {
			t.Errorf("%d bytes were taken as block %d of %d bytes", n, i, size)
		}
	}
	for _, id := range []string{"", "x", "../" + ID(1)[3:], strings.ToUpper(ID(1))} {
		if _, _, err := s.Stage(t.Context(), id, 10); err == nil {
			t.Errorf("id %q was taken", id)
		}
	}
}

func idsAndSizes(t *testing.T, open func() objstore.Store) {
	s := open()
	a, _ := Bytes(1, 3*wire.BlockSize)
	must(t, Write(t, s, ID(1), a).Close())
	_, have, err := s.Stage(t.Context(), ID(2), int64(len(a)))
	must(t, err)
	if have.Count() != 0 {
		t.Fatal("another id finds the blocks")
	}
	_, have, err = s.Stage(t.Context(), ID(1), int64(len(a))+wire.BlockSize)
	must(t, err)
	if have.Count() != 0 {
		t.Fatal("another size finds the blocks")
	}
}

func listing(t *testing.T, open func() objstore.Store) {
	s := open()
	var want, got []objstore.Entry
	before := time.Now().UTC().Truncate(24 * time.Hour)
	for i := range 12 {
		b, name := Bytes(uint64(i), 1000+i)
		key := objstore.Key{Class: 1 + i%4, Name: name}
		Put(t, s, key, b)
		want = append(want, objstore.Entry{Key: key, Size: int64(len(b))})
	}
	_, _, err := s.Stage(t.Context(), ID(99), 1000)
	must(t, err)
	must(t, open().List(t.Context(), func(e objstore.Entry) error {
		if e.Day.Before(before) || e.Day.After(time.Now()) || !e.Day.Equal(e.Day.Truncate(24*time.Hour)) {
			t.Errorf("stored on %v, which is not a day or not today", e.Day)
		}
		e.Day = time.Time{}
		got = append(got, e)
		return nil
	}))
	byKey := func(a, b objstore.Entry) int { return strings.Compare(a.String(), b.String()) }
	slices.SortFunc(want, byKey)
	slices.SortFunc(got, byKey)
	if !slices.Equal(got, want) {
		t.Fatalf("listed %v, stored %v", got, want)
	}
	stop, calls := errors.New("enough"), 0
	mustBe(t, s.List(t.Context(), func(objstore.Entry) error { calls++; return stop }), stop)
	if calls != 1 {
		t.Fatalf("listing went on after an error: %d calls", calls)
	}
}

func race(t *testing.T, open func() objstore.Store) {
	s := open()
	b, name := Bytes(1, 200_000)
	key := objstore.Key{Class: 1, Name: name}
	var wg sync.WaitGroup
	var errs [4]error
	for i := range errs {
		st := Write(t, s, ID(uint64(i)), b)
		wg.Go(func() { errs[i] = st.Commit(t.Context(), key) })
	}
	wg.Wait()
	first := 0
	for _, err := range errs {
		if err == nil {
			first++
		} else {
			mustBe(t, err, fs.ErrExist)
		}
	}
	if first != 1 {
		t.Fatalf("%d of %d commits of one name say that they made it", first, len(errs))
	}
	holds(t, s, key, b)
}
