// Package cli is what the thin mains in cmd share: exit statuses, how an error
// is printed, the context that ends with a signal, version and JSON output.
// The vehicle's agent links it, so it holds nothing that only a desk needs.
//
// Data goes to stdout, messages go to stderr and begin with the name of the
// program. SetUsageTemplate, SetHelpTemplate and SetVersionTemplate of cobra
// are never called: each links text/template, 3 MB on the vehicle.
//
// Side: any.
package cli

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"os/signal"
	"syscall"

	"github.com/spf13/cobra"
	"golang.org/x/sys/unix"
)

// Exit statuses of every program of roadseal.
const (
	Done   = 0 // it did what was asked
	Failed = 1 // it could not
	Usage  = 2 // the command line or the configuration is wrong; nothing was started
	Found  = 3 // it ran well and found something that needs a person
)

// An ExitError carries the exit status that an error leads to. An error that
// carries none leads to Failed.
type ExitError struct {
	Code int
	Err  error
}

// Error returns the text of the error alone: the status shows as the status.
func (e *ExitError) Error() string { return e.Err.Error() }

// Unwrap returns the error.
func (e *ExitError) Unwrap() error { return e.Err }

// WithCode gives an error an exit status; nil stays nil.
func WithCode(code int, err error) error {
	if err == nil {
		return nil
	}
	return &ExitError{code, err}
}

// Config marks an error of the configuration: status Usage.
func Config(err error) error { return WithCode(Usage, err) }

// Usagef makes an error about the command line: status Usage, and Main adds
// where the help is.
func Usagef(format string, a ...any) error {
	return &usageError{fmt.Errorf(format, a...)}
}

type usageError struct{ error }

func (e *usageError) Unwrap() error { return e.error }

// Main runs a program and returns its exit status: root with the process's
// arguments, under a context that ends at SIGINT or SIGTERM. A second signal
// kills. It prints the error, if there is one.
func Main(root *cobra.Command) int {
	ctx, stop := signal.NotifyContext(context.Background(), syscall.SIGINT, syscall.SIGTERM)
	defer stop()
	defer context.AfterFunc(ctx, stop)()
	return run(ctx, root)
}

// run is Main without the signals.
func run(ctx context.Context, root *cobra.Command) int {
	root.SilenceUsage, root.SilenceErrors = true, true
	root.SetFlagErrorFunc(flagError)
	started := false
	watch(root, &started)
	cmd, err := root.ExecuteContextC(ctx)
	if err == nil && !started && !cmd.Runnable() && !asked(cmd) {
		return Usage // a verb is missing: cobra has printed the help
	}
	if err == nil {
		return Done
	}
	// What fails before a verb begins is the command line: an unknown verb,
	// an unknown flag, a wrong number of arguments.
	var usage *usageError
	if !started || errors.As(err, &usage) {
		printf(root.ErrOrStderr(), "%s: %v\nrun \"%s --help\" for how to use it\n", root.Name(), err, cmd.CommandPath())
		return Usage
	}
	printf(root.ErrOrStderr(), "%s: %v\n", root.Name(), err)
	var exit *ExitError
	if errors.As(err, &exit) {
		return exit.Code
	}
	return Failed
}

// watch notes in started when a verb begins, with all flags that it demands.
func watch(cmd *cobra.Command, started *bool) {
	if runE := cmd.RunE; runE != nil {
		cmd.PreRunE = demand
		cmd.RunE = func(c *cobra.Command, args []string) error {
			*started = true
			return runE(c, args)
		}
	}
	for _, c := range cmd.Commands() {
		watch(c, started)
	}
}

func asked(cmd *cobra.Command) bool {
	help := cmd.Flags().Lookup("help")
	return help != nil && help.Changed
}

// printf writes a message; a stderr that is gone is nothing to report to.
func printf(w io.Writer, format string, a ...any) { _, _ = fmt.Fprintf(w, format, a...) }

// PrintJSON writes v as indented JSON and a line end.
func PrintJSON(w io.Writer, v any) error {
	e := json.NewEncoder(w)
	e.SetEscapeHTML(false)
	e.SetIndent("", "  ")
	return e.Encode(v)
}

// IsTerminal reports whether a person is likely to look at f: progress bars
// are for them alone.
func IsTerminal(f *os.File) bool {
	_, err := unix.IoctlGetTermios(int(f.Fd()), unix.TCGETS)
	return err == nil
}
