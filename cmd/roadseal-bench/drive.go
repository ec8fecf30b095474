package main

import (
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"roadseal/agent/profile"
	"roadseal/cmd/internal/bench"
	"roadseal/cmd/internal/bench/recorder"
	"roadseal/cmd/internal/cli"
)

// runFlags are those that demo and drive share.
type runFlags struct {
	o    bench.Options
	json bool
}

func (r *runFlags) add(cmd *cobra.Command, out string) {
	f := cmd.Flags()
	f.StringVarP(&r.o.Out, "out", "o", out, "folder `OUT` for store, opened files and report; emptied if an earlier run made it")
	cli.Folder(cmd, "out")
	seedFlag(cmd, &r.o.Seed)
	f.BoolVar(&r.o.Keep, "keep", false, "keep keys, logs, spool and capture in OUT/work, also if all holds")
	f.BoolVar(&r.json, "json", false, "print JSON")
	f.DurationVar(&r.o.MaxAge, "max-age", 5*time.Second, "a fix is sealed after `TIME` at the latest")
	f.StringVar(&r.o.Programs.Age, "age", "", "stock age command `FILE`; if given, it must open every object too")
	cli.Files(cmd, "age")
	programFlags(cmd, &r.o.Programs.Agent, &r.o.Programs.Collector)
	f.StringVar(&r.o.Programs.Sign, "sign", "", "run the release desk with this roadseal-sign `FILE` (default: beside this program)")
	cli.Files(cmd, "sign")
}

// programFlags are those of all verbs that run the programs.
func programFlags(cmd *cobra.Command, agent, collector *string) {
	cmd.Flags().StringVar(agent, "agent", "", "test this roadseal-agent `FILE` (default: beside this program)")
	cmd.Flags().StringVar(collector, "collector", "", "test this roadseal-collector `FILE` (default: beside this program)")
	cli.Files(cmd, "agent")
	cli.Files(cmd, "collector")
}

// seedFlag is the same everywhere too.
func seedFlag(cmd *cobra.Command, seed *uint64) {
	cmd.Flags().Uint64Var(seed, "seed", 1, "seed `N` of all that is left to chance but keys")
}

// run makes the run and prints its outcome. tale is told more than the verdict.
func (r *runFlags) run(cmd *cobra.Command, tale func(io.Writer, bench.Result)) error {
	if err := r.o.Programs.Beside(r.o.Firmware); err != nil {
		return cli.WithCode(cli.Usage, err)
	}
	stderr, terminal := cmd.ErrOrStderr().(*os.File)
	r.o.Tell = &bench.Console{W: cmd.ErrOrStderr(), Bar: terminal && cli.IsTerminal(stderr)}
	res, err := bench.Run(cmd.Context(), r.o)
	if err != nil && cmd.Context().Err() != nil {
		return fmt.Errorf("interrupted; what there is of the run lies in %s", r.o.Out)
	}
	if err != nil {
		return err
	}
	tale(cmd.ErrOrStderr(), res)
	if r.json {
		if err := cli.PrintJSON(cmd.OutOrStdout(), res.Report); err != nil {
			return err
		}
	}
	return verdict(cmd.ErrOrStderr(), res)
}

// verdict prints the last lines of every run: each check that does not hold, or
// that all do, and where the report is.
func verdict(w io.Writer, res bench.Result) error {
	page := filepath.Join(res.Out, "report.html")
	failed := res.Report.Failed()
	if len(failed) == 0 {
		_, err := fmt.Fprintf(w, "\nAll %d checks hold in %.0f s. Report: %s\n", len(res.Report.Checks), res.Report.Times.Total, page)
		return err
	}
	lines := make([]string, 0, len(failed)+1)
	lines = append(lines, fmt.Sprintf("%d of %d checks do not hold; see %s and %s", len(failed), len(res.Report.Checks), page, filepath.Join(res.Out, "work", "logs")))
	for _, c := range failed {
		lines = append(lines, "  "+c.Name+": "+c.Detail)
	}
	return errors.New(strings.Join(lines, "\n"))
}

func driveCommand() *cobra.Command {
	var r runFlags
	var nmea, camera, kill string
	cmd := &cobra.Command{
		Use:   "drive [--nmea FILE] [--camera DIR] --out DIR",
		Short: "play recordings of a real drive",
		Long: `drive plays a recording of a GNSS receiver (NMEA 0183, paced by the times in it)
and all *.mp4 and *.ts files of a folder, as a receiver and a camera would, and
checks that everything arrives once, opens again byte for byte, and was readable
nowhere on the way. Without --nmea the drive is made up, without --camera the
clips are those of demo.

With --kill, processes are killed with SIGKILL while blocks are on their way and
started again, so many times each; --rate and --loop make the upload last long
enough. With --cut-every, the link between vehicle and broker is reset at that
interval; what a cut costs is checked.

With --broker-profile, agent and collector are configured for that broker, and
the broker of the bench enforces its limits; not one may be violated. With
--broker mosquitto, Debian's mosquitto runs in its place, with the configuration
and access rules of docs/brokers.

With --firmware, a release desk publishes a firmware that the vehicle verifies
over that broker and reports; after the drive an older one is put back, which the
vehicle must refuse.

With --recorder, the camera fills its folder as that make does: folders, names,
kinds, channels, sidecars, and clips that are locked before they are sealed or
after they were delivered. With --hostile, the folder holds besides what must not
be read; what of it is opened is watched.

--json prints the same as that of demo.

Exit status: 0 all checks hold, 1 one does not or the run could not be made, 2
wrong command line.`,
		Example: `  roadseal-bench drive --nmea drive.nmea --camera clips -o out/drive --speed 10
  roadseal-bench drive --nmea drive.nmea --camera clips -o out/kill --speed 20 \
      --loop 12 --rate 3000000 --kill agent=20,collector=20,broker=20
  roadseal-bench drive --camera clips -o out/cut --speed 20 --rate 4000000 \
      --cut-every 1500ms
  roadseal-bench drive --recorder tesla --camera clips -o out/tesla --speed 25`,
		Args: cli.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) (err error) {
			if r.o.Kill, err = bench.ParseKills(kill); err != nil {
				return cli.WithCode(cli.Usage, err)
			}
			r.o.Now = time.Now()
			if err := r.o.FromFiles(nmea, camera); err != nil {
				return cli.WithCode(cli.Usage, err)
			}
			return r.run(cmd, func(io.Writer, bench.Result) {})
		},
	}
	f := cmd.Flags()
	f.StringVar(&nmea, "nmea", "", "recording `FILE` of a receiver; a made-up drive if left out")
	f.StringVar(&camera, "camera", "", "folder `DIR` of clips; those of demo if left out")
	f.StringVar(&r.o.Recorder, "recorder", "", "`MAKE` of the camera: "+strings.Join(recorder.Names(), ", "))
	f.BoolVar(&r.o.Hostile, "hostile", false, "put links, FIFOs, devices, strange names and more into the recorder's folder")
	f.Float64Var(&r.o.Speed, "speed", 1, "the drive is played `N` times faster than it was")
	f.IntVar(&r.o.Loops, "loop", 1, "the set is played `N` times")
	f.Int64Var(&r.o.Rate, "rate", 0, "`N` bytes a second upwards, 0 = no limit")
	f.DurationVar(&r.o.CutEvery, "cut-every", 0, "reset the link each `TIME`, 0 = never")
	f.StringVar(&r.o.Profile, "broker-profile", "", "configure for, and enforce the limits of, `BROKER`: "+strings.Join(profile.Names(), ", "))
	f.StringVar(&r.o.Broker, "broker", bench.Embedded, "run `BROKER`: embedded, or mosquitto (which must be installed)")
	f.BoolVar(&r.o.Firmware, "firmware", false, "add a release desk and an attacker, as demo has them")
	f.StringVar(&kill, "kill", "", "`KILLS` of processes in mid-upload: agent=N,collector=N,broker=N")
	r.add(cmd, "")
	cli.Required(cmd, "out")
	cli.Files(cmd, "nmea")
	cli.Folder(cmd, "camera")
	cli.Values(cmd, "kill")
	cli.Values(cmd, "recorder", recorder.Names()...)
	cli.Values(cmd, "broker-profile", profile.Names()...)
	cli.Values(cmd, "broker", "embedded", "mosquitto")
	return cmd
}
