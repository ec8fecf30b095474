package trip

import (
	"encoding/json"
	"io"
	"math"

	"github.com/paulmach/orb"
	"github.com/paulmach/orb/geojson"
)

// WriteGeoJSON writes a feature collection (RFC 7946): one line for each trip,
// a point for one with a single fix. The properties "times" and "speeds_mps"
// hold a value, or null, for each position. Marked fixes are left out unless
// all is set.
func WriteGeoJSON(w io.Writer, trips []Trip, all bool) error {
	features := geojson.NewFeatureCollection()
	for i, t := range trips {
		if line := t.line(all); len(line) > 0 {
			features.Append(feature(i, t, line))
		}
	}
	return json.NewEncoder(w).Encode(features)
}

func feature(i int, t Trip, line []Fix) *geojson.Feature {
	shape := make(orb.LineString, len(line))
	times, speeds := make([]any, len(line)), make([]any, len(line))
	for j, f := range line {
		shape[j] = orb.Point{f.Lon.Reveal(), f.Lat.Reveal()}
		if !f.UTC.IsZero() {
			times[j] = f.UTC.UTC().Format(gpxTime)
		}
		if !math.IsNaN(f.Speed) && !math.IsInf(f.Speed, 0) {
			speeds[j] = f.Speed
		}
	}
	var geometry orb.Geometry = shape
	if len(line) == 1 {
		geometry = shape[0]
	}
	out := geojson.NewFeature(geometry)
	out.Properties["name"] = t.title(i)
	out.Properties["trip"] = i + 1
	out.Properties["boot"] = t.Boot
	out.Properties["fixes"] = len(t.Fixes)
	out.Properties["left_out"] = len(t.Fixes) - len(line)
	out.Properties["times"] = times
	out.Properties["speeds_mps"] = speeds
	return out
}
