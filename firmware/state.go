package firmware

import (
	"bytes"
	"errors"
	"fmt"
	"io/fs"

	"roadseal/firmware/report"
	"roadseal/hal/durable"
)

// A state is what is durable beside the metadata.
type state struct {
	fsys  durable.FS
	kept  []byte // what verifiedFile is known to hold durably, nil for no file
	known bool   // that kept is so
}

// Installed reads what was provisioned in a folder of state (FORMAT.md). One
// newline at its end is no fault.
func Installed(state durable.FS) (*report.Image, error) {
	data, err := durable.ReadFile(state, installedFile, report.MaxSize)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, fmt.Errorf("firmware/%s: there is none: expected what is installed, as firmware/FORMAT.md specifies it", installedFile)
	}
	if err != nil {
		return nil, fmt.Errorf("cannot read what is installed: %w", err)
	}
	i := &report.Image{}
	if err = report.Strict(bytes.TrimSuffix(data, []byte("\n")), i); err == nil {
		err = i.Check()
	}
	if err != nil {
		return nil, fmt.Errorf("firmware/%s: %w; hint: jq -cS writes the canonical form", installedFile, err)
	}
	return i, nil
}

// keep makes durable what both repositories vouch for, nil for nothing.
func (s *state) keep(offered *report.Image) error {
	var data []byte
	if offered != nil {
		var err error
		if data, err = report.Marshal(offered); err != nil {
			return err
		}
	}
	if s.known && bytes.Equal(data, s.kept) {
		return nil
	}
	s.known = false
	var err error
	if offered != nil {
		err = durable.WriteFile(s.fsys, ".", verifiedFile, data)
	} else if err = s.fsys.Remove(verifiedFile); err == nil || errors.Is(err, fs.ErrNotExist) {
		err = s.fsys.Sync(".")
	}
	if err != nil {
		return fmt.Errorf("cannot keep what is verified: %w", err)
	}
	s.kept, s.known = data, true
	return nil
}

// A last is the last report that was made.
type last struct {
	*report.Report // nil if there was none
	file           []byte
	waiting        bool // it may not have been handed over
}

// last reads the last report. One that is damaged counts as none; damaged says
// so.
func (s *state) last() (l last, damaged error, err error) {
	for _, name := range []string{waitingFile, handedFile} {
		data, err := durable.ReadFile(s.fsys, name, report.MaxSize)
		if errors.Is(err, fs.ErrNotExist) {
			continue
		}
		if err != nil {
			return last{}, nil, fmt.Errorf("cannot read the last report: %w", err)
		}
		r, fault := report.Open(data)
		if fault != nil {
			damaged = fmt.Errorf("firmware/%s: %w", name, fault)
			continue
		}
		return last{r, data, name == waitingFile}, damaged, nil
	}
	return last{}, damaged, nil
}

// save makes a report durable, which is to be handed over.
func (s *state) save(file []byte) error {
	if err := durable.WriteFile(s.fsys, ".", waitingFile, file); err != nil {
		return fmt.Errorf("cannot store a report: %w", err)
	}
	return nil
}

// handed notes that the waiting report was handed over.
func (s *state) handed() error {
	err := s.fsys.Rename(waitingFile, handedFile)
	if err == nil {
		err = s.fsys.Sync(".")
	}
	if err != nil {
		return fmt.Errorf("cannot note that a report was handed over: %w", err)
	}
	return nil
}
