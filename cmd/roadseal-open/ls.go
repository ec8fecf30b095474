package main

import (
	"cmp"
	"fmt"
	"io"
	"slices"
	"strconv"
	"strings"
	"text/tabwriter"
	"time"

	"github.com/spf13/cobra"

	"roadseal/cmd/internal/cli"
	"roadseal/cmd/internal/trip"
	"roadseal/crypto/envelope"
)

// A listing is an object as ls --json prints it: to the key holder, so private
// values are in it.
type listing struct {
	Object    envelope.Name `json:"object"`
	Path      string        `json:"path"`
	Size      int64         `json:"size"`
	Length    int64         `json:"length"`
	MediaType string        `json:"media_type"`
	Stream    string        `json:"stream"`
	Kind      string        `json:"kind,omitempty"`
	Source    string        `json:"source"`
	Channel   string        `json:"channel,omitempty"`
	Vehicle   string        `json:"vehicle,omitempty"`
	File      string        `json:"file,omitempty"`
	Start     *time.Time    `json:"start,omitempty"`
	End       *time.Time    `json:"end,omitempty"`
	Clock     string        `json:"clock"`
	Boot      uint32        `json:"boot"`
	Sequence  uint32        `json:"sequence"`
	Flags     []string      `json:"flags,omitempty"`
}

func lsCommand() *cobra.Command {
	var keyFiles []string
	var asJSON bool
	cmd := &cobra.Command{
		Use:   "ls STORE|FILE... -i KEY...",
		Short: "list the objects that the keys open",
		Long: `ls lists the objects that the keys open, one line each: stream, kind, source and
channel, start, duration in seconds, length in bytes, beginning of the object's
name. "-" stands for what is not known. The order is that of the vehicle: label,
start of the agent, sequence.

Only the beginning and the end of each file are read: damage in the middle shows
when the object is opened. Files for other keys are counted.

--json prints a list of {object, path, size, length, media_type, stream, kind,
source, channel, vehicle, file, start, end, clock, boot, sequence, flags}; kind,
channel, vehicle, file, start, end and flags are left out where there is none.

Exit status: 0 done, 1 a file could not be opened, or none, 2 wrong command line.`,
		Example: `  roadseal-open ls store -i owner.key
  roadseal-open ls store -i owner.key --json`,
		Args:              some,
		ValidArgsFunction: anyFiles,
		RunE: func(cmd *cobra.Command, args []string) error {
			j := job{cmd: cmd, con: newConsole(cmd), args: args, keyFiles: keyFiles}
			var found []listing
			collect := func(e *trip.Entry) error {
				found = append(found, list(e))
				return nil
			}
			return j.run(collect, func(c trip.Counts) error {
				slices.SortFunc(found, byVehicle)
				if s := summary(c); s != "" {
					j.con.say("%s listed%s", several(c.Opened, "object"), s)
				}
				if asJSON {
					return cli.PrintJSON(cmd.OutOrStdout(), found)
				}
				return printLines(cmd.OutOrStdout(), found)
			})
		},
	}
	identityFlag(cmd, &keyFiles)
	jsonFlag(cmd, &asJSON)
	return cmd
}

func byVehicle(a, b listing) int {
	return cmp.Or(cmp.Compare(a.Vehicle, b.Vehicle), cmp.Compare(a.Boot, b.Boot), cmp.Compare(a.Sequence, b.Sequence),
		slices.Compare(a.Object[:], b.Object[:]))
}

func list(e *trip.Entry) listing {
	r := e.Record
	return listing{
		Object: e.Name, Path: e.Path, Size: e.Size, Length: r.Length, MediaType: r.MediaType,
		Stream: r.Stream, Kind: r.Kind, Source: r.Source, Channel: r.Channel,
		Vehicle: r.Vehicle.Reveal(), File: r.File.Reveal(), Start: known(r.Start), End: known(r.End),
		Clock: r.Clock, Boot: r.Boot, Sequence: r.Sequence, Flags: r.Flags,
	}
}

func known(t time.Time) *time.Time {
	if t.IsZero() {
		return nil
	}
	return &t
}

func printLines(w io.Writer, found []listing) error {
	tab := tabwriter.NewWriter(w, 0, 0, 2, ' ', 0)
	for _, l := range found {
		source := l.Source
		if l.Channel != "" {
			source += "/" + l.Channel
		}
		line := []string{l.Stream, l.Kind, source, l.start(), l.duration(), strconv.FormatInt(l.Length, 10), trip.Short(l.Object)}
		for i := range line {
			if line[i] = trip.Printable(line[i]); line[i] == "" {
				line[i] = "-"
			}
		}
		if _, err := fmt.Fprintln(tab, strings.Join(line, "\t")); err != nil {
			return err
		}
	}
	return tab.Flush()
}

func (l listing) start() string {
	if l.Start == nil {
		return ""
	}
	return l.Start.UTC().Format(time.RFC3339)
}

func (l listing) duration() string {
	if l.Start == nil || l.End == nil {
		return ""
	}
	return strconv.FormatFloat(l.End.Sub(*l.Start).Seconds(), 'f', 1, 64)
}
