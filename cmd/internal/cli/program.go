package cli

import (
	"fmt"
	"strings"

	"github.com/spf13/cobra"
)

// Program completes a program: its verbs and those that all programs have. The
// help of every verb states its exit statuses in a last paragraph that begins
// with "Exit status: ".
func Program(root *cobra.Command, verbs ...*cobra.Command) *cobra.Command {
	for _, v := range append(verbs, versionCommand(root.Name()), completionCommand(root.Name())) {
		if v.ValidArgsFunction == nil && v.ValidArgs == nil {
			v.ValidArgsFunction = cobra.NoFileCompletions
		}
		root.AddCommand(v)
	}
	root.CompletionOptions.DisableDefaultCmd = true
	root.SetHelpCommand(helpCommand(root.Name()))
	root.InitDefaultHelpCmd()
	return root
}

// helpCommand is cobra's, but fails for a verb that is not there.
func helpCommand(program string) *cobra.Command {
	return &cobra.Command{
		Use:   "help [VERB]",
		Short: "explain a verb",
		Long: `help explains a verb, as --help does after it, or the whole program.

Exit status: 0 done, 2 there is no such verb.`,
		Example: "  " + program + " help version",
		ValidArgsFunction: func(cmd *cobra.Command, args []string, _ string) (names []string, _ cobra.ShellCompDirective) {
			for _, c := range cmd.Root().Commands() {
				if len(args) == 0 && c.IsAvailableCommand() {
					names = append(names, cobra.CompletionWithDesc(c.Name(), c.Short))
				}
			}
			return names, cobra.ShellCompDirectiveNoFileComp
		},
		RunE: func(cmd *cobra.Command, args []string) error {
			verb, rest, err := cmd.Root().Find(args)
			if err != nil || len(rest) > 0 {
				return Usagef("there is no verb %q", strings.Join(args, " "))
			}
			verb.InitDefaultHelpFlag()
			return verb.Help()
		},
	}
}

func completionCommand(program string) *cobra.Command {
	shells := []string{"bash", "zsh", "fish"}
	return &cobra.Command{
		Use:   "completion bash|zsh|fish",
		Short: "print the script that completes command lines in a shell",
		Long: fmt.Sprintf(`completion prints the script that lets a shell complete verbs, flags, their
values and files; bash needs its package bash-completion. To have it in every
session, write it to
  bash  /etc/bash_completion.d/%[1]s
  zsh   _%[1]s in a folder of $fpath
  fish  ~/.config/fish/completions/%[1]s.fish

Exit status: 0 done, 1 failed, 2 wrong command line.`, program),
		Example: fmt.Sprintf("  source <(%[1]s completion bash)\n  %[1]s completion fish > %[1]s.fish", program),
		Args: func(_ *cobra.Command, args []string) error {
			if len(args) != 1 {
				return Usagef("expected one shell: %s", strings.Join(shells, ", "))
			}
			return nil
		},
		ValidArgs: shells,
		RunE: func(cmd *cobra.Command, args []string) error {
			root, out := cmd.Root(), cmd.OutOrStdout()
			switch args[0] {
			case "bash":
				return root.GenBashCompletionV2(out, true)
			case "zsh":
				return root.GenZshCompletion(out)
			case "fish":
				return root.GenFishCompletion(out, true)
			}
			return Usagef("unknown shell %q; expected one of %s", args[0], strings.Join(shells, ", "))
		},
	}
}
