package disk

import (
	"fmt"
	"io"
	"maps"
	"path"
	"regexp"
	"slices"
	"strings"
)

// A Kind says what an operation does.
type Kind int

const (
	Create Kind = iota
	Mkdir
	Link
	Rename
	Unlink
	Write
	Truncate
	Sync
	SyncDir
)

var kindNames = [...]string{"create", "mkdir", "link", "rename", "unlink", "write", "truncate", "sync", "syncdir"}

func (k Kind) String() string { return kindNames[k] }

// An Op is one change of the files below a root, or a sync of them. A file is
// a number: names come and go.
type Op struct {
	Kind     Kind
	Path, To string // below the root; of a write or sync: its name when it was opened
	file     int
	at       int64 // of a write; of a truncate the new length
	data     []byte

	begun, ended int
	Time         int64
}

// isSync reports whether the op changes nothing and makes durable.
func (o Op) isSync() bool { return o.Kind == Sync || o.Kind == SyncDir }

// Label names the op without what differs from run to run.
func (o Op) Label() string {
	s := o.Kind.String() + " " + Role(o.Path)
	if o.To != "" {
		s += " to " + Role(o.To)
	}
	return s
}

var roles = []struct {
	pattern *regexp.Regexp
	role    string
}{
	{regexp.MustCompile(`(^|/)\d+\.tmp$`), "${1}N.tmp"},
	{regexp.MustCompile(`(^|/)[1-4]\.[0-9a-f]{8}\.[0-9a-f]{8}\.[a-z0-9-]+\.[0-9a-f]{32}\.[0-9a-f]+\.[0-9a-f]{64}\.(age|stored)$`), "${1}OBJECT.${2}"},
	{regexp.MustCompile(`(^|/)[0-9a-f]{64}$`), "${1}NAME"},
	{regexp.MustCompile(`(^|/)\d{8}_\d{6}_..\.mp4$`), "${1}CLIP"},
	{regexp.MustCompile(`^\.$`), "ROOT"},
}

// Role is a path without numbers and names of objects.
func Role(p string) string {
	for _, r := range roles {
		p = r.pattern.ReplaceAllString(p, r.role)
	}
	return p
}

// A History is what a program did to the files below a root.
type History struct {
	Ops   []Op
	First int // ops before it made what was there at the start
	root  string
	empty []*Content // by number of a file: all its contents grow out of it
}

// An fd is what a descriptor of the traced program stands for.
type fd struct {
	path  string // absolute; of a file: when it was opened
	file  int    // number of a file below the root, 0 for any other
	isDir bool   // below the root
	pos   int64
	since int // line of the recording
}

// A Reader turns calls into a history.
type Reader struct {
	h     *History
	fds   map[int64]*fd
	names map[string]int // files and directories (0) below the root
	files int
	lines int // of earlier recordings, as far as they matter
}

// History is what was read so far.
func (x *Reader) History() *History { return x.h }

// NewReader makes a reader for a program that begins with the tree below root.
func NewReader(root string, begin Tree) *Reader {
	x := &Reader{h: &History{root: root, empty: []*Content{nil}}, names: map[string]int{".": 0}}
	x.begin(begin)
	return x
}

// ReadTrace takes the recording of one start of the program; a later one comes after
// all of an earlier.
func (x *Reader) ReadTrace(r io.Reader) error {
	calls, err := parseTrace(r)
	if err != nil {
		return err
	}
	x.fds = map[int64]*fd{}
	for _, c := range calls {
		c.begun, c.ended = c.begun+x.lines, c.ended+x.lines
		if err := x.take(c); err != nil {
			return fmt.Errorf("trace line %d: %w", c.ended, err)
		}
	}
	if n := len(x.h.Ops); n > 0 {
		x.lines = x.h.Ops[n-1].ended
	}
	return nil
}

// begin enters what was there before.
func (x *Reader) begin(t Tree) {
	for _, p := range slices.Sorted(maps.Keys(t)) {
		b := t[p]
		if b == nil {
			x.names[p] = 0
			x.h.Ops = append(x.h.Ops, Op{Kind: Mkdir, Path: p})
			continue
		}
		n := x.file(p)
		x.h.Ops = append(x.h.Ops, Op{Kind: Create, Path: p, file: n}, Op{Kind: Write, Path: p, file: n, data: b.bytes()})
	}
	x.h.First = len(x.h.Ops)
}

func (x *Reader) file(p string) int {
	x.files++
	x.names[p] = x.files
	x.h.empty = append(x.h.empty, &Content{})
	return x.files
}

// below cuts the root off a path.
func (x *Reader) below(p string) (string, bool) {
	if p == x.h.root {
		return ".", true
	}
	return strings.CutPrefix(p, x.h.root+"/")
}

// path resolves a directory descriptor and a name, arguments i and i+1.
func (x *Reader) path(c call, i int) (string, error) {
	dir, err := c.number(i)
	if err != nil {
		return "", err
	}
	name, err := c.bytes(i + 1)
	if err != nil {
		return "", err
	}
	if path.IsAbs(string(name)) {
		return path.Clean(string(name)), nil
	}
	d := x.fds[dir]
	if d == nil {
		return "", fmt.Errorf("%s: name relative to a descriptor that was not seen to be opened", c.name)
	}
	return path.Join(d.path, string(name)), nil
}

func (x *Reader) add(c call, o Op) error {
	o.begun, o.ended, o.Time = c.begun, c.ended, c.time
	x.h.Ops = append(x.h.Ops, o)
	return nil
}
