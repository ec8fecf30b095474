// Package camera finds the finished segments in a recorder's folder and opens
// them safely. The folder belongs to someone else: a recorder that overwrites
// its oldest clips, and perhaps a hostile process beside it.
//
// A segment is finished when a writer closed it or moved it into place, which
// inotify tells, or when it was seen twice with the same size and time, at
// least Settle apart, and the kernel knows of no writer. The second way is for
// what was there before the agent, for lost events, and for file systems that
// report none. The wall clock decides nothing.
//
// Nothing here prints a file name: a segment goes by the name of its camera.
//
// Side: red.
package camera

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"os"
	"os/user"
	"strconv"
	"sync"
	"time"

	"roadseal/hal/red"
)

// Defaults of Options.
const (
	DefaultRescan  = 30 * time.Second
	DefaultSettle  = 5 * time.Second
	DefaultMaxSize = 4 << 30 // bytes; FAT32 allows one less
)

// Options describe one recorder's folder.
type Options struct {
	Name    string        // of the camera, for logs and status
	Path    string        // of the folder; it may be missing for a while
	Pattern Pattern       // how segments are called
	Owner   string        // user name or number whose files are taken; "" takes everyone's
	Rescan  time.Duration // between full scans; 0 = DefaultRescan
	Settle  time.Duration // how long a file must stay the same; 0 = DefaultSettle
	MaxSize int64         // bytes; larger files are refused; 0 = DefaultMaxSize
	Log     *slog.Logger  // nil = no log
}

// A Segment is one finished file of a recorder: a video, or a sidecar that the
// recorder writes for one.
type Segment struct {
	Camera  string    // Options.Name
	File    red.Text  // path relative to the folder, slash-separated
	Start   time.Time // from the name: the camera's own clock, zone unknown, kept as if UTC; zero if the name holds none
	Channel string    // "front", "rear", … or "" if the name does not say
	Kind    string    // "normal", "event", "parking", "manual" or "lapse"
	Sidecar string    // media type of a sidecar, such as "image/jpeg"; "" for a video
	Size    int64     // bytes
	ModTime time.Time
}

// State is what the status shows of a folder.
type State struct {
	Present  bool      // the folder can be listed
	Watching bool      // inotify reports changes; otherwise only scans find segments
	Reason   string    // what is amiss, or ""
	Pending  int       // finished segments that Next has not handed out
	Scanned  time.Time // end of the last full scan; zero before the first
}

// What a caller does differently about a segment.
var (
	// ErrChanged says that a segment is no longer the file that Next handed
	// out, or changed while it was read: give it to Retry.
	ErrChanged = errors.New("it changed; it may still be in use by the recorder")
	// ErrRefused says that a file must not be read, now or later: it is no
	// regular file, not the recorder's, or not ours to read.
	ErrRefused = errors.New("refused")
)

// A Folder watches one recorder's folder. Its methods may be called at the
// same time.
type Folder struct {
	opt   Options
	files *table

	mu    sync.Mutex
	state State // without Pending
	uid   int64 // of Options.Owner; anyone, or unresolved
}

const (
	anyone     = -1
	unresolved = -2
)

// New returns the Folder of o. Nothing is touched before Run or List.
func New(o Options) *Folder {
	if o.Rescan == 0 {
		o.Rescan = DefaultRescan
	}
	if o.Settle == 0 {
		o.Settle = DefaultSettle
	}
	if o.MaxSize == 0 {
		o.MaxSize = DefaultMaxSize
	}
	if o.Log == nil {
		o.Log = slog.New(slog.DiscardHandler)
	}
	o.Log = o.Log.With("camera", o.Name)
	f := &Folder{opt: o, files: newTable(o.Settle), uid: unresolved}
	if o.Owner == "" {
		f.uid = anyone
	}
	return f
}

// Next waits for a finished segment that was not handed out before: event clips
// first, then the oldest by Start, then by name. A segment that changes later
// is handed out again, and so is one under a new name, whose source tag tells
// that it is the same. The error is ctx's.
func (f *Folder) Next(ctx context.Context) (Segment, error) { return f.files.next(ctx) }

// Retry puts back a segment that Next handed out and that could not be taken.
// It comes again after it has stayed the same for Settle, and each further time
// for twice as long, up to 128 times Settle, until it changes.
func (f *Folder) Retry(s Segment) { f.files.retry(s, time.Now()) }

// Wait puts back a segment that Next handed out and for which there is no room
// yet: it comes again after it has stayed the same for Settle.
func (f *Folder) Wait(s Segment) { f.files.wait(s, time.Now()) }

// Release puts back a segment that Next handed out and that nobody could turn
// to: the next Next may hand it out at once.
func (f *Folder) Release(s Segment) { f.files.release(s) }

// Tagged tells the source tag of a segment that Next handed out, once the
// caller keeps it. The zero tag says that the segment was looked at and none
// is kept for it.
func (f *Folder) Tagged(s Segment, tag [16]byte) { f.files.tagged(s, tag) }

// Tags returns the source tags of the files that are present. Only if complete
// is every file that may have a tag among them, so that other tags of this
// folder are of files that are gone. It is not complete while a finished
// segment waits for its tag, after a scan that failed in part, or if the
// folder holds no segment: the card may be out.
func (f *Folder) Tags() (tags [][16]byte, complete bool) { return f.files.tags() }

// State returns the state of the folder.
func (f *Folder) State() State {
	f.mu.Lock()
	defer f.mu.Unlock()
	s := f.state
	s.Pending = f.files.pending()
	return s
}

// open opens the folder for a short while: an open directory would keep the
// card from being unmounted.
func (f *Folder) open() (*os.Root, rules, error) {
	uid, err := f.owner()
	if err != nil {
		return nil, rules{}, err
	}
	root, err := os.OpenRoot(f.opt.Path)
	if err != nil {
		return nil, rules{}, fmt.Errorf("cannot open folder %q: %w (%s)", f.opt.Path, bare(err), hint(err))
	}
	info, err := root.Stat(".")
	if err != nil {
		root.Close()
		return nil, rules{}, fmt.Errorf("cannot open folder %q: %w", f.opt.Path, bare(err))
	}
	r := rules{pattern: f.opt.Pattern, camera: f.opt.Name, maxSize: f.opt.MaxSize, owner: uid, linkOwner: uid}
	if uid == anyone {
		// Whose hard links to believe, then? The folder's owner is the best
		// guess at who the recorder is.
		r.linkOwner = int64(inodeOf(info).uid)
	}
	return root, r, nil
}

// owner returns the user number of Options.Owner, or anyone. The user may be
// created after the agent starts.
func (f *Folder) owner() (int64, error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.uid != unresolved {
		return f.uid, nil
	}
	id := f.opt.Owner
	if u, err := user.Lookup(id); err == nil {
		id = u.Uid
	}
	n, err := strconv.ParseUint(id, 10, 32)
	if err != nil {
		return 0, fmt.Errorf("owner %q is no user of this machine: expected a user name or number", f.opt.Owner)
	}
	f.uid = int64(n)
	return f.uid, nil
}

func hint(err error) string {
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return "is the card in and mounted?"
	case errors.Is(err, fs.ErrPermission):
		return "the agent's user must be allowed to list it"
	}
	return "expected the directory that the recorder writes to"
}

// bare strips an error of the path in it: names of recordings are private.
func bare(err error) error {
	var p *fs.PathError
	if errors.As(err, &p) {
		return p.Err
	}
	return err
}
