package trip_test

import (
	"bytes"
	"context"
	"math"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"roadseal/agent/track"
	"roadseal/cmd/internal/trip"
	"roadseal/crypto/recipient"
	"roadseal/crypto/record"
	"roadseal/crypto/seal"
	"roadseal/hal/gnss"
	"roadseal/hal/red"
)

// A holder has a key, and a folder with objects sealed to it.
type holder struct {
	t    *testing.T
	dir  string
	keys trip.Keys
	to   recipient.Key
}

func newHolder(t *testing.T) *holder {
	t.Helper()
	file, public, err := trip.NewKey(time.Now())
	require.NoError(t, err)
	keys, err := trip.ReadKeys([]string{"-"}, strings.NewReader(file), nil)
	require.NoError(t, err)
	require.Equal(t, []recipient.Key{public}, keys.Recipients())
	return &holder{t: t, dir: t.TempDir(), keys: keys, to: public}
}

func clip() record.Record {
	return record.Record{MediaType: "video/mp4", Stream: "video", Source: "camera front", Clock: "none"}
}

func batch() record.Record {
	return record.Record{MediaType: track.MediaType, Stream: "track", Source: "gnss", Clock: "gnss"}
}

// add seals content and returns the path of the object.
func (h *holder) add(rec record.Record, content []byte) string {
	h.t.Helper()
	var b bytes.Buffer
	s, err := seal.Object(&b, bytes.NewReader(content), rec, []recipient.Key{h.to}, 2)
	require.NoError(h.t, err)
	path := filepath.Join(h.dir, s.Name.String())
	require.NoError(h.t, os.WriteFile(path, b.Bytes(), 0o600))
	return path
}

// faults collects what a scan says is wrong.
type faults map[string]string

func (f faults) add(path string, err error) { f[filepath.Base(path)] = err.Error() }

// each scans the holder's folder.
func (h *holder) each(visit func(*trip.Entry) error) (trip.Counts, faults, error) {
	h.t.Helper()
	found := faults{}
	files, missing := trip.Find([]string{h.dir}, found.add)
	require.Zero(h.t, missing)
	c, err := trip.Scan{Keys: h.keys, Hash: true, Fault: found.add}.Each(context.Background(), files, visit)
	return c, found, err
}

// trips reads all batches of the holder's folder.
func (h *holder) trips() ([]trip.Trip, *trip.Tracks) {
	h.t.Helper()
	tracks := new(trip.Tracks)
	_, bad, err := h.each(tracks.Add)
	require.NoError(h.t, err)
	require.Empty(h.t, bad)
	return tracks.Trips(), tracks
}

// fix is one with everything said.
func fix(second float64, marks gnss.Marks) gnss.Fix {
	return gnss.Fix{
		Mono: time.Duration(second * float64(time.Second)), UTC: at(second), Clock: gnss.ClockGNSS,
		Lat: red.Degrees(37 + second/1e5), Lon: red.Degrees(-122 - second/1e5),
		Altitude: 33.5, Speed: 7.25, Course: 90, HDOP: 0.75, Accuracy: 3.5, Satellites: 9, Quality: 1, Marks: marks,
	}
}

func at(second float64) time.Time {
	return time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC).Add(time.Duration(second * float64(time.Second)))
}

// bare is a fix of which only the place is known.
func bare(second float64) gnss.Fix {
	nan := math.NaN()
	return gnss.Fix{
		Mono: time.Duration(second * float64(time.Second)), Lat: 1, Lon: 2, Marks: gnss.MarkNoDate,
		Altitude: nan, Speed: nan, Course: nan, HDOP: nan, Accuracy: nan, Satellites: -1,
	}
}

func content(boot, sequence uint32, fixes ...gnss.Fix) []byte {
	b := track.AppendHeader(nil, boot, sequence)
	for _, f := range fixes {
		b = track.AppendFix(b, f)
	}
	return b
}
