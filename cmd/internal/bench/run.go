package bench

import (
	"context"
	"errors"
	"os"
	"time"

	"roadseal/cmd/internal/bench/judge"
	"roadseal/cmd/internal/bench/player"
	"roadseal/cmd/internal/bench/report"
	"roadseal/cmd/internal/cli"
)

// A Result is the outcome of a run.
type Result struct {
	Report report.Report
	Scenes report.Scenes
	Out    string // folder of the run, absolute
}

// Run plays a drive from end to end, judges it and writes the report. A check
// that does not hold is no error: it is in the report. An error says that the
// run could not be made; the folder is then left as it is.
func Run(ctx context.Context, o Options) (res Result, err error) {
	if err := o.check(); err != nil {
		return res, cli.WithCode(cli.Usage, err)
	}
	rec, err := player.Cut(o.Recording)
	if err != nil {
		return res, err
	}
	f, err := prepare(o.Out)
	if err != nil {
		return res, err
	}
	if res, err = runIn(ctx, o, f, rec); err != nil {
		return res, err
	}
	if res.Report.Passed && !o.Keep {
		return res, os.RemoveAll(f.work())
	}
	return res, nil
}

func runIn(ctx context.Context, o Options, f folder, rec player.Recording) (res Result, err error) {
	begin := time.Now()
	rig, err := newRig(ctx, o, f)
	if err != nil {
		return res, err
	}
	defer func() { err = errors.Join(err, rig.close()) }()
	s, err := newSession(o, f, rec, rig)
	if err != nil {
		return res, err
	}
	if err := s.run(ctx); err != nil {
		return res, err
	}
	o.Tell.Step("The key holder opens the store, and an outsider searches it.")
	res.Out = string(f)
	evidence, err := s.evidence()
	if err != nil {
		return res, err
	}
	if res.Report, res.Scenes, err = judge.Judge(ctx, evidence); err != nil {
		return res, err
	}
	res.Report.Times.Total = time.Since(begin).Seconds()
	return res, report.Write(res.Out, res.Report, res.Scenes)
}
