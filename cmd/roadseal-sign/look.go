package main

import (
	"fmt"
	"os"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"roadseal/cmd/internal/cli"
	"roadseal/cmd/internal/release"
)

func verifyCommand() *cobra.Command {
	var now instant
	var image, director, device string
	var soon time.Duration
	var asJSON bool
	cmd := &cobra.Command{
		Use:   "verify REPO [--device DEVICE]",
		Short: "check a whole repository with the vehicle's own code",
		Long: `verify checks a whole repository with the vehicle's own code: from the roots that
vehicles were built with, through all that followed, to each image that is listed
and the match of both repositories for each ECU that is ordered for. It prints
what counts now with its expiry, and what each kind of unit would be offered.

The roots are the repository's own first ones, unless others are named: take
those that went into the vehicles. --device looks as one vehicle does.

--json prints {documents: [{file, version, expires}], offers: [{device, ecu,
hardware, path, length, sha256, release_counter}], files}; files is the number of
images that were read.

Exit status: 0 vehicles take it, 1 they refuse it, 2 wrong command line, 3 they
take it and something expires within --soon.`,
		Example: `  roadseal-sign firmware verify releases
  roadseal-sign firmware verify releases --image-root built/image.root.json \
    --director-root built/director.root.json --device Zm9vYmFyZm9vYmFyZm9vYg
  roadseal-sign firmware verify --json releases`,
		Args:              exactly("REPO"),
		ValidArgsFunction: anyFiles,
		RunE: func(cmd *cobra.Command, args []string) error {
			if soon < 0 {
				return cli.Usagef("--soon %s: expected a time that is not negative", soon)
			}
			if device != "" {
				if err := release.CheckDevice(device); err != nil {
					return cli.Usagef("--device: %w", err)
				}
			}
			roots, err := rootsFrom(args[0], image, director)
			if err != nil {
				return err
			}
			result, err := release.Verify(cmd.Context(), args[0], roots, device, now.present())
			if printErr := printResult(cmd, result, asJSON); printErr != nil {
				return printErr
			}
			if err != nil {
				return err
			}
			if late := result.Soon(now.present().Add(soon)); len(late) > 0 {
				var names []string
				for _, d := range late {
					names = append(names, d.File)
				}
				return cli.WithCode(cli.Found, fmt.Errorf("within %s these expire: %s", soon, strings.Join(names, ", ")))
			}
			return nil
		},
	}
	f := cmd.Flags()
	f.StringVar(&image, "image-root", "", "begin at the root `FILE` of the image repository")
	cli.Files(cmd, "image-root", "json")
	f.StringVar(&director, "director-root", "", "begin at the root `FILE` of the director")
	cli.Files(cmd, "director-root", "json")
	f.StringVar(&device, "device", "", "look as the vehicle with the id `DEVICE` does")
	cli.Values(cmd, "device")
	f.DurationVar(&soon, "soon", 12*time.Hour, "report what expires within `TIME`, such as 72h")
	at(cmd, &now)
	jsonFlag(cmd, &asJSON)
	return cmd
}

func rootsFrom(dir, image, director string) (release.Roots, error) {
	roots, err := release.FirstRoots(dir)
	if err != nil && (image == "" || director == "") {
		return roots, fmt.Errorf("%s: %w; hint: a repository has it once something is published", dir, err)
	}
	for _, f := range []struct {
		name string
		into *[]byte
	}{{image, &roots.Image}, {director, &roots.Director}} {
		if f.name == "" {
			continue
		}
		if *f.into, err = os.ReadFile(f.name); err != nil {
			return roots, fmt.Errorf("cannot read the root: %w", err)
		}
	}
	return roots, nil
}

func printResult(cmd *cobra.Command, r *release.Result, asJSON bool) error {
	if asJSON {
		return cli.PrintJSON(cmd.OutOrStdout(), r)
	}
	var b strings.Builder
	for _, d := range r.Documents {
		fmt.Fprintf(&b, "%s  version %d, expires %s\n", d.File, d.Version, d.Expires.Format(time.RFC3339))
	}
	for _, o := range r.Offers {
		whom := "the fleet"
		if o.Device != "" {
			whom = o.Device
		}
		fmt.Fprintf(&b, "%s, ECU %s, hardware %s: %s, %d bytes, release counter %d\n", whom, o.ECU, o.Hardware, o.Path, o.Length, o.Counter)
	}
	_, err := fmt.Fprint(cmd.OutOrStdout(), b.String())
	return err
}

type inspected struct {
	File     string            `json:"file"`
	Type     string            `json:"type"`
	Version  int64             `json:"version"`
	Digest   string            `json:"digest"`
	SignedBy []string          `json:"signed_by"`
	Says     map[string]string `json:"says"`
}

func inspectCommand() *cobra.Command {
	var asJSON bool
	cmd := &cobra.Command{
		Use:   "inspect FILE...",
		Short: "print what documents say",
		Long: `inspect prints what documents say, staged or published, and whose signatures they
carry. It judges nothing: verify does. People have names if the plan lies above.

--json prints a list of {file, type, version, digest, signed_by, says}; digest is
the SHA-256 of what is signed, says holds what the document says, by name.

Exit status: 0 done, 1 a file is no document, 2 wrong command line.`,
		Example: `  roadseal-sign firmware inspect releases/image/1.root.json
  roadseal-sign firmware inspect --json releases/director/timestamp.json`,
		Args:              some("documents"),
		ValidArgsFunction: anyFiles,
		RunE: func(cmd *cobra.Command, args []string) error {
			all := []inspected{}
			for _, name := range args {
				d, err := release.ReadFile(name)
				if err != nil {
					return err
				}
				who := release.NamesNear(name).Who
				i := inspected{name, d.Type, d.Version, strings.ReplaceAll(release.Fingerprint(d), " ", ""), release.SignedBy(d, who), map[string]string{}}
				text := fmt.Sprintf("%s: %s\n  digest %s\n  signed by %s\n", name, d.Title(), release.Fingerprint(d), strings.Join(i.SignedBy, ", "))
				for _, f := range release.Facts(d, who) {
					i.Says[f.What] = f.Says
					text += fmt.Sprintf("  %s: %s\n", f.What, f.Says)
				}
				all = append(all, i)
				if asJSON {
					continue
				}
				if _, err := fmt.Fprint(cmd.OutOrStdout(), text); err != nil {
					return err
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

func diffCommand() *cobra.Command {
	var asJSON bool
	cmd := &cobra.Command{
		Use:   "diff BEFORE AFTER",
		Short: "print what changes between two documents or repositories",
		Long: `diff prints what changes between two versions of a document, or between what
counts in two repositories: lines with + are new, with - gone, with ~ changed.

--json prints a list of {folder, role, before, after, lines}; before and after
are versions.

Exit status: 0 done, 1 failed, 2 wrong command line.`,
		Example: `  roadseal-sign firmware diff releases/image/1.targets.json \
    releases/image/2.targets.json
  roadseal-sign firmware diff --json before releases`,
		Args:              exactly("BEFORE", "AFTER"),
		ValidArgsFunction: anyFiles,
		RunE: func(cmd *cobra.Command, args []string) error {
			all, err := differences(args[0], args[1])
			if err != nil {
				return err
			}
			if asJSON {
				return cli.PrintJSON(cmd.OutOrStdout(), all)
			}
			for _, d := range all {
				text := fmt.Sprintf("%s version %d, before %d\n", strings.TrimSpace(d.Folder+" "+d.Role), d.After, d.Before)
				for _, l := range d.Lines {
					text += "  " + l + "\n"
				}
				if _, err := fmt.Fprint(cmd.OutOrStdout(), text); err != nil {
					return err
				}
			}
			return nil
		},
	}
	jsonFlag(cmd, &asJSON)
	return cmd
}

func differences(before, after string) ([]release.Difference, error) {
	st, err := os.Stat(after)
	if err == nil && st.IsDir() {
		return release.Compare(before, after)
	}
	a, err := release.ReadFile(before)
	if err != nil {
		return nil, err
	}
	b, err := release.ReadFile(after)
	if err != nil {
		return nil, err
	}
	return []release.Difference{{Folder: b.Folder, Role: b.Role, Before: a.Version, After: b.Version, Lines: release.Diff(a, b, release.NamesNear(after).Who)}}, nil
}
