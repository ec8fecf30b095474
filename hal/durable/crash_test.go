package durable_test

import (
	"fmt"
	"io/fs"
	"math/rand/v2"
	"strconv"
	"strings"
	"testing"

	"roadseal/hal/durable"
	"roadseal/hal/durable/durabletest"
)

func pathSweep() durabletest.Sweep { return durabletest.Sweep{Born: newLife} }

func TestPathsOverPowerCuts(t *testing.T) { pathSweep().States(t, 4_000) }

func TestEverySyncOfAPathIsNeeded(t *testing.T) {
	pathSweep().Guard(t, 20, durabletest.Quiet{Seldom: map[string]string{
		"syncdir in hal/durable_test.mount.sync": "now and then it finds only the name of another directory, in which nothing is durable yet",
	}})
}

// A life opens one state directory or other and keeps a file there.
type life struct {
	rng         *rand.Rand
	tried, done map[string]int // content of the file, by directory
}

func newLife(seed uint64) durabletest.Life {
	return &life{rng: rand.New(rand.NewPCG(seed, 0)), tried: map[string]int{}, done: map[string]int{}}
}

// A mount is a file system on /mnt.
type mount struct{ durable.FS }

// rel is where a path of the operating system is in the file system.
func rel(path string) string {
	if path == "/mnt" {
		return "."
	}
	return strings.TrimPrefix(path, "/mnt/")
}

func (m mount) there(path string) bool {
	return m.List(rel(path), func(fs.DirEntry) error { return nil }) == nil
}

func (m mount) mkdir(path string) error { return m.Mkdir(rel(path)) }

func (m mount) sync(path string) error {
	if path == "/" {
		return fs.ErrPermission // not ours
	}
	return m.Sync(rel(path))
}

func (l *life) Work(fsys durable.FS) error {
	m := mount{fsys}
	paths := []string{"/mnt/store", "/mnt/var/lib/roadseal/state", "/mnt/var/lib/roadseal/spool"}
	for range 1 + l.rng.IntN(3) {
		path := paths[l.rng.IntN(len(paths))]
		if err := durable.MakePath(path, m.there, m.mkdir, m.sync); err != nil {
			return err
		}
		dir := rel(path)
		l.tried[dir]++
		if err := durable.WriteFile(fsys, dir, "file", fmt.Append(nil, l.tried[dir])); err != nil {
			return err
		}
		l.done[dir] = l.tried[dir]
	}
	return nil
}

// Judge implements durabletest.Life.
func (l *life) Judge(fsys durable.FS) error {
	for dir, done := range l.done {
		b, err := durable.ReadFile(fsys, dir+"/file", 10)
		if err != nil {
			return err
		}
		if n, err := strconv.Atoi(string(b)); err != nil || n < done || n > l.tried[dir] {
			return fmt.Errorf("%s: holds %q, expected %d to %d", dir, b, done, l.tried[dir])
		}
	}
	return nil
}
