package agent_test

import (
	"fmt"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"roadseal/agent/health"
)

// TestWear counts what reaches the medium for what is sealed, on an ext4 of its
// own: flash is worn by bytes, and a unit has to last for years.
func TestWear(t *testing.T) {
	if testing.Short() {
		t.Skip("writes 150 MB")
	}
	disk, device := ext4(t)
	u := newUnit(t)
	u.configure(`state = "state"`, `state = "`+disk+`/state"`)
	_, stop := u.start()

	const clips, size = 50, 1_000_000
	rng := rand.NewChaCha8([32]byte{1})
	before := written(t, device)
	clip := make([]byte, size)
	for i := range clips {
		_, err := rng.Read(clip)
		require.NoError(t, err)
		u.write(fmt.Sprintf("record/20261124_05%02d00_NF.mp4", i), string(clip))
	}
	u.until("sealed", func(s *health.Status) bool { return s.Cameras[0].Sealed == clips })
	u.drive(50)
	u.until("fixes came in", func(s *health.Status) bool { return s.GNSS.InMemory >= 49 })
	require.NoError(t, stop())
	after := written(t, device)
	sealed := after.bytes - before.bytes
	t.Logf("%d clips of %d bytes: %d bytes reached the medium in %d writes and %d flushes: %.3f of the clips",
		clips, size, sealed, after.writes-before.writes, after.flushes-before.flushes, float64(sealed)/(clips*size))
	require.Less(t, float64(sealed), 1.10*clips*size)
}

// ext4 mounts a file system in a file and returns its path and its device.
func ext4(t *testing.T) (dir, device string) {
	t.Helper()
	dir = t.TempDir()
	image := filepath.Join(t.TempDir(), "image")
	f, err := os.Create(image)
	require.NoError(t, err)
	require.NoError(t, f.Truncate(400<<20))
	require.NoError(t, f.Close())
	command := func(args ...string) (string, error) {
		out, err := exec.Command(args[0], args[1:]...).CombinedOutput()
		return strings.TrimSpace(string(out)), err
	}
	t.Setenv("PATH", os.Getenv("PATH")+":/usr/sbin:/sbin")
	if out, err := command("mkfs.ext4", "-q", "-E", "lazy_itable_init=0,lazy_journal_init=0", image); err != nil {
		t.Skipf("cannot make an ext4 here: %v %s", err, out)
	}
	device, err = command("losetup", "--find", "--show", image)
	if err != nil {
		t.Skipf("this user has no loop device: %v %s", err, device)
	}
	t.Cleanup(func() { _, err := command("losetup", "--detach", device); require.NoError(t, err) })
	if out, err := command("mount", "-t", "ext4", device, dir); err != nil {
		t.Skipf("this user cannot mount: %v %s", err, out)
	}
	t.Cleanup(func() { out, err := command("umount", dir); require.NoError(t, err, out) })
	return dir, device
}

type traffic struct{ writes, bytes, flushes int64 }

// written reads what a block device has taken so far: the kernel's
// Documentation/block/stat.rst, fields 5, 7 and 16.
func written(t *testing.T, device string) traffic {
	t.Helper()
	b, err := os.ReadFile("/sys/block/" + filepath.Base(device) + "/stat")
	require.NoError(t, err)
	f := strings.Fields(string(b))
	require.GreaterOrEqual(t, len(f), 16)
	field := func(n int) int64 {
		v, err := strconv.ParseInt(f[n-1], 10, 64)
		require.NoError(t, err)
		return v
	}
	return traffic{writes: field(5), bytes: 512 * field(7), flushes: field(16)}
}
