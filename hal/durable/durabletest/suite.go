// Package durabletest holds what every durable.FS must pass, and the sweep over
// crash states for whoever keeps state through one. Only tests import it.
//
// Side: any.
package durabletest

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"slices"
	"syscall"
	"testing"
	"time"

	"roadseal/hal/durable"
)

// Run tests a file system. empty makes one with at least 1 MiB of room.
func Run(t *testing.T, empty func(t *testing.T) durable.FS) {
	for name, test := range map[string]func(*testing.T, durable.FS){
		"create never overwrites":        create,
		"reads and writes":               readWrite,
		"an open file outlives its name": outlives,
		"rename":                         rename,
		"link":                           link,
		"remove":                         remove,
		"time and length":                timeAndLength,
		"nothing outside":                nothingOutside,
		"list":                           list,
		"whole files":                    wholeFiles,
		"directories":                    directories,
	} {
		t.Run(name, func(t *testing.T) { test(t, empty(t)) })
	}
}

func must(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

func mustBe(t *testing.T, err, want error) {
	t.Helper()
	if !errors.Is(err, want) {
		t.Fatalf("got error %v, want %v", err, want)
	}
}

func mustFail(t *testing.T, what string, err error) {
	t.Helper()
	if err == nil {
		t.Fatalf("%s: no error", what)
	}
}

func put(t *testing.T, fsys durable.FS, name, content string) {
	t.Helper()
	f, err := fsys.Create(name)
	must(t, err)
	_, err = f.Write([]byte(content))
	must(t, err)
	must(t, f.Sync())
	must(t, f.Close())
}

func holds(t *testing.T, fsys durable.FS, name, want string) {
	t.Helper()
	b, err := durable.ReadFile(fsys, name, 1<<20)
	must(t, err)
	if string(b) != want {
		t.Fatalf("%s holds %q, want %q", name, b, want)
	}
}

func create(t *testing.T, fsys durable.FS) {
	put(t, fsys, "x", "old")
	_, err := fsys.Create("x")
	mustBe(t, err, fs.ErrExist)
	holds(t, fsys, "x", "old")
	for _, open := range []func(string) (durable.File, error){fsys.Open, fsys.Update} {
		_, err = open("none")
		mustBe(t, err, fs.ErrNotExist)
	}
	_, err = fsys.Create("none/x")
	mustBe(t, err, fs.ErrNotExist)
	_, err = fsys.Create("x/y")
	mustFail(t, "a file is no directory", err)
}

func readWrite(t *testing.T, fsys durable.FS) {
	f, err := fsys.Create("x")
	must(t, err)
	_, err = f.Write([]byte("hello "))
	must(t, err)
	_, err = f.Write([]byte("world"))
	must(t, err)
	_, err = f.WriteAt([]byte("J"), 0)
	must(t, err)
	_, err = f.WriteAt([]byte("!"), 12)
	must(t, err)
	size, err := f.Size()
	must(t, err)
	if size != 13 {
		t.Fatalf("13 bytes were written, the size is %d", size)
	}
	_, err = f.WriteAt([]byte("x"), -1)
	mustFail(t, "a negative offset", err)
	b := make([]byte, 4)
	n, err := f.ReadAt(b, 11)
	if n != 2 || err != io.EOF || !bytes.Equal(b[:n], []byte("\x00!")) {
		t.Fatalf("ReadAt over the end: %q, %v", b[:n], err)
	}
	n, err = f.ReadAt(b, 100)
	if n != 0 || err != io.EOF {
		t.Fatalf("ReadAt behind the end: %d, %v", n, err)
	}
	_, err = f.Write([]byte("s")) // goes on where Write was
	must(t, err)
	must(t, f.Close())
	mustBe(t, f.Close(), fs.ErrClosed)
	_, err = f.Write(b)
	mustBe(t, err, fs.ErrClosed)
	_, err = f.ReadAt(b, 0)
	mustBe(t, err, fs.ErrClosed)
	mustBe(t, f.Sync(), fs.ErrClosed)
	holds(t, fsys, "x", "Jello worlds!")

	f, err = fsys.Open("x")
	must(t, err)
	_, err = f.Write([]byte("y"))
	mustFail(t, "a write to a file that was opened for reading", err)
	mustFail(t, "the same by Truncate", f.Truncate(0))
	must(t, f.Sync())
	f.Forget()
	_, err = io.ReadFull(f, b)
	must(t, err)
	if string(b) != "Jell" {
		t.Fatalf("the first bytes read %q", b)
	}
	must(t, f.Close())
}

func outlives(t *testing.T, fsys durable.FS) {
	f, err := fsys.Create("x")
	must(t, err)
	must(t, fsys.Rename("x", "y"))
	_, err = f.Write([]byte("one"))
	must(t, err)
	holds(t, fsys, "y", "one")
	must(t, fsys.Remove("y"))
	_, err = f.WriteAt([]byte("two"), 3)
	must(t, err)
	must(t, f.Sync())
	b := make([]byte, 6)
	_, err = f.ReadAt(b, 0)
	must(t, err)
	if string(b) != "onetwo" {
		t.Fatalf("a file without a name reads %q", b)
	}
	must(t, f.Close())
	_, err = fsys.Open("y")
	mustBe(t, err, fs.ErrNotExist)
}

func rename(t *testing.T, fsys durable.FS) {
	put(t, fsys, "a", "1")
	put(t, fsys, "b", "2")
	must(t, fsys.Mkdir("d"))
	must(t, fsys.Rename("a", "b"))
	holds(t, fsys, "b", "1")
	mustBe(t, fsys.Rename("a", "c"), fs.ErrNotExist)
	mustBe(t, fsys.Rename("b", "none/b"), fs.ErrNotExist)
	mustFail(t, "a directory is not replaced by a file", fsys.Rename("b", "d"))
	must(t, fsys.Rename("b", "d/b"))
	must(t, fsys.Rename("d/b", "d/b"))
	holds(t, fsys, "d/b", "1")
	must(t, fsys.Link("d/b", "c"))
	must(t, fsys.Rename("c", "d/b"))
	holds(t, fsys, "c", "1") // two names of one file both stay
	must(t, errors.Join(fsys.Sync("d"), fsys.Sync(".")))
	mustBe(t, fsys.Sync("none"), fs.ErrNotExist)
}

func link(t *testing.T, fsys durable.FS) {
	mustBe(t, fsys.Link("a", "b"), fs.ErrNotExist)
	put(t, fsys, "a", "one")
	put(t, fsys, "c", "other")
	must(t, fsys.Mkdir("d"))
	must(t, fsys.Link("a", "d/b"))
	mustBe(t, fsys.Link("c", "d/b"), fs.ErrExist)
	mustBe(t, fsys.Link("c", "c"), fs.ErrExist)
	mustFail(t, "a directory has one name", fsys.Link("d", "e"))
	f, err := fsys.Update("a")
	must(t, err)
	_, err = f.WriteAt([]byte("O"), 0)
	must(t, err)
	must(t, f.Close())
	holds(t, fsys, "d/b", "One")
	names(t, fsys, "d", 2)
	must(t, fsys.Remove("a"))
	holds(t, fsys, "d/b", "One")
	names(t, fsys, "d", 1)
}

// names checks how many names the files of a directory have.
func names(t *testing.T, fsys durable.FS, dir string, want int) {
	t.Helper()
	must(t, fsys.List(dir, func(e fs.DirEntry) error {
		info, err := e.Info()
		if err != nil {
			return err
		}
		if st, ok := info.Sys().(*syscall.Stat_t); !ok || int(st.Nlink) != want {
			return fmt.Errorf("%s: %+v, want a Stat_t with %d names", e.Name(), info.Sys(), want)
		}
		return nil
	}))
}

func remove(t *testing.T, fsys durable.FS) {
	mustBe(t, fsys.Remove("a"), fs.ErrNotExist)
	must(t, fsys.Mkdir("d"))
	put(t, fsys, "d/a", "1")
	mustFail(t, "a directory that is not empty", fsys.Remove("d"))
	must(t, fsys.Remove("d/a"))
	must(t, fsys.Remove("d"))
	_, err := fsys.Open("d/a")
	mustBe(t, err, fs.ErrNotExist)
	must(t, fsys.Mkdir("d"))
	put(t, fsys, "d/a", "2")
	holds(t, fsys, "d/a", "2")
}

func timeAndLength(t *testing.T, fsys durable.FS) {
	put(t, fsys, "a", "12345")
	f, err := fsys.Update("a")
	must(t, err)
	must(t, f.Truncate(2))
	must(t, f.Truncate(4))
	mustFail(t, "a negative length", f.Truncate(-1))
	holds(t, fsys, "a", "12\x00\x00")
	must(t, f.Truncate(0))
	_, err = f.WriteAt([]byte("x"), 2)
	must(t, err)
	holds(t, fsys, "a", "\x00\x00x")
	at := time.Date(2026, 11, 24, 0, 0, 0, 0, time.UTC)
	must(t, fsys.SetTime("a", at))
	must(t, f.Sync())
	must(t, f.Close())
	mustBe(t, fsys.SetTime("b", at), fs.ErrNotExist)
	must(t, fsys.List(".", func(e fs.DirEntry) error {
		info, err := e.Info()
		if err == nil && (!info.ModTime().Equal(at) || info.Size() != 3 || !info.Mode().IsRegular()) {
			err = fmt.Errorf("listed %v with %d bytes, %v", info.ModTime(), info.Size(), info.Mode())
		}
		return err
	}))
	free, err := fsys.Free()
	must(t, err)
	if free < 1<<19 {
		t.Fatalf("%d bytes are free", free)
	}
}

func nothingOutside(t *testing.T, fsys durable.FS) {
	put(t, fsys, "a", "1")
	for _, name := range []string{"../a", "/a", "../../etc/hostname", "a/../../b"} {
		for what, do := range map[string]func() error{
			"open":   func() error { _, err := fsys.Open(name); return err },
			"create": func() error { _, err := fsys.Create(name); return err },
			"rename": func() error { return fsys.Rename("a", name) },
			"link":   func() error { return fsys.Link("a", name) },
			"mkdir":  func() error { return fsys.Mkdir(name) },
			"remove": func() error { return fsys.Remove(name) },
			"list":   func() error { return fsys.List(name, func(fs.DirEntry) error { return nil }) },
		} {
			mustFail(t, what+" "+name, do())
		}
	}
}

// list has more names than a Disk reads at once.
func list(t *testing.T, fsys durable.FS) {
	const files = 2500
	must(t, fsys.Mkdir("d"))
	must(t, fsys.Mkdir("d/sub"))
	for i := range files {
		put(t, fsys, fmt.Sprintf("d/%d", i), "")
	}
	seen := map[string]bool{}
	must(t, fsys.List("d", func(e fs.DirEntry) error {
		seen[e.Name()] = true
		if (e.Name() == "sub") != e.IsDir() || e.Type().IsRegular() == e.IsDir() {
			return fmt.Errorf("%s is listed as %v", e.Name(), e.Type())
		}
		return nil
	}))
	if len(seen) != files+1 {
		t.Fatalf("%d of %d names were listed", len(seen), files+1)
	}
	stop, n := errors.New("enough"), 0
	mustBe(t, fsys.List("d", func(fs.DirEntry) error { n++; return stop }), stop)
	if n != 1 {
		t.Fatalf("the list went on after an error: %d calls", n)
	}
	mustBe(t, fsys.List("none", nil), fs.ErrNotExist)
}

func wholeFiles(t *testing.T, fsys durable.FS) {
	must(t, durable.MkdirAll(fsys, "sub/deep"))
	for name, write := range map[string]func(durable.FS, string, string, []byte) error{
		"durable": durable.WriteFile, "volatile": durable.WriteVolatile,
	} {
		for _, content := range []string{"one", "", "three"} {
			must(t, write(fsys, "sub/deep", name, []byte(content)))
			holds(t, fsys, "sub/deep/"+name, content)
		}
		// The litter of a crash does not stop the next write.
		put(t, fsys, "sub/deep/"+name+durable.TmpSuffix, "half")
		must(t, write(fsys, "sub/deep", name, []byte("four")))
		holds(t, fsys, "sub/deep/"+name, "four")
	}
	_, err := durable.ReadFile(fsys, "sub/deep/durable", 3)
	mustFail(t, "a file above the limit", err)
	_, err = durable.ReadFile(fsys, "none", 3)
	mustBe(t, err, fs.ErrNotExist)
}

func directories(t *testing.T, fsys durable.FS) {
	must(t, fsys.Mkdir("d"))
	mustBe(t, fsys.Mkdir("d"), fs.ErrExist)
	mustBe(t, fsys.Mkdir("e/f"), fs.ErrNotExist)
	must(t, durable.MkdirAll(fsys, "d", "e/f/g", "e/f/h", "."))
	must(t, durable.MkdirAll(fsys, "e/f/g"))
	put(t, fsys, "file", "")
	mustFail(t, "a file where a directory should be", durable.MkdirAll(fsys, "file/d"))
	var names []string
	must(t, fsys.List("e/f", func(e fs.DirEntry) error { names = append(names, e.Name()); return nil }))
	slices.Sort(names)
	if !slices.Equal(names, []string{"g", "h"}) {
		t.Fatalf("e/f holds %v", names)
	}
}
