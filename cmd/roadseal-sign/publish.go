package main

import (
	"errors"
	"fmt"
	"strings"

	"github.com/spf13/cobra"

	"roadseal/cmd/internal/cli"
	"roadseal/cmd/internal/release"
)

func publishCommand() *cobra.Command {
	var j job
	var h holder
	var p release.Publishing
	var dry bool
	cmd := &cobra.Command{
		Use:   "publish REPO [COPY...] [--key KEY]...",
		Short: "publish what is staged, if enough have signed",
		Long: `publish takes over the signatures of copies that were signed elsewhere (files, or
folders of them), and makes the snapshots and timestamps that follow, signed with
the keys given. It refuses if signatures are missing, and says whose. Then the
vehicle's own code judges the outcome: as a unit that was just built, and as one
that has taken everything that is published now. Only then files are moved into
place, each whole, older versions stay, and timestamps come last.

A run that was cut short is carried on by the next. If snapshots are signed by
people too, they are staged like everything else.

Exit status: 0 done, 1 refused or failed, 2 wrong command line or plan.`,
		Example: `  roadseal-sign firmware publish releases --key desk.key --dry-run
  roadseal-sign firmware publish releases --key desk.key
  roadseal-sign firmware publish releases anna/staged ben/staged --key desk.key`,
		Args:              some("REPO"),
		ValidArgsFunction: anyFiles,
		RunE: func(_ *cobra.Command, args []string) error {
			if p.Only != "" && p.Only != release.Image && p.Only != release.Director {
				return cli.Usagef("--only %q: expected %s or %s", p.Only, release.Image, release.Director)
			}
			return j.run(func() error {
				copies, err := release.Find(args[1:])
				if err != nil {
					return err
				}
				if p.Signers, err = j.keys(&h); err != nil {
					return err
				}
				p.Stamp = j.stamp()
				return rehearse(dry, args[0], func(r *release.Repo) error { return j.publish(r, p, copies, dry) })
			})
		},
	}
	keyFlags(cmd, &h)
	cmd.Flags().StringVar(&p.Only, "only", "", "publish one `SIDE`: image or director")
	cli.Values(cmd, "only", release.Image, release.Director)
	cmd.Flags().BoolVar(&p.Renew, "renew", false, "make snapshots anew even if they would list the same")
	cmd.Flags().BoolVar(&dry, "dry-run", false, "do all but publish, and change nothing")
	j.flags(cmd, true)
	return cmd
}

func (j *job) publish(r *release.Repo, p release.Publishing, copies []string, dry bool) error {
	for _, name := range copies {
		c, err := release.ReadFile(name)
		if err != nil {
			return err
		}
		j.In(name, c.Bytes())
		d, n, err := r.Merge(name, c.Bytes())
		if err != nil {
			return err
		}
		if n > 0 {
			j.Did("took %d signatures for %s from %s", n, d.Name, name)
		}
	}
	c, err := r.Prepare(j.cmd.Context(), p)
	if err != nil {
		return err
	}
	if !dry {
		if err := r.Publish(c); err != nil {
			return err
		}
	}
	return j.published(r, c, map[bool]string{true: "would publish", false: "published"}[dry])
}

// published prints and notes what is in place.
func (j *job) published(r *release.Repo, c *release.Change, did string) error {
	for _, d := range c.Docs {
		by := strings.Join(release.SignedBy(d, r.Plan.Who), ", ")
		if err := j.printf("%s  expires %s, signed by %s\n", d.File(), d.Expires.Format("2006-01-02"), by); err != nil {
			return err
		}
		j.Out(d.File(), d.Bytes())
		j.Did("%s %s, signed by %s, digest %s", did, d.File(), by, release.Fingerprint(d))
	}
	for _, name := range c.Images {
		if err := j.printf("%s\n", name); err != nil {
			return err
		}
		j.Did("%s %s", did, name)
	}
	say(j.cmd, "%s %s; a vehicle's own checks took it", did, several(len(c.Docs), "document"))
	return nil
}

func several(n int, what string) string {
	if n == 1 {
		return "1 " + what
	}
	return fmt.Sprintf("%d %ss", n, what)
}

func timestampCommand() *cobra.Command {
	var j job
	var h holder
	cmd := &cobra.Command{
		Use:   "timestamp REPO --key KEY",
		Short: "renew the timestamps, for a machine that does it every day",
		Long: `timestamp renews the timestamps of all folders, each of which names the snapshot
that the one before named. It can do nothing else: its key need not be worth more
than that, so it may lie on a machine that is always on. What is staged stays. A
folder of orders that have expired is left as it is, and named; all others get
theirs.

Exit status: 0 done, 1 refused or failed, or something was left, 2 wrong command
line.`,
		Example: `  roadseal-sign firmware timestamp releases --key online.key \
    --passphrase-file online.pass`,
		Args:              exactly("REPO"),
		ValidArgsFunction: anyFiles,
		RunE: func(_ *cobra.Command, args []string) error {
			return j.run(func() error {
				signers, err := j.keys(&h)
				if err != nil {
					return err
				}
				return change(args[0], func(r *release.Repo) error {
					c, err := r.Timestamp(j.cmd.Context(), release.Publishing{Stamp: j.stamp(), Signers: signers})
					if err != nil {
						return err
					}
					if err := r.Publish(c); err != nil {
						return err
					}
					return errors.Join(append(c.Left, j.published(r, c, "published"))...)
				})
			})
		},
	}
	keyFlags(cmd, &h)
	cli.Required(cmd, "key")
	j.flags(cmd, true)
	return cmd
}
