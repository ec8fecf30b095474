package firmware_test

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"strings"
	"testing"

	"roadseal/firmware/report"
	"roadseal/hal/durable"
	"roadseal/hal/durable/crashfs"
	"roadseal/hal/durable/durabletest"
)

// contains demands that a file has exactly this content; "" is no file.
func contains(fsys durable.FS, name, want string) error {
	data, err := durable.ReadFile(fsys, name, 1<<20)
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	if string(data) != want {
		return fmt.Errorf("%s is %.80q, not %.80q", name, data, want)
	}
	return nil
}

// TestEverySyncIsNeeded: of what the updater keeps beside the metadata. The
// syncs of the metadata are crypto/signed's, and tested there.
func TestEverySyncIsNeeded(t *testing.T) {
	w, all := stages(t)
	durabletest.Losses(t, func(d *durabletest.Disk) error {
		d.Ours = func(op crashfs.Op) bool {
			return op.Name == "." || strings.HasPrefix(op.Name, "report") || strings.HasPrefix(op.Name, "verified")
		}
		l := newLife(w, all, 1)
		for _, s := range all {
			if err := l.attempts(d, s); err != nil {
				return err
			}
		}
		return nil
	}, map[string]string{
		"syncdir . in crypto/signed.OpenDir":  "the sync for a report covers it; what of it shows before that is seen in crypto/signed",
		"syncdir . in firmware.(*state).keep": "what is verified anew is reported, and the sync for the report covers it",
	})
}

// attempts makes two at a stage. What they promise: a report is durable when it
// is handed over, and noted after that; what is verified is durable.
func (l *life) attempts(d *durabletest.Disk, s stage) error {
	if s.installs != nil {
		data, err := report.Marshal(s.installs)
		if err == nil {
			err = durable.WriteFile(d, ".", "installed", data)
		}
		if err == nil {
			err = d.Promise(func(fsys durable.FS) error { return contains(fsys, "installed", string(data)) })
		}
		if err != nil {
			return err
		}
	}
	handed := ""
	u, err := l.updater(d, s, func(file []byte) error {
		handed = string(file)
		return d.Promise(func(fsys durable.FS) error { return contains(fsys, "report", handed) })
	})
	if err != nil {
		return err
	}
	for range 2 {
		if err := u.Check(context.Background()); attackOf(err) != s.attack || s.attack == "" && err != nil {
			return fmt.Errorf("expected %q: %w", s.attack, err)
		}
		if err := d.Promise(func(fsys durable.FS) error {
			return errors.Join(contains(fsys, "verified", s.offered), contains(fsys, "report", ""), contains(fsys, "reported", handed))
		}); err != nil {
			return err
		}
	}
	return nil
}
