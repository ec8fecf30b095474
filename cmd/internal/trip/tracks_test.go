package trip_test

import (
	"encoding/csv"
	"encoding/json"
	"fmt"
	"math"
	"strings"
	"testing"
	"time"

	"github.com/paulmach/orb"
	"github.com/paulmach/orb/geojson"
	"github.com/stretchr/testify/require"

	"roadseal/cmd/internal/trip"
	"roadseal/hal/gnss"
	"roadseal/hal/red"
)

// shape tells trips apart: boot, then the seconds of the fixes.
func shape(trips []trip.Trip) []string {
	var out []string
	for _, t := range trips {
		s := fmt.Sprint(t.Vehicle.Reveal(), t.Boot)
		for _, f := range t.Fixes {
			s += fmt.Sprint(" ", f.Mono.Seconds())
		}
		out = append(out, s)
	}
	return out
}

func TestTripsInTheOrderOfTheVehicle(t *testing.T) {
	h := newHolder(t)
	a := batch()
	b := batch()
	b.Vehicle = "B"
	// Sequence decides, not the clock: the vehicle's time went back.
	back := fix(20, gnss.MarkTimeBack)
	back.UTC = at(-1e6)
	h.add(a, content(2, 1, fix(1, 0)))
	h.add(a, content(1, 10, back, fix(21, 0)))
	h.add(a, content(1, 9, fix(10, 0), fix(11, 0)))
	h.add(b, content(1, 1, fix(5, 0)))
	trips, _ := h.trips()
	require.Equal(t, []string{"1 10 11 20 21", "2 1", "B1 5"}, shape(trips))
	require.EqualValues(t, 9, trips[0].Fixes[1].Sequence)
	require.EqualValues(t, 10, trips[0].Fixes[2].Sequence)
}

func TestASilenceEndsATrip(t *testing.T) {
	h := newHolder(t)
	h.add(batch(), content(1, 1, fix(0, 0), fix(300, 0)))
	h.add(batch(), content(1, 2, fix(600, 0), fix(900.001, 0), fix(901, 0)))
	trips, _ := h.trips()
	require.Equal(t, []string{"1 0 300 600", "1 900.001 901"}, shape(trips))
}

func TestABatchSealedTwiceCountsOnce(t *testing.T) {
	h := newHolder(t)
	twin := content(1, 1, fix(1, 0))
	h.add(batch(), twin)
	h.add(batch(), twin)
	other := batch()
	other.Vehicle = "B"
	h.add(other, twin)
	trips, tracks := h.trips()
	require.Equal(t, []string{"1 1", "B1 1"}, shape(trips))
	require.Equal(t, 1, tracks.Twice)
}

// Two unlike batches with one number are a fault of the recorder; both are kept.
func TestUnlikeBatchesOfOneNumberAreKept(t *testing.T) {
	h := newHolder(t)
	h.add(batch(), content(1, 1, fix(1, 0)))
	h.add(batch(), content(1, 1, fix(2, 0)))
	trips, tracks := h.trips()
	require.Zero(t, tracks.Twice)
	fixes, _ := trip.Count(trips, true)
	require.Equal(t, 2, fixes)
}

func TestWhatIsNoBatchIsAFault(t *testing.T) {
	h := newHolder(t)
	good := content(1, 1, fix(1, 0))
	for _, bad := range []string{"", "37.7,-122.4\n", string(good[:len(good)-1]), string(good) + "x\n"} {
		h.add(batch(), []byte(bad))
	}
	h.add(batch(), good)
	var tracks trip.Tracks
	c, bad, err := h.each(tracks.Add)
	require.NoError(t, err)
	require.Equal(t, trip.Counts{Opened: 1, Faults: 4}, c)
	require.Len(t, bad, 4)
	for _, text := range bad {
		require.Contains(t, text, "track line ")
		require.NotContains(t, text, "37.")
	}
	require.Len(t, tracks.Trips(), 1)
}

func TestIsTrack(t *testing.T) {
	require.True(t, trip.IsTrack(batch()))
	require.False(t, trip.IsTrack(clip()))
	r := batch()
	r.Source = "camera front"
	require.False(t, trip.IsTrack(r))
}

func TestBelieved(t *testing.T) {
	nowhere := fix(1, 0)
	nowhere.Lat = red.Degrees(math.NaN())
	beyond := fix(1, 0)
	beyond.Lon = 180.5
	doubted := []gnss.Fix{
		fix(1, gnss.MarkJump), fix(1, gnss.MarkTimeBack), fix(1, gnss.MarkTimeJump), fix(1, gnss.MarkTimeRepeat),
		fix(1, gnss.MarkBeforeFloor), fix(1, gnss.MarkFuture), fix(1, gnss.MarkBadTime), fix(1, gnss.MarkNullIsland),
		fix(1, gnss.MarkNoDate|gnss.MarkJump),
	}
	for i, f := range append(doubted, nowhere, beyond) {
		require.False(t, trip.Fix{Fix: f}.Believed(), "number %d", i)
	}
	for _, m := range []gnss.Marks{0, gnss.MarkNoDate, gnss.MarkRollover} {
		require.True(t, trip.Fix{Fix: fix(1, m)}.Believed(), m)
	}
	// --all draws what has a place, and nothing else.
	h := newHolder(t)
	h.add(batch(), content(1, 1, append(doubted, nowhere, beyond, fix(2, 0))...))
	trips, _ := h.trips()
	fixes, drawn := trip.Count(trips, false)
	require.Equal(t, []int{12, 1}, []int{fixes, drawn})
	fixes, drawn = trip.Count(trips, true)
	require.Equal(t, []int{12, 10}, []int{fixes, drawn})
}

func TestSpan(t *testing.T) {
	h := newHolder(t)
	h.add(batch(), content(1, 1, fix(1, gnss.MarkBeforeFloor), bare(2), fix(3, 0), fix(4, 0), fix(5, gnss.MarkFuture)))
	trips, _ := h.trips()
	start, end := trips[0].Span()
	require.Equal(t, []time.Time{at(3), at(4)}, []time.Time{start, end})
	start, end = trip.Trip{Fixes: []trip.Fix{{Fix: bare(1)}}}.Span()
	require.True(t, start.IsZero() && end.IsZero())
}

func TestGeoJSON(t *testing.T) {
	h := newHolder(t)
	h.add(batch(), content(1, 1, fix(1, 0), fix(2, gnss.MarkJump), fix(3, 0), bare(4)))
	h.add(batch(), content(2, 1, fix(9, 0)))
	h.add(batch(), content(3, 1, fix(9, gnss.MarkNullIsland)))
	trips, _ := h.trips()
	var out strings.Builder
	require.NoError(t, trip.WriteGeoJSON(&out, trips, false))
	fc, err := geojson.UnmarshalFeatureCollection([]byte(out.String()))
	require.NoError(t, err)
	require.Len(t, fc.Features, 2, "a trip without a believed fix is no feature")
	first := fc.Features[0]
	require.Equal(t, orb.LineString{{-122.00001, 37.00001}, {-122.00003, 37.00003}, {2, 1}}, first.Geometry, "longitude comes first")
	require.Equal(t, []any{"2026-03-01T12:00:01.000Z", "2026-03-01T12:00:03.000Z", nil}, first.Properties["times"])
	require.Equal(t, []any{7.25, 7.25, nil}, first.Properties["speeds_mps"])
	require.EqualValues(t, 4, first.Properties["fixes"])
	require.EqualValues(t, 1, first.Properties["left_out"])
	require.Equal(t, "Trip 1, 2026-03-01 12:00", first.Properties["name"])
	require.Equal(t, orb.Point{-122.00009, 37.00009}, fc.Features[1].Geometry, "a line needs two positions")

	out.Reset()
	require.NoError(t, trip.WriteGeoJSON(&out, trips, true))
	fc, err = geojson.UnmarshalFeatureCollection([]byte(out.String()))
	require.NoError(t, err)
	require.Len(t, fc.Features, 3)
	require.Len(t, fc.Features[0].Geometry, 4)

	out.Reset()
	require.NoError(t, trip.WriteGeoJSON(&out, nil, false))
	require.True(t, json.Valid([]byte(out.String())))
}

func TestCSV(t *testing.T) {
	h := newHolder(t)
	rec := batch()
	rec.Vehicle = `=HYPERLINK("x"),1`
	h.add(rec, content(7, 3, fix(1, gnss.MarkJump|gnss.MarkTimeBack), bare(2)))
	trips, _ := h.trips()
	var out strings.Builder
	require.NoError(t, trip.WriteCSV(&out, trips))
	rows, err := csv.NewReader(strings.NewReader(out.String())).ReadAll()
	require.NoError(t, err)
	require.Equal(t, [][]string{
		{"trip", "vehicle", "boot", "sequence", "mono_s", "utc", "clock", "lat_deg", "lon_deg", "alt_m", "speed_mps", "course_deg", "quality", "satellites", "hdop", "accuracy_m", "marks"},
		{"1", "%3DHYPERLINK(%22x%22),1", "7", "3", "1.000", "2026-03-01T12:00:01.000Z", "gnss", "37.000010000", "-122.000010000", "33.50", "7.250", "90.00", "1", "9", "0.75", "3.5", "jump|time-back"},
		{"1", "%3DHYPERLINK(%22x%22),1", "7", "3", "2.000", "", "none", "1.000000000", "2.000000000", "", "", "", "0", "", "", "", "no-date"},
	}, rows)
}
