package agent

import (
	"errors"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"time"

	"golang.org/x/sys/unix"

	"roadseal/hal/serialport"
)

// maxProc bounds what is read of a file of the machine.
const maxProc = 1 << 20

func (k *checker) path(p string) string { return filepath.Join(k.Root, p) }

// read returns a file of the machine, or "" if it cannot be read.
func (k *checker) read(p string) string {
	f, err := os.Open(k.path(p))
	if err != nil {
		return ""
	}
	defer f.Close()
	b, err := io.ReadAll(io.LimitReader(f, maxProc))
	if err != nil {
		return ""
	}
	return string(b)
}

// user says what a check by root is worth.
func (k *checker) user() {
	if os.Geteuid() == 0 {
		k.add(Warn, "user", "root may read and write everything, so that this proves no permission; hint: runuser -u roadseal -- roadseal-agent check")
	}
}

// memory tells where plaintext in memory may be written to flash.
func (k *checker) memory() {
	lines := strings.Split(strings.TrimSpace(k.read("/proc/swaps")), "\n")
	onDisk := 0
	for _, l := range lines[1:] {
		if !strings.HasPrefix(l, "/dev/zram") {
			onDisk++
		}
	}
	if onDisk > 0 {
		k.add(Warn, "swap", "%d swap areas that are not zram: plaintext in memory may reach them; hint: MemorySwapMax=0 as in the systemd unit, or swapoff", onDisk)
	} else {
		k.add(OK, "swap", "none, or in memory only")
	}
	if strings.HasPrefix(k.read("/proc/sys/kernel/core_pattern"), "|") {
		k.add(Warn, "core dumps", "the kernel hands them to a program, which no limit on their size prevents; the agent forbids its own, those of the recorder may hold plaintext; hint: sysctl kernel.core_pattern=core")
	} else {
		k.add(OK, "core dumps", "the agent forbids its own")
	}
}

// time tells what is known of the clock. The agent does not rely on it; names
// and times that people read come from it.
func (k *checker) time() {
	var tx unix.Timex
	state, err := unix.Adjtimex(&tx)
	switch {
	case time.Now().Before(k.Build):
		k.add(Warn, "clock", "it is before the day of this release: %s; hint: battery of the clock, time service", time.Now().UTC().Format(time.DateOnly))
	case err != nil: // seccomp, perhaps
		k.add(OK, "clock", "whether it is synchronised cannot be asked here: %v", err)
	case state == unix.TIME_ERROR || tx.Status&unix.STA_UNSYNC != 0:
		k.add(Warn, "clock", "is not synchronised; hint: chrony or systemd-timesyncd, fed by the receiver or the network")
	default:
		k.add(OK, "clock", "is synchronised")
	}
}

// port checks the receiver's port and looks for those who would take it away.
func (k *checker) port(running bool) {
	if k.cfg.GNSS == nil {
		return
	}
	path := k.cfg.GNSS.Port
	if _, err := os.Stat(path); errors.Is(err, fs.ErrNotExist) {
		k.add(Bad, "gnss", "[gnss] port is not there: receiver unplugged, or another path (see /dev/serial/by-id)")
		return
	}
	holders, all := serialport.Holders(k.path("/proc"), path)
	mine := false
	for _, h := range holders {
		if running && h.Name == "roadseal-agent" {
			mine = true
			k.add(OK, "gnss", "the running agent has the port")
			continue
		}
		k.add(Bad, "gnss", "process %d (%s) has the port open and takes bytes away; hint: %s", h.PID, h.Name, remedy(h.Name))
	}
	if !mine {
		k.result("gnss", serialport.Probe(path), "the port is there and can be opened")
	}
	if !all && len(holders) == 0 {
		k.add(OK, "gnss", "no process of this user has the port open; only root sees the others'")
	}
	if device, err := filepath.EvalSymlinks(path); err == nil {
		k.grabbers(device)
	}
}

// remedy is how to keep a program off the port.
func remedy(name string) string {
	switch {
	case strings.HasPrefix(name, "ModemManager"):
		return "udev property ID_MM_DEVICE_IGNORE=1, see 60-roadseal.rules"
	case strings.HasPrefix(name, "gpsd"):
		return "systemctl mask --now gpsd.service gpsd.socket"
	case strings.Contains(name, "getty") || name == "login":
		return "systemctl mask --now serial-getty@PORT.service, or the line in /etc/inittab; no console= of this port on the kernel's command line"
	}
	return "stop that program"
}

// grabbers warns of services that would open the port sooner or later.
func (k *checker) grabbers(device string) {
	tty := filepath.Base(device)
	for _, word := range strings.Fields(k.read("/proc/cmdline")) {
		if name, ok := strings.CutPrefix(word, "console="); ok && strings.Split(name, ",")[0] == tty {
			k.add(Warn, "gnss", "the kernel writes its messages to this port (console=%s), and systemd starts a login there; hint: the command line of the kernel", tty)
		}
	}
	for _, l := range strings.Split(k.read("/etc/inittab"), "\n") {
		if !strings.HasPrefix(l, "#") && strings.Contains(l, "getty") && strings.Contains(l, tty) {
			k.add(Warn, "gnss", "/etc/inittab starts a login on this port; hint: take the line out")
		}
	}
	if k.enabled("serial-getty@" + tty + ".service") {
		k.add(Warn, "gnss", "a login is enabled on this port; hint: systemctl mask --now serial-getty@%s.service", tty)
	}
	udev, known := k.udev(device)
	if k.enabled("ModemManager.service") && !(udev["ID_MM_DEVICE_IGNORE"] == "1" || udev["ID_MM_PORT_IGNORE"] == "1") {
		text := "ModemManager is enabled and probes this port when it appears"
		if !known {
			text = "ModemManager is enabled, and udev does not say that it leaves this port alone"
		}
		k.add(Warn, "gnss", "%s; hint: udev property ID_MM_DEVICE_IGNORE=1, see 60-roadseal.rules", text)
	}
	if k.enabled("gpsd.service") || k.enabled("gpsd.socket") || strings.Contains(udev["SYSTEMD_WANTS"], "gpsdctl") {
		k.add(Warn, "gnss", "gpsd is enabled and may take this port; hint: systemctl mask --now gpsd.service gpsd.socket, see 60-roadseal.rules")
	}
}

// enabled reports whether systemd starts a unit by itself: some other unit or
// socket wants it, and it is not masked.
func (k *checker) enabled(unit string) bool {
	if to, err := os.Readlink(k.path("/etc/systemd/system/" + unit)); err == nil && to == "/dev/null" {
		return false
	}
	dirs, err := os.ReadDir(k.path("/etc/systemd/system"))
	if err != nil {
		return false
	}
	for _, d := range dirs {
		if _, err := os.Lstat(k.path("/etc/systemd/system/" + d.Name() + "/" + unit)); err == nil && strings.HasSuffix(d.Name(), ".wants") {
			return true
		}
	}
	return false
}

// udev returns what the database of udev holds of a device: one file for each,
// named by kind and numbers, with lines E:KEY=VALUE.
func (k *checker) udev(device string) (properties map[string]string, known bool) {
	var st unix.Stat_t
	if unix.Stat(device, &st) != nil {
		return nil, false
	}
	number := uint64(st.Rdev) // has 32 bits on some systems
	name := "c" + strconv.FormatUint(uint64(unix.Major(number)), 10) + ":" + strconv.FormatUint(uint64(unix.Minor(number)), 10)
	properties = map[string]string{}
	text := k.read("/run/udev/data/" + name)
	for _, l := range strings.Split(text, "\n") {
		if l, ok := strings.CutPrefix(l, "E:"); ok {
			key, value, _ := strings.Cut(l, "=")
			properties[key] = value
		}
	}
	return properties, text != ""
}
