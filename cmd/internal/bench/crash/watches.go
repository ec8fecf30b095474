package crash

import (
	"os"
	"path/filepath"
	"strconv"
	"strings"
)

// An agent takes an inotify instance for each of its recorders, and Linux gives
// a user only so many, 128 by default. An agent that gets none looks into the
// folders now and then, for which the sweeps have no time.
const (
	watchesOfLane = 2
	spareWatches  = 16 // for whoever else runs on this machine
	leastLanes    = 4  // where there are none, agents ask again after a rescan
)

// freeWatches is how many inotify instances root may still have, as far as can
// be seen. They are not asked for: others would find none meanwhile.
func freeWatches() int {
	n := mostWatches
	for _, limit := range []string{"/proc/sys/fs/inotify/max_user_instances", "/proc/sys/user/max_inotify_instances"} {
		b, err := os.ReadFile(limit)
		if err != nil {
			continue // an older kernel
		}
		if most, err := strconv.Atoi(strings.TrimSpace(string(b))); err == nil {
			n = min(n, most)
		}
	}
	fds, err := filepath.Glob("/proc/[0-9]*/fd/*")
	if err != nil {
		return n
	}
	for _, fd := range fds {
		// A process may end meanwhile.
		if to, err := os.Readlink(fd); err == nil && to == "anon_inode:inotify" {
			n--
		}
	}
	return n
}

// mostWatches is enough for any plan.
const mostWatches = 1024
