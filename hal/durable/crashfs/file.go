package crashfs

import (
	"errors"
	"io"
	"io/fs"
	"slices"
	"syscall"
	"time"

	"roadseal/hal/durable"
)

// A file is an open file.
type file struct {
	f      *FS
	node   *node
	name   string // that it was opened by
	write  bool
	closed bool
	at     int64 // of the next Read or Write
}

// Create implements durable.FS.
func (f *FS) Create(name string) (durable.File, error) {
	return f.open("create", name, func() (*node, error) {
		dir, base, n, err := f.place(name)
		if err == nil && n != nil {
			err = syscall.EEXIST
		}
		if err != nil {
			return nil, err
		}
		n = &node{memTime: time.Now()}
		f.set(change{dir, base, n, false})
		return n, nil
	})
}

// Open implements durable.FS.
func (f *FS) Open(name string) (durable.File, error) {
	return f.open("open", name, func() (*node, error) { return f.find(name) })
}

// Update implements durable.FS.
func (f *FS) Update(name string) (durable.File, error) {
	return f.open("update", name, func() (*node, error) { return f.find(name) })
}

func (f *FS) open(call, name string, find func() (*node, error)) (durable.File, error) {
	h := &file{f: f, name: name, write: call != "open"}
	err := f.do(call, name, func() (err error) {
		if h.node, err = find(); err != nil {
			return err
		}
		if h.node.names != nil {
			return syscall.EISDIR
		}
		return nil
	})
	if err != nil {
		return nil, err
	}
	return h, nil
}

func (h *file) check(write bool) error {
	switch {
	case h.closed:
		return fs.ErrClosed
	case write && !h.write:
		return syscall.EBADF
	}
	return nil
}

// Read implements io.Reader.
func (h *file) Read(p []byte) (int, error) {
	n, err := h.ReadAt(p, h.at)
	h.at += int64(n)
	if n > 0 || len(p) == 0 && err == io.EOF {
		err = nil
	}
	return n, err
}

// ReadAt implements io.ReaderAt.
func (h *file) ReadAt(p []byte, at int64) (n int, err error) {
	err = h.f.do("read", h.name, func() error {
		if at < 0 {
			return syscall.EINVAL
		}
		if err := h.check(false); err != nil {
			return err
		}
		n = copy(p, h.node.mem[min(at, int64(len(h.node.mem))):])
		return nil
	})
	if err == nil && n < len(p) {
		err = io.EOF
	}
	return n, err
}

// Write implements io.Writer.
func (h *file) Write(p []byte) (int, error) {
	n, err := h.WriteAt(p, h.at)
	h.at += int64(n)
	return n, err
}

// WriteAt implements io.WriterAt. It writes as much as there is room for, or
// half of it where the hook fails.
func (h *file) WriteAt(p []byte, at int64) (int, error) {
	err := h.f.ask(Op{Call: "write", Name: h.name})
	if errors.Is(err, ErrKilled) {
		return 0, err
	}
	h.f.mu.Lock()
	defer h.f.mu.Unlock()
	if at < 0 {
		return 0, wrap("write", h.name, syscall.EINVAL)
	}
	if err := h.check(true); err != nil {
		return 0, wrap("write", h.name, err)
	}
	n := int64(len(p))
	if err != nil {
		n /= 2
	}
	if room := h.f.room(h.node, at+n); room < at+n {
		n, err = max(0, room-at), syscall.ENOSPC
	}
	if n > 0 {
		h.change(edit{at: at, data: slices.Clone(p[:n])})
	}
	return int(n), wrap("write", h.name, err)
}

// Truncate implements durable.File.
func (h *file) Truncate(size int64) error {
	return h.f.do("truncate", h.name, func() error {
		if err := h.check(true); err != nil {
			return err
		}
		if size < 0 {
			return syscall.EINVAL
		}
		if h.f.room(h.node, size) < size {
			return syscall.ENOSPC
		}
		h.change(edit{at: size})
		return nil
	})
}

// change edits the file in the page cache.
func (h *file) change(e edit) {
	n := h.node
	if n.shared {
		n.mem, n.shared = slices.Clone(n.mem), false
	}
	n.mem, n.edits, n.memTime = e.apply(n.mem), append(n.edits, e), time.Now()
}

// Size implements durable.File.
func (h *file) Size() (int64, error) {
	h.f.mu.Lock()
	defer h.f.mu.Unlock()
	if err := h.check(false); err != nil {
		return 0, wrap("stat", h.name, err)
	}
	return int64(len(h.node.mem)), nil
}

// Forget implements durable.File.
func (h *file) Forget() {}

// Close implements io.Closer.
func (h *file) Close() error {
	h.f.mu.Lock()
	defer h.f.mu.Unlock()
	err := h.check(false)
	h.closed = true
	return wrap("close", h.name, err)
}

// An edit is a write at an offset, or, without data, a new length.
type edit struct {
	at   int64
	data []byte
}

func (e edit) apply(b []byte) []byte {
	if e.data == nil {
		return resize(b, e.at)
	}
	b = resize(b, max(int64(len(b)), e.at+int64(len(e.data))))
	copy(b[e.at:], e.data)
	return b
}

// resize cuts or adds zeros. What is cut off is not seen again.
func resize(b []byte, n int64) []byte {
	if n <= int64(len(b)) {
		return b[:n:n]
	}
	return append(b, make([]byte, n-int64(len(b)))...)
}
