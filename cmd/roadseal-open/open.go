package main

import (
	"errors"
	"fmt"
	"path/filepath"
	"slices"
	"strings"

	"github.com/spf13/cobra"

	"roadseal/cmd/internal/cli"
	"roadseal/cmd/internal/trip"
	"roadseal/crypto/envelope"
)

// An opened object, as open --json prints it.
type opened struct {
	Object  envelope.Name `json:"object"`
	Stream  string        `json:"stream"`
	Length  int64         `json:"length"`
	Path    string        `json:"path"`    // of the content
	Written bool          `json:"written"` // false: it was there already, or --dry-run
}

type openOptions struct {
	keyFiles, streams []string
	out               string
	force, dryRun     bool
	asJSON            bool
}

func openCommand() *cobra.Command {
	var o openOptions
	cmd := &cobra.Command{
		Use:   "open STORE|FILE... -i KEY... -o DIR",
		Short: "open objects into a folder",
		Long: `open puts content into DIR/<stream>/<name>: the recorder's name for the clip,
made harmless, with the beginning of the object's name. The paths are printed.

A file appears under its name only when its whole object has been checked. One
that is there already with the same length is left as it is, so that a second
run opens only what is new. Damaged and foreign files get a line each on stderr,
and the others are opened.

--json prints {objects: [{object, stream, length, path, written}], counts:
{readable, for_others, twice, faults}}.

Exit status: 0 done, 1 a file could not be opened, or none, 2 wrong command line.`,
		Example: `  roadseal-open open store -i owner.key -o drive
  roadseal-open open store -i owner.key -o drive --stream event
  roadseal-open open store -i owner.key -o drive --dry-run`,
		Args:              some,
		ValidArgsFunction: anyFiles,
		RunE: func(cmd *cobra.Command, args []string) error {
			return o.run(job{cmd: cmd, con: newConsole(cmd), args: args, keyFiles: o.keyFiles, hash: true})
		},
	}
	identityFlag(cmd, &o.keyFiles)
	cmd.Flags().StringVarP(&o.out, "out", "o", "", "the folder `DIR`; made if need be")
	cmd.Flags().StringArrayVar(&o.streams, "stream", nil, "open only this `STREAM`; may be repeated")
	cmd.Flags().BoolVar(&o.force, "force", false, "replace files that are there")
	cmd.Flags().BoolVar(&o.dryRun, "dry-run", false, "write nothing, print the paths only")
	jsonFlag(cmd, &o.asJSON)
	cli.Required(cmd, "out")
	cli.Folder(cmd, "out")
	cli.Values(cmd, "stream")
	return cmd
}

func (o *openOptions) run(j job) error {
	out := trip.NewOutput(o.out, o.force)
	defer out.Close()
	var done []opened
	var there int
	streams := map[string]bool{}
	save := func(e *trip.Entry) error {
		streams[e.Record.Stream] = true
		if len(o.streams) > 0 && !slices.Contains(o.streams, e.Record.Stream) {
			return nil
		}
		a := opened{Object: e.Name, Stream: e.Record.Stream, Length: e.Record.Length, Path: filepath.Join(o.out, trip.Place(e))}
		if !o.dryRun {
			var err error
			if a.Written, err = out.Save(j.cmd.Context(), e); err != nil {
				return err
			}
			if !a.Written {
				there++
			}
		}
		done = append(done, a)
		return nil
	}
	return j.run(save, func(c trip.Counts) error {
		if len(done) == 0 {
			return noStream(o.streams, streams)
		}
		verb := "opened"
		if o.dryRun {
			verb = "to open"
		}
		j.con.say("%s %s%s%s", several(len(done)-there, "object"), verb, already(there), summary(c))
		return o.print(j.cmd, done, c)
	})
}

func (o *openOptions) print(cmd *cobra.Command, done []opened, c trip.Counts) error {
	slices.SortFunc(done, func(a, b opened) int { return strings.Compare(a.Path, b.Path) })
	if o.asJSON {
		return cli.PrintJSON(cmd.OutOrStdout(), struct {
			Objects []opened    `json:"objects"`
			Counts  trip.Counts `json:"counts"`
		}{done, c})
	}
	for _, a := range done {
		if a.Written || o.dryRun {
			if _, err := fmt.Fprintln(cmd.OutOrStdout(), trip.Printable(a.Path)); err != nil {
				return err
			}
		}
	}
	return nil
}

func already(n int) string {
	if n == 0 {
		return ""
	}
	return fmt.Sprintf("; %s there already", are(n, "object"))
}

// noStream helps whoever mistyped a stream.
func noStream(wanted []string, have map[string]bool) error {
	if len(have) == 0 {
		return errors.New("nothing opened")
	}
	var names []string
	for s := range have {
		names = append(names, trip.Printable(s))
	}
	slices.Sort(names)
	return fmt.Errorf("no object is of stream %s; there are: %s", strings.Join(wanted, ", "), strings.Join(names, ", "))
}
