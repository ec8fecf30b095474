package main

import (
	"context"
	"errors"
	"fmt"
	"strings"
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
old: receiver, cameras, spool, uplink, firmware, and each problem in words.
Nothing in it is private.

--json prints {version, bench, agent, pid, boot, started, updated, certificate,
gnss, cameras, ignition, spool, uplink, firmware, stopped, problems}; bench,
gnss, firmware and stopped are left out where they do not apply, problems is a
list of sentences. firmware has checked (trusted time of the last look for an
update), attempt (result, attack, versions of the metadata of director and
image, offered), installed, reports and report_waiting; the first three are left
out where there is none.

Exit status: 0 the agent runs, 1 failed, 2 wrong command line or configuration,
3 the agent does not run or hangs, or its status may not be read.`,
		Example: `  roadseal-agent status -c agent.toml
  roadseal-agent status --run run
  roadseal-agent status -c agent.toml --json | jq .problems`,
		Args: cli.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			if dir == "" {
				conf, err := load(cmd)
				if err != nil {
					return err
				}
				dir = conf.Device.Run
			}
			s, err := fresh(cmd.Context(), dir)
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
			if len(s.Late) > 0 {
				return cli.WithCode(cli.Found, fmt.Errorf("parts of the agent hang: %s", strings.Join(s.Late, ", ")))
			}
			if stale(s) {
				return cli.WithCode(cli.Found, fmt.Errorf("the agent does not run or hangs: by this unit's clock its status is %s old", time.Since(s.Updated).Round(time.Second)))
			}
			return nil
		},
	}
	c.Flags().BoolVar(&asJSON, "json", false, "print JSON")
	c.Flags().StringVar(&dir, "run", "", "the agent's run directory `DIR` (default: [device] run of the configuration)")
	cli.Folder(c, "run")
	return c
}

// stale reports whether a status is not that of a running agent, by the wall
// clock, which is all that two processes share.
func stale(s *health.Status) bool {
	age := time.Since(s.Updated)
	return !s.Stopped && (age > health.Stale || age < -health.Stale)
}

// A running agent writes its status more often than patience.
const (
	patience  = 5 * time.Second
	lookEvery = 200 * time.Millisecond
)

// fresh reads the status. One that looks old, or of the future, may be so
// because the wall clock has just been set: the next one tells.
func fresh(ctx context.Context, dir string) (*health.Status, error) {
	ctx, cancel := context.WithTimeout(ctx, patience)
	defer cancel()
	tick := time.NewTicker(lookEvery)
	defer tick.Stop()
	for {
		s, err := health.Read(dir)
		if err != nil || !stale(s) || ctx.Err() != nil {
			return s, err
		}
		select {
		case <-ctx.Done():
		case <-tick.C:
		}
	}
}
