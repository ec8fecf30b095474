package camera

import (
	"context"
	"fmt"
	"os"
	"strings"
	"time"

	"roadseal/hal/red"
	"roadseal/hal/watchdog"
)

// Run watches the folder until ctx ends and returns ctx's error. A folder that
// is missing is tried again every Settle and logged once.
func (f *Folder) Run(ctx context.Context) error {
	var w *watch
	defer func() { w.close() }()
	var unwatched error
	var scanned, due time.Time // last and next scan
	for ctx.Err() == nil {
		watchdog.Beat(ctx)
		now := time.Now()
		if now.Before(due) {
			f.settle(now)
		} else {
			if w == nil { // instances are few on a machine, one may have come free
				w, unwatched = newWatch()
			}
			ok := f.scan(ctx, w, unwatched)
			scanned = time.Now()
			if due = scanned.Add(f.opt.Rescan); !ok {
				due = scanned.Add(f.opt.Settle)
			}
		}
		events, err := w.wait(ctx, earlier(due, time.Now().Add(f.opt.Settle)))
		if err != nil {
			w.close()
			w, due = nil, scanned.Add(f.opt.Settle)
		}
		if f.handle(events) {
			// Not more often than this, or a writer could keep us scanning.
			due = earlier(due, scanned.Add(f.opt.Settle))
		}
	}
	return ctx.Err()
}

func earlier(a, b time.Time) time.Time {
	if a.Before(b) {
		return a
	}
	return b
}

// scan reads the whole folder and watches each directory; unwatched says why
// it cannot. It reports whether the folder could be read.
func (f *Folder) scan(ctx context.Context, w *watch, unwatched error) bool {
	w.begin()
	defer w.end()
	root, rules, err := f.open()
	if err != nil {
		f.absent(err)
		return false
	}
	defer root.Close()
	now := time.Now()
	wk := walk{
		rules: rules,
		enter: func(dir string) {
			if err := w.add(f.opt.Path, dir); err != nil && unwatched == nil {
				unwatched = err
			}
		},
		found: func(dir *os.Root, s sight) {
			if s.reason == "" {
				f.observe(dir, s, now)
			}
		},
	}
	f.files.begin()
	err = wk.run(ctx, root)
	switch {
	case ctx.Err() != nil:
		f.files.end(true)
	case err != nil:
		f.absent(fmt.Errorf("cannot list folder %q: %w", f.opt.Path, err))
		return false
	default:
		crowded := f.files.end(wk.err != nil)
		f.present(unwatched, wk.err, crowded)
	}
	return true
}

// observe takes what was seen of one file below dir.
func (f *Folder) observe(dir *os.Root, s sight, now time.Time) {
	if f.files.observe(s.Segment, now) && !f.busy(dir, s) {
		f.files.finish(s.Segment, now)
	}
}

// busy reports whether a file that stays the same is still being written.
func (f *Folder) busy(dir *os.Root, s sight) bool {
	if isLocked(dir, s.name) {
		return true
	}
	if writing, known := writers(dir, s); known {
		return writing
	}
	return f.files.isWriting(s.File)
}

// settle looks again at the files that may have settled, and only at these.
func (f *Folder) settle(now time.Time) {
	files := f.files.settling()
	if len(files) == 0 {
		return
	}
	root, rules, err := f.open()
	if err != nil {
		return // the next scan tells
	}
	defer root.Close()
	for _, file := range files {
		if s := rules.look(root, file.Reveal(), file.Reveal()); s.reason == "" {
			f.observe(root, s, now)
		}
	}
}

// handle takes events as they came. It reports whether a scan is needed.
func (f *Folder) handle(events []event) (rescan bool) {
	if len(events) == 0 {
		return false
	}
	root, rules, err := f.open()
	if err != nil {
		return true
	}
	defer root.Close()
	for _, e := range events {
		file := red.Text(e.file)
		switch e.change {
		case created:
			rescan = f.appeared(root, rules, e) || rescan
		case closed, movedIn:
			f.files.closed(file)
			f.finish(root, rules, e)
		case movedOut, deleted:
			f.files.gone(file, e.change == movedOut)
			if of, ok := strings.CutSuffix(e.file, lockSuffix); ok {
				f.finish(root, rules, event{e.change, of})
			}
		case lost:
			f.files.lost()
			rescan = true
		case unsure:
			rescan = true
		}
	}
	return rescan
}

// appeared notes a new name. It is of a file that a writer has begun, or a second
// name of one that was there: no close of it will follow, so that a scan is needed,
// and sees whether it grows.
func (f *Folder) appeared(root *os.Root, rules rules, e event) (rescan bool) {
	s := rules.look(root, e.file, e.file)
	if s.info != nil && inodeOf(s.info).links > 1 {
		return true
	}
	if _, reason := rules.pattern.parse(e.file); reason == "" {
		f.files.created(s.File)
	}
	return false
}

// finish hands a file to Next whose writer closed it, moved it into place or
// took its lock away.
func (f *Folder) finish(root *os.Root, rules rules, e event) {
	s := rules.look(root, e.file, e.file)
	if s.reason != "" || isLocked(root, s.name) || f.files.isWriting(s.File) {
		return
	}
	// Renamed or unlocked does not mean closed. After a close there is no
	// such doubt, and asking would be too early: the event comes before the
	// kernel has counted the writer out.
	if e.change != closed {
		if writing, _ := writers(root, s); writing {
			f.files.created(s.File)
			return
		}
	}
	f.files.finish(s.Segment, time.Now())
}

// present notes that the folder was read, and what was not as it should be.
func (f *Folder) present(unwatched, unread error, crowded bool) {
	s := State{Present: true, Watching: unwatched == nil}
	switch {
	case unread != nil:
		s.Reason = fmt.Sprintf("a sub-folder cannot be read: %v", unread)
	case crowded:
		s.Reason = fmt.Sprintf("more than %d segments: not all are remembered", maxFiles)
	case unwatched != nil:
		s.Reason = fmt.Sprintf("cannot watch for changes, scanning every %v instead: %v (see fs.inotify limits in sysctl)", f.opt.Rescan, unwatched)
	}
	f.note(s)
}

// absent notes that the folder cannot be read.
func (f *Folder) absent(err error) {
	f.files.clear()
	f.note(State{Reason: err.Error()})
}

// note keeps the state and logs it if it is a new one.
func (f *Folder) note(s State) {
	f.mu.Lock()
	was := f.state
	s.Scanned = was.Scanned
	if s.Present {
		s.Scanned = time.Now()
	}
	f.state = s
	f.mu.Unlock()
	switch {
	case was.Present == s.Present && was.Watching == s.Watching && was.Reason == s.Reason:
	case !s.Present:
		f.opt.Log.Warn("recorder folder is not there, will try again", "reason", s.Reason)
	case s.Reason != "":
		f.opt.Log.Warn("recorder folder is there", "watching", s.Watching, "reason", s.Reason)
	default:
		f.opt.Log.Info("recorder folder is there", "watching", s.Watching)
	}
}
