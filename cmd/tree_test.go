package cmd

import (
	"bytes"
	"fmt"
	"go/ast"
	"go/parser"
	"go/token"
	"io/fs"
	"os"
	"path"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

const module = "roadseal"

// A tree holds the packages of the module by their path from its root.
type tree map[string]*pkg

type pkg struct {
	imports []string // packages of this module by their path from the root, others by import path
	calls   []string // "os.Exit", by the name of the package that is called
	side    string   // from "Side: x." in the package comment
	main    bool
	init    bool
}

var sideLine = regexp.MustCompile(`(?m)^// Side: (\w+)\.$`)

// load reads every non-test file below root.
func load(root string) (tree, error) {
	t := tree{}
	err := filepath.WalkDir(root, func(p string, d fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		if d.IsDir() {
			if p != root && skip(p, d.Name()) {
				return filepath.SkipDir
			}
			return nil
		}
		if !strings.HasSuffix(p, ".go") || strings.HasSuffix(p, "_test.go") {
			return nil
		}
		return t.add(root, p)
	})
	return t, err
}

// skip reports whether the go command leaves a directory out of the module.
func skip(dir, base string) bool {
	if base == "testdata" || base == "vendor" || base[0] == '.' || base[0] == '_' {
		return true
	}
	_, err := os.Stat(filepath.Join(dir, "go.mod"))
	return err == nil
}

func (t tree) add(root, file string) error {
	src, err := os.ReadFile(file)
	if err != nil {
		return err
	}
	f, err := parser.ParseFile(token.NewFileSet(), file, src, parser.SkipObjectResolution)
	if err != nil {
		return err
	}
	rel, err := filepath.Rel(root, file)
	if err != nil {
		return err
	}
	dir := path.Dir(filepath.ToSlash(rel))
	if t[dir] == nil {
		t[dir] = &pkg{main: f.Name.Name == "main"}
	}
	p := t[dir]
	if m := sideLine.FindSubmatch(src); m != nil {
		p.side = string(m[1])
	}
	for _, im := range f.Imports {
		s, err := strconv.Unquote(im.Path.Value)
		if err != nil {
			return err
		}
		p.imports = append(p.imports, strings.TrimPrefix(s, module+"/"))
	}
	ast.Inspect(f, p.visit)
	return nil
}

func (p *pkg) visit(n ast.Node) bool {
	switch n := n.(type) {
	case *ast.FuncDecl:
		p.init = p.init || n.Recv == nil && n.Name.Name == "init"
	case *ast.SelectorExpr:
		if x, ok := n.X.(*ast.Ident); ok {
			p.calls = append(p.calls, x.Name+"."+n.Sel.Name)
		}
	}
	return true
}

// within reports whether a package is one that the pattern names: itself, or
// with "/..." at the end also what lies below.
func within(pattern, p string) bool {
	if pattern == "..." {
		return true
	}
	base, deep := strings.CutSuffix(pattern, "/...")
	return base == p || deep && strings.HasPrefix(p, base+"/")
}

func anyWithin(patterns []string, p string) bool {
	return slices.ContainsFunc(patterns, func(pat string) bool { return within(pat, p) })
}

// covers reports whether a rule about one path covers another: the package
// itself and, for other modules, whatever lies below.
func (t tree) covers(rule, p string) bool {
	return rule == p || t[rule] == nil && strings.Contains(rule, ".") && strings.HasPrefix(p, rule+"/")
}

// chain returns how from reaches to, or nil.
func (t tree) chain(from, to string, seen map[string]bool) []string {
	if t.covers(to, from) {
		return []string{from}
	}
	if seen[from] || t[from] == nil {
		return nil
	}
	seen[from] = true
	for _, im := range t[from].imports {
		if c := t.chain(im, to, seen); c != nil {
			return append([]string{from}, c...)
		}
	}
	return nil
}

func (t tree) reach(rules []reachRule) (bad []string) {
	for _, r := range rules {
		if t[r.pkg] == nil {
			bad = append(bad, r.pkg+" does not exist: update this table")
		}
		for _, f := range r.forbidden {
			if c := t.chain(r.pkg, f, map[string]bool{}); c != nil {
				bad = append(bad, strings.Join(c, " -> ")+": "+r.why)
			}
		}
	}
	return bad
}

func (t tree) importers(only map[string][]string) (bad []string) {
	for dep, allowed := range only {
		if !strings.Contains(dep, ".") && t[dep] == nil {
			bad = append(bad, dep+" does not exist: update this table")
		}
		for name, p := range t {
			imports := slices.ContainsFunc(p.imports, func(im string) bool { return t.covers(dep, im) })
			if imports && !anyWithin(allowed, name) {
				bad = append(bad, fmt.Sprintf("%s imports %s, which only %v may", name, dep, allowed))
			}
		}
	}
	return bad
}

// sides checks that each library package names its side, and that a black one
// (ciphertext and public data only) imports black or neutral ones alone.
func (t tree) sides() (bad []string) {
	for name, p := range t {
		if p.main {
			continue
		}
		if !slices.Contains([]string{"red", "black", "gate", "desk", "any", "root"}, p.side) {
			bad = append(bad, name+`: the package comment has no line "Side: red.", "black.", "gate.", "desk.", "any." or "root."`)
		}
		for _, im := range p.imports {
			if q := t[im]; p.side == "black" && q != nil && q.side != "black" && q.side != "any" {
				bad = append(bad, fmt.Sprintf("%s (black) imports %s (%s)", name, im, q.side))
			}
		}
	}
	return bad
}

// A callRule forbids calls in some packages; "main" stands for all commands.
type callRule struct {
	in, but, calls []string
	why            string
}

func (t tree) calls(rules []callRule) (bad []string) {
	for _, r := range rules {
		for name, p := range t {
			if !anyWithin(r.in, name) || anyWithin(r.but, name) || p.main && slices.Contains(r.but, "main") {
				continue
			}
			for _, c := range p.calls {
				if slices.Contains(r.calls, c) {
					bad = append(bad, fmt.Sprintf("%s calls %s: %s", name, c, r.why))
				}
			}
		}
	}
	return bad
}

func loadModule(t *testing.T) tree {
	t.Helper()
	mod, err := os.ReadFile("../go.mod")
	require.NoError(t, err)
	require.True(t, bytes.HasPrefix(mod, []byte("module "+module+"\n")))
	m, err := load("..")
	require.NoError(t, err)
	return m
}

// older compares two versions vX.Y.Z.
func older(a, b string) bool {
	x, y := strings.Split(strings.TrimPrefix(a, "v"), "."), strings.Split(strings.TrimPrefix(b, "v"), ".")
	for i := range min(len(x), len(y)) {
		n, errN := strconv.Atoi(x[i])
		m, errM := strconv.Atoi(y[i])
		if errN != nil || errM != nil {
			return x[i] < y[i]
		}
		if n != m {
			return n < m
		}
	}
	return false
}

// TestRulesBite proves on a made-up tree that each kind of rule fails when it
// must.
func TestRulesBite(t *testing.T) {
	root := t.TempDir()
	for name, src := range map[string]string{
		"go.mod":                    "module roadseal\n",
		"cmd/roadseal-agent/a.go":   "package main\n\nimport _ \"roadseal/agent/spool\"\n\nfunc main() { os.Exit(0) }\n",
		"agent/spool/s.go":          "// Package spool queues.\n//\n// Side: black.\npackage spool\n\nimport (\n\t_ \"go.bug.st/serial/enumerator\"\n\t_ \"roadseal/hal/gnss\"\n)\n\nfunc f() { os.Remove(\"x\"); os.Exit(1) }\n",
		"hal/gnss/g.go":             "// Package gnss decodes.\n//\n// Side: red.\npackage gnss\n\nfunc init() {}\n",
		"hal/nowhere/n.go":          "// Package nowhere names no side.\npackage nowhere\n",
		"hal/nowhere/n_test.go":     "package nowhere\n\nimport _ \"github.com/stretchr/testify/require\"\n",
		"shared/tools/meter/go.mod": "module meter\n",
		"shared/tools/meter/m.go":   "package main\n\nimport _ \"roadseal/hal/gnss\"\n",
	} {
		p := filepath.Join(root, name)
		require.NoError(t, os.MkdirAll(filepath.Dir(p), 0o755))
		require.NoError(t, os.WriteFile(p, []byte(src), 0o644))
	}
	m, err := load(root)
	require.NoError(t, err)
	got := m.reach([]reachRule{
		{"cmd/roadseal-agent", "only hal opens the port", []string{"go.bug.st/serial", "crypto/open"}},
		{"agent/spool", "plaintext never reaches the spool", []string{"hal/gnss"}},
		{"agent/gone", "", nil},
	})
	got = append(got, m.importers(map[string][]string{"go.bug.st/serial": {"hal/..."}, "github.com/stretchr/testify": {}, "crypto/gone": {}})...)
	got = append(got, m.calls([]callRule{
		{in: []string{"agent/..."}, calls: []string{"os.Remove"}, why: "durable alone"},
		{in: []string{"..."}, but: []string{"main"}, calls: []string{"os.Exit"}, why: "main alone"},
	})...)
	got = append(got, m.sides()...)
	require.ElementsMatch(t, []string{
		"cmd/roadseal-agent -> agent/spool -> go.bug.st/serial/enumerator: only hal opens the port",
		"agent/spool -> hal/gnss: plaintext never reaches the spool",
		"agent/gone does not exist: update this table",
		"agent/spool imports go.bug.st/serial, which only [hal/...] may",
		"crypto/gone does not exist: update this table",
		"agent/spool calls os.Remove: durable alone",
		"agent/spool calls os.Exit: main alone",
		"agent/spool (black) imports hal/gnss (red)",
		`hal/nowhere: the package comment has no line "Side: red.", "black.", "gate.", "desk.", "any." or "root."`,
	}, got)
	require.True(t, m["hal/gnss"].init)
	require.True(t, older("v1.6.4", "v1.6.5"))
	require.False(t, older("v1.10.0", "v1.6.5"))
}
