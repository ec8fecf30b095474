package main

import (
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"github.com/spf13/cobra"

	"roadseal/cmd/internal/cli"
	"roadseal/cmd/internal/release"
)

func keyCommand() *cobra.Command {
	cmd := &cobra.Command{
		Use:   "key",
		Short: "make and show the keys of those who sign",
		Long: `key makes and shows the keys of those who sign: people, and machines that sign
timestamps.

Exit status: 0 done, 1 failed, 2 wrong command line.`,
		Example: `  roadseal-sign key new anna
  roadseal-sign key show anna.pub`,
	}
	cmd.AddCommand(keyNewCommand(), keyShowCommand())
	return cmd
}

const hybrid = "hybrid"

func keyNewCommand() *cobra.Command {
	kind, out := hybrid, "."
	var passphrases []string
	cmd := &cobra.Command{
		Use:   "new NAME",
		Short: "make a key, guarded by a passphrase",
		Long: `new makes the keys of a person or machine: NAME.key, private, and NAME.pub, for
those who write the plan. A hybrid key is a pair, Ed25519 and ML-DSA-65; both
sign whatever is signed.

The private file is an age file that a passphrase opens, with mode 0600; it is
text and can be printed. The passphrase is asked for twice, or taken from a file,
never from the command line. It needs 15 characters, 8 of them different. Nothing
is ever replaced.

Exit status: 0 done, 1 failed, 2 wrong command line.`,
		Example:           `  roadseal-sign key new anna`,
		Args:              exactly("NAME"),
		ValidArgsFunction: cobra.NoFileCompletions,
		RunE: func(cmd *cobra.Command, args []string) error {
			kinds := []string{kind}
			if kind == hybrid {
				kinds = release.Kinds
			}
			if !slices.Contains(append([]string{hybrid}, release.Kinds...), kind) {
				return cli.Usagef("unknown kind %q; expected %s or %s", kind, hybrid, strings.Join(release.Kinds, " or "))
			}
			return newKey(cmd, args[0], kinds, out, passphrases)
		},
	}
	cmd.Flags().StringVar(&kind, "kind", hybrid, "make a key of `KIND`: hybrid, ed25519 or ml-dsa-65")
	cli.Values(cmd, "kind", append([]string{hybrid}, release.Kinds...)...)
	cmd.Flags().StringVarP(&out, "out", "o", ".", "write both files into the folder `DIR`")
	cli.Folder(cmd, "out")
	passphraseFlag(cmd, &passphrases)
	return cmd
}

func newKey(cmd *cobra.Command, name string, kinds []string, dir string, passphrases []string) error {
	if err := release.CheckName(name); err != nil {
		return cli.Usagef("NAME: %w", err)
	}
	if len(passphrases) > 1 {
		return cli.Usagef("expected one --passphrase-file")
	}
	file := filepath.Join(dir, name+".key")
	public := filepath.Join(dir, name+".pub")
	for _, f := range []string{file, public} {
		if err := mustBeNew(f); err != nil {
			return err
		}
	}
	var passphrase string
	var err error
	if len(passphrases) == 1 {
		passphrase, err = passphraseFrom(cmd, passphrases[0])
	} else {
		passphrase, err = askNew(name)
	}
	if err != nil {
		return err
	}
	private, err := release.NewPrivate(name, kinds)
	if err != nil {
		return err
	}
	sealed, err := private.Seal(passphrase, release.WorkFactor)
	if err != nil {
		return err
	}
	// What would not open is found now, not when it is needed.
	if private, err = release.OpenPrivate(sealed, passphrase); err != nil {
		return fmt.Errorf("cannot open what was just made: %w", err)
	}
	person, err := private.Person()
	if err != nil {
		return err
	}
	text, err := person.Public()
	if err != nil {
		return err
	}
	if err := release.WriteFile(file, sealed); err != nil {
		return err
	}
	if err := release.WriteFile(public, text); err != nil {
		return err
	}
	if err := os.Chmod(public, 0o644); err != nil {
		return err
	}
	say(cmd, "made %s, private, and %s, for those who write the plan", file, public)
	return printPerson(cmd, person)
}

type shownKey struct {
	Name   string `json:"name"`
	Scheme string `json:"scheme"`
	KeyID  string `json:"keyid"`
}

func keyShowCommand() *cobra.Command {
	var asJSON bool
	cmd := &cobra.Command{
		Use:   "show PUB...",
		Short: "print whose keys public files hold",
		Long: `show prints whose keys public files hold, and their ids, in groups: to be read to
each other by telephone before a plan is believed.

--json prints a list of {name, scheme, keyid}.

Exit status: 0 done, 1 a file is no public file, or was changed, 2 wrong command
line.`,
		Example: `  roadseal-sign key show anna.pub
  roadseal-sign key show --json anna.pub`,
		Args:              some("public files"),
		ValidArgsFunction: anyFiles,
		RunE: func(cmd *cobra.Command, args []string) error {
			all := []shownKey{}
			for _, name := range args {
				person, err := release.ReadPerson(name)
				if err != nil {
					return err
				}
				if !asJSON {
					if err := printPerson(cmd, person); err != nil {
						return err
					}
				}
				for _, k := range person.Keys {
					all = append(all, shownKey{person.Name, k.Scheme, k.ID()})
				}
			}
			if asJSON {
				return cli.PrintJSON(cmd.OutOrStdout(), all)
			}
			return nil
		},
	}
	jsonFlag(cmd, &asJSON)
	return cmd
}

func printPerson(cmd *cobra.Command, p release.Person) error {
	for _, k := range p.Keys {
		if _, err := fmt.Fprintf(cmd.OutOrStdout(), "%s  %-9s  %s\n", p.Name, k.Scheme, release.Groups(k.ID())); err != nil {
			return err
		}
	}
	return nil
}
