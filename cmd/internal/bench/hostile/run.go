package hostile

import (
	"context"
	"errors"
	"fmt"
	"path/filepath"
	"slices"
	"strings"
	"time"
)

// tick is how often the growing file grows.
const tick = 100 * time.Millisecond

// Run lets the entries do what they do and watches who opens what, until ctx
// ends.
func (f *Field) Run(ctx context.Context) error {
	for ctx.Err() == nil {
		if _, err := f.growing.WriteString(f.mark); err != nil {
			return fmt.Errorf("cannot write a hostile file: %w", err)
		}
		if err := f.watch.next(time.Now().Add(tick), f.seen); err != nil {
			return err
		}
	}
	return nil
}

// seen takes in that a file was opened, or read.
func (f *Field) seen(path string, read bool) error {
	f.mu.Lock()
	defer f.mu.Unlock()
	if act := f.act[path]; act != nil && read {
		return act()
	}
	what, hostile := f.what[path]
	if !hostile {
		what, hostile = f.what[filepath.Dir(path)]
	}
	switch {
	case strings.HasPrefix(path, f.outside):
		f.fault("what a link leads to was opened")
	case hostile && path == f.growing.Name() && !read:
		// Whoever asks the kernel for writers has to open it.
	case hostile:
		f.fault(what + " was opened")
	}
	return nil
}

func (f *Field) fault(text string) {
	if !slices.Contains(f.faults, text) {
		f.faults = append(f.faults, text)
	}
}

// Met reports whether all entries were read that do something then.
func (f *Field) Met() bool {
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.waiting == 0
}

// Once reports whether a content was that of a whole file at some time, of one
// that was taken away or changed while it was read.
func (f *Field) Once(sum [32]byte) bool {
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.once[sum]
}

// Close takes in the last events and returns what was opened that must not be.
// It is called after Run has ended.
func (f *Field) Close() (faults []string, err error) {
	err = f.watch.next(time.Now().Add(tick), f.seen)
	return f.faults, errors.Join(err, f.watch.file.Close(), f.growing.Close())
}
