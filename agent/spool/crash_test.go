package spool_test

import (
	"bytes"
	"crypto/sha256"
	"encoding/binary"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"math/rand/v2"
	"reflect"
	"slices"
	"strings"
	"sync"
	"syscall"
	"testing"

	"github.com/stretchr/testify/require"

	"roadseal/agent/spool"
	"roadseal/crypto/envelope"
	"roadseal/crypto/open"
	"roadseal/crypto/recipient"
	"roadseal/crypto/seal"
	"roadseal/hal/durable"
	"roadseal/hal/durable/crashfs"
	"roadseal/hal/durable/durabletest"
)

func sweep() durabletest.Sweep { return durabletest.Sweep{Born: newLife} }

func TestPowerCuts(t *testing.T) { sweep().States(t, 10_000) }

func TestFaultsThenPowerCuts(t *testing.T) { sweep().Faults(t, 6) }

func TestEverySyncIsNeeded(t *testing.T) {
	sweep().Guard(t, 4, durabletest.Quiet{
		Seldom: map[string]string{
			"syncdir in agent/spool.(*Spool).readNames": "it is for a start after a kill between a rename and its sync",
		},
		Never: map[string]string{
			"syncdir in agent/spool.(*Spool).drop": "what comes back is a delivered object whose tag is durable; the sync of the next Commit covers it",
		},
	})
}

// sealedOnce is one small sealed object. Others differ in the ciphertext behind
// the header, which nobody on the vehicle can read.
var sealedOnce = sync.OnceValue(func() []byte {
	id, err := open.Generate()
	if err != nil {
		panic(err)
	}
	var b bytes.Buffer
	if _, err := seal.Object(&b, strings.NewReader("x"), rec("video"), []recipient.Key{id.Recipient()}, slots); err != nil {
		panic(err)
	}
	return b.Bytes()
})

// fake is the way a clip is sealed at an attempt.
func fake(clip, attempt int) []byte {
	b := slices.Clone(sealedOnce())
	binary.BigEndian.PutUint32(b[len(b)-8:], uint32(clip))
	binary.BigEndian.PutUint32(b[len(b)-4:], uint32(attempt))
	return b
}

// A stage is what was promised for a clip. Those in -ing stand for a call that
// has not returned, or not well: both outcomes are good.
type stage int

const (
	sealing stage = iota
	queued
	marking
	doubtful // marking, and its space was needed
	stored
	dropping
	dropped
)

type clip struct {
	stage
	tag   spool.Tag
	gone  bool // from the recorder
	tried map[envelope.Name][]byte
	entry spool.Entry // of the last attempt
}

// A life does with a spool what intake and uplink do.
type life struct {
	rng   *rand.Rand
	opt   spool.Options
	clips []*clip
	boot  uint32
	seq   uint32
	long  bool // with a ledger of which KeepTags keeps the clips that are there
	begun bool
}

func newLife(seed uint64) durabletest.Life {
	l := &life{rng: rand.New(rand.NewPCG(seed, 0)), long: seed%40 == 0}
	l.opt = spool.Options{MaxBytes: 4 * int64(len(sealedOnce())), Slots: slots, Order: order}
	return l
}

// injected are the errors that a life lives with.
func injected(err error) bool { return errors.Is(err, syscall.EIO) || errors.Is(err, syscall.ENOSPC) }

func (l *life) Work(fsys durable.FS) error {
	if l.long && !l.begun {
		if err := durable.WriteFile(fsys, ".", "tags", fillers()); err != nil {
			return unless(injected(err), err)
		}
		l.begun = true
	}
	s, err := spool.Open(fsys, l.opt)
	if err != nil {
		return unless(injected(err), err)
	}
	l.boot++
	l.adopt(s)
	steps := []func(*spool.Spool) error{l.seal, l.seal, l.seal, l.deliver, l.deliver, l.discard, l.keepTags}
	for range 14 {
		err := steps[l.rng.IntN(len(steps))](s)
		if err != nil && !injected(err) {
			return err
		}
	}
	return nil
}

func unless(excused bool, err error) error {
	if excused {
		return nil
	}
	return err
}

// fillers are the tags of clips that are gone since long.
var fillers = sync.OnceValue(func() []byte {
	var b bytes.Buffer
	for i := range 4096 {
		fmt.Fprintf(&b, "ff%030x\n", i)
	}
	return b.Bytes()
})

// adopt looks up what came of the calls that were cut off. What a start finds
// is promised from then on.
func (l *life) adopt(s *spool.Spool) {
	pending := s.Pending()
	for _, c := range l.clips {
		i := slices.IndexFunc(pending, func(e spool.Entry) bool { return c.tried[e.Name] != nil })
		switch {
		case i >= 0:
			c.stage, c.entry = queued, pending[i]
		case c.stage == sealing:
		case has(s, c.entry):
			c.stage = stored
		default:
			c.stage = dropped
		}
	}
}

// has reports whether the spool has a delivered object still.
func has(s *spool.Spool, e spool.Entry) bool {
	e.Stored = true
	f, err := s.Open(e)
	return err == nil && f.Close() == nil
}

func (l *life) newClip() *clip {
	c := &clip{tried: map[envelope.Name][]byte{}}
	if n := len(l.clips); n%4 != 3 { // every fourth is a batch of fixes
		c.tag = spool.Tag{1, byte(n)}
	}
	l.clips = append(l.clips, c)
	return c
}

// next is a clip that waits for being sealed, or a new one.
func (l *life) next(s *spool.Spool) (*clip, int) {
	for i, c := range l.clips {
		if c.stage == sealing && c.tag != (spool.Tag{}) && !s.HasTag(c.tag) {
			return c, i
		}
	}
	return l.newClip(), len(l.clips) - 1
}

func (l *life) seal(s *spool.Spool) error {
	c, i := l.next(s)
	b := fake(i, len(c.tried))
	l.mayDrop()
	d, err := s.Create(int64(len(b)))
	l.look(s)
	if errors.Is(err, spool.ErrFull) {
		return nil
	}
	if err != nil {
		return err
	}
	l.seq++
	m := spool.Meta{Class: 1 + i%4, Boot: l.boot, Sequence: l.seq, Stream: []string{"event", "video"}[i%2], Tag: c.tag}
	c.entry = spool.Entry{Meta: m, Name: sha256.Sum256(b), Size: int64(len(b))}
	c.tried[c.entry.Name] = b
	for part := range slices.Chunk(b, 2500) {
		if _, err := d.Write(part); err != nil {
			return errors.Join(err, d.Discard())
		}
	}
	if _, err := d.Commit(m, c.entry.Name, c.entry.Size); err != nil {
		return err
	}
	c.stage = queued
	return nil
}

// mayDrop is what Create may do to delivered clips.
func (l *life) mayDrop() {
	for _, c := range l.clips {
		switch c.stage {
		case stored:
			c.stage = dropping
		case marking:
			c.stage = doubtful
		}
	}
}

// look finds out which clips Create has dropped.
func (l *life) look(s *spool.Spool) {
	for _, c := range l.clips {
		if c.stage == dropping {
			c.stage = dropped
			if has(s, c.entry) {
				c.stage = stored
			}
		}
	}
}

func (l *life) deliver(s *spool.Spool) error {
	pending := s.Pending()
	if len(pending) == 0 {
		return nil
	}
	e := pending[l.rng.IntN(len(pending))]
	c := l.clips[slices.IndexFunc(l.clips, func(c *clip) bool { return c.tried[e.Name] != nil })]
	c.stage = marking
	if err := s.MarkStored(e.Name); err != nil {
		return err
	}
	c.stage = stored
	return nil
}

func (l *life) discard(s *spool.Spool) error {
	l.mayDrop()
	d, err := s.Create(10)
	l.look(s)
	if errors.Is(err, spool.ErrFull) {
		return nil
	}
	if err != nil {
		return err
	}
	_, err = d.Write([]byte("half a c"))
	return errors.Join(err, d.Discard())
}

func (l *life) keepTags(s *spool.Spool) error {
	var present []spool.Tag
	for _, c := range l.clips {
		c.gone = c.gone || l.long && l.rng.IntN(8) == 0
		if !c.gone {
			present = append(present, c.tag)
		}
	}
	return s.KeepTags(present)
}

// Judge implements durabletest.Life.
func (l *life) Judge(fsys durable.FS) error {
	s, err := spool.Open(fsys, l.opt)
	if err != nil {
		return err
	}
	pending := s.Pending()
	for i, c := range l.clips {
		if err := c.judge(s, pending); err != nil {
			return fmt.Errorf("clip %d, tag %x, stage %d: %w", i, c.tag[:2], c.stage, err)
		}
	}
	if n := len(pending); n != s.Usage().QueuedObjects || s.Usage().Foreign != 0 {
		return fmt.Errorf("%d objects wait, the spool says %+v", n, s.Usage())
	}
	before, err := ls(fsys)
	if err != nil {
		return err
	}
	if i := slices.IndexFunc(before, func(n string) bool { return strings.HasSuffix(n, durable.TmpSuffix) }); i >= 0 {
		return fmt.Errorf("litter is left: %s", before[i])
	}
	again, err := spool.Open(fsys, l.opt)
	if err != nil {
		return fmt.Errorf("second start: %w", err)
	}
	after, err := ls(fsys)
	if err == nil && (!reflect.DeepEqual(after, before) || !reflect.DeepEqual(again.Pending(), pending) || again.Usage() != s.Usage()) {
		err = fmt.Errorf("a second start changes something: %v, %v", before, after)
	}
	return err
}

func (c *clip) judge(s *spool.Spool, pending []spool.Entry) error {
	var mine []spool.Entry
	for _, e := range pending {
		if want := c.tried[e.Name]; want != nil {
			mine = append(mine, e)
			if err := whole(s, e, want); err != nil {
				return err
			}
		}
	}
	switch {
	case len(mine) > 1 && c.tag != spool.Tag{}:
		return errors.New("queued twice")
	case c.stage == queued && !slices.Contains(mine, c.entry):
		return errors.New("was committed, is not queued")
	case c.stage == marking && len(mine) == 0 && !has(s, c.entry):
		return errors.New("is gone since a receipt came for it")
	case c.stage >= stored && len(mine) > 0:
		return errors.New("was delivered, is queued")
	case c.stage == stored && !has(s, c.entry):
		return errors.New("was delivered, is gone, though its space was not needed")
	case c.stage >= queued && !c.gone && c.tag != spool.Tag{} && !s.HasTag(c.tag):
		return errors.New("its tag is forgotten")
	}
	return nil
}

// whole checks that an object that is queued as good is good.
func whole(s *spool.Spool, e spool.Entry, want []byte) error {
	f, err := s.Open(e)
	if err != nil {
		return err
	}
	got, err := io.ReadAll(f)
	if err = errors.Join(err, f.Close()); err == nil && !bytes.Equal(got, want) {
		err = errors.New("is queued with other bytes")
	}
	return err
}

func ls(fsys durable.FS) (names []string, err error) {
	err = fsys.List(".", func(e fs.DirEntry) error { names = append(names, e.Name()); return nil })
	slices.Sort(names)
	return names, err
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
			d, err := s.Create(int64(len(b)))
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
				require.LessOrEqual(t, len(after.Pending()), 1)
			}
			return nil
		})
		require.NoError(t, commit(2))
	}
}

// TestALifeDoesEverything: a sweep over a life that never comes to evicting
// would prove little.
func TestALifeDoesEverything(t *testing.T) {
	disk, err := durable.OpenDisk(t.TempDir())
	require.NoError(t, err)
	defer disk.Close()
	l := newLife(80).(*life)
	count := map[stage]int{}
	for range 4 {
		require.NoError(t, l.Work(disk))
		require.NoError(t, l.Judge(disk))
	}
	for _, c := range l.clips {
		count[c.stage]++
	}
	require.Positive(t, count[queued])
	require.Positive(t, count[stored])
	require.Positive(t, count[dropped])
	ledger, err := durable.ReadFile(disk, "tags", 1<<20)
	require.NoError(t, err)
	require.NotContains(t, string(ledger), hex.EncodeToString([]byte{0xff}), "KeepTags")
}
