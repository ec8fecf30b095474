package signed_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io/fs"
	"testing"

	"roadseal/crypto/signed"
	"roadseal/hal/durable"
	"roadseal/hal/durable/crashfs"
	"roadseal/hal/durable/durabletest"
)

// A promising is a Dir whose calls are held to what Store says of them: what was
// saved, or loaded, is there after a power cut; what was removed, or found
// missing, is not.
type promising struct {
	*signed.Dir
	disk *durabletest.Disk
	*kept
}

// What a unit knows of its store, over restarts.
type kept struct {
	files map[string][]byte // nil for what is not there
	twice bool              // both files of the root are there
}

func (p promising) Load(name string) ([]byte, error) {
	data, err := p.Dir.Load(name)
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return nil, err
	}
	p.files[name] = data
	return data, errors.Join(err, p.disk.Promise(p.holds))
}

func (p promising) Save(name string, data []byte) error {
	delete(p.files, name)
	p.twice = p.twice && name != signed.Root
	if err := p.Dir.Save(name, data); err != nil {
		return err
	}
	p.files[name] = data
	p.twice = p.twice || name == signed.Root
	return p.disk.Promise(p.holds)
}

func (p promising) Remove(name string) error {
	delete(p.files, name)
	if err := p.Dir.Remove(name); err != nil {
		return err
	}
	p.files[name] = nil
	return p.disk.Promise(p.holds)
}

func (p promising) holds(fsys durable.FS) error {
	for name, want := range p.files {
		dir, err := signed.OpenDir(fsys, "images")
		if err != nil {
			return err
		}
		data, err := dir.Load(name)
		if err != nil && !(errors.Is(err, fs.ErrNotExist) && want == nil) || !bytes.Equal(data, want) {
			return fmt.Errorf("%s is another (%v)", name, err)
		}
	}
	if !p.twice {
		return nil
	}
	for _, file := range []string{"images/root.json", "images/root.copy"} {
		data, err := durable.ReadFile(fsys, file, 1<<20)
		if err != nil || !bytes.HasPrefix(data, p.files[signed.Root]) {
			return fmt.Errorf("%s is another (%v)", file, err)
		}
	}
	return nil
}

// TestEverySyncIsNeeded: a unit goes through the years; every start is killed
// once, between a change of names and its sync.
func TestEverySyncIsNeeded(t *testing.T) {
	durabletest.Losses(t, func(d *durabletest.Disk) error {
		known := &kept{files: map[string][]byte{}}
		for i, last := range []int{3, 2, 5, 6, 3} { // sync of a start that is killed
			syncs := 0
			d.Kill(func(op crashfs.Op) bool {
				if op.Call == "syncdir" && op.Name == "images" {
					syncs++
				}
				return syncs > last
			})
			for range 2 {
				err := refreshOver(d, known, history()[i])
				if err != nil && !errors.Is(err, crashfs.ErrKilled) {
					return err
				}
				d.Kill(nil)
			}
		}
		return nil
	}, nil)
}

func refreshOver(d *durabletest.Disk, known *kept, m moment) error {
	dir, err := signed.OpenDir(d, "images")
	if err != nil {
		return err
	}
	c, err := signed.Open(history()[0]["1.root"], m, promising{dir, d, known}, quickOptions)
	if err != nil {
		return err
	}
	return c.Refresh(context.Background(), today)
}
