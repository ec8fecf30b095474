package release

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"path"
	"regexp"
	"slices"
	"strings"
	"time"

	"roadseal/crypto/signed"
	"roadseal/crypto/signed/sign"
)

// Metadata is what stands in a document, for people to look at and to make the
// next version of.
type Metadata struct {
	Type        string                `json:"_type"`
	Version     int64                 `json:"version"`
	Expires     time.Time             `json:"expires"`
	Issued      time.Time             `json:"issued"`
	Audience    string                `json:"audience"`
	Keys        map[string]publicKey  `json:"keys"`
	Roles       map[string]Role       `json:"roles"`
	Meta        map[string]FileMeta   `json:"meta"`
	Targets     map[string]TargetMeta `json:"targets"`
	Delegations *delegations          `json:"delegations"`
}

// A Role is how metadata says whose signatures are needed.
type Role struct {
	KeyIDs     []string       `json:"keyids"`
	Threshold  int            `json:"threshold"`
	Thresholds map[string]int `json:"thresholds"`
}

// A FileMeta is what one document says of another.
type FileMeta struct {
	Version int64 `json:"version"`
}

// A TargetMeta is what a document says of an image.
type TargetMeta struct {
	Length int64             `json:"length"` // bytes
	Hashes map[string]string `json:"hashes"`
	Custom json.RawMessage   `json:"custom"`
}

type delegations struct {
	Keys  map[string]publicKey `json:"keys"`
	Roles []delegation         `json:"roles"`
}

type delegation struct {
	Name        string         `json:"name"`
	KeyIDs      []string       `json:"keyids"`
	Threshold   int            `json:"threshold"`
	Thresholds  map[string]int `json:"thresholds"`
	Paths       []string       `json:"paths"`
	Terminating bool           `json:"terminating"`
	Custom      struct {
		Hardware []string `json:"hardwareIds"`
	} `json:"custom"`
}

// Released is what the image repository says of an image (Uptane section 5.2.3.1).
type Released struct {
	Hardware []string `json:"hardwareIds"`
	Counter  int64    `json:"releaseCounter"`
	RXSWIN   []string `json:"rxswin,omitempty"` // UN R156
}

// Ordered is what the Director says of an image.
type Ordered struct {
	ECUs     map[string]OrderedECU `json:"ecuIdentifiers"`
	Campaign string                `json:"campaign,omitempty"`
}

// OrderedECU is one that is to have the image.
type OrderedECU struct {
	Hardware string `json:"hardwareId"`
	Counter  int64  `json:"releaseCounter"`
}

// A Doc is a document in a repository, staged or published.
type Doc struct {
	*sign.Document
	Metadata
	Folder string // "image", "director" or "director/DEVICE"
	Role   string
	Name   string // of its file, in the repository or where it was read
	dir    string // the repository, "" if it is not known
}

// ReadDoc reads a document. Nothing of it is verified.
func ReadDoc(name string, data []byte) (*Doc, error) {
	document, err := sign.Parse(data)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", name, err)
	}
	var file struct {
		Signed Metadata `json:"signed"`
	}
	if err := json.Unmarshal(data, &file); err != nil {
		return nil, fmt.Errorf("%s: %w", name, err)
	}
	d := &Doc{Document: document, Metadata: file.Signed, Name: name}
	if !slices.Contains(topRoles, d.Type) || d.Version < 1 {
		return nil, fmt.Errorf("%s: expected a \"_type\" of %s, and a \"version\"", name, strings.Join(topRoles, ", "))
	}
	d.Role = roleOf(name, d.Type)
	return d, nil
}

var versioned = regexp.MustCompile(`^(?:[1-9][0-9]*\.)?([a-z0-9-]+)\.json$`)

// roleOf is the role that a file's name says, if it can be: only the names of
// delegated roles stand nowhere else.
func roleOf(name, kind string) string {
	if m := versioned.FindStringSubmatch(path.Base(name)); m != nil && kind == signed.Targets {
		return m[1]
	}
	return kind
}

// Title is how messages call a document.
func (d *Doc) Title() string {
	return fmt.Sprintf("%s version %d", strings.TrimSpace(d.Folder+" "+d.Role), d.Version)
}

// File is the name of the document where it is published.
func (d *Doc) File() string { return fileName(d.Folder, d.Role, d.Version) }

// A need is whose signatures a document needs.
type need struct {
	Role
	keys map[string]publicKey
}

// need returns what this document demands of the documents of a role.
func (d *Doc) need(role string) (need, bool) {
	if r, ok := d.Roles[role]; ok {
		return need{r, d.Keys}, true
	}
	if d.Delegations != nil {
		for _, r := range d.Delegations.Roles {
			if r.Name == role {
				return need{Role{r.KeyIDs, r.Threshold, r.Thresholds}, d.Delegations.Keys}, true
			}
		}
	}
	return need{}, false
}

// valid are the ids of the keys whose signatures on d hold and count; wrong
// those of signatures that do not hold.
func (n need) valid(d *Doc) (valid, wrong []string) {
	message := d.Signed()
	for _, s := range d.Signatures() {
		k, ok := n.keys[s.KeyID]
		if !ok || !slices.Contains(n.KeyIDs, s.KeyID) {
			continue
		}
		verify, err := k.key().Verifier()
		if err == nil && verify(message, s.Value) {
			valid = append(valid, s.KeyID)
		} else {
			wrong = append(wrong, s.KeyID)
		}
	}
	return valid, wrong
}

// A MissingError says whose signatures a document still needs.
type MissingError struct {
	Doc     string   // file
	By      string   // whose demand it is
	Have    []string // who has signed
	Missing []string // of whom enough must still sign
	Wrong   []string // whose signature does not hold
	Counts  []string // "1 of 2 by ed25519"
}

func (e *MissingError) Error() string {
	text := fmt.Sprintf("%s: signatures are missing (%s): %s; not signed by: %s", e.Doc, e.By, strings.Join(e.Counts, ", "), list(e.Missing))
	if len(e.Have) > 0 {
		text += "; signed by: " + list(e.Have)
	}
	if len(e.Wrong) > 0 {
		text += "; of no use, because the document was changed after it was signed or the signature was damaged: " + list(e.Wrong)
	}
	return text
}

func list(names []string) string {
	if len(names) == 0 {
		return "nobody"
	}
	return strings.Join(names, ", ")
}

// check demands the signatures on d.
func (n need) check(d *Doc, by string, who func(string) string) error {
	valid, wrong := n.valid(d)
	e := &MissingError{Doc: d.Name, By: by}
	each, holders := map[string]int{}, map[string]int{}
	for _, id := range n.KeyIDs {
		scheme := n.keys[id].Scheme
		holders[scheme]++
		if slices.Contains(valid, id) {
			each[scheme]++
		}
	}
	short := len(valid) < n.Threshold
	for _, scheme := range slices.Sorted(maps.Keys(holders)) {
		if want, ok := n.Thresholds[scheme]; ok {
			short = short || each[scheme] < want
			e.Counts = append(e.Counts, fmt.Sprintf("%d of %d by %s", each[scheme], want, scheme))
		}
	}
	if !short {
		return nil
	}
	if len(e.Counts) == 0 {
		e.Counts = []string{fmt.Sprintf("%d of %d", len(valid), n.Threshold)}
	}
	for _, id := range n.KeyIDs {
		name, into := who(id), &e.Missing
		switch {
		case slices.Contains(valid, id):
			into = &e.Have
		case slices.Contains(wrong, id):
			into = &e.Wrong
		}
		if !slices.Contains(*into, name) {
			*into = append(*into, name)
		}
	}
	for _, names := range [][]string{e.Have, e.Missing, e.Wrong} {
		slices.Sort(names)
	}
	return e
}

func (h Metadata) header() sign.Header {
	return sign.Header{Version: h.Version, Expires: h.Expires, Issued: h.Issued, Audience: h.Audience}
}

// targets returns what a document lists in a form that can be changed.
func (d *Doc) targets() (sign.Targets, error) {
	t := sign.Targets{Header: d.header(), Files: map[string]sign.Target{}}
	for name, f := range d.Metadata.Targets {
		sum, ok := f.Hashes["sha256"]
		if !ok {
			return t, fmt.Errorf("%s: targets: %q: expected a sha256", d.Name, name)
		}
		file := sign.Target{Length: f.Length, SHA256: sum}
		if f.Custom != nil {
			file.Custom = f.Custom
		}
		t.Files[name] = file
	}
	if d.Delegations != nil {
		for _, r := range d.Delegations.Roles {
			role := sign.Role{Threshold: r.Threshold, Thresholds: r.Thresholds}
			for _, id := range r.KeyIDs {
				role.Keys = append(role.Keys, d.Delegations.Keys[id].key())
			}
			t.Delegations = append(t.Delegations, sign.Delegation{Name: r.Name, Role: role, Paths: r.Paths, Hardware: r.Custom.Hardware, Terminating: r.Terminating})
		}
	}
	again, err := t.Document()
	if err == nil && !bytes.Equal(again.Signed(), d.Signed()) {
		err = errors.New("it says more than this program knows, which would be lost; hint: use the program that wrote it")
	}
	if err != nil {
		return t, fmt.Errorf("%s: %w", d.Name, err)
	}
	return t, nil
}
