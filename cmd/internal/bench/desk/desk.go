// Package desk is the release desk of a bench run: people with throw-away keys,
// a repository, and made-up images. All of it is done by roadseal-sign, as a desk
// would; what vehicles get of it lies on a server that an attacker may hold.
//
// Side: any.
package desk

import (
	"bytes"
	"context"
	"crypto/rand"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"

	"golang.org/x/sync/errgroup"

	"roadseal/firmware/report"
)

// The vehicle's unit, as orders name it.
const (
	Hardware = "tcu-1"
	ECU      = "tcu"
)

// Who signs: two people what was released, both of them, and a machine orders,
// snapshots and timestamps.
const machine = "online"

var everyone = []string{"anna", "ben", machine}

// planText gives everything the lifetime of the bench's certificates, and for the
// same reason: a recording of a later year moves the vehicle's clock ahead.
const planText = `[image.root]
signers = ["anna", "ben"]
threshold = 2
expires = "180d"
[image.targets]
signers = ["anna", "ben"]
threshold = 2
expires = "180d"
[image.snapshot]
signers = ["online"]
threshold = 1
expires = "180d"
[image.timestamp]
signers = ["online"]
threshold = 1
expires = "180d"
[director.root]
signers = ["anna", "ben"]
threshold = 2
expires = "180d"
[director.targets]
signers = ["online"]
threshold = 1
expires = "180d"
[director.snapshot]
signers = ["online"]
threshold = 1
expires = "180d"
[director.timestamp]
signers = ["online"]
threshold = 1
expires = "180d"
`

// A Desk has one vehicle to care for.
type Desk struct {
	program string // roadseal-sign
	dir     string // of keys and of what is signed away from the repository
	repo    string // published
	device  string // the vehicle's pseudonym
}

// Open makes the keys of everybody in dir, and begins a repository in repo, which
// does not exist yet, for the device. Nothing is published.
func Open(ctx context.Context, program, dir, repo, device string) (*Desk, error) {
	d := &Desk{program: program, dir: dir, repo: repo, device: device}
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return nil, err
	}
	for name, text := range map[string]string{"passphrase": rand.Text() + "\n", "plan.toml": planText} {
		if err := os.WriteFile(d.path(name), []byte(text), 0o600); err != nil {
			return nil, err
		}
	}
	g, making := errgroup.WithContext(ctx)
	for _, name := range everyone {
		g.Go(func() error {
			_, err := d.sign(making, "key", "new", name, "--out", dir, "--passphrase-file", d.path("passphrase"))
			return err
		})
	}
	if err := g.Wait(); err != nil {
		return nil, err
	}
	_, err := d.sign(ctx, "firmware", "init", repo, "--plan", d.path("plan.toml"))
	return d, err
}

func (d *Desk) path(name string) string { return filepath.Join(d.dir, name) }

// An Image is one that was released.
type Image struct {
	Path    string
	Counter int64
	Bytes   []byte
}

// Made is the made-up image with a release counter.
func Made(counter int64) Image {
	return Image{Path: fmt.Sprintf("tcu/%d.img", counter), Counter: counter,
		Bytes: bytes.Repeat(fmt.Appendf(nil, "release %d of the bench\n", counter), 1000)}
}

// Release adds an image to the repository, orders it for the vehicle, has everyone
// sign a copy of what is staged, and publishes it.
func (d *Desk) Release(ctx context.Context, i Image) error {
	file := d.path(filepath.Base(i.Path))
	if err := os.WriteFile(file, i.Bytes, 0o600); err != nil {
		return err
	}
	counter := fmt.Sprint(i.Counter)
	if _, err := d.sign(ctx, "firmware", "image", d.repo, file, "--path", i.Path, "--hardware", Hardware, "--counter", counter, "--rxswin", "R79 "+counter); err != nil {
		return err
	}
	if _, err := d.sign(ctx, "firmware", "order", d.repo, i.Path, "--ecu", ECU, "--hardware", Hardware, "--device", d.device, "--campaign", "bench"); err != nil {
		return err
	}
	publish := []string{"firmware", "publish", d.repo}
	g, signing := errgroup.WithContext(ctx)
	for _, name := range everyone {
		dir := d.path(name + "-" + counter)
		if err := os.CopyFS(dir, os.DirFS(filepath.Join(d.repo, "staged"))); err != nil {
			return err
		}
		publish = append(publish, dir)
		g.Go(func() error {
			_, err := d.sign(signing, "firmware", "sign", dir, "--yes", "--key", d.path(name+".key"), "--passphrase-file", d.path("passphrase"))
			return err
		})
	}
	if err := g.Wait(); err != nil {
		return err
	}
	_, err := d.sign(ctx, append(publish, "--key", d.path(machine+".key"), "--passphrase-file", d.path("passphrase"))...)
	return err
}

// Root is the file of the first root of a side for the vehicle.
func (d *Desk) Root(side string) string {
	if side == director {
		return filepath.Join(d.repo, director, d.device, firstRoot)
	}
	return filepath.Join(d.repo, side, firstRoot)
}

// The sides, and the name of a root.
const (
	director  = "director"
	image     = "image"
	firstRoot = "1.root.json"
	timestamp = "timestamp.json"
)

// Serve copies what vehicles get into a new folder.
func (d *Desk) Serve(dir string) error {
	for _, side := range []string{director, image} {
		if err := os.CopyFS(filepath.Join(dir, side), os.DirFS(filepath.Join(d.repo, side))); err != nil {
			return err
		}
	}
	return nil
}

// PutBack has a server give out what an earlier copy of it did: everything
// follows from the timestamps, and what they name is still there.
func (d *Desk) PutBack(served, earlier string) error {
	for _, name := range []string{filepath.Join(director, d.device, timestamp), filepath.Join(image, timestamp)} {
		b, err := os.ReadFile(filepath.Join(earlier, name))
		if err != nil {
			return err
		}
		tmp := filepath.Join(served, name+".tmp")
		if err := os.WriteFile(tmp, b, 0o600); err != nil {
			return err
		}
		if err := os.Rename(tmp, filepath.Join(served, name)); err != nil {
			return err
		}
	}
	return nil
}

// A Reading is what roadseal-sign makes of a vehicle's report.
type Reading struct {
	Text   string
	Report report.Report
}

// attacked is the exit status that says so.
const attacked = 3

// Read has roadseal-sign verify a report against the CA of the vehicles. An error
// says that it is not to be believed.
func (d *Desk) Read(ctx context.Context, file, ca string) (r Reading, err error) {
	for _, form := range [][]string{nil, {"--json"}} {
		out, err := d.sign(ctx, append([]string{"firmware", "report", file, "--ca", ca}, form...)...)
		if exit, ok := errors.AsType[*exec.ExitError](err); ok && exit.ExitCode() == attacked {
			err = nil // the report itself says which
		}
		if err != nil {
			return r, err
		}
		if form == nil {
			r.Text = out
		} else if err := json.Unmarshal([]byte(out), &r.Report); err != nil {
			return r, fmt.Errorf("cannot read what roadseal-sign says of a report: %w", err)
		}
	}
	return r, nil
}

// sign runs roadseal-sign and returns its output.
func (d *Desk) sign(ctx context.Context, args ...string) (string, error) {
	var stderr bytes.Buffer
	cmd := exec.CommandContext(ctx, d.program, args...)
	cmd.Stderr = &stderr
	out, err := cmd.Output()
	if err != nil {
		err = fmt.Errorf("roadseal-sign %s: %w: %s", strings.Join(args[:2], " "), err, strings.TrimSpace(stderr.String()))
	}
	return string(out), err
}
