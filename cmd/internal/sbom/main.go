// Command sbom writes down what a program is made of, from what the Go linker
// wrote into it: BINARY.cdx.json, a bill of materials in CycloneDX 1.5 (ECMA-424),
// and BINARY.copyright, the licence of every module in full, in the form of
// Debian's machine-readable copyright files. The same program gives the same
// bytes.
//
// It runs in the module, whose cache holds the licences.
package main

import (
	"bytes"
	"debug/buildinfo"
	"encoding/json"
	"fmt"
	"os"
	"os/exec"
	"path"
	"path/filepath"
	"runtime/debug"
	"strings"
)

func main() {
	if len(os.Args) != 3 {
		fmt.Fprintln(os.Stderr, "usage: sbom BINARY VERSION")
		os.Exit(2)
	}
	if err := write(os.Args[1], os.Args[2]); err != nil {
		fmt.Fprintln(os.Stderr, "sbom:", err)
		os.Exit(1)
	}
}

// std is what Go's own library is called in a list of modules.
const std = "std"

// A part is the program itself, a module that it links, or Go's own library.
type part struct {
	name, version, sum string // sum is that of go.sum, "h1:" and base64
	home               string // the module in whose sources it and its licence are: name, or the program's
	replaces           string // MODULE@VERSION that it stands in the place of, or ""
	licence            string // SPDX identifier, or "" if it is none that is known here
	text               []byte // of the licence
}

func write(binary, version string) error {
	info, err := buildinfo.ReadFile(binary)
	if err != nil {
		return err
	}
	parts := []part{{name: info.Main.Path, home: info.Main.Path, version: version}}
	for _, m := range info.Deps {
		parts = append(parts, linked(m, parts[0]))
	}
	parts = append(parts, part{name: std, home: std, version: strings.TrimPrefix(info.GoVersion, "go")})
	dirs, err := sources(parts)
	if err != nil {
		return err
	}
	for i := range parts {
		if err := parts[i].readLicence(dirs[parts[i].home]); err != nil {
			return err
		}
	}
	bom, err := document(filepath.Base(info.Path), info, parts)
	if err != nil {
		return err
	}
	if err := os.WriteFile(binary+".cdx.json", bom, 0o644); err != nil {
		return err
	}
	return os.WriteFile(binary+".copyright", copyright(parts), 0o644)
}

// linked is what the linker took for a module of go.mod: the module, another one
// in its place, or a folder of the program in its place.
func linked(m *debug.Module, program part) part {
	r := m.Replace
	if r == nil {
		return part{name: m.Path, home: m.Path, version: m.Version, sum: m.Sum}
	}
	p := part{name: r.Path, home: r.Path, version: r.Version, sum: r.Sum, replaces: m.Path + "@" + m.Version}
	if strings.HasPrefix(r.Path, "./") {
		p.name, p.home, p.version = path.Join(program.name, r.Path), program.name, program.version
	}
	return p
}

// sources tells in which directories the sources of the parts are.
func sources(parts []part) (map[string]string, error) {
	args := []string{"list", "-mod=readonly", "-m", "-f", "{{.Path}}\t{{.Dir}}"}
	for _, p := range parts {
		if p.home != std {
			args = append(args, p.home)
		}
	}
	out, err := exec.Command("go", args...).Output()
	if err != nil {
		return nil, fmt.Errorf("go list -m: %w", err)
	}
	dirs := map[string]string{}
	for line := range strings.Lines(string(out)) {
		name, dir, _ := strings.Cut(strings.TrimSpace(line), "\t")
		dirs[name] = dir
	}
	root, err := exec.Command("go", "env", "GOROOT").Output()
	if err != nil {
		return nil, fmt.Errorf("go env GOROOT: %w", err)
	}
	dirs[std] = strings.TrimSpace(string(root))
	return dirs, nil
}

func (p *part) readLicence(dir string) (err error) {
	if dir == "" {
		return fmt.Errorf("the sources of %s are not in the module cache: go mod download", p.name)
	}
	for _, name := range []string{"LICENSE", "LICENSE.txt", "LICENSE.md", "COPYING"} {
		if p.text, err = os.ReadFile(filepath.Join(dir, name)); err == nil {
			break
		}
	}
	if err != nil {
		return fmt.Errorf("%s: no licence found: %w", p.name, err)
	}
	p.licence = licence(p.text)
	return nil
}

// licence names a text, as far as it is one of those that Go modules have.
func licence(text []byte) string {
	words := strings.Join(strings.Fields(string(text)), " ")
	has := func(s string) bool { return strings.Contains(words, s) }
	switch {
	case has("Eclipse Public License - v 2.0"):
		return "EPL-2.0"
	case has("Mozilla Public License Version 2.0"):
		return "MPL-2.0"
	case has("Apache License Version 2.0"):
		return "Apache-2.0"
	case has("Redistribution and use in source and binary forms") && has("Neither the name"):
		return "BSD-3-Clause"
	case has("Redistribution and use in source and binary forms"):
		return "BSD-2-Clause"
	case has("Permission is hereby granted, free of charge"):
		return "MIT"
	}
	return ""
}

// copyright lists name and licence of each part, then the texts.
func copyright(parts []part) []byte {
	var b bytes.Buffer
	fmt.Fprint(&b, "Format: https://www.debian.org/doc/packaging-manuals/copyright-format/1.0/\nUpstream-Name: "+parts[0].name+"\n"+
		"Comment: one program, linked from these modules; the licence of each follows in full.\n")
	for _, p := range parts {
		name := p.licence
		if name == "" {
			name = "other"
		}
		fmt.Fprintf(&b, "\nFiles: %s@%s\nCopyright: see the text\nLicense: %s\n", p.name, p.version, name)
		for line := range strings.Lines(strings.TrimSpace(string(p.text)) + "\n") {
			if line = strings.TrimRight(line, " \t\r\n"); line == "" {
				line = "." // by the rules of Debian's control files
			}
			b.WriteString(" " + line + "\n")
		}
	}
	return b.Bytes()
}

// setting is a value that the go command noted of the build.
func setting(info *debug.BuildInfo, key string) string {
	for _, s := range info.Settings {
		if s.Key == key {
			return s.Value
		}
	}
	return ""
}

func marshal(v any) ([]byte, error) {
	var b bytes.Buffer
	e := json.NewEncoder(&b)
	e.SetEscapeHTML(false)
	e.SetIndent("", "  ")
	err := e.Encode(v)
	return b.Bytes(), err
}
