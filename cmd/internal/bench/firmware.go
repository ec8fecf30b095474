package bench

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"time"

	"roadseal/agent"
	"roadseal/cmd/internal/bench/desk"
	"roadseal/cmd/internal/bench/judge"
	"roadseal/cmd/internal/trip"
	"roadseal/crypto/recipient"
	"roadseal/firmware"
	"roadseal/firmware/report"
)

// Release counters: what the vehicle runs, one with a hole that was found since,
// and the newest.
const (
	installedRelease = 1
	brokenRelease    = 2
	newestRelease    = 3
)

// An office is the release desk of a run, and the server that gives out what it
// has published.
type office struct {
	*desk.Desk
	keys   trip.Keys // that open the vehicle's reports
	reader recipient.Key
}

// openOffice releases two images one after the other. The server has the newest;
// a copy from between is kept, for whoever wants to put it back.
func openOffice(ctx context.Context, o Options, f folder, e enrolment) (*office, error) {
	o.Tell.Step("At the release desk two people sign a firmware for the vehicle, each with Ed25519 and ML-DSA-65.")
	file, reader, err := trip.NewKey(o.Now)
	if err != nil {
		return nil, err
	}
	if err := os.WriteFile(f.deskKey(), []byte(file), 0o600); err != nil {
		return nil, err
	}
	d := &office{reader: reader}
	if d.keys, err = trip.ReadKeys([]string{f.deskKey()}, nil, nil); err != nil {
		return nil, err
	}
	ca, err := os.ReadFile(e.certs.CA)
	if err != nil {
		return nil, err
	}
	if err := os.WriteFile(f.ca(), ca, 0o644); err != nil {
		return nil, err
	}
	if d.Desk, err = desk.Open(ctx, o.Programs.Sign, f.desk(), f.releases(), e.certs.DeviceID); err != nil {
		return nil, err
	}
	for _, release := range []struct {
		counter int64
		served  string
	}{{brokenRelease, f.earlier()}, {newestRelease, f.served()}} {
		if err := d.Release(ctx, desk.Made(release.counter)); err != nil {
			return nil, err
		}
		if err := d.Serve(release.served); err != nil {
			return nil, err
		}
	}
	return d, provision(f)
}

// provision writes what is installed on the vehicle, as its maker does
// (firmware/FORMAT.md).
func provision(f folder) error {
	i := desk.Made(installedRelease)
	sum := sha256.Sum256(i.Bytes)
	b, err := report.Marshal(&report.Image{Path: i.Path, Length: int64(len(i.Bytes)), Counter: i.Counter, RXSWIN: []string{"R79 1"}, SHA256: hex.EncodeToString(sum[:])})
	if err != nil {
		return err
	}
	dir := filepath.Join(f.state(), agent.FirmwareDir)
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return err
	}
	return os.WriteFile(filepath.Join(dir, "installed"), append(b, '\n'), 0o600)
}

// configure adds what a vehicle needs that looks for updates.
func (d *office) configure(conf table) {
	conf["stream"] = append(conf["stream"].([]table), table{"name": judge.FirmwareStream, "from": []string{"firmware"}, "to": []string{d.reader.String()}, "class": 2})
	conf["firmware"] = table{"hardware": desk.Hardware, "ecu": desk.ECU, "every": "1m",
		"director_root": d.Root(firmware.Director), "image_root": d.Root(firmware.Images)}
}

// putBack plays an attacker who holds the server: while the vehicle is off, an
// earlier release takes the place of the newest. It returns when the vehicle, on
// again, has reported what it makes of that, or nothing moves any more.
func (s *session) putBack(ctx context.Context) error {
	took, err := s.rig.stop(agentName)
	s.stopped, s.stopFault = took, err
	if err := s.rig.office.PutBack(s.f.served(), s.f.earlier()); err != nil {
		return err
	}
	s.o.Tell.Step("The vehicle is switched off. An attacker holds the server and puts back release %d; the vehicle starts again.", brokenRelease)
	if err := s.rig.startAgent(); err != nil {
		return err
	}
	tick, limit := time.NewTicker(watchEvery*lookEvery), time.Now().Add(patience)
	defer tick.Stop()
	for {
		select {
		case <-tick.C:
		case <-ctx.Done():
			return ctx.Err()
		}
		if err := errors.Join(s.drain(), s.rig.alive(), s.holder.Look(ctx)); err != nil {
			return err
		}
		left, err := undelivered(s.f.state())
		if attack, told := s.holder.Attacked(); err != nil || told && left == 0 {
			s.o.Tell.Step("It refuses that: %s. The release desk has its signed report.", attack)
			return err
		}
		if time.Now().After(limit) {
			s.gaveUp = fmt.Sprintf("no report of an attack came within %s of the start after it", patience)
			return nil
		}
	}
}

// desk is what the judge has to know of the release desk, nil if there was none.
func (s *session) desk() (*judge.Desk, error) {
	d := s.rig.office
	if d == nil {
		return nil, nil
	}
	kept, err := os.ReadFile(filepath.Join(s.f.state(), agent.FirmwareDir, "verified"))
	if err != nil && !errors.Is(err, os.ErrNotExist) {
		return nil, err
	}
	newest := desk.Made(newestRelease)
	return &judge.Desk{Keys: d.keys, KeyFile: s.f.deskKey(), Path: newest.Path, SHA256: sha256.Sum256(newest.Bytes), Kept: kept,
		Read: func(ctx context.Context, file string) (desk.Reading, error) { return d.Read(ctx, file, s.f.ca()) }}, nil
}
