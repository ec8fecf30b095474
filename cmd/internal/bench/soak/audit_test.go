package soak

import (
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"roadseal/agent/health"
	"roadseal/agent/track"
	"roadseal/cmd/internal/trip"
	"roadseal/crypto/envelope"
	"roadseal/crypto/record"
	"roadseal/crypto/seal"
	"roadseal/hal/gnss"
	"roadseal/hal/red"
)

// A stage is a soak of one vehicle that was never made: two clips, two
// documents of the track, a clip that was evicted and a health document that
// tells of it.
type stage struct {
	evidence
	t        *testing.T
	begin    time.Time
	sequence uint32
	first    envelope.Name // object of the first clip
	second   envelope.Name
	tracks   [2]envelope.Name
	evicted  envelope.Name
}

const number = "BENCH-STAGE"

func newStage(t *testing.T) *stage {
	t.Helper()
	s := &stage{t: t, begin: time.Date(2026, 5, 1, 12, 0, 0, 0, time.UTC)}
	text, _, err := trip.NewKey(s.begin)
	require.NoError(t, err)
	key := filepath.Join(t.TempDir(), "key.txt")
	require.NoError(t, os.WriteFile(key, []byte(text), 0o600))
	keys, err := trip.ReadKeys([]string{key}, nil, nil)
	require.NoError(t, err)
	s.evidence = evidence{store: t.TempDir(), keys: keys, receipts: map[envelope.Name]bool{}, fleet: []testimony{{name: "vehicle00", number: number, lives: lives{}, losses: losses{}}}}
	s.first, s.second = s.clip("one"), s.clip("two")
	for n := range 20 {
		s.vehicle().said = append(s.vehicle().said, s.begin.Add(time.Duration(n)*time.Second))
	}
	s.tracks[0], s.tracks[1] = s.track(0, 10), s.track(10, 20)
	s.evicted = s.clip("three")
	s.leaves(s.evicted)
	delete(s.receipts, s.evicted)
	s.vehicle().lives[s.evicted].Stored = false
	s.tell(health.Loss{Reason: "evicted", Object: s.evicted.String()})
	return s
}

func (s *stage) vehicle() *testimony { return &s.fleet[0] }

// clip records a clip and lets it arrive.
func (s *stage) clip(content string) envelope.Name {
	file := content + ".mp4"
	sum := sha256.Sum256([]byte(content))
	name := s.seal(3, "video", content, record.Record{MediaType: "video/mp4", Kind: "normal", Source: "camera dash", File: red.Text(file)})
	tag := hex.EncodeToString(sum[:16])
	s.vehicle().clips = append(s.vehicle().clips, clip{file, sum, tag})
	s.vehicle().lives[name].Tag = tag
	return name
}

func (s *stage) track(from, to int) envelope.Name {
	content := track.AppendHeader(nil, 1, s.sequence+1)
	for n := from; n < to; n++ {
		content = track.AppendFix(content, gnss.Fix{Lat: red.Degrees(latitude(n)), Lon: red.Degrees(longitude(0)), Satellites: 9})
	}
	return s.seal(2, trackStream, string(content), record.Record{MediaType: track.MediaType, Source: "gnss"})
}

// tell lets a health document arrive.
func (s *stage) tell(l health.Loss) envelope.Name {
	d := health.Document{Version: 1, Boot: 1, Losses: []health.Loss{l}, Status: &health.Status{}}
	b, err := d.Marshal()
	require.NoError(s.t, err)
	return s.seal(2, healthStream, string(b), record.Record{MediaType: "text/json", Source: "health"})
}

// seal puts an object into spool and store and enters its receipt.
func (s *stage) seal(class int, stream, content string, rec record.Record) envelope.Name {
	s.sequence++
	rec.Stream, rec.Clock, rec.Boot, rec.Sequence, rec.Vehicle = stream, "none", 1, s.sequence, number
	var sealed bytes.Buffer
	out, err := seal.Object(&sealed, bytes.NewReader([]byte(content)), rec, s.keys.Recipients(), envelope.DefaultSlots)
	require.NoError(s.t, err)
	require.NoError(s.t, os.MkdirAll(filepath.Join(s.store, "pool", fmt.Sprint(class)), 0o700))
	require.NoError(s.t, os.WriteFile(s.path(class, out.Name), sealed.Bytes(), 0o600))
	s.receipts[out.Name] = true
	s.vehicle().lives[out.Name] = &life{Name: out.Name, Class: class, Stream: stream, Present: map[string]bool{}, Stored: true}
	return out.Name
}

func (s *stage) path(class int, name envelope.Name) string {
	return filepath.Join(s.store, "pool", fmt.Sprint(class), name.String())
}

// leaves takes an object out of the store.
func (s *stage) leaves(name envelope.Name) {
	paths, err := filepath.Glob(filepath.Join(s.store, "pool", "*", name.String()))
	require.NoError(s.t, err)
	require.Len(s.t, paths, 1)
	require.NoError(s.t, os.Remove(paths[0]))
}

// undelivered is an object that is still in the spool, and never left it.
func (s *stage) undelivered(name envelope.Name) *life {
	s.leaves(name)
	delete(s.receipts, name)
	l := s.vehicle().lives[name]
	l.Stored, l.Present = false, map[string]bool{queued: true}
	return l
}

// found are the findings of the audit, without details.
func (s *stage) found() (what []string, c Counts) {
	s.t.Helper()
	a, err := s.run(s.t.Context())
	require.NoError(s.t, err)
	for _, f := range a.findings {
		what = append(what, f.What)
	}
	return what, a.counts
}

func TestAllIsThere(t *testing.T) {
	found, c := newStage(t).found()
	require.Empty(t, found)
	require.Equal(t, 3, c.Clips)
	require.Equal(t, 1, c.LostClips)
	require.Equal(t, 20, c.Fixes)
	require.Equal(t, 5, c.Objects)
	require.Equal(t, 6, c.Witnessed)
	require.Equal(t, 5, c.Receipts)
	require.Equal(t, map[string]int{"evicted": 1}, c.Lost)
}

// TestTheAuditFindsWhatIsWrong plants one fault at a time.
func TestTheAuditFindsWhatIsWrong(t *testing.T) {
	const lostClip = "a clip was sealed and is lost"
	const lostObject = "an object is lost"
	for name, c := range map[string]struct {
		plant func(*stage)
		want  []string
	}{
		"an object that the store has lost": {func(s *stage) { s.leaves(s.first) }, []string{lostClip, lostObject}},
		"a lost document of the track":      {func(s *stage) { s.leaves(s.tracks[1]) }, []string{lostObject, "fixes are lost"}},
		"a clip that was never sealed": {func(s *stage) {
			s.vehicle().clips = append(s.vehicle().clips, clip{file: "four.mp4", tag: "4"})
		}, []string{"a clip was never sealed"}},
		"a clip under another name": {func(s *stage) { s.vehicle().clips[0].file = "two.mp4" }, []string{"a clip arrived under another name"}},
		"a duplicate by name": {func(s *stage) {
			b, err := os.ReadFile(s.path(3, s.first))
			require.NoError(s.t, err)
			require.NoError(s.t, os.MkdirAll(filepath.Join(s.store, "pool", "1"), 0o700))
			require.NoError(s.t, os.WriteFile(s.path(1, s.first), b, 0o600))
		}, []string{"an object is in the store twice by name"}},
		"a clip that was sealed twice": {func(s *stage) { s.clip("one") }, []string{"the same content is in the store twice"}},
		"fixes that were sealed twice": {func(s *stage) { s.track(19, 20) }, []string{"a fix arrived twice"}},
		"a damaged object": {func(s *stage) {
			b, err := os.ReadFile(s.path(3, s.first))
			require.NoError(s.t, err)
			b[len(b)-1] ^= 1
			require.NoError(s.t, os.WriteFile(s.path(3, s.first), b, 0o600))
		}, []string{"an object in the store is damaged", lostClip, lostObject}},
		"an object under a wrong name": {func(s *stage) {
			b, err := os.ReadFile(s.path(3, s.first))
			require.NoError(s.t, err)
			require.NoError(s.t, os.WriteFile(s.path(3, envelope.Name{1}), b, 0o600))
		}, []string{"an object in the store is damaged"}},
		"plaintext in the store": {func(s *stage) {
			require.NoError(s.t, os.WriteFile(s.path(3, envelope.Name{1}), []byte("ftypisom"), 0o600))
		}, []string{"an object in the store is damaged"}},
		"a deletion without a receipt": {func(s *stage) { s.undelivered(s.first).Present = map[string]bool{} },
			[]string{lostClip, "an object was deleted without a receipt and is in no loss record", lostObject}},
		"a deletion without a receipt of what had arrived": {func(s *stage) { s.vehicle().lives[s.first].Stored = false },
			[]string{"an object was deleted without a receipt and is in no loss record"}},
		"a delivery without a receipt": {func(s *stage) { delete(s.receipts, s.first) }, []string{"an object was marked as delivered without a receipt"}},
		"a loss that is told nowhere": {func(s *stage) {
			s.vehicle().lives[s.evicted].Tag = s.vehicle().clips[2].tag
			s.leaves(s.tell(health.Loss{}))
			for name, l := range s.vehicle().lives {
				if l.Stream == healthStream && s.receipts[name] {
					delete(s.vehicle().lives, name)
					require.NoError(s.t, os.RemoveAll(s.path(2, name)))
				}
			}
		}, []string{lostClip, "an object was deleted without a receipt and is in no loss record", lostObject}},
		"a damaged object that is told nowhere": {func(s *stage) { s.undelivered(s.first).Damaged = true },
			[]string{lostClip, "an object was put aside as damaged and is in no loss record", "an object was not delivered in the end"}},
		"an object that was left":  {func(s *stage) { s.undelivered(s.tracks[1]) }, []string{"an object was not delivered in the end", "fixes are lost"}},
		"an object of nobody":      {func(s *stage) { delete(s.vehicle().lives, s.tracks[0]) }, []string{"an object in the store was in no spool"}},
		"a fix of nobody":          {func(s *stage) { s.track(30, 31) }, []string{"a fix arrived that nobody said"}},
		"a witness that was blind": {func(s *stage) { s.blind = os.ErrClosed }, []string{"the witness did not see everything"}},
	} {
		t.Run(name, func(t *testing.T) {
			s := newStage(t)
			c.plant(s)
			found, _ := s.found()
			require.ElementsMatch(t, c.want, found)
		})
	}
}

// TestWhatMayBeLost: fixes within max_age of a kill, what is in the loss record,
// and the last word of an agent.
func TestWhatMayBeLost(t *testing.T) {
	for name, plant := range map[string]func(*stage){
		"fixes before a kill": func(s *stage) {
			delete(s.vehicle().lives, s.tracks[1])
			s.leaves(s.tracks[1])
			s.vehicle().gaps = []span{{s.vehicle().said[10], s.vehicle().said[19]}}
		},
		"a document of the track in the loss record": func(s *stage) {
			s.undelivered(s.tracks[1]).Present = map[string]bool{}
			s.vehicle().losses[s.tracks[1]] = "evicted"
		},
		"a damaged object in the loss record": func(s *stage) {
			l := s.undelivered(s.first)
			l.Damaged, l.Present = true, map[string]bool{damaged: true}
			s.vehicle().losses[s.first] = "damaged"
		},
		"the last word": func(s *stage) { s.undelivered(s.tell(health.Loss{})) },
		"mosquitto":     func(s *stage) { s.receipts = nil },
	} {
		t.Run(name, func(t *testing.T) {
			s := newStage(t)
			plant(s)
			found, _ := s.found()
			require.Empty(t, found)
		})
	}
}
