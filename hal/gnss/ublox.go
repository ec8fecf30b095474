package gnss

import (
	"encoding/binary"
	"errors"
	"fmt"
	"slices"
	"strings"
)

// UBlox is what a u-blox receiver is told each time the port opens; the zero
// value is nothing. There is no other way to send it anything: what can be said
// here is set in its memory (RAM) only, is gone when it loses power, wears no
// flash, and leaves the speed of the line as it is.
type UBlox struct {
	Rate           Rate
	Model          Model
	Messages       []Message       // to be sent; all others of this list's kind are switched off
	Constellations []Constellation // to be used; the others are switched off
}

// A setting is one thing to be told. Older receivers (u-blox 7 and 8) know only
// the first command, newer ones (10) only the second, those between both; each
// answers the other with a refusal.
type setting struct {
	name     string // as in the configuration
	commands [2][]byte
}

// The messages that are sent: UBX-CFG of the interface descriptions of u-blox 8
// and of u-blox F9 and M10.
const (
	cfgMSG    = 0x0601
	cfgRATE   = 0x0608
	cfgNAV5   = 0x0624
	cfgGNSS   = 0x063E
	cfgVALSET = 0x068A
)

// settings are in the order in which they are told: first what takes load off the
// line, last what may leave the receiver deaf for half a second, as it begins
// anew with other constellations.
func (u UBlox) settings() (all []setting) {
	for i, m := range messages {
		if on := enabled(u.Messages, Message{i}); len(u.Messages) > 0 {
			// The older form is of the port that it comes from, the newer of UART 1.
			all = tell(all, "message "+m.name, cfgMSG, []byte{byte(m.id >> 8), byte(m.id), on}, value{m.key, uint16(on)})
		}
	}
	if hz := u.Rate.Hz; hz > 0 {
		// Time between measurements, ms; measurements a fix; aligned to GPS time.
		ms := uint16(1000 / hz)
		all = tell(all, fmt.Sprintf("rate %dHz", hz), cfgRATE, []byte{byte(ms), byte(ms >> 8), 1, 0, 1, 0}, value{0x30210001, ms}, value{0x30210002, 1})
	}
	if m := u.Model; m.set {
		nav5 := make([]byte, 36)
		nav5[0], nav5[2] = 1, m.number // bit 0: the model and nothing else
		all = tell(all, "model", cfgNAV5, nav5, value{0x20110021, uint16(m.number)})
	}
	if len(u.Constellations) > 0 {
		blocks := []byte{0, 0, 0xFF, byte(len(constellations))} // all channels that there are
		var values []value
		for i, c := range constellations {
			on := enabled(u.Constellations, Constellation{i})
			// Flags: enabled, and in the third byte the signal on L1.
			blocks = append(blocks, c.id, c.reserved, c.most, 0, on, 0, 1, 0)
			values = append(values, value{c.key, uint16(on)})
		}
		all = tell(all, "constellations", cfgGNSS, blocks, values...)
	}
	return all
}

// tell appends a setting: the older command, and the values of the newer one.
func tell(all []setting, name string, older uint16, payload []byte, newer ...value) []setting {
	return append(all, setting{name, [2][]byte{command(older, payload), valset(newer)}})
}

// enabled is 1 if v is in list.
func enabled[T comparable](list []T, v T) byte {
	if slices.Contains(list, v) {
		return 1
	}
	return 0
}

// command frames a payload as UBX.
func command(id uint16, payload []byte) []byte {
	b := []byte{ubxSync1, ubxSync2, byte(id >> 8), byte(id), byte(len(payload)), byte(len(payload) >> 8)}
	b = append(b, payload...)
	x, y := fletcher(b[2:])
	return append(b, x, y)
}

// A value is one key of the configuration of newer receivers. The highest hex
// digit of a key says how long its value is.
type value struct {
	key uint32
	v   uint16
}

// valset is a command that sets values in RAM.
func valset(values []value) []byte {
	const version, ram = 0, 1
	p := []byte{version, ram, 0, 0}
	for _, v := range values {
		p = binary.LittleEndian.AppendUint32(p, v.key)
		p = append(p, byte(v.v))
		if v.key>>28 == 3 { // two bytes; 1 is a bit in one, 2 one byte
			p = append(p, byte(v.v>>8))
		}
	}
	return command(cfgVALSET, p)
}

// A Rate is fixes a second. Like the other values here it is a struct so that a
// bare number in a configuration is refused.
type Rate struct{ Hz int }

// UnmarshalText reads "10Hz". The second must divide into whole milliseconds.
func (r *Rate) UnmarshalText(b []byte) error {
	for _, hz := range []int{1, 2, 4, 5, 8, 10, 20} {
		if string(b) == fmt.Sprintf("%dHz", hz) {
			r.Hz = hz
			return nil
		}
	}
	return errors.New(`expected fixes a second, "1Hz", "2Hz", "4Hz", "5Hz", "8Hz", "10Hz" or "20Hz"`)
}

// A Model is what a receiver assumes of the motion; the zero value leaves it.
type Model struct {
	number byte // of u-blox
	set    bool
}

// UnmarshalText reads "automotive" or "portable".
func (m *Model) UnmarshalText(b []byte) error {
	switch string(b) {
	case "automotive":
		*m = Model{4, true}
	case "portable":
		*m = Model{0, true}
	default:
		return errors.New(`expected "automotive", or "portable" for one that is also carried by hand`)
	}
	return nil
}

// A Message is one that the agent reads.
type Message struct{ index int }

// messages are class and id of a message, and the key of its rate on UART 1.
var messages = []struct {
	name string
	id   uint16
	key  uint32
}{
	{"NAV-PVT", 0x0107, 0x20910007}, {"NAV-STATUS", 0x0103, 0x2091001B},
	{"RMC", 0xF004, 0x209100AC}, {"GGA", 0xF000, 0x209100BB}, {"GNS", 0xF00D, 0x209100B6}, {"GLL", 0xF001, 0x209100CA},
	{"GSA", 0xF002, 0x209100C0}, {"GSV", 0xF003, 0x209100C5}, {"VTG", 0xF005, 0x209100B1}, {"GST", 0xF007, 0x209100D4},
	{"GBS", 0xF009, 0x209100DE}, {"ZDA", 0xF008, 0x209100D9},
}

// UnmarshalText reads the name of a message: "RMC", "NAV-PVT".
func (m *Message) UnmarshalText(b []byte) error {
	var names []string
	for i, one := range messages {
		if one.name == string(b) {
			*m = Message{i}
			return nil
		}
		names = append(names, one.name)
	}
	return fmt.Errorf("expected one of %s", strings.Join(names, ", "))
}

// MakesFixes reports whether a message alone makes fixes with their date.
func (m Message) MakesFixes() bool {
	name := messages[m.index].name
	return name == "NAV-PVT" || name == "RMC"
}

// A Constellation is a satellite system of the whole Earth. SBAS and QZSS, which
// help GPS, stay as they are.
type Constellation struct{ index int }

// constellations have the id of u-blox, channels reserved and at most, and the
// key that enables them.
var constellations = []struct {
	name               string
	id, reserved, most byte
	key                uint32
}{
	{"gps", 0, 8, 16, 0x1031001F},
	{"galileo", 2, 4, 8, 0x10310021},
	{"beidou", 3, 8, 16, 0x10310022},
	{"glonass", 6, 8, 14, 0x10310025},
}

// UnmarshalText reads the name of a constellation: "gps".
func (c *Constellation) UnmarshalText(b []byte) error {
	for i, one := range constellations {
		if one.name == string(b) {
			*c = Constellation{i}
			return nil
		}
	}
	return errors.New(`expected "gps", "galileo", "beidou" or "glonass"`)
}
