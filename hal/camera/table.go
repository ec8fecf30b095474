package camera

import (
	"sync"
	"time"

	"roadseal/hal/red"
)

// maxFiles bounds the table: about 250 bytes a file. A 1 TB card of clips of
// 30 MB holds as many. Beyond it, handed-out files are forgotten and met again
// at a later scan; their source tags then tell that they are known.
const maxFiles = 1 << 15

// maxDoubled bounds the wait of a file that was put back again and again: 128
// times Settle, some ten minutes. A clip with a bad sector would otherwise be
// read, and written to the spool up to there, without end, ahead of all others.
const maxDoubled = 7

// A phase is how far a file of the table has come.
type phase int

const (
	settling phase = iota // may still grow
	ready                 // finished, for Next
	handed                // given out by Next
)

// An entry is one file that is present and may be a segment.
type entry struct {
	Segment
	phase   phase
	since   time.Time // settling: when it was first seen as it is
	tries   int       // how often it was put back as it is
	grown   bool      // it changed under our eyes: no tag of an earlier run is its
	decided bool      // handed: the caller has told its tag
	tag     [16]byte  // zero if it has none
	seen    bool      // in this scan
	missing int       // full scans that did not see it, or 1 after it was moved away
}

func (e *entry) same(s Segment) bool { return e.Size == s.Size && e.ModTime.Equal(s.ModTime) }

// A table holds the files of one folder. A file is known by its path, not its
// inode: FAT file systems make inode numbers up as they go.
type table struct {
	settle time.Duration

	mu      sync.Mutex
	files   map[red.Text]*entry
	writing map[red.Text]bool // created while watched, not closed since
	handed  int               // entries in phase handed
	scanned bool              // a full scan has ended since the folder appeared
	partial bool              // the last scan missed a part
	crowded bool              // there are more than maxFiles
	wake    chan struct{}     // closed when an entry becomes ready
}

func newTable(settle time.Duration) *table {
	t := &table{settle: settle, wake: make(chan struct{})}
	t.clear()
	return t
}

// clear forgets all: the folder is gone, and what comes back in its place may
// be another.
func (t *table) clear() {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.files, t.writing = map[red.Text]*entry{}, map[red.Text]bool{}
	t.handed, t.scanned = 0, false
}

// begin starts a full scan.
func (t *table) begin() {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.crowded = false
	for _, e := range t.files {
		e.seen = false
	}
}

// end finishes a full scan; partial says that it did not see everything. A
// file must be missing twice before it is forgotten: a scan may miss one that
// is renamed meanwhile. It reports whether there are too many files.
func (t *table) end(partial bool) (crowded bool) {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.scanned, t.partial = true, partial
	if partial {
		return t.crowded
	}
	for file, e := range t.files {
		switch {
		case e.seen:
		case e.missing > 0:
			t.remove(file)
		default:
			e.missing++
		}
	}
	return t.crowded
}

// observe notes how a file looks in a scan. It reports whether a settling file
// has stayed the same for long enough.
func (t *table) observe(s Segment, now time.Time) (still bool) {
	t.mu.Lock()
	defer t.mu.Unlock()
	e := t.files[s.File]
	if e == nil {
		t.add(s, now)
		return false
	}
	e.seen, e.missing = true, 0
	if !e.same(s) {
		t.settleAgain(e, s, now)
		return false
	}
	return e.phase == settling && now.Sub(e.since) >= t.settle<<min(max(e.tries-1, 0), maxDoubled)
}

// created notes that a writer has begun a file.
func (t *table) created(file red.Text) {
	t.mu.Lock()
	defer t.mu.Unlock()
	if len(t.writing) < maxFiles {
		t.writing[file] = true
	}
}

// isWriting reports whether a file was created while watched and not closed
// since.
func (t *table) isWriting(file red.Text) bool {
	t.mu.Lock()
	defer t.mu.Unlock()
	return t.writing[file]
}

// closed notes that a writer closed the file or moved it into place.
func (t *table) closed(file red.Text) {
	t.mu.Lock()
	defer t.mu.Unlock()
	delete(t.writing, file)
}

// lost notes that events were lost: a close may be among them.
func (t *table) lost() {
	t.mu.Lock()
	defer t.mu.Unlock()
	clear(t.writing)
}

// finish makes a file ready for Next: it was closed, or has settled. One that
// was handed out before and written to since settles first, so that a writer
// cannot keep its readers busy.
func (t *table) finish(s Segment, now time.Time) {
	t.mu.Lock()
	defer t.mu.Unlock()
	e := t.files[s.File]
	if e == nil {
		if e = t.add(s, now); e == nil {
			return
		}
	}
	e.missing = 0
	if e.phase == handed {
		t.settleAgain(e, s, now)
		return
	}
	e.Segment = s
	t.makeReady(e)
}

// gone forgets a file that was removed; moved one that has another name now,
// which keeps its tag until the next scans.
func (t *table) gone(file red.Text, moved bool) {
	t.mu.Lock()
	defer t.mu.Unlock()
	delete(t.writing, file)
	e := t.files[file]
	switch {
	case e == nil:
	case moved:
		e.missing = 1
	default:
		t.remove(file)
	}
}

// settling returns the files that may have settled.
func (t *table) settling() []red.Text {
	t.mu.Lock()
	defer t.mu.Unlock()
	var files []red.Text
	for file, e := range t.files {
		if e.phase == settling && e.missing == 0 {
			files = append(files, file)
		}
	}
	return files
}

// add takes a new file into the table, settling. It returns nil if there is no
// room.
func (t *table) add(s Segment, now time.Time) *entry {
	if len(t.files) >= maxFiles && !t.makeRoom() {
		return nil
	}
	e := &entry{Segment: s, since: now, seen: true}
	t.files[s.File] = e
	return e
}

// makeRoom forgets some file that was handed out.
func (t *table) makeRoom() bool {
	t.crowded = true
	if t.handed == 0 {
		return false
	}
	for file, e := range t.files {
		if e.phase == handed {
			t.remove(file)
			return true
		}
	}
	return false
}

// makeReady lets Next have a file.
func (t *table) makeReady(e *entry) {
	e.phase = ready
	close(t.wake)
	t.wake = make(chan struct{})
}

func (t *table) remove(file red.Text) {
	if t.files[file].phase == handed {
		t.handed--
	}
	delete(t.files, file)
}

// settleAgain sends a file back to settling, as s. A tag stays while the file
// looks the same.
func (t *table) settleAgain(e *entry, s Segment, now time.Time) {
	if e.phase == handed {
		t.handed--
	}
	if !e.same(s) {
		e.grown, e.decided, e.tag, e.tries = true, false, [16]byte{}, 0
	}
	e.Segment, e.phase, e.since = s, settling, now
}
