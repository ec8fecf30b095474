package cli

import (
	"errors"
	"strings"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"
)

// NoArgs is for verbs that take flags only.
func NoArgs(cmd *cobra.Command, args []string) error {
	if len(args) > 0 {
		return Usagef("%s takes no argument; got %q", cmd.Name(), args[0])
	}
	return nil
}

// Required makes the verb demand a flag. It and those below panic if the verb
// has no such flag.
func Required(cmd *cobra.Command, flag string) { must(cmd.MarkFlagRequired(flag)) }

// Files lets the shell complete a flag by files with these extensions, such as
// "toml"; with none, by all files.
func Files(cmd *cobra.Command, flag string, extensions ...string) {
	must(cobra.MarkFlagFilename(lookup(cmd, flag), flag, extensions...))
}

// Folder lets the shell complete a flag by folders.
func Folder(cmd *cobra.Command, flag string) { must(cobra.MarkFlagDirname(lookup(cmd, flag), flag)) }

// Values lets the shell complete a flag by the values that it takes; with none,
// by nothing.
func Values(cmd *cobra.Command, flag string, values ...string) {
	must(cmd.RegisterFlagCompletionFunc(flag, cobra.FixedCompletions(values, cobra.ShellCompDirectiveNoFileComp)))
}

func lookup(cmd *cobra.Command, flag string) *pflag.FlagSet {
	if cmd.PersistentFlags().Lookup(flag) != nil {
		return cmd.PersistentFlags()
	}
	return cmd.Flags()
}

func must(err error) {
	if err != nil {
		panic(err)
	}
}

// demand names all required flags that are missing, with what they take, and
// those with an empty text: a variable of a script that was never set.
func demand(cmd *cobra.Command, _ []string) error {
	var missing []string
	cmd.Flags().VisitAll(func(f *pflag.Flag) {
		_, required := f.Annotations[cobra.BashCompOneRequiredFlag]
		empty := f.Changed && f.Value.Type() == "string" && f.Value.String() == ""
		if required && !f.Changed || empty {
			name, _ := pflag.UnquoteUsage(f)
			missing = append(missing, "--"+f.Name+" "+name)
		}
	})
	if len(missing) == 0 {
		return nil
	}
	return Usagef("expected %s", strings.Join(missing, ", "))
}

// flagError says what a flag takes instead of how its value was parsed.
func flagError(_ *cobra.Command, err error) error {
	wrong, ok := errors.AsType[*pflag.InvalidValueError](err)
	if !ok {
		return err
	}
	want := ""
	switch wrong.GetFlag().Value.Type() {
	case "bool":
		want = "true or false"
	case "duration":
		want = "a time with its unit, such as 500ms, 90s or 10m"
	case "float64":
		want = "a number"
	case "uint64":
		want = "a whole number, not negative"
	case "int", "int64":
		want = "a whole number"
	default:
		return err
	}
	return Usagef("--%s %q: expected %s", wrong.GetFlag().Name, wrong.GetValue(), want)
}
