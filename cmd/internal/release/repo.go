package release

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"time"

	"roadseal/crypto/signed"
	"roadseal/crypto/signed/sign"
	"roadseal/hal/durable"
)

// Folders of the two repositories. What is for one vehicle stands in
// "director/DEVICE".
const (
	Image    = "image"
	Director = "director"
)

const (
	stagedDir = "staged"
	planFile  = "plan.toml"
	keysDir   = "keys"
	filesDir  = Image + "/files"
	lockFile  = ".lock"
)

// A Repo is a repository in the making, on this machine.
type Repo struct {
	Path string
	Plan *Plan
	disk *durable.Disk
	lock io.Closer
}

// Open opens a repository to change it. One process at a time can.
func Open(dir string) (*Repo, error) {
	r, err := open(dir)
	if err != nil {
		return nil, err
	}
	r.Plan, err = LoadPlan(filepath.Join(dir, planFile), filepath.Join(dir, keysDir))
	if err != nil {
		return nil, errors.Join(err, r.Close())
	}
	return r, nil
}

// Whoever signs, publishes or renews a timestamp is done within a moment; two at
// once wait for each other.
const (
	patience  = 10 * time.Second
	lookAgain = 50 * time.Millisecond
)

func open(dir string) (*Repo, error) {
	disk, err := durable.OpenExisting(dir)
	if err != nil {
		return nil, fmt.Errorf("cannot open the repository %s: %w", dir, reason(err))
	}
	lock, err := disk.Lock(lockFile)
	for end := time.Now().Add(patience); errors.Is(err, durable.ErrLocked) && time.Now().Before(end); {
		time.Sleep(lookAgain)
		lock, err = disk.Lock(lockFile)
	}
	if err != nil {
		return nil, errors.Join(fmt.Errorf("cannot change the repository %s: %w", dir, err), disk.Close())
	}
	return &Repo{Path: dir, disk: disk, lock: lock}, nil
}

// isRepository reports whether a folder has a plan, which init puts there last.
func isRepository(dir string) bool {
	_, err := os.Stat(filepath.Join(dir, planFile))
	return err == nil
}

// Close lets others open the repository.
func (r *Repo) Close() error { return errors.Join(r.lock.Close(), r.disk.Close()) }

// reason is an error of the file system without the path, which the message
// names already.
func reason(err error) error {
	if p, ok := errors.AsType[*fs.PathError](err); ok {
		return p.Err
	}
	return err
}

// readFile reads a file of at most limit bytes.
func readFile(name string, limit int64) ([]byte, error) {
	f, err := os.Open(name)
	if err != nil {
		return nil, reason(err)
	}
	defer f.Close()
	data, err := io.ReadAll(io.LimitReader(f, limit+1))
	if err != nil {
		return nil, reason(err)
	}
	if int64(len(data)) > limit {
		return nil, fmt.Errorf("it has more than %d bytes", limit)
	}
	return data, nil
}

// write makes a file of the repository durable.
func (r *Repo) write(name string, data []byte) error {
	if err := durable.MkdirAll(r.disk, path.Dir(name)); err != nil {
		return fmt.Errorf("cannot make %s: %w", path.Dir(name), err)
	}
	if err := durable.WriteFile(r.disk, path.Dir(name), path.Base(name), data); err != nil {
		return fmt.Errorf("cannot write %s: %w", name, err)
	}
	return nil
}

// remove removes a file of the repository.
func (r *Repo) remove(name string) error {
	err := r.disk.Remove(name)
	if err == nil {
		err = r.disk.Sync(path.Dir(name))
	}
	if err != nil {
		return fmt.Errorf("cannot remove %s: %w", name, err)
	}
	return nil
}

// A tree is the files of a repository, as a server would give them out: those
// in a folder of this machine, and over them those that are about to be there.
type tree struct {
	dir  string
	over map[string][]byte
}

func (t tree) read(name string, limit int64) ([]byte, error) {
	if data, ok := t.over[name]; ok {
		return data[:min(int64(len(data)), limit+1)], nil
	}
	data, err := readFile(filepath.Join(t.dir, filepath.FromSlash(name)), limit)
	if err != nil {
		return nil, fmt.Errorf("cannot read %s: %w", name, err)
	}
	return data, nil
}

func (t tree) doc(folder, name string) (*Doc, error) {
	data, err := t.read(name, signed.MaxTargets)
	if err != nil {
		return nil, err
	}
	d, err := ReadDoc(name, data)
	if err == nil {
		d.Folder = folder
	}
	return d, err
}

var (
	deviceName = regexp.MustCompile(`^[A-Za-z0-9_-][A-Za-z0-9._-]{0,127}$`) // a folder in the director's
	deviceID   = regexp.MustCompile(`^[A-Za-z0-9_-]{21}[AQgw]$`)            // agent/wire/PROTOCOL.md, "Transport"
)

// CheckDevice demands that a name can be a vehicle's id: for another one nobody
// would ever ask.
func CheckDevice(name string) error {
	if !deviceID.MatchString(name) {
		return fmt.Errorf("%q is no device id: expected 128 bits as 22 characters of base64url; hint: the common name of the vehicle's certificate", name)
	}
	return nil
}

// folders are the repositories below dir: image, director, and one for each
// vehicle that has orders of its own.
func folders(dir string) []string {
	all := []string{Image, Director}
	entries, err := os.ReadDir(filepath.Join(dir, Director))
	if err != nil {
		return all // nothing for single vehicles
	}
	for _, e := range entries {
		if e.IsDir() && deviceName.MatchString(e.Name()) {
			all = append(all, path.Join(Director, e.Name()))
		}
	}
	return all
}

// newestRoot is the version of the last root in a folder, 0 if there is none.
func (t tree) newestRoot(folder string) int64 {
	for v := int64(1); ; v++ {
		if _, err := t.read(fileName(folder, signed.Root, v), signed.MaxRoot); err != nil {
			return v - 1
		}
	}
}

// fileName is the name of a published document.
func fileName(folder, role string, version int64) string {
	if role == signed.Timestamp {
		return path.Join(folder, role+".json")
	}
	return path.Join(folder, strconv.FormatInt(version, 10)+"."+role+".json")
}

// stagedName is the name of a document that waits for signatures.
func stagedName(folder, role string) string { return path.Join(stagedDir, folder, role+".json") }

// current returns the published documents of a folder that belong together, by
// role; none if there are none.
func (t tree) current(folder string) (map[string]*Doc, error) {
	docs := map[string]*Doc{}
	if v := t.newestRoot(folder); v > 0 {
		d, err := t.doc(folder, fileName(folder, signed.Root, v))
		if err != nil {
			return nil, err
		}
		docs[signed.Root] = d
	}
	d, err := t.doc(folder, fileName(folder, signed.Timestamp, 0))
	if errors.Is(err, fs.ErrNotExist) {
		return docs, nil
	}
	if err != nil {
		return nil, err
	}
	docs[signed.Timestamp] = d
	if d, err = t.doc(folder, fileName(folder, signed.Snapshot, d.Meta["snapshot.json"].Version)); err != nil {
		return nil, err
	}
	docs[signed.Snapshot] = d
	for name, m := range d.Meta {
		var err error
		role := strings.TrimSuffix(name, ".json")
		if CheckName(role) != nil {
			return nil, fmt.Errorf("%s: meta: %q is not the name of a role", d.Name, name)
		}
		if docs[role], err = t.doc(folder, fileName(folder, role, m.Version)); err != nil {
			return nil, err
		}
	}
	return docs, nil
}

// waiting returns the documents of a folder that wait for signatures in dir, by
// role.
func (t tree) waiting(folder, dir string) (map[string]*Doc, error) {
	docs := map[string]*Doc{}
	entries, err := os.ReadDir(filepath.Join(t.dir, filepath.FromSlash(dir)))
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return nil, fmt.Errorf("cannot read the staged documents: %w", err)
	}
	for _, e := range entries {
		role, ok := strings.CutSuffix(e.Name(), ".json")
		if !ok || e.IsDir() {
			continue
		}
		d, err := t.doc(folder, path.Join(dir, role+".json"))
		if err != nil {
			return nil, err
		}
		docs[role] = d
	}
	return docs, nil
}

// A state is what a folder has and what waits to come into it.
type state struct {
	folder         string
	current, ready map[string]*Doc
}

func (t tree) state(folder string) (*state, error) {
	current, err := t.current(folder)
	if err != nil {
		return nil, err
	}
	staged, err := t.waiting(folder, path.Join(stagedDir, folder))
	return &state{folder, current, staged}, err
}

// newest is the staged document of a role, else the published one, else nil.
func (s *state) newest(role string) *Doc {
	if d := s.ready[role]; d != nil {
		return d
	}
	return s.current[role]
}

// states returns what all folders have, those of staged ones included. A vehicle's
// that is empty is none: its orders were taken away, or published.
func (r *Repo) states() ([]*state, error) {
	names := folders(r.Path)
	for _, f := range folders(filepath.Join(r.Path, stagedDir)) {
		if !slices.Contains(names, f) {
			names = append(names, f)
		}
	}
	slices.Sort(names[2:])
	var all []*state
	for _, f := range names {
		s, err := r.tree().state(f)
		if err == nil {
			err = r.dropPublished(s)
		}
		if err != nil {
			return nil, err
		}
		if f != repositoryOf(f) && len(s.current)+len(s.ready) == 0 {
			continue
		}
		all = append(all, s)
	}
	return all, nil
}

// dropPublished removes what is staged and published: a run of Publish was cut
// short.
func (r *Repo) dropPublished(s *state) error {
	for role, d := range s.ready {
		was := s.current[role]
		if was == nil || was.Version != d.Version || !bytes.Equal(was.Bytes(), d.Bytes()) {
			continue
		}
		delete(s.ready, role)
		if err := r.remove(d.Name); err != nil {
			return err
		}
	}
	return nil
}

func (r *Repo) tree() tree { return tree{dir: r.Path} }

// stage writes a document that waits for signatures.
func (r *Repo) stage(folder, role string, d *sign.Document) (*Doc, error) {
	name := stagedName(folder, role)
	if err := r.write(name, d.Bytes()); err != nil {
		return nil, err
	}
	doc, err := ReadDoc(name, d.Bytes())
	if err == nil {
		doc.Folder, doc.dir = folder, r.Path
	}
	return doc, err
}
