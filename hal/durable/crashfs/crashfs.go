// Package crashfs is a durable.FS in memory whose power can be cut, for tests:
// it keeps what is on the medium apart from what is only in the page cache.
//
// What a power cut may do, after ALICE (OSDI '14) and CrashMonkey (OSDI '18): of
// all that was not synced, any part is there afterwards.
//
//   - Bytes: any of the writes and truncations of a file since its last Sync;
//     of a write its beginning, any of its 512-byte sectors, or its length only,
//     with zeros for what was never written. Times likewise.
//   - Names, Posix: any of the changes to a directory since its last Sync. The
//     new name of a rename replaces what had it in one step, and the old name
//     does not go before the new one is there: a file may come back under both,
//     never under none.
//   - Names, Ext4: all changes are in one order, that of the journal, and a
//     beginning of it is there; a rename is one step. Sync of a file also makes
//     every change durable up to the last one that gave the file a name.
//
// What it may not do: undo what a Sync returned for, damage bytes beside those
// that were being written, show one file's bytes in another, or break the file
// system itself. Directories are made and removed, never renamed. A hole takes
// space.
//
// Side: any.
package crashfs

import (
	"errors"
	"fmt"
	"hash/maphash"
	"io/fs"
	"maps"
	"math/rand/v2"
	"slices"
	"strings"
	"sync"
)

// A Model says when a name is durable.
type Model int

// The models of the package comment.
const (
	Posix Model = iota
	Ext4
)

func (m Model) String() string { return [...]string{"posix", "ext4"}[m] }

// Options are those of New.
type Options struct {
	Model    Model
	Capacity int64  // bytes in all files together; 0 is no limit
	Seed     uint64 // of the order of List and of what a failed Sync leaves behind
}

// An Op is one call to an FS or to one of its files.
type Op struct {
	N int // number of the call, from 1
	// Call is "mkdir", "create", "open", "update", "rename", "link",
	// "settime", "remove", "syncdir", "list" or "free", and of a file "read",
	// "write", "truncate" or "sync".
	Call string
	Name string
	Idle bool // a sync that has nothing to make durable
}

// Changes reports whether the call can change what a power cut leaves.
func (o Op) Changes() bool {
	return !slices.Contains([]string{"open", "update", "list", "free", "read"}, o.Call)
}

// Errors by which a hook asks for more than a fault.
var (
	// ErrLie makes a Sync return nil and do nothing, like a drive that lies
	// about flushing.
	ErrLie = errors.New("nothing was synced")
	// ErrKilled is for the calls of a process that no longer runs: nothing
	// happens, not even a fault.
	ErrKilled = errors.New("killed")
)

// An FS is a durable.FS. It may be used by several goroutines.
type FS struct {
	opt Options

	mu   sync.Mutex
	root *node
	log  []change // of names, not durable, in order
	rng  *rand.Rand
	ops  int
	hook func(Op) error
}

// New makes an empty file system.
func New(o Options) *FS {
	return &FS{opt: o, root: newDir(), rng: rand.New(rand.NewPCG(o.Seed, 1))}
}

// Inject sets what is called before each operation, nil for nothing; it may
// call Crash. If it returns an error the operation fails with it: a write has
// written half of its bytes then, and a Sync has lost some of what it was to
// make durable, so that the next one says that all is well, as on Linux. An
// error for every operation is a card that was pulled out.
func (f *FS) Inject(hook func(Op) error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.hook = hook
}

// ask counts an operation and asks the hook.
func (f *FS) ask(op Op) error {
	f.mu.Lock()
	f.ops++
	op.N = f.ops
	hook := f.hook
	f.mu.Unlock()
	if hook == nil {
		return nil
	}
	return hook(op)
}

// do is an operation that the hook lets happen or not.
func (f *FS) do(call, name string, act func() error) error {
	err := f.ask(Op{Call: call, Name: name})
	if err == nil {
		f.mu.Lock()
		defer f.mu.Unlock()
		err = act()
	}
	return wrap(call, name, err)
}

func wrap(call, name string, err error) error {
	if err == nil {
		return nil
	}
	return &fs.PathError{Op: call, Path: name, Err: err}
}

var sumSeed = maphash.MakeSeed()

// Sum is a hash of what can be read: names and bytes, not times. It holds
// within one process.
func (f *FS) Sum() uint64 {
	f.mu.Lock()
	defer f.mu.Unlock()
	var h maphash.Hash
	h.SetSeed(sumSeed)
	f.walk(func(name string, n *node) {
		maphash.WriteComparable(&h, struct {
			name string
			dir  bool
			size int
		}{name, n.names != nil, len(n.mem)})
		_, _ = h.Write(n.mem) // never fails
	})
	return h.Sum64()
}

// String lists what is there, a line each.
func (f *FS) String() string {
	f.mu.Lock()
	defer f.mu.Unlock()
	var b strings.Builder
	f.walk(func(name string, n *node) { fmt.Fprintf(&b, "%v %7d %s\n", n.info(name).mode, len(n.mem), name) })
	return b.String()
}

// walk visits everything but the root, sorted. Called with the lock held.
func (f *FS) walk(visit func(name string, n *node)) {
	var down func(prefix string, dir *node)
	down = func(prefix string, dir *node) {
		for _, name := range slices.Sorted(maps.Keys(dir.names)) {
			n := dir.names[name]
			visit(prefix+name, n)
			down(prefix+name+"/", n)
		}
	}
	down("", f.root)
}
