package main

import (
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"roadseal/cmd/internal/bench"
	"roadseal/cmd/internal/bench/recorder"
	"roadseal/cmd/internal/bench/report"
	"roadseal/cmd/internal/cli"
)

// recordersSpeed lets the drive of about 170 s pass in seven.
const recordersSpeed = 25

// hostileRow is what the drive with a hostile folder is called.
const hostileRow = "hostile"

func recordersCommand() *cobra.Command {
	var o bench.Options
	cmd := &cobra.Command{
		Use:   "recorders",
		Short: "let each make of recorder drive, and one whose folder is hostile",
		Long: `recorders plays the drive of demo once with each make of recorder that the agent
has a preset for. The camera names, sorts and accompanies its clips as that make
does, locks some before they are sealed and some after they were delivered, and
has a day behind it when the agent comes, of which the agent takes only what is
locked, also later. Each file has to arrive once, under the right kind and
channel, a locked one under the class of events, a sidecar with its clip; what
is no clip has to stay.

The last drive has 100 clips in a folder full of links, FIFOs, devices, files
that change while they are read, and strange names: the 100 have to arrive, and
of the others none may be opened. Devices and files of other users need root.

Exit status: 0 all checks hold, 1 one does not or a run could not be made, 2
wrong command line.`,
		Example: `  roadseal-bench recorders
  roadseal-bench recorders -o out/recorders --seed 7 --keep`,
		Args: cli.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			if err := o.Programs.Beside(false); err != nil {
				return cli.WithCode(cli.Usage, err)
			}
			return runRecorders(cmd, o)
		},
	}
	f := cmd.Flags()
	f.StringVarP(&o.Out, "out", "o", "out/recorders", "folder `DIR` with one for each recorder; each is emptied if an earlier run made it")
	f.BoolVar(&o.Keep, "keep", false, "keep keys, logs, spool and capture in work, also if all holds")
	seedFlag(cmd, &o.Seed)
	programFlags(cmd, &o.Programs.Agent, &o.Programs.Collector)
	cli.Folder(cmd, "out")
	return cmd
}

func runRecorders(cmd *cobra.Command, o bench.Options) error {
	begin, out := time.Now(), o.Out
	stderr, terminal := cmd.ErrOrStderr().(*os.File)
	screen := &bench.Console{W: cmd.ErrOrStderr(), Bar: terminal && cli.IsTerminal(stderr)}
	o.Tell, o.Speed, o.Loops, o.MaxAge = hush{screen}, recordersSpeed, 1, time.Second
	screen.Step("%s", row("recorder", "arrived", "sidecars", "locked before", "and after", "or left", "left", "checks", "seconds", "kinds"))
	var failed []string
	files := 0
	for _, name := range append(recorder.Names(), hostileRow) {
		o.Now = time.Now()
		o.Out, o.Recorder, o.Hostile, o.Clips = filepath.Join(out, name), name, false, nil
		o.Generated()
		if name == hostileRow {
			o.Recorder, o.Hostile, o.Clips = "", true, slices.Repeat(o.Clips, 10)
		}
		res, err := bench.Run(cmd.Context(), o)
		if err != nil && cmd.Context().Err() != nil {
			return fmt.Errorf("interrupted; what there is of the run lies in %s", out)
		}
		if err != nil {
			return fmt.Errorf("%s: %w", name, err)
		}
		screen.Step("%s", rowOf(name, res.Report))
		for _, c := range res.Report.Failed() {
			screen.Step("    %s: %s", c.Name, c.Detail)
		}
		if !res.Report.Passed {
			failed = append(failed, name)
		}
		files += res.Report.Drive.Segments
	}
	if len(failed) > 0 {
		return fmt.Errorf("recorders: FAILED: %s; see report.html in each folder of %s", strings.Join(failed, ", "), out)
	}
	screen.Step("recorders: PASSED: each of %d files arrived once, as its recorder meant it, and nothing else (seed %d, %.0f s)",
		files, o.Seed, time.Since(begin).Seconds())
	return nil
}

// hush keeps what each drive tells from the table; its progress is shown.
type hush struct{ *bench.Console }

func (hush) Step(string, ...any) {}

func rowOf(name string, r report.Report) string {
	d := r.Drive
	left, checks := d.Left+d.Hostile, fmt.Sprint(len(r.Checks))
	if bad := len(r.Failed()); bad > 0 {
		checks = fmt.Sprintf("%d BAD", bad)
	}
	var kinds []string
	for _, o := range r.Objects {
		if o.Kind != "" && !slices.Contains(kinds, o.Kind) {
			kinds = append(kinds, o.Kind)
		}
	}
	slices.Sort(kinds)
	return row(name, fmt.Sprintf("%d/%d", d.Opened, d.Segments), d.Sidecars, d.LockedEarly, d.LockedLate, d.LockedOld, left, checks,
		fmt.Sprintf("%.0f", r.Times.Total), strings.Join(kinds, " "))
}

func row(name string, cells ...any) string {
	return fmt.Sprintf("%-10s%9v%10v%15v%11v%9v%6v%8v%9v  %v", append([]any{name}, cells...)...)
}
