package main

import (
	"bytes"
	"maps"
	"os"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"testing"

	"github.com/rogpeppe/go-internal/testscript"

	"roadseal/cmd/internal/cli/clitest"
	"roadseal/cmd/internal/release"
)

func TestMain(m *testing.M) {
	testscript.Main(m, map[string]func(){"roadseal-sign": func() { os.Exit(run()) }})
}

func TestScripts(t *testing.T) {
	commands := clitest.Commands("testdata/help")
	maps.Copy(commands, map[string]func(*testscript.TestScript, bool, []string){
		"people": cmdPeople, "plan": cmdPlan, "replace": cmdReplace, "mode": cmdMode, "begin": cmdBegin, "signs": cmdSigns, "report": cmdReport,
	})
	testscript.Run(t, testscript.Params{
		Dir:                 "testdata/script",
		RequireExplicitExec: true,
		UpdateScripts:       os.Getenv("UPDATE_SCRIPTS") != "",
		Cmds:                commands,
	})
}

// passphrase guards all keys that cmdPeople makes.
const passphrase = "correct horse battery staple"

// cmdPeople makes keys as "key new" does, but such as are opened at once:
// people DIR NAME…. The file pass gets their passphrase.
func cmdPeople(ts *testscript.TestScript, _ bool, args []string) {
	ts.Check(os.MkdirAll(ts.MkAbs(args[0]), 0o755))
	for _, name := range args[1:] {
		private, err := release.NewPrivate(name, release.Kinds)
		ts.Check(err)
		sealed, err := private.Seal(passphrase, 2)
		ts.Check(err)
		person, err := private.Person()
		ts.Check(err)
		public, err := person.Public()
		ts.Check(err)
		ts.Check(os.WriteFile(filepath.Join(ts.MkAbs(args[0]), name+".key"), sealed, 0o600))
		ts.Check(os.WriteFile(filepath.Join(ts.MkAbs(args[0]), name+".pub"), public, 0o644))
	}
	ts.Check(os.WriteFile(ts.MkAbs("pass"), []byte(passphrase+"\n"), 0o600))
}

// cmdPlan writes the plan that most scripts have: plan FILE. Two of anna, ben and
// cara sign roots and images, the desk all else, and online timestamps too.
func cmdPlan(ts *testscript.TestScript, _ bool, args []string) {
	var b bytes.Buffer
	for _, side := range []string{"image", "director"} {
		for role, signers := range map[string]string{"root": `"anna", "ben", "cara"`, "targets": `"anna", "ben", "cara"`, "snapshot": `"desk"`, "timestamp": `"desk", "online"`} {
			threshold, expires := "1", "30d"
			switch {
			case side == "director" && role == "targets":
				signers = `"desk"`
			case role == "root", role == "targets":
				threshold, expires = "2", "365d"
			case role == "timestamp":
				expires = "2d"
			}
			b.WriteString("[" + side + "." + role + "]\nsigners = [" + signers + "]\nthreshold = " + threshold + "\nexpires = \"" + expires + "\"\n\n")
		}
	}
	ts.Check(os.WriteFile(ts.MkAbs(args[0]), b.Bytes(), 0o644))
}

// cmdReplace changes what a pattern matches the first time: replace FILE PATTERN
// TEXT.
func cmdReplace(ts *testscript.TestScript, _ bool, args []string) {
	before := ts.ReadFile(args[0])
	at := regexp.MustCompile(args[1]).FindStringIndex(before)
	if at == nil {
		ts.Fatalf("%s has nothing like %s", args[0], args[1])
	}
	after := before[:at[0]] + strings.ReplaceAll(args[2], `\n`, "\n") + before[at[1]:]
	ts.Check(os.WriteFile(ts.MkAbs(args[0]), []byte(after), 0o600))
}

// cmdMode checks permissions: mode FILE 600.
func cmdMode(ts *testscript.TestScript, _ bool, args []string) {
	st, err := os.Stat(ts.MkAbs(args[0]))
	ts.Check(err)
	if got := strconv.FormatUint(uint64(st.Mode().Perm()), 8); got != args[1] {
		ts.Fatalf("%s has mode %s, not %s", args[0], got, args[1])
	}
}

// cmdBegin makes people, a plan, and the repository releases that follows from
// it, published at noon of 2026-11-24.
func cmdBegin(ts *testscript.TestScript, neg bool, _ []string) {
	cmdPeople(ts, neg, []string{".", "anna", "ben", "cara", "desk", "online"})
	cmdPlan(ts, neg, []string{"plan.toml"})
	ts.Check(ts.Exec("roadseal-sign", "firmware", "init", "releases", "--plan", "plan.toml", "--at", "2026-11-24T12:00:00Z"))
	cmdSigns(ts, neg, []string{"releases", "anna", "ben"})
	ts.Check(ts.Exec("roadseal-sign", "firmware", "publish", "releases", "--key", "desk.key", "--passphrase-file", "pass", "--at", "2026-11-24T12:00:00Z"))
}

// cmdSigns signs what is staged in a folder: signs FOLDER NAME….
func cmdSigns(ts *testscript.TestScript, _ bool, args []string) {
	for _, name := range args[1:] {
		ts.Check(ts.Exec("roadseal-sign", "firmware", "sign", args[0], "--key", name+".key", "--passphrase-file", "pass", "--yes"))
	}
}
