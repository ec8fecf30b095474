package main

import (
	"crypto/x509"
	"fmt"
	"io"
	"os"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"roadseal/cmd/internal/cli"
	"roadseal/firmware/report"
)

func reportCommand() *cobra.Command {
	var now instant
	var ca string
	var asJSON bool
	cmd := &cobra.Command{
		Use:   "report FILE --ca CA",
		Short: "verify and print the signed report of a vehicle",
		Long: `report verifies the signed report of a vehicle, as roadseal-open has opened it:
its form, the signature of the device, and that a CA of the fleet vouches for the
device's certificate, at the time of the report or that of --at. It prints what
is installed, what came of the last attempt to update, and what has changed.

--json prints the report as firmware/FORMAT.md specifies it.

Exit status: 0 done, 1 the report is not to be believed, 2 wrong command line, 3
it is, and tells of an attack.`,
		Example:           `  roadseal-sign firmware report report.json --ca ca.pem`,
		Args:              exactly("FILE"),
		ValidArgsFunction: anyFiles,
		RunE: func(cmd *cobra.Command, args []string) error {
			r, err := readReport(args[0], ca, now.Time)
			if err != nil {
				return err
			}
			if asJSON {
				err = cli.PrintJSON(cmd.OutOrStdout(), r)
			} else {
				_, err = io.WriteString(cmd.OutOrStdout(), reportText(r))
			}
			if err == nil && r.Attempt.Attack != "" {
				err = cli.WithCode(cli.Found, fmt.Errorf("%s: the vehicle refused an update: %s", args[0], r.Attempt.Attack))
			}
			return err
		},
	}
	cmd.Flags().StringVar(&ca, "ca", "", "believe devices for which a CA in `FILE` vouches (PEM)")
	cli.Required(cmd, "ca")
	cli.Files(cmd, "ca", "pem")
	at(cmd, &now)
	jsonFlag(cmd, &asJSON)
	return cmd
}

func readReport(name, ca string, at time.Time) (*report.Report, error) {
	pem, err := os.ReadFile(ca)
	if err != nil {
		return nil, fmt.Errorf("cannot read the CA: %w", err)
	}
	pool := x509.NewCertPool()
	if !pool.AppendCertsFromPEM(pem) {
		return nil, fmt.Errorf("cannot use the CA %s: expected a PEM block CERTIFICATE", ca)
	}
	f, err := os.Open(name)
	if err != nil {
		return nil, fmt.Errorf("cannot read the report: %w", err)
	}
	defer f.Close()
	data, err := io.ReadAll(io.LimitReader(f, report.MaxSize+1))
	if err != nil {
		return nil, fmt.Errorf("cannot read the report: %w", err)
	}
	r, err := report.Verify(data, pool, at)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", name, err)
	}
	return r, nil
}

// reportText is a report for people. All texts in it are printable ASCII.
func reportText(r *report.Report) string {
	var b strings.Builder
	fmt.Fprintf(&b, "device %s, report %d, at %s or later (%s)\n", r.Device, r.Counter, r.Time.Format(time.RFC3339), r.Confidence)
	for _, i := range r.Installed {
		fmt.Fprintf(&b, "installed on ECU %s, hardware %s: %s\n", i.ECU, i.Hardware, imageText(i.Image))
	}
	a := r.Attempt
	fmt.Fprintf(&b, "attempt: %s", a.Result)
	for _, part := range []string{a.Attack, a.Repository, a.Role, a.Error} {
		if part != "" {
			fmt.Fprintf(&b, ", %s", part)
		}
	}
	fmt.Fprintf(&b, "\nversions of the director: %s\nversions of the image repository: %s\n", versionsText(a.Director), versionsText(a.Images))
	if a.Offered != nil {
		fmt.Fprintf(&b, "offered: %s\n", imageText(*a.Offered))
	}
	for _, c := range r.Changes {
		fmt.Fprintf(&b, "change on ECU %s: %s: %s\n", c.ECU, c.Result, imageText(c.To))
		if c.From != nil {
			fmt.Fprintf(&b, "  before: %s\n", imageText(*c.From))
		}
	}
	return b.String()
}

func imageText(i report.Image) string {
	text := fmt.Sprintf("%s, %d bytes, sha256 %s, release counter %d", i.Path, i.Length, i.SHA256, i.Counter)
	if len(i.RXSWIN) > 0 {
		text += ", RXSWIN " + strings.Join(i.RXSWIN, "; ")
	}
	if i.Campaign != "" {
		text += ", campaign " + i.Campaign
	}
	return text
}

func versionsText(v report.Versions) string {
	return fmt.Sprintf("root %d, timestamp %d, snapshot %d, targets %d", v.Root, v.Timestamp, v.Snapshot, v.Targets)
}
