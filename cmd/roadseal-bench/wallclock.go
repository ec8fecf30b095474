package main

import (
	"errors"

	"github.com/spf13/cobra"

	"roadseal/cmd/internal/bench/wallclock"
	"roadseal/cmd/internal/cli"
)

func wallclockCommand() *cobra.Command {
	var file string
	var parent int
	c := &cobra.Command{
		Use:   wallclock.Verb + " --offset-file FILE -- PROGRAM [ARGUMENTS]",
		Short: "run a program with a false wall clock, for tests only",
		Long: `wallclock becomes the program, whose wall clock is ahead of the true one by what
the file says, such as -87600h. The file may be replaced at any time. The
monotonic clock stays true. It works for static Go programs.`,
		Example: `  echo 87600h > offset
  roadseal-bench wallclock --offset-file offset -- roadseal-agent run`,
		Hidden: true,
		RunE: func(_ *cobra.Command, program []string) error {
			switch {
			case parent != 0:
				return wallclock.Keep(file, parent)
			case len(program) == 0:
				return cli.WithCode(cli.Usage, errors.New("expected a program after --"))
			}
			return wallclock.Exec(file, program)
		},
	}
	c.Flags().StringVar(&file, wallclock.OffsetFlag, "", "take the offset from `FILE`")
	c.Flags().IntVar(&parent, wallclock.KeepFlag, 0, "keep the clock of the parent process, whose id is `PID` (started by this command itself)")
	cli.Required(c, wallclock.OffsetFlag)
	return c
}
