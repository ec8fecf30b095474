package spool_test

import (
	"crypto/sha256"
	"slices"
	"syscall"
	"testing"

	"github.com/stretchr/testify/require"

	"roadseal/agent/spool"
	"roadseal/hal/durable"
	"roadseal/hal/durable/crashfs"
	"roadseal/hal/durable/durabletest"
)

func sweep() durabletest.Sweep { return durabletest.Sweep{Born: newLife} }

// smallDisk is a sweep over lives on a disk that is full now and then, also for
// the records.
func smallDisk() durabletest.Sweep {
	return durabletest.Sweep{Born: newNarrowLife, Capacity: smallCapacity}
}

func TestPowerCuts(t *testing.T) { sweep().States(t, 8_000) }

func TestPowerCutsOnAFullDisk(t *testing.T) { smallDisk().States(t, 2_500) }

func TestFaultsThenPowerCuts(t *testing.T) { sweep().Faults(t, 3) }

func TestEverySyncIsNeeded(t *testing.T) {
	sweep().Guard(t, 2, durabletest.Quiet{
		Seldom: map[string]string{
			"syncdir in agent/spool.(*Spool).readNames": "it is for a start after a kill between a rename and its sync",
			"syncdir in agent/spool.(*Spool).drop":      "a delivered object that comes back is known to be one, and its tag is durable",
			"syncdir in agent/spool.(*record).replace":  "tags that come back do no harm, and the sync that follows an unlink covers it",
		},
		Never: map[string]string{
			"syncdir in agent/spool.(*Spool).keepReserve": "a start that finds no reserve makes one",
		},
	})
}

// TestAClipThatIsSealedAnewIsNotThereTwice: a sync that failed may have made
// the first object's name durable, so it must be gone before the second has
// one.
func TestAClipThatIsSealedAnewIsNotThereTwice(t *testing.T) {
	opt := spool.Options{MaxBytes: 1 << 20, Slots: slots, Order: order}
	for seed := range uint64(20) {
		fsys := crashfs.New(crashfs.Options{Seed: seed})
		s, err := spool.Open(fsys, opt)
		require.NoError(t, err)
		commit := func(attempt int) error {
			b := fake(1, attempt)
			d, err := s.Create(3, int64(len(b)))
			require.NoError(t, err)
			_, err = d.Write(b)
			require.NoError(t, err)
			_, err = d.Commit(meta(3, uint32(attempt), "video", 1), sha256.Sum256(b), int64(len(b)))
			return err
		}
		failed := false
		fsys.Inject(func(op crashfs.Op) error {
			if op.Call == "syncdir" && !failed {
				failed = true
				return syscall.EIO
			}
			return nil
		})
		require.ErrorIs(t, commit(1), syscall.EIO)
		fsys.Inject(func(op crashfs.Op) error {
			for cut := uint64(0); op.Call == "syncdir" && cut < 100; cut++ {
				after, err := spool.Open(fsys.Crash(cut), opt)
				require.NoError(t, err)
				require.LessOrEqual(t, len(slices.Collect(after.Pending())), 1)
			}
			return nil
		})
		require.NoError(t, commit(2))
	}
}

// TestALifeDoesEverything: a sweep over lives that never come to evicting would
// prove little.
func TestALifeDoesEverything(t *testing.T) {
	for name, born := range map[string]func(uint64) durabletest.Life{"wide": newLife, "narrow": newNarrowLife} {
		did := map[string]int{}
		for seed := range uint64(10) {
			fsys := crashfs.New(crashfs.Options{Capacity: smallCapacity})
			l := born(seed * 40).(*life)
			for range 6 {
				require.NoError(t, l.Work(fsys), name)
				require.NoError(t, l.Judge(fsys), name)
			}
			for _, c := range l.clips {
				did[c.stage.String()]++
			}
			for what, n := range l.did {
				did[what] += n
			}
			if l.long {
				tags, err := durable.ReadFile(fsys, "tags", 1<<20)
				require.NoError(t, err)
				require.NotContains(t, string(tags), "\nff", "KeepTags")
			}
		}
		t.Log(name, did)
		want := []string{"queued", "stored", "dropped", "lost", "evicted", "damaged", "told", "promoted"}
		if name == "narrow" {
			want = append(want, "reserve used")
		}
		for _, what := range want {
			require.Positive(t, did[what], "%s: %s", name, what)
		}
	}
}
