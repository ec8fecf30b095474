package release

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path"
	"path/filepath"
	"slices"
	"strings"

	"roadseal/crypto/signed"
	"roadseal/hal/durable"
)

func (r *Repo) stagedImages() (names []string, err error) {
	entries, err := os.ReadDir(filepath.Join(r.Path, stagedDir, filesDir))
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	}
	for _, e := range entries {
		if !strings.HasSuffix(e.Name(), durable.TmpSuffix) {
			names = append(names, path.Join(filesDir, e.Name()))
		}
	}
	return names, err
}

// Publish moves a prepared change into place. Images come first and timestamps
// last, the image repository's before the director's, so that no vehicle ever
// finds one that names what is not there; and each root comes with its timestamp,
// which the one before may not have signed. A run that was cut short is carried on
// by the next.
func (r *Repo) Publish(c *Change) error {
	for _, name := range c.Images {
		if err := r.moveImage(name); err != nil {
			return err
		}
	}
	slices.SortStableFunc(c.Docs, func(a, b *Doc) int { return strings.Compare(rank(a), rank(b)) })
	for _, d := range c.Docs {
		// A run that carries on must find the same bytes.
		if strings.HasPrefix(d.Name, stagedDir+"/") {
			if err := r.write(d.Name, d.Bytes()); err != nil {
				return err
			}
		}
	}
	for _, d := range c.Docs {
		if err := r.write(fileName(d.Folder, d.Role, d.Version), d.Bytes()); err != nil {
			return err
		}
	}
	for _, d := range c.Docs {
		if !strings.HasPrefix(d.Name, stagedDir+"/") {
			continue
		}
		if err := r.remove(d.Name); err != nil && !errors.Is(err, fs.ErrNotExist) {
			return err
		}
	}
	return nil
}

// rank is when a document is written.
func rank(d *Doc) string {
	switch {
	case d.Role != signed.Timestamp && d.Role != signed.Root:
		return ""
	case d.Folder == Image:
		return "1 " + d.Role
	}
	return "2 " + d.Folder + " " + d.Role // "root" is before "timestamp"
}

func (r *Repo) moveImage(name string) error {
	if err := durable.MkdirAll(r.disk, filesDir); err != nil {
		return err
	}
	if err := r.disk.Rename(path.Join(stagedDir, name), name); err != nil {
		return fmt.Errorf("cannot publish %s: %w", name, err)
	}
	return errors.Join(r.disk.Sync(filesDir), r.disk.Sync(path.Join(stagedDir, filesDir)))
}
