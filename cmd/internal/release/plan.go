package release

import (
	"errors"
	"fmt"
	"io/fs"
	"maps"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"time"

	"roadseal/agent/config/strict"
	"roadseal/crypto/signed"
	"roadseal/crypto/signed/sign"
)

// A Plan says who signs what, in both repositories. It is written by people;
// the roots that follow from it are what vehicles believe.
type Plan struct {
	Image    RepositoryPlan `toml:"image"`
	Director RepositoryPlan `toml:"director"`

	Text   []byte            `toml:"-"` // as it was written
	People map[string]Person `toml:"-"` // by name
	former map[string]string // who held a key that was replaced, by its id
}

// A RepositoryPlan names the signers of one repository.
type RepositoryPlan struct {
	Root      RolePlan                 `toml:"root"`
	Timestamp RolePlan                 `toml:"timestamp"`
	Snapshot  RolePlan                 `toml:"snapshot"`
	Targets   RolePlan                 `toml:"targets"`
	Delegated map[string]DelegatedPlan `toml:"delegated"`
}

// A RolePlan names the signers of one role.
type RolePlan struct {
	Signers    []string       `toml:"signers"`
	Threshold  int            `toml:"threshold"`  // people; each signs with all of their keys
	Thresholds map[string]int `toml:"thresholds"` // by kind of key, where it is not Threshold
	Expires    Period         `toml:"expires"`    // after it was issued
}

// A DelegatedPlan names the signers of a role that speaks for some images.
type DelegatedPlan struct {
	Signers     []string       `toml:"signers"`
	Threshold   int            `toml:"threshold"`
	Thresholds  map[string]int `toml:"thresholds"`
	Expires     Period         `toml:"expires"`
	Paths       []string       `toml:"paths"`    // "*" matches no "/"
	Hardware    []string       `toml:"hardware"` // kinds of unit; none = all
	Terminating bool           `toml:"terminating"`
}

func (d DelegatedPlan) role() RolePlan {
	return RolePlan{d.Signers, d.Threshold, d.Thresholds, d.Expires}
}

// A Period is a time in days or hours, such as 90d or 36h.
type Period time.Duration

var period = regexp.MustCompile(`^([1-9][0-9]{0,4})([dh])$`)

// UnmarshalText reads a period.
func (p *Period) UnmarshalText(text []byte) error {
	m := period.FindSubmatch(text)
	if m == nil {
		return errors.New("expected days or hours, such as \"90d\" or \"36h\"")
	}
	n, err := strconv.Atoi(string(m[1]))
	unit := time.Hour
	if string(m[2]) == "d" {
		unit *= 24
	}
	*p = Period(time.Duration(n) * unit)
	return err
}

// topRoles are those that a root assigns.
var topRoles = []string{signed.Root, signed.Timestamp, signed.Snapshot, signed.Targets}

// role returns the plan of a role, top-level or delegated.
func (r *RepositoryPlan) role(name string) (RolePlan, bool) {
	switch name {
	case signed.Root:
		return r.Root, true
	case signed.Timestamp:
		return r.Timestamp, true
	case signed.Snapshot:
		return r.Snapshot, true
	case signed.Targets:
		return r.Targets, true
	}
	d, ok := r.Delegated[name]
	return d.role(), ok
}

// A PlanError says what is wrong with a plan, or with the public files that it
// needs.
type PlanError struct{ error }

func (e *PlanError) Unwrap() error { return e.error }

// LoadPlan reads a plan and the public files NAME.pub of its people, which lie
// in the folder keys. Its error is a *PlanError.
func LoadPlan(path, keys string) (*Plan, error) {
	p, err := loadPlan(path, keys)
	if err != nil {
		return nil, &PlanError{err}
	}
	return p, nil
}

func loadPlan(path, keys string) (*Plan, error) {
	text, err := os.ReadFile(path)
	if err != nil {
		return nil, fmt.Errorf("cannot read the plan %s: %w", path, reason(err))
	}
	p := &Plan{Text: text, People: map[string]Person{}, former: map[string]string{}}
	doc, err := strict.Decode(path, text, p)
	if err != nil {
		return nil, err
	}
	var faults []error
	for _, side := range []string{Image, Director} {
		r := p.repository(side)
		for _, name := range topRoles {
			role, _ := r.role(name)
			faults = append(faults, p.check(doc, []any{side, name}, role, keys))
		}
		for _, name := range slices.Sorted(maps.Keys(r.Delegated)) {
			faults = append(faults, p.checkDelegated(doc, side, name, r.Delegated[name], keys))
		}
	}
	return p, errors.Join(append(faults, p.readFormer(filepath.Join(keys, formerDir)))...)
}

// formerDir holds, in the folder of keys, those that were replaced.
const formerDir = "former"

func (p *Plan) readFormer(dir string) error {
	entries, err := os.ReadDir(dir)
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	for _, e := range entries {
		person, readErr := ReadPerson(filepath.Join(dir, e.Name()))
		err = errors.Join(err, readErr)
		for _, k := range person.Keys {
			p.former[k.ID()] = person.Name
		}
	}
	return err
}

func (p *Plan) repository(folder string) *RepositoryPlan {
	if folder == Image {
		return &p.Image
	}
	return &p.Director
}

func (p *Plan) check(doc *strict.Document, at []any, r RolePlan, keys string) error {
	fault := func(key, format string, args ...any) error {
		return doc.Errorf(append(slices.Clone(at), key), "%v", fmt.Errorf(format, args...))
	}
	switch {
	case len(r.Signers) == 0:
		return fault("signers", "expected signers = [\"NAME\", …]: whose signatures it needs")
	case r.Threshold < 1 || r.Threshold > len(r.Signers):
		return fault("threshold", "expected threshold = 1 to %d: how many of the signers it needs", len(r.Signers))
	case r.Expires == 0:
		return fault("expires", "expected expires = \"90d\": how long after its issue it is good")
	}
	have, holder := map[string]int{}, map[string]string{}
	for i, name := range r.Signers {
		if slices.Contains(r.Signers[:i], name) {
			return fault("signers", "%q stands twice", name)
		}
		person, err := p.person(name, keys)
		if err != nil {
			return fault("signers", "%w", err)
		}
		for _, kind := range person.kinds() {
			have[kind]++
		}
		for _, k := range person.Keys {
			if other, twice := holder[k.ID()]; twice {
				return fault("signers", "%q has the same key as %q", name, other)
			}
			holder[k.ID()] = name
		}
	}
	for kind := range r.Thresholds {
		if !slices.Contains(Kinds, kind) {
			return fault("thresholds", "unknown kind %q; expected %s", kind, strings.Join(Kinds, " or "))
		}
	}
	for kind, need := range r.each(p) {
		if need < 1 || need > have[kind] {
			return fault("threshold", "it needs %d signatures by %s, and %d of its signers have such a key; hint: thresholds = { %s = … }", need, kind, have[kind], kind)
		}
	}
	return nil
}

func (p *Plan) checkDelegated(doc *strict.Document, side, name string, d DelegatedPlan, keys string) error {
	at := []any{side, "delegated", name}
	switch {
	case side == Director:
		return doc.Errorf(at, "a Director cannot delegate: vehicles refuse it")
	case CheckName(name) != nil || slices.Contains(topRoles, name):
		return doc.Errorf(at, "expected a role's name of 1 to 32 characters a-z, 0-9 and -, and none of %s", strings.Join(topRoles, ", "))
	case len(d.Paths) == 0:
		return doc.Errorf(at, "expected paths = [\"NAME/*\"]: the images that it may speak for")
	}
	for _, pattern := range d.Paths {
		if err := checkPattern(pattern); err != nil {
			return doc.Errorf(append(at, "paths"), "%v", err)
		}
	}
	return p.check(doc, at, d.role(), keys)
}

// person returns a person of the plan, reading the public file the first time.
func (p *Plan) person(name, keys string) (Person, error) {
	if person, ok := p.People[name]; ok {
		return person, nil
	}
	if err := CheckName(name); err != nil {
		return Person{}, err
	}
	path := filepath.Join(keys, name+".pub")
	person, err := ReadPerson(path)
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return Person{}, fmt.Errorf("there is no %s; hint: the public file of \"key new %s\" goes there", path, name)
	case err != nil:
		return Person{}, err
	case person.Name != name:
		return Person{}, fmt.Errorf("%s is the public file of %q", path, person.Name)
	}
	p.People[name] = person
	return person, nil
}

// ReadPerson reads a public file.
func ReadPerson(path string) (Person, error) {
	data, err := readFile(path, maxKeyFile)
	if err != nil {
		return Person{}, fmt.Errorf("cannot read %s: %w", path, err)
	}
	person, err := ParsePerson(data)
	if err != nil {
		return Person{}, fmt.Errorf("%s: %w", path, err)
	}
	return person, nil
}

// each is how many signatures of each kind a role needs.
func (r RolePlan) each(p *Plan) map[string]int {
	need := map[string]int{}
	for _, name := range r.Signers {
		for _, kind := range p.People[name].kinds() {
			need[kind] = r.Threshold
		}
	}
	maps.Copy(need, r.Thresholds)
	return need
}

// signRole is the role as metadata lists it.
func (p *Plan) signRole(r RolePlan) sign.Role {
	role := sign.Role{Thresholds: r.each(p)}
	for _, n := range role.Thresholds {
		role.Threshold += n
	}
	for _, name := range r.Signers {
		role.Keys = append(role.Keys, p.People[name].Keys...)
	}
	slices.SortFunc(role.Keys, func(a, b sign.Key) int { return strings.Compare(a.ID(), b.ID()) })
	return role
}

// Who returns the name of who holds a key, or the beginning of its id.
func (p *Plan) Who(keyID string) string {
	if p != nil {
		for _, name := range slices.Sorted(maps.Keys(p.People)) {
			for _, k := range p.People[name].Keys {
				if k.ID() == keyID {
					return name
				}
			}
		}
	}
	if p != nil && p.former[keyID] != "" {
		return p.former[keyID] + " (a former key)"
	}
	return fmt.Sprintf("key %.12s", keyID)
}
