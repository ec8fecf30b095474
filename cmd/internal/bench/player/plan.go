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
	Kind    string // Normal or Event
	Channel string // Front or Rear
}

// Kinds and channels of clips, as the agent's configuration names them.
const (
	Normal = "normal"
	Event  = "event"
	Front  = "front"
	Rear   = "rear"
)

// A Segment is one file that the camera will write.
type Segment struct {
	Sample
	Name       string        // in the recorder's folder, after the manner of BlackVue
	Index      int           // 0, 1, 2 … in the order of the plan
	Begin, End time.Duration // of the drive: when the camera opens the file and when it closes it
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
		s.Name = fileName(s.Sample, start.Add(n*clock))
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
