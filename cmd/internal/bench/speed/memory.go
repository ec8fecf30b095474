package speed

import (
	"context"
	"errors"
	"os"
	"path/filepath"

	"roadseal/cmd/internal/broker/mosquitto"
)

// What the agent's memory may be, and with which clip.
const (
	mostMemory = 32 // MiB
	largest    = 300_000_000
)

// largestMemory lets an agent seal and upload a large clip.
func (s *stand) largestMemory(ctx context.Context) (rows []Row, err error) {
	if _, err := mosquitto.Find("mosquitto"); err != nil {
		return nil, lacking("mosquitto: %v", err)
	}
	broker, address, err := s.localBroker(ctx)
	if err != nil {
		return nil, err
	}
	defer func() {
		_, serr := broker.Stop(stopLimit)
		err = errors.Join(err, serr)
	}()
	c := car{dir: filepath.Join(s.memory, "large"), broker: address}
	if err := s.configure(c); err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, os.RemoveAll(c.dir)) }()
	if err := c.writeClip(0, largest); err != nil {
		return nil, err
	}
	to, err := s.collect(ctx, filepath.Join(s.memory, "collector"), address)
	if err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, to.close()) }()
	p, err := s.start(c, s.o.Programs.Agent)
	if err != nil {
		return nil, err
	}
	if err := c.delivered(ctx, p, 1); err != nil {
		return nil, errors.Join(err, p.Kill())
	}
	_, err = p.Stop(stopLimit)
	return []Row{{What: "largest memory (VmHWM) while a clip of 300 MB is sealed and uploaded", Unit: "MiB",
		Ours: float64(p.PeakMemory()) / (1 << 20), Most: mostMemory}}, err
}
