package open_test

import (
	"bytes"
	"encoding/json"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"roadseal/crypto/open"
	"roadseal/crypto/record"
	"roadseal/testdata/wycheproof"
)

// The second opener is a Python program that follows FORMAT.md and shares no
// code with ours.
const secondDir = "../../testdata/opener"

// verdict is what the second opener says of one object.
type verdict struct {
	Name     string
	Stanzas  int
	Record   map[string]string // values as they stand in the record
	Content  string            `json:"content_sha256"`
	Refused  string
	Stranger bool
}

func python(t *testing.T, script string, args ...string) *exec.Cmd {
	t.Helper()
	path, err := exec.LookPath("python3")
	if err != nil {
		t.Skip("python3 is not installed: the second opener was not run")
	}
	_, err = os.ReadDir(secondDir) // so that the test cache notices a change
	require.NoError(t, err)
	return exec.Command(path, append([]string{"-B", filepath.Join(secondDir, script)}, args...)...)
}

// second opens objects with the key file by the second opener, in one run.
func second(t *testing.T, keyFile string, objects [][]byte, options ...string) []verdict {
	t.Helper()
	dir := t.TempDir()
	args := append([]string{"--identity", keyFile}, options...)
	for i, b := range objects {
		args = append(args, filepath.Join(dir, fmt.Sprintf("%04d.age", i)))
		require.NoError(t, os.WriteFile(args[len(args)-1], b, 0o600))
	}
	cmd := python(t, "opener.py", args...)
	var problems bytes.Buffer
	cmd.Stderr = &problems
	out, err := cmd.Output()
	require.Empty(t, problems.String())
	var all []verdict
	for line := range strings.Lines(string(out)) {
		var v verdict
		require.NoError(t, json.Unmarshal([]byte(line), &v))
		all = append(all, v)
	}
	require.Len(t, all, len(objects))
	if err != nil { // exit status 1 says that some were refused
		require.Contains(t, string(out), `"refused"`)
	}
	return all
}

// lines is a record as the second opener shows it.
func lines(t *testing.T, r record.Record) map[string]string {
	t.Helper()
	b, err := r.Marshal()
	require.NoError(t, err)
	m := map[string]string{}
	for _, line := range strings.Split(strings.TrimRight(string(b), "\n"), "\n")[1:] {
		key, value, _ := strings.Cut(line, ": ")
		m[key] = value
	}
	return m
}

// same demands that both openers say the same of an object.
func same(t *testing.T, name string, file []byte, v verdict, ids ...open.Identity) {
	t.Helper()
	require.Equal(t, hexSum(file), v.Name, name)
	got, rec, err := opened(file, ids...)
	if err != nil {
		require.NotEmpty(t, v.Refused, "%s: only the second opener opens it; ours: %v", name, err)
		return
	}
	require.Empty(t, v.Refused, "%s: only our opener opens it", name)
	require.Equal(t, hexSum(got), v.Content, name)
	require.Equal(t, lines(t, rec), v.Record, name)
}

func keyFile(t *testing.T, ids ...open.Identity) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), "key")
	text := "# made by a test\n\n"
	for _, id := range ids {
		text += id.Secret() + "\n"
	}
	require.NoError(t, os.WriteFile(path, []byte(text), 0o600))
	return path
}

// TestSecondOpenerOnFrozenVectors opens what the first version sealed, alone
// and with the stock age command for the age layer.
func TestSecondOpenerOnFrozenVectors(t *testing.T) {
	var objects [][]byte
	names, err := filepath.Glob(filepath.Join(vectorDir, "*.age"))
	require.NoError(t, err)
	require.Len(t, names, 5)
	for _, n := range names {
		objects = append(objects, read(t, filepath.Base(n)))
	}
	for _, key := range []string{"a.key", "b.key"} {
		ids, err := open.ParseIdentities(bytes.NewReader(read(t, key)))
		require.NoError(t, err)
		alone := second(t, filepath.Join(vectorDir, key), objects)
		withAge := second(t, filepath.Join(vectorDir, key), objects, "--age", stock(t, "age"))
		for i, name := range names {
			same(t, name, objects[i], alone[i], ids...)
			require.Equal(t, alone[i].Refused == "", withAge[i].Refused == "", name)
			require.Equal(t, alone[i].Stranger, withAge[i].Stranger, name)
			require.Equal(t, alone[i].Content, withAge[i].Content, name)
			require.Equal(t, alone[i].Record, withAge[i].Record, name)
		}
	}
}

// TestSecondOpenerOnFreshObjects opens what is sealed now, of all sizes that
// are near a border, and what stock age sealed.
func TestSecondOpenerOnFreshObjects(t *testing.T) {
	a, b, stranger := newIdentity(t), newIdentity(t), newIdentity(t)
	var objects [][]byte
	for _, n := range []int{0, 1, 3072, 3073, 64511, 64512, 64513, 65536, 200_000} {
		for _, kind := range []record.Record{video(), track()} {
			objects = append(objects, sealed(t, content(n), kind, 4, a, b))
		}
		claims := video()
		claims.Length = int64(n)
		objects = append(objects, byAge(t, plain(t, content(n), claims, 256<<10), b, a))
	}
	for name, ids := range map[string][]open.Identity{"a": {a}, "b after a stranger": {stranger, b}, "stranger": {stranger}} {
		for i, v := range second(t, keyFile(t, ids...), objects) {
			same(t, fmt.Sprint(name, " ", i), objects[i], v, ids...)
			require.Equal(t, name == "stranger", v.Stranger)
		}
	}
	for _, v := range second(t, keyFile(t, a), objects[:1], "--stanzas", "3") {
		require.Equal(t, "4 stanzas, expected 3", v.Refused)
	}
}

// The second opener writes contents, and never over a file that is there.
func TestSecondOpenerWritesContents(t *testing.T) {
	id, dir := newIdentity(t), t.TempDir()
	file := sealed(t, content(100_000), video(), 1, id)
	v := second(t, keyFile(t, id), [][]byte{file}, "--out", dir)
	require.Empty(t, v[0].Refused)
	got, err := os.ReadFile(filepath.Join(dir, hexSum(file)))
	require.NoError(t, err)
	require.True(t, bytes.Equal(content(100_000), got))
	v = second(t, keyFile(t, id), [][]byte{file}, "--out", dir)
	require.Contains(t, v[0].Refused, "File exists")
}

// TestSecondOpenerVectors runs the Python primitives over published vectors.
func TestSecondOpenerVectors(t *testing.T) {
	if testing.Short() {
		t.Skip("Python computes the same whatever this test was built for")
	}
	goTool := func(args ...string) string {
		out, err := exec.Command("go", args...).Output()
		require.NoError(t, err)
		return strings.TrimSpace(string(out))
	}
	hpke := filepath.Join(goTool("env", "GOROOT"), "src/crypto/hpke/testdata/hpke-pq.json")
	if _, err := os.Stat(hpke); err != nil {
		t.Skip("this Go distribution comes without its sources: ", err)
	}
	cctv := filepath.Join(goTool("list", "-m", "-f", "{{.Dir}}", "c2sp.org/CCTV/age"), "testdata")
	cmd := python(t, "vectors.py", wycheproof.Dir(t), cctv, hpke)
	out, err := cmd.CombinedOutput()
	require.NoError(t, err, "%s", out)
	require.JSONEq(t, `{"chacha20-poly1305": 316, "x25519": 518, "ml-kem keygen": 100, "ml-kem encaps": 265, "ml-kem decaps": 181,
		"x-wing": 3, "hpke": 10, "age": 19}`, string(out))
}
