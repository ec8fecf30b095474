package disk

import (
	"maps"
	"path"
	"slices"
)

func parent(p string) string { return path.Dir(p) }

// A Model says what a file system keeps when it is asked to.
type Model struct {
	Name string
	// birth: the sync of a file makes the name durable under which it was
	// made.
	birth bool
}

// Models: by POSIX a name is durable after a sync of its directory only; ext4
// and its like write a new file's name with its bytes.
var Models = []Model{{"posix", false}, {"ext4", true}}

// Keeps reports whether the sync s makes the earlier op o durable.
func (m Model) Keeps(s, o Op) bool {
	if o.ended > s.begun {
		return false // not finished when the sync began
	}
	switch o.Kind {
	case Write, Truncate:
		return s.Kind == Sync && s.file == o.file
	case Create:
		return s.Kind == SyncDir && s.Path == parent(o.Path) || m.birth && s.Kind == Sync && s.file == o.file
	case Mkdir, Unlink:
		return s.Kind == SyncDir && s.Path == parent(o.Path)
	case Rename, Link:
		return s.Kind == SyncDir && s.Path == parent(o.To)
	}
	return false
}

// A view is the files of a history at some point: by name, 0 is a directory,
// and by number.
type view struct {
	names map[string]int
	files map[int]*Content
}

// apply returns the view after some ops, one of which may be kept in part.
func (d *Disk) apply(v view, todo []int, odd piece) view {
	w := view{maps.Clone(v.names), maps.Clone(v.files)}
	for _, i := range todo {
		o := &d.ops[i]
		switch o.Kind {
		case Create:
			w.names[o.Path] = o.file
		case Mkdir:
			w.names[o.Path] = 0
		case Link:
			w.names[o.To] = o.file
		case Rename:
			if w.names[o.Path] == o.file {
				delete(w.names, o.Path)
			}
			// Where its first name was lost the file has the new one: that is
			// what one record in a directory's block says.
			w.names[o.To] = o.file
		case Unlink:
			delete(w.names, o.Path)
		case Write, Truncate:
			p := piece{o, whole}
			if odd.op == o {
				p = odd
			}
			w.files[o.file] = d.file(w, o.file).with(p)
		}
	}
	return w
}

// file is the content of a file; an empty one that none has written to.
func (d *Disk) file(v view, n int) *Content {
	if c := v.files[n]; c != nil {
		return c
	}
	return d.empty[n]
}

// Live is what the program sees.
func (d *Disk) Live() Tree { return d.tree(d.live) }

func (d *Disk) tree(v view) Tree {
	t := Tree{}
	for name, n := range v.names {
		if t[name] = nil; n != 0 {
			t[name] = d.file(v, n)
		}
	}
	return t.prune()
}

// A Disk follows a history: what is durable, and what is pending.
type Disk struct {
	ops     []Op
	model   Model
	dropped int // a sync that does nothing, or None
	durable view
	pending []int
	live    view // what the program sees
	empty   []*Content
}

// None is no op.
const None = -1

// New makes a disk at the start of a history. Of the ops the dropped one, a
// sync, will do nothing.
func New(h *History, m Model, dropped int) *Disk {
	d := &Disk{ops: h.Ops, model: m, dropped: dropped, empty: h.empty}
	begin := make([]int, h.First)
	for i := range begin {
		begin[i] = i
	}
	d.durable = d.apply(view{map[string]int{}, map[int]*Content{}}, begin, piece{})
	d.live = d.durable
	return d
}

// Step does op i.
func (d *Disk) Step(i int) {
	o := d.ops[i]
	if !o.isSync() {
		d.live = d.apply(d.live, []int{i}, piece{})
		d.pending = append(d.pending, i)
		return
	}
	if i == d.dropped {
		return
	}
	var kept, rest []int
	for _, j := range d.pending {
		if d.model.Keeps(o, d.ops[j]) {
			kept = append(kept, j)
		} else {
			rest = append(rest, j)
		}
	}
	d.durable, d.pending = d.apply(d.durable, kept, piece{}), rest
}

// Ends calls f with what a cut may leave at the extremes: nothing of what is
// pending, and all of it.
func (d *Disk) Ends(f func(why string, t Tree)) {
	f("none", d.tree(d.durable))
	f("all", d.Live())
}

// Cuts calls f with each tree that a cut may leave: of what is pending nothing,
// all, all but one, one only, the first n, or all with one write torn or zeros.
func (d *Disk) Cuts(f func(why string, t Tree)) {
	d.Ends(f)
	emit := func(why string, todo []int, odd piece) {
		f(why, d.tree(d.apply(d.durable, todo, odd)))
	}
	for n, i := range d.pending {
		label := d.ops[i].Label()
		emit("all but "+label, slices.Concat(d.pending[:n], d.pending[n+1:]), piece{})
		emit("only "+label, []int{i}, piece{})
		if n > 0 {
			emit("all before "+label, d.pending[:n], piece{})
		}
		if d.ops[i].Kind == Write {
			emit("torn "+label, d.pending, piece{&d.ops[i], torn})
			emit("zeros for "+label, d.pending, piece{&d.ops[i], zeros})
		}
	}
}
