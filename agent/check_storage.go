package agent

import (
	"bufio"
	"errors"
	"io"
	"os"
	"path/filepath"
	"strings"

	"golang.org/x/sys/unix"

	"roadseal/hal/durable"
)

// Magic numbers of file systems, linux/magic.h.
const (
	msdosMagic   = 0x4d44
	exfatMagic   = 0x2011bab0
	tmpfsMagic   = 0x01021994
	ramfsMagic   = 0x858458f6
	overlayMagic = 0x794c7630
	fuseMagic    = 0x65735546
)

// probeName is the file that directory writes and removes.
const probeName = "check"

// directory checks a directory that the agent writes to and reports whether an
// agent holds its lock.
func (k *checker) directory(name, path string, lasting bool) (running bool) {
	subject := "[device] " + name
	exists := path
	for {
		if _, err := os.Stat(exists); err == nil || exists == "/" {
			break
		}
		exists = filepath.Dir(exists)
	}
	if err := unix.Access(exists, unix.W_OK|unix.X_OK); err != nil {
		k.add(Bad, subject, "cannot be written by this user: %v; hint: it belongs to the agent's user, mode 0700", err)
		return false
	}
	free, ok := k.fileSystem(subject, exists, lasting)
	if !ok {
		return false
	}
	if exists != path {
		k.add(OK, subject, "is not there yet and can be made, %d MB free", free/1e6)
		return false
	}
	d, err := durable.OpenExisting(path)
	if err != nil {
		k.add(Bad, subject, "%v", err)
		return false
	}
	defer d.Close()
	if err := probe(d); err != nil {
		k.add(Bad, subject, "cannot be written, synced and renamed in: %v", err)
		return false
	}
	k.add(OK, subject, "files can be written, synced, renamed and removed, %d MB free", free/1e6)
	if st, err := os.Stat(path); err == nil && lasting && st.Mode().Perm()&0o077 != 0 {
		k.add(Warn, subject, "mode %#o lets others in; hint: chmod 700", st.Mode().Perm())
	}
	lock, err := d.Lock(lockFile)
	if err == nil {
		_ = lock.Close() // the file stays; the agent makes it too
	}
	return errors.Is(err, durable.ErrLocked)
}

// probe does what the agent does with its files.
func probe(d *durable.Disk) error {
	if err := durable.WriteFile(d, ".", probeName, []byte("roadseal-agent check\n")); err != nil {
		return err
	}
	return errors.Join(d.Remove(probeName), d.Sync("."))
}

// fileSystem judges what a directory lies on. It reports the bytes that are
// free, and whether the directory can serve.
func (k *checker) fileSystem(subject, dir string, lasting bool) (free int64, ok bool) {
	var st unix.Statfs_t
	if err := unix.Statfs(dir, &st); err != nil {
		k.add(Bad, subject, "%v", err)
		return 0, false
	}
	free = int64(st.Bavail) * int64(st.Bsize)
	if !lasting {
		return free, true
	}
	kind := uint32(st.Type)
	if kind == overlayMagic {
		kind = k.upperKind(dir)
	}
	switch {
	case kind == msdosMagic || kind == exfatMagic:
		k.add(Bad, subject, "is on FAT or exFAT, which loses files at a power cut; hint: ext4, f2fs or ubifs")
		return free, false
	case kind == tmpfsMagic || kind == ramfsMagic:
		k.add(Warn, subject, "is in memory (tmpfs): every object that is not yet delivered is lost at a power cut, and the count of starts with it")
	case kind == fuseMagic:
		k.add(Warn, subject, "is on a file system of a user program (FUSE), of which nobody knows what it keeps at a power cut; hint: ext4, f2fs or ubifs")
	}
	if free < int64(k.cfg.Spool.KeepFree) {
		k.add(Warn, subject, "%d MB free, less than [spool] keep_free: clips of the recorder's ring wait until something that was delivered gives way", free/1e6)
	}
	return free, true
}

// upperKind is the kind of file system that the writes to an overlay go to; 0
// if it cannot be told.
func (k *checker) upperKind(dir string) uint32 {
	f, err := os.Open(k.path("/proc/self/mountinfo"))
	if err != nil {
		return 0
	}
	defer f.Close()
	upper, at := "", ""
	for lines := bufio.NewScanner(io.LimitReader(f, maxProc)); lines.Scan(); {
		// proc(5): the mount point is field 5; the options of the file system come last.
		fields := strings.Fields(lines.Text())
		if len(fields) < 10 || !strings.Contains(lines.Text(), " - overlay ") || len(fields[4]) < len(at) || !below(fields[4], dir) {
			continue
		}
		at = fields[4]
		for _, option := range strings.Split(fields[len(fields)-1], ",") {
			if u, ok := strings.CutPrefix(option, "upperdir="); ok {
				upper = u
			}
		}
	}
	var st unix.Statfs_t
	if upper == "" || unix.Statfs(upper, &st) != nil {
		return 0
	}
	return uint32(st.Type)
}

func below(dir, path string) bool {
	return dir == path || strings.HasPrefix(path, strings.TrimSuffix(dir, "/")+"/")
}
