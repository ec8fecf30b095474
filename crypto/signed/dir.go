package signed

import (
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io/fs"
	"strings"

	"roadseal/hal/durable"
)

// A Dir is a Store in a folder of a durable.FS. A file that was damaged is known
// by the check at its end and cannot be loaded; the root, which nothing else can
// stand for, is kept twice.
type Dir struct {
	fsys durable.FS
	name string
	// unsure says that a change was begun whose name may not be durable: what
	// can be read now may be gone after a power cut.
	unsure bool
}

// OpenDir makes the folder if it is not there. What a process that was killed has
// left in it is durable when it is first read.
func OpenDir(fsys durable.FS, name string) (*Dir, error) {
	if err := durable.MkdirAll(fsys, name); err != nil {
		return nil, fmt.Errorf("cannot make the folder %s for signed metadata: %w", name, err)
	}
	return &Dir{fsys: fsys, name: name, unsure: true}, nil
}

// Names of the two files of the root. Other names end in ".json".
const (
	rootFile = "root.json"
	rootCopy = "root.copy"
)

// files returns where a name is kept, the one to look into first at the end.
func (d *Dir) files(name string) ([]string, error) {
	if name == Root {
		return []string{rootCopy, rootFile}, nil
	}
	if !isRoleName(name) {
		return nil, fmt.Errorf("cannot store metadata as %.64q: expected a name of 1 to 64 small letters, digits and \"-\"", name)
	}
	return []string{name + ".json"}, nil
}

// The check behind a file: a newline, and the hex of the SHA-256 of what is
// before it.
const checkSize = 1 + 2*sha256.Size

func check(data []byte) []byte {
	sum := sha256.Sum256(data)
	return append([]byte{'\n'}, hex.EncodeToString(sum[:])...)
}

var errDamaged = errors.New("the stored file is damaged: its check does not hold")

// Load implements Store.
func (d *Dir) Load(name string) ([]byte, error) {
	files, err := d.files(name)
	if err != nil {
		return nil, err
	}
	if d.unsure {
		if err := d.sync(); err != nil {
			return nil, err
		}
	}
	var faults []error
	for i := len(files) - 1; i >= 0; i-- {
		data, err := d.load(files[i], limitOf(name))
		if err == nil {
			return data, nil
		}
		if !errors.Is(err, fs.ErrNotExist) {
			faults = append(faults, err)
		}
	}
	if len(faults) > 0 {
		return nil, errors.Join(faults...)
	}
	return nil, fs.ErrNotExist
}

func (d *Dir) sync() error {
	if err := d.fsys.Sync(d.name); err != nil {
		return err
	}
	d.unsure = false
	return nil
}

func (d *Dir) load(file string, limit int) ([]byte, error) {
	path := d.name + "/" + file
	b, err := durable.ReadFile(d.fsys, path, int64(limit+checkSize))
	if err != nil {
		return nil, err
	}
	at := len(b) - checkSize
	if at < 0 || !bytes.Equal(b[at:], check(b[:at])) {
		return nil, &fs.PathError{Op: "read", Path: path, Err: errDamaged}
	}
	return b[:at:at], nil
}

// Save implements Store.
func (d *Dir) Save(name string, data []byte) error {
	files, err := d.files(name)
	if err != nil {
		return err
	}
	d.unsure = true
	if err := d.makeRoom(name); err != nil {
		return err
	}
	b := append(bytes.Clone(data), check(data)...)
	for _, file := range files {
		if err := durable.WriteFile(d.fsys, d.name, file, b); err != nil {
			return err
		}
	}
	d.unsure = false
	return nil
}

// makeRoom drops the files of delegated roles if another would be more than a
// search can ask for: over the years many come and go. Each can be fetched again.
func (d *Dir) makeRoom(name string) error {
	if isReserved(name) {
		return nil
	}
	var roles []string
	err := d.fsys.List(d.name, func(e fs.DirEntry) error {
		role, ok := strings.CutSuffix(e.Name(), ".json")
		if ok && !isReserved(role) && role != name {
			roles = append(roles, e.Name())
		}
		return nil
	})
	if err != nil || len(roles) < MaxDelegations {
		return err
	}
	for _, file := range roles {
		err = errors.Join(err, d.fsys.Remove(d.name+"/"+file))
	}
	return err
}

// Remove implements Store.
func (d *Dir) Remove(name string) error {
	files, err := d.files(name)
	if err != nil {
		return err
	}
	d.unsure = true
	for _, file := range files {
		if err := d.fsys.Remove(d.name + "/" + file); err != nil && !errors.Is(err, fs.ErrNotExist) {
			return err
		}
	}
	// Also of what was gone already: its removal may not be durable yet.
	return d.sync()
}
