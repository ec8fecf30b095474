package crashfs

import (
	"io/fs"
	"maps"
	"path"
	"slices"
	"strings"
	"syscall"
	"time"

	"roadseal/hal/durable"
)

var _ durable.FS = (*FS)(nil)

// A node is a file or a directory.
type node struct {
	names, disk map[string]*node // of a directory: as read, as on the medium

	mem, medium         []byte // of a file: as read, as on the medium; medium is never changed in place
	shared              bool   // mem is the same memory as medium
	edits               []edit // between the two, in order
	memTime, mediumTime time.Time
	links               int
}

func newDir() *node { return &node{names: map[string]*node{}, disk: map[string]*node{}} }

// A change of a directory: from here on the name stands for the node, or for
// nothing if that is nil.
type change struct {
	dir  *node
	name string
	node *node
	tied bool // the second half of a rename
}

func (c change) apply(names map[string]*node) {
	if c.node == nil {
		delete(names, c.name)
	} else {
		names[c.name] = c.node
	}
}

// set changes a name.
func (f *FS) set(c change) {
	if old := c.dir.names[c.name]; old != nil {
		old.links--
	}
	if c.node != nil {
		c.node.links++
	}
	c.apply(c.dir.names)
	f.log = append(f.log, c)
}

func (f *FS) find(name string) (*node, error) {
	if !fs.ValidPath(name) {
		return nil, fs.ErrInvalid
	}
	n := f.root
	if name == "." {
		return n, nil
	}
	for part := range strings.SplitSeq(name, "/") {
		if n.names == nil {
			return nil, syscall.ENOTDIR
		}
		if n = n.names[part]; n == nil {
			return nil, syscall.ENOENT
		}
	}
	return n, nil
}

// place finds the directory of a name, and what has the name, if anything.
func (f *FS) place(name string) (dir *node, base string, n *node, err error) {
	if name == "." {
		return nil, "", nil, syscall.EBUSY
	}
	if dir, err = f.find(path.Dir(name)); err != nil {
		return nil, "", nil, err
	}
	if base = path.Base(name); !fs.ValidPath(name) {
		return nil, "", nil, fs.ErrInvalid
	}
	if dir.names == nil {
		return nil, "", nil, syscall.ENOTDIR
	}
	return dir, base, dir.names[base], nil
}

// Mkdir implements durable.FS.
func (f *FS) Mkdir(name string) error {
	return f.do("mkdir", name, func() error {
		dir, base, old, err := f.place(name)
		if err == nil && old != nil {
			err = syscall.EEXIST
		}
		if err == nil {
			f.set(change{dir, base, newDir(), false})
		}
		return err
	})
}

// Rename implements durable.FS.
func (f *FS) Rename(from, to string) error {
	return f.do("rename", from, func() error {
		fromDir, fromBase, n, err := f.place(from)
		if err != nil {
			return err
		}
		toDir, toBase, old, err := f.place(to)
		switch {
		case err != nil:
			return err
		case n == nil:
			return syscall.ENOENT
		case n.names != nil:
			return syscall.EINVAL
		case old == n:
			return nil // two names of one file both stay, says POSIX
		case old != nil && old.names != nil:
			return syscall.EEXIST // as package os has it
		}
		f.set(change{toDir, toBase, n, false})
		f.set(change{fromDir, fromBase, nil, true})
		return nil
	})
}

// Link implements durable.FS.
func (f *FS) Link(from, to string) error {
	return f.do("link", from, func() error {
		_, _, n, err := f.place(from)
		if err != nil {
			return err
		}
		dir, base, old, err := f.place(to)
		switch {
		case err != nil:
			return err
		case n == nil:
			return syscall.ENOENT
		case old != nil:
			return syscall.EEXIST
		case n.names != nil:
			return syscall.EPERM
		}
		f.set(change{dir, base, n, false})
		return nil
	})
}

// SetTime implements durable.FS.
func (f *FS) SetTime(name string, t time.Time) error {
	return f.do("settime", name, func() error {
		n, err := f.find(name)
		if err == nil {
			n.memTime = t
		}
		return err
	})
}

// Remove implements durable.FS.
func (f *FS) Remove(name string) error {
	return f.do("remove", name, func() error {
		dir, base, n, err := f.place(name)
		switch {
		case err != nil:
			return err
		case n == nil:
			return syscall.ENOENT
		case len(n.names) > 0:
			return syscall.ENOTEMPTY
		}
		f.set(change{dir, base, nil, false})
		return nil
	})
}

// List implements durable.FS.
func (f *FS) List(dir string, visit func(fs.DirEntry) error) error {
	var all []fs.DirEntry
	err := f.do("list", dir, func() error {
		n, err := f.find(dir)
		if err == nil && n.names == nil {
			err = syscall.ENOTDIR
		}
		if err != nil {
			return err
		}
		for _, name := range slices.Sorted(maps.Keys(n.names)) {
			all = append(all, fs.FileInfoToDirEntry(n.names[name].info(name)))
		}
		f.rng.Shuffle(len(all), func(i, j int) { all[i], all[j] = all[j], all[i] })
		return nil
	})
	for _, e := range all {
		if err := visit(e); err != nil {
			return err
		}
	}
	return err
}

// Free implements durable.FS.
func (f *FS) Free() (free int64, err error) {
	err = f.do("free", ".", func() error {
		free = 1 << 40
		if f.opt.Capacity > 0 {
			free = f.free()
		}
		return nil
	})
	return free, err
}

// free is what is left of the capacity. A file that is open and has no name
// does not count.
func (f *FS) free() int64 {
	free, seen := f.opt.Capacity, map[*node]bool{}
	f.walk(func(_ string, n *node) {
		if !seen[n] {
			free -= int64(len(n.mem))
		}
		seen[n] = true
	})
	return max(0, free)
}

// room is the length that a file can have, as far as size asks for it.
func (f *FS) room(n *node, size int64) int64 {
	length := int64(len(n.mem))
	if f.opt.Capacity == 0 || size <= length {
		return size
	}
	return min(size, length+f.free())
}

// An info is what List shows of a name.
type info struct {
	name string
	mode fs.FileMode
	size int64
	time time.Time
	sys  syscall.Stat_t // with the number of names only
}

func (n *node) info(name string) *info {
	i := &info{name: name, mode: 0o600, size: int64(len(n.mem)), time: n.memTime}
	if n.names != nil {
		i.mode = fs.ModeDir | 0o700
	}
	for range n.links {
		i.sys.Nlink++
	}
	return i
}

func (i *info) Name() string       { return i.name }
func (i *info) Mode() fs.FileMode  { return i.mode }
func (i *info) IsDir() bool        { return i.mode.IsDir() }
func (i *info) Size() int64        { return i.size }
func (i *info) ModTime() time.Time { return i.time }
func (i *info) Sys() any           { return &i.sys }
