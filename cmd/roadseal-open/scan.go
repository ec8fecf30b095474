package main

import (
	"errors"
	"fmt"

	"github.com/spf13/cobra"

	"roadseal/cmd/internal/trip"
)

// A job opens the objects behind the arguments of a verb.
type job struct {
	cmd      *cobra.Command
	con      *console
	args     []string
	keyFiles []string
	// hash reads files whole that are for others, to tell them from damaged ones.
	hash bool
}

// run calls visit for each object that is opened. A file that cannot be opened
// costs a line on stderr and, at the end, status 1; finish is called before
// that, with what there is. It is an error if no object is for the keys.
func (j job) run(visit func(*trip.Entry) error, finish func(trip.Counts) error) error {
	keys, err := readKeys(j.cmd, j.con, j.keyFiles)
	if err != nil {
		return err
	}
	files, missing := trip.Find(j.args, j.con.fault)
	j.con.begin(files)
	scan := trip.Scan{Keys: keys, Hash: j.hash, Fault: j.con.fault, Done: j.con.done}
	counts, err := scan.Each(j.cmd.Context(), files, visit)
	j.con.end()
	switch {
	case j.cmd.Context().Err() != nil:
		return errors.New("stopped")
	case err != nil:
		return err
	}
	counts.Faults += missing
	if counts.Opened == 0 {
		return nothing(counts, len(files))
	}
	if err := finish(counts); err != nil {
		return err
	}
	if counts.Faults > 0 {
		return fmt.Errorf("%s could not be opened", several(counts.Faults, "file"))
	}
	return nil
}

// nothing says why nothing was opened.
func nothing(c trip.Counts, files int) error {
	switch {
	case files == 0 && c.Faults == 0:
		return errors.New("there are no files; hint: a store holds pool/<class>/<name>")
	case c.Others == 0:
		return fmt.Errorf("nothing opened: %s could not be opened", several(c.Faults, "file"))
	}
	rest := ""
	if c.Faults > 0 {
		rest = fmt.Sprintf(", and %s could not be opened", several(c.Faults, "file"))
	}
	return fmt.Errorf("nothing opened: %s sealed to other keys%s; hint: compare \"roadseal-open recipient\" with the readers in the vehicle's configuration",
		are(c.Others, "object"), rest)
}

// summary lists what was not opened though nothing is wrong with it.
func summary(c trip.Counts) string {
	s := ""
	if c.Others > 0 {
		s += fmt.Sprintf("; %s for other keys", are(c.Others, "object"))
	}
	if c.Twice > 0 {
		s += fmt.Sprintf("; %s a second copy", are(c.Twice, "file"))
	}
	return s
}

func several(n int, what string) string {
	if n == 1 {
		return "1 " + what
	}
	return fmt.Sprintf("%d %ss", n, what)
}

func are(n int, what string) string {
	if n == 1 {
		return "1 " + what + " is"
	}
	return fmt.Sprintf("%d %ss are", n, what)
}
