package trip_test

import (
	"encoding/xml"
	"io"
	"math/rand/v2"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"roadseal/cmd/internal/trip"
	"roadseal/hal/gnss"
	"roadseal/hal/red"
)

// The sequences of gpx.xsd 1.1 and of TrackPointExtension v2: the children that
// each element may have, in their order.
var gpxOrder = map[string][]string{
	"gpx":                 {"metadata", "wpt", "rte", "trk", "extensions"},
	"trk":                 {"name", "cmt", "desc", "src", "link", "number", "type", "extensions", "trkseg"},
	"trkseg":              {"trkpt", "extensions"},
	"trkpt":               {"ele", "time", "magvar", "geoidheight", "name", "cmt", "desc", "src", "link", "sym", "type", "fix", "sat", "hdop", "vdop", "pdop", "ageofdgpsdata", "dgpsid", "extensions"},
	"extensions":          {"TrackPointExtension"},
	"TrackPointExtension": {"atemp", "wtemp", "depth", "hr", "cad", "speed", "course", "bearing"},
}

// Simple types of what we write.
var gpxTypes = map[string]*regexp.Regexp{
	"ele": decimal, "hdop": decimal, "speed": decimal, "course": decimal,
	"sat": number, "number": number, "name": regexp.MustCompile(`.`),
	"time": regexp.MustCompile(`^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z$`),
	"fix":  regexp.MustCompile(`^(none|2d|3d|dgps|pps)$`),
}

var (
	decimal = regexp.MustCompile(`^-?\d+(\.\d+)?$`)
	number  = regexp.MustCompile(`^\d+$`)
)

var repeated = []string{"trk", "trkseg", "trkpt"}

// checkGPX walks a document and holds it against the schema.
func checkGPX(t *testing.T, doc string) {
	t.Helper()
	type open struct {
		name string
		last int // place of the last child in the order
		text string
	}
	var stack []open
	dec := xml.NewDecoder(strings.NewReader(doc))
	for {
		token, err := dec.Token()
		if err == io.EOF {
			require.Empty(t, stack)
			return
		}
		require.NoError(t, err)
		switch tok := token.(type) {
		case xml.StartElement:
			name := tok.Name.Local
			space := "http://www.topografix.com/GPX/1/1"
			if slices.Contains(gpxOrder["TrackPointExtension"], name) || name == "TrackPointExtension" {
				space = "http://www.garmin.com/xmlschemas/TrackPointExtension/v2"
			}
			require.Equal(t, space, tok.Name.Space, name)
			if len(stack) > 0 {
				parent := &stack[len(stack)-1]
				place := slices.Index(gpxOrder[parent.name], name)
				require.GreaterOrEqual(t, place, 0, "%s in %s", name, parent.name)
				if !slices.Contains(repeated, name) {
					require.Greater(t, place, parent.last, "%s after its place in %s", name, parent.name)
				}
				require.GreaterOrEqual(t, place, parent.last, "%s after its place in %s", name, parent.name)
				parent.last = place
			} else {
				require.Equal(t, "gpx", name)
			}
			if name == "trkpt" {
				require.Len(t, tok.Attr, 2)
				for _, a := range tok.Attr {
					require.Regexp(t, decimal, a.Value)
				}
			}
			stack = append(stack, open{name: name, last: -1})
		case xml.CharData:
			if len(stack) > 0 {
				stack[len(stack)-1].text += string(tok)
			}
		case xml.EndElement:
			top := stack[len(stack)-1]
			if kind := gpxTypes[top.name]; kind != nil {
				require.Regexp(t, kind, top.text, top.name)
			} else {
				require.Contains(t, gpxOrder, top.name)
				require.Empty(t, strings.TrimSpace(top.text), top.name)
			}
			stack = stack[:len(stack)-1]
		}
	}
}

func gpx(t *testing.T, trips []trip.Trip, all bool) string {
	t.Helper()
	var out strings.Builder
	require.NoError(t, trip.WriteGPX(&out, trips, all))
	checkGPX(t, out.String())
	return out.String()
}

func TestGPXHoldsToItsSchema(t *testing.T) {
	nan := bare(0).Altitude
	r := rand.New(rand.NewPCG(1, 2))
	either := func(v float64) float64 {
		if r.IntN(3) == 0 {
			return nan
		}
		return v
	}
	var fixes []gnss.Fix
	for i := range 500 {
		f := fix(float64(i*r.IntN(20)), 0)
		f.Lat, f.Lon = red.Degrees(r.Float64()*180-90), red.Degrees(r.Float64()*360-180)
		f.Altitude, f.Speed, f.Course, f.HDOP = either(-r.Float64()*1e-7), either(r.Float64()*1e-9), either(r.Float64()*360), either(1e22)
		f.Satellites, f.Quality = r.IntN(40)-1, byte(r.IntN(9))
		if r.IntN(5) == 0 {
			f.UTC = bare(0).UTC
		}
		fixes = append(fixes, f)
	}
	h := newHolder(t)
	rec := batch()
	rec.Vehicle = "<&\">\x00\x1b[2J"
	h.add(rec, content(1, 1, fixes...))
	h.add(rec, content(2, 1, bare(1)))
	trips, _ := h.trips()
	doc := gpx(t, trips, false)
	require.Equal(t, 501, strings.Count(doc, "<trkpt "))
	gpx(t, nil, false)
}

func TestGPXContent(t *testing.T) {
	h := newHolder(t)
	edge := fix(30, 0)
	edge.Lat, edge.Lon, edge.Quality = 0.00000005, 180, 2
	rec := batch()
	rec.Vehicle = "M-RS 1"
	h.add(rec, content(1, 1, fix(1, 0), fix(2, gnss.MarkJump), fix(11, 0), fix(21.5, 0), edge))
	h.add(rec, content(2, 1, fix(1, gnss.MarkJump)))
	trips, _ := h.trips()

	type point struct {
		Lat   string  `xml:"lat,attr"`
		Lon   string  `xml:"lon,attr"`
		Time  string  `xml:"time"`
		Fix   string  `xml:"fix"`
		Sat   int     `xml:"sat"`
		Speed float64 `xml:"extensions>TrackPointExtension>speed"`
	}
	var doc struct {
		Tracks []struct {
			Name     string `xml:"name"`
			Segments []struct {
				Points []point `xml:"trkpt"`
			} `xml:"trkseg"`
		} `xml:"trk"`
	}
	require.NoError(t, xml.Unmarshal([]byte(gpx(t, trips, false)), &doc))
	require.Len(t, doc.Tracks, 1, "a trip without a believed fix is no track")
	track := doc.Tracks[0]
	require.Equal(t, "Trip 1, M-RS 1, 2026-03-01 12:00", track.Name)
	require.Len(t, track.Segments, 2, "more than 10 s without a position end a segment")
	require.Equal(t, []point{
		{"37.00001", "-122.00001", "2026-03-01T12:00:01.000Z", "3d", 9, 7.25},
		{"37.00011", "-122.00011", "2026-03-01T12:00:11.000Z", "3d", 9, 7.25},
	}, track.Segments[0].Points)
	require.Equal(t, point{"0.00000005", "-180", "2026-03-01T12:00:30.000Z", "dgps", 9, 7.25}, track.Segments[1].Points[1])

	require.Equal(t, 6, strings.Count(gpx(t, trips, true), "<trkpt "))
}
