package intake

import (
	"context"
	"errors"
	"path"
	"strings"
	"time"

	"roadseal/agent/policy"
	"roadseal/agent/spool"
	"roadseal/crypto/envelope"
	"roadseal/crypto/record"
	"roadseal/hal/camera"
	"roadseal/hal/camera/container"
	"roadseal/hal/watchdog"
)

// segments seals what one camera's folder hands out.
func (i *Intake) segments(ctx context.Context, c Camera) error {
	if err := i.meet(ctx, c); err != nil {
		return err
	}
	i.mu.Lock()
	i.tally(c.Name).met = true
	i.mu.Unlock()
	pause := minPause
	for {
		var s camera.Segment
		err := watchdog.Await(ctx, func(turn context.Context) (err error) {
			s, err = c.Folder.Next(turn)
			return err
		})
		if err != nil {
			return err
		}
		err = i.turn(ctx, c, s)
		switch {
		case ctx.Err() != nil:
			return ctx.Err()
		case err == nil:
			i.blocked("")
			pause = minPause
			i.dropTags()
			continue
		case errors.As(err, new(*sourceError)):
			continue
		}
		i.blocked(reason(err))
		if err := watchdog.Sleep(ctx, pause); err != nil {
			return err
		}
		pause = min(2*pause, maxPause)
	}
}

// lookAgain is how often Events looks for a clip that was just finished.
const lookAgain = 50 * time.Millisecond

// Events seals event clips, and nothing else, until ctx ends: power is failing
// and nothing else is worth the last seconds. It is called after the context of
// Segments has ended, while the folders still run. What it cannot seal is met
// again at the next start.
func (i *Intake) Events(ctx context.Context) {
	for ctx.Err() == nil {
		for _, c := range i.opt.Cameras {
			i.eventsOf(ctx, c)
		}
		_ = watchdog.Sleep(ctx, lookAgain) // ends with ctx, as does the loop
	}
}

func (i *Intake) eventsOf(ctx context.Context, c Camera) {
	i.mu.Lock()
	met := i.tally(c.Name).met
	i.mu.Unlock()
	if c.Leave != nil && !met { // some of what it has may have to stay
		return
	}
	for c.Folder.State().Pending > 0 {
		s, err := c.Folder.Next(ctx)
		if err != nil {
			return
		}
		if s.Kind != "event" {
			c.Folder.Release(s) // events come first, so there is none left
			return
		}
		if i.turn(ctx, c, s) != nil {
			return
		}
	}
}

// turn waits until no other segment is being sealed, seals this one and keeps
// count.
func (i *Intake) turn(ctx context.Context, c Camera, s camera.Segment) error {
	err := watchdog.Await(ctx, func(turn context.Context) error {
		select {
		case i.sealing <- struct{}{}:
			return nil
		case <-turn.Done():
			return turn.Err()
		}
	})
	if err != nil {
		c.Folder.Release(s)
		return err
	}
	defer func() { <-i.sealing }()
	what, err := i.segment(ctx, c, s)
	switch {
	case err == nil:
	case errors.Is(err, camera.ErrRefused):
		c.Folder.Tagged(s, spool.Tag{}) // or no tag could be dropped while it is there
	case ctx.Err() != nil:
		c.Folder.Release(s)
	case errors.Is(err, spool.ErrKeepFree):
		c.Folder.Wait(s)
	default:
		c.Folder.Retry(s)
	}
	if ctx.Err() != nil || errors.Is(err, camera.ErrChanged) {
		return err // still being written: no failure
	}
	if errors.Is(err, spool.ErrKeepFree) {
		return err
	}
	if err != nil {
		what = failed
	}
	i.count(c, what, err)
	return err
}

// An outcome is what became of a segment in one turn.
type outcome int

const (
	failed       outcome = iota
	sealedNow            // it is durable in the spool
	promoted             // it was sealed before its recorder locked it
	knownAlready         // it was sealed before, perhaps under another name
	untaken              // no stream takes its kind: it stays in the vehicle
)

// segment seals one segment, unless it was sealed before or no stream takes
// its kind.
func (i *Intake) segment(ctx context.Context, c Camera, s camera.Segment) (outcome, error) {
	if i.inVain(c, s) {
		return failed, &sourceError{spool.ErrKeepFree}
	}
	f, err := c.Folder.Open(s)
	if err != nil {
		return failed, &sourceError{err}
	}
	// Closing what was only read has nothing to report.
	defer func() { _ = f.Close() }()
	tag, err := f.Tag(i.opt.TagKey)
	if err != nil {
		return failed, &sourceError{err}
	}
	what := knownAlready
	if !Known(i.opt.Spool.HasTag, tag, s.Kind) {
		what, err = i.fresh(ctx, c, s, f, tag)
	}
	full := errors.Is(err, spool.ErrKeepFree)
	i.waits(c, s, tag, full)
	if full || err == nil { // of one that waits the tag tells how long it is there
		c.Folder.Tagged(s, tag)
	}
	if err != nil {
		return failed, err
	}
	if c.Remove && Known(i.opt.Spool.Safe, tag, s.Kind) { // what is known may also have been left, or lost
		if err := c.Folder.Remove(s); err != nil {
			return failed, &sourceError{err}
		}
	}
	return what, nil
}

// fresh seals a segment that was not sealed before, or not since it was locked.
func (i *Intake) fresh(ctx context.Context, c Camera, s camera.Segment, f *camera.File, tag spool.Tag) (outcome, error) {
	st, ok := i.opt.Streams.For(policy.Camera(s.Kind))
	if !ok {
		return untaken, nil
	}
	rank := policy.Rank(s.Kind)
	if done, err := i.promote(tag, rank, st); done || err != nil {
		return promoted, err
	}
	rec := i.record(c, s, st)
	describe(&rec, s, f)
	grid := envelope.GridBinary
	if strings.HasPrefix(rec.MediaType, "text/") {
		grid = envelope.GridText
	}
	if _, err := i.seal(ctx, f, envelope.SealedSize(i.opt.Slots, grid(f.Size())), rec, st, ranked(tag, rank)); err != nil {
		return failed, err
	}
	return sealedNow, nil
}

// record says what a segment is, for its readers, as far as its name tells.
func (i *Intake) record(c Camera, s camera.Segment, st policy.Stream) record.Record {
	rec := record.Record{Stream: st.Name, Kind: s.Kind, Source: "camera " + c.Name,
		Channel: s.Channel, Vehicle: i.opt.Vehicle, File: s.File, Start: s.Start, Clock: "none",
		Boot: i.opt.Boot, Sequence: i.opt.Sequence()}
	if !s.Start.IsZero() {
		rec.Clock = "name"
	}
	return rec
}

// incomplete is the flag of a film that was cut short, by a power cut for
// instance. It is sealed all the same: it may be the one that counts.
const incomplete = "incomplete"

// describe adds what the content tells. Bytes that are no film, whatever the
// name says, are sealed as they are.
func describe(rec *record.Record, s camera.Segment, f *camera.File) {
	if rec.MediaType = s.Sidecar; s.Sidecar != "" {
		return
	}
	film := container.Look(f, f.Size())
	if rec.MediaType = film.MediaType; film.MediaType == "" {
		rec.MediaType = mediaType(s.File.Reveal())
	}
	if film.Duration > 0 && !s.Start.IsZero() {
		rec.End = s.Start.Add(film.Duration)
	}
	if film.Incomplete {
		rec.Flags = append(rec.Flags, incomplete)
	}
}

// mediaType is of a film without a container, by the ending of its name; the
// opener's reader needs a hint, not a verdict.
func mediaType(name string) string {
	switch strings.ToLower(path.Ext(name)) {
	case ".hevc":
		return "video/h265"
	case ".h264":
		return "video/h264"
	}
	return "application/octet-stream"
}

// dropTags forgets the source tags of clips that the recorders have dropped.
// Only a complete scan of every folder can say so.
func (i *Intake) dropTags() {
	var present []spool.Tag
	for _, c := range i.opt.Cameras {
		tags, complete := c.Folder.Tags()
		if !complete {
			return
		}
		present = append(present, tags...)
	}
	if err := i.opt.Spool.KeepTags(allRanks(present)); err != nil {
		i.opt.Log.Warn("cannot rewrite the source tags, will try again", "reason", reason(err))
	}
}
