package spool_test

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/binary"
	"errors"
	"fmt"
	"io/fs"
	"math/rand/v2"
	"slices"
	"strings"
	"sync"
	"syscall"

	"roadseal/agent/spool"
	"roadseal/crypto/envelope"
	"roadseal/crypto/open"
	"roadseal/crypto/recipient"
	"roadseal/crypto/seal"
	"roadseal/hal/durable"
	"roadseal/hal/durable/durabletest"
)

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

// A stage is what was promised for a clip.
type stage int

const (
	sealing stage = iota
	queued
	stored  // has its receipt
	dropped // after that
	lost    // gave way, or was found damaged: that is on record
)

func (s stage) String() string {
	return [...]string{"sealing", "queued", "stored", "dropped", "lost"}[s]
}

// A clip goes through the spool. The flags stand for calls that have not
// returned, or not well: what they may do may have happened or not.
type clip struct {
	stage
	tag      spool.Tag
	gone     bool // from the recorder
	tried    map[envelope.Name][]byte
	entry    spool.Entry // of the last attempt
	marking  bool        // MarkStored
	rising   bool        // Promote
	atRisk   bool        // Create, which may need its space
	rotten   bool        // somebody damages it
	verified bool        // Verify, of a rotten one
	told     bool        // Reported
	reported bool        // the same, and it has returned
	reason   string      // of its loss
	cleared  bool        // the file of a damaged one had to go as well
}

func (c *clip) String() string {
	return fmt.Sprintf("%v, tag %x, marking %t, rising %t, at risk %t, rotten %t, verified %t, told %t, reason %q, name %.8s",
		c.stage, c.tag, c.marking, c.rising, c.atRisk, c.rotten, c.verified, c.told, c.reason, c.entry.Name)
}

// risen is the entry after a promotion.
func (c *clip) risen() spool.Entry {
	e := c.entry
	e.Class, e.Stream, e.Tag = 1, "event", lockedTag(c.tag)
	return e
}

func lockedTag(t spool.Tag) spool.Tag {
	t[len(t)-1] |= 3
	return t
}

// known reports whether the clip is not to be sealed again.
func (c *clip) known(s *spool.Spool) bool {
	return s.HasTag(c.tag) || c.rising && s.HasTag(lockedTag(c.tag))
}

// A life does with a spool what intake and uplink do.
type life struct {
	rng    *rand.Rand
	opt    spool.Options
	clips  []*clip
	boot   uint32
	seq    uint32
	long   bool // with so many tags that KeepTags keeps only those of the clips that are there
	narrow bool // on a disk that others fill
	begun  bool
	faulty bool // an error was injected
	did    map[string]int
}

func newLife(seed uint64) durabletest.Life {
	size := int64(len(sealedOnce()))
	return &life{rng: rand.New(rand.NewPCG(seed, 0)), long: seed%40 == 0, did: map[string]int{},
		opt: spool.Options{MaxBytes: 5 * size, Shares: [spool.Classes]int64{2 * size, size, size}, Slots: slots, Order: order}}
}

// smallCapacity holds the reserve and room for another, which is filled.
const smallCapacity = 640 << 10

func newNarrowLife(seed uint64) durabletest.Life {
	l := newLife(seed).(*life)
	l.long, l.narrow = false, true
	l.opt.MaxBytes = 1 << 30
	return l
}

// excuse passes over the errors that a life lives with.
func (l *life) excuse(err error) error {
	var at *fs.PathError
	switch full := errors.Is(err, syscall.ENOSPC); {
	case full && l.narrow && errors.As(err, &at) && at.Op == "write":
		return nil
	case full || errors.Is(err, syscall.EIO):
		l.faulty = true
		return nil
	}
	return err
}

func (l *life) Work(fsys durable.FS) error {
	if l.long && !l.begun {
		if err := durable.WriteFile(fsys, ".", "tags", fillers()); err != nil {
			return l.excuse(err)
		}
		l.begun = true
	}
	s, err := spool.Open(fsys, l.opt)
	if err != nil {
		return l.excuse(err)
	}
	l.boot++
	if err := l.adopt(s, fsys); err != nil {
		return err
	}
	steps := []func(*spool.Spool, durable.FS) error{l.seal, l.seal, l.seal, l.seal, l.deliver, l.deliver, l.promote, l.discard, l.keepTags, l.rot, l.verify, l.report}
	if l.narrow {
		steps = append(steps, l.fill, l.fill)
	}
	for range 16 {
		if err := l.excuse(steps[l.rng.IntN(len(steps))](s, fsys)); err != nil {
			return err
		}
	}
	return nil
}

// fillers are the tags of clips that are gone since long.
var fillers = sync.OnceValue(func() []byte {
	b := bytes.NewBufferString("roadseal source tags 1\n")
	for i := range 4097 {
		b.WriteString(checked(fmt.Sprintf("ff%030x", i)))
	}
	return b.Bytes()
})

// checked is a line of a record, as FORMAT.md has it.
func checked(text string) string {
	sum := sha256.Sum256([]byte(text))
	return fmt.Sprintf("\n%s %x\n", text, sum[:4])
}

// adopt looks up what came of the calls that were cut off. What a start finds
// is promised from then on.
func (l *life) adopt(s *spool.Spool, fsys durable.FS) error {
	names, err := ls(fsys)
	if err != nil {
		return l.excuse(err)
	}
	for i, c := range l.clips {
		f := c.fate(s, names)
		if c.rising && s.HasTag(lockedTag(c.tag)) {
			c.entry = c.risen()
			c.tag = c.entry.Tag
		}
		switch {
		case len(f.pending) > 0:
			c.stage, c.entry, c.told, c.reported = queued, f.pending[0], false, false
		case c.stage == sealing:
		case f.reason != "":
			c.stage, c.reason = lost, f.reason
		case f.suffix == "stored":
			c.stage = stored
		case c.stage == stored || c.marking:
			c.stage = dropped
		case c.stage == queued && c.told:
			c.stage = lost
		case c.stage == queued:
			return fmt.Errorf("clip %d is gone without a trace", i)
		}
		c.marking, c.rising, c.atRisk, c.verified = false, false, false, false
		c.cleared = f.suffix == ""
	}
	return nil
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

// create makes room and finds out what it took.
func (l *life) create(s *spool.Spool, fsys durable.FS, class int, size int64) (*spool.Draft, error) {
	for _, c := range l.clips {
		c.atRisk = true
	}
	before, err := ls(fsys)
	if err != nil {
		return nil, err
	}
	d, err := s.Create(class, size)
	if err != nil && !errors.Is(err, spool.ErrFull) {
		return nil, err
	}
	after, lsErr := ls(fsys)
	if lsErr != nil {
		return d, lsErr
	}
	if slices.Contains(before, "reserve") && !slices.Contains(after, "reserve") {
		l.did["reserve used"]++
	}
	for i, c := range l.clips {
		f := c.fate(s, after)
		switch {
		case c.stage == queued && c.marking && f.suffix == "" && f.reason == "": // the receipt is not durable, but counts
			c.stage = dropped
		case c.stage == queued && f.suffix == "" && f.reason == "" && !c.told:
			return d, fmt.Errorf("Create takes clip %d without a trace", i)
		case c.stage == queued && f.suffix == "":
			c.stage, c.reason = lost, spool.Evicted
			l.did["evicted"]++
		case c.stage == stored && f.suffix == "":
			c.stage = dropped
		}
		c.atRisk, c.cleared = c.marking, f.suffix == ""
	}
	if err != nil && !slices.Equal(sealed(before), sealed(after)) {
		return nil, errors.New("a full spool removes something")
	}
	return d, err
}

func (l *life) seal(s *spool.Spool, fsys durable.FS) error {
	c, i := l.next(s)
	b := fake(i, len(c.tried))
	class := 1 + i%spool.Classes
	d, err := l.create(s, fsys, class, int64(len(b)))
	if errors.Is(err, spool.ErrFull) {
		return nil
	}
	if err != nil {
		return err
	}
	l.seq++
	m := spool.Meta{Class: class, Boot: l.boot, Sequence: l.seq, Stream: []string{"event", "video"}[i%2], Tag: c.tag}
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
	c.stage, c.atRisk, c.marking, c.rising, c.rotten = queued, false, false, false, false
	return nil
}

// some is a pending object and its clip.
func (l *life) some(s *spool.Spool) (spool.Entry, *clip) {
	pending := slices.Collect(s.Pending())
	if len(pending) == 0 {
		return spool.Entry{}, nil
	}
	e := pending[l.rng.IntN(len(pending))]
	return e, l.clips[slices.IndexFunc(l.clips, func(c *clip) bool { return c.tried[e.Name] != nil })]
}

func (l *life) deliver(s *spool.Spool, _ durable.FS) error {
	e, c := l.some(s)
	if c == nil || c.rotten {
		return nil
	}
	c.marking = true
	if err := s.MarkStored(e); err != nil {
		return err
	}
	c.stage, c.marking = stored, false
	return nil
}

// promote is what becomes of a clip that its recorder locks.
func (l *life) promote(s *spool.Spool, _ durable.FS) error {
	for _, i := range l.rng.Perm(len(l.clips)) {
		c := l.clips[i]
		e, ok := s.Find(c.tag)
		if !ok || c.tag == lockedTag(c.tag) || e.Name != c.entry.Name || l.rng.IntN(3) == 0 {
			continue
		}
		to := c.risen()
		c.rising = true
		done, err := s.Promote(e, to.Class, to.Stream, to.Tag)
		if err != nil {
			return err
		}
		if !done {
			return errors.New("an object that is there is not promoted")
		}
		if again := slices.Contains(slices.Collect(s.Pending()), to); again != (e.Class > 1) && c.stage == stored {
			return fmt.Errorf("a delivered object of class %d is promoted, and offered again: %t", e.Class, again)
		}
		if e.Class > 1 {
			c.stage, c.marking = queued, false
		}
		c.entry, c.tag, c.rising = to, to.Tag, false
		l.did["promoted"]++
		return nil
	}
	return nil
}

func (l *life) discard(s *spool.Spool, fsys durable.FS) error {
	d, err := l.create(s, fsys, 1+l.rng.IntN(spool.Classes), 10)
	if errors.Is(err, spool.ErrFull) {
		return nil
	}
	if err != nil {
		return err
	}
	_, err = d.Write([]byte("half a c"))
	return errors.Join(err, d.Discard())
}

func (l *life) keepTags(s *spool.Spool, _ durable.FS) error {
	var present []spool.Tag
	for _, c := range l.clips {
		c.gone = c.gone || l.long && l.rng.IntN(8) == 0
		if !c.gone {
			present = append(present, c.tag, lockedTag(c.tag))
		}
	}
	return s.KeepTags(present)
}

// rot damages one bit of an object on the medium.
func (l *life) rot(s *spool.Spool, fsys durable.FS) error {
	e, c := l.some(s)
	if c == nil {
		return nil
	}
	c.rotten = true
	all, err := ls(fsys)
	if err != nil {
		return err
	}
	i := slices.IndexFunc(all, func(n string) bool { return strings.HasSuffix(n, e.Name.String()+".age") })
	f, err := fsys.Update(all[i])
	if err != nil {
		return err
	}
	at := l.rng.Int64N(e.Size)
	_, err = f.WriteAt([]byte{c.tried[e.Name][at] ^ 1}, at)
	return errors.Join(err, f.Close())
}

func (l *life) verify(s *spool.Spool, _ durable.FS) error {
	e, c := l.some(s)
	if r := l.rottenOne(s); r != nil && l.rng.IntN(4) > 0 {
		c, e = r, r.entry
	}
	if c == nil {
		return nil
	}
	c.verified = c.rotten
	intact, err := s.Verify(context.Background(), e)
	if err != nil {
		return err
	}
	switch {
	case !intact && !c.rotten:
		return errors.New("a good object is called damaged")
	case !intact:
		c.stage, c.verified, c.reason = lost, false, spool.Damaged
		l.did["damaged"]++
	}
	return nil
}

func (l *life) rottenOne(s *spool.Spool) *clip {
	for _, c := range l.clips {
		if c.rotten && len(c.fate(s, nil).pending) > 0 {
			return c
		}
	}
	return nil
}

// report tells of some losses.
func (l *life) report(s *spool.Spool, _ durable.FS) error {
	told := s.Losses()
	told = told[:l.rng.IntN(len(told)+1)]
	var those []*clip
	for _, c := range l.clips {
		if slices.ContainsFunc(told, func(o spool.Loss) bool { return o.Entry.Name == c.entry.Name }) {
			c.told, those = true, append(those, c)
		}
	}
	if err := s.Reported(told); err != nil {
		return err
	}
	for _, c := range those {
		c.reported = true
	}
	l.did["told"] += len(those)
	return nil
}

// fill is what others do to the disk: they leave room for few objects, or give
// it back.
func (l *life) fill(_ *spool.Spool, fsys durable.FS) error {
	free, err := fsys.Free()
	if err != nil {
		return err
	}
	if free > 100<<10 {
		f, err := fsys.Create("fill")
		if errors.Is(err, fs.ErrExist) {
			return nil
		}
		if err != nil {
			return err
		}
		_, err = f.Write(make([]byte, free-l.rng.Int64N(3)*int64(len(sealedOnce()))-l.rng.Int64N(200)))
		return errors.Join(err, f.Close())
	}
	if l.rng.IntN(6) == 0 {
		err = fsys.Remove("fill")
	}
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	return err
}
