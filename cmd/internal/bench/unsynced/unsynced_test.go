package unsynced

import (
	"fmt"
	"os"
	"os/exec"
	"testing"

	"github.com/stretchr/testify/require"
	"golang.org/x/sys/unix"
)

const probe = "probe the syncs" // argument with which this test program makes them

// TestMain lets this test program be launcher and probe too.
func TestMain(m *testing.M) {
	switch args := os.Args; {
	case len(args) > 3 && args[1] == Verb && args[2] == "--":
		fmt.Fprintln(os.Stderr, Exec(args[3:]))
		os.Exit(1)
	case len(args) == 2 && args[1] == probe:
		// No file has this number: whoever looks at it says EBADF.
		fmt.Println(unix.Fsync(-1), unix.Fdatasync(-1), unix.Syncfs(-1), unix.Fchmod(-1, 0))
		os.Exit(7)
	}
	os.Exit(m.Run())
}

func TestNoSyncReachesTheKernel(t *testing.T) {
	self, err := os.Executable()
	require.NoError(t, err)
	run := func(before ...string) string {
		args := append(before, self, probe)
		out, err := exec.Command(args[0], args[1:]...).Output()
		var ended *exec.ExitError
		require.ErrorAs(t, err, &ended)
		require.Equal(t, 7, ended.ExitCode(), "%s%s", out, ended.Stderr)
		return string(out)
	}
	const bad = "bad file descriptor"
	require.Equal(t, bad+" "+bad+" "+bad+" "+bad+"\n", run())
	require.Equal(t, "<nil> <nil> <nil> "+bad+"\n", run(Command(self)...))
}

func TestExecSaysWhatIsMissing(t *testing.T) {
	require.ErrorContains(t, Exec([]string{"no-such-program"}), "cannot find the program")
}
