package signed

import (
	"crypto/sha256"
	"crypto/sha512"
	"encoding/hex"
	"fmt"
	"io/fs"
	"path"
	"strings"

	"roadseal/crypto/internal/canon"
)

// A root is the content of root.json: who signs what.
type root struct {
	*document
	consistent bool // files carry their version in their name
	roles      map[string]role
}

func (t *Trusted) readRoot(data []byte) (*root, error) {
	doc, err := read(Root, data, t.opt)
	if err != nil {
		return nil, err
	}
	r := &root{document: doc, roles: map[string]role{}}
	if p := doc.body.get("consistent_snapshot"); p.ok {
		r.consistent = p.flag()
	}
	keys := doc.body.need("keys").keys(t.opt)
	roles := doc.body.need("roles").object()
	for _, name := range t.opt.roles() {
		r.roles[name] = roles.need(name).object().role(keys)
	}
	return r, doc.c.fault
}

// A file is what one role says of another's file.
type file struct {
	version int64
	length  int64 // bytes; -1 if it does not say
	hashes  map[string]string
}

func (p place) file() file {
	f := file{version: p.need("version").integer(1), length: -1}
	if l := p.get("length"); l.ok {
		f.length = l.integer(1)
	}
	if h := p.get("hashes"); h.ok {
		f.hashes = h.hashes()
	}
	return f
}

// hashes reads an object of hashes, by the name of the algorithm.
func (p place) hashes() map[string]string {
	hashes := map[string]string{}
	p.members(func(name string, m place) {
		if hashes[name] = m.text(); len(hashes[name])%2 != 0 || strings.Trim(hashes[name], "0123456789abcdef") != "" {
			m.c.fail(m.at, "expected lower-case hex")
		}
	})
	if len(hashes) == 0 {
		p.c.fail(p.at, "expected a hash")
	}
	return hashes
}

// matches demands that data is the file that f speaks of. Of the hashes all
// that are known must hold, and one must be known.
func (f file) matches(data []byte) error {
	if f.length >= 0 && int64(len(data)) != f.length {
		return fmt.Errorf("it has %d bytes, %d are listed", len(data), f.length)
	}
	if f.hashes == nil {
		return nil
	}
	return checkHashes(f.hashes, data)
}

func checkHashes(hashes map[string]string, data []byte) error {
	known := 0
	for name, want := range hashes {
		var got string
		switch name {
		case "sha256":
			sum := sha256.Sum256(data)
			got = hex.EncodeToString(sum[:])
		case "sha512":
			sum := sha512.Sum512(data)
			got = hex.EncodeToString(sum[:])
		default:
			continue
		}
		if known++; got != want {
			return fmt.Errorf("its %s is not the one that is listed", name)
		}
	}
	if known == 0 {
		return fmt.Errorf("none of its hashes is known: expected sha256 or sha512")
	}
	return nil
}

// A timestamp is the content of timestamp.json: which snapshot is the newest.
type timestamp struct {
	*document
	snapshot file
}

func (t *Trusted) readTimestamp(data []byte) (*timestamp, error) {
	doc, err := read(Timestamp, data, t.opt)
	if err != nil {
		return nil, err
	}
	s := &timestamp{document: doc}
	s.snapshot = doc.body.need("meta").object().need("snapshot.json").object().file()
	return s, doc.c.fault
}

// A snapshot is the content of snapshot.json: which versions of all files of
// targets belong together.
type snapshot struct {
	*document
	files map[string]file // by name, such as "targets.json"
}

func (t *Trusted) readSnapshot(data []byte) (*snapshot, error) {
	doc, err := read(Snapshot, data, t.opt)
	if err != nil {
		return nil, err
	}
	s := &snapshot{document: doc, files: map[string]file{}}
	doc.body.need("meta").members(func(name string, m place) { s.files[name] = m.object().file() })
	return s, doc.c.fault
}

// A Target is a file that a repository vouches for.
type Target struct {
	Path   string
	Length int64             // bytes
	Hashes map[string]string // by algorithm, "sha256" among them or "sha512"; hex
	Role   string            // that lists it
	custom place
}

// Verify demands that data is the target.
func (t *Target) Verify(data []byte) error {
	return file{length: t.Length, hashes: t.Hashes}.matches(data)
}

// Custom is the canonical form of what the role says beside, or "".
func (t *Target) Custom() string {
	if !t.custom.ok {
		return ""
	}
	return string(canon.Append(nil, t.custom.v))
}

// A targets is the content of targets.json or of a delegated role's file.
type targets struct {
	*document
	files     map[string]*Target
	delegated []delegation // in order of priority
}

// A delegation lets another role speak for some paths.
type delegation struct {
	name        string
	signers     role
	patterns    []string // of path elements, as path.Match reads them; no "*" matches "/"
	prefixes    []string // of the hex of SHA-256 of a path
	terminating bool
	custom      place
}

// maxPath bounds the path of a target: patterns of all delegations are tried on
// it.
const maxPath = 255

func (t *Trusted) readTargets(name string, data []byte) (*targets, error) {
	doc, err := read(name, data, t.opt)
	if err != nil {
		return nil, err
	}
	s := &targets{document: doc, files: map[string]*Target{}}
	doc.body.need("targets").members(func(path string, m place) {
		if m.object(); t.opt.Canonical && (path == "." || len(path) > maxPath || !fs.ValidPath(path)) {
			m.c.fail(m.at, "expected a path of at most 255 bytes without \".\" and \"..\", from the top of the repository")
		}
		s.files[path] = &Target{Path: path, Length: m.need("length").integer(0), Hashes: m.need("hashes").hashes(),
			Role: name, custom: m.get("custom")}
	})
	if d := doc.body.get("delegations"); d.ok {
		s.delegations(d.object(), t.opt)
	}
	return s, doc.c.fault
}

func (s *targets) delegations(d place, o Options) {
	keys := d.need("keys").keys(o)
	names := map[string]bool{}
	d.need("roles").elements(func(e place) {
		r := delegation{name: e.need("name").text(), signers: e.role(keys), custom: e.get("custom")}
		switch {
		case isReserved(r.name), r.name == "":
			e.c.fail(e.at, "a delegated role cannot be called %q", r.name)
		case names[r.name]:
			e.c.fail(e.at, "a second delegated role of one name")
		}
		if o.Canonical && !isRoleName(r.name) {
			e.c.fail(e.at, "expected a name of 1 to 64 small letters, digits and \"-\", not %.64q", r.name)
		}
		names[r.name] = true
		if p := e.get("terminating"); p.ok {
			r.terminating = p.flag()
		}
		paths, prefixes := e.get("paths"), e.get("path_hash_prefixes")
		if paths.ok == prefixes.ok {
			e.c.fail(e.at, "expected either \"paths\" or \"path_hash_prefixes\"")
		}
		if paths.ok {
			r.patterns = paths.texts()
		}
		if prefixes.ok {
			r.prefixes = prefixes.texts()
		}
		s.delegated = append(s.delegated, r)
	})
}

// isReserved reports whether a file of that name is stored for another purpose
// than a delegated role.
func isReserved(name string) bool {
	return name == Root || name == Timestamp || name == Snapshot || name == Targets || name == nextRoot
}

// isRoleName reports whether a delegated role can be called that: the name is
// part of a file's name, here and on the repository.
func isRoleName(name string) bool {
	return len(name) >= 1 && len(name) <= 64 && strings.Trim(name, "abcdefghijklmnopqrstuvwxyz0123456789-") == ""
}

// covers reports whether a delegation is about a path.
func (d delegation) covers(target string) bool {
	for _, p := range d.patterns {
		// A "*" of path.Match matches no slash, as TUF section 4.5 asks.
		if ok, err := path.Match(p, target); err == nil && ok {
			return true
		}
	}
	if len(d.prefixes) == 0 {
		return false
	}
	sum := sha256.Sum256([]byte(target))
	digest := hex.EncodeToString(sum[:])
	for _, p := range d.prefixes {
		if p != "" && strings.HasPrefix(digest, p) {
			return true
		}
	}
	return false
}
