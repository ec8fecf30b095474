package open_test

import (
	"bytes"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"roadseal/crypto/envelope"
	"roadseal/crypto/open"
)

// stock builds a command of filippo.io/age for this machine, whatever machine
// the test itself was built for.
func stock(t *testing.T, name string) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), name)
	build := exec.Command("go", "build", "-o", path, "filippo.io/age/cmd/"+name)
	build.Env = append(slices.DeleteFunc(os.Environ(), func(v string) bool {
		return strings.HasPrefix(v, "GOOS=") || strings.HasPrefix(v, "GOARCH=") || strings.HasPrefix(v, "GOARM=")
	}), "CGO_ENABLED=0")
	out, err := build.CombinedOutput()
	require.NoError(t, err, "%s", out)
	return path
}

func run(t *testing.T, script string, args ...string) []byte {
	t.Helper()
	cmd := exec.Command("sh", append([]string{"-euc", script, "sh"}, args...)...)
	var problems bytes.Buffer
	cmd.Stderr = &problems
	out, err := cmd.Output()
	require.NoError(t, err, "%s", problems.String())
	return out
}

// TestStockCommands is the promise of FORMAT.md: sha256sum, age, tail and head
// check and open an object, and none of our software is needed. In the other
// direction, they make one.
func TestStockCommands(t *testing.T) {
	age, dir := stock(t, "age"), t.TempDir()
	id := newIdentity(t)
	keyFile, object := filepath.Join(dir, "key"), filepath.Join(dir, "object")
	require.NoError(t, os.WriteFile(keyFile, []byte("# public key: "+id.Recipient().String()+"\n"+id.Secret()+"\n"), 0o600))

	for _, n := range []int{0, 1, 3000, envelope.ChunkSize, 1_000_000} {
		body := content(n)
		file := sealed(t, body, video(), envelope.DefaultSlots, newIdentity(t), id)
		require.NoError(t, os.WriteFile(object, file, 0o600))

		sum := run(t, `sha256sum < "$1" | cut -c 1-64`, object)
		require.Equal(t, hexSum(file)+"\n", string(sum))
		rec := run(t, `"$1" -d -i "$2" "$3" | tail -c 1024`, age, keyFile, object)
		require.Contains(t, string(rec), "roadseal/1\nlength: "+strconv.Itoa(n)+"\n")
		got := run(t, `"$1" -d -i "$2" "$3" > "$3.plain"; length=$(tail -c 1024 "$3.plain" | sed -n 's/^length: //p'); head -c "$length" "$3.plain"`, age, keyFile, object)
		require.True(t, bytes.Equal(body, got), "%d bytes", n)

		claims := video()
		claims.Length = int64(n)
		p := plain(t, body, claims, envelope.GridBinary(int64(n)))
		require.NoError(t, os.WriteFile(object+".in", p, 0o600))
		run(t, `rm "$3"; "$1" -r "$2" -o "$3" "$3.in"`, age, id.Recipient().String(), object)
		made, err := os.ReadFile(object)
		require.NoError(t, err)
		back, r, err := opened(made, id)
		require.NoError(t, err)
		require.Equal(t, claims, r)
		require.True(t, bytes.Equal(body, back))
	}
}

// A key file that the stock command made is read, with its comments.
func TestStockKeyFile(t *testing.T) {
	file := run(t, `"$1" -pq 2>/dev/null`, stock(t, "age-keygen"))
	ids, err := open.ParseIdentities(bytes.NewReader(file))
	require.NoError(t, err)
	require.Len(t, ids, 1)
	require.Contains(t, string(file), "# public key: "+ids[0].Recipient().String()+"\n")
	require.Contains(t, string(file), "\n"+ids[0].Secret()+"\n")
}
