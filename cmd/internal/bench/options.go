package bench

import (
	"cmp"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"time"

	"roadseal/agent/profile"
	"roadseal/cmd/internal/bench/player"
	"roadseal/cmd/internal/bench/recorder"
	"roadseal/cmd/internal/broker"
)

// Options describe a run. Drive and Demo fill the first part.
type Options struct {
	Title     string
	Recording []byte // what the receiver says
	Name      string // of the recording, for the report
	Samples   fs.FS  // clips
	Clips     []player.Sample
	Recorder  string // make of the camera that writes them its way; "" = clips as they are, under names of BlackVue
	Now       time.Time

	Out string // folder of the run
	// Hostile puts into the recorder's folder what must not be read.
	Hostile bool
	Speed   float64       // how much faster than it was the drive is played
	Loops   int           // how often
	Rate    int64         // bytes/s upwards; 0 = no limit
	MaxAge  time.Duration // of a fix in the agent's memory
	Seed    uint64        // of all that is left to chance but keys
	Kill    Kills
	// CutEvery is the time from one cut of the link to the next while the
	// upload lasts; 0 = it is never cut.
	CutEvery time.Duration
	Keep     bool // keep the working files, also if all holds
	// Broker is Embedded ("" too) or Mosquitto. Profile is the broker for which
	// agent and collector are configured and whose limits the embedded one
	// enforces; "" = none.
	Broker, Profile string
	// Firmware adds a release desk, whose release the vehicle verifies, and an
	// attacker who puts an earlier one back.
	Firmware bool

	Programs Programs
	Tell     Teller
}

// Programs are the paths of what is put to the test.
type Programs struct {
	Bench     string // this program: the broker is one of its verbs
	Agent     string
	Collector string
	Sign      string // roadseal-sign, where there is a release desk
	Age       string // stock age; "" = not asked
}

// Beside fills empty paths with the programs that lie beside the running one. That
// of the release desk is looked for where there is one.
func (p *Programs) Beside(desk bool) error {
	self, err := os.Executable()
	if err != nil {
		return fmt.Errorf("cannot find the own program: %w", err)
	}
	type program struct {
		path *string
		name string
	}
	all := []program{{&p.Bench, filepath.Base(self)}, {&p.Agent, "roadseal-agent"}, {&p.Collector, "roadseal-collector"}}
	if desk {
		all = append(all, program{&p.Sign, "roadseal-sign"})
	}
	for _, x := range all {
		if *x.path == "" {
			*x.path = filepath.Join(filepath.Dir(self), x.name)
		}
		if _, err := os.Stat(*x.path); err != nil {
			return fmt.Errorf("cannot find %s: %w; build it there, or name it with --%s PATH", x.name, err, strings.TrimPrefix(x.name, "roadseal-"))
		}
	}
	if p.Age != "" {
		if _, err := os.Stat(p.Age); err != nil {
			return fmt.Errorf("cannot find age: %w", err)
		}
	}
	return nil
}

// Values of Options.Broker.
const (
	Embedded  = "embedded"
	Mosquitto = "mosquitto"
)

// Violation begins the line that the broker's process logs of a client that it
// has cut off for its limits.
const Violation = "a client violated a limit"

// profile is what stands in the configuration of agent and collector.
func (o Options) profile() string { return cmp.Or(o.Profile, profile.Default) }

// checkBroker judges the options that are about it.
func (o Options) checkBroker() error {
	if o.Profile != "" {
		if _, err := broker.Like(o.Profile); err != nil {
			return fmt.Errorf("--broker-profile: %w", err)
		}
	}
	switch {
	case o.Broker != "" && o.Broker != Embedded && o.Broker != Mosquitto:
		return fmt.Errorf("expected --broker %s or %s", Embedded, Mosquitto)
	case o.Broker == Mosquitto && (o.Profile != "" || o.Kill[brokerName] > 0):
		return errors.New("--broker mosquitto enforces limits of its own and is not killed: leave out --broker-profile and broker=N of --kill")
	}
	return nil
}

// Names of the processes of a run.
const (
	agentName     = "agent"
	collectorName = "collector"
	brokerName    = "broker"
)

// linkName stands for the link in the list of what was killed.
const linkName = "link"

// Kills say how often each process is killed in mid-upload.
type Kills map[string]int

// ParseKills reads "agent=20,collector=20,broker=20"; each part may be missing.
func ParseKills(s string) (Kills, error) {
	k := Kills{}
	if s == "" {
		return k, nil
	}
	for part := range strings.SplitSeq(s, ",") {
		name, count, _ := strings.Cut(part, "=")
		n, err := strconv.Atoi(count)
		if err != nil || n < 0 || !slices.Contains([]string{agentName, collectorName, brokerName}, name) {
			return nil, fmt.Errorf("cannot read %q of --kill: expected agent=N, collector=N or broker=N, with commas between", part)
		}
		if _, twice := k[name]; twice {
			return nil, fmt.Errorf("--kill names %s twice", name)
		}
		k[name] = n
	}
	return k, nil
}

func (k Kills) total() (n int) {
	for _, c := range k {
		n += c
	}
	return n
}

// minCutEvery leaves time for a handshake and a message.
const minCutEvery = 100 * time.Millisecond

func (o Options) check() error {
	switch {
	case !(o.Speed > 0 && o.Speed <= 1000):
		return errors.New("expected --speed between 0 and 1000")
	case o.Loops < 1 || o.Loops > 10000:
		return errors.New("expected --loop between 1 and 10000")
	case o.Rate < 0:
		return errors.New("expected --rate of 0 (no limit) or more bytes a second")
	case o.MaxAge < time.Second || o.MaxAge > time.Hour:
		return errors.New("expected --max-age between 1s and 1h")
	case o.Recorder != "" && !slices.Contains(recorder.Names(), o.Recorder):
		return fmt.Errorf("expected --recorder to be one of %s", strings.Join(recorder.Names(), ", "))
	case o.Recorder != "" && o.Hostile:
		return errors.New("expected either --recorder or --hostile: hostile entries have names of the plain drive")
	case o.CutEvery != 0 && o.CutEvery < minCutEvery:
		return fmt.Errorf("expected --cut-every of at least %s: no session could begin", minCutEvery)
	}
	return o.checkBroker()
}
