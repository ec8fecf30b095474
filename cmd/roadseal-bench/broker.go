package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"strings"

	"github.com/spf13/cobra"

	"roadseal/agent/profile"
	"roadseal/cmd/internal/bench"
	"roadseal/cmd/internal/bench/capture"
	"roadseal/cmd/internal/broker"
	"roadseal/cmd/internal/cli"
	"roadseal/crypto/mtls"
)

func brokerCommand() *cobra.Command {
	var s brokerServer
	cmd := &cobra.Command{
		Use:   "broker --ca FILE --certificate FILE --key FILE",
		Short: "run the MQTT broker of the bench, for tests only",
		Long: `broker runs the MQTT broker that the bench uses, until it gets SIGTERM: mutual
TLS 1.3, a client id that is the certificate's common name, topics that are the
client's own. It keeps everything in memory and takes bench certificates only.

It prints "listening on ADDRESS". With --capture, every message that it accepts
is written to a new file. With --profile it enforces the limits of that broker:
who violates one is cut off, and the log says with what. Where AWS IoT Core would
only delay or drop it is stricter than that.

Exit status: 0 stopped by a signal, 1 failed, 2 wrong command line, or a
certificate that is not of the bench.`,
		Example: `  roadseal-bench broker --ca ca.pem --certificate broker.pem --key broker.key
  roadseal-bench broker --profile aws --ca ca.pem --certificate broker.pem \
      --key broker.key`,
		Args: cli.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			return s.serve(cmd.Context(), cmd.OutOrStdout(), cmd.ErrOrStderr())
		},
	}
	f := cmd.Flags()
	f.StringVar(&s.listen, "listen", "127.0.0.1:0", "listen on `ADDRESS`; port 0 takes any")
	f.StringVar(&s.files.CA, "ca", "", "certificate `FILE` of the bench CA, PEM")
	f.StringVar(&s.files.Certificate, "certificate", "", "certificate `FILE` of the broker, PEM")
	f.StringVar(&s.files.Key, "key", "", "private key `FILE` of the broker, PEM")
	f.StringVar(&s.capture, "capture", "", "write all messages to this new `FILE`")
	f.StringVar(&s.profile, "profile", "", "enforce the limits of `BROKER`: "+strings.Join(profile.Names(), ", "))
	cli.Values(cmd, "listen")
	cli.Values(cmd, "profile", profile.Names()...)
	cli.Files(cmd, "capture")
	for _, name := range []string{"ca", "certificate", "key"} {
		cli.Required(cmd, name)
		cli.Files(cmd, name, "pem", "key")
	}
	return cmd
}

type brokerServer struct {
	files                    mtls.Files
	listen, capture, profile string
}

func (s brokerServer) serve(ctx context.Context, out, log io.Writer) error {
	conf, err := mtls.Server(mtls.Options{Files: s.files, Bench: true})
	if err != nil {
		return cli.Config(err)
	}
	o := broker.Options{Address: s.listen, TLS: conf}
	if s.profile != "" {
		limits, err := broker.Like(s.profile)
		if err != nil {
			return cli.WithCode(cli.Usage, err)
		}
		o.Limits = &limits
		logger := slog.New(slog.NewTextHandler(log, nil))
		o.Violation = func(what string) { logger.Warn(bench.Violation, "limit", what, "profile", s.profile) }
	}
	failed := make(chan error, 1)
	if s.capture != "" {
		w, err := capture.Create(s.capture)
		if err != nil {
			return err
		}
		defer w.Close()
		o.Capture = func(topic string, payload []byte) {
			if err := w.Publish(topic, payload); err != nil {
				select {
				case failed <- err:
				default: // the first one is enough
				}
			}
		}
	}
	b, err := broker.Start(o)
	if err != nil {
		return err
	}
	if _, err := fmt.Fprintf(out, "listening on %s\n", b.Address()); err != nil {
		return errors.Join(err, b.Close())
	}
	select {
	case <-ctx.Done():
		return b.Close()
	case err := <-failed:
		return errors.Join(err, b.Close())
	}
}
