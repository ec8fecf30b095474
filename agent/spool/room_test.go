package spool_test

import (
	"errors"
	"fmt"
	"io/fs"
	"slices"
	"strings"
	"syscall"
	"testing"

	"github.com/stretchr/testify/require"

	"roadseal/agent/spool"
	"roadseal/crypto/envelope"
	"roadseal/hal/durable/crashfs"
)

// A tank is a spool on a file system that says what it is told is free. Its
// objects are names only.
type tank struct {
	*spool.Spool
	t       *testing.T
	disk    *gauge
	objects []string
	opt     spool.Options
}

type gauge struct {
	*crashfs.FS
	free int64
	err  error

	stuck string // part of the names that cannot be removed
	shut  string // a name that cannot be opened
	fails int    // so often

	readable int // bytes of it, if not 0
}

func (g *gauge) Free() (int64, error) { return g.free, g.err }

var states = map[byte]string{'q': ".age", 's': ".stored", 'd': ".damaged"}

// newTank fills a tank with objects as in "3q100 1s20": class, state and size,
// oldest first.
func newTank(t *testing.T, opt spool.Options, objects string) *tank {
	t.Helper()
	opt.Slots, opt.Order = slots, order
	if opt.MaxBytes == 0 {
		opt.MaxBytes = 1 << 40
	}
	k := &tank{t: t, disk: &gauge{FS: crashfs.New(crashfs.Options{}), free: 1 << 40}, objects: strings.Fields(objects), opt: opt}
	for i, o := range k.objects {
		var class, size int
		var st byte
		_, err := fmt.Sscanf(o, "%1d%c%d", &class, &st, &size)
		require.NoError(t, err, o)
		tag := spool.Tag{byte(i + 1)}
		f, err := k.disk.Create(fmt.Sprintf("%d.00000001.%08x.video.%x.%x.%s%s", class, i, tag, size, envelope.Name{byte(i + 1)}, states[st]))
		require.NoError(t, err)
		require.NoError(t, f.Close())
	}
	require.NoError(t, k.disk.Sync("."))
	k.open()
	return k
}

func (k *tank) open() {
	s, err := spool.Open(k.disk, k.opt)
	require.NoError(k.t, err)
	k.Spool = s
}

// gone are the objects that are no longer there.
func (k *tank) gone() (gone []string) {
	names, err := ls(k.disk)
	require.NoError(k.t, err)
	for i, o := range k.objects {
		if !slices.ContainsFunc(names, func(n string) bool { return strings.Contains(n, envelope.Name{byte(i + 1)}.String()) }) {
			gone = append(gone, o)
		}
	}
	return gone
}

func (k *tank) create(class int, size int64) error {
	d, err := k.Create(class, size)
	if err != nil {
		return err
	}
	return d.Discard()
}

func TestWhatGivesWay(t *testing.T) {
	shares := [spool.Classes]int64{300, 100, 100, 50}
	for name, c := range map[string]struct {
		objects string
		class   int
		size    int64
		want    string // "" for ErrFull
	}{
		"delivered first, the oldest":              {"4q100 2s100 3s100 1s100 3q600", 4, 100, "2s100"},
		"no more than is needed":                   {"3q600 2s10 2s90 2s300", 4, 80, "2s90"},
		"then what is damaged":                     {"4q500 1d100 1s100 3q300", 4, 150, "1s100 1d100"},
		"plain footage before a parking event":     {"2q100 3q300 2q200 4q50 3q350", 2, 100, "3q300"},
		"the least valuable first":                 {"3q600 4q100 4q100 4q200", 1, 100, "4q100"},
		"each down to its share":                   {"3q150 3q150 3q100 4q50 4q50 4q50 1q450", 1, 250, "4q50 4q50 3q150"},
		"the own class last":                       {"3q400 4q200 4q50 1q300 2q50", 3, 100, "4q200"},
		"the own class, the oldest":                {"3q100 3q100 1q300 2q100 4q50 3q350", 3, 100, "3q100"},
		"a flood of parking takes parking":         {"1q300 2q100 2q500 3q100", 2, 100, "2q100"},
		"nor plain footage within its share":       {"3q100 4q50 2q850", 2, 50, "2q850"},
		"a clip of a crash takes parking":          {"2q400 2q400 3q100 4q50 1q50", 1, 100, "2q400"},
		"class 1 floods: class 2 keeps its share":  {"1q400 1q400 2q100 3q100", 1, 50, "1q400"},
		"class 2 claims its share back":            {"1q200 1q600 3q100 4q50 2q50", 2, 50, "1q200"},
		"the least valuable of those above first":  {"1q500 2q300 2q150 4q50", 3, 50, "2q300"},
		"and not below their shares":               {"1q300 2q100 3q150 1q450", 4, 50, "1q300"},
		"nothing more valuable beyond the share":   {"1q950 4q50", 4, 60, ""},
		"nothing at all":                           {"1q300 2q100 3q100 1s10 2d10 1q480", 4, 60, ""},
		"not even what would give a part":          {"1s50 1q950", 3, 150, ""},
		"a crash clip of a half full spool":        {"3q600", 1, 400, "-"},
		"what is partly within its share":          {"3q1000", 1, 400, "3q1000"},
		"but only for a more valuable class":       {"1q1000", 3, 50, ""},
		"what a larger one makes superfluous":      {"3q10 3q20 3q970", 1, 400, "3q970"},
		"free space below the limit is taken":      {"3q500 3q400", 4, 100, "-"},
		"held streams are no exception":            {"4q500 4q500", 4, 100, "4q500"},
		"an old object is old in all starts":       {"1q300 4q300 4q400", 4, 50, "4q300"},
		"an entitled class spares itself at first": {"4q10 1q90 1q900", 4, 40, "1q90"},
	} {
		k := newTank(t, spool.Options{MaxBytes: 1000, Shares: shares}, c.objects)
		before := k.Usage()
		err := k.create(c.class, c.size)
		if c.want == "" {
			require.ErrorIs(t, err, spool.ErrFull, name)
			require.Empty(t, k.gone(), name)
			require.Equal(t, before, k.Usage(), name)
			continue
		}
		require.NoError(t, err, name)
		require.ElementsMatch(t, strings.Fields(strings.Trim(c.want, "-")), k.gone(), name)
		for _, loss := range k.Losses() {
			require.Equal(t, spool.Evicted, loss.Reason)
			require.True(t, k.HasTag(loss.Tag), "%s: or the recorder's clip would be sealed again, only to go once more", name)
		}
	}
}

// TestFloods: whatever comes, a class keeps what fits into its share.
func TestFloods(t *testing.T) {
	shares := [spool.Classes]int64{300, 100, 100, 50}
	for class := 1; class <= spool.Classes; class++ {
		k := newTank(t, spool.Options{MaxBytes: 1000, Shares: shares}, "1q100 2q50 3q50 4q25 1q100 2q50 3q50 4q25 1q100 1q250 2q200")
		for range 1000 {
			require.NoError(t, k.create(class, 20))
		}
		held := map[int]int64{}
		for e := range k.Pending() {
			held[e.Class] += e.Size
		}
		for c, share := range shares {
			if c+1 != class {
				require.GreaterOrEqual(t, held[c+1], share, "class %d in a flood of class %d", c+1, class)
			}
		}
	}
}

// TestOthersFillTheDisk: the objects that nobody has yet give way byte for byte
// only.
func TestOthersFillTheDisk(t *testing.T) {
	k := newTank(t, spool.Options{KeepFree: 1000}, "3s100 3d50 3q300 3q300 3q300 3q300")
	k.disk.free = 200 // 800 are missing
	require.NoError(t, k.create(3, 10))
	require.Equal(t, []string{"3s100", "3d50", "3q300"}, k.gone())
	k.disk.free = 650
	for range 29 { // in the place of the same one
		d, err := k.Create(3, 10)
		require.NoError(t, err)
		require.Len(t, k.gone(), 3)
		_, err = d.Write(sealedOnce())
		require.NoError(t, err)
		_, err = d.Commit(meta(3, 1, "video", 1), envelope.Name{9}, int64(len(sealedOnce())))
		require.NoError(t, err)
		require.NoError(t, k.MarkStored(spool.Entry{Name: envelope.Name{9}}))
	}
	require.NoError(t, k.create(3, 300))
	require.Len(t, k.gone(), 3)
}

func TestADraftThatIsWrittenIsNotCountedTwice(t *testing.T) {
	k := newTank(t, spool.Options{KeepFree: 1000}, "3q300")
	k.disk.free = 2000
	d, err := k.Create(3, 900)
	require.NoError(t, err)
	_, err = d.Write(make([]byte, 900))
	require.NoError(t, err)
	k.disk.free = 1100
	require.NoError(t, k.create(3, 100))
	require.Empty(t, k.gone())
	require.NoError(t, d.Discard())
}

// TestAVanishedCardCostsNothing: whatever a call answers, what Free says is
// asked first, and what cannot be put on record does not go.
func TestAVanishedCardCostsNothing(t *testing.T) {
	const objects = "3s100 4d100 3q100 1q100"
	for name, broken := range map[string]error{"EIO": syscall.EIO, "ENOSPC": syscall.ENOSPC, "ENODEV": syscall.ENODEV, "EROFS": syscall.EROFS} {
		k := newTank(t, spool.Options{MaxBytes: 400}, objects)
		before := k.Usage()
		k.disk.err = broken
		require.ErrorIs(t, k.create(1, 100), broken)
		k.disk.err = nil
		k.disk.Inject(func(op crashfs.Op) error {
			if op.Changes() {
				return broken
			}
			return nil
		})
		require.ErrorIs(t, k.create(1, 400), broken, name)
		require.Equal(t, before, k.Usage(), name)
		_, err := k.Verify(t.Context(), slices.Collect(k.Pending())[0])
		require.ErrorIs(t, err, broken, "an empty file cannot be put aside")
		k.disk.Inject(nil)
		require.Equal(t, before, k.Usage(), name)
		k.open()
		require.Empty(t, k.gone(), name)
		require.Equal(t, before, k.Usage(), name)
		require.Empty(t, k.Losses())
	}
}

// TestTheReserveIsForTheRecords: on a disk without any room they are written all
// the same, and it is made again when there is some.
func TestTheReserveIsForTheRecords(t *testing.T) {
	fsys := crashfs.New(crashfs.Options{Capacity: 640 << 10})
	opt := spool.Options{MaxBytes: 1 << 40, Slots: slots, Order: order}
	s, err := spool.Open(fsys, opt)
	require.NoError(t, err)
	has := func() bool { names, err := ls(fsys); require.NoError(t, err); return slices.Contains(names, "reserve") }
	require.True(t, has())
	b := fake(1, 1)
	d, err := s.Create(3, int64(len(b)))
	require.NoError(t, err)
	_, err = d.Write(b)
	require.NoError(t, err)
	e, err := d.Commit(meta(3, 1, "video", 1), envelope.Name{1}, int64(len(b)))
	require.NoError(t, err)
	fill, err := fsys.Create("fill")
	require.NoError(t, err)
	_, err = fill.Write(make([]byte, 1<<20))
	require.ErrorIs(t, err, syscall.ENOSPC)
	require.NoError(t, fill.Close())

	d, err = s.Create(3, 1000)
	require.NoError(t, err)
	require.NoError(t, d.Discard())
	require.False(t, has())
	require.Len(t, s.Losses(), 1)
	require.Equal(t, e, s.Losses()[0].Entry)
	require.True(t, s.HasTag(e.Tag))
	require.NoError(t, fsys.Remove("fill"))
	d, err = s.Create(3, 1000)
	require.NoError(t, err)
	require.NoError(t, d.Discard())
	require.True(t, has())
}

// TestTheReserveIsKeptWhereThereIsRoom: ENOSPC alone proves nothing.
func TestTheReserveIsKeptWhereThereIsRoom(t *testing.T) {
	k := newTank(t, spool.Options{MaxBytes: 100}, "3q100")
	k.disk.Inject(func(op crashfs.Op) error {
		if op.Call == "write" {
			return syscall.ENOSPC
		}
		return nil
	})
	require.ErrorIs(t, k.create(3, 100), syscall.ENOSPC)
	k.disk.Inject(nil)
	files, err := ls(k.disk)
	require.NoError(t, err)
	require.Contains(t, files, "reserve")
	require.Empty(t, k.gone())
}

func TestNothingThatCannotBe(t *testing.T) {
	k := newTank(t, spool.Options{MaxBytes: 1000}, "3q300 3s10")
	require.ErrorIs(t, k.create(3, 1001), spool.ErrTooLarge)
	for _, class := range []int{-1, 0, 5} {
		require.ErrorContains(t, k.create(class, 1), "internal error")
	}
	require.ErrorContains(t, k.create(3, -1), "internal error")
	require.Empty(t, k.gone())
}

// blocks is a disk that counts in blocks, as disks do.
type blocks struct {
	*crashfs.FS
	total int64
}

func (b *blocks) Free() (int64, error) {
	free := b.total
	err := b.FS.List(".", func(d fs.DirEntry) error {
		f, err := b.FS.Open(d.Name())
		if err != nil {
			return err
		}
		n, err := f.Size()
		free -= (n + 4095) / 4096 * 4096
		return errors.Join(err, f.Close())
	})
	return free, err
}

// TestAFullSpoolDoesNotStandInItsOwnWay: with clips of one size, what one gives
// is what the next takes; the spool's records and whole blocks come on top.
func TestAFullSpoolDoesNotStandInItsOwnWay(t *testing.T) {
	d := &blocks{crashfs.New(crashfs.Options{}), 4 << 20}
	s, err := spool.Open(d, spool.Options{MaxBytes: 1 << 40, KeepFree: 1 << 20, Slots: slots, Order: order})
	require.NoError(t, err)
	body := sealedOnce()
	for i := range 1000 {
		draft, err := s.CreateRing(3, int64(len(body)))
		require.NoError(t, err, "clip %d", i)
		_, err = draft.Write(body)
		require.NoError(t, err)
		_, err = draft.Commit(meta(3, uint32(i+1), "video", byte(i)), envelope.Name{byte(i), byte(i >> 8), 7}, int64(len(body)))
		require.NoError(t, err)
	}
	require.Greater(t, s.Usage().Evicted[2].Objects, int64(500))
}
