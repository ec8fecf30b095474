package main

import (
	"errors"
	"fmt"
	"os"

	"github.com/spf13/cobra"

	"roadseal/cmd/internal/cli"
	"roadseal/cmd/internal/release"
	"roadseal/crypto/signed/sign"
)

// A job is one run of a verb that changes something, and its transcript.
type job struct {
	cmd         *cobra.Command
	at, expires instant
	file        string // of the transcript, "" = none
	*release.Transcript
}

// flags adds those that all such verbs have; expires if it issues documents.
func (j *job) flags(cmd *cobra.Command, expires bool) {
	j.cmd = cmd
	at(cmd, &j.at)
	if expires {
		cmd.Flags().Var(&j.expires, "expires", "let documents expire at `TIME` instead of when the plan says")
		cli.Values(cmd, "expires")
	}
	cmd.Flags().StringVar(&j.file, "transcript", "", "write what was done to the new file `FILE`, to be printed and signed by hand")
	cli.Files(cmd, "transcript")
}

// begin starts the transcript.
func (j *job) begin() error {
	if j.file != "" {
		if _, err := os.Lstat(j.file); err == nil {
			return cli.Usagef("--transcript %s: the file exists; a transcript is never replaced", j.file)
		}
	}
	j.Transcript = &release.Transcript{Program: cli.BuildVersion(j.cmd.Root().Name()).String(), Verb: j.cmd.CommandPath(), At: j.at.present()}
	return nil
}

func (j *job) stamp() release.Stamp { return release.Stamp{At: j.At, Expires: j.expires.Time} }

// end writes the transcript, whether the work was done or not.
func (j *job) end(err error) error {
	if j.file == "" || j.Transcript == nil {
		return err
	}
	if err != nil {
		j.Did("refused or failed: %v", err)
	}
	return errors.Join(err, release.WriteFile(j.file, j.Text()))
}

// run does the work of a verb between begin and end.
func (j *job) run(work func() error) error {
	if err := j.begin(); err != nil {
		return err
	}
	err := j.end(work())
	if _, ok := errors.AsType[*release.PlanError](err); ok {
		return cli.Config(err)
	}
	return err
}

// keys opens private files and notes whose they are.
func (j *job) keys(h *holder) (signers []sign.Signer, err error) {
	held, err := h.open(j.cmd)
	for _, k := range held {
		for _, s := range k.signers {
			j.Key(k.person, s.Key().Scheme, s.Key().ID())
			signers = append(signers, s)
		}
	}
	return signers, err
}

// printf writes data for stdout.
func (j *job) printf(format string, args ...any) error {
	_, err := fmt.Fprintf(j.cmd.OutOrStdout(), format, args...)
	return err
}

// change opens a repository, changes it and closes it.
func change(dir string, f func(*release.Repo) error) error {
	r, err := release.Open(dir)
	if err != nil {
		return err
	}
	return errors.Join(f(r), r.Close())
}

// rehearse is change, of a copy if dry.
func rehearse(dry bool, dir string, f func(*release.Repo) error) error {
	if !dry {
		return change(dir, f)
	}
	return release.Rehearse(dir, func(copied string) error { return change(copied, f) })
}

// staged shows and notes documents that wait for signatures.
func (j *job) staged(docs []*release.Doc, who func(string) string) error {
	for _, d := range docs {
		if err := j.show(d, who); err != nil {
			return err
		}
		j.Out(d.Name, d.Bytes())
		j.Did("staged %s, digest %s", d.Title(), release.Fingerprint(d))
	}
	return nil
}

// show prints a document and what it changes.
func (j *job) show(d *release.Doc, who func(string) string) error {
	if err := j.printf("%s: %s\n  digest %s\n", d.Name, d.Title(), release.Fingerprint(d)); err != nil {
		return err
	}
	before := release.Before(d)
	if before != nil {
		if err := j.printf("  what changes since version %d:\n", before.Version); err != nil {
			return err
		}
	}
	for _, line := range release.Diff(before, d, who) {
		if err := j.printf("  %s\n", line); err != nil {
			return err
		}
	}
	return nil
}
