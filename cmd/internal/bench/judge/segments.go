package judge

import (
	"fmt"
	"slices"
	"time"

	"roadseal/cmd/internal/bench/player"
	"roadseal/cmd/internal/bench/report"
)

// A match is a segment that the agent had to deliver, and the objects that hold
// its bytes.
type match struct {
	player.Segment
	clip  player.Clip
	items []item
}

// matches finds what was delivered of each segment, by the SHA-256 of its
// content. others is how many objects hold anything else.
func (e Evidence) matches(l loot) (all []match, others int) {
	bySum := map[[32]byte][]item{}
	for _, it := range l.items {
		if it.file != "" && !e.once(it) {
			bySum[it.sum] = append(bySum[it.sum], it)
			others++
		}
	}
	for i, seg := range e.Plan {
		if seg.Kind != "" {
			items := bySum[e.Clips[i].SHA256]
			all = append(all, match{seg, e.Clips[i], items})
			others -= len(items)
		}
	}
	return all, others
}

// once reports whether an object holds a file that was whole when it was read,
// and was taken away or changed meanwhile.
func (e Evidence) once(it item) bool { return e.Hostile != nil && e.Hostile.Once(it.sum) }

// checkHostile is about the folder of the recorder; that nothing of the entries
// was delivered is part of the check of what nobody recorded.
func (e Evidence) checkHostile(v *verdict, l loot) {
	if e.Hostile == nil {
		return
	}
	gone := 0
	for _, it := range l.items {
		if e.once(it) {
			gone++
		}
	}
	v.Drive.Hostile = e.Hostile.Entries
	v.check("of the hostile entries nothing was opened", len(e.Hostile.Opened) == 0 && e.Hostile.Entries >= fewestHostile,
		"%d entries, %d of those that go away while they are read were read whole%s", e.Hostile.Entries, gone, first(e.Hostile.Opened))
}

// fewestHostile entries are a trial.
const fewestHostile = 20

// promoted reports whether an object was delivered once more, for the class of
// events: the store then has it under both, for each is removed in its own time
// (agent/wire/PROTOCOL.md, OFFER).
func promoted(it item) bool {
	if it.Class != ClassMarked || len(it.copies) != 1 {
		return false
	}
	class, err := classOf(it.copies[0])
	return err == nil && class == classRing
}

// checkSegments compares what was opened with what the camera wrote, byte for
// byte by SHA-256.
func (e Evidence) checkSegments(v *verdict, all []match, others int, twiceStored int) {
	d := &v.Drive
	twice := 0
	for _, m := range all {
		d.Bytes += m.clip.Size
		if slices.ContainsFunc(m.items, func(it item) bool { return it.file == m.Name }) {
			d.Opened++
		}
		twice += max(len(m.items)-1, 0)
		if m.Lock != nil && len(m.items) == 1 && promoted(m.items[0]) {
			twiceStored--
		}
	}
	d.Length = (time.Duration(e.Loops) * e.Recording.Length).Seconds()
	d.Segments, d.Fixes = len(all), e.fixes()
	v.check("every segment opens again, byte for byte", d.Opened == d.Segments, "%d of %d segments, %s", d.Opened, d.Segments, report.Bytes(d.Bytes))
	v.check("nothing is stored twice", twice+twiceStored+others == 0, "%d segments twice, %d objects twice, %d that nobody recorded", twice, twiceStored, others)
}

// Retention classes of the streams of a run.
const (
	ClassMarked = 1 // what the recorder or a person marked
	classRing   = 3 // all the rest
)

func classFor(kind string) int {
	if kind == player.Event || kind == player.Manual {
		return ClassMarked
	}
	return classRing
}

// checkRecorder asks whether the agent made of each file what the recorder
// meant by it.
func (e Evidence) checkRecorder(v *verdict, all []match) {
	if e.Report.Drive.Recorder == "" {
		return
	}
	d := &v.Drive
	var unlike, loose, unkept, notCut []string
	for _, m := range all {
		if len(m.items) == 0 {
			continue // said before
		}
		it := m.items[0]
		if why := unlikeSegment(it, m.Segment); why != "" {
			unlike = append(unlike, why)
		}
		locked := m.From != "" || m.Lock != nil || m.Opened != ""
		switch {
		case m.Lock != nil:
			d.LockedLate++
		case m.Opened != "":
			d.LockedEarly++
		case m.From != "":
			d.LockedOld++
		}
		if want := classFor(m.Kind); locked && it.Class != ClassMarked || !locked && it.Class != want {
			unkept = append(unkept, fmt.Sprintf("one of kind %s, locked: %t, in class %d", m.Kind, locked, it.Class))
		}
		if m.Media != "" {
			d.Sidecars++
			if !e.bound(m, it, all) {
				loose = append(loose, m.Media)
			}
		}
		if m.Cut && !slices.Contains(it.record.Flags, "incomplete") {
			notCut = append(notCut, it.record.MediaType)
		}
	}
	d.Left = len(e.Plan) - len(all)
	v.check("every segment is of the kind, channel, time and type that the recorder meant", len(unlike) == 0, "%d segments%s", len(all), first(unlike))
	v.check("every segment is kept as its kind is, and a locked one as an event", len(unkept) == 0,
		"%d locked before they were sealed, %d after they were delivered, %d after they were left in the vehicle%s",
		d.LockedEarly, d.LockedLate, d.LockedOld, first(unkept))
	v.check("every sidecar is kept with its clip", len(loose) == 0, "%d sidecars%s", d.Sidecars, first(loose))
	v.check("a clip that a power cut ended is delivered and says so", len(notCut) == 0, "%d clips", len(notCut))
}

// unlikeSegment says what a record tells otherwise than the recorder meant.
func unlikeSegment(it item, s player.Segment) string {
	r := it.record
	switch {
	case r.Kind != s.Kind:
		return fmt.Sprintf("kind %q instead of %q", r.Kind, s.Kind)
	case r.Channel != s.Channel:
		return fmt.Sprintf("channel %q instead of %q", r.Channel, s.Channel)
	case !r.Start.Equal(s.Start):
		return "another time"
	case s.Media != "" && r.MediaType != s.Media:
		return fmt.Sprintf("type %q instead of %q", r.MediaType, s.Media)
	}
	return ""
}

// bound reports whether a sidecar is kept as long as its film.
func (e Evidence) bound(m match, it item, all []match) bool {
	i := slices.IndexFunc(all, func(f match) bool { return f.Index == m.Of })
	return i >= 0 && len(all[i].items) > 0 && all[i].items[0].Class == it.Class
}
