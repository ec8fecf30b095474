package crashfs

import (
	"errors"
	"maps"
	"math/rand/v2"
	"slices"
	"syscall"
)

// Crash returns a file system as it may be found after a power cut at this
// moment, which one is drawn by seed. The one that was asked goes on.
func (f *FS) Crash(seed uint64) *FS {
	f.mu.Lock()
	defer f.mu.Unlock()
	c := New(Options{f.opt.Model, f.opt.Capacity, seed})
	r := &reboot{rand.New(rand.NewPCG(seed, 0)), map[*node]map[string]*node{}, map[*node]*node{}}
	for _, ch := range f.survivors(f.log, r.rng) {
		if r.dirs[ch.dir] == nil {
			r.dirs[ch.dir] = maps.Clone(ch.dir.disk)
		}
		ch.apply(r.dirs[ch.dir])
	}
	c.root = r.copy(f.root)
	return c
}

// A reboot copies what is left.
type reboot struct {
	rng   *rand.Rand
	dirs  map[*node]map[string]*node // that some change has reached
	files map[*node]*node            // copied already: a file may have two names
}

func (r *reboot) copy(n *node) *node {
	if n.disk == nil {
		return r.file(n)
	}
	names := r.dirs[n]
	if names == nil {
		names = n.disk
	}
	c := newDir()
	for _, name := range slices.Sorted(maps.Keys(names)) {
		child := r.copy(names[name])
		child.links++
		c.names[name], c.disk[name] = child, child
	}
	return c
}

func (r *reboot) file(n *node) *node {
	if c := r.files[n]; c != nil {
		return c
	}
	c := &node{mem: n.left(r.rng), shared: true, memTime: n.mediumTime}
	if r.rng.IntN(2) == 0 {
		c.memTime = n.memTime
	}
	c.medium, c.mediumTime = c.mem, c.memTime
	r.files[n] = c
	return c
}

// left is a file's content after a power cut, or after a Sync that failed.
func (n *node) left(rng *rand.Rand) []byte {
	if len(n.edits) == 0 {
		return n.medium
	}
	b := slices.Clone(n.medium)
	for i, keep := range draw(rng, len(n.edits)) {
		if keep {
			b = n.edits[i].tear(b, rng)
		}
	}
	return b
}

const sector = 512

// tear applies an edit whole, or as far as a power cut lets it.
func (e edit) tear(b []byte, rng *rand.Rand) []byte {
	if e.data == nil {
		return e.apply(b)
	}
	end := e.at + int64(len(e.data))
	switch rng.IntN(8) {
	case 0: // its beginning
		e.data = e.data[:1+rng.IntN(len(e.data))]
	case 1: // its first half
		e.data = e.data[:(len(e.data)+1)/2]
	case 2: // its length
		return resize(b, max(end, int64(len(b))))
	case 3: // some of its sectors
		b = resize(b, max(end, int64(len(b))))
		for at := e.at; at < end; {
			next := min(end, (at/sector+1)*sector)
			if rng.IntN(2) == 0 {
				copy(b[at:next], e.data[at-e.at:])
			}
			at = next
		}
		return b
	}
	return e.apply(b)
}

// draw chooses some of n, with a liking for the choices that find bugs: none,
// all, a beginning, all but one, only one.
func draw(rng *rand.Rand, n int) []bool {
	keep := make([]bool, n)
	if n == 0 {
		return keep
	}
	kind, one := rng.IntN(6), rng.IntN(n)
	for i := range keep {
		keep[i] = [...]bool{false, true, i < one, i != one, i == one, rng.IntN(2) == 0}[kind]
	}
	return keep
}

// survivors are those of some changes that a power cut leaves, by the model.
func (f *FS) survivors(log []change, rng *rand.Rand) (left []change) {
	var whole []int // where those begin that are drawn as one
	for i, c := range log {
		if !c.tied {
			whole = append(whole, i)
		}
	}
	keep := draw(rng, len(whole))
	if f.opt.Model == Ext4 { // as many, from the first
		drop := func(k bool) bool { return !k }
		keep = slices.DeleteFunc(keep, drop)
		whole = whole[:len(keep)]
	}
	for n, i := range whole {
		if !keep[n] {
			continue
		}
		left = append(left, log[i])
		if i+1 < len(log) && log[i+1].tied && (f.opt.Model == Ext4 || rng.IntN(4) > 0) {
			left = append(left, log[i+1])
		}
	}
	return left
}

// Sync implements durable.FS.
func (f *FS) Sync(dir string) error {
	return f.sync("syncdir", dir, func() (*node, error) {
		n, err := f.find(dir)
		if err == nil && n.names == nil {
			err = syscall.ENOTDIR
		}
		return n, err
	})
}

// Sync implements durable.File.
func (h *file) Sync() error {
	return h.f.sync("sync", h.name, func() (*node, error) { return h.node, h.check(false) })
}

func (f *FS) sync(call, name string, find func() (*node, error)) error {
	fail := f.ask(Op{Call: call, Name: name, Idle: f.idle(find)})
	switch {
	case errors.Is(fail, ErrLie):
		return nil
	case errors.Is(fail, ErrKilled):
		return fail
	}
	f.mu.Lock()
	defer f.mu.Unlock()
	n, err := find()
	if err != nil {
		return wrap(call, name, err)
	}
	due := f.due(n)
	if fail != nil { // the system thinks that all is written now
		n.medium = n.left(f.rng)
		due = f.survivors(due, f.rng)
	} else if len(n.edits) > 0 {
		n.medium = slices.Clone(n.medium)
		for _, e := range n.edits {
			n.medium = e.apply(n.medium)
		}
	}
	n.edits, n.mediumTime = nil, n.memTime
	for _, c := range due {
		c.apply(c.dir.disk)
	}
	return wrap(call, name, fail)
}

// idle reports whether a Sync would change nothing.
func (f *FS) idle(find func() (*node, error)) bool {
	f.mu.Lock()
	defer f.mu.Unlock()
	n, err := find()
	return err == nil && len(n.edits) == 0 && n.memTime.Equal(n.mediumTime) &&
		!slices.ContainsFunc(f.log, func(c change) bool { return f.covers(n, c) })
}

// covers reports whether Sync of a node is what makes a change durable.
func (f *FS) covers(n *node, c change) bool { return c.dir == n || f.opt.Model == Ext4 && c.node == n }

// due takes out of the log the changes that Sync of a node makes durable.
func (f *FS) due(n *node) (due []change) {
	if f.opt.Model == Ext4 {
		end := 0
		for i, c := range f.log {
			if f.covers(n, c) || c.tied && end == i {
				end = i + 1
			}
		}
		due, f.log = f.log[:end], f.log[end:]
		return due
	}
	var rest []change
	for i, c := range f.log {
		next := i+1 < len(f.log) && f.log[i+1].tied && f.log[i+1].dir == n
		switch {
		case c.dir == n || next:
			due = append(due, c)
		default:
			c.tied = c.tied && f.log[i-1].dir != n // the first half is durable
			rest = append(rest, c)
		}
	}
	f.log = rest
	return due
}
