// Package drivegen makes up a plausible drive and what a GNSS receiver would
// have said about it: a road with bends, a driver who slows down for them and
// stops twice, a receiver with correlated noise, and a tunnel without a fix.
//
// The same seed gives the same bytes.
//
// Side: red.
package drivegen

import (
	"bytes"
	"math"
	"math/rand/v2"
	"time"
)

// Options describe a drive.
type Options struct {
	Seed  uint64
	Rate  int       // epochs a second, 1 to 10
	Start time.Time // UTC, cut to whole seconds
}

// Generate returns the sentences of one drive, RMC and GGA for each epoch and
// GSA once a second. It lasts about 150 s.
func Generate(o Options) []byte {
	rng := rand.New(rand.NewPCG(o.Seed, 0x726f61647365616c))
	road := newRoad(rng)
	trip := road.drive(rng)
	var out bytes.Buffer
	rec := receiver{rng: rng, period: 1 / float64(o.Rate)}
	start := o.Start.UTC().Truncate(time.Second)
	epochs := int(trip.length() * float64(o.Rate))
	for i := range epochs {
		at := time.Duration(i) * time.Second / time.Duration(o.Rate)
		dist, speed := trip.at(at.Seconds())
		east, north, course := road.at(dist)
		rec.sees(&out, truth{
			utc: start.Add(at), east: east, north: north, course: course, speed: speed,
			altitude: road.altitude(dist), covered: road.tunnel(dist), second: i%o.Rate == 0,
		})
	}
	return out.Bytes()
}

// truth is where the vehicle really is.
type truth struct {
	utc         time.Time
	east, north float64 // m from the origin
	course      float64 // degrees true
	speed       float64 // m/s
	altitude    float64 // m above the geoid
	covered     bool    // no sky
	second      bool    // first epoch of a second
}

// The origin lies on the proving ground at Aldenhoven, Germany, where anybody
// may rent a lane.
const (
	originLat   = 50.8866
	originLon   = 6.3160
	earthRadius = 6371008.8 // m, mean radius of the WGS 84 ellipsoid
)

// place turns metres from the origin into degrees.
func place(east, north float64) (lat, lon float64) {
	lat = originLat + north/earthRadius*180/math.Pi
	lon = originLon + east/(earthRadius*math.Cos(originLat*math.Pi/180))*180/math.Pi
	return lat, lon
}
