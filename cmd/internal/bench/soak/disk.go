package soak

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"os"
	"time"

	"golang.org/x/sys/unix"
)

// diskSize is that of the small disk; the spool on it may take 10 MiB.
const diskSize = "16m"

// mountDisk puts the state of a vehicle on a small disk in memory.
func (v *vehicle) mountDisk() error {
	if err := unix.Mount("roadseal-bench", v.state(), "tmpfs", 0, "mode=0700,size="+diskSize); err != nil {
		return fmt.Errorf("cannot mount a small disk: %w", err)
	}
	v.mounted = true
	return nil
}

// unmountDisk gives the disk back. If keep, its content stays in the folder.
func (v *vehicle) unmountDisk(keep bool) error {
	if !v.mounted {
		return nil
	}
	var err error
	copied := v.path("state-copy")
	if keep {
		err = os.CopyFS(copied, os.DirFS(v.state()))
	}
	v.mounted = false
	err = errors.Join(err, unix.Unmount(v.state(), unix.MNT_DETACH))
	if keep && err == nil {
		err = errors.Join(os.Remove(v.state()), os.Rename(copied, v.state()))
	}
	return err
}

// fillDisk fills the small disk to the last byte now and then, and gives the
// room back after a while.
func (w *world) fillDisk(ctx context.Context, v *vehicle, rng *rand.Rand) error {
	for wait(ctx, rng, 4*time.Second, 12*time.Second) {
		err := fill(v.path("state/filler"))
		if err == nil {
			w.note(func(f *Faults) { f.Fills++ })
			wait(ctx, rng, time.Second, 5*time.Second)
		}
		if err = errors.Join(err, os.Remove(v.path("state/filler"))); err != nil {
			return fmt.Errorf("cannot fill the small disk: %w", err)
		}
	}
	return nil
}

// fill writes a file until nothing more fits.
func fill(path string) error {
	f, err := os.Create(path)
	if err != nil {
		return err
	}
	block := make([]byte, 64<<10)
	for err == nil {
		_, err = f.Write(block)
	}
	if errors.Is(err, unix.ENOSPC) {
		err = nil
	}
	return errors.Join(err, f.Close())
}
