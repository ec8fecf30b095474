package report

import (
	"fmt"
	"math"
	"strings"
)

// maxPoints keeps a long drive from making a long page.
const maxPoints = 1500

// gapSeconds without a fix end a line: a tunnel.
const gapSeconds = 2.5

// drawing is a line in a box of a given size, in SVG user units.
type drawing struct {
	Width, Height float64
	Path          string // of the line, with a gap where there was no fix
	Gaps          string // straight over the gaps
	Start, End    [2]float64
	Ticks         []tick
	Bars          []bar
	Scale         float64 // length of Label
	Label         string
}

type tick struct {
	X, Y float64
	Text string
}

type bar struct {
	X, Y, W float64
	Event   bool
}

// thin leaves out points evenly, never the first or the last one.
func thin(points []Point) []Point {
	if len(points) <= maxPoints {
		return points
	}
	out := make([]Point, 0, maxPoints)
	for i := range maxPoints {
		out = append(out, points[i*(len(points)-1)/(maxPoints-1)])
	}
	return out
}

// jumped reports whether no vehicle comes from a to b in the time between: a
// recording that was played again, or a fix that is elsewhere.
func jumped(a, b Point) bool {
	const far, fast = 200.0, 100.0 // m, m/s
	north := (b.Lat - a.Lat) * metre
	east := (b.Lon - a.Lon) * metre * math.Cos(a.Lat*math.Pi/180)
	return math.Hypot(north, east) > far+fast*(b.At-a.At)
}

// metre is how many of them one degree of latitude has.
const metre = 111195.0

// trace makes the two paths through the points.
func (d *drawing) trace(points []Point, gap float64, at func(Point) (x, y float64)) {
	var path, gaps strings.Builder
	for i, p := range points {
		x, y := at(p)
		move := i == 0
		if i > 0 && jumped(points[i-1], p) {
			move = true
		} else if i > 0 && p.At-points[i-1].At > gap {
			move = true
			px, py := at(points[i-1])
			fmt.Fprintf(&gaps, "M%.1f %.1fL%.1f %.1f", px, py, x, y)
		}
		verb := "L"
		if move {
			verb = "M"
		}
		fmt.Fprintf(&path, "%s%.1f %.1f", verb, x, y)
		if i == 0 {
			d.Start = [2]float64{x, y}
		}
		d.End = [2]float64{x, y}
	}
	d.Path, d.Gaps = path.String(), gaps.String()
}

// spacing is the gap that ends a line, for points that were thinned.
func spacing(points []Point) float64 {
	if len(points) < 2 {
		return gapSeconds
	}
	return max(gapSeconds, 3*(points[len(points)-1].At-points[0].At)/float64(len(points)-1))
}

// mapOf draws the track from above, north up.
func mapOf(track []Point) drawing {
	const margin = 26.0
	d := drawing{Width: 520, Height: 380}
	points := thin(track)
	if len(points) == 0 {
		return d
	}
	south, north, west, east := math.Inf(1), math.Inf(-1), math.Inf(1), math.Inf(-1)
	for _, p := range points {
		south, north = min(south, p.Lat), max(north, p.Lat)
		west, east = min(west, p.Lon), max(east, p.Lon)
	}
	squeeze := math.Cos((south + north) / 2 * math.Pi / 180)
	wide, high := max((east-west)*squeeze*metre, 1), max((north-south)*metre, 1)
	if high > 1.6*wide { // a road to the north gets a tall box
		d.Height = 480
	}
	scale := min((d.Width-2*margin)/wide, (d.Height-2*margin-14)/high)
	left, top := (d.Width-wide*scale)/2, (d.Height-14-high*scale)/2
	d.trace(points, spacing(points), func(p Point) (float64, float64) {
		return left + (p.Lon-west)*squeeze*metre*scale, top + (north-p.Lat)*metre*scale
	})
	length := roundLength(wide*0.35, 0.35*d.Width/scale)
	d.Scale, d.Label = length*scale, metres(length)
	return d
}

// roundLength is the largest of 1, 2, 5, 10 … that neither bound exceeds, or
// the smaller bound's magnitude where that is too short to draw.
func roundLength(a, b float64) float64 {
	limit := max(min(a, b), b/4)
	unit := math.Pow(10, math.Floor(math.Log10(limit)))
	for _, k := range []float64{5, 2, 1} {
		if k*unit <= limit {
			return k * unit
		}
	}
	return unit
}

func metres(m float64) string {
	if m >= 1000 {
		return fmt.Sprintf("%g km", m/1000)
	}
	return fmt.Sprintf("%g m", m)
}

// speedOf draws the speed over the drive, and below it when each clip was
// recorded.
func speedOf(track []Point, clips []Clip) drawing {
	const left, right, top, bottom, lane = 44.0, 12.0, 12.0, 178.0, 9.0
	d := drawing{Width: 1060, Height: 232}
	end, fastest := 1.0, 10.0
	var points []Point
	for _, p := range thin(track) {
		if !math.IsNaN(p.Speed) {
			points = append(points, p)
			end, fastest = max(end, p.At), max(fastest, p.Speed*3.6)
		}
	}
	for _, c := range clips {
		end = max(end, c.End)
	}
	x := func(s float64) float64 { return left + s/end*(d.Width-left-right) }
	step := roundLength(fastest/2.5, fastest/2.5)
	ceiling := math.Ceil(fastest/step) * step
	y := func(kmh float64) float64 { return bottom - kmh/ceiling*(bottom-top) }
	d.trace(points, spacing(points), func(p Point) (float64, float64) { return x(p.At), y(p.Speed * 3.6) })
	for v := 0.0; v <= ceiling; v += step {
		d.Ticks = append(d.Ticks, tick{X: left, Y: y(v), Text: fmt.Sprintf("%g", v)})
	}
	for _, c := range clips {
		b := bar{X: x(c.Begin) + 1, Y: bottom + 8, W: max(x(c.End)-x(c.Begin)-2, 1), Event: c.Event}
		if c.Rear {
			b.Y += lane
		}
		d.Bars = append(d.Bars, b)
	}
	d.Label = clock(end)
	return d
}

// clock writes seconds as minutes and seconds.
func clock(s float64) string { return fmt.Sprintf("%d:%02d min", int(s)/60, int(s)%60) }
