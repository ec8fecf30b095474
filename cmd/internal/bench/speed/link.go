package speed

import (
	"context"
	"errors"
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"

	"roadseal/cmd/internal/bench/netns"
	"roadseal/cmd/internal/broker/mosquitto"
)

// only is the number of the one vehicle.
const only = 1

// links measures over a link of a modem's rate: the agent at one end, broker,
// collector and the receiver of raw TLS at the other.
func (s *stand) links(ctx context.Context) (rows []Row, err error) {
	if os.Geteuid() != 0 {
		return nil, lacking("root, for network namespaces")
	}
	for _, name := range []string{"ip", "tc"} {
		if _, err := exec.LookPath(name); err != nil {
			return nil, lacking("the command %s; hint: apt-get install iproute2", name)
		}
	}
	if _, err := mosquitto.Find("mosquitto"); err != nil {
		return nil, lacking("mosquitto: %v", err)
	}
	n, err := netns.New()
	defer func() { err = errors.Join(err, n.Close()) }()
	if err == nil {
		err = n.Join(only)
	}
	if err != nil {
		return nil, err
	}
	hub, _ := netns.Addresses(only)
	address := hub + ":8883"
	broker, _, err := s.brokerFor(ctx, address, func() (net.Conn, error) { return n.Dial(only, address) }, nil, inside(n.Hub())...)
	if err != nil {
		return nil, err
	}
	defer func() {
		_, serr := broker.Stop(stopLimit)
		err = errors.Join(err, serr)
	}()
	for _, l := range []struct {
		rate int64 // bit/s
		load
	}{{8_000_000, load{"8 Mbit/s", 2, 8_000_000, 0.97}}, {20_000_000, load{"20 Mbit/s", 4, 10_000_000, 0.97}}} {
		if err := n.Shape(only, l.rate); err != nil {
			return nil, err
		}
		row, err := s.link(ctx, n, l.load, address)
		if err != nil {
			return nil, err
		}
		rows = append(rows, row)
	}
	return rows, nil
}

// inside is what stands before a command that runs in a network namespace.
func inside(name string) []string { return []string{"ip", "netns", "exec", name} }

func (s *stand) link(ctx context.Context, n *netns.Network, l load, address string) (row Row, err error) {
	full, err := s.backlog(ctx, "backlog", l.n, l.size)
	if err != nil {
		return row, err
	}
	defer func() { err = errors.Join(err, os.RemoveAll(full.dir)) }()
	q, err := full.queued()
	if err != nil {
		return row, err
	}
	var ours, raw rounds
	for round := range s.o.Rounds {
		m, err := s.drainLink(ctx, n, full, address)
		if err != nil {
			return row, err
		}
		ours = append(ours, m)
		listener, err := n.Listen(only, 0)
		if err != nil {
			return row, err
		}
		m, err = s.raw(ctx, listener, func() (net.Conn, error) { return n.Dial(only, listener.Addr().String()) }, q.bytes)
		if err != nil {
			return row, err
		}
		raw = append(raw, m)
		s.o.Tell.Progress(float64(round+1)/float64(s.o.Rounds), l.name)
	}
	what := fmt.Sprintf("backlog of %d MB over %s", q.bytes/1e6, l.name)
	return beside(what, "MB/s", ours.rates(), "raw TLS 1.3", raw.rates(), l.limit), nil
}

func (s *stand) drainLink(ctx context.Context, n *netns.Network, full car, address string) (m moved, err error) {
	c, err := s.copy(full, address)
	if err != nil {
		return m, err
	}
	defer func() { err = errors.Join(err, os.RemoveAll(c.dir)) }()
	to, err := s.collect(ctx, filepath.Join(s.memory, "collector"), address, inside(n.Hub())...)
	if err != nil {
		return m, err
	}
	defer func() { err = errors.Join(err, to.close()) }()
	return s.drain(ctx, c, to, inside(n.Vehicle(only))...)
}
