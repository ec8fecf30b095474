package main

import (
	"fmt"
	"io"
	"os"

	"github.com/spf13/cobra"
	"github.com/vbauerster/mpb/v8"
	"github.com/vbauerster/mpb/v8/decor"

	"roadseal/cmd/internal/cli"
	"roadseal/cmd/internal/trip"
)

// Work is long, and gets a progress bar, from so many files or bytes on.
const (
	longFiles = 200
	longBytes = 256 << 20
)

// A console is stderr: messages and, if a person looks at it and the work is
// long, a progress bar below them.
type console struct {
	name     string
	out      io.Writer
	progress *mpb.Progress
	bar      *mpb.Bar
}

func newConsole(cmd *cobra.Command) *console {
	return &console{name: cmd.Root().Name(), out: cmd.ErrOrStderr()}
}

// say prints one line. A stderr that is gone is nothing to report to.
func (c *console) say(format string, a ...any) {
	line := c.name + ": " + fmt.Sprintf(format, a...) + "\n"
	if c.progress != nil {
		_, _ = io.WriteString(c.progress, line)
		return
	}
	_, _ = io.WriteString(c.out, line)
}

// fault says what is wrong with a file.
func (c *console) fault(path string, err error) { c.say("%s: %v", trip.Printable(path), err) }

// begin starts the bar for files, if it is worth one. end must follow.
func (c *console) begin(files []trip.File) {
	var total int64
	for _, f := range files {
		total += f.Size
	}
	f, ok := c.out.(*os.File)
	if !ok || !cli.IsTerminal(f) || len(files) < longFiles && total < longBytes {
		return
	}
	c.progress = mpb.New(mpb.WithOutput(f))
	c.bar = c.progress.AddBar(total, mpb.BarRemoveOnComplete(),
		mpb.PrependDecorators(decor.CountersKibiByte("% .1f of % .1f")),
		mpb.AppendDecorators(decor.OnComplete(decor.AverageETA(decor.ET_STYLE_GO), "")))
}

// done moves the bar on.
func (c *console) done(f trip.File) {
	if c.bar != nil {
		c.bar.IncrInt64(f.Size)
	}
}

// end takes the bar away.
func (c *console) end() {
	if c.progress == nil {
		return
	}
	c.bar.Abort(true)
	c.progress.Wait()
	c.progress, c.bar = nil, nil
}
