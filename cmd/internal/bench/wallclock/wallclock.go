// Package wallclock gives a program a false wall clock, which may jump at any
// moment, while its monotonic clock stays true. The program needs no switch for
// it, and runs as it is.
//
// A Go program asks the vDSO for the time, without a system call. Exec therefore
// installs a seccomp filter and becomes the program; a second process, the
// keeper, hides the vDSO from the program at its start and from then on answers
// its calls of clock_gettime(CLOCK_REALTIME) in the kernel's stead (seccomp user
// notification). All other calls run as ever, and process id, signals and exit
// status are the program's own.
//
// It works for static Go programs that make no children, on linux/amd64 from
// Linux 5.19.
//
// Side: any.
package wallclock

import (
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"time"
)

// Verb is the command of roadseal-bench that calls Exec, and Keep if there is
// KeepFlag and a process id. The file of the offset follows OffsetFlag.
const (
	Verb       = "wallclock"
	OffsetFlag = "offset-file"
	KeepFlag   = "keep"
)

// Command begins the command line of a program whose wall clock a file sets:
// the program and its arguments follow. bench is the path of roadseal-bench.
func Command(bench, file string) []string {
	return []string{bench, Verb, "--" + OffsetFlag, file, "--"}
}

// Set sets how far the wall clock of all programs that follow the file is ahead
// of the true one. The next reading shows it.
func Set(file string, offset time.Duration) error {
	return replace(file, offset.String())
}

// Seen counts the offsets that the program has met, each other than the one
// before: 0 until it has read the clock, then 1 and one more with each jump.
func Seen(file string) (int, error) {
	b, err := os.ReadFile(seenFile(file))
	if os.IsNotExist(err) {
		return 0, nil
	}
	if err != nil {
		return 0, err
	}
	return strconv.Atoi(string(b))
}

func seenFile(file string) string { return file + ".seen" }

// read returns the offset that a file sets.
func read(file string) (time.Duration, error) {
	b, err := os.ReadFile(file)
	if err != nil {
		return 0, fmt.Errorf("cannot read the offset of the wall clock: %w", err)
	}
	d, err := time.ParseDuration(strings.TrimSpace(string(b)))
	if err != nil {
		return 0, fmt.Errorf("cannot read the offset of the wall clock: %s: expected a duration such as -87600h", filepath.Base(file))
	}
	return d, nil
}

// replace changes a file so that a reader never meets a part of it.
func replace(file, text string) error {
	if err := os.WriteFile(file+".new", []byte(text), 0o600); err != nil {
		return err
	}
	return os.Rename(file+".new", file)
}
