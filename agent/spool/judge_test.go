package spool_test

import (
	"bytes"
	"crypto/sha256"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"slices"
	"strings"

	"roadseal/agent/spool"
	"roadseal/crypto/envelope"
	"roadseal/hal/durable"
)

// fate is what a spool knows of a clip.
type fate struct {
	pending []spool.Entry
	reason  string // of a loss that is not reported
	suffix  string // of its last file
}

func (c *clip) fate(s *spool.Spool, names []string) (f fate) {
	for e := range s.Pending() {
		if c.tried[e.Name] != nil {
			f.pending = append(f.pending, e)
		}
	}
	for _, loss := range s.Losses() {
		if loss.Entry.Name == c.entry.Name {
			f.reason = loss.Reason
		}
	}
	for _, n := range names {
		if strings.Contains(n, "."+c.entry.Name.String()+".") {
			f.suffix = n[strings.LastIndex(n, ".")+1:]
		}
	}
	return f
}

// sealed are the names of objects.
func sealed(names []string) []string {
	return slices.DeleteFunc(slices.Clone(names), func(n string) bool { return !strings.Contains(n, ".") || strings.HasSuffix(n, durable.TmpSuffix) })
}

// Judge implements durabletest.Life.
func (l *life) Judge(fsys durable.FS) error {
	s, err := spool.Open(fsys, l.opt)
	if err != nil {
		return err
	}
	before, err := ls(fsys)
	if err != nil {
		return err
	}
	known := int64(0)
	for i, c := range l.clips {
		f := c.fate(s, before)
		if err := c.judge(s, f, l.faulty); err != nil {
			return fmt.Errorf("clip %d, %v: %w", i, c, err)
		}
		if f.reason != "" || c.told && len(f.pending) == 0 {
			known++
		}
	}
	u := s.Usage()
	pending := slices.Collect(s.Pending())
	if n := len(pending); n != u.QueuedObjects || u.Foreign > 1 || u.Foreign == 1 && !l.narrow {
		return fmt.Errorf("%d objects wait, the spool says %+v", n, u)
	}
	if n := objects(u.Evicted) + objects(u.Damaged); n < known || n > known && !l.faulty {
		return fmt.Errorf("%d losses are known, the spool says %+v", known, u)
	}
	if f, err := fsys.Open("reserve"); err == nil {
		if size, err := f.Size(); err != nil || size != 256<<10 || f.Close() != nil {
			return fmt.Errorf("the reserve has %d bytes: %w", size, err)
		}
	}
	if i := slices.IndexFunc(before, func(n string) bool { return strings.HasSuffix(n, durable.TmpSuffix) }); i >= 0 {
		return fmt.Errorf("litter is left: %s", before[i])
	}
	again, err := spool.Open(fsys, l.opt)
	if err != nil {
		return fmt.Errorf("second start: %w", err)
	}
	after, err := ls(fsys)
	v := again.Usage()
	u.UnreadLines = 0 // what a power cut left half written is gone at the second start
	if err == nil && (!slices.Equal(after, before) || !slices.Equal(slices.Collect(again.Pending()), pending) || v != u) {
		err = fmt.Errorf("a second start changes something: %v, %v, %+v, %+v", before, after, u, v)
	}
	return err
}

func objects(t spool.Totals) (n int64) {
	for _, c := range t {
		n += c.Objects
	}
	return n
}

func (c *clip) judge(s *spool.Spool, f fate, faulty bool) error {
	if len(f.pending) > 1 && c.tag != (spool.Tag{}) {
		return errors.New("queued twice")
	}
	for _, e := range f.pending {
		if err := whole(s, e, c.tried[e.Name]); err != nil && !c.rotten {
			return err
		}
	}
	pending, there := slices.Contains(f.pending, c.entry) || c.rising && slices.Contains(f.pending, c.risen()), f.suffix == "stored"
	if c.stage == sealing {
		return nil
	}
	may := map[string]bool{ // after an error of a sync, what was removed may come back
		"pending":  c.stage == queued || c.marking || c.rising || c.stage == lost && faulty,
		"stored":   c.stage == stored || c.marking || c.stage == dropped && faulty,
		"dropped":  c.stage == dropped || (c.stage == stored || c.marking) && c.atRisk,
		"evicted":  c.stage == lost && c.reason == spool.Evicted || c.stage == queued && c.atRisk,
		"damaged":  c.stage == lost && c.reason == spool.Damaged || c.verified,
		"reported": c.told,
	}
	is := "dropped"
	switch {
	case pending && f.reason != "":
		return errors.New("a loss is recorded that is none")
	case pending:
		is = "pending"
	case f.reason != "":
		is = f.reason
	case there:
		is = "stored"
	case c.told:
		is = "reported"
	}
	if !may[is] {
		return fmt.Errorf("it is %s", is)
	}
	if is == spool.Damaged && f.suffix != "damaged" && !c.atRisk && !c.cleared {
		return errors.New("a damaged object is gone, though its space was not needed")
	}
	if f.reason != "" && c.reported {
		return errors.New("its loss is to be reported once more")
	}
	if known := c.known(s); !c.gone && c.tag != (spool.Tag{}) && known == (is == spool.Damaged) && !c.told {
		return fmt.Errorf("its tag is known: %t", known)
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

func nameOf(b []byte) envelope.Name { return sha256.Sum256(b) }
