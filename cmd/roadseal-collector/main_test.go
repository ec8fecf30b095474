package main

import (
	"context"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/rogpeppe/go-internal/testscript"
	"github.com/stretchr/testify/require"

	"roadseal/cmd/internal/broker/brokertest"
	"roadseal/cmd/internal/cli"
	"roadseal/cmd/internal/cli/clitest"
	"roadseal/cmd/internal/objstore"
	"roadseal/cmd/internal/objstore/objstoretest"
	"roadseal/crypto/envelope"
	"roadseal/crypto/mtls"
	"roadseal/hal/durable"
)

func TestMain(m *testing.M) {
	testscript.Main(m, map[string]func(){"roadseal-collector": func() { os.Exit(cli.Main(root())) }})
}

// TestScripts runs the real program. Each script has the certificates of a
// fleet in its folder: collector.pem and .key, car.pem and .key, ca.pem.
func TestScripts(t *testing.T) {
	ca := brokertest.NewCA(t)
	pem := map[string][]byte{}
	for name, files := range map[string]mtls.Files{"collector": ca.Files("collector"), "car": ca.Files(brokertest.Device(t))} {
		for to, from := range map[string]string{name + ".pem": files.Certificate, name + ".key": files.Key, "ca.pem": files.CA} {
			b, err := os.ReadFile(from)
			require.NoError(t, err)
			pem[to] = b
		}
	}
	commands := clitest.Commands("testdata/help")
	commands["object"], commands["flip"], commands["waitfor"] = putObject, flip, waitFor
	testscript.Run(t, testscript.Params{
		Dir:  "testdata/script",
		Cmds: commands,
		Setup: func(e *testscript.Env) error {
			for name, b := range pem {
				if err := os.WriteFile(filepath.Join(e.WorkDir, name), b, 0o600); err != nil {
					return err
				}
			}
			return nil
		},
	})
}

// putObject is "object STORE CLASS SEED PLAIN [STANZAS]": it stores an object
// with a plaintext of PLAIN bytes.
func putObject(ts *testscript.TestScript, _ bool, args []string) {
	number := func(i int) int64 {
		n, err := strconv.ParseInt(args[i], 10, 64)
		ts.Check(err)
		return n
	}
	slots := envelope.DefaultSlots
	if len(args) > 4 {
		slots = int(number(4))
	}
	disk, err := durable.OpenDisk(ts.MkAbs(args[0]))
	ts.Check(err)
	store, err := objstore.NewFolder(disk, objstore.Limits{Count: 9, Bytes: 1 << 30, Age: 1})
	ts.Check(err)
	b, name := objstoretest.Sealed(uint64(number(2)), slots, number(3))
	st, _, err := store.Stage(context.Background(), name.String(), int64(len(b)))
	ts.Check(err)
	for i := 0; i*61440 < len(b); i++ {
		ts.Check(st.WriteBlock(i, b[i*61440:min(len(b), (i+1)*61440)]))
	}
	ts.Check(st.Commit(context.Background(), objstore.Key{Class: int(number(1)), Name: name}))
	ts.Check(store.Close())
	ts.Setenv("NAME", name.String())
}

// flip is "flip FILE OFFSET": it changes a bit.
func flip(ts *testscript.TestScript, _ bool, args []string) {
	b, err := os.ReadFile(ts.MkAbs(args[0]))
	ts.Check(err)
	at, err := strconv.Atoi(args[1])
	ts.Check(err)
	b[at] ^= 1
	ts.Check(os.WriteFile(ts.MkAbs(args[0]), b, 0o600))
}

// waitFor is "waitfor FILE TEXT": it waits until the file has the text in it.
func waitFor(ts *testscript.TestScript, _ bool, args []string) {
	for range 1000 {
		if b, err := os.ReadFile(ts.MkAbs(args[0])); err == nil && strings.Contains(string(b), args[1]) {
			return
		}
		time.Sleep(30 * time.Millisecond)
	}
	ts.Fatalf("%s never has %s in it", args[0], args[1])
}

func TestExampleNamesEveryKey(t *testing.T) {
	dir := t.TempDir()
	path := filepath.Join(dir, "collector.toml")
	require.NoError(t, os.WriteFile(path, []byte(example), 0o600))
	_, err := load(path) // the files it names are not there
	require.ErrorContains(t, err, "cannot read the certificate")
	require.ErrorContains(t, err, "receipt.key: there is no such file")
	for _, key := range []string{"address", "server_name", "ca", "certificate", "key", "profile", "shards", "receipt_key", "store_id", "stanzas", "status",
		"path", "keep_free", "objects", "bytes", "total_objects", "total_bytes", "idle", "age", "largest"} {
		require.Regexp(t, `(?m)^`+key+` = `, example)
	}
}
