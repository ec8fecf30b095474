package release

import (
	"bytes"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"roadseal/crypto/signed"
	"roadseal/crypto/signed/sign"
	"roadseal/hal/durable"
)

// place is the repository of a document, or the folder with the copy of one that
// it lies in, and where the staged documents are; dir is "" if that is not known.
func (d *Doc) place() (dir, staged string) {
	if d.dir != "" || d.Folder == "" {
		return d.dir, filepath.Join(d.dir, stagedDir)
	}
	staged = filepath.Dir(absolute(d.Name))
	for range strings.Count(d.Folder, "/") + 1 {
		staged = filepath.Dir(staged)
	}
	return filepath.Dir(staged), staged
}

// around is the state of a folder in the repository of a document, or in the
// copy of one that it lies in; it is empty if that is not known.
func around(d *Doc, folder string) *state {
	dir, staged := d.place()
	s := &state{folder: folder}
	if dir != "" {
		// A copy may be incomplete: what cannot be read is not there.
		s.current, _ = tree{dir: dir}.current(folder)
		s.ready, _ = tree{dir: staged}.waiting(folder, folder)
	}
	return s
}

// Before finds the published version before a staged document in the repository
// around it, nil if there is none.
func Before(d *Doc) *Doc { return around(d, d.Folder).current[d.Role] }

// Asks reports whether a document needs signatures by one of the keys, as the
// root or the role above it says that lies with it, and whether that is known.
func Asks(d *Doc, signers []sign.Signer) (asks, known bool) {
	var needs []need
	note := func(by *Doc) {
		if by != nil {
			if n, ok := by.need(d.Role); ok {
				needs = append(needs, n)
			}
		}
	}
	root := around(d, repositoryOf(d.Folder))
	switch {
	case d.Role == signed.Root:
		note(d)
		note(root.current[signed.Root])
	case slices.Contains(topRoles, d.Role):
		note(root.newest(signed.Root))
	default:
		note(around(d, d.Folder).newest(signed.Targets))
	}
	for _, n := range needs {
		for _, s := range signers {
			asks = asks || slices.Contains(n.KeyIDs, s.Key().ID())
		}
	}
	return asks, len(needs) > 0
}

// SignWith adds the signatures of those keys that have not signed, and makes
// sure that each holds.
func (d *Doc) SignWith(signers []sign.Signer) (added int, err error) {
	for _, s := range signers {
		if signedBy(d, s.Key().ID()) {
			continue
		}
		signature, err := s.Sign(d.Signed())
		if err != nil {
			return added, fmt.Errorf("%s: cannot sign: %w", d.Name, err)
		}
		verify, err := s.Key().Verifier()
		if err != nil {
			return added, fmt.Errorf("%s: cannot sign: %w", d.Name, err)
		}
		if !verify(d.Signed(), signature) {
			return added, fmt.Errorf("%s: cannot sign: the signature that was made does not hold; hint: this machine computes wrongly", d.Name)
		}
		d.Add(sign.Signature{KeyID: s.Key().ID(), Value: signature})
		added++
	}
	return added, nil
}

// SignFile signs the file that a document was read from, if it still says what it
// did when it was shown. Signatures that others have written into it since stay.
func (d *Doc) SignFile(signers []sign.Signer) (added int, err error) {
	// A copy of the staged documents belongs to one person.
	if dir, staged := d.place(); dir != "" && filepath.Base(staged) == stagedDir && isRepository(dir) {
		r, err := open(dir)
		if err != nil {
			return 0, err
		}
		defer r.Close()
	}
	now, err := ReadFile(d.Name)
	if err != nil {
		return 0, fmt.Errorf("%w; hint: it may have been published since it was shown", err)
	}
	if !bytes.Equal(now.Signed(), d.Signed()) {
		return 0, fmt.Errorf("%s: it is another than the one that was shown, and is not signed; hint: it was staged anew, look at it again", d.Name)
	}
	for _, s := range now.Signatures() {
		d.Add(s)
	}
	if added, err = d.SignWith(signers); err != nil || added == 0 {
		return added, err
	}
	return added, WriteFile(d.Name, d.Bytes())
}

// WriteFile replaces a file durably, with mode 0600.
func WriteFile(name string, data []byte) error {
	disk, err := durable.OpenExisting(filepath.Dir(name))
	if err != nil {
		return fmt.Errorf("cannot write %s: its folder: %w", name, reason(err))
	}
	if err := errors.Join(durable.WriteFile(disk, ".", filepath.Base(name), data), disk.Close()); err != nil {
		return fmt.Errorf("cannot write %s: %w", name, reason(err))
	}
	return nil
}

// Rehearse has a copy of a repository, without the images, changed in place of
// the repository.
func Rehearse(dir string, f func(copied string) error) error {
	tmp, err := os.MkdirTemp("", "roadseal-sign-")
	if err != nil {
		return fmt.Errorf("cannot make a copy to try it on: %w", err)
	}
	defer os.RemoveAll(tmp)
	err = filepath.WalkDir(dir, func(name string, e fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		rel, err := filepath.Rel(dir, name)
		if err != nil {
			return err
		}
		to := filepath.Join(tmp, rel)
		switch {
		case rel == filesDir, rel == filepath.Join(stagedDir, filesDir):
			if err := os.Symlink(absolute(name), to); err != nil {
				return err
			}
			return fs.SkipDir
		case e.IsDir():
			return os.MkdirAll(to, 0o700)
		}
		data, err := readFile(name, signed.MaxTargets)
		if err != nil {
			return fmt.Errorf("%s: %w", rel, err)
		}
		return os.WriteFile(to, data, 0o600)
	})
	if err != nil {
		return fmt.Errorf("cannot make a copy to try it on: %w", err)
	}
	return f(tmp)
}
