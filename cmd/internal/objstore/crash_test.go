package objstore_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"math/rand/v2"
	"slices"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"roadseal/agent/wire"
	"roadseal/cmd/internal/objstore"
	"roadseal/cmd/internal/objstore/objstoretest"
	"roadseal/crypto/envelope"
	"roadseal/hal/durable"
	"roadseal/hal/durable/crashfs"
	"roadseal/hal/durable/durabletest"
)

func sweep() durabletest.Sweep { return durabletest.Sweep{Born: newLife} }

func TestPowerCuts(t *testing.T) { sweep().States(t, 5_000) }

func TestFaultsThenPowerCuts(t *testing.T) { sweep().Faults(t, 3) }

func TestEverySyncIsNeeded(t *testing.T) {
	sweep().Guard(t, 6, durabletest.Quiet{
		Never: map[string]string{
			"sync in cmd/internal/objstore.(*folderObject).Settle": "it is for objects that another program put there: Commit syncs before it links",
		},
	})
}

// TestACopyThatCannotBeRemovedIsNotForgotten: its id would be taken for as long
// as the collector runs, and the vehicle's object refused.
func TestACopyThatCannotBeRemovedIsNotForgotten(t *testing.T) {
	for _, fails := range []string{"sync", "truncate", "none"} {
		fsys := crashfs.New(crashfs.Options{})
		f, err := objstore.NewFolder(fsys, roomy)
		require.NoError(t, err)
		b, name := objstoretest.Bytes(1, 1000)
		key := objstore.Key{Class: 3, Name: name}
		st := objstoretest.Write(t, f, name.String(), b)
		fsys.Inject(func(op crashfs.Op) error {
			if op.Call == "remove" || op.Call == fails {
				return syscall.EIO
			}
			return nil
		})
		if fails == "none" {
			require.ErrorIs(t, st.Discard(), syscall.EIO)
		} else {
			require.ErrorIs(t, st.Commit(t.Context(), key), syscall.EIO)
		}
		_, _, err = f.Stage(t.Context(), objstoretest.ID(2), 1000)
		require.Equal(t, fails == "truncate", err != nil, "%v", err)
		fsys.Inject(nil)
		objstoretest.Put(t, f, key, b)
		objstoretest.Put(t, f, objstore.Key{Class: 3, Name: envelope.Name{2}}, b)
		for seed := range uint64(50) {
			again, err := objstore.NewFolder(fsys.Crash(seed), roomy)
			require.NoError(t, err)
			o, err := again.Get(t.Context(), key)
			require.NoError(t, err)
			require.NoError(t, o.Close())
		}
	}
}

// A life does with a folder what a worker of the collector does.
type life struct {
	rng      *rand.Rand
	offers   []envelope.Name // that have come
	bytes    map[envelope.Name][]byte
	promised map[objstore.Key]bool // receipts were signed for these
	buf      []byte
}

func newLife(seed uint64) durabletest.Life {
	return &life{rng: rand.New(rand.NewPCG(seed, 0)), bytes: map[envelope.Name][]byte{}, promised: map[objstore.Key]bool{}}
}

const (
	maxOffers = 16
	week      = 7 * 24 * time.Hour // nothing goes for its age
)

// offer is one that has come before, or a new one. One has two blocks.
func (l *life) offer() envelope.Name {
	n := len(l.offers)
	if n > 0 && l.rng.IntN(2) == 0 || n == maxOffers {
		return l.offers[l.rng.IntN(n)]
	}
	size := 600 + n
	if n == 3 {
		size += wire.BlockSize
	}
	b, name := objstoretest.Bytes(uint64(n), size)
	l.offers, l.bytes[name] = append(l.offers, name), b
	return name
}

// injected are the errors that a life lives with.
func injected(err error) bool { return errors.Is(err, syscall.EIO) || errors.Is(err, syscall.ENOSPC) }

func (l *life) Work(fsys durable.FS) error {
	f, err := objstore.NewFolder(fsys, objstore.Limits{Count: 3, Bytes: 1 << 20, Age: week})
	queue := slices.Clone(l.offers) // the vehicles offer again what they have no receipt for
	for i := 0; i < 10 && err == nil; i++ {
		queue = append(queue, l.offer())
	}
	for i := 0; i < len(queue) && err == nil; i++ {
		key := objstore.Key{Class: 1 + l.rng.IntN(wire.MaxClass), Name: queue[i]}
		if err = l.look(f, key); errors.Is(err, fs.ErrNotExist) {
			err = l.receive(f, key)
		}
		if err == nil && l.rng.IntN(4) == 0 {
			err = l.drop(f, queue[l.rng.IntN(i+1)])
		}
		if injected(err) {
			err = nil
		}
	}
	if injected(err) {
		return nil
	}
	return err
}

// drop removes what was set aside of an object, as for a vehicle that has too
// many.
func (l *life) drop(f *objstore.Folder, name envelope.Name) error {
	st, _, err := f.Resume(context.Background(), name.String(), int64(len(l.bytes[name])))
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	if err != nil {
		return err
	}
	return st.Discard()
}

// look confirms an object that is there, and adds it under a longer class.
func (l *life) look(f *objstore.Folder, key objstore.Key) error {
	for class := 1; class <= wire.MaxClass; class++ {
		there := objstore.Key{Class: class, Name: key.Name}
		o, err := f.Get(context.Background(), there)
		if errors.Is(err, fs.ErrNotExist) {
			continue
		}
		if err != nil {
			return err
		}
		if !l.promised[there] { // what is promised is durable, and settling it shows nothing
			err = o.Settle(context.Background())
		}
		if err == nil {
			err = l.same(o, o.Size(), key.Name)
		}
		if err = errors.Join(err, o.Close()); err != nil {
			return err
		}
		l.promised[there] = true
		if class > key.Class {
			if err := f.Add(context.Background(), there, key); err != nil {
				return err
			}
			l.promised[key] = true
		}
		return nil
	}
	return fs.ErrNotExist
}

// receive stages the missing blocks of an object, now and then only some, and
// commits it.
func (l *life) receive(f *objstore.Folder, key objstore.Key) error {
	b := l.bytes[key.Name]
	for {
		st, have, err := f.Stage(context.Background(), key.Name.String(), int64(len(b)))
		if errors.Is(err, objstore.ErrFull) {
			return nil
		}
		if err != nil {
			return err
		}
		resumed := have.Count() > 0
		for i := range wire.Blocks(int64(len(b))) {
			if l.rng.IntN(5) == 0 {
				return st.Close()
			}
			if have.Has(i) {
				continue
			}
			if err := st.WriteBlock(i, b[i*wire.BlockSize:min(len(b), (i+1)*wire.BlockSize)]); err != nil {
				return errors.Join(err, st.Discard())
			}
		}
		if err := l.same(st, int64(len(b)), key.Name); err == nil {
			if err := st.Commit(context.Background(), key); err != nil {
				return err
			}
			l.promised[key] = true
			return nil
		} else if !resumed {
			return errors.Join(err, st.Discard())
		}
		if err := st.Discard(); err != nil { // damaged by a power cut: begun anew
			return err
		}
	}
}

// same checks the bytes of an object that has been staged or stored.
func (l *life) same(r io.ReaderAt, size int64, name envelope.Name) error {
	want := l.bytes[name]
	if int64(len(want)) != size {
		return fmt.Errorf("%v has %d bytes, not %d", name, size, len(want))
	}
	l.buf = slices.Grow(l.buf[:0], len(want))[:len(want)]
	_, err := r.ReadAt(l.buf, 0)
	if err == nil && !bytes.Equal(l.buf, want) {
		err = fmt.Errorf("%v has other bytes than its name says", name)
	}
	return err
}

// Judge implements durabletest.Life.
func (l *life) Judge(fsys durable.FS) error {
	f, err := objstore.NewFolder(fsys, objstore.Limits{Count: maxOffers, Bytes: 1 << 20, Age: week})
	if err != nil {
		return err
	}
	if err := errors.Join(l.judge(f), unlinked(fsys)); err != nil {
		return err
	}
	if err := f.Foreign(context.Background(), func(path, _ string) error { return errors.New(path + " is foreign") }); err != nil {
		return err
	}
	// A name that came back in staging must not be a way into the pool.
	for _, name := range l.offers {
		st, _, err := f.Resume(context.Background(), name.String(), int64(len(l.bytes[name])))
		if errors.Is(err, fs.ErrNotExist) {
			continue
		}
		if err == nil {
			err = errors.Join(st.WriteBlock(0, make([]byte, min(len(l.bytes[name]), wire.BlockSize))), st.Close())
		}
		if err != nil {
			return err
		}
	}
	if f, err = objstore.NewFolder(fsys, objstore.Limits{Count: maxOffers, Bytes: 1 << 20, Age: week}); err != nil {
		return fmt.Errorf("second start: %w", err)
	}
	return l.judge(f)
}

// unlinked checks that nothing in staging is an object in pool as well.
func unlinked(fsys durable.FS) error {
	return fsys.List("staging", func(e fs.DirEntry) error {
		info, err := e.Info()
		if err == nil && info.Sys().(*syscall.Stat_t).Nlink > 1 {
			err = fmt.Errorf("%s is stored and still in staging", e.Name())
		}
		return err
	})
}

// judge looks whether all that was promised is there, and nothing but whole
// objects.
func (l *life) judge(f *objstore.Folder) error {
	found := map[objstore.Key]bool{}
	err := f.List(context.Background(), func(e objstore.Entry) error {
		found[e.Key] = true
		o, err := f.Get(context.Background(), e.Key)
		if err != nil {
			return err
		}
		return errors.Join(l.same(o, o.Size(), e.Name), o.Close())
	})
	if err != nil {
		return err
	}
	for key := range l.promised {
		if !found[key] {
			return fmt.Errorf("%v was stored and is gone", key)
		}
	}
	return nil
}
