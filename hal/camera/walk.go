package camera

import (
	"context"
	"errors"
	"io"
	"io/fs"
	"os"
	"path"

	"roadseal/hal/red"
	"roadseal/hal/watchdog"
)

// Bounds of a walk.
const (
	maxDepth  = 3      // folders below the recorder's
	maxDirs   = 10_000 // folders read
	listBatch = 256    // names read at a time: a folder of a million names costs no memory
)

// A sight is one entry of a folder, as far as it was looked at.
type sight struct {
	Segment
	name   string      // of the entry in its directory
	info   fs.FileInfo // nil if the name alone decided
	reason string      // why it is no segment, or ""
}

// A walk visits every entry of a folder once.
type walk struct {
	rules rules
	enter func(dir string) // before a directory is read
	found func(dir *os.Root, s sight)

	dirs  int
	links map[link]bool // names of files that have several
	err   error         // of a sub-directory that could not be read
}

// A link is one name of a file, or one like it: what makes a difference is the
// kind that the name gives it.
type link struct {
	dev, ino uint64
	kind     string
}

// run walks the folder root. Its error is about the folder itself; w.err tells
// of sub-directories.
func (w *walk) run(ctx context.Context, root *os.Root) error {
	w.links = map[link]bool{}
	return w.dir(ctx, root, ".", 0)
}

// dir reads the directory at path below the folder; root is the directory that
// holds it.
func (w *walk) dir(ctx context.Context, root *os.Root, dir string, depth int) error {
	w.dirs++
	sub, err := root.OpenRoot(path.Base(dir))
	if err != nil {
		return bare(err)
	}
	defer sub.Close()
	list, err := sub.Open(".")
	if err != nil {
		return bare(err)
	}
	defer list.Close()
	w.enter(dir)
	var below []string
	for ctx.Err() == nil {
		batch, err := list.ReadDir(listBatch)
		for _, e := range batch {
			watchdog.Beat(ctx)
			file := path.Join(dir, e.Name())
			if e.IsDir() {
				below = w.descend(below, sub, file, depth)
				continue
			}
			s := w.rules.look(sub, e.Name(), file)
			if s.reason == "" && w.linkedTwice(s) {
				s.reason = secondLink
			}
			w.found(sub, s)
		}
		if errors.Is(err, io.EOF) {
			break
		}
		if err != nil {
			return bare(err)
		}
	}
	for _, d := range below {
		if err := w.dir(ctx, sub, d, depth+1); err != nil && !errors.Is(err, fs.ErrNotExist) && ctx.Err() == nil {
			w.err = err
			w.found(sub, sight{Segment: Segment{File: red.Text(d)}, reason: "cannot be read: " + err.Error()})
		}
	}
	return ctx.Err()
}

// descend adds a sub-directory to those to be read, or tells why it is not.
func (w *walk) descend(below []string, root *os.Root, dir string, depth int) []string {
	s := sight{Segment: Segment{File: red.Text(dir)}, reason: junk(path.Base(dir))}
	switch {
	case s.reason != "":
	case depth == maxDepth:
		s.reason = tooDeep
	case w.dirs+len(below) >= maxDirs:
		s.reason = tooMany
	default:
		return append(below, dir)
	}
	w.found(root, s)
	return below
}

// linkedTwice reports whether the file was met under another name of the same
// kind. A recorder may lock a clip by a second name for it.
func (w *walk) linkedTwice(s sight) bool {
	in := inodeOf(s.info)
	if in.links < 2 {
		return false
	}
	key := link{in.dev, in.ino, s.Kind}
	seen := w.links[key]
	if len(w.links) < maxFiles {
		w.links[key] = true
	}
	return seen
}
