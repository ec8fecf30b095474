package soak

import (
	"context"
	"errors"
	"sync"
	"time"

	"roadseal/cmd/internal/bench/capture"
	"roadseal/cmd/internal/bench/process"
)

// A hub is the other side: broker, collector and store.
type hub struct {
	w      *world
	broker string // address
	conf   string // of mosquitto
	starts int    // of the broker

	mu      sync.Mutex
	running map[string]*process.Process
}

const (
	brokerName    = "broker"
	collectorName = "collector"
)

func newHub(w *world) *hub { return &hub{w: w, running: map[string]*process.Process{}} }

// start starts the broker and then the collector.
func (h *hub) start(ctx context.Context) error {
	h.mu.Lock()
	defer h.mu.Unlock()
	if err := h.startBroker(ctx); err != nil {
		return err
	}
	if err := h.w.configureCollector(h.w.path("work/collector.toml"), h.broker); err != nil {
		return err
	}
	return h.startCollector()
}

// patience is how long a process may take to be there.
const patience = 60 * time.Second

// startBroker starts it on any port first, later on the same one.
func (h *hub) startBroker(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, patience)
	defer cancel()
	if h.w.o.Broker == Mosquitto {
		return h.startMosquitto(ctx)
	}
	listen := h.broker
	if listen == "" {
		listen = "127.0.0.1:0"
	}
	c := h.w.certs
	err := h.launch(brokerName, h.w.o.Programs.Bench, "broker", "--listen", listen, "--ca", c.CA, "--certificate", c.Broker.Certificate,
		"--key", c.Broker.Key, "--capture", capture.Path(h.w.path("work/capture"), h.starts))
	if err != nil {
		return err
	}
	h.starts++
	h.broker, err = h.running[brokerName].Line(ctx, "listening on ")
	return err
}

func (h *hub) startCollector() error {
	return h.launch(collectorName, h.w.o.Programs.Collector, "serve", "--config", h.w.path("work/collector.toml"))
}

func (h *hub) launch(name, path string, args ...string) error {
	p, err := process.Start(process.Program{Name: name, Path: path, Args: args, Logs: h.w.path("work/logs")})
	if err == nil {
		h.running[name] = p
	}
	return err
}

// bounce kills broker or collector and starts it again after a pause.
func (h *hub) bounce(ctx context.Context, name string, pause func()) error {
	h.mu.Lock()
	defer h.mu.Unlock()
	if err := h.running[name].Kill(); err != nil {
		return err
	}
	pause()
	if name == brokerName {
		return h.startBroker(ctx)
	}
	return h.startCollector()
}

// look returns an error if a process has ended by itself.
func (h *hub) look() error {
	h.mu.Lock()
	defer h.mu.Unlock()
	for _, p := range h.running {
		select {
		case <-p.Ended():
			return p.Failure()
		default:
		}
	}
	return nil
}

// stop ends the collector and then the broker gently.
func (h *hub) stop() error {
	h.mu.Lock()
	defer h.mu.Unlock()
	var errs []error
	for _, name := range []string{collectorName, brokerName} {
		_, err := h.running[name].Stop(stopLimit)
		errs = append(errs, err)
		delete(h.running, name)
	}
	return errors.Join(errs...)
}

// abandon ends what still runs.
func (h *hub) abandon() {
	h.mu.Lock()
	defer h.mu.Unlock()
	for _, p := range h.running {
		_ = p.Kill() // it may have ended
	}
}
