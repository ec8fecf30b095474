package main

import (
	"bufio"
	"errors"
	"fmt"
	"io"

	"github.com/spf13/cobra"

	"roadseal/cmd/internal/cli"
	"roadseal/cmd/internal/trip"
)

type exportOptions struct {
	keyFiles    []string
	format, out string
	all, force  bool
}

func exportCommand() *cobra.Command {
	var o exportOptions
	cmd := &cobra.Command{
		Use:   "export STORE|FILE... -i KEY... --format gpx|geojson|csv",
		Short: "put the positions together and write them as GPX, GeoJSON or CSV",
		Long: `export puts the positions of all objects together into trips and writes them as
GPX 1.1, GeoJSON or CSV. A trip ends where the agent was started anew or no
position came for five minutes.

Positions that the vehicle marked as not to be believed (jumps, impossible
times) are in the CSV, and left out of the lines of GPX and GeoJSON; their
number is said on stderr.

Exit status: 0 done, 1 a file could not be opened, or there are no positions, 2
wrong command line.`,
		Example: `  roadseal-open export store -i owner.key --format gpx -o drive.gpx
  roadseal-open export store -i owner.key --format csv | head`,
		Args:              some,
		ValidArgsFunction: anyFiles,
		RunE: func(cmd *cobra.Command, args []string) error {
			write, err := o.writer()
			if err != nil {
				return err
			}
			return o.run(job{cmd: cmd, con: newConsole(cmd), args: args, keyFiles: o.keyFiles, hash: true}, write)
		},
	}
	identityFlag(cmd, &o.keyFiles)
	cmd.Flags().StringVar(&o.format, "format", "", "write `FORMAT`: gpx, geojson or csv")
	cmd.Flags().StringVarP(&o.out, "out", "o", "", "write to `FILE` instead of stdout")
	cmd.Flags().BoolVar(&o.all, "all", false, "draw marked positions too")
	cmd.Flags().BoolVar(&o.force, "force", false, "replace FILE if it is there")
	cli.Required(cmd, "format")
	cli.Values(cmd, "format", "gpx", "geojson", "csv")
	cli.Files(cmd, "out")
	return cmd
}

// writer picks the format.
func (o *exportOptions) writer() (func(io.Writer, []trip.Trip) error, error) {
	switch o.format {
	case "gpx":
		return func(w io.Writer, t []trip.Trip) error { return trip.WriteGPX(w, t, o.all) }, nil
	case "geojson":
		return func(w io.Writer, t []trip.Trip) error { return trip.WriteGeoJSON(w, t, o.all) }, nil
	case "csv":
		return trip.WriteCSV, nil
	}
	return nil, cli.Usagef("unknown format %q; expected gpx, geojson or csv", o.format)
}

func (o *exportOptions) run(j job, write func(io.Writer, []trip.Trip) error) error {
	var tracks trip.Tracks
	add := func(e *trip.Entry) error {
		if !trip.IsTrack(e.Record) {
			return nil
		}
		return tracks.Add(e)
	}
	return j.run(add, func(c trip.Counts) error {
		trips := tracks.Trips()
		if len(trips) == 0 {
			return fmt.Errorf("there are no positions in %s", several(c.Opened, "object"))
		}
		if err := o.write(j.cmd.OutOrStdout(), trips, write); err != nil {
			return err
		}
		fixes, drawn := trip.Count(trips, o.all)
		if o.format == "csv" {
			drawn = fixes // nothing is left out of it
		}
		j.con.say("%s, %s%s%s%s", several(len(trips), "trip"), several(fixes, "position"), leftOut(fixes-drawn, o.all), twice(tracks.Twice), summary(c))
		return nil
	})
}

func (o *exportOptions) write(stdout io.Writer, trips []trip.Trip, write func(io.Writer, []trip.Trip) error) error {
	buffered := func(w io.Writer) error {
		b := bufio.NewWriter(w)
		return errors.Join(write(b, trips), b.Flush())
	}
	if o.out == "" {
		return buffered(stdout)
	}
	if err := trip.WriteFile(o.out, o.force, buffered); err != nil {
		return outputError(o.out, err, "--force replaces it")
	}
	return nil
}

func leftOut(n int, all bool) string {
	switch {
	case n == 0:
		return ""
	case all:
		return fmt.Sprintf("; %s not on Earth and left out", are(n, "position"))
	}
	return fmt.Sprintf("; %s marked and left out, --all draws what is marked", are(n, "position"))
}

func twice(n int) string {
	if n == 0 {
		return ""
	}
	return fmt.Sprintf("; %s sealed twice and left out once", several(n, "batch"))
}
