// Package recorder knows how makes of recorders fill their folders: names,
// kinds, channels, sidecars, what is no clip, and how a clip is locked. It
// writes the script of a drive, with what an agent has to make of each file;
// player plays it. It shares no code with the presets that the run puts to the
// test.
//
// Side: red.
package recorder

import (
	"fmt"
	"strings"

	"roadseal/cmd/internal/bench/player"
)

// A Make is how a make of recorders fills its folder, as data. In its names
//
//	{time}     is when the clip begins, by the camera's clock, in Layout
//	{route}    is when the drive begins, in Layout; {part} counts the clips since
//	{save}     is when a clip was saved, in Layout
//	{number}   is the running number of the file, in Count
//	{dir} and {kind} are those of the Take, {side} and {lens} those of the Lens
type Make struct {
	Name     string // of the agent's preset
	Layout   string // in the manner of Go's time package
	Count    string // in the manner of Go's fmt package
	Film     string // name of a clip below the folder
	Lenses   []Lens // all film at once
	Takes    []Take // the first is the ring that the recorder overwrites
	Locks    []Lock // ways in which it keeps a clip of that ring from being overwritten
	LockFile bool   // NAME.lock stands beside a file while it is open
}

// A Lens is one camera of a recorder.
type Lens struct {
	Word    string // in names
	Channel string // as the agent must call it
	Side    string // folder
}

// A Take is a sort of recording.
type Take struct {
	Kind   string // as the agent must call it
	Dir    string
	Word   string // {kind}
	Beside []Companion
}

// A Companion is a file that a recorder writes beside its clips: one for each
// lens if {lens} or {side} is in its name.
type Companion struct {
	Name  string
	Media string  // type of a sidecar; "" for what the agent must leave alone
	Write content // nil for one more clip
}

// A Lock is a way in which a clip is kept.
type Lock struct {
	How player.How
	To  Take
}

func makes() []Make {
	return []Make{blackVue(), viofo(), seventyMai(), tesla(), openpilot(), garmin()}
}

// blackVue says the kind when it opens a clip, and locks none afterwards.
func blackVue() Make {
	beside := []Companion{
		{"Record/{time}_{kind}.gps", "text/plain", gps},
		{"Record/{time}_{kind}.3gf", "application/octet-stream", acceleration},
		{"Record/{time}_{kind}{lens}.thm", "image/jpeg", thumbnail},
		{"Record/{time}_{kind}{lens}S.mp4", "", nil}, // for the live view
	}
	return Make{
		Name: "blackvue", Layout: "20060102_150405", Film: "Record/{time}_{kind}{lens}.mp4",
		Lenses: []Lens{{Word: "F", Channel: "front"}, {Word: "R", Channel: "rear"}},
		Takes: []Take{{player.Normal, "", "N", beside}, {player.Event, "", "E", beside}, {player.Parking, "", "P", beside},
			{player.Manual, "", "M", beside}},
	}
}

// viofo moves a locked clip into RO, under the same name.
func viofo() Make {
	beside := []Companion{{"DCIM/Photo/{time}_{number}{lens}.JPG", "", thumbnail}}
	return Make{
		Name: "viofo", Layout: "2006_0102_150405", Count: "%06d", Film: "{dir}/{time}_{number}{kind}{lens}.MP4",
		Lenses: []Lens{{Word: "F", Channel: "front"}, {Word: "R", Channel: "rear"}},
		Takes: []Take{{player.Normal, "DCIM/Movie", "", beside}, {player.Event, "DCIM/Movie", "E", nil},
			{player.Parking, "DCIM/Movie/Parking", "P", nil}},
		Locks: []Lock{{player.Move, Take{player.Event, "DCIM/Movie/RO", "", nil}}},
	}
}

// seventyMai renames a locked clip into the folder of events.
func seventyMai() Make {
	beside := []Companion{
		{"{dir}/.s_{side}/{kind}{time}-{number}{lens}.MP4", "", nil}, // for the live view
		{"GPSData{number}.txt", "", gps},                             // of no clip
	}
	return Make{
		Name: "70mai", Layout: "20060102-150405", Count: "%06d", Film: "{dir}/{side}/{kind}{time}-{number}{lens}.MP4",
		Lenses: []Lens{{"F", "front", "Front"}, {"B", "rear", "Back"}},
		Takes: []Take{{player.Normal, "Normal", "NO", beside}, {player.Event, "Event", "EV", beside}, {player.Lapse, "Lapse", "LA", nil},
			{player.Parking, "Parking", "PA", nil}, {player.Manual, "Manual", "NO", nil}},
		Locks: []Lock{{player.Move, Take{player.Event, "Event", "EV", nil}}},
	}
}

// tesla puts what the driver saves into a folder of its own, with what is known
// of the moment; depending on its firmware and on the file system the clip stays
// in the ring too.
func tesla() Make {
	beside := []Companion{{"{dir}/event.json", "text/json", event}, {"{dir}/thumb.png", "image/png", picture}}
	saved := Take{player.Event, "SavedClips/{save}", "", beside}
	return Make{
		Name: "tesla", Layout: "2006-01-02_15-04-05", Film: "{dir}/{time}-{lens}.mp4",
		Lenses: []Lens{{Word: "front", Channel: "front"}, {Word: "back", Channel: "rear"}, {Word: "left_repeater", Channel: "left_repeater"},
			{Word: "right_repeater", Channel: "right_repeater"}},
		Takes: []Take{{player.Normal, "RecentClips", "", nil}, {player.Parking, "SentryClips/{save}", "", beside},
			{player.Event, "EncryptedClips/{save}", "", nil}},
		Locks: []Lock{{player.Move, saved}, {player.Copy, saved}, {player.Link, saved}},
	}
}

// openpilot marks what is to be kept by an attribute of the folder, which no
// name tells.
func openpilot() Make {
	beside := []Companion{
		{"{route}--{part}/rlog.zst", "application/zstd", compressed},
		{"{route}--{part}/qlog.zst", "application/zstd", compressed},
		{"boot/{time}.zst", "", compressed},
	}
	return Make{
		Name: "openpilot", Layout: "2006-01-02--15-04-05", Film: "{route}--{part}/{lens}", LockFile: true,
		Lenses: []Lens{{Word: "fcamera.hevc", Channel: "front"}, {Word: "ecamera.hevc", Channel: "wide"}, {Word: "dcamera.hevc", Channel: "driver"},
			{Word: "qcamera.ts", Channel: "preview"}},
		Takes: []Take{{player.Normal, "", "", beside}},
	}
}

// garmin moves what the driver saves into another folder.
func garmin() Make {
	beside := []Companion{{"DCIM/101PHOTO/GRMN{number}.JPG", "", thumbnail}}
	return Make{
		Name: "garmin", Count: "%04d", Film: "DCIM/{dir}/GRMN{number}.MP4",
		Lenses: []Lens{{}},
		Takes: []Take{{player.Normal, "105UNSVD", "", beside}, {player.Event, "100EVENT", "", nil}, {player.Manual, "102SAVED", "", nil},
			{player.Parking, "103PARKM", "", nil}, {player.Lapse, "104TLPSE", "", nil}},
		Locks: []Lock{{player.Move, Take{player.Manual, "102SAVED", "", nil}}},
	}
}

// Names returns the makes by the agent's presets.
func Names() []string {
	var names []string
	for _, m := range makes() {
		names = append(names, m.Name)
	}
	return names
}

// Named returns a make by the agent's preset.
func Named(name string) (Make, error) {
	for _, m := range makes() {
		if m.Name == name {
			return m, nil
		}
	}
	return Make{}, fmt.Errorf("recorder %q is not known: expected one of %s", name, strings.Join(Names(), ", "))
}
