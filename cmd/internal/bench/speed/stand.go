package speed

import (
	"bytes"
	"cmp"
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"net"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"time"

	"roadseal/cmd/internal/bench/pki"
	"roadseal/cmd/internal/bench/process"
	"roadseal/cmd/internal/broker/mosquitto"
	"roadseal/cmd/internal/trip"
)

// A stand is what all measurements share.
type stand struct {
	o            Options
	memory, disk string // folders of this run
	certs        pki.Files
	reader       string // public key of the key holder
	receiptKey   string // public
}

func newStand(o Options) (s *stand, err error) {
	s = &stand{o: o}
	if err := os.MkdirAll(o.Disk, 0o755); err != nil {
		return nil, err
	}
	for dir, in := range map[*string]string{&s.memory: o.Memory, &s.disk: o.Disk} {
		if *dir, err = os.MkdirTemp(in, "roadseal-speed-"); err != nil {
			return nil, errors.Join(err, s.close())
		}
		if *dir, err = filepath.Abs(*dir); err != nil {
			return nil, errors.Join(err, s.close())
		}
	}
	if err := s.enrol(); err != nil {
		return nil, errors.Join(err, s.close())
	}
	return s, nil
}

func (s *stand) enrol() (err error) {
	if s.certs, err = pki.Make(s.memory); err != nil {
		return err
	}
	_, reader, err := trip.NewKey(time.Now())
	if err != nil {
		return err
	}
	s.reader = reader.String()
	s.receiptKey, err = pki.ReceiptKey(s.o.Programs.Collector, s.receiptFile())
	return err
}

func (s *stand) receiptFile() string { return filepath.Join(s.memory, "receipt.key") }

func (s *stand) close() error {
	var errs []error
	for _, dir := range []string{s.memory, s.disk} {
		if dir != "" {
			errs = append(errs, os.RemoveAll(dir))
		}
	}
	return errors.Join(errs...)
}

type table map[string]any

// patience bounds every wait for a process.
const patience = 5 * time.Minute

// nowhere is a broker that nobody runs.
const nowhere = "127.0.0.1:1"

// A car is an agent with a folder of its own: state, recorder, log.
type car struct {
	dir    string
	broker string
	fixes  bool          // it has a receiver, at dir/gps
	maxAge time.Duration // of a fix in memory
}

func (c car) recorder() string { return filepath.Join(c.dir, "record") }
func (c car) spool() string    { return filepath.Join(c.dir, "state", "spool") }
func (c car) receiver() string { return filepath.Join(c.dir, "gps") }

// configure makes the folder of a car and writes its configuration.
func (s *stand) configure(c car) error {
	d, to := s.certs.Device, []string{s.reader}
	conf := table{
		"device":    table{"certificate": d.Certificate, "key": d.Key, "state": filepath.Join(c.dir, "state"), "run": filepath.Join(c.dir, "run")},
		"vehicle":   table{"number": "BENCH-SPEED", "ignition": ""},
		"camera":    []table{{"name": "dash", "path": c.recorder(), "preset": "blackvue"}},
		"spool":     table{"max_bytes": "64GiB", "keep_free": "1MB"},
		"broker":    table{"address": c.broker, "server_name": pki.ServerName, "ca": s.certs.CA, "profile": "mosquitto"},
		"collector": table{"receipt_keys": []string{s.receiptKey}},
		"bench":     table{"enabled": true},
	}
	streams := []table{{"name": "video", "from": []string{"camera:normal"}, "to": to, "class": 3}}
	if c.fixes {
		conf["gnss"] = table{"port": c.receiver(), "baud": 115200}
		streams = append(streams, table{"name": "track", "from": []string{"gnss"}, "to": to, "class": 2, "max_age": c.maxAge.String()})
	}
	conf["stream"] = streams
	return errors.Join(os.MkdirAll(c.recorder(), 0o755), process.WriteConfig(filepath.Join(c.dir, "agent.toml"), conf))
}

// start starts the agent of a car; before is what stands before its command
// line.
func (s *stand) start(c car, agent string, before ...string) (*process.Process, error) {
	args := append(before, agent, "run", "--config", filepath.Join(c.dir, "agent.toml"))
	return process.Start(process.Program{Name: "agent", Path: args[0], Args: args[1:], Logs: c.dir})
}

// stopLimit is how long a process may take to end.
const stopLimit = 15 * time.Second

// A store is a running collector with its folder.
type store struct {
	dir string
	p   *process.Process
}

// collect starts a collector over an empty folder in dir and waits until it is
// connected.
func (s *stand) collect(ctx context.Context, dir, broker string, before ...string) (*store, error) {
	c, conf := s.certs.Collector, filepath.Join(dir, "collector.toml")
	err := errors.Join(os.MkdirAll(dir, 0o755), process.WriteConfig(conf, table{
		"broker":    table{"address": broker, "server_name": pki.ServerName, "ca": s.certs.CA, "certificate": c.Certificate, "key": c.Key},
		"collector": table{"shards": []string{"00-ff"}, "receipt_key": s.receiptFile()},
		"store":     table{"path": filepath.Join(dir, "store")},
		"bench":     table{"enabled": true},
	}))
	if err != nil {
		return nil, err
	}
	args := append(before, s.o.Programs.Collector, "serve", "--config", conf)
	p, err := process.Start(process.Program{Name: "collector", Path: args[0], Args: args[1:], Logs: dir})
	if err != nil {
		return nil, err
	}
	if _, err := said(ctx, p, filepath.Join(dir, "collector.log"), "connected to the broker"); err != nil {
		return nil, errors.Join(err, p.Kill())
	}
	return &store{dir, p}, nil
}

// bytes of all objects that are stored.
func (s *store) bytes() (n int64, err error) {
	files, err := filepath.Glob(filepath.Join(s.dir, "store", "pool", "*", "*"))
	for _, f := range files {
		st, serr := os.Stat(f)
		if err = errors.Join(err, serr); serr == nil {
			n += st.Size()
		}
	}
	return n, err
}

// close ends the collector and removes its folder.
func (s *store) close() error {
	_, err := s.p.Stop(stopLimit)
	return errors.Join(err, os.RemoveAll(s.dir))
}

// brokerFor starts mosquitto on an address that dial reaches, or on a free one of
// this machine, with more lines of configuration; before is what stands before
// its command line.
func (s *stand) brokerFor(ctx context.Context, address string, dial func() (net.Conn, error), conf []string, before ...string) (*process.Process, string, error) {
	program, err := mosquitto.Find("mosquitto")
	if err != nil {
		return nil, "", err
	}
	path, address, err := mosquitto.Write(s.memory, mosquitto.Options{CA: s.certs.CA, Certificate: s.certs.Broker.Certificate, Key: s.certs.Broker.Key,
		Collector: pki.CollectorName, Address: address, More: conf})
	if err != nil {
		return nil, "", err
	}
	args := append(before, program, "-c", path)
	p, err := process.Start(process.Program{Name: "mosquitto", Path: args[0], Args: args[1:], Logs: s.memory})
	if err != nil {
		return nil, "", err
	}
	if dial == nil {
		dial = func() (net.Conn, error) { return net.Dial("tcp", address) }
	}
	if !mosquitto.AwaitDial(ctx, dial, p.Ended()) {
		return nil, "", errors.Join(cmp.Or(ctx.Err(), p.Failure()), p.Kill())
	}
	return p, address, nil
}

// localBroker starts mosquitto on a free port of this machine.
func (s *stand) localBroker(ctx context.Context, conf ...string) (*process.Process, string, error) {
	return s.brokerFor(ctx, "", nil, conf)
}

// said waits for a message in a program's log and returns the time that the
// line has.
func said(ctx context.Context, p *process.Process, log, message string) (at time.Time, err error) {
	err = wait(ctx, p, func() (bool, error) {
		b, err := os.ReadFile(log)
		if err != nil {
			return false, err
		}
		for line := range bytes.Lines(b) {
			if rest, ok := strings.CutPrefix(string(line), "time="); ok && strings.Contains(rest, message) {
				stamp, _, _ := strings.Cut(rest, " ")
				at, err = time.Parse(time.RFC3339Nano, stamp)
				return true, err
			}
		}
		return false, nil
	})
	return at, err
}

// wait asks done every few milliseconds, until it says yes or a process ends.
func wait(ctx context.Context, p *process.Process, done func() (bool, error)) error {
	ctx, cancel := context.WithTimeout(ctx, patience)
	defer cancel()
	for {
		if ok, err := done(); ok || err != nil {
			return err
		}
		select {
		case <-time.After(5 * time.Millisecond):
		case <-p.Ended():
			return p.Failure()
		case <-ctx.Done():
			return ctx.Err()
		}
	}
}

// A queue is what a spool holds.
type queue struct {
	waiting, delivered int
	bytes              int64     // of both
	last               time.Time // when the last one was marked as delivered
}

// queued looks into a spool, by agent/spool/FORMAT.md.
func (c car) queued() (q queue, err error) {
	entries, err := os.ReadDir(c.spool())
	if errors.Is(err, os.ErrNotExist) {
		return q, nil
	}
	for _, e := range entries {
		ext := filepath.Ext(e.Name())
		if ext != ".age" && ext != ".stored" {
			continue
		}
		st, err := os.Stat(filepath.Join(c.spool(), e.Name()))
		if errors.Is(err, os.ErrNotExist) {
			return queue{waiting: 1}, nil // it is being renamed: look again
		}
		if err != nil {
			return q, err
		}
		q.bytes += st.Size()
		if ext == ".age" {
			q.waiting++
			continue
		}
		q.delivered++
		if sys, ok := st.Sys().(*syscall.Stat_t); ok { // a rename changes this time
			if at := time.Unix(sys.Ctim.Unix()); at.After(q.last) {
				q.last = at
			}
		}
	}
	return q, err
}

// delivered waits until n objects, and all that there are, have their receipts.
// Whoever reads a folder in which names change may miss one: n counts.
func (c car) delivered(ctx context.Context, p *process.Process, n int) error {
	return wait(ctx, p, func() (bool, error) {
		q, err := c.queued()
		return q.waiting == 0 && q.delivered >= n, err
	})
}

// writeClip puts a finished clip of noise into a recorder's folder: the bytes of
// a video do not matter to any of the programs.
func (c car) writeClip(i int, size int64) error {
	noise := rand.NewChaCha8([32]byte{byte(i), byte(i >> 8), 1})
	name := time.Date(2026, 11, 24, 5, 0, 0, 0, time.UTC).Add(time.Duration(i)*time.Minute).Format("20060102_150405") + "_NF.mp4"
	b := make([]byte, size)
	_, _ = noise.Read(b) // it never fails
	tmp := filepath.Join(c.dir, "clip.tmp")
	return errors.Join(os.WriteFile(tmp, b, 0o644), os.Rename(tmp, filepath.Join(c.recorder(), name)))
}

// backlog lets an agent without a broker seal n clips, and returns its car.
func (s *stand) backlog(ctx context.Context, name string, n int, size int64) (car, error) {
	c := car{dir: filepath.Join(s.memory, name), broker: nowhere}
	if err := s.configure(c); err != nil {
		return c, err
	}
	for i := range n {
		if err := c.writeClip(i, size); err != nil {
			return c, err
		}
	}
	p, err := s.start(c, s.o.Programs.Agent)
	if err != nil {
		return c, err
	}
	err = wait(ctx, p, func() (bool, error) {
		q, err := c.queued()
		return q.waiting == n, err
	})
	if err != nil {
		return c, errors.Join(fmt.Errorf("cannot prepare a backlog: %w", err), p.Kill())
	}
	_, err = p.Stop(stopLimit)
	return c, errors.Join(err, os.RemoveAll(c.recorder()))
}

// copy makes a car with the spool of another, for one round.
func (s *stand) copy(of car, broker string) (car, error) {
	c := car{dir: of.dir + "-round", broker: broker}
	return c, errors.Join(os.RemoveAll(c.dir), os.CopyFS(c.dir, os.DirFS(of.dir)), os.Remove(filepath.Join(c.dir, "agent.log")), s.configure(c))
}
