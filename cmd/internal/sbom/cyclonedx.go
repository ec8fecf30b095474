package main

import (
	"encoding/base64"
	"encoding/hex"
	"fmt"
	"runtime/debug"
	"strings"
)

// What is used of CycloneDX 1.5. There is no serial number and no time: they
// would differ from build to build.
type bom struct {
	Schema       string       `json:"$schema"`
	Format       string       `json:"bomFormat"`
	SpecVersion  string       `json:"specVersion"`
	Version      int          `json:"version"`
	Metadata     metadata     `json:"metadata"`
	Components   []component  `json:"components"`
	Dependencies []dependency `json:"dependencies"`
}

type metadata struct {
	Component component `json:"component"`
}

type component struct {
	Ref        string          `json:"bom-ref"`
	Type       string          `json:"type"`
	Name       string          `json:"name"`
	Version    string          `json:"version"`
	Hashes     []hash          `json:"hashes,omitempty"`
	Licences   []licenceChoice `json:"licenses,omitempty"`
	PURL       string          `json:"purl"`
	Properties []property      `json:"properties,omitempty"`
}

type hash struct {
	Algorithm string `json:"alg"`
	Content   string `json:"content"`
}

type licenceChoice struct {
	Licence struct {
		ID string `json:"id"`
	} `json:"license"`
}

type property struct {
	Name  string `json:"name"`
	Value string `json:"value"`
}

type dependency struct {
	Ref       string   `json:"ref"`
	DependsOn []string `json:"dependsOn,omitempty"`
}

// document is the bill of a program, the first of parts. Which module needs
// which is not in the binary: the program depends on all.
func document(program string, info *debug.BuildInfo, parts []part) ([]byte, error) {
	all := make([]component, 0, len(parts))
	var refs []string
	for _, p := range parts {
		c, err := p.component()
		if err != nil {
			return nil, err
		}
		all = append(all, c)
		refs = append(refs, c.Ref)
	}
	main := all[0]
	main.Type, main.Name = "application", program
	for _, key := range []string{"GOOS", "GOARCH", "GOARM", "CGO_ENABLED", "-trimpath"} {
		if v := setting(info, key); v != "" {
			main.Properties = append(main.Properties, property{"build:" + key, v})
		}
	}
	main.Properties = append(main.Properties, property{"build:go", info.GoVersion})
	return marshal(bom{
		Schema: "http://cyclonedx.org/schema/bom-1.5.schema.json", Format: "CycloneDX", SpecVersion: "1.5", Version: 1,
		Metadata: metadata{main}, Components: all[1:], Dependencies: []dependency{{main.Ref, refs[1:]}},
	})
}

func (p part) component() (component, error) {
	purl := "pkg:golang/" + p.home + "@" + p.version
	if folder, ok := strings.CutPrefix(p.name, p.home+"/"); ok {
		purl += "#" + folder
	}
	c := component{Ref: purl, Type: "library", Name: p.name, Version: p.version, PURL: purl}
	if p.licence != "" {
		var l licenceChoice
		l.Licence.ID = p.licence
		c.Licences = append(c.Licences, l)
	}
	if p.replaces != "" {
		c.Properties = append(c.Properties, property{"replaces", p.replaces})
	}
	if p.sum == "" {
		return c, nil
	}
	// h1 is the SHA-256 of a list of the module's files, golang.org/x/mod/sumdb/dirhash.
	raw, err := base64.StdEncoding.DecodeString(strings.TrimPrefix(p.sum, "h1:"))
	if err != nil || len(raw) != 32 {
		return c, fmt.Errorf("%s: %q is no checksum of a module", p.name, p.sum)
	}
	c.Hashes = []hash{{"SHA-256", hex.EncodeToString(raw)}}
	c.Properties = append(c.Properties, property{"go.sum", p.sum})
	return c, nil
}
