// Command roadseal-open is the key holder's tool: it makes keys, and lists,
// opens and exports sealed objects. It talks to no network.
//
// Side: red.
package main

import (
	"fmt"
	"os"

	"github.com/spf13/cobra"
	"golang.org/x/sys/unix"

	"roadseal/cmd/internal/cli"
)

func main() { os.Exit(run()) }

func run() int {
	// Keys and content are in this process's memory: no core file.
	if err := unix.Setrlimit(unix.RLIMIT_CORE, &unix.Rlimit{}); err != nil {
		fmt.Fprintf(os.Stderr, "roadseal-open: cannot switch core files off: %v\n", err)
		return cli.Failed
	}
	return cli.Main(rootCommand())
}

func rootCommand() *cobra.Command {
	root := &cobra.Command{
		Use:   "roadseal-open",
		Short: "open what vehicles have sealed, for who holds a key",
		Long: `roadseal-open makes keys, and lists, opens and exports what vehicles have sealed.
It talks to no network.

A sealed object is a standard age file named by its SHA-256. STORE is the folder
of a collector (or any other folder: every file in it is looked at), FILE a
sealed object, KEY an age key file with lines AGE-SECRET-KEY-PQ-1…; "-i -" reads
it from stdin. Data goes to stdout, messages to stderr.

Exit status: 0 all done, 1 something failed, and what could be opened was opened,
2 the command line is wrong, and nothing was done, 3 inspect found files that are
not in order.`,
		Example: `  roadseal-open keygen -o owner.key
  roadseal-open ls store -i owner.key
  roadseal-open open store -i owner.key -o drive
  roadseal-open export store -i owner.key --format gpx -o drive.gpx`,
	}
	return cli.Program(root, keygenCommand(), recipientCommand(), inspectCommand(), lsCommand(), openCommand(), exportCommand())
}

// some takes one argument or more.
func some(_ *cobra.Command, args []string) error {
	if len(args) == 0 {
		return cli.Usagef("expected the folder of a store, or sealed files")
	}
	return nil
}

// anyFiles lets the shell complete the arguments by files and folders.
func anyFiles(*cobra.Command, []string, string) ([]string, cobra.ShellCompDirective) {
	return nil, cobra.ShellCompDirectiveDefault
}

// The flags that several verbs share.

func identityFlag(cmd *cobra.Command, keys *[]string) {
	cmd.Flags().StringArrayVarP(keys, "identity", "i", nil, "age key file `KEY`, \"-\" for stdin; may be repeated")
	cli.Required(cmd, "identity")
	cli.Files(cmd, "identity")
}

func jsonFlag(cmd *cobra.Command, asJSON *bool) {
	cmd.Flags().BoolVar(asJSON, "json", false, "print JSON")
}
