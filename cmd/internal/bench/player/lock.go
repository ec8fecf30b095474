package player

import (
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"time"
)

// How is what a recorder does to a finished clip to keep it from its ring.
type How string

// Ways of locking a clip.
const (
	Move How = "move" // rename: it is gone from where it was
	Copy How = "copy" // byte for byte; the first stays
	Link How = "link" // a second name for the same file
)

// A Lock is what happens to a segment long after it was closed, and delivered.
type Lock struct {
	How How
	To  string        // name below the folder
	At  time.Duration // of the drive, at the earliest
}

// apply locks the segment of that name.
func (l Lock) apply(folder, name string) error {
	from, to := filepath.Join(folder, name), filepath.Join(folder, l.To)
	err := os.MkdirAll(filepath.Dir(to), 0o755)
	if err == nil {
		switch l.How {
		case Move:
			err = os.Rename(from, to)
		case Link:
			err = os.Link(from, to)
		case Copy:
			err = copyFile(from, to)
		}
	}
	if err != nil {
		return fmt.Errorf("cannot lock a clip in the recorder's folder: %w", err)
	}
	return nil
}

func copyFile(from, to string) error {
	src, err := os.Open(from)
	if err != nil {
		return err
	}
	defer src.Close()
	dst, err := os.OpenFile(to, os.O_CREATE|os.O_EXCL|os.O_WRONLY, 0o644)
	if err != nil {
		return err
	}
	if _, err := io.Copy(dst, src); err != nil {
		return errors.Join(err, dst.Close())
	}
	return dst.Close()
}
