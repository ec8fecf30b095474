package bench

import (
	"bytes"
	"context"
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
	"roadseal/cmd/internal/bench/shaper"
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
	*session
	t        *testing.T
	sequence uint32
}

func newStage(t *testing.T) *stage {
	t.Helper()
	o := Options{Seed: 1, Speed: 10, Loops: 1, MaxAge: 5 * time.Second, Now: time.Date(2026, 5, 1, 12, 0, 0, 0, time.UTC), Out: t.TempDir()}
	o.Generated()
	o.Recording = drivegen.Generate(drivegen.Options{Seed: 1, Rate: 1, Start: o.Now})
	o.Clips = o.Clips[:4]
	o.Programs.Collector = fakeCollector(t)
	f, err := prepare(o.Out)
	require.NoError(t, err)
	rec, err := player.Cut(o.Recording)
	require.NoError(t, err)
	r := &rig{o: o, f: f}
	r.enrolled, err = enrol(o, f)
	require.NoError(t, err)
	r.link, err = shaper.New("", 0)
	require.NoError(t, err)
	gone, cancel := context.WithCancel(t.Context())
	cancel()
	require.ErrorIs(t, r.link.Run(gone), context.Canceled)
	s := &stage{session: newSession(o, f, rec, r), t: t}
	s.topics[wire.UpTopic(r.enrolled.certs.DeviceID)] = true
	s.fillStore()
	return s
}

// fakeCollector makes receipt keys and nothing else.
func fakeCollector(t *testing.T) string {
	path := filepath.Join(t.TempDir(), "collector")
	require.NoError(t, os.WriteFile(path, []byte("#!/bin/sh\necho ed25519:AAAA\n"), 0o700))
	return path
}

func (s *stage) fillStore() {
	for i, seg := range s.plan {
		b, err := segments.Files.ReadFile(seg.File)
		require.NoError(s.t, err)
		b = append(b, byte(i))
		s.clips = append(s.clips, player.Clip{SHA256: sha256.Sum256(b), Size: int64(len(b)), Closed: s.o.Now})
		s.sealSegment(i, b)
	}
	for n := range 3 {
		s.sealTrack(s.rec.Valid[n*len(s.rec.Valid)/3 : (n+1)*len(s.rec.Valid)/3])
	}
}

func (s *stage) sealSegment(i int, content []byte) envelope.Name {
	seg := s.plan[i]
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
	s.sequence++
	rec.Clock, rec.Boot, rec.Sequence, rec.Vehicle = "gnss", 1, s.sequence, red.Text(s.rig.enrolled.vehicle)
	var sealed bytes.Buffer
	out, err := seal.Object(&sealed, bytes.NewReader(content), rec, s.rig.enrolled.keys.Recipients(), envelope.DefaultSlots)
	require.NoError(s.t, err)
	dir := filepath.Join(s.f.store(), "pool", string(rune('0'+class)))
	require.NoError(s.t, os.MkdirAll(dir, 0o700))
	require.NoError(s.t, os.WriteFile(filepath.Join(dir, out.Name.String()), sealed.Bytes(), 0o600))
	b, err := wire.Receipt{Object: out.Name, Size: out.Size, Class: uint8(class), Time: s.o.Now}.MarshalBinary()
	require.NoError(s.t, err)
	s.ledger.Add(capture.Message{Time: s.o.Now.Add(time.Duration(s.sequence) * time.Second), Payload: b})
	return out.Name
}

func (s *stage) judged() report.Report {
	s.t.Helper()
	r, l, err := s.judge(s.t.Context())
	require.NoError(s.t, err)
	sc, err := s.scenes(l)
	require.NoError(s.t, err)
	require.NoError(s.t, report.Write(string(s.f), r, sc))
	return r
}

func TestAllHolds(t *testing.T) {
	s := newStage(t)
	r := s.judged()
	require.Empty(t, r.Failed())
	require.True(t, r.Passed)
	require.Equal(t, 4, r.Drive.Opened)
	require.Equal(t, len(s.rec.Valid), r.Drive.Found)
	require.Len(t, r.Objects, 7)
	require.InDelta(t, 4, r.Times.P95, 0, "the fourth segment has its receipt after four seconds")
	require.FileExists(t, filepath.Join(s.f.opened(), "track.gpx"))
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
		m, err := filepath.Glob(filepath.Join(s.f.store(), "pool", "*", n.String()))
		require.NoError(t, err)
		return m[0]
	}
	for what, c := range map[string]struct {
		spoil func(s *stage)
		fails []string
	}{
		"a segment is missing": {func(s *stage) {
			s.plan = append(s.plan, player.Segment{Name: "x"})
			s.clips = append(s.clips, player.Clip{SHA256: [32]byte{1}})
		}, []string{"byte for byte"}},
		"a segment has other bytes": {func(s *stage) { s.clips[1].SHA256[0]++ }, []string{"byte for byte"}},
		"a segment is sealed twice": {func(s *stage) {
			b, err := segments.Files.ReadFile(s.plan[0].File)
			require.NoError(t, err)
			s.sealSegment(0, append(b, 0))
		}, []string{"stored twice: 1 segments"}},
		"an object is there under two classes": {func(s *stage) {
			m, err := filepath.Glob(filepath.Join(s.f.store(), "pool", "3", "*"))
			require.NoError(t, err)
			b, err := os.ReadFile(m[0])
			require.NoError(t, err)
			require.NoError(t, os.MkdirAll(filepath.Join(s.f.store(), "pool", "1"), 0o700))
			require.NoError(t, os.WriteFile(filepath.Join(s.f.store(), "pool", "1", filepath.Base(m[0])), b, 0o600))
		}, []string{"stored twice: 0 segments twice, 1 objects"}},
		"an object of nobody": {func(s *stage) {
			s.seal(3, []byte("x"), record.Record{MediaType: "video/mp4", Stream: "video", Kind: "normal", Source: "camera dash", File: "other.mp4"})
		}, []string{"1 that nobody recorded"}},
		"a fix is missing":   {func(s *stage) { s.rec.Valid = append(s.rec.Valid, s.rec.Valid[0]) }, []string{"every fix"}},
		"a fix is elsewhere": {func(s *stage) { s.rec.Valid[7].Lat = "5053.19999" }, []string{"every fix"}},
		"fixes out of order": {func(s *stage) { v := s.rec.Valid; v[3], v[90] = v[90], v[3] }, []string{"every fix"}},
		"a fix too many":     {func(s *stage) { s.sealTrack(s.rec.Valid[:1]) }, []string{"every fix"}},
		"an object is damaged": {func(s *stage) {
			path := object(s, s.sealSegment(0, []byte("x")))
			b, err := os.ReadFile(path)
			require.NoError(t, err)
			b[len(b)-1]++
			require.NoError(t, os.WriteFile(path, b, 0o600))
		}, []string{"every object is sealed"}},
		"an object is named after others": {func(s *stage) {
			m, err := filepath.Glob(filepath.Join(s.f.store(), "pool", "3", "*"))
			require.NoError(t, err)
			require.NoError(t, os.Rename(m[0], filepath.Join(filepath.Dir(m[0]), strings.Repeat("0", 64))))
		}, []string{"every object is sealed", "receipt on the wire"}},
		"plaintext in the store": {func(s *stage) {
			b, err := segments.Files.ReadFile("normal-front.mp4")
			require.NoError(t, err)
			require.NoError(t, os.WriteFile(filepath.Join(s.f.store(), "pool", "3", strings.Repeat("a", 64)), b, 0o600))
		}, []string{"every object is sealed", "readable outside"}},
		"a position in a log": {func(s *stage) {
			require.NoError(t, os.WriteFile(filepath.Join(s.f.logs(), "agent.log"), []byte("at "+s.rec.Valid[5].Lat), 0o600))
		}, []string{"readable outside"}},
		"the mark in the spool": {func(s *stage) {
			require.NoError(t, os.WriteFile(filepath.Join(s.f.state(), "x.tmp"), []byte(s.rig.enrolled.mark), 0o600))
		}, []string{"readable outside"}},
		"the vehicle number in the status": {func(s *stage) {
			require.NoError(t, os.WriteFile(filepath.Join(s.f.run(), "status.json"), []byte(s.rig.enrolled.vehicle), 0o600))
		}, []string{"readable outside"}},
		"a file name on the broker": {func(s *stage) {
			require.NoError(t, os.WriteFile(capture.Path(s.f.capture(), 0), []byte(s.plan[0].Name), 0o600))
		}, []string{"readable outside"}},
		"a message of another kind": {func(s *stage) { s.ledger.Add(capture.Message{Payload: []byte("hello")}) }, []string{"the broker saw"}},
		"a topic of another":        {func(s *stage) { s.topics["v1/up/00/WDB4711"] = true }, []string{"the broker saw"}},
		"a kill too few":            {func(s *stage) { s.o.Kill = Kills{agentName: 1} }, []string{"the agent was killed"}},
		"a kill that costs too much": {func(s *stage) {
			s.o.Kill = Kills{agentName: 2}
			for range 2 {
				s.ledger.Kill(agentName)
				for i := range 17 {
					for range 2 {
						b, err := wire.Data{Object: envelope.Name{9}, Size: 100 * wire.BlockSize, Index: uint32(i), Blocks: make([]byte, wire.BlockSize)}.MarshalBinary()
						require.NoError(t, err)
						s.ledger.Add(capture.Message{Payload: b})
					}
				}
			}
		}, []string{"one window of 16 blocks: 51 blocks"}},
		"nothing moved any more": {func(s *stage) { s.gaveUp = "nothing moved" }, []string{"everything arrived"}},
		"no end after SIGTERM":   {func(s *stage) { s.stopFault = errors.New("agent did not end") }, []string{"SIGTERM"}},
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
	require.NoError(t, s.holder.look(t.Context()))
	require.NoError(t, s.holder.look(t.Context()), "nothing is counted twice")
	require.Len(t, s.holder.segments, 4)
	require.Equal(t, len(s.rec.Valid), s.holder.fixes)

	s.fixesDone, s.lastFix = nil, s.o.Now
	done, err := s.arrived()
	require.NoError(t, err)
	require.True(t, done)
	require.NoError(t, os.Mkdir(filepath.Join(s.f.state(), "spool"), 0o700))
	owed := filepath.Join(s.f.state(), "spool", "3.x.age")
	require.NoError(t, os.WriteFile(owed, nil, 0o600))
	done, err = s.arrived()
	require.NoError(t, err)
	require.False(t, done, "an object has no receipt yet")
	require.NoError(t, os.Rename(owed, strings.TrimSuffix(owed, "age")+"stored"))
	done, err = s.arrived()
	require.NoError(t, err)
	require.True(t, done)
}

func TestHolderOfAnEmptyStore(t *testing.T) {
	h := newHolder(t.TempDir(), nil)
	require.NoError(t, h.look(t.Context()))
	require.Empty(t, h.segments)
}
