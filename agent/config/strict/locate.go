package strict

import (
	"slices"

	"github.com/pelletier/go-toml/v2/unstable"
)

// locate finds the line and column of the key with the given path, or of the
// nearest table above it; 0, 0 if not even that is there.
func (d *Document) locate(path []any) (line, col int) {
	var p unstable.Parser
	p.Reset(d.data)
	best := 0
	var table []any
	seen := map[string]int{}
	for p.NextExpression() {
		e := p.Expression()
		var at []any
		switch e.Kind {
		case unstable.Table:
			table = names(e)
			at = table
		case unstable.ArrayTable:
			table = names(e)
			name := table[len(table)-1].(string)
			table = append(table, seen[name])
			seen[name]++
			at = table
		case unstable.KeyValue:
			at = slices.Concat(table, names(e))
		}
		if len(at) > best && len(at) <= len(path) && slices.Equal(at, path[:len(at)]) {
			best = len(at)
			line, col = start(&p, e)
		}
	}
	return line, col
}

// names is the dotted key of a table header or of a key and its value.
func names(e *unstable.Node) (path []any) {
	for k := e.Key(); k.Next(); {
		path = append(path, string(k.Node().Data))
	}
	return path
}

// start is where a key, or the name of a table, begins.
func start(p *unstable.Parser, e *unstable.Node) (line, col int) {
	k := e.Key()
	k.Next()
	s := p.Shape(k.Node().Raw)
	return s.Start.Line, s.Start.Column
}
