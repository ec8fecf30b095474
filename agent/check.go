package agent

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"path/filepath"
	"strings"
	"time"

	"golang.org/x/sys/unix"

	"roadseal/agent/config"
	"roadseal/agent/mqttlink"
	"roadseal/agent/policy"
	"roadseal/agent/profile"
	"roadseal/agent/wire"
	"roadseal/crypto/mtls"
	"roadseal/crypto/seal"
	"roadseal/hal/camera"
)

// Levels of a Finding.
const (
	OK   = "ok"
	Warn = "warn" // works, with a consequence to know of
	Bad  = "BAD"  // will not work
)

// A Finding is the result of one check. Its text holds nothing private.
type Finding struct {
	Level   string `json:"level"`
	Subject string `json:"subject"`
	Text    string `json:"text"`
}

// A checker gathers findings.
type checker struct {
	CheckOptions
	cfg   *config.Config
	clock *mtls.Clock
	all   []Finding
}

// CheckOptions are what Check is about.
type CheckOptions struct {
	Config  *config.Config
	Build   time.Time // of the software: no trusted time is earlier
	Offline bool      // leave the broker and [firmware] url alone
	Root    string    // where /proc, /run/udev, /etc and /lib of the machine are found; "" is /
}

func (k *checker) add(level, subject, format string, args ...any) {
	k.all = append(k.all, Finding{level, subject, fmt.Sprintf(format, args...)})
}

// result adds a finding for err, or for its absence.
func (k *checker) result(subject string, err error, good string, args ...any) {
	if err != nil {
		k.add(Bad, subject, "%v", err)
		return
	}
	k.add(OK, subject, good, args...)
}

// Check tries what an agent with this configuration needs, as the user who calls
// it, without recording anything. In directories of the agent that exist it
// writes a small file and removes it again.
func Check(ctx context.Context, o CheckOptions) []Finding {
	k := &checker{CheckOptions: o, cfg: o.Config, clock: mtls.NewClock(o.Build)}
	k.user()
	k.result("sealing", seal.SelfTest(), "self-test passed")
	k.certificate()
	running := k.directory("state", o.Config.Device.State, true)
	k.directory("run", o.Config.Device.Run, false)
	k.memory()
	k.time()
	k.port(running)
	k.cameras(ctx)
	k.streams()
	k.firmware()
	if !o.Offline {
		k.server(ctx)
	}
	switch {
	case o.Offline:
	case running:
		k.add(OK, "broker", "not tried: an agent is running, and a second connection would end its own; see status")
	default:
		k.broker(ctx)
	}
	return k.all
}

func (k *checker) certificate() {
	_, id, err := mtls.Client(TLS(k.cfg, k.clock))
	if err == nil {
		err = wire.CheckDevice(id.CommonName)
	}
	day := id.NotAfter.UTC().Format(time.DateOnly)
	if err == nil && id.NotAfter.Before(k.clock.Now()) {
		err = fmt.Errorf("expired on %s: the broker will refuse it; issue a new one", day)
	}
	k.result("certificate", err, "valid until %s", day)
	// Whether it has expired is for trusted time to say; the wall clock gives
	// a hint that a person can judge.
	switch left := time.Until(id.NotAfter); {
	case err != nil:
	case left < 0:
		k.add(Warn, "certificate", "by this machine's clock it has expired: renew it, or set the clock")
	case left < 30*24*time.Hour:
		k.add(Warn, "certificate", "by this machine's clock %d days are left: renew it", int(left.Hours()/24))
	}
	if k.cfg.Bench.Enabled {
		k.add(Warn, "bench", "[bench] enabled: throw-away certificates only, never production")
	}
}

func (k *checker) cameras(ctx context.Context) {
	for _, c := range k.cfg.Cameras {
		subject := "camera " + c.Name
		all, err := Folder(c, slog.New(slog.DiscardHandler)).List(ctx)
		if err != nil {
			k.add(Bad, subject, "%s", strings.TrimPrefix(err.Error(), subject+": "))
			continue
		}
		good := 0
		for _, l := range all {
			if l.Reason == "" {
				good++
			}
		}
		k.add(OK, subject, "folder is there: %d finished segments, %d other entries (segments says why)", good, len(all)-good)
		k.access(subject, c, all)
		var st unix.Statfs_t
		if unix.Statfs(c.Path, &st) == nil && st.Type == tmpfsMagic {
			k.add(Warn, subject, "the folder is in memory: plaintext stays off flash, and clips not yet sealed are lost at a power cut")
		}
	}
}

// access checks that the segments of a folder may be read, and removed where the
// agent is to do that.
func (k *checker) access(subject string, c config.Camera, all []camera.Listing) {
	unread, dirs := 0, map[string]bool{c.Path: true}
	for _, l := range all {
		if l.Reason != "" {
			continue
		}
		path := filepath.Join(c.Path, l.File.Reveal())
		dirs[filepath.Dir(path)] = true
		if unix.Access(path, unix.R_OK) != nil {
			unread++
		}
	}
	if unread > 0 {
		k.add(Bad, subject, "%d segments may not be read by this user; hint: add it to the group of the recorder's files", unread)
	}
	if c.AfterSeal != config.Remove {
		return
	}
	for dir := range dirs {
		switch err := unix.Access(dir, unix.W_OK|unix.X_OK); {
		case errors.Is(err, unix.EROFS):
			k.add(Bad, subject, "after_seal = \"remove\", but the folder is read-only; hint: ReadWritePaths= of the systemd unit, or the mount")
			return
		case err != nil:
			k.add(Bad, subject, "after_seal = \"remove\", but this user may not remove files there; hint: write permission on the folder for a group that the user is in")
			return
		}
	}
	k.add(OK, subject, "what is sealed can be removed")
}

func (k *checker) streams() {
	var untaken []string
	for _, kind := range policy.Kinds {
		if _, ok := k.cfg.Streams.For(policy.Camera(kind)); !ok {
			untaken = append(untaken, policy.Camera(kind))
		}
	}
	if len(k.cfg.Cameras) > 0 && len(untaken) > 0 {
		k.add(Warn, "streams", "no stream takes %s: such segments stay in the vehicle", strings.Join(untaken, ", "))
	}
}

// broker connects and subscribes as the agent would.
func (k *checker) broker(ctx context.Context) {
	s, err := connect(ctx, k.cfg, k.clock, nil, "")
	if err == nil {
		err = s.Close()
	}
	k.result("broker", err, "connected, certificate accepted on both sides, receipts can be received")
}

// connect opens a session with the broker and subscribes to the device's
// topic. Unless device is empty, the certificate must still name it.
func connect(ctx context.Context, cfg *config.Config, clock *mtls.Clock, pace *profile.Pace, device string) (*mqttlink.Session, error) {
	conf, id, err := mtls.Client(TLS(cfg, clock))
	if err != nil {
		return nil, err
	}
	if device != "" && device != id.CommonName {
		return nil, errors.New("[device] certificate names another device now: restart the agent to work under that name")
	}
	s, err := mqttlink.Dial(ctx, mqttlink.Options{Address: cfg.Broker.Address, ClientID: id.CommonName, TLS: conf, MaxPacket: wire.MaxDown,
		Pace: pace, InFlight: cfg.Broker.Limits.InFlight})
	if err != nil {
		return nil, mtls.Explain(err)
	}
	if err := s.Subscribe(ctx, wire.DownTopic(id.CommonName)); err != nil {
		return nil, errors.Join(err, s.Close())
	}
	return s, nil
}
