// Package release is the desk that releases what vehicles run: keys of several
// people, documents that are staged, signed on several machines and published
// in a repository, and what a vehicle would say of that repository. The
// vehicle's own code (crypto/signed, firmware) judges before anything is
// published.
//
// A repository in the making is a folder:
//
//	plan.toml   keys/NAME.pub     who signs what
//	staged/…                      documents that wait for signatures
//	image/…     director/…        what is published
//
// Side: desk.
package release

import (
	"bytes"
	"crypto/rand"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"maps"
	"regexp"
	"slices"
	"strings"
	"unicode/utf8"

	"filippo.io/age"
	"filippo.io/age/armor"

	"roadseal/crypto/signed/sign"
)

// Kinds of keys. A person has one of each unless asked otherwise: neither a
// broken classical scheme nor a broken post-quantum one is then enough to forge.
var Kinds = []string{"ed25519", "ml-dsa-65"}

var personName = regexp.MustCompile(`^[a-z0-9][a-z0-9-]{0,31}$`)

// CheckName demands that a name can be a person's, or that of a role: it stands
// in names of files.
func CheckName(name string) error {
	if !personName.MatchString(name) {
		return fmt.Errorf("expected a name of 1 to 32 characters a-z, 0-9 and -, not %q", name)
	}
	return nil
}

// A Person signs with one key, or one of each kind. A machine is one too.
type Person struct {
	Name string
	Keys []sign.Key // sorted by id
}

type publicKey struct {
	Type   string `json:"keytype"`
	Value  keyval `json:"keyval"`
	Scheme string `json:"scheme"`
}

type keyval struct {
	Public string `json:"public"`
}

func publicOf(k sign.Key) publicKey { return publicKey{k.Type, keyval{k.Public}, k.Scheme} }

func (p publicKey) key() sign.Key {
	return sign.Key{Type: p.Type, Scheme: p.Scheme, Public: p.Value.Public}
}

// Public is the person's public file, canonical JSON.
func (p Person) Public() ([]byte, error) {
	file := personFile{map[string]publicKey{}, p.Name}
	for _, k := range p.Keys {
		file.Keys[k.ID()] = publicOf(k)
	}
	return json.Marshal(file)
}

type personFile struct {
	Keys map[string]publicKey `json:"keys"`
	Name string               `json:"name"`
}

// maxKeyFile bounds the files of keys, in bytes; one of two keys has 4,400.
const maxKeyFile = 64 << 10

// ParsePerson reads a public file. It takes no other bytes than Public writes.
func ParsePerson(data []byte) (Person, error) {
	var file personFile
	if err := json.Unmarshal(data, &file); err != nil {
		return Person{}, fmt.Errorf("not a public key file: %w", err)
	}
	p := Person{Name: file.Name}
	if err := CheckName(p.Name); err != nil {
		return Person{}, fmt.Errorf("name: %w", err)
	}
	for _, id := range slices.Sorted(maps.Keys(file.Keys)) {
		k := file.Keys[id].key()
		switch _, err := k.Verifier(); {
		case err != nil:
			return Person{}, fmt.Errorf("keys: %.16q: %w", id, err)
		case k.ID() != id:
			return Person{}, fmt.Errorf("keys: %.16q: the key id is not that of the key", id)
		}
		p.Keys = append(p.Keys, k)
	}
	if len(p.Keys) == 0 {
		return Person{}, errors.New("keys: expected a key")
	}
	again, err := p.Public()
	if err == nil && !bytes.Equal(again, data) {
		err = errors.New("not a public key file as \"key new\" writes it: it was changed")
	}
	return p, err
}

// kinds are the schemes that a person signs with.
func (p Person) kinds() (all []string) {
	for _, k := range p.Keys {
		if !slices.Contains(all, k.Scheme) {
			all = append(all, k.Scheme)
		}
	}
	return all
}

// A Private is a person's private file, opened.
type Private struct {
	Name string
	keys []secretKey
}

type secretKey struct {
	Scheme string `json:"scheme"`
	Seed   string `json:"seed"` // hex
}

type privateFile struct {
	Keys []secretKey `json:"keys"`
	Name string      `json:"name"`
}

// NewPrivate makes a key of each kind.
func NewPrivate(name string, kinds []string) (*Private, error) {
	if err := CheckName(name); err != nil {
		return nil, err
	}
	p := &Private{Name: name}
	for _, kind := range kinds {
		seed := make([]byte, sign.SeedSize)
		if _, err := rand.Read(seed); err != nil {
			return nil, err
		}
		p.keys = append(p.keys, secretKey{kind, hex.EncodeToString(seed)})
	}
	_, err := p.Signers()
	return p, err
}

// Signers are what signs with the keys.
func (p *Private) Signers() ([]sign.Signer, error) {
	var all []sign.Signer
	for i, k := range p.keys {
		seed, err := hex.DecodeString(k.Seed)
		if err != nil {
			return nil, fmt.Errorf("keys[%d].seed: expected hex", i)
		}
		s, err := sign.FromSeed(k.Scheme, seed)
		if err != nil {
			return nil, fmt.Errorf("keys[%d]: %w", i, err)
		}
		all = append(all, s)
	}
	if len(all) == 0 {
		return nil, errors.New("keys: expected a key")
	}
	return all, nil
}

// Person is what everyone may know.
func (p *Private) Person() (Person, error) {
	signers, err := p.Signers()
	person := Person{Name: p.Name}
	for _, s := range signers {
		person.Keys = append(person.Keys, s.Key())
	}
	slices.SortFunc(person.Keys, func(a, b sign.Key) int { return strings.Compare(a.ID(), b.ID()) })
	return person, err
}

// WorkFactor is what guessing a passphrase costs: scrypt with N = 2^18, 256 MiB
// and about a second for each guess.
const WorkFactor = 18

// Seal returns the private file: an age file with one scrypt stanza (C2SP
// age.md), which "age -d" opens too, as text that can be printed.
func (p *Private) Seal(passphrase string, workFactor int) ([]byte, error) {
	if err := CheckPassphrase(passphrase, p.Name); err != nil {
		return nil, err
	}
	to, err := age.NewScryptRecipient(passphrase)
	if err != nil {
		return nil, err
	}
	to.SetWorkFactor(workFactor)
	text, err := json.Marshal(privateFile{p.keys, p.Name})
	if err != nil {
		return nil, err
	}
	var out bytes.Buffer
	armored := armor.NewWriter(&out)
	w, err := age.Encrypt(armored, to)
	if err != nil {
		return nil, err
	}
	if _, err := w.Write(text); err != nil {
		return nil, err
	}
	err = errors.Join(w.Close(), armored.Close())
	return out.Bytes(), err
}

// ErrPassphrase says that a private file does not open.
var ErrPassphrase = errors.New("wrong passphrase")

// OpenPrivate opens a private file.
func OpenPrivate(data []byte, passphrase string) (*Private, error) {
	id, err := age.NewScryptIdentity(passphrase)
	if err != nil {
		return nil, ErrPassphrase // an empty one
	}
	id.SetMaxWorkFactor(WorkFactor + 2)
	r, err := age.Decrypt(armor.NewReader(bytes.NewReader(data)), id)
	if _, ok := errors.AsType[*age.NoIdentityMatchError](err); ok {
		return nil, ErrPassphrase
	}
	if err != nil {
		return nil, fmt.Errorf("not a private key file as \"key new\" writes it, or damaged: %w", err)
	}
	text, err := io.ReadAll(io.LimitReader(r, maxKeyFile))
	if err != nil {
		return nil, fmt.Errorf("not a private key file as \"key new\" writes it, or damaged: %w", err)
	}
	var file privateFile
	if err := json.Unmarshal(text, &file); err != nil {
		return nil, errors.New("not a private key file as \"key new\" writes it") // what it holds is no matter for a message
	}
	p := &Private{file.Name, file.Keys}
	if _, err := p.Signers(); err != nil {
		return nil, err
	}
	return p, CheckName(p.Name)
}

// Bounds of a passphrase, in characters: NIST SP 800-63B-4 (section 3.1.1) asks
// for 15 where nothing else guards.
const (
	minPassphrase = 15
	minDifferent  = 8
)

// CheckPassphrase refuses what can be guessed although each guess is dear.
func CheckPassphrase(passphrase, name string) error {
	different := map[rune]bool{}
	for _, c := range passphrase {
		different[c] = true
	}
	rest := strings.ReplaceAll(strings.ToLower(passphrase), name, "")
	switch n := utf8.RuneCountInString(passphrase); {
	case !utf8.ValidString(passphrase):
		return errors.New("the passphrase is no valid UTF-8")
	case n < minPassphrase:
		return fmt.Errorf("the passphrase has %d characters, at least %d are needed; hint: five words that nobody would put together", n, minPassphrase)
	case len(different) < minDifferent:
		return fmt.Errorf("the passphrase has %d different characters, at least %d are needed", len(different), minDifferent)
	case utf8.RuneCountInString(rest) < minPassphrase:
		return fmt.Errorf("beside the name %q the passphrase has too few characters, at least %d are needed", name, minPassphrase)
	}
	return nil
}
