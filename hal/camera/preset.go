package camera

import (
	"fmt"
	"strings"
)

// A preset is the pattern of a make of recorders, as data.
type preset struct {
	name            string
	kinds, channels map[string]string
	names           []naming // in order: the first that matches decides
}

// A naming is how a recorder calls one sort of its files.
type naming struct {
	expr    string // see NewPattern; time may be left out
	layout  string // of the group time
	sidecar string // media type, or "" for a video
}

// below stands before an expression that matches folders too: [[camera]] path
// may name the folder itself or one above it.
const below = `(?:.*?/)??`

// Media types of sidecars. A text lies on the finer grid of sealed sizes.
const (
	typeText   = "text/plain" // lines of NMEA sentences
	typeJSON   = "text/json"
	typeJPEG   = "image/jpeg"
	typePNG    = "image/png"
	typeZstd   = "application/zstd"
	typeBinary = "application/octet-stream"
)

func presets() []preset {
	return []preset{blackVue(), viofo(), seventyMai(), tesla(), openpilot(), garmin()}
}

// blackVue names YYYYMMDD_HHMMSS_<kind><channel>[L|S].mp4 in Record/. Letters
// as in BlackVue's help centre, "What types of recording or file does the
// BlackVue camera create?": every alarm is an event. L and S mark the small
// copy for live view and upload. Time-lapse while parked is recorded under P.
// Position and acceleration stand beside a clip, one file for all channels.
func blackVue() preset {
	const start, layout = `(?P<time>\d{8}_\d{6})_(?P<kind>[NEPMIOATBRXGDLYF])`, "20060102_150405"
	return preset{
		name: "blackvue",
		kinds: map[string]string{
			"N": kindNormal,
			"P": kindParking, // motion while parked
			"M": kindManual,
			"E": kindEvent, // impact while driving
			"I": kindEvent, // impact while parked
			"O": kindEvent, // over the speed limit
			"A": kindEvent, // hard acceleration
			"T": kindEvent, // hard cornering
			"B": kindEvent, // hard braking
			"R": kindEvent, // geofence entered
			"X": kindEvent, // geofence left
			"G": kindEvent, // geofence passed
			"D": kindEvent, // driver drowsy
			"L": kindEvent, // driver distracted
			"Y": kindEvent, // seat belt not fastened
			"F": kindEvent, // driver not detected
		},
		channels: map[string]string{"F": "front", "R": "rear", "I": "interior", "O": "other"},
		names: []naming{
			{start + `(?P<channel>[FRIO])(?P<copy>[LS]?)\.mp4`, layout, ""},
			{start + `\.gps`, layout, typeText},
			{start + `\.3gf`, layout, typeBinary},
			{start + `(?P<channel>[FRIO])\.thm`, layout, typeJPEG},
		},
	}
}

// viofo is for Viofo and others with Novatek's firmware:
// YYYY_MMDD_HHMMSS[_NNN][P|E]<channel>.MP4 or .TS in DCIM/Movie/ and Parking/,
// or YYYYMMDDHHMMSS_NNNNNN[P|E][channel]. A locked clip is moved to RO/ under
// the same name.
func viofo() preset {
	const (
		older, olderLayout = `(?P<time>\d{4}_\d{4}_\d{6})(?:_\d{3,6})?`, "2006_0102_150405"
		newer, newerLayout = `(?P<time>\d{14})_\d{6}`, "20060102150405"
		end                = `(?P<channel>[FRTI]?)\.(?i:MP4|TS)`
		parked             = below + `(?P<kind>Parking)/`
		moved              = below + `(?P<lock>RO/)?`
	)
	return preset{
		name:     "viofo",
		kinds:    map[string]string{"P": kindParking, "Parking": kindParking, "E": kindEvent},
		channels: map[string]string{"F": "front", "R": "rear", "T": "tele", "I": "interior"},
		names: []naming{
			{parked + older + end, olderLayout, ""},
			{parked + newer + end, newerLayout, ""},
			{moved + older + `(?P<kind>[PE]?)` + end, olderLayout, ""},
			{moved + newer + `(?P<kind>[PE]?)` + end, newerLayout, ""},
		},
	}
}

// seventyMai names <kind>YYYYMMDD-HHMMSS-NNNNNN<channel>.MP4, in a folder for
// each kind and in it one for each channel. A locked clip is renamed. The small
// copies lie in hidden folders. GPSData*.txt belongs to no clip and grows for
// ever: it is left alone.
func seventyMai() preset {
	const rest, layout = `(?P<time>\d{8}-\d{6})-\d{6}(?P<channel>[FBRI]?)\.(?i:MP4)`, "20060102-150405"
	return preset{
		name: "70mai",
		kinds: map[string]string{"NO": kindNormal, "EV": kindEvent, "LA": kindLapse, "PA": kindParking,
			"Manual": kindManual},
		channels: map[string]string{"F": "front", "B": "rear", "R": "rear", "I": "interior"},
		names: []naming{
			{below + `(?P<kind>Manual)/(?:[^/]+/)?[A-Z]{2}` + rest, layout, ""},
			{below + `(?P<kind>NO|EV|LA|PA)` + rest, layout, ""},
		},
	}
}

// tesla names YYYY-MM-DD_HH-MM-SS-<camera>.mp4 in TeslaCam/: RecentClips is the
// ring, the others hold a folder for each event. What the driver saved by a tap
// or by the horn may be an accident. Sentry looks after a parked car.
// EncryptedClips cannot be looked into by anybody here, and are kept like the
// best.
func tesla() preset {
	const (
		layout = "2006-01-02_15-04-05"
		folder = below + `(?:(?P<kind>RecentClips|SavedClips|SentryClips|EncryptedClips)/)?`
		moment = `(?P<time>\d{4}-\d\d-\d\d_\d\d-\d\d-\d\d)`
	)
	return preset{
		name: "tesla",
		kinds: map[string]string{"RecentClips": kindNormal, "SavedClips": kindEvent, "SentryClips": kindParking,
			"EncryptedClips": kindEvent},
		channels: map[string]string{"front": "front", "back": "rear", "left_repeater": "left_repeater", "right_repeater": "right_repeater",
			"left_pillar": "left_pillar", "right_pillar": "right_pillar"},
		names: []naming{
			{folder + `(?:[^/]+/)??` + moment + `-(?P<channel>front|back|(?:left|right)_(?:repeater|pillar))\.mp4`, layout, ""},
			{folder + moment + `/event\.json`, layout, typeJSON},
			{folder + moment + `/thumb\.png`, layout, typePNG},
		},
	}
}

// openpilot has a folder <route>--<segment> for each minute, with a file for
// each camera. Later routes are numbered and hold no time. The small qcamera is
// taken as a channel of its own: it is what a metered link has room for.
func openpilot() preset {
	const (
		dated, layout = below + `(?P<time>\d{4}-\d\d-\d\d--\d\d-\d\d-\d\d)--\d+/`, "2006-01-02--15-04-05"
		numbered      = below + `[0-9a-f]{8}--[0-9a-f]{10}--\d+/`
		film          = `(?P<channel>[fed]camera)\.hevc`
		small         = `(?P<channel>qcamera)\.ts`
		logs          = `[rq]log\.zst`
	)
	return preset{
		name:     "openpilot",
		channels: map[string]string{"fcamera": "front", "ecamera": "wide", "dcamera": "driver", "qcamera": "preview"},
		names: []naming{
			{dated + film, layout, ""}, {dated + small, layout, ""}, {dated + logs, layout, typeZstd},
			{numbered + film, "", ""}, {numbered + small, "", ""}, {numbered + logs, "", typeZstd},
		},
	}
}

// garmin numbers GRMN####.MP4 in DCIM/, in a folder for each kind such as
// 100EVENT, whose own number differs between models. The name holds no time.
func garmin() preset {
	return preset{
		name: "garmin",
		kinds: map[string]string{"UNSVD": kindNormal, "EVENT": kindEvent, "SAVED": kindManual, "PARKM": kindParking,
			"TLPSE": kindLapse},
		names: []naming{{below + `(?:\d{3}(?P<kind>UNSVD|EVENT|SAVED|PARKM|TLPSE)/)?GRMN\d{4}\.(?i:MP4)`, "", ""}},
	}
}

// Presets returns the names that Preset knows.
func Presets() []string {
	var names []string
	for _, p := range presets() {
		names = append(names, p.name)
	}
	return names
}

// Preset returns the pattern of a make of recorders.
func Preset(name string) (Pattern, error) {
	for _, p := range presets() {
		if p.name == name {
			return p.pattern()
		}
	}
	return Pattern{}, fmt.Errorf("preset %q is not known: expected one of %s", name, strings.Join(Presets(), ", "))
}

func (p preset) pattern() (Pattern, error) {
	var all Pattern
	for _, n := range p.names {
		f, err := newForm(n.expr, n.layout, n.sidecar, p.kinds, p.channels)
		if err != nil {
			return Pattern{}, fmt.Errorf("preset %q: %w", p.name, err)
		}
		all.forms = append(all.forms, f)
	}
	return all, nil
}
