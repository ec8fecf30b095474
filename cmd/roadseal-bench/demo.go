package main

import (
	"fmt"
	"io"
	"time"

	"github.com/spf13/cobra"

	"roadseal/cmd/internal/bench"
	"roadseal/cmd/internal/bench/report"
	"roadseal/cmd/internal/cli"
)

// demoSpeed lets the drive of about 160 s pass in less than a quarter of a
// minute.
const demoSpeed = 14

func demoCommand() *cobra.Command {
	var r runFlags
	cmd := &cobra.Command{
		Use:   "demo",
		Short: "play a made-up drive and show it from both sides",
		Long: `demo makes up a drive on a proving ground, with stops and a tunnel, and plays it
with small clips of a test pattern. Meanwhile the vehicle verifies a firmware
that a release desk has signed; after the drive an older one is put back, which
it must refuse. demo needs no recordings and takes less than a minute. What an
outsider, the key holder and the release desk see of it is shown at the end, and
in report.html.

--json prints {title, passed, checks, made, version, options, drive, times,
traffic, kills, search, objects}, as report.json in OUT has it.

Exit status: 0 all checks hold, 1 one does not or the run could not be made, 2
wrong command line.`,
		Example: `  roadseal-bench demo
  roadseal-bench demo -o out/seven --seed 7`,
		Args: cli.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			r.o.Now = time.Now()
			r.o.Generated()
			r.o.Speed, r.o.Loops, r.o.Firmware = demoSpeed, 1, true
			return r.run(cmd, bothSides)
		},
	}
	r.add(cmd, "out/demo")
	return cmd
}

// bothSides shows a run as an outsider sees it, and as the key holder does.
func bothSides(w io.Writer, res bench.Result) {
	p := paper{w}
	o, h := res.Scenes.Outsider, res.Scenes.Holder
	p.head("What an outsider sees: the whole store, every message of the broker, every log")
	p.lines(o.Listing, 4)
	p.text("one of these objects, behind its header:")
	p.lines(o.Dump, 4)
	p.text("topics on the broker: a random name, never the vehicle's")
	p.lines(o.Topics, 2)
	s := res.Report.Search
	p.text("searched %s in %d files for positions, pictures, file names and the vehicle number: %d found", report.Bytes(s.Bytes), s.Files, len(s.Hits))
	p.head("What the key holder sees")
	d := res.Report.Drive
	p.text("%d of %d clips, byte for byte, and %d of %d positions. The object above says of itself:", d.Opened, d.Segments, d.Found, d.Fixes)
	p.lines(h.Record, 12)
	if n := len(res.Scenes.Track); n > 0 {
		first, last := res.Scenes.Track[0], res.Scenes.Track[n-1]
		p.text("the track: from %.5f, %.5f to %.5f, %.5f (%s)", first.Lat, first.Lon, last.Lat, last.Lon, "opened/track.gpx")
	}
	p.text("The same without our software, from %s:", res.Out)
	p.lines(h.Try, 3)
	p.head("What the release desk sees: the vehicle's reports, signed by it, before the attack and after")
	p.lines(res.Scenes.Desk.Reports, 6)
	p.text("The same again, from there:")
	p.lines(res.Scenes.Desk.Try, 3)
}

// paper prints indented text; a terminal that is gone is nothing to report to.
type paper struct{ w io.Writer }

func (p paper) head(s string) { _, _ = fmt.Fprintf(p.w, "\n%s\n", s) }

func (p paper) text(format string, args ...any) { _, _ = fmt.Fprintf(p.w, "  "+format+"\n", args...) }

func (p paper) lines(lines []string, most int) {
	for i, l := range lines {
		if i == most {
			_, _ = fmt.Fprintf(p.w, "      …\n")
			return
		}
		_, _ = fmt.Fprintf(p.w, "      %s\n", l)
	}
}
