package release

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"path"
	"path/filepath"
	"time"

	"roadseal/crypto/signed"
)

// Rejoin takes the orders of a vehicle away, so that it takes those for the fleet
// from then on. A vehicle that has seen them all judges before: the versions of
// the fleet's must be above those of its own.
func (r *Repo) Rejoin(ctx context.Context, device string, now time.Time) error {
	if err := CheckDevice(device); err != nil {
		return err
	}
	folder := path.Join(Director, device)
	if !isDir(filepath.Join(r.Path, folder)) {
		return fmt.Errorf("%s has no orders of its own", device)
	}
	own, err := r.tree().current(folder)
	if err != nil {
		return err
	}
	if own[signed.Timestamp] != nil { // else an earlier run was cut short
		if err := r.wouldRejoin(ctx, folder, device, own, now); err != nil {
			return fmt.Errorf("%s would not take the orders of the fleet: %w; hint: publish those anew (\"order\", or \"rotate --renew %s/targets\"), then try again", device, err, Director)
		}
	}
	// The timestamp first: nothing is then found by what it names.
	if err := r.remove(fileName(folder, signed.Timestamp, 0)); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	return errors.Join(r.removeAll(path.Join(stagedDir, folder)), r.removeAll(folder))
}

func (r *Repo) wouldRejoin(ctx context.Context, folder, device string, own map[string]*Doc, now time.Time) error {
	fleet, err := r.tree().current(Director)
	if err != nil {
		return err
	}
	if was, is := own[signed.Timestamp], fleet[signed.Timestamp]; is == nil || is.Version <= was.Version {
		return fmt.Errorf("version %d of its timestamp is not below that of the fleet's, %d", was.Version, versionOf(is))
	}
	roots, err := firstRoots(r.tree())
	if err != nil {
		return err
	}
	seen, err := seenBefore(ctx, r.tree(), roots, folder)
	if err != nil {
		return err
	}
	v := vehicle{tree: r.tree(), roots: roots, folder: Director, device: device, seen: seen}
	_, err = v.offers(ctx, now)
	return err
}

// removeAll removes a folder of files, if it is there.
func (r *Repo) removeAll(folder string) error {
	var names []string
	err := r.disk.List(folder, func(e fs.DirEntry) error {
		names = append(names, path.Join(folder, e.Name()))
		return nil
	})
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	if err != nil {
		return fmt.Errorf("cannot remove %s: %w", folder, err)
	}
	for _, name := range append(names, folder) {
		if err := r.remove(name); err != nil {
			return err
		}
	}
	return nil
}
