package bench

import (
	"fmt"
	"os"
	"path/filepath"
	"time"

	"roadseal/cmd/internal/bench/drivegen"
	"roadseal/cmd/internal/bench/player"
	"roadseal/testdata/segments"
)

// FromFiles plays a recording of NMEA sentences and all clips of a folder. What
// is not named ("") is as in Generated.
func (o *Options) FromFiles(nmea, camera string) error {
	o.Generated()
	o.Title = "Drive"
	if nmea != "" {
		if err := o.recording(nmea); err != nil {
			return err
		}
	}
	if camera == "" {
		return nil
	}
	var err error
	o.Samples = os.DirFS(camera)
	if o.Clips, err = player.Samples(o.Samples); err != nil {
		return fmt.Errorf("--camera %s: %w", camera, err)
	}
	return nil
}

func (o *Options) recording(nmea string) (err error) {
	if o.Recording, err = os.ReadFile(nmea); err != nil {
		return fmt.Errorf("cannot read the recording of --nmea: %w", err)
	}
	if _, err := player.Cut(o.Recording); err != nil {
		return fmt.Errorf("%s: %w", nmea, err)
	}
	o.Title = "Drive of " + filepath.Base(nmea)
	o.Name = filepath.Base(nmea)
	return nil
}

// demoRate is how often the receiver of the demo speaks, times a second.
const demoRate = 10

// Generated plays a drive that is made up by the seed, and the small clips of
// testdata/segments: five stretches of road, one of them with an event.
func (o *Options) Generated() {
	o.Recording = drivegen.Generate(drivegen.Options{Seed: o.Seed, Rate: demoRate, Start: o.Now.Truncate(time.Second)})
	o.Samples = segments.Files
	for stretch := range 5 {
		kind := player.Normal
		if stretch == 2 {
			kind = player.Event
		}
		for _, channel := range []string{player.Front, player.Rear} {
			o.Clips = append(o.Clips, player.Sample{File: kind + "-" + channel + ".mp4", Kind: kind, Channel: channel})
		}
	}
	o.Title = "Demo drive"
	o.Name = "generated drive"
}
