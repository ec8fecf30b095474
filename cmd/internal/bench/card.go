package bench

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"time"

	"roadseal/cmd/internal/bench/hostile"
	"roadseal/cmd/internal/bench/judge"
	"roadseal/cmd/internal/bench/player"
	"roadseal/cmd/internal/bench/recorder"
)

// load writes the plan of the camera's card for a drive.
func (s *session) load(length time.Duration, start time.Time) error {
	if s.o.Recorder == "" {
		s.plan = player.Plan(s.o.Clips, s.o.Loops, length, start)
		return nil
	}
	m, err := recorder.Named(s.o.Recorder)
	if err != nil {
		return err
	}
	script, err := m.Script(recorder.Drive{Samples: s.o.Samples, Recording: s.rec, Loops: s.o.Loops, Start: start, Mark: s.rig.enrolled.mark})
	s.plan, s.old, s.folders = script.Drive, script.Old, script.Folders
	return err
}

// prepare fills the card with what is there before the agent starts.
func (s *session) prepare(ctx context.Context) (err error) {
	for _, dir := range s.folders {
		if err := os.MkdirAll(filepath.Join(s.f.recorder(), dir), 0o755); err != nil {
			return fmt.Errorf("cannot make the recorder's folders: %w", err)
		}
	}
	if s.oldClips, err = s.camera().Play(ctx, s.old, player.Clock{Start: time.Now(), Speed: 1}); err != nil || !s.o.Hostile {
		return err
	}
	if s.field, err = hostile.Plant(s.f.recorder(), s.f.outside(), s.rig.enrolled.mark); err != nil {
		return err
	}
	without := ""
	if len(s.field.Skipped) > 0 {
		without = " (only root can make: " + strings.Join(s.field.Skipped, ", ") + ")"
	}
	s.o.Tell.Step("%d hostile entries lie in the recorder's folder%s.", s.field.Entries, without)
	return nil
}

// closeField asks what was opened of the hostile entries, once the agent has
// ended.
func (s *session) closeField() (err error) {
	if s.field != nil {
		s.opened, err = s.field.Close()
	}
	return err
}

// camera is the one of the run.
func (s *session) camera() player.Camera {
	return player.Camera{Folder: s.f.recorder(), Samples: s.o.Samples, Mark: []byte(s.rig.enrolled.mark), Delivered: s.there.wait}
}

// all are the files that the recorder writes from the day before on.
func (s *session) all() []player.Segment { return append(s.old[:len(s.old):len(s.old)], s.plan...) }

// fixes is how many have to arrive.
func (s *session) fixes() int { return s.o.Loops * len(s.rec.Valid) }

// segments is how many have to arrive.
func (s *session) segments() int { return len(player.Wanted(s.all())) }

// missing counts the segments that the key holder does not have, or of which the
// collector does not know yet that they were locked.
func (s *session) missing() (n int) {
	for _, seg := range player.Wanted(s.all()) {
		name, there := s.holder.Segments[seg.Name]
		if !there || seg.Lock != nil && s.holder.Classes[name] != judge.ClassMarked {
			n++
		}
	}
	return n
}
