package main

import (
	"context"
	"fmt"
	"time"

	"github.com/spf13/cobra"

	"roadseal/agent"
	"roadseal/cmd/internal/cli"
)

func checkCommand() *cobra.Command {
	var offline, asJSON bool
	c := &cobra.Command{
		Use:   "check",
		Short: "test configuration, keys, folders, ports and the broker without recording anything",
		Long: `check reads the configuration and tries what the agent will need, as the user who
calls it: certificate and key, directories, the receiver's port and who else has
it, the recorders' folders, the roots and the record of installed software that
[firmware] needs, the server at its url, and the broker (it connects and
subscribes, unless an agent is running). --offline leaves both servers alone. It
looks for what may carry plaintext to flash (swap, core dumps) or loses it (FAT,
tmpfs), and writes nothing that stays.

Each line begins with ok, warn (it works, with a consequence to know of) or BAD
(it will not work).

--json prints a list of {level, subject, text}.

Exit status: 0 nothing is BAD, 1 check itself failed, 2 wrong command line or
configuration, 3 something is BAD.`,
		Example: `  roadseal-agent check -c agent.toml
  roadseal-agent check -c agent.toml --offline --json`,
		Args: cli.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			conf, err := load(cmd)
			if err != nil {
				return err
			}
			day, err := time.Parse(time.DateOnly, built)
			if err != nil {
				return err
			}
			ctx, stop := context.WithTimeout(cmd.Context(), time.Minute)
			defer stop()
			findings := agent.Check(ctx, agent.CheckOptions{Config: conf, Build: day, Offline: offline})
			bad := 0
			for _, f := range findings {
				if f.Level == agent.Bad {
					bad++
				}
				if !asJSON {
					fmt.Fprintf(cmd.OutOrStdout(), "%-5s %-12s %s\n", f.Level, f.Subject, f.Text)
				}
			}
			if asJSON {
				if err := cli.PrintJSON(cmd.OutOrStdout(), findings); err != nil {
					return err
				}
			}
			if bad > 0 {
				return cli.WithCode(cli.Found, fmt.Errorf("%d of %d checks found something to mend", bad, len(findings)))
			}
			return nil
		},
	}
	c.Flags().BoolVar(&offline, "offline", false, "do not connect to the broker or the server of [firmware]")
	c.Flags().BoolVar(&asJSON, "json", false, "print JSON")
	return c
}
