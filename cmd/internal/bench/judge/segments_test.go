package judge

import (
	"crypto/sha256"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"roadseal/cmd/internal/bench/player"
	"roadseal/crypto/envelope"
	"roadseal/crypto/record"
	"roadseal/hal/red"
)

// ride is a stage whose camera is one of a make: of its four clips the first
// is an event, the second was locked after its delivery and has a sidecar, the
// third was locked before, the fourth ends too early. Beside them lies a file
// that is to be left alone.
func ride(t *testing.T) *stage {
	t.Helper()
	s := newStage(t)
	s.Report.Drive.Recorder = "tesla"
	require.NoError(t, os.RemoveAll(filepath.Join(s.Store, "pool", "1")))
	require.NoError(t, os.RemoveAll(filepath.Join(s.Store, "pool", "3")))
	start := s.begin
	s.Plan = []player.Segment{
		{Sample: player.Sample{Kind: player.Event, Channel: "front"}, Name: "E/1.mp4", Start: start},
		{Sample: player.Sample{Kind: player.Normal, Channel: "rear"}, Name: "N/2.mp4", Start: start, Lock: &player.Lock{How: player.Copy, To: "E/2.mp4"}},
		{Sample: player.Sample{Kind: player.Manual, Channel: "front"}, Name: "E/3.mp4", Opened: "N/3.mp4", Start: start},
		{Sample: player.Sample{Kind: player.Normal, Channel: "front"}, Name: "N/4.mp4", Start: start, Cut: true},
		{Sample: player.Sample{Kind: player.Event}, Name: "E/event.json", Start: start, Media: "text/json", Of: 1},
		{Name: "N/photo.jpg"},
	}
	s.Clips = nil
	for i := range s.Plan {
		s.Plan[i].Index = i
		content := []byte{'c', byte(i)}
		s.Clips = append(s.Clips, player.Clip{SHA256: sha256.Sum256(content), Size: 2, Closed: start})
		if s.Plan[i].Kind != "" {
			s.deliver(i, classFor(s.Plan[i].Kind), nil)
		}
	}
	s.promote(1)
	return s
}

// deliver seals segment i; change is made to its record.
func (s *stage) deliver(i, class int, change func(*record.Record)) envelope.Name {
	seg := s.Plan[i]
	rec := record.Record{MediaType: "video/mp4", Stream: "video", Kind: seg.Kind, Source: "camera dash", Channel: seg.Channel, File: red.Text(seg.Name), Start: seg.Start}
	if seg.Media != "" {
		rec.MediaType = seg.Media
	}
	if seg.Cut {
		rec.Flags = []string{"incomplete"}
	}
	if change != nil {
		change(&rec)
	}
	return s.seal(class, []byte{'c', byte(i)}, rec)
}

// find returns the paths of segment i in the store.
func (s *stage) find(i int) (paths []string) {
	l, err := openAll(s.t.Context(), s.Store, s.t.TempDir(), s.Keys, s.KeyFile)
	require.NoError(s.t, err)
	for _, it := range l.items {
		if it.sum == s.Clips[i].SHA256 {
			paths = append(append(paths, it.path), it.copies...)
		}
	}
	return paths
}

// promote adds an object under the class of events, as the collector does.
func (s *stage) promote(i int) {
	from := s.find(i)[0]
	require.NoError(s.t, os.Link(from, filepath.Join(s.Store, "pool", "1", filepath.Base(from))))
}

// again delivers segment i anew, changed, in the place of what was delivered.
func (s *stage) again(i, class int, change func(*record.Record)) {
	for _, path := range s.find(i) {
		require.NoError(s.t, os.Remove(path))
	}
	s.deliver(i, class, change)
}

func TestARecorderWhoseClipsAllHold(t *testing.T) {
	r := ride(t).judged()
	require.Empty(t, r.Failed())
	d := r.Drive
	require.Equal(t, []int{5, 5, 1, 1, 1, 1}, []int{d.Segments, d.Opened, d.Sidecars, d.LockedEarly, d.LockedLate, d.Left})
	require.EqualValues(t, 10, d.Bytes)
}

// TestEachCheckOfARecorderBites breaks one thing at a time.
func TestEachCheckOfARecorderBites(t *testing.T) {
	const meant, kept, sidecar, cut = "the recorder meant", "kept as its kind is", "sidecar is kept with its clip", "power cut ended"
	for what, c := range map[string]struct {
		spoil func(s *stage)
		fails []string
	}{
		"a clip is of another kind":       {func(s *stage) { s.again(3, 3, func(r *record.Record) { r.Kind = player.Lapse }) }, []string{meant}},
		"a clip is of another channel":    {func(s *stage) { s.again(0, 1, func(r *record.Record) { r.Channel = "rear" }) }, []string{meant}},
		"a clip is of another time":       {func(s *stage) { s.again(0, 1, func(r *record.Record) { r.Start = r.Start.Add(time.Second) }) }, []string{meant}},
		"a sidecar is of another type":    {func(s *stage) { s.again(4, 1, func(r *record.Record) { r.MediaType = "text/csv" }) }, []string{meant}},
		"an event is kept like the rest":  {func(s *stage) { s.again(0, 3, nil) }, []string{kept}},
		"the rest is kept like an event":  {func(s *stage) { s.again(3, 1, nil) }, []string{kept}},
		"a clip locked early is not kept": {func(s *stage) { s.again(2, 3, nil) }, []string{kept}},
		"a clip locked late is not kept":  {func(s *stage) { s.again(1, 3, nil) }, []string{kept, sidecar}},
		"a sidecar is not kept":           {func(s *stage) { s.again(4, 3, nil) }, []string{kept, sidecar}},
		"a clip locked late is sealed twice": {func(s *stage) {
			s.again(1, 3, nil)
			s.deliver(1, 1, func(r *record.Record) { r.Kind, r.File = player.Event, "E/2.mp4" })
		}, []string{"stored twice: 1 segments", meant}},
		"a clip is under two classes and was never locked": {func(s *stage) {
			s.promote(3)
		}, []string{"stored twice: 0 segments twice, 1 objects", kept}},
		"what is to be left alone is delivered": {func(s *stage) {
			s.Plan[5].Kind = player.Normal
			s.deliver(5, 3, nil)
			s.Plan[5].Kind = ""
		}, []string{"1 that nobody recorded"}},
		"a clip is delivered under another name": {func(s *stage) { s.again(0, 1, func(r *record.Record) { r.File = "E/9.mp4" }) }, []string{"byte for byte"}},
		"a cut clip does not say so":             {func(s *stage) { s.again(3, 3, func(r *record.Record) { r.Flags = nil }) }, []string{cut}},
		"the second copy is damaged": {func(s *stage) {
			path := s.find(1)[1]
			b, err := os.ReadFile(path)
			require.NoError(s.t, err)
			b[len(b)-1]++
			require.NoError(s.t, os.Remove(path))
			require.NoError(s.t, os.WriteFile(path, b, 0o600))
		}, []string{"every object is sealed"}},
		"a folder's name in a log": {func(s *stage) {
			s.Plan[1].Name = "2026-05-01_12-00-00/front.mp4"
			s.leave("logs", "2026-05-01_12-00-00")
		},
			[]string{"byte for byte", "readable outside"}},
	} {
		t.Run(what, func(t *testing.T) {
			s := ride(t)
			c.spoil(s)
			only(t, s.judged(), c.fails...)
		})
	}
}

// TestHostileCheckBites: what was opened is a fault, and what was whole and is
// gone is none.
func TestHostileCheckBites(t *testing.T) {
	gone := sha256.Sum256([]byte("gone"))
	hostile := func() *stage {
		s := newStage(t)
		s.Hostile = &Hostile{Entries: 20, Once: func(sum [32]byte) bool { return sum == gone }}
		s.seal(1, []byte("gone"), record.Record{MediaType: "video/mp4", Stream: "event", Kind: "event", Source: "camera dash", File: "gone.mp4"})
		return s
	}
	require.Empty(t, hostile().judged().Failed())

	s := hostile()
	s.Hostile.Opened = []string{"FIFO was opened"}
	only(t, s.judged(), "of the hostile entries nothing was opened: 20 entries, 1 of those that go away while they are read were read whole, 1 not in order, as FIFO was opened")
	s = hostile()
	s.Hostile.Entries = 19
	only(t, s.judged(), "of the hostile entries")
	s = hostile()
	s.seal(1, []byte("torn"), record.Record{MediaType: "video/mp4", Stream: "event", Kind: "event", Source: "camera dash", File: "gone.mp4"})
	only(t, s.judged(), "1 that nobody recorded")
}

// TestHolderFollowsPromotion: the class of an object is the one it was seen
// under last, and a track counts once.
func TestHolderFollowsPromotion(t *testing.T) {
	s := ride(t)
	require.NoError(t, os.Remove(s.find(1)[0]))
	h := NewHolder(s.Store, s.Keys)
	require.NoError(t, h.Look(t.Context()))
	require.Equal(t, 3, h.Classes[h.Segments["N/2.mp4"]])
	fixes := h.Fixes
	s.promote(1)
	tracks, err := filepath.Glob(filepath.Join(s.Store, "pool", "2", "*"))
	require.NoError(t, err)
	require.NoError(t, os.Link(tracks[0], filepath.Join(s.Store, "pool", "1", filepath.Base(tracks[0]))))
	require.NoError(t, h.Look(t.Context()))
	require.Equal(t, 1, h.Classes[h.Segments["N/2.mp4"]])
	require.Equal(t, fixes, h.Fixes)
}
