package trip

import (
	"encoding/xml"
	"fmt"
	"io"
	"math"
	"strconv"
	"time"
)

// maxPause cuts a trip into track segments where reception was lost, as GPX
// 1.1 asks for; programs then draw no line through a tunnel.
const maxPause = 10 * time.Second

const gpxTime = "2006-01-02T15:04:05.000Z"

// The elements of GPX 1.1 (topografix.com/GPX/1/1/gpx.xsd) in the order of
// their sequences. Numbers are texts: xsd:decimal knows no exponent. Speed and
// course are in Garmin's TrackPointExtension v2, for 1.1 has no place of its
// own for them.
type (
	gpxTrack struct {
		XMLName  xml.Name     `xml:"trk"`
		Name     string       `xml:"name"`
		Number   int          `xml:"number"`
		Segments []gpxSegment `xml:"trkseg"`
	}
	gpxSegment struct {
		Points []gpxPoint `xml:"trkpt"`
	}
	gpxPoint struct {
		Lat        string         `xml:"lat,attr"`
		Lon        string         `xml:"lon,attr"`
		Elevation  string         `xml:"ele,omitempty"`
		Time       string         `xml:"time,omitempty"`
		Fix        string         `xml:"fix,omitempty"`
		Satellites string         `xml:"sat,omitempty"`
		HDOP       string         `xml:"hdop,omitempty"`
		Extensions *gpxExtensions `xml:"extensions"`
	}
	gpxExtensions struct {
		Speed  string `xml:"gpxtpx:TrackPointExtension>gpxtpx:speed,omitempty"`
		Course string `xml:"gpxtpx:TrackPointExtension>gpxtpx:course,omitempty"`
	}
)

var gpxRoot = xml.StartElement{Name: xml.Name{Local: "gpx"}, Attr: []xml.Attr{
	{Name: xml.Name{Local: "version"}, Value: "1.1"},
	{Name: xml.Name{Local: "creator"}, Value: "roadseal-open"},
	{Name: xml.Name{Local: "xmlns"}, Value: "http://www.topografix.com/GPX/1/1"},
	{Name: xml.Name{Local: "xmlns:gpxtpx"}, Value: "http://www.garmin.com/xmlschemas/TrackPointExtension/v2"},
}}

// WriteGPX writes one track for each trip, with a segment for each stretch of
// reception. Marked fixes are left out unless all is set.
func WriteGPX(w io.Writer, trips []Trip, all bool) error {
	if _, err := io.WriteString(w, xml.Header); err != nil {
		return err
	}
	enc := xml.NewEncoder(w)
	enc.Indent("", " ")
	if err := enc.EncodeToken(gpxRoot); err != nil {
		return err
	}
	for i, t := range trips {
		line := t.line(all)
		if len(line) == 0 {
			continue
		}
		if err := enc.Encode(gpxTrack{Name: t.title(i), Number: i + 1, Segments: segments(line)}); err != nil {
			return err
		}
	}
	if err := enc.EncodeToken(gpxRoot.End()); err != nil {
		return err
	}
	if err := enc.Close(); err != nil {
		return err
	}
	_, err := io.WriteString(w, "\n")
	return err
}

// title names a trip for people; i counts from 0.
func (t Trip) title(i int) string {
	name := fmt.Sprintf("Trip %d", i+1)
	if t.Vehicle != "" {
		name += ", " + Printable(t.Vehicle.Reveal())
	}
	if start, _ := t.Span(); !start.IsZero() {
		name += ", " + start.UTC().Format("2006-01-02 15:04")
	}
	return name
}

func segments(line []Fix) []gpxSegment {
	var out []gpxSegment
	for i, f := range line {
		if i == 0 || f.Mono-line[i-1].Mono > maxPause {
			out = append(out, gpxSegment{})
		}
		last := &out[len(out)-1]
		last.Points = append(last.Points, point(f))
	}
	return out
}

func point(f Fix) gpxPoint {
	lon := f.Lon.Reveal()
	if lon == 180 {
		lon = -180 // the type is -180 <= longitude < 180
	}
	p := gpxPoint{
		Lat: decimal(f.Lat.Reveal()), Lon: decimal(lon),
		Elevation: decimal(f.Altitude), HDOP: decimal(f.HDOP), Fix: fixKind(f),
	}
	if !f.UTC.IsZero() {
		p.Time = f.UTC.UTC().Format(gpxTime)
	}
	if f.Satellites >= 0 {
		p.Satellites = strconv.Itoa(f.Satellites)
	}
	if ext := (gpxExtensions{decimal(f.Speed), decimal(f.Course)}); ext != (gpxExtensions{}) {
		p.Extensions = &ext
	}
	return p
}

// fixKind is GPX's word for the quality, where it has one.
func fixKind(f Fix) string {
	switch f.Quality {
	case 1:
		if math.IsNaN(f.Altitude) {
			return "2d"
		}
		return "3d"
	case 2:
		return "dgps"
	case 3:
		return "pps"
	}
	return ""
}

func decimal(v float64) string {
	if math.IsNaN(v) || math.IsInf(v, 0) {
		return ""
	}
	return strconv.FormatFloat(v, 'f', -1, 64)
}
