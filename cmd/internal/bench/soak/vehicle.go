package soak

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"sync"
	"sync/atomic"
	"time"

	"roadseal/agent"
	"roadseal/agent/health"
	"roadseal/cmd/internal/bench/pki"
	"roadseal/cmd/internal/bench/player"
	"roadseal/cmd/internal/bench/process"
	"roadseal/cmd/internal/bench/shaper"
	"roadseal/cmd/internal/bench/wallclock"
	"roadseal/hal/durable"
)

// A role is what is special about a vehicle.
type role struct {
	netns    bool   // lives in a network namespace of its own
	tmpfs    bool   // its state lies on a small disk
	rate     int64  // of its link upwards, bytes/s
	maxBytes string // of its spool
	keepFree string
	large    bool // it records a large clip too
}

// Roles, dealt out in turn.
var roles = []role{
	{netns: true, rate: 2_000_000, maxBytes: "1GiB", keepFree: "64MiB", large: true},
	{tmpfs: true, rate: 1_000_000, maxBytes: "10MiB", keepFree: "1MiB"},
	{rate: 150_000, maxBytes: "6MiB", keepFree: "64MiB"},
	{rate: 2_000_000, maxBytes: "1GiB", keepFree: "64MiB", large: true},
	{netns: true, rate: 2_000_000, maxBytes: "1GiB", keepFree: "64MiB", large: true},
	{rate: 150_000, maxBytes: "6MiB", keepFree: "64MiB"},
	{rate: 2_000_000, maxBytes: "1GiB", keepFree: "64MiB", large: true},
	{netns: true, rate: 2_000_000, maxBytes: "1GiB", keepFree: "64MiB"},
	{rate: 2_000_000, maxBytes: "24MiB", keepFree: "64MiB"},
	{rate: 2_000_000, maxBytes: "1GiB", keepFree: "64MiB"},
}

// A vehicle is an agent with all that stands around it.
type vehicle struct {
	index        int
	name         string
	dir          string
	role         role
	device       pki.Device
	clock        string // file that sets its wall clock; "" = it is right
	mounted      bool   // its state is a disk of its own
	number, mark string

	program process.Program
	port    *player.Port
	link    *shaper.Link
	lives   lives // of its spool
	plan    []player.Segment
	clips   []player.Clip // once the recorder is done

	quiet atomic.Bool // its link is dead: nothing else is to happen to it

	mu      sync.Mutex
	proc    *process.Process
	listens bool        // the agent reads the receiver
	said    []time.Time // when fix n was said
	gaps    []span      // fixes said in them may be lost
	memory  int64       // peak of all starts
	resent  int64       // bytes, by the word of the agent; those of its last seconds before a kill are missing
	stopped bool        // for good
}

// A span is a stretch of time.
type span struct{ from, to time.Time }

func (v *vehicle) path(name string) string { return filepath.Join(v.dir, name) }
func (v *vehicle) config() string          { return v.path("agent.toml") }
func (v *vehicle) state() string           { return v.path("state") }
func (v *vehicle) spool() string           { return v.path("state/spool") }
func (v *vehicle) run() string             { return v.path("run") }
func (v *vehicle) recorder() string        { return v.path("recorder") }
func (v *vehicle) serial() string          { return v.path("gnss") }

// start starts the agent. The caller holds mu.
func (v *vehicle) start() (err error) {
	if err := v.port.Release(); err != nil {
		return err
	}
	v.proc, err = process.Start(v.program)
	return err
}

// launch starts the agent for the first time.
func (v *vehicle) launch() error {
	v.mu.Lock()
	defer v.mu.Unlock()
	return v.start()
}

// bounce kills the agent and starts it again, unless it has something in memory
// that it could not seal in time: that may be lost only where the disk is full.
// It reports whether it did.
func (v *vehicle) bounce(pause func()) (done bool, err error) {
	v.mu.Lock()
	defer v.mu.Unlock()
	s := v.status()
	if !v.listens || !sealsInTime(s) {
		return false, nil
	}
	v.listens = false
	v.resent += s.Uplink.Resent
	if err := v.proc.Kill(); err != nil {
		return false, err
	}
	now := time.Now()
	v.memory = max(v.memory, v.proc.PeakMemory())
	v.gaps = append(v.gaps, span{now.Add(-maxAge - slack), now})
	pause()
	err = v.start()
	v.stopped = err != nil
	return true, err
}

// slack is what sealing and syncing may take beyond max_age on a busy machine.
const slack = 2 * time.Second

// statusAge is more than the agent takes from one status to the next.
const statusAge = 4 * time.Second

// status is what the agent that runs now says of itself, nil if it has not said
// anything lately. Its age is that of the file: the agent's clock may be wrong.
func (v *vehicle) status() *health.Status {
	info, err := os.Stat(filepath.Join(v.run(), health.FileName))
	if err != nil || time.Since(info.ModTime()) > statusAge {
		return nil
	}
	s, err := health.Read(v.run())
	if err != nil || v.proc == nil || s.PID != v.proc.PID() || s.Stopped {
		return nil
	}
	return s
}

func sealsInTime(s *health.Status) bool {
	return s != nil && !s.Spool.Full && s.GNSS != nil && s.GNSS.InMemory <= int(maxAge.Seconds()+1)*fixRate
}

// look notes whether the agent reads the receiver, and returns an error if it
// has ended by itself.
func (v *vehicle) look() error {
	v.mu.Lock()
	defer v.mu.Unlock()
	if v.stopped {
		return nil
	}
	select {
	case <-v.proc.Ended():
		return v.proc.Failure()
	default:
	}
	if !v.listens {
		s := v.status()
		v.listens = s != nil && s.GNSS != nil && s.GNSS.Up && len(s.Cameras) > 0 && s.Cameras[0].Present
	}
	return nil
}

// say lets the receiver say fix n, the number of those before it. It does
// nothing while nobody listens.
func (v *vehicle) say(sentences func(n int) []byte) error {
	v.mu.Lock()
	defer v.mu.Unlock()
	if !v.listens {
		return nil
	}
	n := len(v.said)
	v.said = append(v.said, time.Now())
	return v.port.Say(sentences(n))
}

// drained reports whether nothing is left to be done by the agent, and what is.
func (v *vehicle) drained() (bool, string, error) {
	v.mu.Lock()
	defer v.mu.Unlock()
	left, err := filepath.Glob(filepath.Join(v.spool(), "*.age"))
	if err != nil {
		return false, "", err
	}
	s := v.status()
	if s == nil || s.GNSS == nil || len(s.Cameras) == 0 {
		return false, v.name + " says nothing", nil
	}
	pending := s.Cameras[0].Pending + s.Cameras[0].Waiting
	return len(left)+pending+s.GNSS.InMemory == 0,
		fmt.Sprintf("%s has %d objects, %d clips and %d fixes to deliver", v.name, len(left), pending, s.GNSS.InMemory), nil
}

// stop ends the agent gently.
func (v *vehicle) stop() error {
	v.mu.Lock()
	defer v.mu.Unlock()
	v.stopped, v.listens = true, false
	_, err := v.proc.Stop(stopLimit)
	v.memory = max(v.memory, v.proc.PeakMemory())
	if s, fault := health.Read(v.run()); fault == nil {
		v.resent += s.Uplink.Resent
	}
	return err
}

// stopLimit is what an agent may take to end after SIGTERM.
const stopLimit = 5 * time.Second

// abandon ends what still runs.
func (v *vehicle) abandon() error {
	v.mu.Lock()
	defer v.mu.Unlock()
	if v.proc != nil {
		_ = v.proc.Kill() // it may have ended
	}
	if v.port != nil {
		return v.port.Close()
	}
	return nil
}

// tagKey reads the key of the source tags.
func (v *vehicle) tagKey() ([]byte, error) {
	disk, err := durable.OpenDisk(v.state())
	if err != nil {
		return nil, err
	}
	key, err := agent.ReadTagKey(disk)
	return key, errors.Join(err, disk.Close())
}

// giveClock gives every other vehicle a clock that can jump.
func (v *vehicle) giveClock() error {
	if v.index%2 == 0 {
		return nil
	}
	if err := wallclock.Available(); err != nil {
		return err
	}
	file := v.path("clock")
	if err := wallclock.Set(file, 0); err != nil {
		return err
	}
	v.clock = file
	return nil
}

// folders makes the folders of a vehicle.
func (v *vehicle) folders() error {
	for _, dir := range []string{v.dir, v.state(), v.run(), v.recorder()} {
		if err := os.MkdirAll(dir, 0o700); err != nil && !errors.Is(err, fs.ErrExist) {
			return err
		}
	}
	return nil
}
