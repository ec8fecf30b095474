package clitest

import (
	"bytes"
	"io"
	"os"
	"os/exec"
	"strings"

	"github.com/creack/pty"
	"github.com/rogpeppe/go-internal/testscript"
)

// terminal runs a program at a terminal of its own, as its controlling one.
func terminal(ts *testscript.TestScript, neg bool, args []string) {
	typed := strings.SplitAfter(ts.ReadFile("typed"), "\n")
	cmd := exec.Command(args[0], args[1:]...)
	cmd.Dir = ts.MkAbs(".")
	cmd.Env = []string{"PATH=" + ts.Getenv("PATH"), "HOME=" + ts.Getenv("HOME")}
	tty, err := pty.Start(cmd)
	ts.Check(err)
	shown := talk(tty, typed)
	err = cmd.Wait()
	ts.Check(tty.Close())
	ts.Check(os.WriteFile(ts.MkAbs("shown"), shown, 0o600))
	if neg != (err != nil) {
		ts.Fatalf("%s: %v; it showed:\n%s", strings.Join(args, " "), err, shown)
	}
}

// talk types a line whenever a prompt is shown, and returns all that was shown.
func talk(tty io.ReadWriter, typed []string) []byte {
	var shown, line bytes.Buffer
	b := make([]byte, 1)
	for {
		n, err := tty.Read(b)
		if err != nil {
			return shown.Bytes() // EIO: the program has ended
		}
		shown.Write(b[:n])
		line.Write(b[:n])
		if b[0] == '\n' {
			line.Reset()
		}
		prompt := strings.HasPrefix(line.String(), "passphrase of ") || strings.HasPrefix(line.String(), "new passphrase for ") ||
			strings.HasPrefix(line.String(), "again") || strings.HasSuffix(line.String(), "Type yes to sign: ")
		if prompt && strings.HasSuffix(line.String(), ": ") && len(typed) > 0 {
			line.Reset()
			if _, err := io.WriteString(tty, typed[0]); err != nil {
				return shown.Bytes()
			}
			typed = typed[1:]
		}
	}
}
