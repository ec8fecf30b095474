package agent_test

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"testing"

	"github.com/creack/pty"
	"github.com/stretchr/testify/require"
	"golang.org/x/sys/unix"

	"roadseal/agent"
	"roadseal/agent/config"
)

// check returns the findings of a unit as lines "LEVEL SUBJECT: TEXT", on a
// machine whose /proc, /etc and /run are below root.
func (u *unit) check(root string) string {
	u.t.Helper()
	c, err := config.Load(filepath.Join(u.dir, "agent.toml"))
	require.NoError(u.t, err)
	var b strings.Builder
	for _, f := range agent.Check(context.Background(), agent.CheckOptions{Config: c, Build: build, Offline: true, Root: root}) {
		fmt.Fprintf(&b, "%s %s: %s\n", f.Level, f.Subject, f.Text)
	}
	return b.String()
}

// A machine is a root with the files that check reads.
func machine(t *testing.T, files ...string) string {
	t.Helper()
	root := t.TempDir()
	require.NoError(t, os.Mkdir(filepath.Join(root, "proc"), 0o700))
	for i := 0; i < len(files); i += 2 {
		path := filepath.Join(root, files[i])
		require.NoError(t, os.MkdirAll(filepath.Dir(path), 0o700))
		require.NoError(t, os.WriteFile(path, []byte(files[i+1]), 0o600))
	}
	return root
}

const noSwap = "Filename\t\t\t\tType\t\tSize\tUsed\tPriority\n"

// TestCheckGood: a unit that is as it should be has nothing BAD, and nothing of
// the check stays.
func TestCheckGood(t *testing.T) {
	u := newUnit(t)
	for _, dir := range []string{"state", "run"} {
		require.NoError(t, os.Mkdir(filepath.Join(u.dir, dir), 0o700))
	}
	u.write("record/20261124_053000_NF.mp4", "clip")
	got := u.check(machine(t, "proc/swaps", noSwap, "proc/sys/kernel/core_pattern", "core\n"))
	require.NotContains(t, got, "BAD")
	for _, want := range []string{
		"ok certificate: valid until", "ok [device] state: files can be written, synced, renamed and removed",
		"ok [device] run: files can be written", "ok swap: none", "ok core dumps: ", "ok gnss: the port is there and can be opened",
		"ok camera dash: folder is there: 1 finished segments",
	} {
		require.Contains(t, got, want)
	}
	for _, dir := range []string{"state", "run"} {
		left, err := os.ReadDir(filepath.Join(u.dir, dir))
		require.NoError(t, err)
		for _, e := range left {
			require.Equal(t, "lock", e.Name())
		}
	}
}

func TestCheckKey(t *testing.T) {
	u := newUnit(t)
	require.NoError(t, os.Chmod(filepath.Join(u.dir, "device.key"), 0o640))
	require.Regexp(t, `BAD certificate: .*mode 0640 lets others at the private key.*chmod 600`, u.check(machine(t)))
	other := newUnit(t)
	key, err := os.ReadFile(filepath.Join(other.dir, "device.key"))
	require.NoError(t, err)
	require.NoError(t, os.Chmod(filepath.Join(u.dir, "device.key"), 0o600))
	u.write("device.key", string(key))
	require.Regexp(t, `BAD certificate: .*cannot be used with the certificate`, u.check(machine(t)))
}

func TestCheckState(t *testing.T) {
	u := newUnit(t)
	require.Contains(t, u.check(machine(t)), "ok [device] state: is not there yet and can be made")
	require.NoDirExists(t, filepath.Join(u.dir, "state"))
	require.NoError(t, os.Mkdir(filepath.Join(u.dir, "state"), 0o755))
	require.Contains(t, u.check(machine(t)), "warn [device] state: mode 0755 lets others in")

	var st unix.Statfs_t
	if unix.Statfs("/dev/shm", &st) != nil || st.Type != 0x01021994 {
		t.Skip("no tmpfs at /dev/shm")
	}
	shm, err := os.MkdirTemp("/dev/shm", "roadseal-check")
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, os.RemoveAll(shm)) })
	u.configure(`state = "state"`, fmt.Sprintf("state = %q", shm))
	got := u.check(machine(t))
	require.Contains(t, got, "warn [device] state: is in memory (tmpfs)")
	require.Contains(t, got, "ok [device] state: files can be written")
}

// TestCheckFAT mounts a real one, which takes root and mkfs.vfat.
func TestCheckFAT(t *testing.T) {
	mkfs, err := exec.LookPath("mkfs.vfat")
	if err != nil || os.Geteuid() != 0 {
		t.Skip("needs root and mkfs.vfat (Debian package dosfstools)")
	}
	u := newUnit(t)
	image, state := filepath.Join(u.dir, "card.img"), filepath.Join(u.dir, "state")
	require.NoError(t, os.Mkdir(state, 0o700))
	f, err := os.Create(image)
	require.NoError(t, err)
	require.NoError(t, f.Truncate(40<<20))
	require.NoError(t, f.Close())
	out, err := exec.Command(mkfs, image).CombinedOutput()
	require.NoError(t, err, string(out))
	if out, err := exec.Command("mount", "-o", "loop", image, state).CombinedOutput(); err != nil {
		t.Skipf("this kernel mounts no vfat by loop: %s", out)
	}
	t.Cleanup(func() { require.NoError(t, exec.Command("umount", state).Run()) })
	require.Contains(t, u.check(machine(t)), "BAD [device] state: is on FAT or exFAT")
}

// TestCheckOverlay: what counts is where the writes of an overlay go.
func TestCheckOverlay(t *testing.T) {
	if os.Geteuid() != 0 {
		t.Skip("needs root, to mount")
	}
	u := newUnit(t)
	mem := filepath.Join(u.dir, "mem")
	state := filepath.Join(u.dir, "state")
	for _, dir := range []string{mem, state} {
		require.NoError(t, os.Mkdir(dir, 0o700))
	}
	require.NoError(t, unix.Mount("tmpfs", mem, "tmpfs", 0, "size=16m"))
	t.Cleanup(func() { require.NoError(t, unix.Unmount(mem, 0)) })
	for _, dir := range []string{"lower", "upper", "work"} {
		require.NoError(t, os.Mkdir(filepath.Join(mem, dir), 0o700))
	}
	options := fmt.Sprintf("lowerdir=%[1]s/lower,upperdir=%[1]s/upper,workdir=%[1]s/work", mem)
	if err := unix.Mount("overlay", state, "overlay", 0, options); err != nil {
		t.Skipf("this kernel has no overlayfs: %v", err)
	}
	t.Cleanup(func() { require.NoError(t, unix.Unmount(state, 0)) })
	require.Contains(t, u.check(""), "warn [device] state: is in memory (tmpfs)")
}

func TestCheckMemory(t *testing.T) {
	u := newUnit(t)
	got := u.check(machine(t, "proc/swaps", noSwap+"/dev/zram0 partition 100 0 100\n/swapfile file 100 0 -2\n",
		"proc/sys/kernel/core_pattern", "|/usr/lib/systemd/systemd-coredump %P\n"))
	require.Contains(t, got, "warn swap: 1 swap areas that are not zram")
	require.Contains(t, got, "warn core dumps: the kernel hands them to a program")
	got = u.check(machine(t, "proc/swaps", noSwap+"/dev/zram0 partition 100 0 100\n", "proc/sys/kernel/core_pattern", "core\n"))
	require.Contains(t, got, "ok swap: none, or in memory only")
}

// TestCheckPortTaken: another process has the port open.
func TestCheckPortTaken(t *testing.T) {
	u := newUnit(t)
	require.NotContains(t, u.check(""), "sleep")
	tty, err := os.OpenFile(must(filepath.EvalSymlinks(filepath.Join(u.dir, "gps0"))), os.O_RDWR|unix.O_NOCTTY, 0)
	require.NoError(t, err)
	thief := exec.Command("sleep", "600")
	thief.Stdin = tty
	require.NoError(t, thief.Start())
	require.NoError(t, tty.Close())
	t.Cleanup(func() { _ = thief.Process.Kill(); _ = thief.Wait() })
	require.Contains(t, u.check(""), fmt.Sprintf("BAD gnss: process %d (sleep) has the port open", thief.Process.Pid))
}

func TestCheckPortIsNone(t *testing.T) {
	u := newUnit(t)
	require.NoError(t, os.Remove(filepath.Join(u.dir, "gps0")))
	require.Contains(t, u.check(machine(t)), "BAD gnss: [gnss] port is not there")
	u.write("gps0", "")
	require.Regexp(t, "BAD gnss: .* is no serial device", u.check(machine(t)))
}

// TestCheckGrabbers: who would open the port sooner or later.
func TestCheckGrabbers(t *testing.T) {
	u := newUnit(t)
	gps, tty, err := pty.Open()
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, gps.Close()); require.NoError(t, tty.Close()) })
	u.configure(`port = "gps0"`, fmt.Sprintf("port = %q", tty.Name()))
	var st unix.Stat_t
	require.NoError(t, unix.Stat(tty.Name(), &st))
	number := uint64(st.Rdev)
	udev := "run/udev/data/c" + strconv.Itoa(int(unix.Major(number))) + ":" + strconv.Itoa(int(unix.Minor(number)))
	name := filepath.Base(tty.Name())
	const wants = "etc/systemd/system/multi-user.target.wants/"

	require.NotContains(t, u.check(machine(t)), "warn gnss")
	require.Contains(t, u.check(machine(t, "proc/cmdline", "quiet console=tty0 console="+name+",115200n8")), "warn gnss: the kernel writes its messages to this port")
	require.NotContains(t, u.check(machine(t, "proc/cmdline", "console=tty0")), "warn gnss")
	require.Contains(t, u.check(machine(t, "etc/inittab", "#S1 getty\nS0:12345:respawn:/sbin/getty -L "+name+" 115200\n")), "warn gnss: /etc/inittab starts a login")
	require.Contains(t, u.check(machine(t, wants+"ModemManager.service", "")), "warn gnss: ModemManager is enabled, and udev does not say")
	require.Contains(t, u.check(machine(t, wants+"ModemManager.service", "", udev, "S:gnss\nE:ID_BUS=usb\n")), "warn gnss: ModemManager is enabled and probes this port")
	require.NotContains(t, u.check(machine(t, wants+"ModemManager.service", "", udev, "E:ID_MM_DEVICE_IGNORE=1\n")), "warn gnss")
	require.Contains(t, u.check(machine(t, "etc/systemd/system/sockets.target.wants/gpsd.socket", "")), "warn gnss: gpsd is enabled")
	require.Contains(t, u.check(machine(t, udev, "E:SYSTEMD_WANTS=gpsdctl@ttyACM0.service\n")), "warn gnss: gpsd is enabled")
	masked := machine(t, wants+"ModemManager.service", "")
	require.NoError(t, os.Symlink("/dev/null", filepath.Join(masked, "etc/systemd/system/ModemManager.service")))
	require.NotContains(t, u.check(masked), "warn gnss")
}

// TestCheckFolders: what another user than root may do with a recorder's folder.
func TestCheckFolders(t *testing.T) {
	u := newUnit(t)
	u.configure(`preset = "blackvue"`, "preset = \"blackvue\"\nafter_seal = \"remove\"")
	u.write("record/20261124_053000_NF.mp4", "clip")
	require.Contains(t, u.check(machine(t)), "ok camera dash: what is sealed can be removed")
	if os.Geteuid() == 0 {
		asNobody(t)
		return
	}
	record := filepath.Join(u.dir, "record")
	require.NoError(t, os.Chmod(filepath.Join(record, "20261124_053000_NF.mp4"), 0o000))
	require.NoError(t, os.Chmod(record, 0o500))
	t.Cleanup(func() { require.NoError(t, os.Chmod(record, 0o700)) })
	got := u.check(machine(t))
	require.NotContains(t, got, "warn user")
	require.Contains(t, got, "BAD camera dash: 1 segments may not be read")
	require.Contains(t, got, `BAD camera dash: after_seal = "remove", but this user may not remove files there`)
}

// asNobody runs the calling test again, as a user who is not root.
func asNobody(t *testing.T) {
	t.Helper()
	dir, err := os.MkdirTemp("", "agent") // unlike t.TempDir's, its parent is open to all
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, os.RemoveAll(dir)) })
	require.NoError(t, os.Chmod(dir, 0o777))
	self, err := os.ReadFile("/proc/self/exe")
	require.NoError(t, err)
	binary := filepath.Join(dir, "test")
	require.NoError(t, os.WriteFile(binary, self, 0o755))
	cmd := exec.Command(binary, "-test.run", "^"+t.Name()+"$", "-test.v")
	cmd.Dir, cmd.Env = dir, append(os.Environ(), "TMPDIR="+dir)
	cmd.SysProcAttr = &syscall.SysProcAttr{Credential: &syscall.Credential{Uid: 65534, Gid: 65534}}
	out, err := cmd.CombinedOutput()
	if errors.Is(err, syscall.ENOEXEC) {
		t.Skip("this machine cannot run its own test as another program: ", err)
	}
	require.NoError(t, err, string(out))
	require.Contains(t, string(out), "--- PASS: "+t.Name())
}
