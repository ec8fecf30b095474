// Package hostile puts into a recorder's folder what an agent must not read or
// must not be misled by, and watches through inotify what of it is read.
//
// Side: red.
package hostile

import (
	"cmp"
	"crypto/sha256"
	"errors"
	"fmt"
	"math/rand/v2"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"time"

	"golang.org/x/sys/unix"
)

// A Field is a folder with hostile entries in it.
type Field struct {
	Entries int      // that were planted
	Skipped []string // what only root can make

	folder  string
	outside string // where links lead
	mark    string
	watch   *watch
	growing *os.File

	mu      sync.Mutex
	what    map[string]string       // by path: what must not be opened
	act     map[string]func() error // by path: what happens when it is read
	waiting int                     // entries that were not read yet, and have to be
	once    map[[32]byte]bool       // SHA-256 of what was a whole file at some time, and may have been read then
	faults  []string
}

// maker creates one entry at path.
type maker func(path string) error

// An entry has a good name for a clip of BlackVue, if it is not given another.
type entry struct {
	what string
	name string
	make maker
	root bool // only root can make it
}

// Plant fills folder, which must be there, with entries whose content holds
// mark. What links lead to is made in outside.
func Plant(folder, outside, mark string) (*Field, error) {
	f := &Field{folder: folder, outside: outside, mark: mark, what: map[string]string{}, act: map[string]func() error{}, once: map[[32]byte]bool{}}
	if err := f.inside(filepath.Join(outside, "folder"), clip(0)); err != nil {
		return nil, err
	}
	dirs := []string{folder, outside, filepath.Join(outside, "folder")}
	for _, secret := range []string{"secret.mp4", "key"} {
		if err := f.write(filepath.Join(outside, secret)); err != nil {
			return nil, err
		}
	}
	for i, e := range append(f.files(), f.names()...) {
		if e.root && os.Geteuid() != 0 {
			f.Skipped = append(f.Skipped, e.what)
			continue
		}
		path := filepath.Join(folder, cmp.Or(e.name, clip(i)))
		if err := e.make(path); err != nil {
			return nil, fmt.Errorf("cannot plant a hostile entry (%s): %w", e.what, err)
		}
		if info, err := os.Lstat(path); err == nil && info.IsDir() {
			dirs = append(dirs, path)
		}
		if _, moves := f.act[path]; !moves {
			f.what[path] = e.what
		}
		f.Entries++
	}
	f.waiting = len(f.act)
	var err error
	f.watch, err = newWatch(dirs...)
	return f, err
}

// clip is a name that the preset takes.
func clip(i int) string { return fmt.Sprintf("20010101_%02d%02d00_EF.mp4", i/60, i%60) }

// huge is what the file that holds next to nothing claims to hold, in bytes.
const huge = 1 << 40

// files are entries that are hostile by what they are.
func (f *Field) files() []entry {
	link := func(to string) maker { return func(path string) error { return os.Symlink(to, path) } }
	node := func(mode uint32, dev uint64) maker {
		return func(path string) error { return unix.Mknod(path, mode|0o666, int(dev)) }
	}
	return []entry{
		{what: "link to a secret", make: link(filepath.Join(f.outside, "secret.mp4"))},
		{what: "link to a folder", make: link(filepath.Join(f.outside, "folder"))},
		{what: "link to nothing", make: link("nowhere")},
		{what: "FIFO", make: node(unix.S_IFIFO, 0)},
		{what: "socket", make: node(unix.S_IFSOCK, 0)},
		{what: "device", make: node(unix.S_IFCHR, unix.Mkdev(1, 5)), root: true},
		{what: "hard link to a key of another owner", root: true, make: func(path string) error {
			key := filepath.Join(f.outside, "key")
			return errors.Join(os.Chown(key, 4242, 4242), os.Link(key, path))
		}},
		{what: "folder called like a clip", make: func(path string) error { return f.inside(path, "key.pem") }},
		{what: "sparse file of 1 TiB", make: func(path string) error { return errors.Join(f.write(path), os.Truncate(path, huge)) }},
		{what: "empty file", make: func(path string) error { return os.WriteFile(path, nil, 0o644) }},
		{what: "file that is never closed", make: func(path string) (err error) {
			f.growing, err = os.Create(path)
			return err
		}},
		{what: "file that changes while it is read", make: f.changing},
		{what: "file that is removed while it is read", make: f.fleeing(os.Remove)},
		{what: "file that is renamed while it is read", make: f.fleeing(func(path string) error { return os.Rename(path, path+".kept") })},
	}
}

// names are entries that are hostile by what they are called.
func (f *Field) names() []entry {
	below := func(path string) error { return f.inside(path, clip(0)) }
	var all []entry
	for what, name := range map[string]string{
		"name with a line feed":       clip(100) + "\n",
		"name that is no UTF-8":       "\xff\xfe" + clip(101),
		"name of 255 bytes":           strings.Repeat("a", 251) + ".mp4",
		"name that begins with dots":  "..\\" + clip(102),
		"name that climbs":            "a\\..\\" + clip(103),
		"hidden name":                 "." + clip(104),
		"temporary name":              clip(105) + ".tmp",
		"twin in small letters":       strings.ToLower(clip(106)),
		"twin in capital letters":     strings.ToUpper(clip(106)),
		"alias of the file system":    "200101~1.MP4",
		"name for a careless command": "$(reboot);`id`.mp4",
	} {
		all = append(all, entry{what: what, name: name, make: f.write})
	}
	return append(all, entry{what: "folder of the file system", name: "System Volume Information", make: below},
		entry{what: "folder of lost files", name: "LOST.DIR", make: below})
}

func (f *Field) write(path string) error {
	return os.WriteFile(path, []byte(f.mark+" must not be read"), 0o644)
}

// inside makes a folder with a file in it.
func (f *Field) inside(dir, file string) error {
	return errors.Join(os.MkdirAll(dir, 0o755), f.write(filepath.Join(dir, file)))
}

// large takes long enough to be read that what happens then happens in time,
// mostly.
const large = 8 << 20 // bytes

// noise makes a large file that no other is like.
func (f *Field) noise(path string) ([]byte, error) {
	b := make([]byte, large)
	_, _ = rand.NewChaCha8(sha256.Sum256([]byte(path))).Read(b) // never fails
	copy(b, f.mark)
	f.once[sha256.Sum256(b)] = true
	return b, os.WriteFile(path, b, 0o644)
}

// fleeing makes a file with which something happens when it is read first.
func (f *Field) fleeing(happen func(path string) error) maker {
	return func(path string) error {
		f.act[path] = func() error {
			delete(f.act, path)
			f.waiting--
			return happen(path)
		}
		_, err := f.noise(path)
		return err
	}
}

// A file that changes does so a few times, once each time that it is read: it
// is not sealed anew without end.
const (
	changes = 4
	pause   = 500 * time.Millisecond
)

// changing makes a file that grows while it is read.
func (f *Field) changing(path string) error {
	b, err := f.noise(path)
	left, last := changes, time.Time{}
	f.act[path] = func() error {
		if left == 0 || time.Since(last) < pause {
			return nil
		}
		if left == changes {
			f.waiting--
		}
		left, last = left-1, time.Now()
		b = append(b, f.mark...)
		f.once[sha256.Sum256(b)] = true
		file, err := os.OpenFile(path, os.O_APPEND|os.O_WRONLY, 0)
		if err != nil {
			return err
		}
		_, err = file.WriteString(f.mark)
		return errors.Join(err, file.Close())
	}
	return err
}
