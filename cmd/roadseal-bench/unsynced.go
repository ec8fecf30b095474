package main

import (
	"errors"

	"github.com/spf13/cobra"

	"roadseal/cmd/internal/bench/unsynced"
	"roadseal/cmd/internal/cli"
)

func unsyncedCommand() *cobra.Command {
	return &cobra.Command{
		Use:   unsynced.Verb + " -- PROGRAM [ARGUMENTS]",
		Short: "run a program whose syncs do nothing, for measurements only",
		Long: `unsynced becomes the program, whose fsync, fdatasync and syncfs succeed and do
nothing. What it writes can be lost with the power.`,
		Example: `  roadseal-bench unsynced -- roadseal-collector serve`,
		Hidden:  true,
		RunE: func(_ *cobra.Command, program []string) error {
			if len(program) == 0 {
				return cli.WithCode(cli.Usage, errors.New("expected a program after --"))
			}
			return unsynced.Exec(program)
		},
	}
}
