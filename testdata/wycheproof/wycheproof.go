// Package wycheproof reads the test vectors of C2SP Wycheproof
// (https://github.com/C2SP/wycheproof, Apache-2.0) for tests. They come through
// Go's module cache and are not in go.mod: importing the module would put 107 MB
// into each test binary.
//
// Side: any.
package wycheproof

import (
	"encoding/hex"
	"encoding/json"
	"os"
	"os/exec"
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/require"
)

const (
	module = "github.com/c2sp/wycheproof@v0.0.0-20260902155932-3fa63dd0344a"
	sum    = "h1:pNbL2nztRsWfW/ispAwsvcDFxs9Id38uIsR2/Up5G2c=" // as in a go.sum
)

// Dir returns the folder of the vectors, fetched if it is not there.
func Dir(t testing.TB) string {
	t.Helper()
	fetch := exec.Command("go", "mod", "download", "-json", module)
	fetch.Dir = t.TempDir() // in no module
	out, err := fetch.Output()
	require.NoError(t, err, "cannot fetch the test vectors: %s", out)
	var got struct{ Dir, Sum string }
	require.NoError(t, json.Unmarshal(out, &got))
	require.Equal(t, sum, got.Sum, "these are other vectors")
	return filepath.Join(got.Dir, "testvectors_v1")
}

// Groups reads the groups of tests in a file, as the caller declares them.
func Groups[Group any](t testing.TB, file string) []Group {
	t.Helper()
	b, err := os.ReadFile(filepath.Join(Dir(t), file))
	require.NoError(t, err)
	var v struct{ TestGroups []Group }
	require.NoError(t, json.Unmarshal(b, &v))
	require.NotEmpty(t, v.TestGroups)
	return v.TestGroups
}

// Verdict is what a test demands.
type Verdict struct {
	ID      int `json:"tcId"`
	Comment string
	Flags   []string
	Result  string // "valid", "invalid" or "acceptable"
}

// Valid reports whether the operation must succeed.
func (v Verdict) Valid() bool { return v.Result == "valid" }

// Hex is bytes that are written in hexadecimal.
type Hex []byte

// UnmarshalText implements encoding.TextUnmarshaler.
func (h *Hex) UnmarshalText(b []byte) (err error) {
	*h, err = hex.DecodeString(string(b))
	return err
}
