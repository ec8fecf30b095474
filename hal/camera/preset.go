package camera

import (
	"fmt"
	"strings"
)

// A preset is the pattern of a make of recorders, as data.
type preset struct {
	name, expr, layout string
	kinds, channels    map[string]string
}

func presets() []preset {
	return []preset{
		{
			// YYYYMMDD_HHMMSS_<kind><channel>[L|S].mp4 in Record/. Letters as
			// in BlackVue's help centre, "What types of recording or file
			// does the BlackVue camera create?": every alarm is an event. L
			// and S mark the small copy for live view and upload. Time-lapse
			// while parked is recorded under P.
			name:   "blackvue",
			expr:   `(?P<time>\d{8}_\d{6})_(?P<kind>[NEPMIOATBRXGDLYF])(?P<channel>[FRIO])(?P<copy>[LS]?)\.mp4`,
			layout: "20060102_150405",
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
		},
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
			return NewPattern(p.expr, p.layout, p.kinds, p.channels)
		}
	}
	return Pattern{}, fmt.Errorf("preset %q is not known: expected one of %s", name, strings.Join(Presets(), ", "))
}
