package soak

import (
	"context"
	"fmt"
	"math/rand/v2"
	"os"
	"path/filepath"
	"time"

	"roadseal/cmd/internal/bench/player"
)

// A sample is noise under the name of a clip: nothing looks into it on the way.
type sample struct {
	file  string
	size  int64
	often int // how many of ten clips
}

var samples = []sample{{"a.mp4", 20_000, 2}, {"b.mp4", 90_000, 3}, {"c.mp4", 300_000, 3}, {"d.mp4", 900_000, 2}, {large, 6_000_000, 0}}

// large is recorded once by some.
const large = "e.mp4"

// writeSamples writes the samples into dir.
func writeSamples(dir string, seed uint64) error {
	var key [32]byte
	key[0], key[1] = byte(seed), byte(seed>>8)
	noise := rand.NewChaCha8(key)
	for _, s := range samples {
		b := make([]byte, s.size)
		_, _ = noise.Read(b) // it never fails
		if err := os.WriteFile(filepath.Join(dir, s.file), b, 0o600); err != nil {
			return err
		}
	}
	return nil
}

// stretch is how long a clip takes.
const stretch = 2 * time.Second

// plan is what the recorder of a vehicle will write: every fourth clip is that
// of an event.
func plan(rng *rand.Rand, r role, length time.Duration, start time.Time) []player.Segment {
	var deck []string
	for _, s := range samples {
		for range s.often {
			deck = append(deck, s.file)
		}
	}
	clips := make([]player.Sample, int(length/stretch))
	for i := range clips {
		clips[i] = player.Sample{File: deck[rng.IntN(len(deck))], Kind: player.Normal, Channel: player.Front}
		if rng.IntN(4) == 0 {
			clips[i].Kind = player.Event
		}
	}
	if r.large {
		clips[rng.IntN(len(clips))].File = large
	}
	return player.Plan(clips, 1, length, start)
}

// record lets the recorder write all its clips.
func (w *world) record(ctx context.Context, v *vehicle) (err error) {
	camera := player.Camera{Folder: v.recorder(), Samples: os.DirFS(w.path("work/samples")), Mark: []byte(v.mark)}
	v.clips, err = camera.Play(ctx, v.plan, player.Clock{Start: time.Now(), Speed: 1})
	return err
}

// fixRate is how many fixes a receiver says in a second.
const fixRate = 5

// jumps are what a receiver's time may suddenly be ahead by.
var jumps = []time.Duration{0, 10 * 365 * 24 * time.Hour, -10 * 365 * 24 * time.Hour, -1024 * 7 * 24 * time.Hour, 1024 * 7 * 24 * time.Hour, 47 * time.Hour}

// speak lets the receiver speak until ctx ends. Its time jumps about once in
// eight fixes.
func (w *world) speak(ctx context.Context, v *vehicle, rng *rand.Rand) error {
	tick := time.NewTicker(time.Second / fixRate)
	defer tick.Stop()
	var ahead time.Duration
	for {
		select {
		case <-tick.C:
		case <-ctx.Done():
			return nil
		}
		if rng.IntN(8) == 0 {
			if to := jumps[rng.IntN(len(jumps))]; to != ahead {
				ahead = to
				w.note(func(f *Faults) { f.GNSSJumps++ })
			}
		}
		err := v.say(func(n int) []byte { return sentences(v.index, n, time.Now().Add(ahead)) })
		if err != nil {
			return err
		}
	}
}

// The position of a fix is its number: north of the origin by so many
// thousandths of a minute. Each vehicle has a meridian of its own.
const originLat = 50

// latitude of fix n in degrees.
func latitude(n int) float64 { return originLat + float64(n)/60_000 }

// digits of a position as they stand in a sentence.
func digits(vehicle, n int) (lat, lon string) {
	return fmt.Sprintf("%02d%02d.%05d", originLat+n/60_000, n/1000%60, n%1000*100), fmt.Sprintf("00616.%05d", 1000*(vehicle+1))
}

// longitude of a vehicle in degrees.
func longitude(vehicle int) float64 { return 6 + (16+float64(vehicle+1)/100)/60 }

// sentences are RMC and GGA of fix n.
func sentences(vehicle, n int, t time.Time) []byte {
	lat, lon := digits(vehicle, n)
	clock, date := t.UTC().Format("150405.00"), t.UTC().Format("020106")
	out := sentence(nil, fmt.Sprintf("GNRMC,%s,A,%s,N,%s,E,18.0,0.0,%s,,,A", clock, lat, lon, date))
	return sentence(out, fmt.Sprintf("GNGGA,%s,%s,N,%s,E,1,11,0.80,120.0,M,47.0,M,,", clock, lat, lon))
}

// sentence frames a sentence with its checksum.
func sentence(out []byte, body string) []byte {
	var sum byte
	for i := range len(body) {
		sum ^= body[i]
	}
	return fmt.Appendf(out, "$%s*%02X\r\n", body, sum)
}
