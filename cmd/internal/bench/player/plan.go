package player

import (
	"errors"
	"fmt"
	"io/fs"
	"path"
	"strings"
	"time"
)

// A Sample is a clip that was recorded before.
type Sample struct {
	File    string // in the file system of the samples
	Kind    string // Normal, Event, …
	Channel string // Front, Rear, …
}

// Kinds and channels of clips, as the agent's configuration names them.
const (
	Normal  = "normal"
	Event   = "event"
	Parking = "parking"
	Manual  = "manual"
	Lapse   = "lapse"
	Front   = "front"
	Rear    = "rear"
)

// A Segment is one file that the camera will write, and what the agent has to
// make of it. One of no Kind has to be left alone.
type Segment struct {
	Sample
	Name       string        // below the recorder's folder, once it is finished
	Index      int           // 0, 1, 2 … in the order of the plan
	Begin, End time.Duration // of the drive: when the camera opens the file and when it closes it
	Start      time.Time     // that the name tells; zero if it tells none

	From     string // it is a file that was there under this name, and is moved when this one would be closed; "" = a new file
	Opened   string // name until shortly before it is closed; "" = Name
	LockFile bool   // NAME.lock stands beside it while it is open
	Cut      bool   // it ends too early, as by a power cut
	Media    string // type of a sidecar; "" for a film
	Content  []byte // instead of a sample
	Of       int    // Index of the film that a sidecar belongs to
	Lock     *Lock  // what happens to it once it was delivered; nil: nothing
}

// Wanted are the segments that the agent has to deliver.
func Wanted(plan []Segment) (all []Segment) {
	for _, s := range plan {
		if s.Kind != "" {
			all = append(all, s)
		}
	}
	return all
}

// Samples takes all *.mp4 and *.ts files at the top of fsys in the order of
// their names: front and rear in turn, and of every three pairs the second is an
// event clip.
func Samples(fsys fs.FS) ([]Sample, error) {
	entries, err := fs.ReadDir(fsys, ".")
	if err != nil {
		return nil, fmt.Errorf("cannot read the folder of clips: %w", err)
	}
	var out []Sample
	for _, e := range entries {
		ext := strings.ToLower(path.Ext(e.Name()))
		if !e.Type().IsRegular() || ext != ".mp4" && ext != ".ts" {
			continue
		}
		s := Sample{File: e.Name(), Kind: Normal, Channel: Front}
		if len(out)%2 == 1 {
			s.Channel = Rear
		}
		if len(out)/2%3 == 1 {
			s.Kind = Event
		}
		out = append(out, s)
	}
	if len(out) == 0 {
		return nil, errors.New("no *.mp4 or *.ts file in the folder of clips")
	}
	return out, nil
}

// Films takes all files of fsys, also in folders, by their ending.
func Films(fsys fs.FS) (map[string][]string, error) {
	all := map[string][]string{}
	err := fs.WalkDir(fsys, ".", func(file string, e fs.DirEntry, err error) error {
		if err == nil && e.Type().IsRegular() {
			ext := strings.ToLower(path.Ext(file))
			all[ext] = append(all[ext], file)
		}
		return err
	})
	if err != nil {
		return nil, fmt.Errorf("cannot read the folder of clips: %w", err)
	}
	return all, nil
}

// Plan spreads the samples over a drive of the given length, the whole set loops
// times. Clips of both channels that follow each other share a stretch of the
// drive; the stretches have equal length and leave no pause. start is the
// camera's clock at the start of the drive.
func Plan(samples []Sample, loops int, length time.Duration, start time.Time) []Segment {
	var out []Segment
	stretches := 0
	for range loops {
		for i, s := range samples {
			if i == 0 || s.Channel == Front || s.Channel == samples[i-1].Channel {
				stretches++
			}
			out = append(out, Segment{Sample: s, Index: len(out), Begin: time.Duration(stretches - 1)})
		}
	}
	// A name tells whole seconds, so a stretch of the camera's clock has at
	// least one, also where the drive is played in less.
	step := length / time.Duration(stretches)
	clock := max(step.Truncate(time.Second), time.Second)
	for i := range out {
		s := &out[i]
		n := s.Begin
		s.Begin, s.End = n*step, (n+1)*step
		s.Start = start.Add(n * clock).Truncate(time.Second)
		s.Name = fileName(s.Sample, s.Start)
	}
	return out
}

func fileName(s Sample, t time.Time) string {
	kind, channel := "N", "F"
	if s.Kind == Event {
		kind = "E"
	}
	if s.Channel == Rear {
		channel = "R"
	}
	return t.Format("20060102_150405") + "_" + kind + channel + strings.ToLower(path.Ext(s.File))
}
