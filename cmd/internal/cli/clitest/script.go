package clitest

import (
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"

	"github.com/rogpeppe/go-internal/testscript"
	"github.com/spf13/cobra"
)

// Update reports whether "make man" runs the tests: texts that differ are then
// written anew.
func Update() bool { return os.Getenv("UPDATE_TEXTS") != "" }

// Commands are for scripts that run a real program:
//
//	helps PROGRAM              the help of each verb is that in FOLDER/VERB.txt
//	examples PROGRAM VERB [3]  each example in the help of a verb works, with status 0 or the one given;
//	                           VERB is 'GROUP VERB' for one in a group
//	documented PROGRAM VERB    the keys of the JSON in stdout are those that its help names
//
//	terminal PROGRAM ARGS…     a program at a terminal; the file typed holds the lines that are typed there,
//	                           each after a prompt, and the file shown gets what the terminal shows
//
// In an example, a pipe into a command that is not installed is left out.
func Commands(folder string) map[string]func(*testscript.TestScript, bool, []string) {
	return map[string]func(*testscript.TestScript, bool, []string){
		"helps":      func(ts *testscript.TestScript, _ bool, args []string) { helps(ts, folder, args[0]) },
		"examples":   func(ts *testscript.TestScript, _ bool, args []string) { examples(ts, args) },
		"terminal":   terminal,
		"documented": func(ts *testscript.TestScript, _ bool, args []string) { documented(ts, args[0], args[1]) },
	}
}

func help(ts *testscript.TestScript, args ...string) string {
	ts.Check(ts.Exec(args[0], append(args[1:], "--help")...))
	return ts.ReadFile("stdout")
}

var verbLine = regexp.MustCompile(`(?m)^  ([a-z]+) `)

func helps(ts *testscript.TestScript, folder, program string) {
	texts := map[string]string{}
	collect(ts, texts, program)
	if Update() {
		ts.Check(os.MkdirAll(folder, 0o755))
		for name, text := range texts {
			ts.Check(os.WriteFile(filepath.Join(folder, name), []byte(text), 0o644))
		}
	}
	for name, text := range texts {
		want, err := os.ReadFile(filepath.Join(folder, name))
		ts.Check(err)
		if string(want) != text {
			ts.Fatalf("the help is not that of %s; \"make man\" writes it anew. It is:\n%s", name, text)
		}
	}
	files, err := os.ReadDir(folder)
	ts.Check(err)
	for _, f := range files {
		if texts[f.Name()] == "" {
			ts.Fatalf("%s is the help of no verb", filepath.Join(folder, f.Name()))
		}
	}
}

// collect takes the help of a command and of those below it: that of the verb
// "firmware init" is firmware-init.txt.
func collect(ts *testscript.TestScript, texts map[string]string, command ...string) {
	text := help(ts, command...)
	name := strings.Join(command[1:], "-")
	if name == "" {
		name = "root"
	}
	texts[name+".txt"] = text
	_, list, _ := strings.Cut(text, "Available Commands:\n")
	list, _, _ = strings.Cut(list, "\n\n")
	for _, verb := range verbLine.FindAllStringSubmatch(list, -1) {
		collect(ts, texts, append(slices.Clone(command), verb[1])...)
	}
}

func examples(ts *testscript.TestScript, args []string) {
	_, text, _ := strings.Cut(help(ts, append(args[:1:1], strings.Fields(args[1])...)...), "\nExamples:\n")
	text, _, _ = strings.Cut(text, "\n\n")
	lines := Examples(text)
	if len(lines) == 0 {
		ts.Fatalf("%s %s has no example", args[0], args[1])
	}
	for _, line := range lines {
		if before, filter, ok := strings.Cut(line, " | "); ok {
			if _, err := exec.LookPath(strings.Fields(filter)[0]); err != nil {
				line = before
			}
		}
		err := ts.Exec("bash", "-o", "pipefail", "-ec", line)
		exit, failed := errors.AsType[*exec.ExitError](err)
		if err != nil && !(failed && strconv.Itoa(exit.ExitCode()) == strings.Join(args[2:], "")) {
			ts.Fatalf("the example does not work: %s: %v", line, err)
		}
	}
}

// Untried names the examples of a program that no script of a folder runs: by
// the command examples, or as they are.
func Untried(root *cobra.Command, folder string) (untried []string, err error) {
	files, err := filepath.Glob(filepath.Join(folder, "*.txtar"))
	var scripts strings.Builder
	for _, f := range files {
		b, readErr := os.ReadFile(f)
		err = errors.Join(err, readErr)
		scripts.Write(append(b, '\n'))
	}
	for _, c := range Verbs(root) {
		line := fmt.Sprintf("\nexamples %s %s", root.Name(), quoted(verb(c)))
		if strings.Contains(scripts.String(), line+"\n") || strings.Contains(scripts.String(), line+" ") {
			continue
		}
		for _, e := range Examples(c.Example) {
			if !strings.Contains(scripts.String(), "\nexec "+e) && !strings.Contains(scripts.String(), "\nterminal "+e) {
				untried = append(untried, e)
			}
		}
	}
	return untried, err
}

// quoted is a verb as one argument of a script.
func quoted(verb string) string {
	if strings.Contains(verb, " ") {
		return "'" + verb + "'"
	}
	return verb
}

var word = regexp.MustCompile(`[a-z0-9_]+`)

func documented(ts *testscript.TestScript, program, verb string) {
	var value any
	ts.Check(json.Unmarshal([]byte(ts.ReadFile("stdout")), &value))
	_, text, _ := strings.Cut(help(ts, append([]string{program}, strings.Fields(verb)...)...), "\n--json prints ")
	text, _, _ = strings.Cut(text, "\n\n")
	text = text[:strings.LastIndex(text, "}")+1]
	keys(ts, program+" "+verb, word.FindAllString(text, -1), value, strings.Contains(text, ": ["))
}

// keys looks at the keys of an object or of those in a list; with nested, also
// of those in lists in it.
func keys(ts *testscript.TestScript, verb string, known []string, value any, nested bool) {
	switch value := value.(type) {
	case []any:
		for _, v := range value {
			keys(ts, verb, known, v, nested)
		}
	case map[string]any:
		for key, inner := range value {
			if !slices.Contains(known, key) {
				ts.Fatalf("the help of %s does not name the key %q of its JSON", verb, key)
			}
			if list, ok := inner.([]any); ok && nested {
				keys(ts, verb, known, list, false)
			}
		}
	}
}
