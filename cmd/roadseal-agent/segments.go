package main

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"path/filepath"
	"text/tabwriter"
	"time"

	"github.com/spf13/cobra"

	"roadseal/agent"
	"roadseal/agent/config"
	"roadseal/agent/intake"
	"roadseal/agent/policy"
	"roadseal/agent/spool"
	"roadseal/cmd/internal/cli"
	"roadseal/hal/camera"
	"roadseal/hal/durable"
)

// A segmentLine is one entry of a recorder's folder. Unlike all other output it
// names the file: who may list the folder knows the name already.
type segmentLine struct {
	Camera  string `json:"camera"`
	File    string `json:"file"`
	Time    string `json:"time,omitempty"` // the camera's own clock, zone unknown
	Channel string `json:"channel,omitempty"`
	Kind    string `json:"kind,omitempty"`
	Size    int64  `json:"size"`
	State   string `json:"state"` // sealed, waiting, no
	Reason  string `json:"reason,omitempty"`
}

func segmentsCommand() *cobra.Command {
	var asJSON bool
	c := &cobra.Command{
		Use:   "segments",
		Short: "list the recorders' folders: what was sealed, what was not, and why",
		Long: `segments lists every entry of the recorders' folders with what its name says, and
whether it was sealed: "sealed", "waiting", or "no" with the reason. It reads
the folders and the spool's names itself; the agent need not run. Run it as a
user who may read both. Unlike all other output it names the files.

--json prints a list of {camera, file, time, channel, kind, size, state, reason};
time, channel, kind and reason are left out where there is none.

Exit status: 0 done, 1 failed, 2 wrong command line or configuration.`,
		Example: `  roadseal-agent segments -c agent.toml
  roadseal-agent segments -c agent.toml --json | jq '.[] | select(.state == "no")'`,
		Args: cli.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			conf, err := load(cmd)
			if err != nil {
				return err
			}
			lines, err := segments(cmd.Context(), conf)
			if err != nil {
				return err
			}
			if asJSON {
				return cli.PrintJSON(cmd.OutOrStdout(), lines)
			}
			w := tabwriter.NewWriter(cmd.OutOrStdout(), 0, 8, 2, ' ', 0)
			fmt.Fprintln(w, "STATE\tCAMERA\tTIME\tCHANNEL\tKIND\tSIZE\tFILE\tREASON")
			for _, l := range lines {
				fmt.Fprintf(w, "%s\t%s\t%s\t%s\t%s\t%d\t%q\t%s\n", l.State, l.Camera, l.Time, l.Channel, l.Kind, l.Size, l.File, l.Reason)
			}
			return w.Flush()
		},
	}
	c.Flags().BoolVar(&asJSON, "json", false, "print JSON")
	return c
}

func segments(ctx context.Context, conf *config.Config) ([]segmentLine, error) {
	state, err := openExisting(conf.Device.State)
	if err != nil {
		return nil, err
	}
	defer state.Close()
	key, err := agent.ReadTagKey(state)
	if err != nil {
		return nil, err
	}
	queue, err := openExisting(filepath.Join(conf.Device.State, agent.SpoolDir))
	if err != nil {
		return nil, err
	}
	defer queue.Close()
	tags, err := spool.ReadTags(queue)
	if err != nil {
		return nil, err
	}
	var lines []segmentLine
	for _, c := range conf.Cameras {
		folder := agent.Folder(c, slog.New(slog.DiscardHandler))
		all, err := folder.List(ctx)
		if err != nil {
			return nil, fmt.Errorf("camera %s: %w", c.Name, err)
		}
		for _, l := range all {
			lines = append(lines, segment(c.Name, folder, l, conf.Streams, key, tags))
		}
	}
	return lines, nil
}

func segment(name string, folder *camera.Folder, l camera.Listing, streams policy.Set, key []byte, tags map[spool.Tag]bool) segmentLine {
	s := l.Segment
	line := segmentLine{Camera: name, File: s.File.Reveal(), Channel: s.Channel, Kind: s.Kind, Size: s.Size, State: "no", Reason: l.Reason}
	if !s.Start.IsZero() {
		line.Time = s.Start.Format(time.DateTime)
	}
	if l.Reason != "" {
		return line
	}
	if _, ok := streams.For(policy.Camera(s.Kind)); !ok {
		line.Reason = "no stream takes camera:" + s.Kind
		return line
	}
	f, err := folder.Open(s)
	if err != nil {
		line.Reason = err.Error()
		return line
	}
	defer f.Close()
	tag, err := f.Tag(key)
	has := func(t spool.Tag) bool { return tags[t] }
	switch {
	case err != nil:
		line.Reason = err.Error()
	case intake.Known(has, tag, s.Kind):
		line.State = "sealed"
	case intake.Risen(has, tag, s.Kind):
		line.State, line.Reason = "waiting", "locked since it was met: to be promoted, or sealed anew"
	default:
		line.State = "waiting"
	}
	return line
}

// openExisting opens a directory of a running or stopped agent without making
// it.
func openExisting(path string) (*durable.Disk, error) {
	d, err := durable.OpenExisting(path)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, fmt.Errorf("%s does not exist: the agent has never run with this configuration", path)
	}
	if errors.Is(err, fs.ErrPermission) {
		return nil, fmt.Errorf("may not read %s: run as the agent's user or as root", path)
	}
	return d, err
}
