// Command roadseal-agent runs on a car's telematics or dashcam unit. It reads
// GPS over serial and camera segments from the recorder's folder, seals them
// to their readers and uploads them. It cannot open what it sealed.
package main

import (
	"os"

	"github.com/spf13/cobra"

	"roadseal/agent/config"
	"roadseal/cmd/internal/cli"
)

func main() { os.Exit(cli.Main(root())) }

// DefaultConfig is where the configuration stands on a unit.
const defaultConfig = "/etc/roadseal/agent.toml"

func root() *cobra.Command {
	c := &cobra.Command{
		Use:   "roadseal-agent",
		Short: "seal what the vehicle records and upload it",
		Long: `roadseal-agent seals positions and camera segments on the vehicle, to the public
keys of their readers, and uploads them over mutually authenticated MQTT. The
unit holds no key that opens what it sealed.

Exit status: 0 done, 1 failed, 2 wrong command line or configuration (nothing
was started), 3 check or status found something that needs a person.`,
		Example: `  roadseal-agent example > agent.toml   # then edit it
  roadseal-agent check -c agent.toml
  roadseal-agent run -c agent.toml
  roadseal-agent status -c agent.toml`,
	}
	c.PersistentFlags().StringP("config", "c", defaultConfig, "configuration `FILE`")
	cli.Files(c, "config", "toml")
	return cli.Program(c, runCommand(), checkCommand(), statusCommand(), segmentsCommand(), exampleCommand())
}

// load reads the configuration that --config names.
func load(cmd *cobra.Command) (*config.Config, error) {
	path, err := cmd.Flags().GetString("config")
	if err != nil {
		return nil, err
	}
	c, err := config.Load(path)
	return c, cli.Config(err)
}

func exampleCommand() *cobra.Command {
	return &cobra.Command{
		Use:   "example",
		Short: "print a commented configuration that names every key",
		Long: `example prints a commented configuration that names every key. The keys of
readers and collectors in it are to be replaced: check refuses it until then.

Exit status: 0 done, 1 failed, 2 wrong command line.`,
		Example: `  roadseal-agent example > agent.toml`,
		Args:    cli.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			_, err := cmd.OutOrStdout().Write([]byte(config.Example))
			return err
		},
	}
}
