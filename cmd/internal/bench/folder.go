package bench

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
)

// folder is where a run leaves what it made.
type folder string

func (f folder) path(name string) string { return filepath.Join(string(f), name) }

// What stays in the folder.
func (f folder) store() string  { return f.path("store") }
func (f folder) opened() string { return f.path("opened") }
func (f folder) key() string    { return f.path("key.txt") } // age key file of the reader

// What stays of a run with a release desk.
func (f folder) releases() string { return f.path("releases") } // the repository
func (f folder) deskKey() string  { return f.path("desk.txt") } // age key file of who reads reports
func (f folder) ca() string       { return f.path("ca.pem") }   // of the vehicle, which vouches for who signs them

// What only a run that failed leaves, or one that was asked to keep it.
func (f folder) work() string       { return f.path("work") }
func (f folder) pki() string        { return f.path("work/pki") }
func (f folder) recorder() string   { return f.path("work/recorder") } // the camera's folder
func (f folder) outside() string    { return f.path("work/outside") }  // where hostile links lead
func (f folder) state() string      { return f.path("work/state") }
func (f folder) run() string        { return f.path("work/run") }
func (f folder) logs() string       { return f.path("work/logs") }
func (f folder) capture() string    { return f.path("work/capture") }
func (f folder) receiptKey() string { return f.path("work/receipt.key") }
func (f folder) serial() string     { return f.path("work/gnss") }    // link to the pseudo terminal
func (f folder) desk() string       { return f.path("work/desk") }    // keys of those who sign
func (f folder) served() string     { return f.path("work/served") }  // what vehicles get of the repository
func (f folder) earlier() string    { return f.path("work/earlier") } // the same before the newest release

// marker tells a folder that a run made from any other: only that may be
// emptied.
const marker = ".roadseal-bench"

const markerText = "roadseal-bench made this folder and empties it when it runs again.\n"

// prepare makes the folder of a run with all its parts.
func prepare(dir string) (folder, error) {
	dir, err := Clear(dir)
	if err != nil {
		return "", err
	}
	f := folder(dir)
	for _, sub := range []string{f.store(), f.opened(), f.work(), f.pki(), f.recorder(), f.state(), f.run(), f.logs(), f.capture()} {
		if err := os.MkdirAll(sub, 0o700); err != nil {
			return "", fmt.Errorf("cannot make the output folder: %w", err)
		}
	}
	return f, nil
}

// Clear makes the output folder of a run and returns its absolute path. One that
// is there already must be empty, or of an earlier run; then it is emptied.
func Clear(dir string) (string, error) {
	dir, err := filepath.Abs(dir)
	if err != nil {
		return "", err
	}
	old, err := os.ReadDir(dir)
	switch {
	case errors.Is(err, fs.ErrNotExist):
	case err != nil:
		return "", fmt.Errorf("cannot use the output folder: %w", err)
	case len(old) > 0:
		if _, err := os.Stat(filepath.Join(dir, marker)); err != nil {
			return "", fmt.Errorf("%s is not empty and was not made by roadseal-bench; name an empty or a new folder with --out", dir)
		}
	}
	for _, e := range old {
		if err := os.RemoveAll(filepath.Join(dir, e.Name())); err != nil {
			return "", fmt.Errorf("cannot empty the output folder: %w", err)
		}
	}
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return "", fmt.Errorf("cannot make the output folder: %w", err)
	}
	return dir, os.WriteFile(filepath.Join(dir, marker), []byte(markerText), 0o644)
}
