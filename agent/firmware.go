package agent

import (
	"context"
	"crypto"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"time"

	"roadseal/agent/config"
	"roadseal/agent/downlink"
	"roadseal/agent/health"
	"roadseal/agent/uplink"
	"roadseal/crypto/mtls"
	"roadseal/crypto/signed"
	"roadseal/firmware"
	"roadseal/firmware/fetch"
	"roadseal/firmware/report"
	"roadseal/hal/durable"
)

// FirmwareDir is the folder of package firmware in the state directory.
const FirmwareDir = "firmware"

// updates is what [firmware] and [device] say to an updater, read and judged. The
// rest of the options is for the agent to give.
func updates(c *config.Config, clock *mtls.Clock) (o firmware.Options, err error) {
	f := c.Firmware
	o.Unit, o.Every = firmware.Unit{ECU: f.ECU, Hardware: f.Hardware}, f.Every.Duration
	conf, _, err := mtls.Client(TLS(c, clock))
	if err != nil {
		return o, err
	}
	own, err := conf.GetClientCertificate(nil) // whoever asks
	if err != nil {
		return o, err
	}
	var ok bool
	if o.Key, ok = own.PrivateKey.(crypto.Signer); !ok {
		return o, errors.New("[device] key: expected one that can sign")
	}
	o.Chain = own.Certificate
	if o.Roots.Director, err = readRoot("director_root", f.DirectorRoot); err != nil {
		return o, err
	}
	if o.Roots.Images, err = readRoot("image_root", f.ImageRoot); err != nil {
		return o, err
	}
	_, err = firmware.New(o)
	var root *signed.Error
	switch {
	case err == nil:
		return o, nil
	case !errors.As(err, &root):
		return o, fmt.Errorf("[device] certificate and key, which sign the reports of [firmware]: %w", err)
	case root.Repository == firmware.Director:
		return o, fmt.Errorf("[firmware] director_root: %s: no root of metadata: %w", f.DirectorRoot, root.Err)
	}
	return o, fmt.Errorf("[firmware] image_root: %s: no root of metadata: %w", f.ImageRoot, root.Err)
}

// readRoot reads a file of at most the size that a root can have; a longer one is
// then no root.
func readRoot(key, path string) ([]byte, error) {
	f, err := os.Open(path)
	if err != nil {
		return nil, fmt.Errorf("[firmware] %s: cannot read the root: %w; hint: N.root.json of the repository, from the release desk", key, err)
	}
	defer f.Close()
	b, err := io.ReadAll(io.LimitReader(f, signed.MaxRoot+1))
	if err != nil {
		return nil, fmt.Errorf("[firmware] %s: cannot read the root: %w", key, err)
	}
	return b, nil
}

// verify makes the updater, and returns what is to share the link with the
// uploads for its sake, nil for nothing.
func (a *Agent) verify(o firmware.Options) (down uplink.Downloads, err error) {
	var from fetch.Fetcher
	if a.cfg.Firmware.URL == "" {
		d := downlink.New()
		from, down = d, d
	} else {
		if a.https, err = repositories(a.cfg, a.clock, false); err != nil {
			return nil, err
		}
		from = a.https
	}
	o.Director, o.Images = fetch.Repository(from, firmware.Director), fetch.Repository(from, firmware.Images)
	o.State, o.Log, o.Now = a.verified, a.log, a.clock.Now
	o.Confidence = func() report.Confidence { return report.Confidence(a.clock.Basis()) }
	o.Raise = func(t time.Time) {
		if a.raise(t) {
			a.saveTime()
		}
	}
	o.Report = func(file []byte) error { return a.intake.Firmware(context.Background(), file, a.next()) } // 64 KiB at most
	a.updater, err = firmware.New(o)
	return down, err
}

// repositories is the way to [firmware] url. Its server is judged as the broker
// is: by the CA of [broker] and by trusted time.
func repositories(c *config.Config, clock *mtls.Clock, once bool) (*fetch.HTTPS, error) {
	address, err := fetch.ParseURL(c.Firmware.URL)
	if err != nil {
		return nil, fmt.Errorf("[firmware] url: %w", err)
	}
	o := TLS(c, clock)
	o.ServerName = address.Hostname()
	conf, id, err := mtls.Client(o)
	if err != nil {
		return nil, err
	}
	return fetch.NewHTTPS(fetch.Options{URL: c.Firmware.URL, Device: id.CommonName, TLS: conf, Once: once})
}

// lookForUpdates verifies what is new until ctx ends.
func (a *Agent) lookForUpdates(ctx context.Context) error {
	if a.https != nil {
		defer a.https.Close()
	}
	return a.updater.Run(ctx)
}

// firmwareStatus is nil where no updates are looked for.
func (a *Agent) firmwareStatus() *health.Firmware {
	if a.updater == nil {
		return nil
	}
	s := a.updater.Status()
	f := &health.Firmware{Checked: s.Checked, Installed: s.Installed, Reports: s.Reports, Waiting: s.Waiting}
	if !s.Checked.IsZero() {
		f.Attempt = &s.Attempt
	}
	return f
}

// firmware checks what [firmware] needs.
func (k *checker) firmware() {
	if k.cfg.Firmware == nil {
		return
	}
	o, err := updates(k.cfg, k.clock)
	k.result("firmware", err, "the roots are valid, and this device's key can sign reports of %s", o.Unit.Hardware)
	var image *report.Image
	d, err := durable.OpenExisting(filepath.Join(k.cfg.Device.State, FirmwareDir))
	if err == nil {
		defer d.Close()
		image, err = firmware.Installed(d)
	}
	if err != nil {
		k.add(Bad, "installed", "%v; hint: whoever installs writes it, readable by the agent's user; firmware/FORMAT.md specifies it", err)
		return
	}
	k.add(OK, "installed", "%s, release counter %d", image.Path, image.Counter)
}

// fetching is how long the server at [firmware] url has for both roots.
const fetching = 30 * time.Second

// notBroker is for what crypto/mtls says of the other end.
var notBroker = strings.NewReplacer("the broker", "the server", "a broker", "a server")

// server fetches from [firmware] url what every published repository has.
func (k *checker) server(ctx context.Context) {
	if k.cfg.Firmware == nil || k.cfg.Firmware.URL == "" {
		return
	}
	ctx, cancel := context.WithTimeout(ctx, fetching)
	defer cancel()
	h, err := repositories(k.cfg, k.clock, true)
	if err == nil {
		defer h.Close()
		for _, root := range []string{firmware.Director, firmware.Images} {
			if err == nil {
				_, err = h.Fetch(ctx, root+"/1.root.json", signed.MaxRoot)
			}
		}
	}
	if errors.Is(err, fs.ErrNotExist) {
		err = fmt.Errorf("%w; hint: url is that of the folder in which the folders director and image lie", err)
	}
	if err != nil {
		err = errors.New(notBroker.Replace(err.Error()))
	}
	k.result("firmware url", err, "the server takes this device's certificate and has both repositories")
}
