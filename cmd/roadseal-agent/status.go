package main

import (
	"errors"
	"fmt"
	"time"

	"github.com/spf13/cobra"

	"roadseal/agent/health"
	"roadseal/cmd/internal/cli"
)

func statusCommand() *cobra.Command {
	var asJSON bool
	var dir string
	c := &cobra.Command{
		Use:   "status",
		Short: "say how the running agent is, and what keeps data from being delivered",
		Long: `status prints what the running agent last said of itself, at most a few seconds
old: receiver, cameras, spool, uplink, and each problem in words. Nothing in it
is private.

Exit status 0 if the agent runs, 3 if it does not or hangs.`,
		Example: `  roadseal-agent status
  roadseal-agent status --json | jq .problems`,
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			if dir == "" {
				conf, err := load(cmd)
				if err != nil {
					return err
				}
				dir = conf.Device.Run
			}
			s, err := health.Read(dir)
			if err != nil {
				return cli.WithCode(cli.Found, err)
			}
			if asJSON {
				err = cli.PrintJSON(cmd.OutOrStdout(), s)
			} else {
				err = s.Text(cmd.OutOrStdout(), time.Now())
			}
			if err != nil {
				return err
			}
			if s.Stopped {
				return cli.WithCode(cli.Found, errors.New("the agent does not run: it was stopped"))
			}
			if age := time.Since(s.Updated); age > health.Stale {
				return cli.WithCode(cli.Found, fmt.Errorf("the agent does not run or hangs: its status is %s old", age.Round(time.Second)))
			}
			return nil
		},
	}
	c.Flags().BoolVar(&asJSON, "json", false, "print the status file as it is")
	c.Flags().StringVar(&dir, "run", "", "the agent's run directory `DIR` (default: [device] run of the configuration)")
	return c
}
