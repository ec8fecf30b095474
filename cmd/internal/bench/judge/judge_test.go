package judge

import (
	"bytes"
	"crypto/sha256"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"roadseal/agent/track"
	"roadseal/agent/wire"
	"roadseal/cmd/internal/bench/capture"
	"roadseal/cmd/internal/bench/drivegen"
	"roadseal/cmd/internal/bench/player"
	"roadseal/cmd/internal/bench/report"
	"roadseal/cmd/internal/trip"
	"roadseal/crypto/envelope"
	"roadseal/crypto/record"
	"roadseal/crypto/seal"
	"roadseal/hal/gnss"
	"roadseal/hal/red"
	"roadseal/testdata/segments"
)

// A stage is a run that was never made: the store is filled by hand, as the
// collector would have left it.
type stage struct {
	Evidence
	t        *testing.T
	dir      string
	begin    time.Time
	sequence uint32
}

func newStage(t *testing.T) *stage {
	t.Helper()
	s := &stage{t: t, dir: t.TempDir(), begin: time.Date(2026, 5, 1, 12, 0, 0, 0, time.UTC)}
	rec, err := player.Cut(drivegen.Generate(drivegen.Options{Seed: 1, Rate: 1, Start: s.begin}))
	require.NoError(t, err)
	samples, err := player.Samples(segments.Files)
	require.NoError(t, err)
	text, _, err := trip.NewKey(s.begin)
	require.NoError(t, err)
	key := filepath.Join(s.dir, "key.txt")
	require.NoError(t, os.WriteFile(key, []byte(text), 0o600))
	keys, err := trip.ReadKeys([]string{key}, nil, nil)
	require.NoError(t, err)
	s.Evidence = Evidence{
		Report: report.Report{Title: "stage", Made: s.begin}, Recording: rec, Loops: 1, Speed: 10, Started: s.begin, StopLimit: 5 * time.Second,
		Plan: player.Plan(samples, 1, rec.Length, s.begin), Store: s.folder("store"), Opened: s.folder("opened"), Keys: keys, KeyFile: key,
		Mark: "ROADSEAL-CANARY-7", Number: "BENCH-NUMBER-7", Device: "AAAAAAAAAAAAAAAAAAAAAA",
		Ledger: capture.NewLedger(), Topics: map[string]bool{},
	}
	for _, name := range []string{"store", "state", "status", "broker", "logs"} {
		s.Places = append(s.Places, Place{name, s.folder(name)})
	}
	s.Topics[wire.UpTopic(s.Device)] = true
	s.fillStore()
	return s
}

func (s *stage) folder(name string) string {
	dir := filepath.Join(s.dir, name)
	require.NoError(s.t, os.MkdirAll(dir, 0o700))
	return dir
}

// leave puts a file where nothing secret may be.
func (s *stage) leave(place, content string) {
	require.NoError(s.t, os.WriteFile(filepath.Join(s.folder(place), "x"), []byte(content), 0o600))
}

func (s *stage) fillStore() {
	for i, seg := range s.Plan {
		b, err := segments.Files.ReadFile(seg.File)
		require.NoError(s.t, err)
		b = append(b, byte(i))
		s.Clips = append(s.Clips, player.Clip{SHA256: sha256.Sum256(b), Size: int64(len(b)), Closed: s.begin})
		s.sealSegment(i, b)
	}
	for n := range 3 {
		s.sealTrack(s.Recording.Valid[n*len(s.Recording.Valid)/3 : (n+1)*len(s.Recording.Valid)/3])
	}
}

func (s *stage) sealSegment(i int, content []byte) envelope.Name {
	seg := s.Plan[i]
	return s.seal(3, content, record.Record{MediaType: "video/mp4", Stream: "video", Kind: seg.Kind, Source: "camera dash", Channel: seg.Channel, File: red.Text(seg.Name)})
}

func (s *stage) sealTrack(fixes []player.Position) envelope.Name {
	content := track.AppendHeader(nil, 1, s.sequence+1)
	for _, p := range fixes {
		lat, lon, err := p.Degrees()
		require.NoError(s.t, err)
		content = track.AppendFix(content, gnss.Fix{Mono: p.At, Lat: red.Degrees(lat), Lon: red.Degrees(lon), Speed: p.Knots / 2, Satellites: 9})
	}
	return s.seal(2, content, record.Record{MediaType: track.MediaType, Stream: "track", Source: "gnss"})
}

// seal puts an object into the store and enters its receipt.
func (s *stage) seal(class int, content []byte, rec record.Record) envelope.Name {
	return s.sealTo(s.Keys, class, content, rec)
}

func (s *stage) sealTo(keys trip.Keys, class int, content []byte, rec record.Record) envelope.Name {
	s.sequence++
	rec.Clock, rec.Boot, rec.Sequence, rec.Vehicle = "gnss", 1, s.sequence, red.Text(s.Number)
	var sealed bytes.Buffer
	out, err := seal.Object(&sealed, bytes.NewReader(content), rec, keys.Recipients(), envelope.DefaultSlots)
	require.NoError(s.t, err)
	dir := filepath.Join(s.Store, "pool", string(rune('0'+class)))
	require.NoError(s.t, os.MkdirAll(dir, 0o700))
	require.NoError(s.t, os.WriteFile(filepath.Join(dir, out.Name.String()), sealed.Bytes(), 0o600))
	b, err := wire.Receipt{Object: out.Name, Size: out.Size, Class: uint8(class), Time: s.begin}.MarshalBinary()
	require.NoError(s.t, err)
	s.Ledger.Add(capture.Message{Time: s.begin.Add(time.Duration(s.sequence) * time.Second), Payload: b})
	return out.Name
}

func (s *stage) judged() report.Report {
	s.t.Helper()
	r, scenes, err := Judge(s.t.Context(), s.Evidence)
	require.NoError(s.t, err)
	require.NoError(s.t, report.Write(s.dir, r, scenes))
	return r
}

func TestAllHolds(t *testing.T) {
	s := newStage(t)
	r := s.judged()
	require.Empty(t, r.Failed())
	require.True(t, r.Passed)
	require.Equal(t, 4, r.Drive.Opened)
	require.Equal(t, len(s.Recording.Valid), r.Drive.Found)
	require.Len(t, r.Objects, 7)
	require.InDelta(t, 4, r.Times.P95, 0, "the fourth segment has its receipt after four seconds")
	require.FileExists(t, filepath.Join(s.Opened, "track.gpx"))
}

// only wants exactly these checks to fail, by a word of their names.
func only(t *testing.T, r report.Report, words ...string) {
	t.Helper()
	require.False(t, r.Passed)
	var failed []string
	for _, c := range r.Failed() {
		failed = append(failed, c.Name+": "+c.Detail)
	}
	require.Len(t, failed, len(words), "%q", failed)
	for i, w := range words {
		require.Contains(t, failed[i], w)
	}
}

// TestEachCheckBites breaks one thing at a time.
func TestEachCheckBites(t *testing.T) {
	object := func(s *stage, n envelope.Name) string {
		m, err := filepath.Glob(filepath.Join(s.Store, "pool", "*", n.String()))
		require.NoError(t, err)
		return m[0]
	}
	for what, c := range map[string]struct {
		spoil func(s *stage)
		fails []string
	}{
		"a segment is missing": {func(s *stage) {
			s.Plan = append(s.Plan, player.Segment{Sample: player.Sample{Kind: player.Normal}, Name: "x"})
			s.Clips = append(s.Clips, player.Clip{SHA256: [32]byte{1}})
		}, []string{"byte for byte"}},
		"a segment has other bytes": {func(s *stage) { s.Clips[1].SHA256[0]++ }, []string{"byte for byte", "1 that nobody recorded"}},
		"a segment is sealed twice": {func(s *stage) {
			b, err := segments.Files.ReadFile(s.Plan[0].File)
			require.NoError(t, err)
			s.sealSegment(0, append(b, 0))
		}, []string{"stored twice: 1 segments"}},
		"an object is there under two classes": {func(s *stage) {
			m, err := filepath.Glob(filepath.Join(s.Store, "pool", "3", "*"))
			require.NoError(t, err)
			b, err := os.ReadFile(m[0])
			require.NoError(t, err)
			require.NoError(t, os.MkdirAll(filepath.Join(s.Store, "pool", "1"), 0o700))
			require.NoError(t, os.WriteFile(filepath.Join(s.Store, "pool", "1", filepath.Base(m[0])), b, 0o600))
		}, []string{"stored twice: 0 segments twice, 1 objects"}},
		"an object of nobody": {func(s *stage) {
			s.seal(3, []byte("x"), record.Record{MediaType: "video/mp4", Stream: "video", Kind: "normal", Source: "camera dash", File: "other.mp4"})
		}, []string{"1 that nobody recorded"}},
		"a fix is missing":   {func(s *stage) { s.Recording.Valid = append(s.Recording.Valid, s.Recording.Valid[0]) }, []string{"every fix"}},
		"a fix is elsewhere": {func(s *stage) { s.Recording.Valid[7].Lat = "5053.19999" }, []string{"every fix"}},
		"fixes out of order": {func(s *stage) { v := s.Recording.Valid; v[3], v[90] = v[90], v[3] }, []string{"every fix"}},
		"a fix too many":     {func(s *stage) { s.sealTrack(s.Recording.Valid[:1]) }, []string{"every fix"}},
		"an object is damaged": {func(s *stage) {
			path := object(s, s.sealSegment(0, []byte("x")))
			b, err := os.ReadFile(path)
			require.NoError(t, err)
			b[len(b)-1]++
			require.NoError(t, os.WriteFile(path, b, 0o600))
		}, []string{"every object is sealed"}},
		"an object is named after others": {func(s *stage) {
			m, err := filepath.Glob(filepath.Join(s.Store, "pool", "3", "*"))
			require.NoError(t, err)
			require.NoError(t, os.Rename(m[0], filepath.Join(filepath.Dir(m[0]), strings.Repeat("0", 64))))
		}, []string{"every object is sealed", "receipt on the wire"}},
		"plaintext in the store": {func(s *stage) {
			b, err := segments.Files.ReadFile("normal-front.mp4")
			require.NoError(t, err)
			require.NoError(t, os.WriteFile(filepath.Join(s.Store, "pool", "3", strings.Repeat("a", 64)), b, 0o600))
		}, []string{"every object is sealed", "readable outside"}},
		"a position in a log": {func(s *stage) {
			s.leave("logs", "at "+s.Recording.Valid[5].Lat)
		}, []string{"readable outside"}},
		"the mark in the spool": {func(s *stage) {
			s.leave("state", s.Mark)
		}, []string{"readable outside"}},
		"the vehicle number in the status": {func(s *stage) {
			s.leave("status", s.Number)
		}, []string{"readable outside"}},
		"a file name on the broker": {func(s *stage) {
			s.leave("broker", s.Plan[0].Name)
		}, []string{"readable outside"}},
		"a message of another kind":  {func(s *stage) { s.Ledger.Add(capture.Message{Payload: []byte("hello")}) }, []string{"the broker saw"}},
		"a topic of another":         {func(s *stage) { s.Topics["v1/up/00/WDB4711"] = true }, []string{"the broker saw"}},
		"a cut that costs too much":  {func(s *stage) { s.Cuts, s.Report.Traffic.WireUp = 2, 20<<20 }, []string{"a cut makes the vehicle send"}},
		"an agent that is too large": {func(s *stage) { s.Report.Traffic.PeakMemory = 33 << 20 }, []string{"the agent stays within 32 MiB"}},
		"a kill too few":             {func(s *stage) { s.Kill = map[string]int{"agent": 1} }, []string{"the agent was killed"}},
		"a kill that costs too much": {func(s *stage) {
			s.Kill = map[string]int{"agent": 2}
			for range 2 {
				s.Ledger.Kill("agent")
				for i := range 17 {
					for range 2 {
						b, err := wire.Data{Object: envelope.Name{9}, Size: 100 * wire.BlockSize, Index: uint32(i), Blocks: make([]byte, wire.BlockSize)}.MarshalBinary()
						require.NoError(t, err)
						s.Ledger.Add(capture.Message{Payload: b})
					}
				}
			}
		}, []string{"one window of 16 blocks: 51 blocks"}},
		"a limit that was violated": {func(s *stage) { s.Profile, s.Violations = "aws", 1 }, []string{"no limit of the broker was violated"}},
		"nothing moved any more":    {func(s *stage) { s.GaveUp = "nothing moved" }, []string{"everything arrived"}},
		"no end after SIGTERM":      {func(s *stage) { s.StopFault = errors.New("agent did not end") }, []string{"SIGTERM"}},
	} {
		t.Run(what, func(t *testing.T) {
			s := newStage(t)
			c.spoil(s)
			only(t, s.judged(), c.fails...)
		})
	}
}

// TestHolderCounts is what a run waits by.
func TestHolderCounts(t *testing.T) {
	s := newStage(t)
	h := NewHolder(s.Store, s.Keys)
	require.NoError(t, h.Look(t.Context()))
	require.NoError(t, h.Look(t.Context()), "nothing is counted twice")
	require.Len(t, h.Segments, 4)
	require.Equal(t, len(s.Recording.Valid), h.Fixes)

	require.NoError(t, os.WriteFile(filepath.Join(s.Store, "pool", "3", strings.Repeat("0", 64)), []byte("no object"), 0o600))
	require.ErrorContains(t, h.Look(t.Context()), "cannot open an object of the store")
}

func TestHolderOfAnEmptyStore(t *testing.T) {
	h := NewHolder(t.TempDir(), nil)
	require.NoError(t, h.Look(t.Context()))
	require.Empty(t, h.Segments)
}
