package bench

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"time"

	"roadseal/agent/health"
	"roadseal/cmd/internal/bench/capture"
	"roadseal/cmd/internal/bench/pki"
	"roadseal/cmd/internal/bench/player"
	"roadseal/cmd/internal/bench/process"
	"roadseal/cmd/internal/bench/shaper"
	"roadseal/cmd/internal/broker/mosquitto"
	"roadseal/cmd/internal/trip"
)

// rig is the machinery of a run: broker, link, collector, agent and the
// receiver's line. Its methods are called from one goroutine at a time.
type rig struct {
	o        Options
	f        folder
	enrolled enrolment
	office   *office // nil: there is no release desk

	line             *player.Port
	link             *shaper.Link
	running          map[string]*process.Process // by name
	broker           string                      // address
	starts           int                         // of the broker
	observer         *observer                   // of mosquitto; nil of our own broker
	agent, collector string                      // configuration files
	first            time.Time                   // first start of the agent
	memory           int64                       // peak of all starts of the agent
}

// patience is how long anything may take without any progress.
const patience = 60 * time.Second

// newRig makes what is needed before the first process.
func newRig(ctx context.Context, o Options, f folder) (*rig, error) {
	r := &rig{o: o, f: f, running: map[string]*process.Process{}}
	var err error
	if r.enrolled, err = enrol(o, f); err != nil {
		return nil, err
	}
	if o.Firmware {
		if r.office, err = openOffice(ctx, o, f, r.enrolled); err != nil {
			return nil, err
		}
	}
	if r.line, err = player.OpenPort(f.serial()); err != nil {
		return nil, err
	}
	return r, nil
}

// keys are those that open something in the store.
func (r *rig) keys() trip.Keys {
	if r.office == nil {
		return r.enrolled.keys
	}
	return append(r.enrolled.keys[:len(r.enrolled.keys):len(r.enrolled.keys)], r.office.keys...)
}

// start brings up the broker and the link, then the collector and the agent.
// link is run by the caller once it is there.
func (r *rig) start(ctx context.Context) (err error) {
	if err := r.startBroker(ctx); err != nil {
		return err
	}
	if r.link, err = shaper.New(r.broker, r.o.Rate); err != nil {
		return err
	}
	if r.collector, err = collectorConfig(r.o, r.f, r.enrolled, r.office, r.broker); err != nil {
		return err
	}
	if err := r.startCollector(); err != nil {
		return err
	}
	if r.agent, err = agentConfig(r.o, r.f, r.enrolled, r.office, r.link.Address()); err != nil {
		return err
	}
	return r.startAgent()
}

func (r *rig) launch(name, path string, args ...string) (*process.Process, error) {
	p, err := process.Start(process.Program{Name: name, Path: path, Args: args, Logs: r.f.logs()})
	if err == nil {
		r.running[name] = p
	}
	return p, err
}

// startMosquitto starts it with the shipped configuration, and who listens.
func (r *rig) startMosquitto(ctx context.Context) error {
	program, err := mosquitto.Find("mosquitto")
	if err != nil {
		return err
	}
	c := r.enrolled.certs
	conf, address, err := mosquitto.Write(r.f.work(), mosquitto.Options{CA: c.CA, Certificate: c.Broker.Certificate, Key: c.Broker.Key,
		Collector: pki.CollectorName, Rules: observerRules})
	if err != nil {
		return err
	}
	p, err := r.launch(brokerName, program, "-c", conf)
	if err != nil {
		return err
	}
	if !mosquitto.Await(ctx, address, p.Ended()) {
		return cmp.Or(ctx.Err(), p.Failure())
	}
	r.broker = address
	r.observer, err = observe(ctx, address, c, capture.Path(r.f.capture(), 0))
	return err
}

// startBroker starts it on any port first, later on the same one: whoever was
// connected finds it again.
func (r *rig) startBroker(ctx context.Context) error {
	if r.o.Broker == Mosquitto {
		return r.startMosquitto(ctx)
	}
	listen := r.broker
	if listen == "" {
		listen = "127.0.0.1:0"
	}
	c := r.enrolled.certs
	args := []string{"broker", "--listen", listen, "--ca", c.CA, "--certificate", c.Broker.Certificate, "--key", c.Broker.Key,
		"--capture", capture.Path(r.f.capture(), r.starts)}
	if r.o.Profile != "" {
		args = append(args, "--profile", r.o.Profile)
	}
	p, err := r.launch(brokerName, r.o.Programs.Bench, args...)
	if err != nil {
		return err
	}
	r.starts++
	ctx, cancel := context.WithTimeout(ctx, patience)
	defer cancel()
	r.broker, err = p.Line(ctx, brokerLine)
	return err
}

// brokerLine begins the line by which the broker's process tells its address.
const brokerLine = "listening on "

func (r *rig) startCollector() error {
	_, err := r.launch(collectorName, r.o.Programs.Collector, "serve", "--config", r.collector)
	return err
}

func (r *rig) startAgent() error {
	if err := r.line.Release(); err != nil {
		return err
	}
	p, err := r.launch(agentName, r.o.Programs.Agent, "run", "--config", r.agent)
	if err == nil && r.first.IsZero() {
		r.first = p.Started()
	}
	return err
}

// ready waits until the agent listens to the receiver and watches the
// recorder's folder.
func (r *rig) ready(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, patience)
	defer cancel()
	tick := time.NewTicker(20 * time.Millisecond)
	defer tick.Stop()
	for {
		s, err := health.Read(r.f.run())
		if err == nil && s.PID == r.running[agentName].PID() && s.GNSS != nil && s.GNSS.Up && len(s.Cameras) > 0 && s.Cameras[0].Present {
			return nil
		}
		if err := r.alive(); err != nil {
			return err
		}
		select {
		case <-tick.C:
		case <-ctx.Done():
			return errors.Join(fmt.Errorf("the agent was not ready within %s", patience), err)
		}
	}
}

// violations is how often the broker cut a client off.
func (r *rig) violations() (int, error) {
	log, err := os.ReadFile(filepath.Join(r.f.logs(), brokerName+".log"))
	return strings.Count(string(log), Violation), err
}

// sealedAllFixes reports whether the agent, some time after the last fix, holds
// none in memory.
func (r *rig) sealedAllFixes(since time.Time) bool {
	s, err := health.Read(r.f.run())
	return err == nil && s.GNSS != nil && s.GNSS.InMemory == 0 && s.Updated.After(since.Add(r.o.MaxAge))
}

// alive is an error if a process has ended by itself.
func (r *rig) alive() error {
	for _, p := range r.running {
		select {
		case <-p.Ended():
			return p.Failure()
		default:
		}
	}
	return nil
}

// kill kills a process and returns when it has ended; revive starts it again.
func (r *rig) kill(name string) error {
	p := r.running[name]
	if err := p.Kill(); err != nil {
		return err
	}
	r.ended(name, p)
	return nil
}

func (r *rig) ended(name string, p *process.Process) {
	delete(r.running, name)
	if name == agentName {
		r.memory = max(r.memory, p.PeakMemory())
	}
}

func (r *rig) revive(ctx context.Context, name string) error {
	switch name {
	case brokerName:
		return r.startBroker(ctx)
	case collectorName:
		return r.startCollector()
	}
	return r.startAgent()
}

// stopLimit is what a process may take to end after SIGTERM.
const stopLimit = 5 * time.Second

// stop ends a process gently and returns how long that took. An error says that
// it did not end as it should; it has ended then too.
func (r *rig) stop(name string) (time.Duration, error) {
	p := r.running[name]
	took, err := p.Stop(stopLimit)
	r.ended(name, p)
	return took, err
}

// close kills what still runs: nobody reads the outcome any more.
func (r *rig) close() error {
	_ = r.observer.stop() // likewise
	for name, p := range r.running {
		_ = p.Kill() // it may have ended by itself
		delete(r.running, name)
	}
	return r.line.Close()
}
