package main

import (
	"context"
	"errors"
	"log/slog"
	"os"
	"os/signal"
	"runtime/debug"
	"time"

	"github.com/spf13/cobra"
	"golang.org/x/sys/unix"

	"roadseal/agent"
	"roadseal/cmd/internal/cli"
	"roadseal/hal/watchdog"
)

// memoryLimit is where the collector of Go's memory works harder, so that the
// process stays below 32 MiB.
const memoryLimit = 20 << 20

// garbage is how much memory that is no longer used may lie about, in percent of
// what is used. Each message of an upload leaves 250 kB behind: Go's default of
// 100 would look through the heap every 4 MB.
const garbage = 200

// built is the day of the release, set by the linker from the commit
// (-X main.built=2026-11-24): no trusted time is earlier.
var built = "2026-11-24"

func runCommand() *cobra.Command {
	var debugLog bool
	c := &cobra.Command{
		Use:   "run",
		Short: "record, seal and upload until stopped",
		Long: `run works until it gets SIGTERM or SIGINT; it then makes the open batch of
positions durable and ends within 5 seconds. SIGPWR says that power is failing:
uploads stop, positions first, then event clips are sealed while [vehicle]
holdup lasts.

Under systemd (Type=notify) it says when it has begun, when it stops, and, for
as long as every one of its parts makes progress, that it lives.

A missing receiver, recorder folder or broker is waited for, and named in
"roadseal-agent status". The log goes to stderr and holds no position, vehicle
number, file name or key.

Exit status: 0 stopped by a signal, 1 failed, 2 wrong command line or
configuration; nothing was started.`,
		Example: `  roadseal-agent run -c agent.toml`,
		Args:    cli.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			level := slog.LevelInfo
			if debugLog {
				level = slog.LevelDebug
			}
			return run(cmd, slog.New(slog.NewTextHandler(cmd.ErrOrStderr(), &slog.HandlerOptions{Level: level})))
		},
	}
	c.Flags().BoolVar(&debugLog, "debug", false, "log more, still nothing private")
	return c
}

func run(cmd *cobra.Command, log *slog.Logger) error {
	conf, err := load(cmd)
	if err != nil {
		return err
	}
	if err := harden(); err != nil {
		return err
	}
	day, err := time.Parse(time.DateOnly, built)
	if err != nil {
		return err
	}
	power := make(chan os.Signal, 1)
	signal.Notify(power, unix.SIGPWR)
	defer signal.Stop(power)
	o := agent.Options{Config: conf, Version: cli.BuildVersion("roadseal-agent").Version, Build: day, Log: log,
		Watchdog: watchdog.New(watchdog.FromEnvironment(os.Getenv), log)}
	for err = agent.ErrAgain; errors.Is(err, agent.ErrAgain) && cmd.Context().Err() == nil; {
		err = once(cmd.Context(), o, power)
	}
	log.Info("stopped")
	return err
}

// once runs one agent from its making to its end.
func once(ctx context.Context, o agent.Options, power <-chan os.Signal) error {
	a, err := agent.New(o)
	if err != nil {
		return cli.Config(err)
	}
	ctx, stop := context.WithCancel(ctx)
	defer stop()
	go func() {
		select {
		case <-power:
			a.PowerFail()
		case <-ctx.Done():
		}
	}()
	return errors.Join(a.Run(ctx), a.Close())
}

// harden keeps plaintext out of core dumps and the process small.
func harden() error {
	debug.SetMemoryLimit(memoryLimit)
	debug.SetGCPercent(garbage)
	if err := unix.Setrlimit(unix.RLIMIT_CORE, &unix.Rlimit{}); err != nil {
		return err
	}
	return unix.Prctl(unix.PR_SET_DUMPABLE, 0, 0, 0, 0)
}
