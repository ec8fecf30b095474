package main

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"path/filepath"
	"runtime/debug"
	"time"

	"github.com/spf13/cobra"

	"roadseal/agent/mqttlink"
	"roadseal/agent/profile"
	"roadseal/agent/wire"
	"roadseal/cmd/internal/cli"
	"roadseal/cmd/internal/collector"
	"roadseal/cmd/internal/mirror"
	"roadseal/cmd/internal/objstore"
	"roadseal/hal/durable"
)

func serveCommand() *cobra.Command {
	var path string
	var check, debug bool
	c := &cobra.Command{
		Use:   "serve",
		Short: "take objects from the broker until stopped",
		Long: `serve connects to the broker, stores what the vehicles of its shards send, and
answers with receipts. It tries for ever to connect, says once that it cannot
and once that it can. SIGTERM or SIGINT stops it within seconds; what was
arriving goes on at the next start.

The log goes to stderr and never holds a device together with an object. A line
with ALARM says that the store holds other bytes under a name than were stored;
nothing is overwritten.

[quota] bounds what vehicles can make it keep of objects that are arriving, each
by itself and all together, and [store] keep_free what they leave of the disk.
When it is short of space it says so once, refuses new objects for a while, and
goes on giving receipts for those that it has.

[repository] names the folder of a release repository. Vehicles get its files
block by block, after everything else; a vehicle sees those for the fleet and its
own. A folder that is not there is no reason not to start: it is looked for each
time that a vehicle asks.

Exit status: 0 stopped by a signal, or no fault found by --check, 1 failed, 2
wrong command line or configuration (nothing was started), 3 there was an ALARM.`,
		Example: `  roadseal-collector serve --check -c collector.toml
  roadseal-collector serve -c collector.toml`,
		Args: cli.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			s, err := load(path)
			if err != nil {
				return cli.Config(err)
			}
			if check {
				if s.repositoryFault != nil {
					return cli.Config(s.repositoryFault)
				}
				_, err := fmt.Fprintf(cmd.OutOrStdout(), "%s: no fault found\n", path)
				return err
			}
			return serve(cmd.Context(), s, newLog(cmd.ErrOrStderr(), debug))
		},
	}
	c.Flags().StringVarP(&path, "config", "c", "/etc/roadseal/collector.toml", "configuration `FILE`")
	c.Flags().BoolVar(&check, "check", false, "only check the configuration and the files it names")
	cli.Files(c, "config", "toml")
	c.Flags().BoolVar(&debug, "debug", false, "log more")
	return c
}

func newLog(w io.Writer, debug bool) *slog.Logger {
	level := slog.LevelInfo
	if debug {
		level = slog.LevelDebug
	}
	return slog.New(slog.NewTextHandler(w, &slog.HandlerOptions{Level: level}))
}

// Limits of the session with the broker.
const (
	keepAlive = 20 * time.Second
	// queue is how many messages may wait for the collector; the broker must
	// not allow more unacknowledged ones (mosquitto: max_inflight_messages).
	queue = 1024
	// garbage is how much memory that is no longer used may lie about, in
	// percent of what is used: each message leaves 128 KiB behind.
	garbage = 400
)

func serve(ctx context.Context, s *settings, log *slog.Logger) error {
	debug.SetGCPercent(garbage)
	disk, err := durable.OpenDisk(s.store)
	if err != nil {
		return fmt.Errorf("cannot open the store: %w", err)
	}
	store, err := objstore.NewFolder(disk, s.limits)
	if err != nil {
		return errors.Join(fmt.Errorf("cannot open the store: %w", err), disk.Close())
	}
	board, err := newBoard(s.status, log)
	if err != nil {
		return errors.Join(err, store.Close())
	}
	announce(s, log)
	var repository collector.Repository
	if s.repository != "" {
		repository = mirror.New(s.repository)
	}
	c := collector.New(collector.Options{
		Dial: collector.Dial(mqttlink.Options{Address: s.address, ClientID: s.identity.CommonName, TLS: s.tls, MaxPacket: wire.MaxUp,
			KeepAlive: keepAlive, Persistent: true, ManualAck: true, Queue: queue,
			Pace: profile.NewPace(s.broker), InFlight: s.broker.InFlight}, s.shards),
		Store: store, Key: s.key, StoreID: s.storeID, Shards: s.shards, Slots: s.stanzas, Quota: s.quota,
		Repository: repository, Status: board.show, Log: log,
	})
	err = c.Run(ctx)
	if errors.Is(err, context.Canceled) {
		err = nil // that is how it ends
	}
	last := board.last
	log.Info("stopped", "stored", last.Stored, "receipts", last.Receipts, "alarms", last.Alarms)
	err = errors.Join(err, board.close(), store.Close())
	if err == nil && last.Alarms > 0 {
		err = cli.WithCode(cli.Found, fmt.Errorf(`%d times the store held other bytes than a name says; "roadseal-collector verify" finds all such objects`, last.Alarms))
	}
	return err
}

// announce says at the start who this is.
func announce(s *settings, log *slog.Logger) {
	log.Info("collector starts", "version", cli.BuildVersion("roadseal-collector").Version, "receipt_key", s.key.String(),
		"store_id", fmt.Sprintf("%x", s.storeID), "shards", s.shards.String(), "store", s.store)
	if s.bench {
		log.Warn("BENCH: only throw-away certificates are accepted; this is not for production")
	}
	if s.repositoryFault != nil {
		log.Warn("vehicles that ask for releases are told to ask again", "err", mirror.Check(s.repository))
	}
	if left := time.Until(s.identity.NotAfter); left < 30*24*time.Hour {
		log.Warn("the client certificate expires soon", "not_after", s.identity.NotAfter.UTC().Format(time.DateOnly))
	}
}

// A board shows the collector's status in a file.
type board struct {
	disk *durable.Disk // nil = nowhere
	name string
	log  *slog.Logger
	ill  bool
	last collector.Status
}

func newBoard(path string, log *slog.Logger) (*board, error) {
	b := &board{log: log, name: filepath.Base(path)}
	if path == "" {
		return b, nil
	}
	var err error
	if b.disk, err = durable.OpenDisk(filepath.Dir(path)); err != nil {
		return nil, fmt.Errorf("cannot write the status: %w", err)
	}
	return b, nil
}

// show is called from the collector's goroutine.
func (b *board) show(s collector.Status) {
	b.last = s
	if b.disk == nil {
		return
	}
	var text bytes.Buffer
	err := cli.PrintJSON(&text, s)
	if err == nil {
		err = durable.WriteVolatile(b.disk, ".", b.name, text.Bytes())
	}
	if err != nil && !b.ill {
		b.log.Warn("cannot write the status", "err", err)
	}
	b.ill = err != nil
}

func (b *board) close() error {
	if b.disk == nil {
		return nil
	}
	return b.disk.Close()
}
