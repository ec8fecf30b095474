// Command roadseal-sign is the release desk: it makes the keys of those who
// sign, and stages, signs and publishes what vehicles believe. It talks to no
// network.
//
// Side: desk.
package main

import (
	"fmt"
	"os"
	"time"

	"github.com/spf13/cobra"
	"golang.org/x/sys/unix"

	"roadseal/cmd/internal/cli"
)

func main() { os.Exit(run()) }

func run() int {
	// Keys are in this process's memory: no core file.
	if err := unix.Setrlimit(unix.RLIMIT_CORE, &unix.Rlimit{}); err != nil {
		fmt.Fprintf(os.Stderr, "roadseal-sign: cannot switch core files off: %v\n", err)
		return cli.Failed
	}
	return cli.Main(rootCommand())
}

func rootCommand() *cobra.Command {
	root := &cobra.Command{
		Use:   "roadseal-sign",
		Short: "make keys, and sign and publish what vehicles run",
		Long: `roadseal-sign makes the keys of those who sign, and stages, signs and publishes
the metadata by which vehicles know what to run. It talks to no network.

REPO is the folder of a repository in the making. "firmware init" begins one by a
plan that says who signs what; the verbs stage documents in REPO/staged; each
person signs them on a machine of their own; "firmware publish" moves them into
place once enough have, and only if the vehicle's own code takes the outcome.
Data goes to stdout, messages to stderr.

Exit status: 0 done, 1 it failed or was refused, 2 the command line or the plan
is wrong, and nothing was done, 3 firmware verify found what expires soon, or
firmware report tells of an attack.`,
		Example: `  roadseal-sign key new anna
  roadseal-sign firmware init releases --plan plan.toml
  roadseal-sign firmware sign releases --key anna.key
  roadseal-sign firmware publish releases --key desk.key`,
	}
	return cli.Program(root, keyCommand(), firmwareCommand())
}

func firmwareCommand() *cobra.Command {
	cmd := &cobra.Command{
		Use:   "firmware",
		Short: "stage, sign, publish and verify releases of firmware",
		Long: `firmware keeps two repositories of metadata as Uptane asks for: the image
repository, signed by people, says what was released; the director's says what a
vehicle or the fleet is to install. A vehicle takes what both agree on.

Exit status: 0 done, 1 failed or refused, 2 wrong command line or plan, 3 verify
found what expires soon, or report tells of an attack.`,
		Example: `  roadseal-sign firmware verify releases
  roadseal-sign firmware publish --help`,
	}
	cmd.AddCommand(initCommand(), roleCommand(), imageCommand(), orderCommand(), rotateCommand(), signCommand(), publishCommand(),
		timestampCommand(), verifyCommand(), inspectCommand(), diffCommand(), reportCommand())
	return cmd
}

// say prints a message. A stderr that is gone is nothing to report to.
func say(cmd *cobra.Command, format string, args ...any) {
	_, _ = fmt.Fprintf(cmd.ErrOrStderr(), "roadseal-sign: "+format+"\n", args...)
}

// The flags and arguments that several verbs share.

// instant is a flag for a time.
type instant struct{ time.Time }

func (i *instant) String() string {
	if i.IsZero() {
		return ""
	}
	return i.Format(time.RFC3339)
}

func (i *instant) Set(text string) error {
	t, err := time.Parse(time.RFC3339, text)
	if err != nil || t.Nanosecond() != 0 {
		return fmt.Errorf("expected a time such as 2026-11-24T12:00:00Z")
	}
	i.Time = t.UTC()
	return nil
}

func (*instant) Type() string { return "time" }

// at adds --at: the verb takes that time for the present.
func at(cmd *cobra.Command, now *instant) {
	cmd.Flags().Var(now, "at", "take `TIME`, such as 2026-11-24T12:00:00Z, for the present time")
	cli.Values(cmd, "at")
}

// present is the time of --at, or of the clock.
func (i *instant) present() time.Time {
	if i.IsZero() {
		return time.Now().UTC().Truncate(time.Second)
	}
	return i.Time
}

func jsonFlag(cmd *cobra.Command, asJSON *bool) {
	cmd.Flags().BoolVar(asJSON, "json", false, "print JSON")
}

// exactly takes arguments with these names.
func exactly(names ...string) cobra.PositionalArgs {
	return func(_ *cobra.Command, args []string) error {
		if len(args) < len(names) {
			return cli.Usagef("expected %s", names[len(args)])
		}
		if len(args) > len(names) {
			return cli.Usagef("expected nothing after %s; got %q", names[len(names)-1], args[len(names)])
		}
		return nil
	}
}

// some takes one argument or more.
func some(name string) cobra.PositionalArgs {
	return func(_ *cobra.Command, args []string) error {
		if len(args) == 0 {
			return cli.Usagef("expected %s", name)
		}
		return nil
	}
}

// anyFiles lets the shell complete the arguments by files and folders.
func anyFiles(*cobra.Command, []string, string) ([]string, cobra.ShellCompDirective) {
	return nil, cobra.ShellCompDirectiveDefault
}
