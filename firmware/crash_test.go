package firmware_test

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"maps"
	"math/rand/v2"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"roadseal/crypto/signed"
	"roadseal/crypto/signed/sign"
	"roadseal/firmware"
	"roadseal/firmware/report"
	"roadseal/hal/durable"
	"roadseal/hal/durable/crashfs"
	"roadseal/hal/durable/durabletest"
)

// A stage is what the repositories serve for a while.
type stage struct {
	director, images map[string][]byte
	offered          string // what stands in "verified" then
	attack           signed.Attack
	installs         *report.Image // what the unit has installed before it
}

// A served stage is a signed.Source.
type served map[string][]byte

func (s served) Fetch(_ context.Context, role string, version int64, limit int) ([]byte, error) {
	return (&repository{files: s}).Fetch(context.Background(), role, version, limit)
}

// stages are those that lives go through, in this order.
func stages(t *testing.T) (*world, []stage) {
	w := newWorld(t)
	var all []stage
	add := func(offered string, attack signed.Attack, installs *report.Image) {
		all = append(all, stage{maps.Clone(w.director.files), maps.Clone(w.images.files), offered, attack, installs})
	}
	first, third := imageOf("unit/1.img", 1), imageOf("unit/3.img", 3)
	add(verified(t, "unit/2.img", 2), "", &first)
	w.director.rotate(signed.Timestamp) // stored timestamp and snapshot go
	w.images.rotate(signed.Snapshot)
	w.offer("unit/3.img", 3)
	add(verified(t, "unit/3.img", 3), "", nil)
	directs(w, ordered(7)) // of an image 2 that has another counter
	add(verified(t, "unit/3.img", 3), signed.MixAndMatch, nil)
	w.director.targets.Files = map[string]sign.Target{"unit/3.img": {Data: contentOf("unit/3.img"), Custom: ordered(3)}}
	w.director.next()
	add("", "", &third)
	w.images.rotate(signed.Root)
	delegate(w, sign.Delegation{Name: "suppliers", Paths: []string{"unit/*"}})
	w.offer("unit/5.img", 5)
	add(verified(t, "unit/5.img", 5), "", nil)
	return w, all
}

// A life is that of a unit.
type life struct {
	w      *world
	stages []stage
	rng    *rand.Rand

	at       int              // stage that the repositories are at
	seen     int              // the last whose metadata is verified and promised to be durable
	stored   int              // the same of what stands in "verified", -1 for nothing promised
	installs *report.Image    // what is installed, for certain
	handed   map[int64]string // reports, by counter: the digest
	faulty   bool             // an error was injected
	judged   int
	did      map[string]int
}

func lives(t *testing.T) durabletest.Sweep {
	w, all := stages(t)
	return durabletest.Sweep{Sparse: true, Born: func(seed uint64) durabletest.Life { return newLife(w, all, seed) }}
}

func newLife(w *world, all []stage, seed uint64) *life {
	return &life{w: w, stages: all, rng: rand.New(rand.NewPCG(seed, 0)), seen: -1, stored: -1,
		handed: map[int64]string{}, did: map[string]int{}}
}

// updater is of a unit that is served one stage.
func (l *life) updater(fsys durable.FS, s stage, hand func([]byte) error) (*firmware.Updater, error) {
	o := l.w.options()
	o.Director, o.Images, o.State, o.Report = served(s.director), served(s.images), fsys, hand
	o.Roots = firmware.Roots{Director: s.director["1.root"], Images: s.images["1.root"]}
	now := today
	o.Now, o.Raise = func() time.Time { return now }, func(time.Time) {}
	o.Log = slog.New(slog.DiscardHandler)
	return firmware.New(o)
}

// take notes a report that was handed over, and demands that it goes on from
// those before.
func (l *life) take(file []byte) error {
	r, err := report.Open(file)
	if err != nil {
		return err
	}
	digest := r.Digest()
	switch before, ok := l.handed[r.Counter-1]; {
	case l.handed[r.Counter] != "" && l.handed[r.Counter] != digest:
		return fmt.Errorf("two reports with the counter %d", r.Counter)
	case r.Counter > 1 && !ok:
		return fmt.Errorf("report %d comes without the one before", r.Counter)
	case r.Counter > 1 && r.Previous != before:
		return fmt.Errorf("report %d does not follow the one before", r.Counter)
	}
	l.handed[r.Counter] = digest
	l.did["report"]++
	return nil
}

// adopt notes the report that was handed over last, at a start that was judged
// before and had its power cut: those before it may have been as well.
func (l *life) adopt(fsys durable.FS) error {
	data, err := durable.ReadFile(fsys, "reported", 1<<20)
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	r, err := report.Open(data)
	if err != nil {
		return fmt.Errorf("what is reported: %w", err)
	}
	if l.handed[r.Counter-1] == "" && l.handed[r.Counter] == "" {
		l.handed[r.Counter-1] = r.Previous
	}
	return l.take(data)
}

func (l *life) Work(fsys durable.FS) error {
	for range 2 {
		if err := l.step(fsys); errors.Is(err, syscall.EIO) || errors.Is(err, syscall.ENOSPC) {
			l.faulty = true
		} else if err != nil {
			return err
		}
	}
	return nil
}

// step provisions what the stage has installed, and makes attempts.
func (l *life) step(fsys durable.FS) error {
	s := l.stages[l.at]
	if s.installs != nil && s.installs != l.installs {
		data, err := report.Marshal(s.installs)
		if err == nil {
			err = durable.WriteFile(fsys, ".", "installed", data)
		}
		if err != nil {
			return err
		}
		l.installs = s.installs
	}
	var broken error
	u, err := l.updater(fsys, s, func(file []byte) error {
		broken = errors.Join(broken, l.take(file))
		return nil
	})
	if err != nil {
		return err
	}
	for range 2 {
		err = u.Check(context.Background())
		var e *signed.Error
		if errors.As(err, &e) && e.Attack == s.attack {
			l.did["attack"]++
			err = nil
		} else if err == nil && s.attack != "" {
			err = errors.New("the attack is not seen")
		} else if err == nil {
			l.seen, l.stored = l.at, l.at
			l.did["verified"]++
		}
		if err = errors.Join(broken, err); err != nil {
			return err
		}
	}
	if l.rng.IntN(2) == 0 && l.at+1 < len(l.stages) {
		l.at++
		l.did["stage"]++
	}
	return nil
}

// Judge implements durabletest.Life.
func (l *life) Judge(fsys durable.FS) error {
	if err := l.judgeVerified(fsys); err != nil {
		return err
	}
	if l.judged++; l.installs == nil || l.faulty && l.judged%6 != 0 { // most states after a fault are alike
		return nil
	}
	// What was verified is not taken back, by whoever serves what is old.
	if l.seen > 0 {
		if err := l.replay(fsys, l.judged%l.seen); err != nil {
			return err
		}
	}
	// The unit goes on with the present, and its reports with the last.
	after := &life{w: l.w, stages: l.stages, rng: l.rng, handed: maps.Clone(l.handed), did: map[string]int{}}
	var broken error
	if err := after.adopt(fsys); err != nil {
		return err
	}
	s := l.stages[l.at]
	u, err := l.updater(fsys, s, func(file []byte) error {
		broken = errors.Join(broken, after.take(file))
		return nil
	})
	if err == nil {
		err = u.Check(context.Background())
	}
	if attackOf(err) == s.attack && s.attack != "" {
		err = nil
	}
	if err = errors.Join(broken, err); err != nil {
		return fmt.Errorf("after it: %w", err)
	}
	return nil
}

// judgeVerified demands that "verified" is one that was, whole.
func (l *life) judgeVerified(fsys durable.FS) error {
	data, err := durable.ReadFile(fsys, "verified", 1<<20)
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	if l.stored >= 0 && l.stored == l.at && !l.faulty && string(data) != l.stages[l.stored].offered {
		return fmt.Errorf("what is verified is %q, not %q", data, l.stages[l.stored].offered)
	}
	for _, s := range l.stages[:l.at+1] {
		if string(data) == s.offered {
			return nil
		}
	}
	if err == nil {
		return fmt.Errorf("what is verified is %q, which nobody vouched for", data)
	}
	return nil
}

// replay serves an old stage to a copy of the disk.
func (l *life) replay(fsys durable.FS, old int) error {
	disk, ok := fsys.(*crashfs.FS)
	if !ok || l.faulty {
		return nil
	}
	u, err := l.updater(disk.Crash(0), l.stages[old], func([]byte) error { return nil })
	if err == nil {
		err = u.Check(context.Background())
	}
	if err == nil {
		return fmt.Errorf("after stage %d the unit takes stage %d", l.seen, old)
	}
	return nil
}

func TestPowerCuts(t *testing.T) { lives(t).States(t, 600) }

func TestFaultsThenPowerCuts(t *testing.T) { lives(t).Faults(t, 1) }

// TestALifeDoesEverything: a sweep over lives that never come to an attack
// would prove little.
func TestALifeDoesEverything(t *testing.T) {
	w, all := stages(t)
	did := map[string]int{}
	for seed := range uint64(10) {
		fsys := crashfs.New(crashfs.Options{})
		l := newLife(w, all, seed)
		for range 6 {
			require.NoError(t, l.Work(fsys))
			require.NoError(t, l.Judge(fsys.Crash(0)))
		}
		for what, n := range l.did {
			did[what] += n
		}
	}
	t.Log(did)
	for _, what := range []string{"verified", "attack", "report", "stage"} {
		require.Positive(t, did[what], what)
	}
}

// TestAReportIsDurableBeforeItIsHandedOver: also one whose name could not be
// synced, where the next sync says that all is well.
func TestAReportIsDurableBeforeItIsHandedOver(t *testing.T) {
	for seed := range uint64(20) {
		w := newWorld(t)
		fsys := crashfs.New(crashfs.Options{Seed: seed})
		w.fsys = fsys
		w.provision(imageOf("unit/1.img", 1))
		renamed, failed := false, false
		fsys.Inject(func(op crashfs.Op) error {
			if renamed && !failed && op.Call == "syncdir" {
				failed = true
				return syscall.EIO
			}
			renamed = renamed || op.Call == "rename" && op.Name == "report.tmp"
			return nil
		})
		o, handed := w.options(), 0
		o.Report = func(file []byte) error {
			handed++
			for cut := range uint64(20) {
				require.Equal(t, string(file), filesOf(t, fsys.Crash(cut))["report"])
			}
			return nil
		}
		u, err := firmware.New(o)
		require.NoError(t, err)
		require.ErrorIs(t, u.Check(t.Context()), syscall.EIO)
		require.Zero(t, handed)
		require.NoError(t, u.Check(t.Context()))
		require.Equal(t, 1, handed)
	}
}
