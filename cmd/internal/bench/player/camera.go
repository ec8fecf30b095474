package player

import (
	"bytes"
	"cmp"
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"hash"
	"io"
	"io/fs"
	"os"
	"path"
	"path/filepath"
	"slices"
	"strings"
	"time"
)

// A Camera writes segments into a recorder's folder.
type Camera struct {
	Folder  string
	Samples fs.FS
	Mark    []byte              // goes into every segment
	Opened  func(Segment)       // may be nil; called in the order of the drive, as is Closed
	Closed  func(Segment, Clip) // may be nil
	// Delivered waits until a segment was delivered; needed if one is to be
	// locked after that.
	Delivered func(context.Context, Segment) error
}

// A Clip is a segment that the camera has written and closed.
type Clip struct {
	SHA256 [32]byte
	Size   int64     // bytes
	Closed time.Time // just after the file was closed
}

// pieces is how often a segment grows before it is closed.
const pieces = 8

// step is one thing that the camera does: 0 opens the segment, pieces closes it
// after the last piece, what lies between writes one piece; what is above locks
// it.
type step struct {
	at      time.Duration
	segment int
	piece   int
}

// Play writes all segments, each piece when it is due, and returns what was
// written, in the order of the plan.
func (c Camera) Play(ctx context.Context, plan []Segment, clock Clock) ([]Clip, error) {
	var steps []step
	for i, s := range plan {
		for k := range pieces + 1 {
			steps = append(steps, step{s.Begin + (s.End-s.Begin)*time.Duration(k)/pieces, i, k})
		}
		if s.Lock != nil {
			steps = append(steps, step{s.Lock.At, i, pieces + 1})
		}
	}
	slices.SortStableFunc(steps, func(a, b step) int { return cmp.Compare(a.at, b.at) })

	open := map[int]*growing{}
	clips := make([]Clip, len(plan))
	for _, s := range steps {
		err := clock.Wait(ctx, s.at)
		if err == nil {
			err = c.do(ctx, s, plan[s.segment], open, clips)
		}
		if err != nil {
			for _, g := range open {
				err = errors.Join(err, g.abandon())
			}
			return nil, err
		}
	}
	return clips, nil
}

func (c Camera) do(ctx context.Context, s step, seg Segment, open map[int]*growing, clips []Clip) error {
	g := open[s.segment]
	switch {
	case seg.From != "":
		if s.piece == pieces {
			clip, err := c.move(seg)
			clips[s.segment] = clip
			return err
		}
		return nil
	case s.piece == 0:
		g, err := c.open(seg)
		if err != nil {
			return err
		}
		open[s.segment] = g
		if c.Opened != nil {
			c.Opened(seg)
		}
		return nil
	case s.piece < pieces:
		if err := g.write(g.size / pieces); err != nil {
			return err
		}
		if seg.LockFile && s.piece == pieces/2 {
			return g.reopen()
		}
		return nil
	case s.piece > pieces:
		if err := c.Delivered(ctx, seg); err != nil {
			return err
		}
		return seg.Lock.apply(c.Folder, seg.Name)
	}
	delete(open, s.segment)
	clip, err := c.close(g, seg)
	if err != nil {
		return err
	}
	clips[s.segment] = clip
	if c.Closed != nil {
		c.Closed(seg, clip)
	}
	return nil
}

// growing is a segment that the camera has open.
type growing struct {
	src  io.Closer
	rest io.Reader // the sample and after it the stamp
	dst  *os.File
	size int64 // of the sample
	sum  hash.Hash
	n    int64 // written
}

func (c Camera) open(s Segment) (*growing, error) {
	g := &growing{src: io.NopCloser(nil), rest: bytes.NewReader(s.Content), size: int64(len(s.Content)), sum: sha256.New()}
	if s.Content == nil {
		src, err := c.Samples.Open(s.File)
		if err != nil {
			return nil, fmt.Errorf("cannot read a clip: %w", err)
		}
		info, err := src.Stat()
		if err != nil {
			return nil, errors.Join(fmt.Errorf("cannot read a clip: %w", err), src.Close())
		}
		end := stamp(strings.ToLower(path.Ext(s.Name)), c.Mark, s.Index)
		g.src, g.rest, g.size = src, io.MultiReader(src, bytes.NewReader(end)), info.Size()
	}
	var err error
	if g.dst, err = c.create(s); err != nil {
		return nil, errors.Join(fmt.Errorf("cannot write into the recorder's folder: %w", err), g.src.Close())
	}
	return g, nil
}

// create makes the file of a segment, and before it the one that locks it.
func (c Camera) create(s Segment) (*os.File, error) {
	name := filepath.Join(c.Folder, cmp.Or(s.Opened, s.Name))
	// Only below the recorder's folder, which is not the camera's to make.
	if dir := path.Dir(s.Name); dir != "." {
		for _, dir := range []string{filepath.Dir(name), filepath.Join(c.Folder, dir)} {
			if err := os.MkdirAll(dir, 0o755); err != nil {
				return nil, err
			}
		}
	}
	if s.LockFile {
		if err := os.WriteFile(name+lockSuffix, nil, 0o644); err != nil {
			return nil, err
		}
	}
	return os.OpenFile(name, os.O_CREATE|os.O_EXCL|os.O_WRONLY, 0o644)
}

// lockSuffix ends the name of a file that stands beside a segment while it is
// written (commaai/openpilot).
const lockSuffix = ".lock"

func (g *growing) write(n int64) error {
	m, err := io.CopyN(io.MultiWriter(g.dst, g.sum), g.rest, n)
	g.n += m
	if err != nil && !errors.Is(err, io.EOF) {
		return fmt.Errorf("cannot write a segment: %w", err)
	}
	return nil
}

// reopen closes the file and opens it again: a lock file beside it says that it
// is not finished all the same.
func (g *growing) reopen() error {
	err := g.dst.Close()
	if err == nil {
		g.dst, err = os.OpenFile(g.dst.Name(), os.O_APPEND|os.O_WRONLY, 0)
	}
	if err != nil {
		return fmt.Errorf("cannot write a segment: %w", err)
	}
	return nil
}

// close writes all that is left, unless the segment is cut, gives it its last
// name and closes it.
func (c Camera) close(g *growing, s Segment) (clip Clip, err error) {
	var m int64
	if !s.Cut {
		m, err = io.Copy(io.MultiWriter(g.dst, g.sum), g.rest)
	}
	name := filepath.Join(c.Folder, s.Name)
	if err == nil && s.Opened != "" {
		err = os.Rename(g.dst.Name(), name)
	}
	err = errors.Join(err, g.dst.Close(), g.src.Close())
	if err == nil && s.LockFile {
		err = os.Remove(name + lockSuffix)
	}
	if err != nil {
		return Clip{}, fmt.Errorf("cannot write a segment: %w", err)
	}
	return Clip{SHA256: [32]byte(g.sum.Sum(nil)), Size: g.n + m, Closed: time.Now()}, nil
}

// move makes a segment of a file that was there.
func (c Camera) move(s Segment) (Clip, error) {
	if err := (Lock{How: Move, To: s.Name}).apply(c.Folder, s.From); err != nil {
		return Clip{}, err
	}
	b, err := os.ReadFile(filepath.Join(c.Folder, s.Name))
	return Clip{SHA256: sha256.Sum256(b), Size: int64(len(b)), Closed: time.Now()}, err
}

func (g *growing) abandon() error { return errors.Join(g.dst.Close(), g.src.Close()) }
