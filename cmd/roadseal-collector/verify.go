package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"strings"

	"github.com/spf13/cobra"
	"github.com/vbauerster/mpb/v8"
	"github.com/vbauerster/mpb/v8/decor"

	"roadseal/cmd/internal/cli"
	"roadseal/cmd/internal/objstore"
	"roadseal/crypto/envelope"
)

func verifyCommand() *cobra.Command {
	var asJSON bool
	var stanzas int
	c := &cobra.Command{
		Use:   "verify STORE",
		Short: "read every object of a store and check it",
		Long: `verify reads every object whole: its SHA-256 is its name, it is an age file with
exactly the agreed number of stanzas, its size is on the padding grid. It also
finds what does not belong into a store. One line for each finding; it needs no
key and changes nothing.

--json prints {objects, bytes, bad, foreign, findings: [{path, what}]}: numbers
of what was read and of what is wrong, and a finding for each of the latter.

Exit status: 0 all is as it should be, 1 failed, 2 wrong command line, or not a
store, 3 something was found.`,
		Example: `  roadseal-collector verify store
  roadseal-collector verify store --json | jq '.findings[].path'`,
		Args:              oneStore,
		ValidArgsFunction: storeFolders,
		RunE: func(cmd *cobra.Command, args []string) error {
			if stanzas < 1 || stanzas > envelope.MaxSlots {
				return cli.Usagef("--stanzas %d: expected 1 to %d", stanzas, envelope.MaxSlots)
			}
			store, err := objstore.OpenFolder(args[0])
			if err != nil {
				return cli.Config(err)
			}
			defer store.Close()
			r, err := verify(cmd.Context(), store, stanzas, cmd.ErrOrStderr())
			if asJSON && err == nil {
				err = cli.PrintJSON(cmd.OutOrStdout(), r)
			}
			if !asJSON {
				err = errors.Join(err, r.print(cmd.OutOrStdout()))
			}
			if err != nil {
				return err
			}
			if r.Bad+r.Foreign > 0 {
				return cli.WithCode(cli.Found, errors.New(r.summary()))
			}
			say(cmd, "%s", r.summary())
			return nil
		},
	}
	c.Flags().BoolVar(&asJSON, "json", false, "print JSON")
	c.Flags().IntVar(&stanzas, "stanzas", envelope.DefaultSlots, "every object must have `N` stanzas, [collector] stanzas of the configuration")
	return c
}

// result is what verify --json prints.
type result struct {
	Objects  int       `json:"objects"` // read
	Bytes    int64     `json:"bytes"`
	Bad      int       `json:"bad"`     // objects that are not what their name says, or not sealed
	Foreign  int       `json:"foreign"` // things that do not belong into a store
	Findings []finding `json:"findings"`
}

type finding struct {
	Path string `json:"path"` // in the store
	What string `json:"what"`
}

func (r *result) summary() string {
	return fmt.Sprintf("%s read, %s: %s, %s", count(r.Objects, "object"), size(r.Bytes), count(r.Bad, "bad object"), count(r.Foreign, "foreign file"))
}

func (r *result) print(out io.Writer) error {
	for _, f := range r.Findings {
		if _, err := fmt.Fprintf(out, "%s: %s\n", printable(f.Path), f.What); err != nil {
			return err
		}
	}
	return nil
}

// printable keeps control characters in the name of a foreign file from the
// terminal.
func printable(path string) string {
	if q := fmt.Sprintf("%q", path); q != `"`+path+`"` || strings.Contains(path, " ") {
		return q
	}
	return path
}

// verify reads a store. After an error it returns what it has found until then.
func verify(ctx context.Context, s *objstore.Folder, stanzas int, messages io.Writer) (*result, error) {
	r := &result{Findings: []finding{}}
	var total int64
	err := s.List(ctx, func(e objstore.Entry) error {
		total += e.Size
		return nil
	})
	if err != nil {
		return r, err
	}
	bar := newBar(messages, total)
	defer bar.end()
	err = s.List(ctx, func(e objstore.Entry) error {
		what, err := r.object(ctx, s, e, stanzas, bar)
		if what != "" {
			r.Bad++
			r.Findings = append(r.Findings, finding{e.Key.String(), what})
		}
		return err
	})
	if err != nil {
		return r, err
	}
	return r, s.Foreign(ctx, func(path, expected string) error {
		r.Foreign++
		r.Findings = append(r.Findings, finding{path, "does not belong here; expected " + expected})
		return nil
	})
}

// object checks one object and says what is wrong with it; an error is the end
// of the work.
func (r *result) object(ctx context.Context, s objstore.Store, e objstore.Entry, stanzas int, bar *bar) (string, error) {
	o, err := s.Get(ctx, e.Key)
	if errors.Is(err, fs.ErrNotExist) {
		return "", nil // its class has had its time since it was listed
	}
	if err != nil {
		return "cannot be opened: " + err.Error(), nil
	}
	r.Objects++
	r.Bytes += o.Size()
	err = objstore.Check(ctx, bar.reader(o), o.Size(), e.Name, stanzas)
	if closeErr := o.Close(); err == nil {
		err = closeErr
	}
	if err == nil || ctx.Err() != nil {
		return "", ctx.Err()
	}
	return err.Error(), nil
}

// A bar shows progress where a person looks at it.
type bar struct {
	progress *mpb.Progress // nil = nobody looks
	bar      *mpb.Bar
}

func newBar(messages io.Writer, total int64) *bar {
	f, ok := messages.(*os.File)
	if !ok || !cli.IsTerminal(f) {
		return &bar{}
	}
	p := mpb.New(mpb.WithOutput(f))
	return &bar{p, p.AddBar(total, mpb.BarRemoveOnComplete(),
		mpb.PrependDecorators(decor.CountersKibiByte("% .1f of % .1f")),
		mpb.AppendDecorators(decor.OnComplete(decor.AverageETA(decor.ET_STYLE_GO), "")))}
}

func (b *bar) end() {
	if b.progress != nil {
		b.bar.Abort(true)
		b.progress.Wait()
	}
}

// reader counts what is read of r.
func (b *bar) reader(r io.ReaderAt) io.ReaderAt {
	if b.progress == nil {
		return r
	}
	return counted{r, b.bar}
}

type counted struct {
	io.ReaderAt
	bar *mpb.Bar
}

func (c counted) ReadAt(p []byte, at int64) (int, error) {
	n, err := c.ReaderAt.ReadAt(p, at)
	c.bar.IncrBy(n)
	return n, err
}
