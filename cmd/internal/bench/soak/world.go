package soak

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"net"
	"os"
	"path/filepath"
	"slices"
	"sync"
	"time"

	"roadseal/cmd/internal/bench/netns"
	"roadseal/cmd/internal/bench/pki"
	"roadseal/cmd/internal/bench/player"
	"roadseal/cmd/internal/bench/process"
	"roadseal/cmd/internal/bench/shaper"
	"roadseal/cmd/internal/bench/wallclock"
	"roadseal/cmd/internal/trip"
)

// A world is all that a soak is made of.
type world struct {
	o          Options
	dir        string
	begin      time.Time
	certs      pki.Files
	keys       trip.Keys // of the key holder
	reader     string    // his public key
	receiptKey string    // public
	fleet      []*vehicle
	hub        *hub
	witness    *witness
	net        *netns.Network // nil: no dead links
	left       []string       // faults that are left out

	mu       sync.Mutex
	faults   Faults
	findings []Finding
}

func (w *world) path(name string) string { return filepath.Join(w.dir, name) }

// note counts a fault.
func (w *world) note(f func(*Faults)) {
	w.mu.Lock()
	defer w.mu.Unlock()
	f(&w.faults)
}

// find notes a finding before the audit.
func (w *world) find(f Finding) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.findings = append(w.findings, f)
}

// newWorld makes all that is needed before the first process. The caller closes
// it, also after an error.
func newWorld(o Options, dir string) (*world, error) {
	w := &world{o: o, dir: dir, begin: time.Now()}
	w.hub = newHub(w)
	for _, sub := range []string{"store", "work/pki", "work/logs", "work/capture", "work/samples"} {
		if err := os.MkdirAll(w.path(sub), 0o700); err != nil {
			return w, err
		}
	}
	if err := writeSamples(w.path("work/samples"), o.Seed); err != nil {
		return w, err
	}
	devices, err := w.enrol()
	if err != nil {
		return w, err
	}
	if err := w.connect(); err != nil {
		return w, err
	}
	if w.witness, err = newWitness(); err != nil {
		return w, err
	}
	for i, d := range devices {
		v, err := w.newVehicle(i, d)
		if v != nil {
			w.fleet = append(w.fleet, v)
		}
		if err != nil {
			return w, err
		}
	}
	return w, nil
}

// enrol makes keys and certificates.
func (w *world) enrol() (devices []pki.Device, err error) {
	if w.certs, devices, err = pki.MakeFleet(w.path("work/pki"), w.o.Vehicles); err != nil {
		return nil, err
	}
	file, reader, err := trip.NewKey(w.begin)
	if err != nil {
		return nil, err
	}
	key := w.path("key.txt")
	if err := os.WriteFile(key, []byte(file), 0o600); err != nil {
		return nil, err
	}
	w.reader = reader.String()
	if w.keys, err = trip.ReadKeys([]string{key}, nil, nil); err != nil {
		return nil, err
	}
	w.receiptKey, err = pki.ReceiptKey(w.o.Programs.Collector, w.path("work/receipt.key"))
	return devices, err
}

// connect makes the network for dead links, or says why it does not.
func (w *world) connect() (err error) {
	const what = "links that die"
	if w.o.Netns == Off {
		w.leave(what, errors.New("as asked"))
		return nil
	}
	w.net, err = netns.New()
	if err == nil || w.o.Netns == On {
		return err
	}
	w.leave(what, err)
	err = w.net.Close()
	w.net = nil
	return err
}

// newVehicle makes a vehicle and all around it but its link and its agent.
func (w *world) newVehicle(i int, d pki.Device) (*vehicle, error) {
	rng := rand.New(rand.NewPCG(w.o.Seed, uint64(1000+i)))
	name := fmt.Sprintf("vehicle%02d", i)
	v := &vehicle{index: i, name: name, dir: w.path("work/" + name), role: roles[i%len(roles)], device: d,
		number: "BENCH-" + draw(rng, 12), mark: "ROADSEAL-CANARY-" + draw(rng, 24)}
	if err := v.folders(); err != nil {
		return v, err
	}
	v.plan = plan(rng, v.role, w.o.For, w.begin.UTC())
	if v.role.tmpfs {
		if err := v.mountDisk(); err != nil {
			w.leave("full disks", err)
		}
	}
	if v.role.netns && w.net != nil {
		if err := w.net.Join(i); err != nil {
			return v, err
		}
	}
	if err := v.giveClock(); err != nil {
		w.leave("clocks that jump", err)
	}
	var err error
	if v.lives, err = w.witness.watch(v.spool()); err != nil {
		return v, err
	}
	v.port, err = player.OpenPort(v.serial())
	return v, err
}

// leave notes once that a kind of fault cannot be made.
func (w *world) leave(what string, why error) {
	if line := fmt.Sprintf("%s: %v", what, why); !slices.Contains(w.left, line) {
		w.left = append(w.left, line)
	}
}

// draw draws n capital letters.
func draw(rng *rand.Rand, n int) string {
	b := make([]byte, n)
	for i := range b {
		b[i] = byte('A' + rng.IntN(26))
	}
	return string(b)
}

// equip gives a vehicle its link and its agent's command line, once the broker
// is there.
func (w *world) equip(v *vehicle) (err error) {
	var l net.Listener
	args := []string{w.o.Programs.Agent, "run", "--config", v.config()}
	if v.clock != "" {
		args = append(wallclock.Command(w.o.Programs.Bench, v.clock), args...)
	}
	if v.role.netns && w.net != nil {
		args = append([]string{"ip", "netns", "exec", w.net.Vehicle(v.index)}, args...)
		l, err = w.net.Listen(v.index, 0)
	} else {
		l, err = net.Listen("tcp", "127.0.0.1:0")
	}
	if err != nil {
		return fmt.Errorf("cannot listen for %s: %w", v.name, err)
	}
	v.link = shaper.On(l, w.hub.broker, v.role.rate)
	v.program = process.Program{Name: v.name, Path: args[0], Args: args[1:], Logs: w.path("work/logs")}
	return w.configure(v, v.link.Address())
}

// start brings up the broker, the collector and the agents. The links are run by
// the caller.
func (w *world) start(ctx context.Context) error {
	if err := w.hub.start(ctx); err != nil {
		return err
	}
	for _, v := range w.fleet {
		if err := w.equip(v); err != nil {
			return err
		}
		if err := v.launch(); err != nil {
			return err
		}
	}
	return nil
}

// close ends and removes everything that a run has made outside of its folder.
func (w *world) close(keep bool) error {
	var errs []error
	for _, v := range w.fleet {
		errs = append(errs, v.abandon())
	}
	w.hub.abandon()
	for _, v := range w.fleet {
		errs = append(errs, v.unmountDisk(keep))
	}
	if w.witness != nil {
		errs = append(errs, w.witness.close())
	}
	if w.net != nil {
		errs = append(errs, w.net.Close())
	}
	return errors.Join(errs...)
}
