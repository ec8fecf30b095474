package disk

import (
	"fmt"
	"slices"
	"strings"
)

// Unmodelled says that a program used a call on its files that the model does
// not know: the sweep would not see what it does.
type Unmodelled struct {
	call, why string
}

func (e *Unmodelled) Error() string {
	return fmt.Sprintf("the model of a file system does not know this use of %s (%s): teach it, or change the program", e.call, e.why)
}

// take enters one call into the history.
func (x *Reader) take(c call) error {
	if c.failed {
		return nil
	}
	switch c.name {
	case "openat":
		return x.open(c)
	case "close":
		n, err := c.number(0)
		// Another thread may have been given the number before strace came to
		// write that this call has ended.
		if f := x.fds[n]; f != nil && f.since < c.begun {
			delete(x.fds, n)
		}
		return err
	case "write", "pwrite64", "ftruncate", "lseek", "fsync", "fdatasync":
		return x.onFile(c)
	case "mkdirat", "unlinkat":
		return x.onName(c)
	case "renameat", "renameat2", "linkat":
		return x.onNames(c)
	case "utimensat":
		return nil // times decide nothing after a cut
	case "mmap":
		if c.has(3, "MAP_SHARED") && c.has(2, "PROT_WRITE") {
			return x.forbid(c, 4)
		}
		return nil
	case "fcntl":
		if strings.HasPrefix(c.arg(1), "F_DUPFD") {
			return x.forbid(c, 0)
		}
		return nil
	case "dup", "dup2", "dup3", "writev", "pwritev", "pwritev2", "fallocate", "sync_file_range", "vmsplice":
		return x.forbid(c, 0)
	case "copy_file_range", "splice":
		return x.forbid(c, 0, 2)
	case "sendfile":
		return x.forbid(c, 0, 1)
	}
	return &Unmodelled{c.name, "on any file"}
}

// forbid fails if one of the descriptors is of a file below the root.
func (x *Reader) forbid(c call, args ...int) error {
	for _, i := range args {
		n, err := c.number(i)
		if err != nil {
			return err
		}
		if f := x.fds[n]; f != nil && f.file != 0 {
			return &Unmodelled{c.name, "on a file of the program"}
		}
	}
	return nil
}

func (x *Reader) open(c call) error {
	p, err := x.path(c, 0)
	if err != nil {
		return err
	}
	f := &fd{path: p, since: c.ended}
	x.fds[c.ret] = f
	name, ok := x.below(p)
	if !ok {
		return nil
	}
	n, known := x.names[name]
	switch {
	case known && n == 0:
		f.isDir = true
	case !known && !c.has(2, "O_CREAT"):
		return fmt.Errorf("openat: %s was opened and is not known to be there", Role(name))
	case c.has(2, "O_APPEND"):
		return &Unmodelled{c.name, "O_APPEND"}
	case !known:
		f.file = x.file(name)
		return x.add(c, Op{Kind: Create, Path: name, file: f.file})
	default:
		f.file = n
		if c.has(2, "O_TRUNC") {
			return x.add(c, Op{Kind: Truncate, Path: name, file: n})
		}
	}
	return nil
}

// onFile enters a call whose first argument is a descriptor.
func (x *Reader) onFile(c call) error {
	n, err := c.number(0)
	if err != nil {
		return err
	}
	f := x.fds[n]
	if f == nil || f.file == 0 && !f.isDir {
		return nil // a socket, or a file elsewhere
	}
	name, _ := x.below(f.path)
	o := Op{Path: name, file: f.file}
	switch c.name {
	case "lseek":
		f.pos = c.ret
		return nil
	case "fsync", "fdatasync":
		if o.Kind = Sync; f.isDir {
			o.Kind = SyncDir
		}
		return x.add(c, o)
	case "ftruncate":
		o.Kind = Truncate
		if o.at, err = c.number(1); err != nil {
			return err
		}
		return x.add(c, o)
	}
	o.Kind, o.at = Write, f.pos
	if o.data, err = c.bytes(1); err != nil {
		return err
	}
	if int64(len(o.data)) < c.ret {
		return fmt.Errorf("%s: %d bytes were written, %d are in the trace", c.name, c.ret, len(o.data))
	}
	o.data = o.data[:c.ret]
	if c.name == "pwrite64" {
		if o.at, err = c.number(3); err != nil {
			return err
		}
	} else {
		f.pos += c.ret
	}
	return x.add(c, o)
}

// onName enters a call that makes or removes a name.
func (x *Reader) onName(c call) error {
	p, err := x.path(c, 0)
	if err != nil {
		return err
	}
	name, ok := x.below(p)
	if !ok {
		return nil
	}
	if c.name == "mkdirat" {
		x.names[name] = 0
		return x.add(c, Op{Kind: Mkdir, Path: name})
	}
	if c.has(2, "AT_REMOVEDIR") {
		return &Unmodelled{c.name, "of a directory"}
	}
	delete(x.names, name)
	return x.add(c, Op{Kind: Unlink, Path: name})
}

// onNames enters a call with an old and a new name.
func (x *Reader) onNames(c call) error {
	from, err := x.path(c, 0)
	if err != nil {
		return err
	}
	to, err := x.path(c, 2)
	if err != nil {
		return err
	}
	old, a := x.below(from)
	name, b := x.below(to)
	if !a && !b {
		return nil
	}
	n, known := x.names[old]
	switch {
	case a != b, !known, n == 0:
		return &Unmodelled{c.name, "across the root, or of a directory"}
	case c.name != "linkat" && parent(old) != parent(name):
		return &Unmodelled{c.name, "from one directory to another"}
	case c.name == "renameat2" && !slices.Contains([]string{"0", "RENAME_NOREPLACE"}, c.arg(4)):
		return &Unmodelled{c.name, c.arg(4)}
	}
	x.names[name] = n
	o := Op{Kind: Link, Path: old, To: name, file: n}
	if c.name != "linkat" {
		o.Kind = Rename
		delete(x.names, old)
	}
	return x.add(c, o)
}
