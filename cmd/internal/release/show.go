package release

import (
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"unicode"

	"roadseal/crypto/signed"
)

// Fingerprint is the SHA-256 of what is signed, in groups.
func Fingerprint(d *Doc) string {
	sum := sha256.Sum256(d.Signed())
	return Groups(hex.EncodeToString(sum[:]))
}

// Groups parts hex into groups that people can read to each other.
func Groups(hex string) string {
	var parts []string
	for c := range slices.Chunk([]byte(hex), 4) {
		parts = append(parts, string(c))
	}
	return strings.Join(parts, " ")
}

// A Fact is one thing that a document says.
type Fact struct{ What, Says string }

// Facts are all that a document says, for people: the same fact has the same
// What in each version. What a terminal would obey is shown as "?".
func Facts(d *Doc, who func(string) string) []Fact {
	all := facts(d, who)
	for i, f := range all {
		all[i] = Fact{printable(f.What), printable(f.Says)}
	}
	return all
}

func printable(s string) string {
	return strings.Map(func(r rune) rune {
		if unicode.IsPrint(r) {
			return r
		}
		return '?'
	}, s)
}

func facts(d *Doc, who func(string) string) []Fact {
	facts := []Fact{{"for", d.Audience}, {"issued", moment(d.Issued)}, {"expires", moment(d.Expires)}}
	if d.Audience == "" {
		facts[0].Says = "anyone"
	}
	for _, role := range slices.Sorted(maps.Keys(d.Roles)) {
		n, _ := d.need(role)
		facts = append(facts, Fact{"signers of " + role, n.text(who)})
	}
	for _, id := range slices.Sorted(maps.Keys(d.Keys)) {
		facts = append(facts, Fact{"key " + id, who(id) + ", " + d.Keys[id].Scheme})
	}
	for _, name := range slices.Sorted(maps.Keys(d.Meta)) {
		facts = append(facts, Fact{"version of " + name, fmt.Sprint(d.Meta[name].Version)})
	}
	for _, name := range slices.Sorted(maps.Keys(d.Metadata.Targets)) {
		facts = append(facts, Fact{"image " + name, d.Metadata.Targets[name].text()})
	}
	if d.Delegations == nil {
		return facts
	}
	for _, r := range d.Delegations.Roles {
		n, _ := d.need(r.Name)
		text := fmt.Sprintf("speaks for %s", strings.Join(r.Paths, ", "))
		if r.Custom.Hardware != nil {
			text += " on hardware " + strings.Join(r.Custom.Hardware, ", ")
		}
		if r.Terminating {
			text += ", and nobody after it does"
		}
		facts = append(facts, Fact{"role " + r.Name, text}, Fact{"signers of " + r.Name, n.text(who)})
	}
	for _, id := range slices.Sorted(maps.Keys(d.Delegations.Keys)) {
		facts = append(facts, Fact{"key " + id, who(id) + ", " + d.Delegations.Keys[id].Scheme})
	}
	return facts
}

func (n need) text(who func(string) string) string {
	var names, counts []string
	for _, id := range n.KeyIDs {
		if name := who(id); !slices.Contains(names, name) {
			names = append(names, name)
		}
	}
	slices.Sort(names)
	for _, kind := range slices.Sorted(maps.Keys(n.Thresholds)) {
		counts = append(counts, fmt.Sprintf("%d by %s", n.Thresholds[kind], kind))
	}
	text := fmt.Sprintf("%d signatures", n.Threshold)
	if n.Threshold == 1 {
		text = "1 signature"
	}
	if counts != nil {
		text += " (" + strings.Join(counts, ", ") + ")"
	}
	return text + " of " + strings.Join(names, ", ")
}

func (t TargetMeta) text() string {
	parts := []string{fmt.Sprintf("%d bytes", t.Length)}
	for _, kind := range slices.Sorted(maps.Keys(t.Hashes)) {
		parts = append(parts, kind+" "+t.Hashes[kind])
	}
	if t.Custom == nil {
		return strings.Join(parts, ", ")
	}
	var custom struct {
		Released
		Ordered
	}
	if err := json.Unmarshal(t.Custom, &custom); err != nil {
		return strings.Join(append(parts, string(t.Custom)), ", ")
	}
	if custom.Hardware != nil {
		parts = append(parts, "hardware "+strings.Join(custom.Hardware, " "), fmt.Sprintf("release counter %d", custom.Counter))
	}
	if custom.RXSWIN != nil {
		parts = append(parts, "RXSWIN "+strings.Join(custom.RXSWIN, "; "))
	}
	for _, ecu := range slices.Sorted(maps.Keys(custom.ECUs)) {
		e := custom.ECUs[ecu]
		parts = append(parts, fmt.Sprintf("for ECU %s, hardware %s, release counter %d", ecu, e.Hardware, e.Counter))
	}
	if custom.Campaign != "" {
		parts = append(parts, "campaign "+custom.Campaign)
	}
	return strings.Join(parts, ", ")
}

// SignedBy names whose signatures a document has, be they good or not.
func SignedBy(d *Doc, who func(string) string) []string {
	names := []string{}
	for _, s := range d.Signatures() {
		if name := who(s.KeyID); !slices.Contains(names, name) {
			names = append(names, name)
		}
	}
	slices.Sort(names)
	return names
}

// Diff is what a document says that the one before it did not, and the other
// way round; all that it says if there is none before.
func Diff(before, after *Doc, who func(string) string) []string {
	was := map[string]string{}
	if before != nil {
		for _, f := range Facts(before, who) {
			was[f.What] = f.Says
		}
	}
	var lines []string
	if after != nil {
		for _, f := range Facts(after, who) {
			old, ok := was[f.What]
			delete(was, f.What)
			switch {
			case !ok:
				lines = append(lines, fmt.Sprintf("+ %s: %s", f.What, f.Says))
			case old != f.Says:
				lines = append(lines, fmt.Sprintf("~ %s: %s, before: %s", f.What, f.Says, old))
			}
		}
	}
	for _, what := range slices.Sorted(maps.Keys(was)) {
		lines = append(lines, fmt.Sprintf("- %s: %s", what, was[what]))
	}
	return lines
}

// A Difference is what differs between the documents of one role.
type Difference struct {
	Folder string   `json:"folder"`
	Role   string   `json:"role"`
	Before int64    `json:"before"` // version, 0 if there is none
	After  int64    `json:"after"`
	Lines  []string `json:"lines"`
}

// Compare says how what counts in two repositories differs.
func Compare(before, after string) ([]Difference, error) {
	for _, dir := range []string{before, after} {
		if _, err := FirstRoots(dir); err != nil {
			return nil, fmt.Errorf("%s: %w; hint: a repository has it once something is published", dir, err)
		}
	}
	names := folders(before)
	for _, f := range folders(after) {
		if !slices.Contains(names, f) {
			names = append(names, f)
		}
	}
	who := NamesNear(after).Who
	all := []Difference{}
	for _, f := range names {
		a, err := tree{dir: before}.current(f)
		if err != nil {
			return nil, err
		}
		b, err := tree{dir: after}.current(f)
		if err != nil {
			return nil, err
		}
		roles := slices.Sorted(maps.Keys(a))
		for role := range b {
			if a[role] == nil {
				roles = append(roles, role)
			}
		}
		slices.Sort(roles)
		for _, role := range roles {
			if lines := Diff(a[role], b[role], who); lines != nil {
				all = append(all, Difference{f, role, versionOf(a[role]), versionOf(b[role]), lines})
			}
		}
	}
	return all, nil
}

func versionOf(d *Doc) int64 {
	if d == nil {
		return 0
	}
	return d.Version
}

// NamesNear finds the names of people for a path in a repository or in a copy
// of its staged documents: by the plan in the nearest folder above. Without one
// nobody has a name.
func NamesNear(path string) *Plan {
	dir := absolute(path)
	for range 5 {
		if p, err := LoadPlan(filepath.Join(dir, planFile), filepath.Join(dir, keysDir)); err == nil {
			return p
		}
		dir = filepath.Dir(dir)
	}
	return nil
}

func absolute(path string) string {
	if abs, err := filepath.Abs(path); err == nil {
		return abs
	}
	return path
}

// ReadFile reads a document from a file anywhere. In a repository, or in a copy
// of its staged folder, it is known which folder it belongs to.
func ReadFile(name string) (*Doc, error) {
	data, err := readFile(name, signed.MaxTargets)
	if err != nil {
		return nil, fmt.Errorf("cannot read %s: %w", name, err)
	}
	d, err := ReadDoc(name, data)
	if err != nil {
		return nil, err
	}
	parts := strings.Split(filepath.ToSlash(filepath.Dir(absolute(name))), "/")
	switch n := len(parts); {
	case parts[n-1] == Image, parts[n-1] == Director:
		d.Folder = parts[n-1]
	case n > 1 && parts[n-2] == Director:
		d.Folder = Director + "/" + parts[n-1]
	}
	return d, nil
}

// Find returns the staged documents that paths name: files, or folders in which
// all are meant.
func Find(paths []string) (names []string, err error) {
	for _, p := range paths {
		st, err := os.Stat(p)
		if err != nil {
			return nil, fmt.Errorf("cannot read %s: %w", p, reason(err))
		}
		if !st.IsDir() {
			names = append(names, p)
			continue
		}
		if inner := filepath.Join(p, stagedDir); isDir(inner) {
			p = inner
		}
		before := len(names)
		for _, glob := range []string{"*.json", "*/*.json", "*/*/*.json"} {
			found, err := filepath.Glob(filepath.Join(p, glob))
			if err != nil {
				return nil, fmt.Errorf("cannot look for documents in %s: %w", p, err)
			}
			names = append(names, found...)
		}
		if len(names) == before {
			return nil, fmt.Errorf("there are no staged documents in %s", p)
		}
	}
	return names, nil
}

func isDir(path string) bool {
	st, err := os.Stat(path)
	return err == nil && st.IsDir()
}
