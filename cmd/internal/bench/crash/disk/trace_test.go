package disk

import (
	"fmt"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

// hexed is a string as strace -xx prints it.
func hexed(s string) string {
	var b strings.Builder
	for i := range len(s) {
		fmt.Fprintf(&b, `\x%02x`, s[i])
	}
	return `"` + b.String() + `"`
}

func parse(t *testing.T, lines ...string) []call {
	t.Helper()
	calls, err := parseTrace(strings.NewReader(strings.Join(lines, "\n") + "\n"))
	require.NoError(t, err)
	return calls
}

func TestCallsComeInTheOrderOfTheirEnd(t *testing.T) {
	calls := parse(t,
		`10 1700000000.000001 fsync(5 <unfinished ...>`,
		`11 1700000000.000002 write(6, `+hexed("a, (b)")+`, 6) = 6`,
		`10 1700000000.000003 <... fsync resumed>) = 0`,
		`12 1700000000.000004 openat(AT_FDCWD, `+hexed("/x")+`, O_RDWR|O_CREAT|O_CLOEXEC, 0600) = -1 ENOENT (No such file or directory)`,
		`12 1700000000.000005 mmap(NULL, 4096, PROT_READ, MAP_SHARED, 3, 0) = 0x7f0000000000`,
		`13 1700000000.000006 fsync(7) = ?`,
		`13 1700000000.000007 +++ killed by SIGKILL +++`,
		`11 1700000000.000008 fsync(9 <unfinished ...>`,
		`11 1700000000.000009 <... fsync resumed> <unfinished ...>) = ?`,
		`14 1700000000.000010 ???( <unfinished ...>`,
		`14 1700000000.000011 <... ??? resumed>) = ?`,
		`15 1700000000.000012 ???( <detached ...>`,
		`16 1700000000.000013 fsync(9 <unfinished ...>`,
	)
	require.Len(t, calls, 4, "one that never ended is no call")
	require.Equal(t, call{name: "write", args: []string{"6", hexed("a, (b)"), "6"}, ret: 6, begun: 2, ended: 2, time: 1700000000000002}, calls[0])
	require.Equal(t, "fsync", calls[1].name)
	require.Equal(t, []int{1, 3}, []int{calls[1].begun, calls[1].ended})
	require.True(t, calls[2].failed)
	require.True(t, calls[2].has(2, "O_CREAT"))
	require.False(t, calls[2].has(2, "O_TRUNC"))
	require.Equal(t, "mmap", calls[3].name)
	b, err := calls[0].bytes(1)
	require.NoError(t, err)
	require.Equal(t, "a, (b)", string(b))
}

func TestATraceThatCannotBeReadIsAnError(t *testing.T) {
	for _, text := range []string{
		"nonsense",
		"10 1700000000.000001 <... fsync resumed>) = 0",
		"10 1700000000.000001 fsync(5) is done",
		"10 1700000000.000001 fsync(5) = 99999999999999999999",
	} {
		_, err := parseTrace(strings.NewReader(text + "\n"))
		require.ErrorContains(t, err, "trace line 1", text)
	}
	c := parse(t, `10 1.000001 write(6, "\x41"..., 6) = 6`)[0]
	_, err := c.bytes(1)
	require.ErrorIs(t, err, errArgument, "a string that was cut")
	for _, odd := range []string{`"0000"`, `"\x4"`, `"\x4g"`, `"\x4A"`, `"\x410"`, `4`} {
		_, err := (call{name: "write", args: []string{odd}}).bytes(0)
		require.ErrorIs(t, err, errArgument, odd)
	}
	_, err = c.number(1)
	require.ErrorIs(t, err, errArgument)
	_, err = c.number(7)
	require.ErrorIs(t, err, errArgument)
}

func FuzzTrace(f *testing.F) {
	f.Add("10 1.000001 write(6, \"\\x41\", 1) = 1\n10 1.000002 fsync(6 <unfinished ...>\n10 1.000003 <... fsync resumed>) = 0\n")
	f.Add("10 1.000001 fcntl(3) = 0\n10 1.000001 renameat2() = 0\n10 1.000001 mmap() = 0\n")
	f.Add("10 1.000001 openat(AT_FDCWD, \"\\x2f\\x72\\x2f\\x61\", O_RDWR|O_CREAT, 0600) = 3\n10 1.000002 pwrite64(3, \"\\x41\", 1, 9) = 1\n")
	f.Fuzz(func(t *testing.T, text string) {
		if len(text) > 4096 {
			return
		}
		calls, err := parseTrace(strings.NewReader(text))
		for _, c := range calls {
			for i := range c.args {
				if b, err := c.bytes(i); err == nil {
					require.Equal(t, c.args[i], hexed(string(b)), "what was read is what was written")
				}
			}
		}
		require.True(t, err == nil || calls == nil)
		x := NewReader("/r", Tree{"b": Given([]byte("b"))})
		if x.ReadTrace(strings.NewReader(text)) != nil {
			return
		}
		for _, o := range x.History().Ops {
			require.NotEmpty(t, o.Label())
		}
	})
}
