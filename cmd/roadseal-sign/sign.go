package main

import (
	"errors"
	"fmt"

	"github.com/spf13/cobra"

	"roadseal/cmd/internal/cli"
	"roadseal/cmd/internal/release"
	"roadseal/crypto/signed/sign"
)

func signCommand() *cobra.Command {
	var j job
	var h holder
	var yes bool
	cmd := &cobra.Command{
		Use:   "sign FILE|FOLDER... --key KEY",
		Short: "look at staged documents and sign them",
		Long: `sign shows what staged documents say and change, with the digest of each, asks,
and writes your signatures into the files. FOLDER is a repository or a copy of
its folder staged, from which it takes all documents that ask for your signature.

It needs nothing but these files: copy REPO/staged to a machine of your own, sign
there, and give the copy to "publish". With more of the repository around it
(plan, keys, published documents) people have names, and only what changes is
shown. Compare the digests with the others by telephone.

Exit status: 0 done, 1 failed or not consented, 2 wrong command line.`,
		Example: `  roadseal-sign firmware sign releases --key anna.key
  roadseal-sign firmware sign releases/staged/image/targets.json --key anna.key \
    --transcript anna.txt`,
		Args:              some("staged documents or a folder of them"),
		ValidArgsFunction: anyFiles,
		RunE: func(_ *cobra.Command, args []string) error {
			return j.run(func() error { return j.sign(args, &h, yes) })
		},
	}
	keyFlags(cmd, &h)
	cli.Required(cmd, "key")
	cmd.Flags().BoolVar(&yes, "yes", false, "do not ask: somebody has read it before")
	j.flags(cmd, false)
	return cmd
}

func (j *job) sign(paths []string, h *holder, yes bool) error {
	names, err := release.Find(paths)
	if err != nil {
		return err
	}
	var docs []*release.Doc
	for _, name := range names {
		d, err := release.ReadFile(name)
		if err != nil {
			return err
		}
		j.In(name, d.Bytes())
		docs = append(docs, d)
	}
	signers, err := j.keys(h)
	if err != nil {
		return err
	}
	var asking []*release.Doc
	for _, d := range docs {
		if asks, known := release.Asks(d, signers); known && !asks {
			say(j.cmd, "%s does not ask for this key: left as it is", d.Name)
			continue
		}
		if err := j.show(d, release.NamesNear(d.Name).Who); err != nil {
			return err
		}
		asking = append(asking, d)
	}
	if len(asking) == 0 {
		return errors.New("nothing here asks for this key")
	}
	if !yes {
		if err := confirm(fmt.Sprintf("Sign %d of them?", len(asking))); err != nil {
			return err
		}
	}
	return j.signAll(asking, signers)
}

func (j *job) signAll(docs []*release.Doc, signers []sign.Signer) error {
	for _, d := range docs {
		n, err := d.SignFile(signers)
		if err != nil {
			return err
		}
		if n == 0 {
			say(j.cmd, "%s has these signatures already", d.Name)
			continue
		}
		j.Out(d.Name, d.Bytes())
		j.Did("signed %s, digest %s", d.Title(), release.Fingerprint(d))
		say(j.cmd, "signed %s", d.Name)
	}
	return nil
}
