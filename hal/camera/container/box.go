package container

import (
	"encoding/binary"
	"io"
	"strings"
	"time"
)

// maxBoxes bounds a walk: a file of nothing but empty boxes must not hold up
// the others.
const maxBoxes = 50_000

// A box is one unit of ISO/IEC 14496-12, section 4.2.
type box struct {
	kind  string // four printable characters
	body  int64  // offset of its content
	end   int64
	short bool // it would end behind what holds it
}

// A walker goes through the boxes of a file.
type walker struct {
	r    io.ReaderAt
	left int // boxes that may still be read
}

// next reads the box at off, in what ends at end. It reports false for what is
// no box.
func (w *walker) next(off, end int64) (box, bool) {
	if w.left--; w.left < 0 || off >= end {
		return box{}, false
	}
	var buf [16]byte
	h := readAt(w.r, buf[:min(16, end-off)], off)
	if len(h) < 8 {
		return box{}, false
	}
	size, head := uint64(binary.BigEndian.Uint32(h)), int64(8)
	b := box{kind: string(h[4:8])}
	if strings.ContainsFunc(b.kind, func(c rune) bool { return c < ' ' || c > '~' }) {
		return box{}, false
	}
	switch size {
	case 0: // up to the end
		size = uint64(end - off)
	case 1: // 64 bits follow
		if len(h) < 16 {
			return box{}, false
		}
		size, head = binary.BigEndian.Uint64(h[8:]), 16
	}
	if size < uint64(head) {
		return box{}, false
	}
	b.body, b.end = off+head, end
	if b.short = size > uint64(end-off); !b.short {
		b.end = off + int64(size)
	}
	return b, true
}

// first are the boxes that a file may begin with.
const first = " ftyp styp moov mdat free skip wide moof sidx "

// A film is what the top-level boxes have told so far.
type film struct {
	moov, mdat bool // whole ones
	fragments  bool // the film comes in pieces, moof and mdat
	awaited    bool // a moof whose mdat has not come
	cut        bool // one of these is short
	length     time.Duration
}

// lookBoxes goes through the top-level boxes. Some recorders append data that
// is no box: what follows a whole film is not damage.
func lookBoxes(r io.ReaderAt, size int64) Container {
	w := &walker{r: r, left: maxBoxes}
	b, ok := w.next(0, size)
	if !ok || !strings.Contains(first, " "+b.kind+" ") {
		return Container{}
	}
	c := Container{MediaType: MP4}
	if b.kind != "styp" && b.kind != "sidx" && w.isQuickTime(b) {
		c.MediaType = QuickTime
	}
	var f film
	off := int64(0)
	for ; ok; b, ok = w.next(off, size) {
		f.add(w, b)
		off = b.end
	}
	whole := f.moov && (f.mdat || f.fragments)
	trailing := off < size && f.fragments
	c.Duration = f.length
	c.Incomplete = !whole || f.cut || f.awaited || trailing
	return c
}

// isQuickTime tells the older format by its brand, or by the lack of one.
func (w *walker) isQuickTime(b box) bool {
	if b.kind != "ftyp" {
		return b.kind != "moof"
	}
	var brand [4]byte
	return string(readAt(w.r, brand[:], b.body)) == "qt  "
}

func (f *film) add(w *walker, b box) {
	switch b.kind {
	case "moov":
		if f.moov = f.moov || !b.short; !b.short {
			f.header(w, b)
		}
	case "moof":
		f.fragments, f.awaited = true, true
	case "mdat":
		f.mdat, f.awaited = f.mdat || !b.short, false
	default:
		return
	}
	f.cut = f.cut || b.short
}

// header reads how long the film runs, out of its moov box.
func (f *film) header(w *walker, moov box) {
	var scale, units uint64
	for b, ok := w.next(moov.body, moov.end); ok; b, ok = w.next(b.end, moov.end) {
		switch b.kind {
		case "mvhd":
			scale, units = w.movieHeader(b)
		case "mvex":
			f.fragments = true
			if inner, ok := w.next(b.body, b.end); ok && inner.kind == "mehd" && units == 0 {
				units = w.fragmentsHeader(inner)
			}
		}
	}
	f.length = duration(units, scale)
}

// movieHeader reads the time scale and the duration of an mvhd box; all ones
// say that the duration is not known.
func (w *walker) movieHeader(b box) (scale, units uint64) {
	var buf [32]byte
	p := readAt(w.r, buf[:min(int64(len(buf)), b.end-b.body)], b.body)
	switch {
	case len(p) >= 20 && p[0] == 0:
		units = uint64(binary.BigEndian.Uint32(p[16:]))
		if units == 1<<32-1 {
			units = 0
		}
		return uint64(binary.BigEndian.Uint32(p[12:])), units
	case len(p) >= 32 && p[0] == 1:
		return uint64(binary.BigEndian.Uint32(p[20:])), binary.BigEndian.Uint64(p[24:])
	}
	return 0, 0
}

// fragmentsHeader reads the duration out of an mehd box.
func (w *walker) fragmentsHeader(b box) uint64 {
	var buf [12]byte
	p := readAt(w.r, buf[:min(int64(len(buf)), b.end-b.body)], b.body)
	switch {
	case len(p) >= 8 && p[0] == 0:
		return uint64(binary.BigEndian.Uint32(p[4:]))
	case len(p) >= 12 && p[0] == 1:
		return binary.BigEndian.Uint64(p[4:])
	}
	return 0
}
