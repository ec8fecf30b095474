package drivegen

import (
	"math"
	"math/rand/v2"
	"slices"
)

// How the driver drives.
const (
	cruise     = 23.0 // m/s
	sideways   = 3.2  // m/s², what a bend may ask for
	accelerate = 1.9  // m/s²
	brake      = 2.4  // m/s²
	foresight  = 18   // m, over which the driver evens out the speed
	crawl      = 0.8  // m/s, the least speed that is not a stop
)

// trip is a drive along a road: when the vehicle reaches each metre, and how
// fast it is there.
type trip struct {
	when, speed []float64 // s, m/s
	parked      float64   // s at the end
}

// drive finds the speed at each metre: what the bends allow, then what the
// pedals allow forwards and backwards, with two stops on the way.
func (r road) drive(rng *rand.Rand) trip {
	n := len(r.x)
	t := trip{when: make([]float64, n), speed: make([]float64, n), parked: 4}
	stops := map[int]float64{0: 5, n * 28 / 100: 6 + 3*rng.Float64(), n * 74 / 100: 8 + 4*rng.Float64(), n - 1: 0}
	for i := range t.speed {
		t.speed[i] = min(cruise+1.5*math.Sin(float64(i)/70), math.Sqrt(sideways/max(r.bend[i], 1e-4)))
		if _, stop := stops[i]; stop {
			t.speed[i] = crawl
		}
	}
	for i := 1; i < n; i++ {
		t.speed[i] = min(t.speed[i], math.Sqrt(t.speed[i-1]*t.speed[i-1]+2*accelerate))
	}
	for i := n - 2; i >= 0; i-- {
		t.speed[i] = min(t.speed[i], math.Sqrt(t.speed[i+1]*t.speed[i+1]+2*brake))
	}
	t.even(stops)
	for i := 1; i < n; i++ {
		t.when[i] = t.when[i-1] + stops[i-1] + 2/(t.speed[i-1]+t.speed[i])
	}
	return t
}

// even takes the corners off the speed, but leaves each stop a stop.
func (t trip) even(stops map[int]float64) {
	raw := slices.Clone(t.speed)
	for i := range raw {
		reach := foresight
		for s := range stops {
			reach = min(reach, max(i-s, s-i))
		}
		sum := 0.0
		for _, v := range raw[i-reach : i+reach+1] {
			sum += v
		}
		t.speed[i] = sum / float64(2*reach+1)
	}
}

// length is the time from start to parked, in seconds.
func (t trip) length() float64 { return t.when[len(t.when)-1] + t.parked }

// at tells how far the vehicle has come after s seconds, and its speed.
func (t trip) at(s float64) (dist, speed float64) {
	i := len(t.when) - 1
	for i > 0 && t.when[i] > s {
		i--
	}
	if i == len(t.when)-1 {
		return float64(i), 0
	}
	// A stop is the part of the second that the metre does not need.
	need := 2 / (t.speed[i] + t.speed[i+1])
	rest := t.when[i+1] - s
	if rest > need {
		return float64(i), 0
	}
	f := 1 - rest/need
	return float64(i) + f, t.speed[i] + f*(t.speed[i+1]-t.speed[i])
}
