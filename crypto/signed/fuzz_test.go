package signed_test

import (
	"bytes"
	"encoding/json"
	"fmt"
	"io/fs"
	"maps"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"roadseal/crypto/signed"
	"roadseal/crypto/signed/sign"
)

// gullible are options of a client that takes any signature of a "quick" key: a
// fuzzer cannot sign, and what is tested here are the files.
func gullible() signed.Options {
	o := quickOptions
	o.Schemes = append(signed.Schemes(), signed.Scheme{KeyType: "quick", Name: "quick", Parse: func(public string) (signed.Verifier, []byte, error) {
		return func(_, _ []byte) bool { return true }, []byte(public), nil
	}})
	return o
}

// remarshal reads a file with the standard library's reader, and writes what it
// has read by the rules of FORMAT.md.
func remarshal(t testing.TB, data []byte) (text []byte, version string) {
	d := json.NewDecoder(bytes.NewReader(data))
	d.UseNumber()
	var v map[string]any
	require.NoError(t, d.Decode(&v))
	body, ok := v["signed"].(map[string]any)
	require.True(t, ok)
	return appendJSON(nil, v), fmt.Sprint(body["version"])
}

func appendJSON(b []byte, v any) []byte {
	switch v := v.(type) {
	case string:
		b = append(b, '"')
		for _, c := range []byte(v) {
			switch {
			case c < ' ':
				b = fmt.Appendf(b, `\u%04x`, c)
			case c == '"' || c == '\\':
				b = append(b, '\\', c)
			default:
				b = append(b, c)
			}
		}
		return append(b, '"')
	case []any:
		b = append(b, '[')
		for i, e := range v {
			if i > 0 {
				b = append(b, ',')
			}
			b = appendJSON(b, e)
		}
		return append(b, ']')
	case map[string]any:
		b = append(b, '{')
		for i, name := range slices.Sorted(maps.Keys(v)) {
			if i > 0 {
				b = append(b, ',')
			}
			b = append(appendJSON(b, name), ':')
			b = appendJSON(b, v[name])
		}
		return append(b, '}')
	case nil:
		return append(b, "null"...)
	}
	return fmt.Append(b, v) // a number as it stands, or true or false
}

// A place is where a client takes files of one role.
type place struct {
	role    string
	options signed.Options
	version func(signed.Versions) int64
	take    func(t testing.TB, trusted *signed.Trusted, data []byte) error
}

// fuzz demands of any file in the place of a role's: what is taken has one text
// only and is what the standard library's reader sees in it; what is refused
// has a name and changes nothing. The seeds are all files of the role in
// history, one that is signed here and must be taken, and the same with a space.
func (p place) fuzz(f *testing.F, good *sign.Document) {
	judge := func(t testing.TB, data []byte) (taken bool) {
		trusted, err := signed.New(history()[0]["1.root"], p.options)
		require.NoError(t, err)
		before := trusted.Versions()
		if err := p.take(t, trusted, data); err != nil {
			attackOf(t, err)
			require.Equal(t, before, trusted.Versions())
			return false
		}
		text, version := remarshal(t, data)
		require.Equal(t, string(text), string(data))
		require.Equal(t, version, fmt.Sprint(p.version(trusted.Versions())))
		return true
	}
	h := history()
	for name, data := range h[len(h)-1] {
		if name == p.role || strings.HasSuffix(name, "."+p.role) {
			f.Add(data)
		}
	}
	require.NoError(f, good.Sign(quick(p.role+" of version 0"), quick(p.role+" of version 1")))
	require.True(f, judge(f, good.Bytes()), "the seed is refused")
	f.Add(good.Bytes())
	f.Add(bytes.Replace(good.Bytes(), []byte(`"version":`), []byte(`"version": `), 1))
	f.Fuzz(func(t *testing.T, data []byte) { judge(t, data) })
}

// seedHeader is of a file that the roots of history let in.
func seedHeader(version int64) sign.Header {
	return sign.Header{Version: version, Expires: today, Issued: today.AddDate(0, 0, -1), Audience: vehicle}
}

func FuzzRoot(f *testing.F) {
	// A root of both kinds of keys.
	r := sign.Root{Header: seedHeader(2), Roles: map[string]sign.Role{}}
	classic := sign.Role{Keys: []sign.Key{keyOf(f, "a").Key(), quick("root of version 1").Key()}, Threshold: 1}
	r.Roles[signed.Root], r.Roles[signed.Snapshot], r.Roles[signed.Targets] = classic, classic, classic
	r.Roles[signed.Timestamp] = letters{}.role(f, turn{keys: "aA", threshold: 2})
	place{signed.Root, gullible(), func(v signed.Versions) int64 { return v.Root }, func(t testing.TB, trusted *signed.Trusted, data []byte) error {
		_, err := trusted.UpdateRoot(data)
		if err == nil {
			_, err := signed.New(data, gullible())
			require.NoError(t, err, "a unit that has stored it cannot start from it")
		}
		return err
	}}.fuzz(f, r.Document())
}

func FuzzTimestamp(f *testing.F) {
	place{signed.Timestamp, gullible(), func(v signed.Versions) int64 { return v.Timestamp }, func(t testing.TB, trusted *signed.Trusted, data []byte) error {
		newer, err := trusted.UpdateTimestamp(data, time.Time{}, true)
		require.Equal(t, err == nil, newer)
		return err
	}}.fuzz(f, sign.Timestamp{Header: seedHeader(1 << 40), Snapshot: []byte("a"), SnapshotVersion: 7}.Document())
}

func FuzzSnapshot(f *testing.F) {
	good := sign.Snapshot{Header: seedHeader(3), Files: map[string]sign.File{"targets": {Version: 1, Data: []byte("a")}, "a-role": {Version: 2, Data: []byte("b")}}}
	place{signed.Snapshot, gullible(), func(v signed.Versions) int64 { return v.Snapshot }, func(_ testing.TB, trusted *signed.Trusted, data []byte) error {
		return trusted.UpdateSnapshot(data, time.Time{}, true)
	}}.fuzz(f, good.Document())
}

func FuzzTargets(f *testing.F) {
	role := letters{}.role(f, turn{keys: "ab", threshold: 2})
	d, err := sign.Targets{Header: seedHeader(3), Files: map[string]sign.Target{
		"unit/1.img": {Data: []byte("a"), Custom: map[string]any{"hardwareIds": []string{"board \n\"3\""}, "releaseCounter": 3}}, "ä": {}},
		Delegations: []sign.Delegation{{Name: "a", Role: role, Paths: []string{"a/*", "b/?"}, Hardware: []string{"board-3"}, Terminating: true},
			{Name: "b", Role: role, Paths: []string{"*"}}}}.Document()
	require.NoError(f, err)
	o := gullible()
	o.RootAndTargets = true // no snapshot says which file it must be
	place{signed.Targets, o, func(v signed.Versions) int64 { return v.Targets }, func(t testing.TB, trusted *signed.Trusted, data []byte) error {
		err := trusted.UpdateTargets(data, time.Time{})
		if err != nil {
			return err
		}
		for _, target := range trusted.Listed() {
			require.True(t, fs.ValidPath(target.Path), target.Path)
			require.GreaterOrEqual(t, target.Length, int64(0))
			require.Equal(t, signed.Targets, target.Role)
			_, _ = target.Verify(nil), target.Custom() // must not panic
		}
		return nil
	}}.fuzz(f, d)
}
