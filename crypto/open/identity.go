package open

import (
	"bufio"
	"crypto/rand"
	"errors"
	"fmt"
	"io"
	"strings"

	"github.com/cloudflare/circl/kem"

	"roadseal/crypto/internal/bech32"
	"roadseal/crypto/internal/xwing"
	"roadseal/crypto/recipient"
	"roadseal/hal/red"
)

const (
	hrp    = "AGE-SECRET-KEY-PQ-"
	prefix = hrp + "1"
)

// Identity is the secret key of a reader. It prints as [red]; only Secret
// shows it. The zero Identity opens nothing.
type Identity struct {
	// Behind a function: fmt looks into the unexported fields of a struct that
	// holds an Identity without asking its methods, and through pointers, but
	// of a function it sees the address only.
	reveal func() *secret
}

type secret struct {
	seed [xwing.SeedSize]byte
	key  kem.PrivateKey
}

// Generate makes a new identity.
func Generate() (Identity, error) {
	seed := make([]byte, xwing.SeedSize)
	if _, err := io.ReadFull(rand.Reader, seed); err != nil {
		return Identity{}, fmt.Errorf("cannot draw random bytes: %w", err)
	}
	return newIdentity(seed)
}

func newIdentity(seed []byte) (Identity, error) {
	key, err := xwing.PrivateKey(seed)
	if err != nil {
		return Identity{}, fmt.Errorf("not a secret key: %w", err)
	}
	s := &secret{seed: [xwing.SeedSize]byte(seed), key: key}
	return Identity{func() *secret { return s }}, nil
}

// Recipient is the public key that objects are sealed to. It is the zero Key
// for the zero Identity.
func (i Identity) Recipient() recipient.Key {
	if i.reveal == nil {
		return recipient.Key{}
	}
	b, err := i.reveal().key.Public().MarshalBinary()
	if err != nil {
		return recipient.Key{}
	}
	// A low-order half would take a seed that hashes to one: nobody has that.
	k, err := recipient.New(b)
	if err != nil {
		return recipient.Key{}
	}
	return k
}

// Secret is the identity as it stands in a key file: AGE-SECRET-KEY-PQ-1 and
// 58 characters more. It is empty for the zero Identity.
func (i Identity) Secret() string {
	if i.reveal == nil {
		return ""
	}
	return strings.ToUpper(bech32.Encode(strings.ToLower(hrp), i.reveal().seed[:]))
}

// String implements fmt.Stringer; it prints [red].
func (Identity) String() string { return red.Mark }

// Format implements fmt.Formatter; it prints [red] for every verb.
func (Identity) Format(s fmt.State, _ rune) { fmt.Fprint(s, red.Mark) }

// MarshalText implements encoding.TextMarshaler; it writes [red].
func (Identity) MarshalText() ([]byte, error) { return []byte(red.Mark), nil }

// maxKeyFile bounds what is read as a key file: 10,000 keys and more.
const maxKeyFile = 1 << 20

// ParseIdentities reads an age key file: one identity a line, empty lines and
// lines that begin with # left out. All must be AGE-SECRET-KEY-PQ-1…; there
// must be at least one. Errors name the line and never repeat any of it.
func ParseIdentities(r io.Reader) ([]Identity, error) {
	limited := &io.LimitedReader{R: r, N: maxKeyFile + 1}
	lines := bufio.NewScanner(limited)
	var ids []Identity
	for n := 1; lines.Scan(); n++ {
		line := lines.Text()
		if line == "" || strings.HasPrefix(line, "#") {
			continue
		}
		id, err := parseIdentity(line)
		if err != nil {
			return nil, fmt.Errorf("line %d: %w", n, err)
		}
		ids = append(ids, id)
	}
	switch err := lines.Err(); {
	case limited.N == 0 || errors.Is(err, bufio.ErrTooLong):
		return nil, errors.New("not a key file: it is too long")
	case err != nil:
		return nil, fmt.Errorf("cannot read the key file: %w", err)
	case len(ids) == 0:
		return nil, fmt.Errorf("no secret key in it: expected a line %s…", prefix)
	}
	return ids, nil
}

func parseIdentity(line string) (Identity, error) {
	if err := checkKind(line); err != nil {
		return Identity{}, err
	}
	_, seed, err := bech32.Decode(line)
	if err != nil {
		return Identity{}, fmt.Errorf("not a secret key: %w", err)
	}
	return newIdentity(seed)
}

// checkKind tells a secret key from what else people keep in key files.
func checkKind(line string) error {
	trimmed := strings.TrimSpace(line)
	upper := strings.ToUpper(trimmed)
	switch {
	case trimmed != line:
		return errors.New("there are spaces around the secret key")
	case strings.HasPrefix(line, prefix):
		return nil
	case strings.HasPrefix(upper, prefix):
		return errors.New("a secret key is written in upper case")
	case strings.HasPrefix(upper, "AGE-SECRET-KEY-1"), strings.HasPrefix(upper, "AGE-PLUGIN-"):
		return fmt.Errorf("this age key is not a post-quantum one, which begins with %s; it opens no roadseal object: keep it in a file of its own", prefix)
	case strings.HasPrefix(upper, "AGE1"):
		return errors.New("this is a public key, which opens nothing: the secret key is in the file that `roadseal-open keygen` made")
	case strings.Contains(upper, "PRIVATE KEY"), strings.HasPrefix(upper, "SSH-"):
		return fmt.Errorf("this is not an age key, which begins with %s", prefix)
	case strings.HasPrefix(upper, "AGE-ENCRYPTION.ORG/V1"), strings.Contains(upper, "BEGIN AGE ENCRYPTED FILE"):
		return errors.New("the key file is itself encrypted: decrypt it with `age -d` first")
	}
	return fmt.Errorf("not a secret key: it does not begin with %s", prefix)
}
