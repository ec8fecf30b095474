package main

import (
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"github.com/spf13/cobra"

	"roadseal/cmd/internal/bench/crash"
	"roadseal/cmd/internal/cli"
)

func crashCommand() *cobra.Command {
	var c crashFlags
	cmd := &cobra.Command{
		Use:   "crash",
		Short: "cut the power of agent and collector at every moment that matters",
		Long: `crash runs the real agent and the real collector under strace and cuts their
power: SIGKILL at every durable system call; every state that a power cut can
leave of what was not synced, by two models of a file system; ENOSPC and EIO at
every operation; a second fault during the recovery from a first. After each
they are started again, and every clip must be in the store exactly once, whole,
or named as a loss if it had to give way, with nothing left over. A guard then
takes each sync out of the recording: the replay must notice.

It needs root and the Debian package strace, with --arch armv7 also qemu-user,
and takes about three minutes on two processors. The seed draws what is only
sampled: states, double faults, with --arch armv7 also the calls.

--json prints {seed, sweeps, mutants, passed, seconds}.

Exit status: 0 no promise was broken, 1 one was or the run could not be made, 2
wrong command line.`,
		Example: `  roadseal-bench crash
  roadseal-bench crash --arch armv7 --agent bin/roadseal-agent-armv7`,
		Args: cli.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error { return c.run(cmd) },
	}
	f := cmd.Flags()
	f.StringVar(&c.arch, "arch", "native", "`ARCH`: native, or armv7: that agent in an emulator, and a sample of the points")
	f.StringVar(&c.o.Work, "work", "", "folder `DIR` for what the run makes (default: in memory)")
	f.IntVar(&c.states, "states", 0, "replay at most `N` states of each program (default: enough)")
	f.BoolVar(&c.json, "json", false, "print JSON")
	seedFlag(cmd, &c.o.Seed)
	programFlags(cmd, &c.o.Agent, &c.o.Collector)
	cli.Values(cmd, "arch", "native", "armv7")
	cli.Folder(cmd, "work")
	return cmd
}

type crashFlags struct {
	o      crash.Options
	arch   string
	states int
	json   bool
}

func (c *crashFlags) run(cmd *cobra.Command) error {
	if err := c.complete(); err != nil {
		return cli.WithCode(cli.Usage, err)
	}
	p := paper{cmd.ErrOrStderr()}
	p.text("seed %d", c.o.Seed)
	c.o.Tell = func(s *crash.Sweep) { tellSweep(p, s) }
	r, err := crash.Run(cmd.Context(), c.o)
	if cmd.Context().Err() != nil {
		return errors.New("interrupted: the sweeps are not complete")
	}
	if err != nil {
		return err
	}
	tellReport(p, r)
	if c.json {
		if err := cli.PrintJSON(cmd.OutOrStdout(), r); err != nil {
			return err
		}
	}
	return crashVerdict(cmd.ErrOrStderr(), r)
}

// complete finds the programs and makes the plan.
func (c *crashFlags) complete() error {
	agent := "roadseal-agent"
	switch c.arch {
	case "native":
		c.o.Plan = crash.Native()
	case "armv7":
		c.o.Plan, c.o.Emulator = crash.Emulated(), []string{"qemu-arm"}
		agent = "roadseal-agent-armv7"
	default:
		return fmt.Errorf("cannot test --arch %q: expected native or armv7", c.arch)
	}
	if c.states > 0 {
		c.o.Plan.States = c.states
	}
	self, err := os.Executable()
	if err != nil {
		return fmt.Errorf("cannot find the own program: %w", err)
	}
	for path, name := range map[*string]string{&c.o.Agent: agent, &c.o.Collector: "roadseal-collector"} {
		if *path == "" {
			*path = filepath.Join(filepath.Dir(self), name)
		}
		if *path, err = filepath.Abs(*path); err != nil {
			return err
		}
		if _, err := os.Stat(*path); err != nil {
			return fmt.Errorf("cannot find %s: %w; build it there, or name it with a flag", name, err)
		}
	}
	return nil
}

// tellSweep prints one line, and what was broken first.
func tellSweep(p paper, s *crash.Sweep) {
	var notes []string
	for what, n := range s.Counts {
		notes = append(notes, fmt.Sprintf("%d %s", n, what))
	}
	slices.Sort(notes)
	if s.Broken > 0 {
		notes = append([]string{fmt.Sprintf("%d BROKEN", s.Broken)}, notes...)
	}
	p.text("%-26s %-20s %5.1f s  %s", s.Name, points(s)+" points", s.Seconds, strings.Join(notes, ", "))
	p.lines(s.Examples, len(s.Examples))
}

// points of a sweep, and of how many, if they were sampled.
func points(s *crash.Sweep) string {
	if s.Of > s.Points {
		return fmt.Sprintf("%d of %d", s.Points, s.Of)
	}
	return fmt.Sprint(s.Points)
}

// tellReport adds all sweeps up.
func tellReport(p paper, r crash.Report) {
	if lines := r.Harmless(); len(lines) > 0 {
		p.text("syncs whose loss breaks nothing:")
		p.lines(lines, len(lines))
	}
	for _, kind := range []struct{ name, what string }{
		{"kill", "kill points"}, {"replay", "unique crash states"}, {"ENOSPC", "calls that failed for want of space"},
		{"EIO", "calls that failed by a broken medium"}, {"double", "second faults during a recovery"}, {"guard", "syncs taken out"},
	} {
		var parts []string
		for _, s := range r.Sweeps {
			of, ok := strings.CutPrefix(s.Name, kind.name+" ")
			if ok {
				parts = append(parts, of+" "+points(s))
			}
		}
		if slices.Sort(parts); len(parts) > 0 {
			p.text("%-37s %s", kind.what+":", strings.Join(parts, ", "))
		}
	}
	var sums []string
	for _, flaw := range crash.Flaws {
		sums = append(sums, fmt.Sprintf("%s %d", flaw, r.Total(func(s *crash.Sweep) int { return s.Flaws[flaw] })))
	}
	p.text("%s", strings.Join(sums, ", "))
}

// crashVerdict prints the last line.
func crashVerdict(w io.Writer, r crash.Report) error {
	all := r.Total(func(s *crash.Sweep) int { return s.Points })
	broken := r.Total(func(s *crash.Sweep) int { return s.Broken })
	if !r.Passed {
		return fmt.Errorf("crash: FAILED: %d of %d points broke a promise (seed %d, %.0f s)", broken, all, r.Seed, r.Seconds)
	}
	_, err := fmt.Fprintf(w, "crash: PASSED: %d points, no promise broken (seed %d, %.0f s)\n", all, r.Seed, r.Seconds)
	return err
}
