package crash

import (
	"bytes"
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"roadseal/cmd/internal/objstore"
	"roadseal/cmd/internal/trip"
	"roadseal/crypto/envelope"
	"roadseal/crypto/open"
)

// A shelf looks into the store of a collector, or into the spool, with the eyes
// of the key holder.
type shelf struct {
	pool string
	keys trip.Keys
	seen map[string]*object // by path
	only string             // ending of the names that are looked at, "" = all
}

// An object is one file of the store.
type object struct {
	name           string
	class          string            // in a store: its folder
	sum            [sha256.Size]byte // of its content
	boot, sequence uint32
	track, health  bool
	told           []loss // by a health document
}

func newShelf(pool, only string, keys trip.Keys) *shelf {
	return &shelf{pool: pool, keys: keys, seen: map[string]*object{}, only: only}
}

// errDamaged says that a stored object is not what its name says, or does not
// open.
var errDamaged = errors.New("damaged")

// look opens what is new. An object that is damaged is an error at once: nobody
// will ever mend it.
func (s *shelf) look() error {
	err := filepath.WalkDir(s.pool, func(path string, e fs.DirEntry, err error) error {
		if err != nil || e.IsDir() || s.seen[path] != nil || !strings.HasSuffix(path, s.only) {
			return err
		}
		o, err := s.open(path)
		switch {
		case errors.Is(err, fs.ErrNotExist):
			return nil // it has another name meanwhile
		case err != nil:
			return fmt.Errorf("object in %s: %w: %w", filepath.Base(s.pool), errDamaged, err)
		}
		s.seen[path] = o
		return nil
	})
	return ignoreMissing(err) // the collector has not made it yet
}

func (s *shelf) open(path string) (*object, error) {
	f, err := os.Open(path)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	st, err := f.Stat()
	if err != nil {
		return nil, err
	}
	base := filepath.Base(path)
	if o, ok := parseSpooled(base); ok {
		base = o.name
	}
	name, err := envelope.ParseName(base)
	if err != nil {
		return nil, err
	}
	if err := objstore.Check(context.Background(), f, st.Size(), name, envelope.DefaultSlots); err != nil {
		return nil, err
	}
	x, err := open.New(f, st.Size(), s.keys...)
	if err != nil {
		return nil, err
	}
	o := &object{name: name.String(), class: filepath.Base(filepath.Dir(path)), boot: x.Record.Boot, sequence: x.Record.Sequence, track: trip.IsTrack(x.Record), health: x.Record.Stream == healthStream}
	h := sha256.New()
	var document bytes.Buffer
	to := io.Writer(h)
	if o.health {
		to = io.MultiWriter(h, &document)
	}
	if _, err := x.WriteTo(to); err != nil {
		return nil, err
	}
	o.sum = [sha256.Size]byte(h.Sum(nil))
	if o.health {
		o.told, err = parseHealth(document.Bytes())
	}
	return o, err
}

// names are those of the objects with the content of a clip, each once.
func (s *shelf) names(c clip) (all []string) {
	for _, o := range s.seen {
		if o.sum == c.sum && !slices.Contains(all, o.name) {
			all = append(all, o.name)
		}
	}
	return all
}

// keeps reports whether the store has a clip, for as long as its recorder asks: a
// locked one is of the class that is kept longest.
func (s *shelf) keeps(c clip) bool {
	for _, o := range s.seen {
		if o.sum == c.sum && (c.renamed == "" || o.class == longest) {
			return true
		}
	}
	return false
}

// has reports whether an object is there, by name.
func (s *shelf) has(name string) bool {
	for _, o := range s.seen {
		if o.name == name {
			return true
		}
	}
	return false
}
