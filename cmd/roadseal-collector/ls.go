package main

import (
	"cmp"
	"context"
	"fmt"
	"io"
	"slices"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"roadseal/agent/config/strict"
	"roadseal/agent/wire"
	"roadseal/cmd/internal/cli"
	"roadseal/cmd/internal/objstore"
)

func lsCommand() *cobra.Command {
	var asJSON bool
	c := &cobra.Command{
		Use:   "ls STORE",
		Short: "list the objects of a store",
		Long: `ls prints class, size in bytes, day of storing and name of each object, sorted,
and a summary on stderr. That is all that the store knows.

--json prints {objects: [{class, size, day, name}], bytes}.

Exit status: 0 done, 1 failed, 2 wrong command line, or not a store.`,
		Example: `  roadseal-collector ls store
  roadseal-collector ls store --json`,
		Args:              oneStore,
		ValidArgsFunction: storeFolders,
		RunE: func(cmd *cobra.Command, args []string) error {
			store, err := objstore.OpenFolder(args[0])
			if err != nil {
				return cli.Config(err)
			}
			defer store.Close()
			l, err := list(cmd.Context(), store)
			if err != nil {
				return err
			}
			if asJSON {
				return cli.PrintJSON(cmd.OutOrStdout(), l)
			}
			if err := l.print(cmd.OutOrStdout()); err != nil {
				return err
			}
			say(cmd, "%s", l.summary())
			return nil
		},
	}
	c.Flags().BoolVar(&asJSON, "json", false, "print JSON")
	return c
}

// listing is what ls --json prints.
type listing struct {
	Objects []line `json:"objects"`
	Bytes   int64  `json:"bytes"` // of all
}

type line struct {
	Class int    `json:"class"`
	Size  int64  `json:"size"`
	Day   string `json:"day"` // YYYY-MM-DD
	Name  string `json:"name"`
}

func list(ctx context.Context, s objstore.Store) (l listing, err error) {
	l.Objects = []line{}
	err = s.List(ctx, func(e objstore.Entry) error {
		l.Objects = append(l.Objects, line{e.Class, e.Size, e.Day.Format(time.DateOnly), e.Name.String()})
		l.Bytes += e.Size
		return nil
	})
	slices.SortFunc(l.Objects, func(a, b line) int {
		return cmp.Or(cmp.Compare(a.Class, b.Class), strings.Compare(a.Day, b.Day), strings.Compare(a.Name, b.Name))
	})
	return l, err
}

func (l listing) print(out io.Writer) error {
	for _, o := range l.Objects {
		if _, err := fmt.Fprintf(out, "%d %12d  %s  %s\n", o.Class, o.Size, o.Day, o.Name); err != nil {
			return err
		}
	}
	return nil
}

func (l listing) summary() string {
	var classes [wire.MaxClass + 1]int
	for _, o := range l.Objects {
		classes[o.Class]++
	}
	var parts []string
	for class, n := range classes {
		if n > 0 {
			parts = append(parts, fmt.Sprintf("%d of class %d", n, class))
		}
	}
	text := count(len(l.Objects), "object") + ", " + size(l.Bytes)
	if len(parts) > 0 {
		text += ": " + strings.Join(parts, ", ")
	}
	return text
}

// count is "1 object" or "2 objects".
func count(n int, what string) string {
	if n == 1 {
		return "1 " + what
	}
	return fmt.Sprintf("%d %ss", n, what)
}

// size is a number of bytes for people.
func size(n int64) string {
	for _, u := range []struct {
		name  string
		bytes int64
	}{{"TiB", 1 << 40}, {"GiB", 1 << 30}, {"MiB", 1 << 20}, {"KiB", 1 << 10}} {
		if n >= u.bytes {
			return fmt.Sprintf("%.1f %s", float64(n)/float64(u.bytes), u.name)
		}
	}
	return strict.Bytes(n).String()
}
