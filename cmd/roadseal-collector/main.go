// Command roadseal-collector takes sealed objects from the fleet's broker and
// stores them. It holds ciphertext and a receipt key; it cannot open anything.
package main

import (
	"fmt"
	"os"

	"github.com/spf13/cobra"

	"roadseal/cmd/internal/cli"
)

func main() { os.Exit(cli.Main(root())) }

func root() *cobra.Command {
	c := &cobra.Command{
		Use:   "roadseal-collector",
		Short: "store what the vehicles seal",
		Long: `roadseal-collector takes sealed objects from an MQTT broker, stores them, and
signs a receipt for each that is on durable storage: the only thing on which a
vehicle lets go of its copy. It holds no key that opens anything.

Exit status: 0 done, 1 failed, 2 wrong command line or configuration (nothing
was started), 3 objects or files that should not be were found.`,
		Example: `  roadseal-collector example > collector.toml   # then edit it
  roadseal-collector keygen -o receipt.key      # prints what vehicles pin
  roadseal-collector serve --check -c collector.toml
  roadseal-collector serve -c collector.toml
  roadseal-collector verify store`,
	}
	return cli.Program(c, serveCommand(), lsCommand(), verifyCommand(), keygenCommand(), exampleCommand())
}

func exampleCommand() *cobra.Command {
	return &cobra.Command{
		Use:   "example",
		Short: "print a commented configuration that names every key",
		Long: `example prints a commented configuration that names every key, with the values
that hold if a key is left out where there are such.

Exit status: 0 done, 1 failed, 2 wrong command line.`,
		Example: `  roadseal-collector example > collector.toml`,
		Args:    cli.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			_, err := cmd.OutOrStdout().Write([]byte(example))
			return err
		},
	}
}

// oneStore takes exactly one argument.
func oneStore(_ *cobra.Command, args []string) error {
	if len(args) != 1 {
		return cli.Usagef("expected one argument, the folder of a store; got %d", len(args))
	}
	return nil
}

// storeFolders lets the shell complete the argument.
func storeFolders(*cobra.Command, []string, string) ([]string, cobra.ShellCompDirective) {
	return nil, cobra.ShellCompDirectiveFilterDirs
}

// say prints a message. A stderr that is gone is nothing to report to.
func say(cmd *cobra.Command, format string, a ...any) {
	_, _ = fmt.Fprintf(cmd.ErrOrStderr(), cmd.Root().Name()+": "+format+"\n", a...)
}
