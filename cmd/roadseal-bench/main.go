// Command roadseal-bench plays a drive from end to end on one machine, with
// throw-away keys: receiver and camera, agent, broker, collector, store and key
// holder. It leaves a report and ends with status 0 only if all of it holds.
package main

import (
	"os"

	"github.com/spf13/cobra"

	"roadseal/cmd/internal/cli"
)

func main() { os.Exit(cli.Main(root())) }

func root() *cobra.Command {
	c := &cobra.Command{
		Use:   "roadseal-bench",
		Short: "play a drive from end to end and check that nothing is lost or readable",
		Long: `roadseal-bench plays a drive from end to end on one machine: a receiver on a
pseudo terminal and a camera that writes clips, the real agent, a broker, the
real collector, and at the end the key holder. All keys are throw-away and
marked, so that no vehicle in production takes them.

Exit status: 0 all checks hold, 1 one does not or the run could not be made,
2 wrong command line.`,
		Example: `  roadseal-bench demo
  roadseal-bench drive --nmea drive.nmea --camera clips -o out/drive --speed 10`,
	}
	return cli.Program(c, demoCommand(), driveCommand(), recordersCommand(), crashCommand(), soakCommand(), speedCommand(), brokerCommand(), wallclockCommand(), unsyncedCommand())
}
