// Command roadseal-collector takes sealed objects from the fleet's broker and
// stores them. It holds ciphertext and a receipt key; it cannot open anything.
package main

import (
	"os"

	"github.com/spf13/cobra"

	"roadseal/cmd/internal/cli"
	"roadseal/crypto/envelope"
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
		Example: `  roadseal-collector example > collector.toml      # then edit it
  roadseal-collector keygen receipt.key            # prints what vehicles pin
  roadseal-collector serve --check -c collector.toml
  roadseal-collector serve -c collector.toml
  roadseal-collector verify /var/lib/roadseal-store`,
	}
	c.AddCommand(serveCommand(), lsCommand(), verifyCommand(), keygenCommand(), exampleCommand(), cli.VersionCommand())
	return c
}

func exampleCommand() *cobra.Command {
	return &cobra.Command{
		Use:   "example",
		Short: "print a commented configuration that names every key",
		Args:  cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			_, err := cmd.OutOrStdout().Write([]byte(example))
			return err
		},
	}
}

// one takes exactly one argument.
func one(what string) cobra.PositionalArgs {
	return func(_ *cobra.Command, args []string) error {
		if len(args) != 1 {
			return cli.Usagef("expected one argument, %s; got %d", what, len(args))
		}
		return nil
	}
}

// stanzasFlag is --stanzas of the verbs that read a store.
func stanzasFlag(cmd *cobra.Command, n *int) {
	cmd.Flags().IntVar(n, "stanzas", envelope.DefaultSlots, "stanzas that every object must have, [collector] stanzas of the configuration")
}
