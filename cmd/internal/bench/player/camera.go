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
// after the last piece, what lies between writes one piece.
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
	}
	slices.SortStableFunc(steps, func(a, b step) int { return cmp.Compare(a.at, b.at) })

	open := map[int]*growing{}
	clips := make([]Clip, len(plan))
	for _, s := range steps {
		err := clock.Wait(ctx, s.at)
		if err == nil {
			err = c.do(s, plan[s.segment], open, clips)
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

func (c Camera) do(s step, seg Segment, open map[int]*growing, clips []Clip) error {
	if s.piece == 0 {
		g, err := c.open(seg)
		if err != nil {
			return err
		}
		open[s.segment] = g
		if c.Opened != nil {
			c.Opened(seg)
		}
		return nil
	}
	g := open[s.segment]
	if s.piece < pieces {
		return g.write(g.size / pieces)
	}
	delete(open, s.segment)
	clip, err := g.close()
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
	src  fs.File
	rest io.Reader // the sample and after it the stamp
	dst  *os.File
	size int64 // of the sample
	sum  hash.Hash
	n    int64 // written
}

func (c Camera) open(s Segment) (*growing, error) {
	src, err := c.Samples.Open(s.File)
	if err != nil {
		return nil, fmt.Errorf("cannot read a clip: %w", err)
	}
	info, err := src.Stat()
	if err != nil {
		return nil, errors.Join(fmt.Errorf("cannot read a clip: %w", err), src.Close())
	}
	dst, err := os.OpenFile(filepath.Join(c.Folder, s.Name), os.O_CREATE|os.O_EXCL|os.O_WRONLY, 0o644)
	if err != nil {
		return nil, errors.Join(fmt.Errorf("cannot write into the recorder's folder: %w", err), src.Close())
	}
	end := stamp(strings.ToLower(path.Ext(s.Name)), c.Mark, s.Index)
	return &growing{src: src, rest: io.MultiReader(src, bytes.NewReader(end)), dst: dst, size: info.Size(), sum: sha256.New()}, nil
}

func (g *growing) write(n int64) error {
	m, err := io.CopyN(io.MultiWriter(g.dst, g.sum), g.rest, n)
	g.n += m
	if err != nil && !errors.Is(err, io.EOF) {
		return fmt.Errorf("cannot write a segment: %w", err)
	}
	return nil
}

// close writes all that is left and closes the segment.
func (g *growing) close() (Clip, error) {
	m, err := io.Copy(io.MultiWriter(g.dst, g.sum), g.rest)
	if err = errors.Join(err, g.dst.Close(), g.src.Close()); err != nil {
		return Clip{}, fmt.Errorf("cannot write a segment: %w", err)
	}
	return Clip{SHA256: [32]byte(g.sum.Sum(nil)), Size: g.n + m, Closed: time.Now()}, nil
}

func (g *growing) abandon() error { return errors.Join(g.dst.Close(), g.src.Close()) }
