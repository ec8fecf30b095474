package speed

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"time"

	"golang.org/x/sys/unix"

	"roadseal/cmd/internal/bench/drivegen"
	"roadseal/cmd/internal/bench/player"
	"roadseal/cmd/internal/bench/process"
	"roadseal/cmd/internal/broker/mosquitto"
)

// What is driven: minutes of video at 10 Mbit/s, a clip a minute, and a fix ten
// times a second.
const (
	minutes    = 2
	clipSize   = 75_000_000
	perHour    = 60 / minutes
	fixRate    = 10
	trackAge   = 55 * time.Second // so that the track of each minute is sealed within it
	peerRounds = 3
)

// drive lets an agent work in real time and scales its processor time to an
// hour; a peer seals and sends the same clips.
func (s *stand) drive(ctx context.Context) (rows []Row, err error) {
	if s.o.Programs.Age == "" {
		return nil, lacking("the age command: name it with --age")
	}
	for _, name := range []string{"mosquitto", "mosquitto_pub"} {
		if _, err := mosquitto.Find(name); err != nil {
			return nil, lacking("mosquitto: %v", err)
		}
	}
	broker, address, err := s.localBroker(ctx)
	if err != nil {
		return nil, err
	}
	defer func() {
		_, serr := broker.Stop(stopLimit)
		err = errors.Join(err, serr)
	}()
	spent, bytes, err := s.driven(ctx, address)
	if err != nil {
		return nil, err
	}
	seal, send, sealed, err := s.peer(ctx, address)
	if err != nil {
		return nil, err
	}
	ours, theirs := spent.Seconds()*perHour, (seal+send).Seconds()*perHour
	return []Row{
		beside("processor time for an hour of driving, 4.5 GB of video and 36,000 fixes", "s", []float64{ours},
			fmt.Sprintf("age %.1f s + mosquitto_pub %.1f s, the video alone", seal.Seconds()*perHour, send.Seconds()*perHour), []float64{theirs}, 0),
		beside("bytes to upload of it", "MB", []float64{float64(bytes) * perHour / 1e6}, "age, the video alone", []float64{float64(sealed) * perHour / 1e6}, 0),
	}, nil
}

// driven plays a drive to an agent and returns its processor time and the bytes
// that it has uploaded.
func (s *stand) driven(ctx context.Context, address string) (spent time.Duration, bytes int64, err error) {
	c := car{dir: filepath.Join(s.memory, "driven"), broker: address, fixes: true, maxAge: trackAge}
	if err := s.configure(c); err != nil {
		return 0, 0, err
	}
	defer func() { err = errors.Join(err, os.RemoveAll(c.dir)) }()
	port, err := player.OpenPort(c.receiver())
	if err != nil {
		return 0, 0, err
	}
	defer func() { err = errors.Join(err, port.Close()) }()
	to, err := s.collect(ctx, filepath.Join(s.memory, "collector"), address)
	if err != nil {
		return 0, 0, err
	}
	defer func() { err = errors.Join(err, to.close()) }()
	p, err := s.start(c, s.o.Programs.Agent)
	if err != nil {
		return 0, 0, err
	}
	spent, bytes, err = s.play(ctx, c, p, port)
	if err != nil {
		return 0, 0, errors.Join(err, p.Kill())
	}
	_, err = p.Stop(stopLimit)
	return spent, bytes, err
}

func (s *stand) play(ctx context.Context, c car, p *process.Process, port *player.Port) (spent time.Duration, bytes int64, err error) {
	if _, err := said(ctx, p, filepath.Join(c.dir, "agent.log"), "uplink connected"); err != nil {
		return 0, 0, err
	}
	drive, err := recording(minutes * time.Minute)
	if err != nil {
		return 0, 0, err
	}
	before, err := processorTime(p.PID())
	if err != nil {
		return 0, 0, err
	}
	clock := player.Clock{Start: time.Now(), Speed: 1}
	spoken := make(chan error, 1)
	go func() { spoken <- port.Play(ctx, drive, 1, clock) }()
	for i := range minutes {
		if err := clock.Wait(ctx, time.Duration(i+1)*time.Minute); err != nil {
			return 0, 0, err
		}
		if err := c.writeClip(i, clipSize); err != nil {
			return 0, 0, err
		}
	}
	if err := <-spoken; err != nil {
		return 0, 0, err
	}
	if err := c.delivered(ctx, p, 2*minutes); err != nil {
		return 0, 0, err
	}
	after, err := processorTime(p.PID())
	if err != nil {
		return 0, 0, err
	}
	q, err := c.queued()
	return after - before, q.bytes, err
}

// recording is the beginning of a drive with ten fixes a second.
func recording(length time.Duration) (player.Recording, error) {
	r, err := player.Cut(drivegen.Generate(drivegen.Options{Seed: 1, Rate: fixRate, Start: time.Now()}))
	if err != nil {
		return r, err
	}
	if r.Length < length {
		return r, fmt.Errorf("internal error: the drive is %s long, expected %s", r.Length, length)
	}
	for i, e := range r.Epochs {
		if e.At >= length {
			r.Epochs = r.Epochs[:i]
			break
		}
	}
	return r, nil
}

// processorTime is the time, user and system, that a process has used so far
// (clock_getcpuclockid(3)).
func processorTime(pid int) (time.Duration, error) {
	const scheduled = 2 // CPUCLOCK_SCHED of the kernel
	var t unix.Timespec
	if err := unix.ClockGettime(int32(^pid<<3|scheduled), &t); err != nil {
		return 0, fmt.Errorf("cannot read the processor time of a process: %w", err)
	}
	return time.Duration(t.Nano()), nil
}

// peer lets age seal and mosquitto_pub send what the agent was given as video,
// and returns the medians of their processor times and the bytes sealed.
func (s *stand) peer(ctx context.Context, address string) (seal, send time.Duration, sealed int64, err error) {
	c := car{dir: filepath.Join(s.memory, "peer")}
	if err := os.MkdirAll(c.recorder(), 0o755); err != nil {
		return 0, 0, 0, err
	}
	defer func() { err = errors.Join(err, os.RemoveAll(c.dir)) }()
	if err := c.writeClip(0, clipSize); err != nil {
		return 0, 0, 0, err
	}
	clips, err := filepath.Glob(filepath.Join(c.recorder(), "*"))
	if err != nil {
		return 0, 0, 0, err
	}
	out := filepath.Join(c.dir, "sealed")
	var seals, sends []time.Duration
	for range peerRounds {
		age := exec.CommandContext(ctx, s.o.Programs.Age, "-r", s.reader, "-o", out, clips[0])
		if text, err := age.CombinedOutput(); err != nil {
			return 0, 0, 0, fmt.Errorf("age: %w: %s", err, text)
		}
		st, err := os.Stat(out)
		if err != nil {
			return 0, 0, 0, err
		}
		sealed = st.Size()
		spent, err := s.publisher(ctx, address, lines(sealed))
		if err != nil {
			return 0, 0, 0, err
		}
		seals = append(seals, age.ProcessState.UserTime()+age.ProcessState.SystemTime())
		sends = append(sends, spent)
	}
	return minutes * median(seals), minutes * median(sends), minutes * sealed, nil
}
