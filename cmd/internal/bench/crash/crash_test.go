package crash

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"testing"

	"github.com/stretchr/testify/require"

	"roadseal/cmd/internal/bench/crash/disk"
)

// programs builds agent and collector once, in the folder bin.
var programs = sync.OnceValue(func() error {
	// The test cache sees what this process reads, not what the compiler does.
	for _, dir := range []string{"agent", "cmd", "crypto", "hal"} {
		err := filepath.WalkDir(filepath.Join("../../../..", dir), func(path string, _ fs.DirEntry, err error) error {
			_, serr := os.Stat(path)
			return errors.Join(err, ignoreMissing(serr))
		})
		if err != nil {
			return err
		}
	}
	build := exec.Command("go", "build", "-buildvcs=false", "-o", bin, "roadseal/cmd/roadseal-agent", "roadseal/cmd/roadseal-collector")
	build.Env = append(os.Environ(), "CGO_ENABLED=0")
	if out, err := build.CombinedOutput(); err != nil {
		return fmt.Errorf("cannot build the programs: %w\n%s", err, out)
	}
	return nil
})

var bin string

func TestMain(m *testing.M) { os.Exit(runAndClean(m)) }

func runAndClean(m *testing.M) int {
	var err error
	if bin, err = os.MkdirTemp("", "roadseal-crash-bin-"); err != nil {
		panic(err)
	}
	defer os.RemoveAll(bin)
	return m.Run()
}

func options(t *testing.T) Options {
	t.Helper()
	if _, err := exec.LookPath("strace"); err != nil || os.Geteuid() != 0 {
		t.Skip("needs root and strace")
	}
	require.NoError(t, programs())
	p := Plan{Busy: 2, Every: 90, States: 4, Doubles: 2, Collector: true}
	if testing.Short() {
		p = Plan{Busy: 2, Every: 140, States: 2, Doubles: 1}
	}
	return Options{Agent: filepath.Join(bin, "roadseal-agent"), Collector: filepath.Join(bin, "roadseal-collector"), Seed: 7, Plan: p}
}

func testKit(t *testing.T) *kit {
	t.Helper()
	o := options(t)
	require.NoError(t, o.complete(t.Context()))
	dir, err := os.MkdirTemp(o.Work, "roadseal-crash-test-")
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, os.RemoveAll(dir)) })
	k, err := newKit(o, dir)
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, k.close()) })
	return k
}

// TestASample runs the sweeps as they are, at some points of each.
func TestASample(t *testing.T) {
	t.Parallel()
	o := options(t)
	var told []*Sweep
	o.Tell = func(s *Sweep) { told = append(told, s) }
	r, err := Run(t.Context(), o)
	require.NoError(t, err)
	require.Equal(t, told, r.Sweeps)
	points := map[string]int{}
	for _, s := range r.Sweeps {
		require.Empty(t, s.Examples, s.Name)
		points[s.Name] = s.Points
	}
	require.True(t, r.Passed)
	p := o.Plan
	require.Equal(t, p.States, points["replay agent"])
	require.LessOrEqual(t, points["double either"], p.Doubles)
	require.NotZero(t, points["kill agent"])
	if p.Collector {
		require.Equal(t, p.States, points["replay collector"])
	}
}

// TestACollectorIsKilled at one of its calls, and one of the agent's fails.
func TestACollectorIsKilled(t *testing.T) {
	t.Parallel()
	k := testKit(t)
	l, err := k.lane(t.Context())
	require.NoError(t, err)
	defer k.back(l)
	trap := &trap{l: l, root: l.root(cloud), nth: 2}
	flaws, err := l.killed(t.Context(), trap, cloud)
	require.NoError(t, err)
	require.Empty(t, flaws)
	require.NotEmpty(t, trap.met())
	f := fault{probe: probe{call: "fsync"}, errno: "EIO", nth: 1}
	healers := &healers{seen: map[string]bool{"fsync ROOT": true}} // it is not given time to heal in place
	hit, flaws, err := l.failed(t.Context(), newSweep("EIO"), f, vehicle, healers)
	require.NoError(t, err)
	require.Empty(t, flaws)
	require.Equal(t, "fsync ROOT", hit)
}

// TestWhatIsBrokenIsSeen breaks each promise by hand, after a drive that went
// well.
func TestWhatIsBrokenIsSeen(t *testing.T) {
	t.Parallel()
	k := testKit(t)
	l, err := k.lane(t.Context())
	require.NoError(t, err)
	defer k.back(l)
	require.NoError(t, l.reset(l.cast.recorders(false), nil))
	require.NoError(t, l.drive(t.Context(), untraced))
	require.Empty(t, l.examine(l.recover(t.Context(), untraced)))
	require.Empty(t, l.fixesThere())

	one, two := objectOf(t, l, l.cast.first[1]), objectOf(t, l, l.cast.first[2])
	b := contentOf(t, one)
	elsewhere := strings.Replace(one, "/1/", "/4/", 1)
	locked := l.path("cloud/store/pool", longest, l.store.names(l.cast.locked())[0])
	record, err := l.ledger()
	require.NoError(t, err)
	require.NotEmpty(t, record.losses, "the held clip gave way")
	require.Equal(t, 1, record.count)
	evicted, told := record.losses[0].name, 0
	forget := func() error { return os.Truncate(l.path(spoolFolder, "losses"), 30) }
	for _, s := range []*shelf{l.store, l.spool} {
		for path, o := range s.seen {
			if len(o.told) > 0 {
				told++
				rest := forget
				forget = func() error { return errors.Join(rest(), os.Remove(path)) }
			}
		}
	}
	require.NotZero(t, told, "a health document tells of it, too")
	held := "4.00000001.00000001.parking." + strings.Repeat("0", 32) + ".1." + evicted + "." + queued
	for name, c := range map[string]struct {
		want     flawKind
		do       func() error
		promised []string
	}{
		"an object is missing":          {lost, func() error { return os.Remove(one) }, nil},
		"a locked clip is kept shorter": {lost, func() error { return os.Rename(locked, strings.Replace(locked, "/1/", "/3/", 1)) }, nil},
		"an object has other bytes":     {damaged, func() error { return os.WriteFile(one, append([]byte("x"), b[1:]...), 0o600) }, nil},
		"an object is no clip":          {damaged, func() error { return os.WriteFile(one, b[:len(b)-1], 0o600) }, nil},
		"an object is there twice":      {twiceNamed, func() error { return os.WriteFile(elsewhere, b, 0o600) }, nil},
		"litter in the spool":           {orphan, func() error { return os.WriteFile(l.path(spoolFolder, "9.tmp"), nil, 0o600) }, nil},
		"an object was never offered":   {damaged, func() error { return os.WriteFile(l.path(spoolFolder, held), []byte("x"), 0o600) }, nil},
		"litter in staging":             {orphan, func() error { return os.WriteFile(l.path("cloud/store/staging/x"), nil, 0o600) }, nil},
		"a clip of the recorder":        {lost, func() error { return os.Remove(l.path("vehicle", l.cast.later.path(true))) }, nil},
		"a promised object":             {lost, func() error { return nil }, []string{strings.Repeat("a", 64)}},
		"an eviction is not on record":  {lost, forget, nil},
		"an eviction, and its promise":  {lost, forget, []string{evicted}},
		"an eviction is not counted":    {lost, func() error { return os.Truncate(l.path(spoolFolder, "losses"), 30) }, nil},
		"nothing; the record has it":    {flawKind(-1), func() error { return nil }, []string{evicted}},
		"one clip under another's name": {damaged, func() error { return os.WriteFile(one, contentOf(t, two), 0o600) }, nil},
	} {
		restore := l.saved(t)
		require.NoError(t, c.do())
		l.store, l.promised = newShelf(l.store.pool, "", l.keys), c.promised
		flaws := l.examine(nil)
		if c.want < 0 {
			require.Empty(t, flaws, name)
		} else {
			require.NotEmpty(t, flaws, name)
			require.Equal(t, c.want, flaws[0].kind, "%s: %v", name, flaws)
		}
		restore()
	}
	for want, err := range map[flawKind]error{stuck: errors.New("waited"), failure: errBadEnd, lost: errLost, damaged: errDamaged} {
		require.Equal(t, want, l.examine(err)[0].kind)
	}
	require.Equal(t, failure, l.examine(errEnded)[0].kind)
}

// TestAClipSealedTwiceIsSeen, and two objects of one number.
func TestAClipSealedTwiceIsSeen(t *testing.T) {
	c := newCast(1)
	l := &lane{kit: &kit{cast: c}, store: newShelf("", "", nil), spool: newShelf("", "", nil)}
	for i, x := range c.all() {
		l.store.seen[x.name] = &object{name: x.name, class: longest, sum: x.sum, boot: 1, sequence: uint32(i)}
	}
	v := &verdict{lane: l}
	v.clips()
	v.numbers()
	require.Empty(t, v.flaws)
	l.store.seen["again"] = &object{name: "again", sum: c.first[0].sum, boot: 1, sequence: 0}
	v.clips()
	v.numbers()
	require.Len(t, v.flaws, 2)
	require.Equal(t, []flawKind{twiceSealed, twiceNamed}, []flawKind{v.flaws[0].kind, v.flaws[1].kind})
}

// TestALockedClipThatIsNotKeptLongerIsSeen, and that it may be there for both
// classes, as no other may.
func TestALockedClipThatIsNotKeptLongerIsSeen(t *testing.T) {
	c := newCast(1)
	l := &lane{kit: &kit{cast: c}, store: newShelf("", "", nil), spool: newShelf("", "", nil)}
	for i, x := range c.all() {
		l.store.seen[x.name] = &object{name: x.name, class: "3", sum: x.sum, boot: 1, sequence: uint32(i)}
	}
	flaws := func() (kinds []flawKind) {
		v := &verdict{lane: l}
		v.clips()
		v.numbers()
		for _, f := range v.flaws {
			kinds = append(kinds, f.kind)
		}
		return kinds
	}
	require.Equal(t, []flawKind{lost}, flaws())
	for i, x := range c.all() {
		twice := *l.store.seen[x.name]
		twice.class = longest
		l.store.seen["longer"] = &twice
		require.Equal(t, map[bool][]flawKind{true: nil, false: {lost, twiceNamed}}[i == 0], flaws(), i)
	}
}

// objectOf is the path of a clip's object in the store.
func objectOf(t *testing.T, l *lane, c clip) string {
	t.Helper()
	for path, o := range l.store.seen {
		if o.sum == c.sum {
			return path
		}
	}
	t.Fatal("no such object")
	return ""
}

func contentOf(t *testing.T, path string) []byte {
	t.Helper()
	b, err := os.ReadFile(path)
	require.NoError(t, err)
	return b
}

// saved keeps all files of a lane and returns what brings them back.
func (l *lane) saved(t *testing.T) (restore func()) {
	t.Helper()
	var dirs = [...]string{l.path("vehicle"), l.path("cloud")}
	var trees [2]disk.Tree
	for i, dir := range dirs {
		trees[i] = disk.Tree{}
		require.NoError(t, filepath.WalkDir(dir, func(path string, e fs.DirEntry, err error) error {
			rel := strings.TrimPrefix(path, dir+"/")
			switch {
			case err != nil || path == dir:
			case e.IsDir():
				trees[i][rel] = nil
			default:
				trees[i][rel] = disk.Given(contentOf(t, path))
			}
			return err
		}))
	}
	return func() {
		for i, dir := range dirs {
			require.NoError(t, trees[i].Write(dir))
		}
	}
}

// TestAMissingSyncIsSeen takes four syncs out of a recording on which objects,
// names, the key of the tags and the record of losses depend.
func TestAMissingSyncIsSeen(t *testing.T) {
	t.Parallel()
	k := testKit(t)
	rec, err := k.recording(t.Context())
	require.NoError(t, err)
	sound := map[uint64]int{}
	for _, st := range rec.unique(vehicle, disk.None, false) {
		sound[st.digest] = len(st.promised)
	}
	l, err := k.lane(t.Context())
	require.NoError(t, err)
	defer k.back(l)
	h := rec.of[vehicle]
	want := []string{
		"sync state/spool/N.tmp after write state/spool/N.tmp",
		"syncdir state/spool after rename state/spool/N.tmp to state/spool/OBJECT.age",
		"sync state/tag.key.tmp after write state/tag.key.tmp",
		"sync state/spool/losses.tmp after write state/spool/losses.tmp",
	}
	for _, sync := range h.Syncs() {
		for i, w := range want {
			if h.Describe(sync) != w {
				continue
			}
			m := Mutant{}
			require.NoError(t, k.mutate(t.Context(), l, rec, vehicle, sync, sound, &m))
			require.NotEmpty(t, m.Seen, w)
			want = append(want[:i:i], want[i+1:]...)
			break
		}
	}
	require.Empty(t, want, "the recording has them all")
}

func TestWhatARunNeeds(t *testing.T) {
	t.Setenv("PATH", t.TempDir())
	_, err := Run(t.Context(), Options{})
	require.ErrorContains(t, err, "install the Debian package strace")
	_, err = Run(t.Context(), Options{Strace: "/bin/true", Emulator: []string{"qemu-arm"}})
	require.ErrorContains(t, err, "install the Debian package qemu-user")
}

// TestLanesAreBounded: who finds no inotify instance free for its agent waits
// until another is done.
func TestLanesAreBounded(t *testing.T) {
	k := testKit(t)
	k.berths = make(chan struct{}, 1)
	l, err := k.lane(t.Context())
	require.NoError(t, err)
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	_, err = k.lane(ctx)
	require.ErrorIs(t, err, context.Canceled)
	k.back(l)
	again, err := k.lane(t.Context())
	require.NoError(t, err)
	require.Same(t, l, again)
	k.back(again)
}

// TestEachCallFails: every probe grows until two of its calls in a row were not
// there, or there are enough.
func TestEachCallFails(t *testing.T) {
	has := map[string]int{"fsync": 3, "unlinkat": 0, "openat": 9}
	q := newQueue([]probe{{call: "fsync"}, {call: "unlinkat"}, {call: "openat", most: 5}}, false)
	met := map[string]int{}
	for p, nth, ok := q.next(); ok; p, nth, ok = q.next() {
		hit := nth <= has[p.call]
		if q.result(p.call, hit); hit {
			met[p.call]++
		}
	}
	require.Equal(t, map[string]int{"fsync": 3, "openat": 5}, met)
}
