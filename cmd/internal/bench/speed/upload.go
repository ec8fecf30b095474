package speed

import (
	"context"
	"errors"
	"fmt"
	"net"
	"os"
	"path/filepath"
	"time"

	"roadseal/cmd/internal/bench/unsynced"
	"roadseal/cmd/internal/broker/mosquitto"
)

// A load is what one round moves.
type load struct {
	name  string
	n     int
	size  int64   // bytes of each clip
	limit float64 // of the ratio to the peer; 0 = none
}

// uploads measures over loopback.
func (s *stand) uploads(ctx context.Context) (rows []Row, err error) {
	for _, name := range []string{"mosquitto", "mosquitto_pub", "mosquitto_sub"} {
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
	// With small clips it is the receipts and syncs that cost, which the peer has
	// not.
	for _, l := range []load{{"8 clips of 75 MB", 8, 75_000_000, 1}, {"400 clips of 1 MB", 400, 1_000_000, 0}} {
		more, err := s.uploadsOf(ctx, l, address)
		if err != nil {
			return nil, err
		}
		rows = append(rows, more...)
	}
	return rows, nil
}

func (s *stand) uploadsOf(ctx context.Context, l load, address string) ([]Row, error) {
	full, err := s.backlog(ctx, "backlog", l.n, l.size)
	if err != nil {
		return nil, err
	}
	defer os.RemoveAll(full.dir) // the folder of the run goes in any case
	q, err := full.queued()
	if err != nil {
		return nil, err
	}
	var disk, unsync, memory, pub, raw rounds
	nosync := unsynced.Command(s.o.Programs.Bench)
	turns := []struct {
		to  *rounds
		run func() (moved, error)
	}{
		{&disk, func() (moved, error) { return s.upload(ctx, full, address, s.disk) }},
		{&unsync, func() (moved, error) { return s.upload(ctx, full, address, s.disk, nosync...) }},
		{&pub, func() (moved, error) { return s.publish(ctx, address, q.bytes) }},
		{&memory, func() (moved, error) { return s.upload(ctx, full, address, s.memory) }},
		{&raw, func() (moved, error) { return s.rawLoopback(ctx, q.bytes) }},
	}
	for round := range s.o.Rounds {
		for i := range turns { // no one is always first
			turn := turns[(round+i)%len(turns)]
			m, err := turn.run()
			if err != nil {
				return nil, err
			}
			*turn.to = append(*turn.to, m)
		}
		s.o.Tell.Progress(float64(round+1)/float64(s.o.Rounds), l.name)
	}
	const unit, peer = "MB/s", "mosquitto_pub -q 1 -l"
	return []Row{
		beside("upload, "+l.name+", store on disk with fsync", unit, disk.rates(), peer, pub.rates(), l.limit),
		beside("upload, "+l.name+", store on disk without fsync", unit, unsync.rates(), peer, pub.rates(), l.limit),
		beside("upload, "+l.name+", store in memory", unit, memory.rates(), peer, pub.rates(), 0),
		beside("upload, "+l.name+", store in memory", unit, memory.rates(), "raw TLS 1.3", raw.rates(), 0),
		beside("processor time of the sender for 1 GB, "+l.name, "s", memory.costs(), peer, pub.costs(), 0),
	}, nil
}

// moved is what came of moving bytes once.
type moved struct {
	bytes int64
	took  time.Duration
	cpu   time.Duration // of the sender, if it was a process of its own
}

type rounds []moved

// rates are in MB/s.
func (r rounds) rates() (v []float64) {
	for _, m := range r {
		v = append(v, float64(m.bytes)/1e6/m.took.Seconds())
	}
	return v
}

// costs are in seconds for each GB.
func (r rounds) costs() (v []float64) {
	for _, m := range r {
		v = append(v, m.cpu.Seconds()/(float64(m.bytes)/1e9))
	}
	return v
}

// upload lets an agent empty a backlog into a store in the folder where; before
// is what stands before the collector's command line.
func (s *stand) upload(ctx context.Context, full car, address, where string, before ...string) (m moved, err error) {
	c, err := s.copy(full, address)
	if err != nil {
		return m, err
	}
	defer func() { err = errors.Join(err, os.RemoveAll(c.dir)) }()
	to, err := s.collect(ctx, filepath.Join(where, "collector"), address, before...)
	if err != nil {
		return m, err
	}
	defer func() { err = errors.Join(err, to.close()) }()
	return s.drain(ctx, c, to)
}

// drain runs the agent of a car until all that it holds is delivered. The time
// is that from just before the first OFFER to the last receipt noted.
func (s *stand) drain(ctx context.Context, c car, to *store, before ...string) (m moved, err error) {
	full, err := c.queued()
	if err != nil {
		return m, err
	}
	p, err := s.start(c, s.o.Programs.Agent, before...)
	if err != nil {
		return m, err
	}
	if err := c.delivered(ctx, p, full.waiting); err != nil {
		return m, errors.Join(err, p.Kill())
	}
	begin, err := said(ctx, p, filepath.Join(c.dir, "agent.log"), "uplink connected")
	if _, serr := p.Stop(stopLimit); err != nil || serr != nil {
		return m, errors.Join(err, serr)
	}
	q, err := c.queued()
	if err != nil {
		return m, err
	}
	if n, err := to.bytes(); err != nil || n != q.bytes {
		return m, errors.Join(err, fmt.Errorf("the collector has stored %d bytes of %d", n, q.bytes))
	}
	return moved{q.bytes, q.last.Sub(begin), p.CPU()}, nil
}

// rawLoopback sends bytes through TLS over loopback.
func (s *stand) rawLoopback(ctx context.Context, n int64) (moved, error) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return moved{}, err
	}
	return s.raw(ctx, l, func() (net.Conn, error) { return net.Dial("tcp", l.Addr().String()) }, n)
}
