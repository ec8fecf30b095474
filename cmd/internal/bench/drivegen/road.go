package drivegen

import (
	"math"
	"math/rand/v2"
)

// road is a line through the plane, in metres, sampled once a metre.
type road struct {
	x, y, bend   []float64 // bend is curvature, 1/m
	tunnelFrom   int
	tunnelTo     int
	hill, valley float64 // phases of the ground, m
}

// waypoints of the road, in metres east and north of the origin: out of a yard,
// along an oval, through a town of bends and back.
var waypoints = [...][2]float64{
	{-60, -40}, {0, 0}, {90, 25}, {220, 30}, {380, 60}, {520, 150}, {560, 290}, {500, 420}, {360, 480},
	{200, 470}, {80, 520}, {-40, 610}, {-190, 640}, {-320, 570}, {-350, 440}, {-270, 330}, {-300, 220},
	{-220, 120}, {-110, 90}, {-60, 20},
}

// newRoad bends the waypoints a little, so that each seed has its own road.
func newRoad(rng *rand.Rand) road {
	pts := make([][2]float64, len(waypoints))
	for i, p := range waypoints {
		pts[i] = [2]float64{p[0] + rng.NormFloat64()*8, p[1] + rng.NormFloat64()*8}
	}
	var r road
	r.trace(pts)
	r.curve()
	r.tunnelFrom, r.tunnelTo = len(r.x)*45/100, len(r.x)*45/100+150
	r.hill, r.valley = rng.Float64()*500, rng.Float64()*300
	return r
}

// trace lays a Catmull-Rom spline through the points, a sample every metre.
func (r *road) trace(pts [][2]float64) {
	const fine = 4000 // steps between two points
	left := 0.0       // metres since the last sample
	var last [2]float64
	for i := 1; i+2 < len(pts); i++ {
		for k := range fine {
			p := spline(pts[i-1], pts[i], pts[i+1], pts[i+2], float64(k)/fine)
			if len(r.x) > 0 {
				left += math.Hypot(p[0]-last[0], p[1]-last[1])
			}
			if len(r.x) == 0 || left >= 1 {
				r.x, r.y = append(r.x, p[0]), append(r.y, p[1])
				left = max(0, left-1)
			}
			last = p
		}
	}
}

func spline(a, b, c, d [2]float64, t float64) (p [2]float64) {
	for k := range p {
		p[k] = 0.5 * (2*b[k] + (c[k]-a[k])*t + (2*a[k]-5*b[k]+4*c[k]-d[k])*t*t + (3*b[k]-a[k]-3*c[k]+d[k])*t*t*t)
	}
	return p
}

// curve measures how much the road bends around each metre.
func (r *road) curve() {
	const reach = 15 // metres to both sides
	r.bend = make([]float64, len(r.x))
	for i := reach; i+reach < len(r.x); i++ {
		turn := r.course(i+reach) - r.course(i-reach)
		r.bend[i] = math.Abs(math.Remainder(turn, 360)) * math.Pi / 180 / (2 * reach)
	}
}

// course is the direction at a metre, degrees clockwise from north.
func (r road) course(i int) float64 {
	i = min(max(i, 0), len(r.x)-2)
	deg := math.Atan2(r.x[i+1]-r.x[i], r.y[i+1]-r.y[i]) * 180 / math.Pi
	return math.Mod(deg+360, 360)
}

// at is the place after dist metres.
func (r road) at(dist float64) (east, north, course float64) {
	i := min(int(dist), len(r.x)-2)
	f := min(dist-float64(i), 1)
	return r.x[i] + f*(r.x[i+1]-r.x[i]), r.y[i] + f*(r.y[i+1]-r.y[i]), r.course(i)
}

func (r road) tunnel(dist float64) bool {
	return int(dist) >= r.tunnelFrom && int(dist) < r.tunnelTo
}

func (r road) altitude(dist float64) float64 {
	return 121 + 6*math.Sin((dist+r.hill)/260) + 2*math.Sin((dist+r.valley)/90)
}
