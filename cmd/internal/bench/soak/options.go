package soak

import (
	"errors"
	"fmt"
	"os"
	"time"

	"roadseal/cmd/internal/bench"
)

// Options describe a soak.
type Options struct {
	Out      string        // folder of the run
	For      time.Duration // how long there are faults
	Vehicles int
	Seed     uint64 // of all that is left to chance but keys
	Netns    string // Auto, On or Off: dead links, which need root
	Broker   string // Embedded or Mosquitto
	Keep     bool   // keep the working files, also if all holds

	Programs bench.Programs
	Tell     bench.Teller
}

// Values of Options.Netns.
const (
	Auto = "auto" // if the run may make network namespaces
	On   = "on"
	Off  = "off"
)

// Values of Options.Broker.
const (
	Embedded  = "embedded"
	Mosquitto = "mosquitto"
)

// Check returns an error for what cannot be run.
func (o Options) Check() error {
	switch {
	case o.For < minFor || o.For > time.Hour:
		return fmt.Errorf("expected --for between %s and 1h", minFor)
	case o.Vehicles < 1 || o.Vehicles > 50:
		return errors.New("expected --vehicles between 1 and 50")
	case o.Netns != Auto && o.Netns != On && o.Netns != Off:
		return fmt.Errorf("expected --netns %s, %s or %s", Auto, On, Off)
	case o.Netns == On && os.Geteuid() != 0:
		return errors.New("--netns on needs root")
	case o.Broker != Embedded && o.Broker != Mosquitto:
		return fmt.Errorf("expected --broker %s or %s", Embedded, Mosquitto)
	}
	return nil
}

// minFor leaves time for a clip and a fault.
const minFor = 5 * time.Second
