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
whole.

--json prints a list of {path, size, sha256, named, stanzas, plain, problem};
plain is the size inside, problem is there if the file is not in order.

Exit status: 0 all are in order, 1 some could not be read, 2 wrong command line,
3 some are not in order.`,
		Example: `  roadseal-open inspect store
  roadseal-open inspect --json store/pool/1/*`,
		Args:              some,
		ValidArgsFunction: anyFiles,
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
			switch {
			case err != nil:
				return err
			case bad > 0 && faults > 0:
				con.say("%s not in order", are(bad, "file"))
			case bad > 0:
				return cli.WithCode(cli.Found, fmt.Errorf("%s not in order", are(bad, "file")))
			}
			if faults > 0 {
				return fmt.Errorf("%s could not be read", several(faults, "file"))
			}
			return nil
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
