package main

import (
	"errors"
	"fmt"

	"github.com/spf13/cobra"

	"roadseal/cmd/internal/cli"
	"roadseal/cmd/internal/trip"
)

func inspectCommand() *cobra.Command {
	var asJSON bool
	cmd := &cobra.Command{
		Use:   "inspect STORE|FILE...",
		Short: "say what anyone can see of sealed objects, without a key",
		Long: `inspect says what anyone can see of sealed objects, without a key: whether a
file is one, its number of stanzas (readers and dummies, nobody can tell which),
its size sealed and inside, and whether its SHA-256 is its name. Files are read
whole.`,
		Example: `  roadseal-open inspect store
  roadseal-open inspect --json store/pool/1/*`,
		Args: some,
		RunE: func(cmd *cobra.Command, args []string) error {
			con := newConsole(cmd)
			files, faults := trip.Find(args, con.fault)
			if len(files)+faults == 0 {
				return errors.New("there are no files; hint: a store holds pool/<class>/<name>")
			}
			seen, bad, err := inspect(cmd, con, files, asJSON)
			if err == nil && asJSON {
				err = cli.PrintJSON(cmd.OutOrStdout(), seen)
			}
			if err == nil && bad+faults > 0 {
				err = fmt.Errorf("%s not in order", are(bad+faults, "file"))
			}
			return err
		},
	}
	jsonFlag(cmd, &asJSON)
	return cmd
}

func inspect(cmd *cobra.Command, con *console, files []trip.File, asJSON bool) (seen []trip.Outside, bad int, err error) {
	con.begin(files)
	defer con.end()
	for _, f := range files {
		if cmd.Context().Err() != nil {
			return nil, 0, errors.New("stopped")
		}
		o := trip.Inspect(f)
		if o.Problem != "" {
			bad++
			con.fault(f.Path, errors.New(o.Problem))
		} else if !asJSON {
			if _, err := fmt.Fprintln(cmd.OutOrStdout(), describe(o)); err != nil {
				return nil, 0, err
			}
		}
		seen = append(seen, o)
		con.done(f)
	}
	return seen, bad, nil
}

func describe(o trip.Outside) string {
	name := "its SHA-256 is its name"
	if !o.Named {
		name = "SHA-256 " + o.Object.String()
	}
	return fmt.Sprintf("%s: sealed object, %s, %d bytes, %d inside, %s", trip.Printable(o.Path), several(o.Stanzas, "stanza"), o.Size, o.Plain, name)
}
