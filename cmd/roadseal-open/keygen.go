package main

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"time"

	"github.com/spf13/cobra"

	"roadseal/cmd/internal/cli"
	"roadseal/cmd/internal/trip"
)

func keygenCommand() *cobra.Command {
	var out string
	cmd := &cobra.Command{
		Use:   "keygen [-o FILE]",
		Short: "make a secret key",
		Long: `keygen makes a secret key: a file that age reads too, as age-keygen -pq makes it.

With -o the key file is written with mode 0600, never over another file, and the
public key is printed. Without -o the key file itself is printed. Who loses the
file loses all that was sealed to it: keep a copy where no machine can reach it.

Exit status: 0 done, 1 failed, 2 wrong command line.`,
		Example: `  roadseal-open keygen -o owner.key`,
		Args:    cli.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			file, public, err := trip.NewKey(time.Now())
			if err != nil {
				return err
			}
			con := newConsole(cmd)
			if out == "" {
				con.say("public key: %s", public)
				_, err = io.WriteString(cmd.OutOrStdout(), file)
				return err
			}
			err = trip.WriteFile(out, false, func(w io.Writer) error {
				_, err := io.WriteString(w, file)
				return err
			})
			if err != nil {
				return outputError(out, err, "a key file is never replaced; choose another name")
			}
			con.say("made %s; in the vehicle's configuration: to = [\"%.16s…\"], the whole line below", trip.Printable(out), public)
			_, err = fmt.Fprintln(cmd.OutOrStdout(), public)
			return err
		},
	}
	cmd.Flags().StringVarP(&out, "out", "o", "", "write the key to `FILE` and print the public key")
	cli.Files(cmd, "out")
	return cmd
}

// outputError says what is wrong with the file that a verb was to write.
func outputError(name string, err error, ifExists string) error {
	if errors.Is(err, fs.ErrExist) {
		return fmt.Errorf("%s exists; hint: %s", trip.Printable(name), ifExists)
	}
	if errors.Is(err, fs.ErrNotExist) {
		return fmt.Errorf("cannot write %s: its folder is not there", trip.Printable(name))
	}
	if p, ok := errors.AsType[*fs.PathError](err); ok {
		err = p.Err
	}
	return fmt.Errorf("cannot write %s: %w", trip.Printable(name), err)
}

func recipientCommand() *cobra.Command {
	var keyFiles []string
	var asJSON bool
	cmd := &cobra.Command{
		Use:   "recipient -i KEY...",
		Short: "print the public keys that belong to key files",
		Long: `recipient prints the public keys that belong to key files: what stands in
to = […] of the vehicle's configuration. One line for each key.

--json prints a list of strings.

Exit status: 0 done, 1 a key file cannot be used, 2 wrong command line.`,
		Example: `  roadseal-open recipient -i owner.key`,
		Args:    cli.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			keys, err := readKeys(cmd, newConsole(cmd), keyFiles)
			if err != nil {
				return err
			}
			if asJSON {
				return cli.PrintJSON(cmd.OutOrStdout(), keys.Recipients())
			}
			for _, r := range keys.Recipients() {
				if _, err := fmt.Fprintln(cmd.OutOrStdout(), r); err != nil {
					return err
				}
			}
			return nil
		},
	}
	identityFlag(cmd, &keyFiles)
	jsonFlag(cmd, &asJSON)
	return cmd
}

func readKeys(cmd *cobra.Command, con *console, paths []string) (trip.Keys, error) {
	return trip.ReadKeys(paths, cmd.InOrStdin(), func(path, problem string) {
		con.say("%s: %s", trip.Printable(path), problem)
	})
}
