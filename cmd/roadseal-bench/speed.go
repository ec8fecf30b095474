package main

import (
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"

	"github.com/spf13/cobra"

	"roadseal/cmd/internal/bench"
	"roadseal/cmd/internal/bench/speed"
	"roadseal/cmd/internal/cli"
)

func speedCommand() *cobra.Command {
	var o speed.Options
	var json bool
	cmd := &cobra.Command{
		Use:   "speed [upload] [link] [memory] [drive] [arm]",
		Short: "measure the programs beside peers that do the same work",
		Long: `speed measures the shipped programs in turns with a peer on the same machine and
prints rows for docs/benchmarks.md. What counts is the ratio, the median of those
of the rounds.

  upload  a backlog, to the last receipt, beside mosquitto_pub and raw TLS
  link    a backlog over 8 and 20 Mbit/s beside raw TLS; needs root
  memory  of the agent with a clip of 300 MB
  drive   processor time of an hour of driving beside age and mosquitto_pub
  arm     instructions of the ARM agents beside age; needs qemu-user and gcc

Without names, what can be done here is measured, and what is left out is said.
All but arm need a machine with nothing else to do. A row fails only where its
limit is missed by more than three times; "missed" says that it was missed by
less. Needs the Debian packages mosquitto and mosquitto-clients.

--json prints {rows: [{what, unit, ours, peer, theirs, ratio, limit, most}],
left_out}.

Exit status: 0 no row misses its limit by more than three times, 1 one does or
the run could not be made, 2 wrong command line.`,
		Example: `  roadseal-bench speed upload link
  roadseal-bench speed --age bin/age --json`,
		ValidArgs: speed.All,
		RunE: func(cmd *cobra.Command, args []string) error {
			o.Only = args
			return runSpeed(cmd, o, json)
		},
	}
	f := cmd.Flags()
	f.IntVar(&o.Rounds, "rounds", 5, "measure upload and link `N` times")
	f.StringVar(&o.Memory, "memory", "/dev/shm", "folder `DIR` in memory, for spools and the store without fsync; 2 GB are needed")
	f.StringVar(&o.Disk, "disk", "out", "folder `DIR` on a disk, for the store with fsync")
	f.BoolVar(&json, "json", false, "print JSON")
	programFlags(cmd, &o.Programs.Agent, &o.Programs.Collector)
	f.StringVar(&o.Programs.Age, "age", "", "`FILE` of stock age, 1.3 or newer")
	cli.Folder(cmd, "memory")
	cli.Folder(cmd, "disk")
	cli.Files(cmd, "age")
	return cmd
}

func runSpeed(cmd *cobra.Command, o speed.Options, json bool) error {
	if err := o.Check(); err != nil {
		return cli.WithCode(cli.Usage, err)
	}
	if err := o.Programs.Beside(false); err != nil {
		return cli.WithCode(cli.Usage, err)
	}
	o.ARM = emulated(filepath.Dir(o.Programs.Bench))
	stderr, terminal := cmd.ErrOrStderr().(*os.File)
	o.Tell = &bench.Console{W: cmd.ErrOrStderr(), Bar: terminal && cli.IsTerminal(stderr)}
	r, err := speed.Run(cmd.Context(), o)
	if err != nil {
		return err
	}
	if json {
		err = cli.PrintJSON(cmd.OutOrStdout(), r)
	} else {
		err = speedTable(cmd.OutOrStdout(), r)
	}
	if err != nil {
		return err
	}
	p := paper{cmd.ErrOrStderr()}
	for _, l := range r.Left {
		p.text("left out: %s", l)
	}
	if n := r.Failed(); n > 0 {
		return fmt.Errorf("speed: FAILED: %d of %d rows miss their limit by more than three times", n, len(r.Rows))
	}
	return nil
}

// emulated are the programs for ARM that lie in a folder, as make bench puts
// them there.
func emulated(dir string) (all []speed.Emulated) {
	for _, e := range []speed.Emulated{{Name: "armv7", Emulator: "qemu-arm"}, {Name: "arm64", Emulator: "qemu-aarch64"}} {
		e.Agent, e.Age = filepath.Join(dir, "roadseal-agent-"+e.Name), filepath.Join(dir, "age-"+e.Name)
		if exists(e.Agent) && exists(e.Age) {
			all = append(all, e)
		}
	}
	return all
}

func exists(path string) bool {
	_, err := os.Stat(path)
	return err == nil
}

// speedTable prints the rows as docs/benchmarks.md has them.
func speedTable(w io.Writer, r speed.Report) error {
	var b strings.Builder
	fmt.Fprintln(&b, "| what | ours | peer | ratio | limit | |\n|---|---|---|---|---|---|")
	for _, row := range r.Rows {
		theirs, ratio, limit := "", "", ""
		if row.Peer != "" {
			theirs, ratio = fmt.Sprintf("%s %s", row.Peer, figure(row.Theirs)), fmt.Sprintf("%.3f", row.Ratio)
		}
		switch {
		case row.Limit > 0:
			limit = fmt.Sprintf("≥ %.2f", row.Limit)
		case row.Most > 0:
			limit = fmt.Sprintf("≤ %.0f %s", row.Most, row.Unit)
		}
		fmt.Fprintf(&b, "| %s | %s %s | %s | %s | %s | %s |\n", row.What, figure(row.Ours), row.Unit, theirs, ratio, limit, row.Verdict())
	}
	_, err := io.WriteString(w, b.String())
	return err
}

// figure has three digits that count.
func figure(x float64) string {
	switch {
	case x >= 100:
		return fmt.Sprintf("%.0f", x)
	case x >= 10:
		return fmt.Sprintf("%.1f", x)
	}
	return fmt.Sprintf("%.3g", x)
}
