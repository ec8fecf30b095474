package main

import (
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/creack/pty"
	"github.com/stretchr/testify/require"
	"golang.org/x/sys/unix"
)

// A person sits at a terminal.
type person struct {
	t   *testing.T
	tty *os.File
}

// sits starts the program at a terminal of its own.
func sits(t *testing.T, args ...string) (*person, *exec.Cmd) {
	cmd := exec.Command("roadseal-sign", args...)
	cmd.Dir = t.TempDir()
	tty, err := pty.Start(cmd)
	require.NoError(t, err)
	t.Cleanup(func() { _ = tty.Close() })
	return &person{t: t, tty: tty}, cmd
}

// until reads what the terminal shows up to a text, or to the end for "".
func (p *person) until(text string) string {
	var shown strings.Builder
	b := make([]byte, 1)
	for text == "" || !strings.HasSuffix(shown.String(), text) {
		if _, err := p.tty.Read(b); err != nil {
			require.Empty(p.t, text, "%s", shown.String())
			break
		}
		shown.Write(b)
	}
	return shown.String()
}

// echoes reports whether the terminal shows what is typed now.
func (p *person) echoes() bool {
	mode, err := unix.IoctlGetTermios(int(p.tty.Fd()), unix.TCGETS)
	require.NoError(p.t, err)
	return mode.Lflag&unix.ECHO != 0
}

// TestNothingTypedIsShown: whoever types, or pastes, as soon as there is a prompt
// finds the echo off already.
func TestNothingTypedIsShown(t *testing.T) {
	for range 20 {
		p, cmd := sits(t, "key", "new", "anna")
		for _, q := range [][2]string{{"new passphrase for anna: ", "correct horse battery staple\n"}, {"again: ", "another horse battery staple\n"}} {
			require.NotContains(t, p.until(q[0]), "horse")
			require.False(t, p.echoes(), "at the prompt %q", q[0])
			_, err := p.tty.WriteString(q[1])
			require.NoError(t, err)
		}
		shown := p.until("")
		require.Contains(t, shown, "the two passphrases are not the same")
		require.NotContains(t, shown, "horse")
		require.Error(t, cmd.Wait())
		require.Equal(t, 1, cmd.ProcessState.ExitCode())
		require.NoFileExists(t, filepath.Join(cmd.Dir, "anna.key"))
	}
}
