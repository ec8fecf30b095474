package fetch_test

import (
	"bytes"
	"fmt"
	"io/fs"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"roadseal/agent/wire"
	"roadseal/firmware/fetch/fetchtest"
)

// TestNginx fetches from nginx, with the configuration that docs/deploy names.
func TestNginx(t *testing.T) {
	nginx, err := exec.LookPath("nginx")
	if err != nil {
		t.Skip("needs nginx")
	}
	doc, err := os.ReadFile("../../docs/deploy/README.md")
	require.NoError(t, err)
	block := regexp.MustCompile("(?s)```nginx\n(.*?)```").FindSubmatch(doc)
	require.NotNil(t, block)

	ca, dir := newPKI(t), t.TempDir()
	ca.server() // makes the files
	free, err := net.Listen("tcp", "127.0.0.1:0")
	require.NoError(t, err)
	address := free.Addr().String()
	require.NoError(t, free.Close())
	conf := string(block[1])
	for from, to := range map[string]string{"listen 443": "listen " + address, "/etc/roadseal/tls": ca.dir, "/srv/releases": dir} {
		require.Contains(t, conf, from)
		conf = string(bytes.ReplaceAll([]byte(conf), []byte(from), []byte(to)))
	}
	conf = fmt.Sprintf("daemon off; pid %[1]s/nginx.pid; error_log %[1]s/error.log;\nevents {}\nhttp { access_log off; client_body_temp_path %[1]s/b; proxy_temp_path %[1]s/p; fastcgi_temp_path %[1]s/f; uwsgi_temp_path %[1]s/u; scgi_temp_path %[1]s/s;\n%s}\n", ca.dir, conf)
	path := filepath.Join(ca.dir, "nginx.conf")
	require.NoError(t, os.WriteFile(path, []byte(conf), 0o600))
	for _, d := range []string{ca.dir, dir} {
		for ; d != "/" && d != os.TempDir(); d = filepath.Dir(d) { // its workers are another user
			require.NoError(t, os.Chmod(d, 0o755))
		}
	}
	want := fetchtest.Noise(1, 5*wire.BlockSize+3)
	for name, data := range map[string][]byte{"image/1.targets.json": want, "director/" + car + "/timestamp.json": []byte("own"), "director/timestamp.json": []byte("fleet"), "director/1.root.json": []byte("root")} {
		require.NoError(t, os.MkdirAll(filepath.Dir(filepath.Join(dir, name)), 0o755))
		require.NoError(t, os.WriteFile(filepath.Join(dir, name), data, 0o644))
	}
	var out bytes.Buffer
	cmd := exec.Command(nginx, "-p", ca.dir, "-c", path)
	cmd.Stderr = &out
	require.NoError(t, cmd.Start())
	t.Cleanup(func() {
		require.NoError(t, cmd.Process.Signal(os.Interrupt))
		_ = cmd.Wait()
	})
	for range 100 { // until it listens
		if c, err := net.Dial("tcp", address); err == nil {
			c.Close()
			break
		}
		time.Sleep(50 * time.Millisecond)
	}
	h := client(t, "https://"+address+"/", ca.client())
	got, err := h.Fetch(t.Context(), "image/1.targets.json", 1<<20)
	require.NoError(t, err, out.String())
	require.True(t, bytes.Equal(want, got))
	for name, want := range map[string]string{"director/timestamp.json": "own", "director/1.root.json": "root"} {
		got, err := h.Fetch(t.Context(), name, 100)
		require.NoError(t, err)
		require.Equal(t, want, string(got))
	}
	_, err = h.Fetch(t.Context(), "image/9.root.json", 100)
	require.ErrorIs(t, err, fs.ErrNotExist)
	_, err = h.Fetch(t.Context(), "director/"+otherCar+"/timestamp.json", 100)
	require.ErrorContains(t, err, "status 403", "another vehicle's")
}

const otherCar = "AAAAAAAAAAAAAAAAAAAAAQ"
