package spool_test

import (
	"fmt"
	"runtime"
	"slices"
	"testing"

	"github.com/stretchr/testify/require"

	"roadseal/agent/spool"
	"roadseal/crypto/envelope"
	"roadseal/hal/durable"
	"roadseal/hal/durable/crashfs"
)

// many is as many objects as a unit may have to keep: a month without a link.
const many = 26_500

func manyName(i int) string {
	n := envelope.Name{byte(i >> 16), byte(i >> 8), byte(i)}
	return fmt.Sprintf("%d.%08x.%08x.%s.%x.%x.%s.age", 1+i%4, 7, i, []string{"event", "video", "track"}[i%3],
		spool.Tag(n[:16]), 1<<20+i, n)
}

// TestAStartReadsNamesOnly: it neither opens nor looks at a single object, and
// its tables take little of the agent's 32 MiB.
func TestAStartReadsNamesOnly(t *testing.T) {
	d := crashfs.New(crashfs.Options{})
	for i := range many {
		f, err := d.Create(manyName(i))
		require.NoError(t, err)
		require.NoError(t, f.Close())
	}
	calls := map[string]int{}
	d.Inject(func(op crashfs.Op) error { calls[op.Call]++; return nil })
	var before, after runtime.MemStats
	runtime.GC()
	runtime.ReadMemStats(&before)
	s, err := spool.Open(d, spool.Options{MaxBytes: 1 << 50, Slots: slots, Order: order})
	require.NoError(t, err)
	runtime.GC()
	runtime.ReadMemStats(&after)
	heap := int64(after.HeapAlloc) - int64(before.HeapAlloc)
	t.Logf("%d objects: %d bytes of heap, %d an object; calls: %v", many, heap, heap/many, calls)
	require.Less(t, heap, int64(10<<20))
	delete(calls, "write") // of the reserve, in pieces or not
	require.Equal(t, map[string]int{"list": 1, "open": 2, "syncdir": 2, "free": 1, "remove": 1, "create": 1, "sync": 1, "rename": 1}, calls,
		"one list, two records, the reserve")
	n := 0
	for range s.Pending() {
		n++
	}
	require.Equal(t, many, n)
	require.Less(t, testing.AllocsPerRun(10, func() {
		for range s.Pending() {
			break
		}
	}), 10.0, "the queue is never copied")
	runtime.KeepAlive(s)
}

// TestPendingWhileTheQueueChanges: an iteration neither repeats nor skips what
// was there all the time.
func TestPendingWhileTheQueueChanges(t *testing.T) {
	objects := ""
	for range 200 {
		objects += "3q10 "
	}
	k := newTank(t, spool.Options{}, objects)
	all := slices.Collect(k.Pending())
	var seen []spool.Entry
	for e := range k.Pending() {
		seen = append(seen, e)
		if i := len(seen); i%3 == 0 {
			require.NoError(t, k.MarkStored(e))
			require.NoError(t, k.MarkStored(all[200-i/3]))
		}
	}
	require.Less(t, len(seen), 200)
	require.Greater(t, len(seen), 120)
	for i, e := range seen {
		require.Equal(t, all[i], e)
	}
}

func BenchmarkStart(b *testing.B) {
	d, err := durable.OpenDisk(b.TempDir())
	require.NoError(b, err)
	defer d.Close()
	for i := range many {
		f, err := d.Create(manyName(i))
		require.NoError(b, err)
		require.NoError(b, f.Close())
	}
	for b.Loop() {
		_, err := spool.Open(d, spool.Options{MaxBytes: 1 << 50, Slots: slots, Order: order})
		require.NoError(b, err)
	}
	b.ReportMetric(float64(b.Elapsed().Microseconds())/float64(b.N)/1000, "ms/start")
}

// TestWhatEvictingWrites counts what one object costs that makes room for
// another: a line in each record, however long they are.
func TestWhatEvictingWrites(t *testing.T) {
	opt := spool.Options{MaxBytes: 500 * int64(len(sealedOnce())), Slots: slots, Order: order}
	fsys := crashfs.New(crashfs.Options{})
	s, err := spool.Open(fsys, opt)
	require.NoError(t, err)
	next := 0
	seal := func() {
		next++
		m := meta(3, uint32(next), "video", 0)
		m.Tag = spool.Tag{byte(next >> 8), byte(next), 1}
		put(t, s, m, fake(next, 1))
	}
	for range 600 {
		seal()
	}
	const evictions = 400
	written, syncs := int64(0), 0
	count := sized{FS: fsys, written: &written, syncs: &syncs}
	s, err = spool.Open(count, opt)
	require.NoError(t, err)
	written, syncs = 0, 0
	for range evictions {
		seal()
	}
	objects := int64(evictions) * int64(len(sealedOnce()))
	t.Logf("%d bytes and %.2f syncs beside the object's own for each of %d objects that give way", (written-objects)/evictions, float64(syncs)/evictions-2, evictions)
	require.Len(t, s.Losses(), 100+evictions)
	require.Less(t, (written-objects)/evictions, int64(1000))
	require.Less(t, syncs, 6*evictions)
}

type sized struct {
	*crashfs.FS
	written *int64
	syncs   *int
}

type sizedFile struct {
	durable.File
	d sized
}

func (d sized) wrap(f durable.File, err error) (durable.File, error) {
	if err != nil {
		return nil, err
	}
	return sizedFile{f, d}, nil
}

func (d sized) Create(name string) (durable.File, error) { return d.wrap(d.FS.Create(name)) }
func (d sized) Update(name string) (durable.File, error) { return d.wrap(d.FS.Update(name)) }
func (d sized) Sync(dir string) error                    { *d.syncs++; return d.FS.Sync(dir) }
func (f sizedFile) Sync() error                          { *f.d.syncs++; return f.File.Sync() }

func (f sizedFile) Write(p []byte) (int, error) {
	*f.d.written += int64(len(p))
	return f.File.Write(p)
}

func (f sizedFile) WriteAt(p []byte, at int64) (int, error) {
	*f.d.written += int64(len(p))
	return f.File.WriteAt(p, at)
}
