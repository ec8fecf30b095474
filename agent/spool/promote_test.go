package spool_test

import (
	"fmt"
	"slices"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"roadseal/agent/spool"
	"roadseal/crypto/envelope"
	"roadseal/hal/durable/crashfs"
)

// TestPromote: one rename makes a clip's object what it would be if it were
// sealed now. Whoever has it in hand goes on with it.
func TestPromote(t *testing.T) {
	r := newRig(t)
	r.put(meta(2, 1, "event", 1), "an older crash")
	delivered := r.put(meta(3, 2, "video", 2), "locked after it was delivered")
	waiting := r.put(meta(3, 3, "video", 3), "locked while it waits")
	require.NoError(t, r.MarkStored(delivered))
	locked := map[spool.Entry]spool.Tag{delivered: {2, 15: 3}, waiting: {3, 15: 3}}
	for e, tag := range locked {
		found, ok := r.Find(e.Tag)
		require.True(t, ok)
		require.Equal(t, e, found)
		done, err := r.Promote(e, 1, "event", tag)
		require.NoError(t, err)
		require.True(t, done)
	}
	for range 2 {
		pending := slices.Collect(r.Pending())
		require.Equal(t, []string{"event/1", "event/2", "event/3"}, names(pending))
		require.Equal(t, []int{2, 1, 1}, []int{pending[0].Class, pending[1].Class, pending[2].Class})
		for e, tag := range locked {
			require.False(t, r.HasTag(e.Tag))
			require.True(t, r.HasTag(tag))
			f, err := r.Open(e)
			require.NoError(t, err, "in hand as what it was")
			require.NoError(t, f.Close())
			intact, err := r.Verify(t.Context(), e)
			require.NoError(t, err)
			require.True(t, intact)
		}
		u := r.Usage()
		require.Equal(t, []int{3, 0, 0}, []int{u.QueuedObjects, u.StoredObjects, u.Foreign})
		r.reopen()
	}

	require.NoError(t, r.MarkStored(waiting), "a receipt for the shorter class")
	require.Equal(t, 3, r.Usage().QueuedObjects, "does not count")
	now, ok := r.Find(spool.Tag{3, 15: 3})
	require.True(t, ok)
	require.NoError(t, r.MarkStored(now))
	require.Equal(t, 2, r.Usage().QueuedObjects)
	again, err := r.Promote(now, 1, "manual", spool.Tag{3, 15: 2})
	require.NoError(t, err)
	require.True(t, again)
	require.Equal(t, 1, r.Usage().StoredObjects, "the class is what a collector is asked for, and it has that")
}

// TestWhatIsNotPromoted: what has left, what is damaged, what no name can say.
func TestWhatIsNotPromoted(t *testing.T) {
	k := newTank(t, spool.Options{}, "3q100 3d100")
	damaged := spool.Entry{Name: envelope.Name{2}}
	for e, stream := range map[spool.Entry]string{
		{Name: envelope.Name{9}}: "event", damaged: "event", {Name: envelope.Name{1}}: strings.Repeat("x", 17),
	} {
		before, err := ls(k.disk)
		require.NoError(t, err)
		done, err := k.Promote(e, 1, stream, spool.Tag{1})
		require.NoError(t, err)
		require.False(t, done)
		after, err := ls(k.disk)
		require.NoError(t, err)
		require.Equal(t, before, after)
	}
}

// TestThePromotedNameCounts: a power cut may leave an object under several
// names. What was named last is never taken back.
func TestThePromotedNameCounts(t *testing.T) {
	name := func(class, stream string, tag spool.Tag, state string) string {
		return fmt.Sprintf("%s.00000001.00000001.%s.%x.64.%s.%s", class, stream, tag, envelope.Name{1}, state)
	}
	plain, locked := spool.Tag{1}, spool.Tag{1, 15: 3}
	for _, c := range [][]string{ // the last one counts
		{name("3", "video", plain, "age"), name("1", "event", locked, "age")},
		{name("3", "video", plain, "stored"), name("1", "event", locked, "age")},
		{name("3", "video", plain, "age"), name("3", "video", plain, "stored"), name("1", "event", locked, "age")},
		{name("1", "event", locked, "age"), name("1", "event", locked, "stored")},
		{name("3", "video", plain, "stored"), name("1", "event", locked, "age"), name("1", "event", locked, "stored")},
		{name("3", "video", plain, "age"), name("1", "event", locked, "damaged")},
		{name("4", "video", plain, "age"), name("2", "parking", plain, "age"), name("1", "event", locked, "age")},
	} {
		for range 6 { // the order of a listing is any
			fsys := crashfs.New(crashfs.Options{})
			for _, n := range c {
				f, err := fsys.Create(n)
				require.NoError(t, err)
				require.NoError(t, f.Close())
			}
			s, err := spool.Open(fsys, spool.Options{MaxBytes: 1 << 30, Slots: slots, Order: order})
			require.NoError(t, err)
			files, err := ls(fsys)
			require.NoError(t, err)
			require.Equal(t, []string{c[len(c)-1], "reserve"}, files)
			require.Zero(t, s.Usage().Foreign)
		}
	}
}

// TestKeepFreeIsTheRings: a clip of the recorder's ring never leaves less than
// keep_free, and costs nothing where it would. A sixteenth of keep_free may be
// taken by the spool's own records before.
func TestKeepFreeIsTheRings(t *testing.T) {
	for name, c := range map[string]struct {
		objects string
		free    int64
		size    int64
		want    error
		gone    []string
	}{
		"room":                               {"3q100", 1100, 100, nil, nil},
		"in the place of what is delivered":  {"3q100 3s100", 1000, 100, nil, []string{"3s100"}},
		"of what is damaged":                 {"3q100 3d100", 1000, 100, nil, []string{"3d100"}},
		"of other footage, as long as it is": {"3q100 3q100", 1050, 100, nil, []string{"3q100"}},
		"not below":                          {"3q100 3q100", 937, 100, spool.ErrKeepFree, nil},
		"not with all that is delivered":     {"3q100 3s90", 900, 100, spool.ErrKeepFree, nil},
		"nor of events":                      {"1q500", 1050, 100, spool.ErrKeepFree, nil},
	} {
		k := newTank(t, spool.Options{KeepFree: 1000}, c.objects)
		k.disk.free = c.free
		if k.Tight() {
			_, err := k.CreateRing(3, 1)
			require.ErrorIs(t, err, spool.ErrKeepFree, name)
		}
		d, err := k.CreateRing(3, c.size)
		if c.want != nil {
			require.ErrorIs(t, err, c.want, name)
		} else {
			require.NoError(t, err, name)
			require.NoError(t, d.Discard())
		}
		require.Equal(t, c.gone, k.gone(), name)
	}
	k := newTank(t, spool.Options{KeepFree: 1000}, "3q100 3s40 3d50 1q500")
	for free, tight := range map[int64]bool{1100: false, 848: false, 847: true, 0: true} {
		k.disk.free = free
		require.Equal(t, tight, k.Tight(), free)
	}
	d, err := k.Create(1, 60)
	require.NoError(t, err)
	k.disk.free = 907
	require.True(t, k.Tight(), "what is being sealed will take its room")
	require.NoError(t, d.Discard())
	k = newTank(t, spool.Options{KeepFree: 1000}, "3q100 3q100")
	k.disk.free = 999
	require.NoError(t, k.create(1, 100), "an event comes in the place of footage")
	require.Equal(t, []string{"3q100"}, k.gone())
	k.disk.free += 100
	d, err = k.CreateRing(3, 100)
	require.NoError(t, err)
	require.NoError(t, d.Discard())
	require.Len(t, k.gone(), 2, "what was credited may be taken by others: footage gives its own")
}

// TestAPromotedObjectIsKeptAsItsClass: it counts to the share of that.
func TestAPromotedObjectIsKeptAsItsClass(t *testing.T) {
	k := newTank(t, spool.Options{MaxBytes: 400, Shares: [spool.Classes]int64{100, 0, 100, 0}}, "3q100 3q100 3q100 3q100")
	e, ok := k.Find(spool.Tag{1})
	require.True(t, ok)
	done, err := k.Promote(e, 1, "event", spool.Tag{1, 15: 3})
	require.NoError(t, err)
	require.True(t, done)
	require.NoError(t, k.create(3, 300))
	files, err := ls(k.disk)
	require.NoError(t, err)
	require.True(t, slices.ContainsFunc(files, func(n string) bool { return strings.HasPrefix(n, "1.") && strings.HasSuffix(n, ".age") }))
	require.Len(t, k.gone(), 3, "the oldest of all, but an event now")
}
