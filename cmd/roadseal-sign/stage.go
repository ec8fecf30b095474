package main

import (
	"github.com/spf13/cobra"

	"roadseal/cmd/internal/cli"
	"roadseal/cmd/internal/release"
	"roadseal/crypto/signed"
)

func planFlag(cmd *cobra.Command, plan *string, text string) {
	cmd.Flags().StringVar(plan, "plan", "", text)
	cli.Files(cmd, "plan", "toml")
}

func initCommand() *cobra.Command {
	var j job
	var plan string
	cmd := &cobra.Command{
		Use:   "init REPO --plan PLAN",
		Short: "begin a repository by a plan that says who signs what",
		Long: `init begins a repository by a plan: it stages the first roots of both sides and
empty targets of images, which then wait for signatures in REPO/staged. The
public file NAME.pub of everyone whom the plan names lies beside the plan; plan
and public files are copied into REPO. docs/release.md explains the plan.

It prints each staged document: its digest, and all that it says.

Exit status: 0 done, 1 failed, 2 wrong command line or plan.`,
		Example:           `  roadseal-sign firmware init releases --plan plan.toml`,
		Args:              exactly("REPO"),
		ValidArgsFunction: anyFiles,
		RunE: func(_ *cobra.Command, args []string) error {
			return j.run(func() error {
				if err := j.InFile(plan); err != nil {
					return cli.Config(err)
				}
				docs, err := release.Init(args[0], plan, j.stamp())
				if err != nil {
					return err
				}
				return j.staged(docs, release.NamesNear(args[0]).Who)
			})
		},
	}
	planFlag(cmd, &plan, "read the plan from `PLAN`")
	cli.Required(cmd, "plan")
	j.flags(cmd, true)
	return cmd
}

func roleCommand() *cobra.Command {
	var j job
	var plan string
	cmd := &cobra.Command{
		Use:   "role REPO [--plan PLAN]",
		Short: "stage the delegations that the plan names",
		Long: `role stages targets of the image repository that delegate as the plan says, in
[image.delegated.NAME]: which images and hardware a role speaks for, and whose
signatures it needs. A role that is new gets a first, empty document; one that
the plan no longer has is no longer asked.

--plan makes another plan that of the repository first. Without it the plan in
REPO counts, changed by hand.

Exit status: 0 done, 1 failed, 2 wrong command line or plan.`,
		Example:           `  roadseal-sign firmware role releases --plan plan.toml`,
		Args:              exactly("REPO"),
		ValidArgsFunction: anyFiles,
		RunE: func(_ *cobra.Command, args []string) error {
			return j.run(func() error {
				return change(args[0], func(r *release.Repo) error {
					if err := j.adopt(r, plan); err != nil {
						return err
					}
					docs, err := r.Delegate(j.stamp())
					if err != nil {
						return err
					}
					return j.staged(docs, r.Plan.Who)
				})
			})
		},
	}
	planFlag(cmd, &plan, "make `PLAN` the repository's plan")
	j.flags(cmd, true)
	return cmd
}

// adopt makes a plan that of the repository, if there is one.
func (j *job) adopt(r *release.Repo, plan string) error {
	if plan == "" {
		return nil
	}
	if err := j.InFile(plan); err != nil {
		return cli.Config(err)
	}
	return r.Adopt(plan)
}

func rotateCommand() *cobra.Command {
	var j job
	var plan, renew string
	var dry bool
	cmd := &cobra.Command{
		Use:   "rotate REPO [--plan PLAN] [--renew FOLDER/ROLE]",
		Short: "stage roots in which keys or thresholds were replaced",
		Long: `rotate stages a new root where the plan says something else than the one that is
published: other people, other keys of the same people, other thresholds. It
needs the signatures of those whom the old root names and of those whom the new
one does. Documents whose signers are replaced are staged anew; snapshots and
timestamps follow when it is published.

After a theft of the keys of snapshots or timestamps, replace them in the plan:
vehicles then forget what these keys have signed, however high its version.

--renew stages the next version of one document, which says the same for longer,
such as image/root or director/targets. --dry-run shows what would be staged.

Exit status: 0 done, 1 failed, 2 wrong command line or plan.`,
		Example: `  roadseal-sign firmware rotate releases --plan plan.toml --dry-run
  roadseal-sign firmware rotate releases --plan plan.toml
  roadseal-sign firmware rotate releases --renew image/root`,
		Args:              exactly("REPO"),
		ValidArgsFunction: anyFiles,
		RunE: func(cmd *cobra.Command, args []string) error {
			return j.run(func() error {
				return rehearse(dry, args[0], func(r *release.Repo) error {
					if err := j.adopt(r, plan); err != nil {
						return err
					}
					docs, err := rotated(r, renew, j.stamp())
					if err != nil {
						return err
					}
					if len(docs) == 0 {
						say(cmd, "the roots say what the plan does: nothing is staged")
					}
					return j.staged(docs, r.Plan.Who)
				})
			})
		},
	}
	planFlag(cmd, &plan, "make `PLAN` the repository's plan")
	cmd.Flags().StringVar(&renew, "renew", "", "stage the next version of `FOLDER/ROLE` as it is")
	cli.Values(cmd, "renew", "image/root", "image/targets", "director/root", "director/targets")
	cmd.Flags().BoolVar(&dry, "dry-run", false, "show what would be staged, and change nothing")
	j.flags(cmd, true)
	return cmd
}

func rotated(r *release.Repo, renew string, s release.Stamp) ([]*release.Doc, error) {
	if renew == "" {
		return r.Rotate(s)
	}
	d, err := r.Renew(renew, s)
	if err != nil {
		return nil, err
	}
	return []*release.Doc{d}, nil
}

func imageCommand() *cobra.Command {
	var j job
	a := release.Addition{Role: signed.Targets}
	cmd := &cobra.Command{
		Use:   "image REPO FILE --path PATH --hardware KIND --counter N",
		Short: "stage the release of an image",
		Long: `image copies an image into the repository and stages targets that list it: its
length and SHA-256, the kinds of hardware that it is for, its release counter (a
unit refuses one below that of what it has), and the software identification
numbers of UN R156. A path is released once.

Exit status: 0 done, 1 failed, 2 wrong command line.`,
		Example: `  roadseal-sign firmware image releases agent-1.4.0.img --path tcu/1.4.0.img \
    --hardware tcu-1 --counter 4 --rxswin "R79 1.4"`,
		Args:              exactly("REPO", "FILE"),
		ValidArgsFunction: anyFiles,
		RunE: func(_ *cobra.Command, args []string) error {
			a.File = args[1]
			if a.Counter < 0 {
				return cli.Usagef("--counter %d: expected a number that is not negative", a.Counter)
			}
			return j.run(func() error {
				if err := j.InFile(a.File); err != nil {
					return err
				}
				return change(args[0], func(r *release.Repo) error {
					d, err := r.Add(a, j.stamp())
					if err != nil {
						return err
					}
					return j.staged([]*release.Doc{d}, r.Plan.Who)
				})
			})
		},
	}
	f := cmd.Flags()
	f.StringVar(&a.Path, "path", "", "call the image `PATH` from now on, such as tcu/1.4.0.img")
	cli.Required(cmd, "path")
	cli.Values(cmd, "path")
	f.StringArrayVar(&a.Hardware, "hardware", nil, "it is for units of `KIND`; may be repeated")
	cli.Required(cmd, "hardware")
	cli.Values(cmd, "hardware")
	f.Int64Var(&a.Counter, "counter", 0, "its release counter is `N`")
	cli.Required(cmd, "counter")
	f.StringArrayVar(&a.RXSWIN, "rxswin", nil, "it brings the software identification `RXSWIN`, such as \"R79 1.4\"; may be repeated")
	cli.Values(cmd, "rxswin")
	f.StringVar(&a.Role, "role", signed.Targets, "the role `ROLE` speaks for it")
	cli.Values(cmd, "role")
	j.flags(cmd, true)
	return cmd
}

func orderCommand() *cobra.Command {
	var j job
	var o release.Order
	cmd := &cobra.Command{
		Use:   "order REPO [PATH] [--device DEVICE] [--ecu ECU --hardware KIND]",
		Short: "stage what the fleet or one vehicle is to install",
		Long: `order stages targets of the director: the image PATH for the ECU of the whole
fleet, or of one vehicle. The order takes the place of the one before. An order
for the fleet is for all of one kind: a vehicle without that ECU, or with other
hardware, refuses it, and needs orders of its own.

A vehicle that has had an order of its own takes none for the fleet from then on:
renew its folder for as long as it is to be updated. docs/release.md says how to
take it back to the fleet. Without PATH, one vehicle is to install nothing.

Exit status: 0 done, 1 failed, 2 wrong command line.`,
		Example: `  roadseal-sign firmware order releases tcu/1.4.0.img --ecu tcu \
    --hardware tcu-1 --campaign 2026-11
  roadseal-sign firmware order releases tcu/1.4.0.img --ecu tcu \
    --hardware tcu-1 --device Zm9vYmFyZm9vYmFyZm9vYg
  roadseal-sign firmware order releases --device Zm9vYmFyZm9vYmFyZm9vYg`,
		Args: func(_ *cobra.Command, args []string) error {
			if len(args) < 1 || len(args) > 2 {
				return cli.Usagef("expected REPO, and the PATH of an image")
			}
			if len(args) == 1 && o.Device == "" {
				return cli.Usagef("expected the PATH of an image, or --device DEVICE: an empty order is for one vehicle, the fleet would refuse it")
			}
			if o.Device != "" {
				if err := release.CheckDevice(o.Device); err != nil {
					return cli.Usagef("--device: %w", err)
				}
			}
			if len(args) == 2 && (o.ECU == "" || o.Hardware == "") {
				return cli.Usagef("expected --ecu ECU and --hardware KIND with an image")
			}
			return nil
		},
		ValidArgsFunction: anyFiles,
		RunE: func(_ *cobra.Command, args []string) error {
			if len(args) == 2 {
				o.Path = args[1]
			}
			return j.run(func() error {
				return change(args[0], func(r *release.Repo) error {
					d, err := r.Order(o, j.stamp())
					if err != nil {
						return err
					}
					return j.staged([]*release.Doc{d}, r.Plan.Who)
				})
			})
		},
	}
	for _, f := range []struct {
		into       *string
		name, text string
	}{
		{&o.Device, "device", "order for the vehicle with the id `DEVICE` alone"},
		{&o.ECU, "ecu", "order for the ECU with the identifier `ECU`"},
		{&o.Hardware, "hardware", "the ECU is of `KIND`"},
		{&o.Campaign, "campaign", "note that it belongs to `CAMPAIGN`"},
	} {
		cmd.Flags().StringVar(f.into, f.name, "", f.text)
		cli.Values(cmd, f.name)
	}
	j.flags(cmd, true)
	return cmd
}
