package agent

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"os"
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
	"roadseal/hal/durable"
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
	cfg   *config.Config
	clock *mtls.Clock
	all   []Finding
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

// Check tries what an agent with this configuration needs, without recording
// or changing anything.
func Check(ctx context.Context, cfg *config.Config, build time.Time, offline bool) []Finding {
	k := &checker{cfg: cfg, clock: mtls.NewClock(build)}
	k.result("sealing", seal.SelfTest(), "self-test passed")
	k.certificate()
	running := k.directory("state", cfg.Device.State, true)
	k.directory("run", cfg.Device.Run, false)
	k.port()
	k.cameras(ctx)
	k.streams()
	switch {
	case offline:
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

// Magic numbers of file systems, linux/magic.h.
const (
	msdosMagic = 0x4d44
	exfatMagic = 0x2011bab0
	tmpfsMagic = 0x01021994
)

// directory checks a directory that the agent writes to and reports whether an
// agent holds its lock.
func (k *checker) directory(name, path string, lasting bool) (running bool) {
	subject := "[device] " + name
	exists := path
	for {
		if _, err := os.Stat(exists); err == nil || exists == "/" {
			break
		}
		exists = filepath.Dir(exists)
	}
	if err := unix.Access(exists, unix.W_OK|unix.X_OK); err != nil {
		k.add(Bad, subject, "cannot be written by this user: %v", err)
		return false
	}
	var st unix.Statfs_t
	if err := unix.Statfs(exists, &st); err != nil {
		k.add(Bad, subject, "%v", err)
		return false
	}
	free := int64(st.Bavail) * int64(st.Bsize)
	switch {
	case lasting && (st.Type == msdosMagic || st.Type == exfatMagic):
		k.add(Bad, subject, "is on FAT or exFAT, which loses files at a power cut: use ext4, f2fs or ubifs")
	case lasting && st.Type == tmpfsMagic:
		k.add(Bad, subject, "is in memory (tmpfs): every object that is not yet delivered is lost at a power cut")
	case lasting && free < int64(k.cfg.Spool.KeepFree):
		k.add(Bad, subject, "%d MB free, less than [spool] keep_free: nothing would be sealed", free/1e6)
	default:
		k.add(OK, subject, "writable, %d MB free", free/1e6)
	}
	if !lasting || exists != path {
		return false
	}
	d, err := durable.OpenExisting(path)
	if err != nil {
		return false
	}
	defer d.Close()
	lock, err := d.Lock(lockFile)
	if err == nil {
		_ = lock.Close() // the file stays; the agent makes it too
	}
	return errors.Is(err, durable.ErrLocked)
}

func (k *checker) port() {
	if k.cfg.GNSS == nil {
		return
	}
	st, err := os.Stat(k.cfg.GNSS.Port)
	switch {
	case errors.Is(err, fs.ErrNotExist):
		k.add(Bad, "gnss", "[gnss] port is not there: receiver unplugged, or another path (see /dev/serial/by-id)")
	case err != nil:
		k.add(Bad, "gnss", "[gnss] port: %v", errors.Unwrap(err))
	case st.Mode()&os.ModeCharDevice == 0:
		k.add(Bad, "gnss", "[gnss] port is not a serial device")
	case unix.Access(k.cfg.GNSS.Port, unix.R_OK|unix.W_OK) != nil:
		k.add(Bad, "gnss", "[gnss] port may not be opened by this user: add the user to the port's group (often dialout)")
	default:
		k.add(OK, "gnss", "port is there and may be opened")
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
		var st unix.Statfs_t
		if unix.Statfs(c.Path, &st) == nil && st.Type == tmpfsMagic {
			k.add(Warn, subject, "the folder is in memory: plaintext stays off flash, and clips not yet sealed are lost at a power cut")
		}
	}
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
