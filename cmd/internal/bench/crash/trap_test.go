package crash

import (
	"testing"

	"github.com/stretchr/testify/require"
)

// TestWhatATrapCounts: calls as strace -y writes them, up to where it holds
// them.
func TestWhatATrapCounts(t *testing.T) {
	const root = "/w/vehicle"
	for text, want := range map[string]string{
		`openat(8</w/vehicle/state>, "boot.tmp", O_RDWR|O_CREAT|O_EXCL, 0600`:        "openat state",
		`openat(AT_FDCWD</w>, "/w/vehicle/state/spool/12.tmp", O_RDWR|O_CREAT, 0600`: "openat state/spool/N.tmp",
		`write(19</w/vehicle/state/spool/3.tmp>, ""..., 65552`:                       "write state/spool/N.tmp",
		`fsync(8</w/vehicle>`:                            "fsync ROOT",
		`write(14<socket:[77]>, ""..., 50`:               "write to the peer",
		`mkdirat(AT_FDCWD</w>, "/w/vehicle/state", 0700`: "mkdirat state",
		// These change nothing of the program's files.
		`openat(8</w/vehicle/state>, "boot", O_RDONLY|O_NONBLOCK`: "",
		`write(2</w/agent.log>, ""..., 130`:                       "",
		`fsync(5</w/run>`:                                         "",
		`<... fsync resumed>) = 0`:                                "",
		`+++ killed by SIGKILL +++`:                               "",
		`open`:                                                    "",
	} {
		require.Equal(t, want != "", changes(text, root), text)
		if want != "" {
			require.Equal(t, want, met(text, root), text)
		}
	}
}

// TestATrapCountsEachCallOnce: lines arrive in parts, and those of several
// threads between each other.
func TestATrapCountsEachCallOnce(t *testing.T) {
	trap := &trap{root: "/w/vehicle", nth: 4}
	r := &trapReader{trap: trap}
	for _, part := range []struct {
		text string
		done bool
	}{
		{`1 fsync(5</w/vehicle/state>`, false},
		{`1 fsync(5</w/vehicle/state> <unfinished ...>`, true},
		{`2 unlinkat(8</w/vehicle/state>, "boot.tmp", 0) = -1 ENOENT (No such file or directory) (DELAYED)`, true},
		{`1 <... fsync resumed>) = 0 (DELAYED)`, true},
		{`2 openat(8</w/vehicle/state>, "boot", O_RDONLY) = 3</w/vehicle/state/boot>`, true},
		{`2 renameat(8</w/vehicle/state>, "a", 8</w/vehicle/state>, "b"`, false},
	} {
		r.line = append(r.line[:0], part.text...)
		r.grown(part.done)
		if part.done {
			r.seen = false
		}
	}
	require.Equal(t, 3, trap.count)
	require.Empty(t, trap.met())
	require.False(t, trap.disarm())
}
