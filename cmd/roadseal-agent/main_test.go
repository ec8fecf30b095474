package main

import (
	"crypto/ed25519"
	"encoding/base64"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/rogpeppe/go-internal/testscript"
	"github.com/stretchr/testify/require"

	"roadseal/cmd/internal/bench/pki"
	"roadseal/cmd/internal/cli"
	"roadseal/cmd/internal/cli/clitest"
	"roadseal/crypto/open"
)

func TestMain(m *testing.M) {
	testscript.Main(m, map[string]func(){"roadseal-agent": func() { os.Exit(cli.Main(root())) }})
}

// TestScripts runs the real program; each script is one thing a person does.
func TestScripts(t *testing.T) {
	id, err := open.Generate()
	require.NoError(t, err)
	receipt := "ed25519:" + base64.StdEncoding.EncodeToString(make([]byte, ed25519.PublicKeySize))
	commands := clitest.Commands("testdata/help")
	// fill FILE: puts keys and paths into the script's file.
	commands["fill"] = func(ts *testscript.TestScript, _ bool, args []string) {
		s := strings.NewReplacer("READER", ts.Getenv("READER"), "RECEIPT", ts.Getenv("RECEIPT"), "WORK", ts.Getenv("WORK")).
			Replace(ts.ReadFile(args[0]))
		ts.Check(os.WriteFile(ts.MkAbs(args[0]), []byte(s), 0o600))
	}
	testscript.Run(t, testscript.Params{
		Dir:  "testdata/script",
		Cmds: commands,
		Setup: func(e *testscript.Env) error {
			e.Setenv("READER", id.Recipient().String())
			e.Setenv("RECEIPT", receipt)
			if _, err := pki.Make(e.WorkDir); err != nil {
				return err
			}
			return os.WriteFile(filepath.Join(e.WorkDir, "1.root.json"), rootOf(t), 0o600)
		},
	})
}
