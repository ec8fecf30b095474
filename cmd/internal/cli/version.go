package cli

import (
	"fmt"
	"io"
	"runtime"
	"runtime/debug"

	"github.com/spf13/cobra"
)

// Set by the linker in release builds, so that they are the same wherever they
// are built:
//
//	-ldflags "-X roadseal/cmd/internal/cli.version=1.2.0 -X roadseal/cmd/internal/cli.commit=<hash>"
var version, commit string

// Version says which build a program is.
type Version struct {
	Program  string `json:"program"`
	Version  string `json:"version"`  // "devel" for a build that is no release
	Commit   string `json:"commit"`   // "" if the build does not know, "+changed" at the end for a changed tree
	Go       string `json:"go"`       // the compiler's version
	Platform string `json:"platform"` // GOOS/GOARCH
}

// BuildVersion returns what the linker or the go command wrote into the
// running program.
func BuildVersion(program string) Version {
	v := Version{program, version, commit, runtime.Version(), runtime.GOOS + "/" + runtime.GOARCH}
	info, ok := debug.ReadBuildInfo()
	if ok && v.Version == "" && info.Main.Version != "(devel)" {
		v.Version = info.Main.Version
	}
	if v.Version == "" {
		v.Version = "devel"
	}
	if ok && v.Commit == "" {
		v.Commit = vcs(info.Settings)
	}
	return v
}

func vcs(settings []debug.BuildSetting) string {
	revision, changed := "", ""
	for _, s := range settings {
		switch {
		case s.Key == "vcs.revision":
			revision = s.Value
		case s.Key == "vcs.modified" && s.Value == "true":
			changed = "+changed"
		}
	}
	if revision == "" {
		return ""
	}
	return revision + changed
}

// String returns one line.
func (v Version) String() string {
	if v.Commit == "" {
		return fmt.Sprintf("%s %s (%s, %s)", v.Program, v.Version, v.Go, v.Platform)
	}
	return fmt.Sprintf("%s %s (commit %s, %s, %s)", v.Program, v.Version, v.Commit, v.Go, v.Platform)
}

func versionCommand(program string) *cobra.Command {
	var asJSON bool
	cmd := &cobra.Command{
		Use:   "version",
		Short: "say which build this is",
		Long: `version says which build this is, and which commit and compiler made it.
--json prints {program, version, commit, go, platform}.

Exit status: 0 done, 1 failed, 2 wrong command line.`,
		Example: "  " + program + " version --json",
		Args:    NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			return printVersion(cmd.OutOrStdout(), BuildVersion(cmd.Root().Name()), asJSON)
		},
	}
	cmd.Flags().BoolVar(&asJSON, "json", false, "print JSON")
	return cmd
}

func printVersion(w io.Writer, v Version, asJSON bool) error {
	if asJSON {
		return PrintJSON(w, v)
	}
	_, err := fmt.Fprintln(w, v)
	return err
}
