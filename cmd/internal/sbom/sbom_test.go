package main

import (
	"debug/buildinfo"
	"encoding/base64"
	"encoding/hex"
	"encoding/json"
	"os"
	"os/exec"
	"path/filepath"
	"runtime/debug"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

// standIn is linked in the place of another module.
const standIn = "roadseal/agent/mqttlink/nowebsocket"

// TestAgent writes the bill of the real agent and compares it with what go.sum
// and the linker say.
func TestAgent(t *testing.T) {
	binary := filepath.Join(t.TempDir(), "roadseal-agent")
	build := exec.Command("go", "build", "-trimpath", "-buildvcs=false", "-ldflags", "-s -w -buildid=", "-o", binary, "roadseal/cmd/roadseal-agent")
	build.Env = append(os.Environ(), "CGO_ENABLED=0", "GOOS=linux", "GOARCH=arm", "GOARM=7")
	out, err := build.CombinedOutput()
	require.NoError(t, err, string(out))
	require.NoError(t, write(binary, "v1.2.3"))
	bill, err := os.ReadFile(binary + ".cdx.json")
	require.NoError(t, err)

	var b bom
	require.NoError(t, json.Unmarshal(bill, &b))
	require.Equal(t, "1.5", b.SpecVersion)
	require.Equal(t, "roadseal-agent", b.Metadata.Component.Name)
	require.Equal(t, "v1.2.3", b.Metadata.Component.Version)
	require.Contains(t, b.Metadata.Component.Properties, property{"build:GOARCH", "arm"})
	info, err := buildinfo.ReadFile(binary)
	require.NoError(t, err)
	require.Contains(t, b.Metadata.Component.Properties, property{"build:go", info.GoVersion})
	require.Len(t, b.Components, len(info.Deps)+1)
	require.Greater(t, len(info.Deps), 8)

	sums, err := os.ReadFile("../../../go.sum")
	require.NoError(t, err)
	for _, c := range b.Components {
		require.Len(t, c.Licences, 1, "%s: an unknown licence must be looked at by a person", c.Name)
		if c.Name == std {
			require.Equal(t, info.GoVersion, "go"+c.Version)
			continue
		}
		if c.Name == standIn {
			require.Equal(t, component{Ref: c.PURL, Type: "library", Name: standIn, Version: "v1.2.3", Licences: c.Licences,
				PURL: "pkg:golang/roadseal@v1.2.3#agent/mqttlink/nowebsocket", Properties: []property{{"replaces", "github.com/gorilla/websocket@v1.5.3"}}}, c)
			require.Equal(t, "Apache-2.0", c.Licences[0].Licence.ID)
			continue
		}
		raw, err := hex.DecodeString(c.Hashes[0].Content)
		require.NoError(t, err)
		require.Contains(t, string(sums), c.Name+" "+c.Version+" h1:"+base64.StdEncoding.EncodeToString(raw)+"\n")
	}
	require.Contains(t, b.Dependencies[0].DependsOn, "pkg:golang/roadseal@v1.2.3#agent/mqttlink/nowebsocket")
	require.NotContains(t, string(bill), `"name": "github.com/gorilla/websocket"`)
	require.Len(t, b.Dependencies[0].DependsOn, len(b.Components))
	require.NotContains(t, string(bill), filepath.Dir(binary), "no path of the machine")

	texts, err := os.ReadFile(binary + ".copyright")
	require.NoError(t, err)
	require.Contains(t, string(texts), "Eclipse Public License - v 2.0")
	require.Contains(t, string(texts), "\nFiles: "+standIn+"@v1.2.3\n")
	require.NotContains(t, string(texts), "gorilla")
	require.Equal(t, len(b.Components)+1, strings.Count(string(texts), "\nLicense: "))
	require.NotContains(t, string(texts), "\n\n\n")

	require.NoError(t, write(binary, "v1.2.3"))
	again, err := os.ReadFile(binary + ".cdx.json")
	require.NoError(t, err)
	require.Equal(t, string(bill), string(again))
}

func TestLicence(t *testing.T) {
	const bsd = "Redistribution and use in source\nand binary forms, with or without"
	for text, want := range map[string]string{
		bsd: "BSD-2-Clause",
		bsd + " * Neither  the name of Google Inc.":                            "BSD-3-Clause",
		"                Apache License\n           Version 2.0, January 2004": "Apache-2.0",
		"Permission is hereby granted, free of\ncharge":                        "MIT",
		"All rights reserved.":                                                 "",
		"":                                                                     "",
	} {
		require.Equal(t, want, licence([]byte(text)), text)
	}
}

// TestReplaced: a module in the place of another is named for what it is.
func TestReplaced(t *testing.T) {
	old := &debug.Module{Path: "m", Version: "v1", Replace: &debug.Module{Path: "fork", Version: "v2", Sum: "h1:s"}}
	require.Equal(t, part{name: "fork", home: "fork", version: "v2", sum: "h1:s", replaces: "m@v1"}, linked(old, part{name: "program", version: "v9"}))
}

func TestErrors(t *testing.T) {
	require.Error(t, write("main.go", "v1"), "no Go program")
	_, err := part{name: "m", home: "m", version: "v1", sum: "h1:short"}.component()
	require.ErrorContains(t, err, "no checksum of a module")
	require.ErrorContains(t, (&part{name: "m"}).readLicence(t.TempDir()), "no licence found")
	require.ErrorContains(t, (&part{name: "m"}).readLicence(""), "go mod download")
}
