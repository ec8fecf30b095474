package main

import (
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"time"

	"github.com/spf13/cobra"

	"roadseal/cmd/internal/bench"
	"roadseal/cmd/internal/bench/soak"
	"roadseal/cmd/internal/cli"
)

func soakCommand() *cobra.Command {
	var o soak.Options
	var json bool
	cmd := &cobra.Command{
		Use:   "soak",
		Short: "let a fleet drive while everything goes wrong, then look for every clip",
		Long: `soak lets vehicles drive against a broker and a collector, all real processes on
real sockets, while links are cut and links die without a word, agents, broker
and collector are killed, disks are full, and the time of receivers and clocks
jumps by years. Then the faults stop, everything may drain, and an audit asks of
every clip, fix and sealed object where it is: in the store exactly once and
intact, or in the record of what was lost.

Links that die need root and the command ip, small disks need root, false clocks
Linux 5.19; what cannot be done is said and left out. OUT/report.json holds all
that is found.

--json prints {passed, seed, vehicles, faults_s, total_s, broker, left_out,
faults, counts, findings}, as report.json has it.

Exit status: 0 every clip is where it should be, 1 one is not or the run could
not be made, 2 wrong command line.`,
		Example: `  roadseal-bench soak
  roadseal-bench soak --for 10m --vehicles 20 --seed 7 --broker mosquitto`,
		Args: cli.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error { return runSoak(cmd, o, json) },
	}
	f := cmd.Flags()
	f.StringVarP(&o.Out, "out", "o", "out/soak", "folder `OUT` for store, key and, if something is found, all the rest; emptied if an earlier run made it")
	f.DurationVar(&o.For, "for", 2*time.Minute, "there are faults for `TIME`")
	f.IntVar(&o.Vehicles, "vehicles", 10, "`N` vehicles drive")
	f.StringVar(&o.Netns, "netns", soak.Auto, "links that die, in network namespaces: `WHEN` is auto, on or off")
	f.StringVar(&o.Broker, "broker", soak.Embedded, "`BROKER`: embedded or mosquitto")
	f.BoolVar(&o.Keep, "keep", false, "keep keys, logs, spools and capture in OUT/work, also if all holds")
	f.BoolVar(&json, "json", false, "print JSON")
	seedFlag(cmd, &o.Seed)
	programFlags(cmd, &o.Programs.Agent, &o.Programs.Collector)
	cli.Folder(cmd, "out")
	cli.Values(cmd, "netns", soak.Auto, soak.On, soak.Off)
	cli.Values(cmd, "broker", soak.Embedded, soak.Mosquitto)
	return cmd
}

func runSoak(cmd *cobra.Command, o soak.Options, json bool) error {
	if err := errors.Join(o.Check(), o.Programs.Beside(false)); err != nil {
		return cli.WithCode(cli.Usage, err)
	}
	stderr, terminal := cmd.ErrOrStderr().(*os.File)
	o.Tell = &bench.Console{W: cmd.ErrOrStderr(), Bar: terminal && cli.IsTerminal(stderr)}
	r, err := soak.Run(cmd.Context(), o)
	if err != nil && cmd.Context().Err() != nil {
		return fmt.Errorf("interrupted; what there is of the run lies in %s", o.Out)
	}
	if err != nil {
		return err
	}
	if json {
		if err := cli.PrintJSON(cmd.OutOrStdout(), r); err != nil {
			return err
		}
	}
	return soakVerdict(cmd.ErrOrStderr(), r, o.Out)
}

// mostFindings are shown; the report has all.
const mostFindings = 20

// soakVerdict prints what was done and found; its last line is the verdict.
func soakVerdict(w io.Writer, r soak.Report, out string) error {
	p := paper{w}
	for _, l := range r.Summary() {
		p.text("%s", l)
	}
	var found []string
	for _, f := range r.Findings {
		found = append(found, f.String())
	}
	p.lines(found, mostFindings)
	f, c := r.Faults, r.Counts
	if !r.Passed {
		return fmt.Errorf("soak: FAILED: %d findings, as %s (seed %d); see %s", len(found), found[0], r.Seed, filepath.Join(out, "report.json"))
	}
	_, err := fmt.Fprintf(w, "soak: PASSED: %d link cuts, %d half-open links, %d kills: each of %d clips is in the store exactly once and intact, or its loss is recorded (%d) (seed %d, %.0f s)\n",
		f.Cuts, f.HalfOpen, f.AgentKills+f.BrokerKills+f.CollectorKills, c.Clips, c.LostClips, r.Seed, r.Total)
	return err
}
