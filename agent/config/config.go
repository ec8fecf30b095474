// Package config reads the agent's configuration file. Each fault is reported
// with its line and a caret; nothing starts on a faulty file.
//
// The commented example in agent.example.toml names every key. The tables
// [[stream]], [spool] and [collector] are shaped so that signed policy can take
// their place whole.
//
// Side: red.
package config

import (
	_ "embed"
	"errors"
	"net"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"time"

	"roadseal/agent/config/strict"
	"roadseal/agent/policy"
	"roadseal/agent/profile"
	"roadseal/agent/wire"
	"roadseal/crypto/envelope"
	"roadseal/firmware/fetch"
	"roadseal/firmware/report"
	"roadseal/hal/camera"
	"roadseal/hal/gnss"
	"roadseal/hal/red"
)

// Example is a complete, commented configuration.
//
//go:embed agent.example.toml
var Example string

// Config is a whole configuration file. Paths in it are absolute: relative
// ones are taken from the folder of the file.
type Config struct {
	Device    Device     `toml:"device"`
	Vehicle   Vehicle    `toml:"vehicle"`
	GNSS      *GNSS      `toml:"gnss"`
	Cameras   []Camera   `toml:"camera"`
	Streams   policy.Set `toml:"stream"`
	Spool     Spool      `toml:"spool"`
	Broker    Broker     `toml:"broker"`
	Collector Collector  `toml:"collector"`
	Firmware  *Firmware  `toml:"firmware"`
	Bench     Bench      `toml:"bench"`
}

// Device is [device]: who the unit is and where it keeps what must survive.
type Device struct {
	Certificate string `toml:"certificate"` // PEM; its common name is the device id
	Key         string `toml:"key"`         // PEM
	State       string `toml:"state"`       // directory on durable storage; holds the spool
	Run         string `toml:"run"`         // directory for status and lock, best a tmpfs
}

// Vehicle is [vehicle].
type Vehicle struct {
	Number   red.Text        `toml:"number"`   // label sealed into every record; only readers see it
	Ignition string          `toml:"ignition"` // "", "file:PATH" or "speed"
	HoldUp   strict.Duration `toml:"holdup"`   // how long power lasts after SIGPWR
}

// GNSS is [gnss]: the receiver's serial port.
type GNSS struct {
	Port  string `toml:"port"`
	Baud  int    `toml:"baud"`
	UBlox UBlox  `toml:"ublox"`
}

// UBlox is [gnss.ublox]: what the receiver is told when the port opens, as
// gnss.UBlox.
type UBlox struct {
	Rate           gnss.Rate            `toml:"rate"`
	Model          gnss.Model           `toml:"model"`
	Messages       []gnss.Message       `toml:"messages"`
	Constellations []gnss.Constellation `toml:"constellations"`
}

// Camera is one [[camera]]: a recorder's folder.
type Camera struct {
	Name      string            `toml:"name"`
	Path      string            `toml:"path"`
	Preset    string            `toml:"preset"`
	Pattern   string            `toml:"pattern"`
	Time      string            `toml:"time"`
	Kinds     map[string]string `toml:"kinds"`
	Channels  map[string]string `toml:"channels"`
	Owner     string            `toml:"owner"`
	AfterSeal string            `toml:"after_seal"`
	Existing  string            `toml:"existing"`
	Rescan    strict.Duration   `toml:"rescan"`

	Names camera.Pattern `toml:"-"` // from Preset or Pattern
}

// Values of Camera.AfterSeal.
const (
	Keep   = "keep"
	Remove = "remove"
)

// Values of Camera.Existing: which of the clips are sealed that a recorder had
// before the agent first met its folder. What is not ExistingAll acts once.
const (
	ExistingAll    = "all"
	ExistingEvents = "events" // what the recorder or a person marked
	ExistingNone   = "none"
)

// Spool is [spool]: how much flash the sealed objects may take.
type Spool struct {
	MaxBytes strict.Bytes `toml:"max_bytes"`
	KeepFree strict.Bytes `toml:"keep_free"`
	Shares   []int        `toml:"shares"` // for classes 1 to 4, percent of MaxBytes that no other class can take
}

// DefaultShares keeps a third of the spool for what is kept longest.
func DefaultShares() []int { return []int{30, 10, 10, 5} }

// Broker is [broker].
type Broker struct {
	Address    string         `toml:"address"`
	ServerName string         `toml:"server_name"`
	CA         string         `toml:"ca"`
	Profile    string         `toml:"profile"`
	Limits     profile.Limits `toml:"limits"` // after Load those of Profile with what the file replaces
}

// Collector is [collector]: whose receipts count.
type Collector struct {
	ReceiptKeys []wire.PublicKey `toml:"receipt_keys"`
	Stanzas     int              `toml:"stanzas"`
}

// Firmware is [firmware]: what updates the unit verifies. Without it none are
// looked for.
type Firmware struct {
	Hardware     string          `toml:"hardware"`      // kind of board, as the repositories name it
	ECU          string          `toml:"ecu"`           // the unit's identifier toward the Director
	DirectorRoot string          `toml:"director_root"` // files of the first roots to believe
	ImageRoot    string          `toml:"image_root"`
	Every        strict.Duration `toml:"every"` // from one look to the next
	URL          string          `toml:"url"`   // of the repositories; "" = over the connection with the broker
}

// Bench is [bench].
type Bench struct {
	Enabled bool `toml:"enabled"`
}

// Load reads and checks a file. The error holds every fault found, each an
// *strict.Error.
func Load(path string) (*Config, error) {
	var c Config
	doc, err := strict.Load(path, &c, "number")
	if err != nil {
		return nil, err
	}
	return c.complete(path, doc)
}

// Parse is Load for bytes already in memory; name stands for the file.
func Parse(name string, data []byte) (*Config, error) {
	var c Config
	doc, err := strict.Decode(name, data, &c, "number")
	if err != nil {
		return nil, err
	}
	return c.complete(name, doc)
}

var cameraName = regexp.MustCompile(`^[a-z0-9-]{1,16}$`)

// A checker gathers the faults of one file.
type checker struct {
	doc  *strict.Document
	base string // folder that relative paths start from
	errs []error
}

func (k *checker) fail(path []any, format string, args ...any) {
	k.errs = append(k.errs, k.doc.Errorf(path, format, args...))
}

// path makes *p absolute, after the default def; an empty one is a fault.
func (k *checker) path(p *string, def string, at ...any) {
	if *p == "" {
		*p = def
	}
	switch {
	case *p == "":
		k.fail(at, "expected %v = \"PATH\"", at[len(at)-1])
	case !filepath.IsAbs(*p):
		*p = filepath.Join(k.base, *p)
	}
}

func (c *Config) complete(path string, doc *strict.Document) (*Config, error) {
	abs, err := filepath.Abs(path)
	if err != nil {
		return nil, err
	}
	k := &checker{doc: doc, base: filepath.Dir(abs)}
	if c.Collector.Stanzas == 0 {
		c.Collector.Stanzas = envelope.DefaultSlots
	}
	c.device(k)
	c.gnss(k)
	c.broker(k)
	for i := range c.Cameras {
		c.camera(k, i)
	}
	c.Streams.Complete(c.Collector.Stanzas, func(i int, key, format string, args ...any) {
		k.fail([]any{"stream", i, key}, format, args...)
	})
	c.firmware(k)
	c.sources(k)
	if len(k.errs) > 0 {
		return nil, errors.Join(k.errs...)
	}
	return c, nil
}

func (c *Config) device(k *checker) {
	k.path(&c.Device.Certificate, "", "device", "certificate")
	k.path(&c.Device.Key, "", "device", "key")
	k.path(&c.Device.State, "/var/lib/roadseal", "device", "state")
	k.path(&c.Device.Run, "/run/roadseal", "device", "run")
	if c.Vehicle.HoldUp.Duration == 0 {
		c.Vehicle.HoldUp.Duration = 3 * time.Second
	}
	c.spool(k)
}

func (c *Config) spool(k *checker) {
	if c.Spool.MaxBytes == 0 {
		c.Spool.MaxBytes = 8 << 30
	}
	if c.Spool.MaxBytes < 1<<20 {
		k.fail([]any{"spool", "max_bytes"}, "expected at least 1MiB")
	}
	if c.Spool.Shares == nil {
		c.Spool.Shares = DefaultShares()
	}
	sum, negative := 0, false
	for _, s := range c.Spool.Shares {
		sum, negative = sum+min(max(s, 0), 101), negative || s < 0
	}
	if len(c.Spool.Shares) != policy.MaxClass || sum > 100 || negative {
		k.fail([]any{"spool", "shares"}, "expected %d percentages, for classes 1 to %d, of at most 100 together, as in [30, 10, 10, 5]", policy.MaxClass, policy.MaxClass)
	}
}

// bauds are the rates at which GNSS receivers talk.
var bauds = []int{4800, 9600, 19200, 38400, 57600, 115200, 230400, 460800, 921600}

func (c *Config) gnss(k *checker) {
	if c.GNSS == nil {
		return
	}
	k.path(&c.GNSS.Port, "", "gnss", "port")
	if c.GNSS.Baud == 0 {
		c.GNSS.Baud = 9600
	}
	if !slices.Contains(bauds, c.GNSS.Baud) {
		k.fail([]any{"gnss", "baud"}, "expected one of %v", bauds)
	}
	u := c.GNSS.UBlox
	if u.Messages != nil && !slices.ContainsFunc(u.Messages, gnss.Message.MakesFixes) {
		k.fail([]any{"gnss", "ublox", "messages"}, "expected \"RMC\" or \"NAV-PVT\" among them: all others are switched off, and no fix would have a date")
	}
	if u.Constellations != nil && len(u.Constellations) == 0 {
		k.fail([]any{"gnss", "ublox", "constellations"}, "expected at least one; leave the key out to change none")
	}
}

func (c *Config) broker(k *checker) {
	k.path(&c.Broker.CA, "", "broker", "ca")
	host, _, err := net.SplitHostPort(c.Broker.Address)
	if err != nil || host == "" {
		k.fail([]any{"broker", "address"}, "expected address = \"HOST:PORT\", as in \"10.1.2.3:8883\"")
	}
	if c.Broker.ServerName == "" {
		c.Broker.ServerName = host
	}
	c.Broker.Limits = profile.Choose(c.Broker.Profile, c.Broker.Limits, k.fail)
	if len(c.Collector.ReceiptKeys) == 0 {
		k.fail([]any{"collector", "receipt_keys"}, "expected receipt_keys = [\"ed25519:…\"]; roadseal-collector keygen prints the line")
	}
	if s := c.Collector.Stanzas; s < 1 || s > 16 {
		k.fail([]any{"collector", "stanzas"}, "expected 1 to 16, the same number in the whole fleet")
	}
}

func (c *Config) camera(k *checker, i int) {
	cam := &c.Cameras[i]
	at := func(key string) []any { return []any{"camera", i, key} }
	k.path(&cam.Path, "", at("path")...)
	if !cameraName.MatchString(cam.Name) {
		k.fail(at("name"), "expected a camera name of 1 to 16 characters a-z, 0-9, '-'; it appears in logs")
	}
	if slices.ContainsFunc(c.Cameras[:i], func(o Camera) bool { return o.Name == cam.Name }) {
		k.fail(at("name"), "camera %q is already defined", cam.Name)
	}
	if slices.ContainsFunc(c.Cameras[:i], func(o Camera) bool { return o.Path == cam.Path }) {
		k.fail(at("path"), "another camera reads this folder already")
	}
	if cam.AfterSeal == "" {
		cam.AfterSeal = Keep
	}
	if cam.AfterSeal != Keep && cam.AfterSeal != Remove {
		k.fail(at("after_seal"), "expected %q or %q", Keep, Remove)
	}
	if cam.Existing == "" {
		cam.Existing = ExistingAll
	}
	if !slices.Contains([]string{ExistingAll, ExistingEvents, ExistingNone}, cam.Existing) {
		k.fail(at("existing"), "expected %q, %q or %q", ExistingAll, ExistingEvents, ExistingNone)
	}
	if cam.Rescan.Duration == 0 {
		cam.Rescan.Duration = 30 * time.Second
	}
	c.names(k, cam, at)
}

// names settles how the files of a recorder are called.
func (c *Config) names(k *checker, cam *Camera, at func(string) []any) {
	var err error
	switch {
	case (cam.Preset == "") == (cam.Pattern == ""):
		k.fail(at("preset"), "expected either preset = one of %q or a pattern of your own", camera.Presets())
	case cam.Preset != "":
		if cam.Names, err = camera.Preset(cam.Preset); err != nil {
			k.fail(at("preset"), "%v", err)
		}
	default:
		if cam.Names, err = camera.NewPattern(cam.Pattern, cam.Time, cam.Kinds, cam.Channels); err != nil {
			k.fail(at("pattern"), "%v", err)
		}
	}
}

func (c *Config) firmware(k *checker) {
	f := c.Firmware
	if f == nil {
		return
	}
	k.path(&f.DirectorRoot, "", "firmware", "director_root")
	k.path(&f.ImageRoot, "", "firmware", "image_root")
	for key, name := range map[string]string{"hardware": f.Hardware, "ecu": f.ECU} {
		if !report.IsText(name) {
			k.fail([]any{"firmware", key}, "expected 1 to 255 characters of printable ASCII, as the release desk writes it")
		}
	}
	if f.Every.Duration == 0 {
		f.Every.Duration = time.Hour
	}
	if f.Every.Duration < time.Minute {
		k.fail([]any{"firmware", "every"}, "expected at least 1m")
	}
	if f.URL != "" {
		if _, err := fetch.ParseURL(f.URL); err != nil {
			k.fail([]any{"firmware", "url"}, "%v", err)
		}
	}
	if _, ok := c.Streams.For(policy.Firmware); !ok {
		k.fail([]any{"firmware"}, "no stream takes \"firmware\": add a [[stream]] with from = [\"firmware\"] and the release desk as its reader")
	}
}

// sources checks that what the unit has and what the streams take agree.
func (c *Config) sources(k *checker) {
	if c.GNSS == nil && len(c.Cameras) == 0 {
		k.fail([]any{"gnss"}, "nothing to record: expected [gnss] or at least one [[camera]]")
	}
	for i, st := range c.Streams {
		for _, src := range st.From {
			if src == policy.GNSS && c.GNSS == nil {
				k.fail([]any{"stream", i, "from"}, "stream %q takes \"gnss\", but there is no [gnss]", st.Name)
			}
			if src == policy.Firmware && c.Firmware == nil {
				k.fail([]any{"stream", i, "from"}, "stream %q takes \"firmware\", but there is no [firmware]", st.Name)
			}
			if strings.HasPrefix(src, policy.Camera("")) && len(c.Cameras) == 0 {
				k.fail([]any{"stream", i, "from"}, "stream %q takes %q, but there is no [[camera]]", st.Name, src)
			}
		}
	}
	if _, ok := c.Streams.For(policy.GNSS); c.GNSS != nil && !ok {
		k.fail([]any{"gnss"}, "no stream takes \"gnss\": add it to the from of a [[stream]]")
	}
}
