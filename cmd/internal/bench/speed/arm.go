package speed

import (
	"context"
	_ "embed"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"time"

	"roadseal/cmd/internal/bench/player"
	"roadseal/cmd/internal/bench/process"
	"roadseal/cmd/internal/broker/mosquitto"
)

// Emulated are programs of another architecture and the emulator that runs them.
type Emulated struct {
	Name     string // of the architecture
	Emulator string // qemu's user emulation
	Agent    string
	Age      string // stock age
}

//go:embed qemu/insn.c
var counterSource []byte

// Two sizes of each piece of work: their difference is free of what a program
// does at its start and end.
const (
	smallClip, largeClip = 4_000_000, 20_000_000
	hurry                = 10 // times the speed at which the receiver speaks
	shortDrive           = 59 * time.Second
	longDrive            = 119 * time.Second
	shortAge             = time.Minute / hurry // the track of a minute is one object, as it would be
)

// arms counts instructions.
func (s *stand) arms(ctx context.Context) (rows []Row, err error) {
	if len(s.o.ARM) == 0 {
		return nil, lacking("agents for ARM and age for ARM beside this program; hint: make bench")
	}
	for _, e := range s.o.ARM {
		if _, err := exec.LookPath(e.Emulator); err != nil {
			return nil, lacking("the command %s; hint: apt-get install qemu-user", e.Emulator)
		}
	}
	if _, err := mosquitto.Find("mosquitto"); err != nil {
		return nil, lacking("mosquitto: %v", err)
	}
	plugin, err := s.plugin(ctx)
	if err != nil {
		return nil, err
	}
	aes, err := s.endpoint(ctx, "aes")
	if err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, aes.close()) }()
	chacha, err := s.endpoint(ctx, "chacha", mosquitto.ChaCha20)
	if err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, chacha.close()) }()
	for i, e := range s.o.ARM {
		more, err := (&machine{stand: s, Emulated: e, plugin: plugin, aes: aes, chacha: chacha}).rows(ctx)
		if err != nil {
			return nil, fmt.Errorf("%s: %w", e.Name, err)
		}
		rows = append(rows, more...)
		s.o.Tell.Progress(float64(i+1)/float64(len(s.o.ARM)), e.Name)
	}
	return rows, nil
}

// plugin compiles the counter.
func (s *stand) plugin(ctx context.Context) (string, error) {
	if _, err := exec.LookPath("gcc"); err != nil {
		return "", lacking("gcc, for the counter of instructions")
	}
	source, path := filepath.Join(s.memory, "insn.c"), filepath.Join(s.memory, "insn.so")
	if err := os.WriteFile(source, counterSource, 0o644); err != nil {
		return "", err
	}
	if out, err := exec.CommandContext(ctx, "gcc", "-O2", "-shared", "-fPIC", "-o", path, source).CombinedOutput(); err != nil {
		return "", fmt.Errorf("cannot compile the counter of instructions: %w: %s", err, out)
	}
	return path, nil
}

// An endpoint is a broker and a collector behind it.
type endpoint struct {
	address string
	broker  *process.Process
	to      *store
}

func (s *stand) endpoint(ctx context.Context, name string, conf ...string) (e endpoint, err error) {
	if e.broker, e.address, err = s.localBroker(ctx, conf...); err != nil {
		return e, err
	}
	if e.to, err = s.collect(ctx, filepath.Join(s.memory, name), e.address); err != nil {
		return e, errors.Join(err, e.broker.Kill())
	}
	return e, nil
}

func (e endpoint) close() error {
	err := e.to.close()
	_, serr := e.broker.Stop(stopLimit)
	return errors.Join(err, serr)
}

// A machine is an emulated processor that counts.
type machine struct {
	*stand
	Emulated
	plugin      string
	aes, chacha endpoint // by the cipher that the broker takes
}

// rows of one architecture, from the slopes.
func (m *machine) rows(ctx context.Context) ([]Row, error) {
	perMB := func(count func(context.Context, int64) (float64, error)) (float64, error) {
		few, err := count(ctx, smallClip)
		if err != nil {
			return 0, err
		}
		many, err := count(ctx, largeClip)
		return (many - few) / (largeClip - smallClip), err // millions for each million of bytes
	}
	seal, err := perMB(m.seal)
	if err != nil {
		return nil, err
	}
	age, err := perMB(m.age)
	if err != nil {
		return nil, err
	}
	send, err := perMB(func(ctx context.Context, size int64) (float64, error) { return m.send(ctx, size, m.aes) })
	if err != nil {
		return nil, err
	}
	sendChaCha, err := perMB(func(ctx context.Context, size int64) (float64, error) { return m.send(ctx, size, m.chacha) })
	if err != nil {
		return nil, err
	}
	few, err := m.fixes(ctx, shortDrive)
	if err != nil {
		return nil, err
	}
	many, err := m.fixes(ctx, longDrive)
	if err != nil {
		return nil, err
	}
	fix := (many - few) / ((longDrive - shortDrive).Seconds() * fixRate)
	hour := func(send float64) float64 { return (seal+send)*clipSize/1e6*60/1e3 + fix/1e9*3600*fixRate }
	const million, billion = "million instructions", "billion instructions"
	return []Row{
		beside(m.Name+": sealing 1 MB of video into the spool", million, []float64{seal}, "age, without a hash", []float64{age}, 0),
		{What: m.Name + ": uploading 1 MB of it, AES-256-GCM, as mosquitto chooses", Unit: million, Ours: send},
		{What: m.Name + ": the same, ChaCha20-Poly1305", Unit: million, Ours: sendChaCha},
		{What: m.Name + ": one fix, from the serial line to its receipt", Unit: million, Ours: fix / 1e6},
		{What: m.Name + ": an hour of driving, AES-256-GCM", Unit: billion, Ours: hour(send)},
		{What: m.Name + ": the same, ChaCha20-Poly1305", Unit: billion, Ours: hour(sendChaCha)},
	}, nil
}

// counted is the command line before a program whose instructions are counted.
func (m *machine) counted() []string {
	return []string{m.Emulator, "-plugin", m.plugin, "-d", "plugin", "-D", m.result()}
}

func (m *machine) result() string { return filepath.Join(m.memory, "instructions") }

// count reads the result of a program that has ended.
func (m *machine) count() (n float64, err error) {
	b, err := os.ReadFile(m.result())
	if err != nil {
		return 0, err
	}
	if _, err := fmt.Sscanf(string(b), "instructions %g", &n); err != nil {
		return 0, fmt.Errorf("cannot read the count of instructions in %q: %w", b, err)
	}
	return n, os.Remove(m.result())
}

// age counts sealing a clip with stock age.
func (m *machine) age(ctx context.Context, size int64) (n float64, err error) {
	c := car{dir: filepath.Join(m.memory, "emulated")}
	if err := os.MkdirAll(c.recorder(), 0o755); err != nil {
		return 0, err
	}
	defer func() { err = errors.Join(err, os.RemoveAll(c.dir)) }()
	if err := c.writeClip(0, size); err != nil {
		return 0, err
	}
	clips, err := filepath.Glob(filepath.Join(c.recorder(), "*"))
	if err != nil {
		return 0, err
	}
	args := append(m.counted(), m.Age, "-r", m.reader, "-o", filepath.Join(c.dir, "sealed"), clips[0])
	if out, err := exec.CommandContext(ctx, args[0], args[1:]...).CombinedOutput(); err != nil {
		return 0, fmt.Errorf("age: %w: %s", err, out)
	}
	return m.count()
}

// seal counts an agent that finds a clip and has no broker.
func (m *machine) seal(ctx context.Context, size int64) (float64, error) {
	c := car{dir: filepath.Join(m.memory, "emulated"), broker: nowhere}
	if err := m.configure(c); err != nil {
		return 0, err
	}
	if err := c.writeClip(0, size); err != nil {
		return 0, err
	}
	return m.run(c, func(p *process.Process) error {
		return wait(ctx, p, func() (bool, error) {
			q, err := c.queued()
			return q.waiting == 1, err
		})
	})
}

// send counts an agent that uploads a clip which a native one has sealed.
func (m *machine) send(ctx context.Context, size int64, over endpoint) (n float64, err error) {
	full, err := m.backlog(ctx, "emulated-full", 1, size)
	if err != nil {
		return 0, err
	}
	defer func() { err = errors.Join(err, os.RemoveAll(full.dir)) }()
	c, err := m.copy(full, over.address)
	if err != nil {
		return 0, err
	}
	return m.run(c, func(p *process.Process) error { return c.delivered(ctx, p, 1) })
}

// fixes counts an agent that is told a drive and uploads each minute of it.
func (m *machine) fixes(ctx context.Context, length time.Duration) (n float64, err error) {
	c := car{dir: filepath.Join(m.memory, "emulated"), broker: m.aes.address, fixes: true, maxAge: shortAge}
	if err := m.configure(c); err != nil {
		return 0, err
	}
	drive, err := recording(length)
	if err != nil {
		return 0, err
	}
	port, err := player.OpenPort(c.receiver())
	if err != nil {
		return 0, err
	}
	defer func() { err = errors.Join(err, port.Close()) }()
	return m.run(c, func(p *process.Process) error {
		if _, err := said(ctx, p, filepath.Join(c.dir, "agent.log"), "uplink connected"); err != nil {
			return err
		}
		if err := port.Play(ctx, drive, 1, player.Clock{Start: time.Now(), Speed: hurry}); err != nil {
			return err
		}
		return c.delivered(ctx, p, int((length+time.Second)/time.Minute))
	})
}

// run runs the agent of a car, which goes afterwards, until enough is done.
func (m *machine) run(c car, until func(*process.Process) error) (n float64, err error) {
	defer func() {
		if c.fixes { // the port removes its name itself
			err = errors.Join(err, os.RemoveAll(filepath.Join(c.dir, "state")), os.Remove(filepath.Join(c.dir, "agent.log")))
			return
		}
		err = errors.Join(err, os.RemoveAll(c.dir))
	}()
	p, err := m.start(c, m.Agent, m.counted()...)
	if err != nil {
		return 0, err
	}
	if err := until(p); err != nil {
		return 0, errors.Join(err, p.Kill())
	}
	if _, err := p.Stop(patience); err != nil {
		return 0, err
	}
	return m.count()
}
