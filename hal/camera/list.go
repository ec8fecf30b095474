package camera

import (
	"cmp"
	"context"
	"fmt"
	"os"
	"slices"
	"strings"
	"time"
)

// A Listing is one entry of a recorder's folder.
type Listing struct {
	Segment        // as far as the name and the file tell
	Reason  string // why it is no finished segment, or ""
}

// List reads the whole folder, without Run: first what has a time in its name,
// by time and name, then the other entries by name. If a file was written
// lately it takes Settle to see whether it grows. What is listed as a segment
// can be opened. Of segments, and of other entries, no more are listed than a
// Folder remembers.
func (f *Folder) List(ctx context.Context) ([]Listing, error) {
	root, rules, err := f.open()
	if err != nil {
		return nil, fmt.Errorf("camera %s: %w", f.opt.Name, err)
	}
	defer root.Close()
	var all []Listing
	begun := time.Now()
	fresh := false
	var segments, others int
	w := walk{
		rules: rules,
		enter: func(string) {},
		found: func(dir *os.Root, s sight) {
			if s.reason == "" {
				s.reason = unfinished(dir, s)
			}
			fresh = fresh || s.reason == "" && begun.Sub(s.ModTime) < f.opt.Settle
			n := &segments
			if s.reason != "" {
				n = &others
			}
			if *n++; *n <= maxFiles {
				all = append(all, Listing{s.Segment, s.reason})
			}
		},
	}
	if err := w.run(ctx, root); err != nil {
		return nil, fmt.Errorf("camera %s: cannot list folder %q: %w", f.opt.Name, f.opt.Path, err)
	}
	if fresh {
		if err := f.lookAgain(ctx, root, rules, all); err != nil {
			return nil, err
		}
	}
	slices.SortFunc(all, func(a, b Listing) int {
		if a.Start.IsZero() != b.Start.IsZero() {
			return -a.Start.Compare(b.Start)
		}
		return cmp.Or(a.Start.Compare(b.Start), strings.Compare(a.File.Reveal(), b.File.Reveal()))
	})
	return all, nil
}

// unfinished says why a file is still in the recorder's hands, or "".
func unfinished(dir *os.Root, s sight) string {
	if isLocked(dir, s.name) {
		return locked
	}
	if writing, _ := writers(dir, s); writing {
		return notFinished
	}
	return ""
}

// lookAgain finds the files that grow within Settle.
func (f *Folder) lookAgain(ctx context.Context, root *os.Root, rules rules, all []Listing) error {
	t := time.NewTimer(f.opt.Settle)
	defer t.Stop()
	select {
	case <-ctx.Done():
		return ctx.Err()
	case <-t.C:
	}
	for i, l := range all {
		if l.Reason != "" {
			continue
		}
		s := rules.look(root, l.File.Reveal(), l.File.Reveal())
		if s.reason == "" && (s.Size != l.Size || !s.ModTime.Equal(l.ModTime)) {
			s.reason = notFinished
		}
		all[i] = Listing{s.Segment, s.reason}
	}
	return nil
}
