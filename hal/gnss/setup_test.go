package gnss_test

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"roadseal/hal/gnss"
)

// everything is all that can be told.
func everything(t testing.TB) gnss.UBlox {
	u := gnss.UBlox{Messages: make([]gnss.Message, 2), Constellations: make([]gnss.Constellation, 2)}
	require.NoError(t, u.Rate.UnmarshalText([]byte("10Hz")))
	require.NoError(t, u.Model.UnmarshalText([]byte("automotive")))
	require.NoError(t, u.Messages[0].UnmarshalText([]byte("RMC")))
	require.NoError(t, u.Messages[1].UnmarshalText([]byte("NAV-PVT")))
	require.NoError(t, u.Constellations[0].UnmarshalText([]byte("gps")))
	require.NoError(t, u.Constellations[1].UnmarshalText([]byte("galileo")))
	return u
}

// settings is how many that are.
const settings = 12 + 3

// A chip is a simulated u-blox receiver and the line to it, in virtual time.
type chip struct {
	*bench
	setup *gnss.Setup
	takes func(p []byte) (int, error) // the line; nil takes all
	says  func(id uint16, payload []byte) string
	heard []string // commands, class and id and payload in hex
	half  []byte
	said  string // on its way
}

const valset = 0x068A

func answer(id uint16, ok bool) string {
	ack := byte(0)
	if ok {
		ack = 1
	}
	return ubxOf(5, ack, string([]byte{byte(id >> 8), byte(id)}))
}

// old acknowledges what u-blox 8 knows, recent what 10 does.
func old(id uint16, _ []byte) string    { return answer(id, id != valset) }
func recent(id uint16, _ []byte) string { return answer(id, id == valset) }
func silent(uint16, []byte) string      { return "" }

func newChip(t *testing.T, says func(uint16, []byte) string) *chip {
	c := &chip{says: says, bench: &bench{clock: time.Hour}}
	now := func() time.Duration { return c.clock }
	c.setup = gnss.NewSetup(gnss.SetupOptions{UBlox: everything(t), Now: now, Write: func(p []byte) (int, error) { return c.hear(t, p) }})
	c.Decoder = gnss.NewDecoder(gnss.Options{Now: now, Fix: func(f gnss.Fix) { c.fixes = append(c.fixes, f) }, Answer: c.setup.Answer})
	return c
}

// hear takes bytes of commands. Whatever is no whole frame with a right checksum
// ends the test.
func (c *chip) hear(t *testing.T, p []byte) (n int, err error) {
	n = len(p)
	if c.takes != nil {
		n, err = c.takes(p)
	}
	c.half = append(c.half, p[:n]...)
	for len(c.half) >= 6 {
		require.Equal(t, "\xB5\x62", string(c.half[:2]))
		size := int(binary.LittleEndian.Uint16(c.half[4:])) + 8
		if len(c.half) < size {
			break
		}
		var x, y byte
		for _, b := range c.half[2 : size-2] {
			x += b
			y += x
		}
		require.Equal(t, []byte{x, y}, c.half[size-2:size], "checksum")
		id, payload := binary.BigEndian.Uint16(c.half[2:]), c.half[6:size-2]
		c.heard = append(c.heard, fmt.Sprintf("%04x %x", id, payload))
		c.half = bytes.Clone(c.half[size:])
		c.said += c.says(id, payload)
	}
	return n, err
}

// run steps through some time, 200 ms at a time as a silent line does.
func (c *chip) run(d time.Duration) gnss.SetupReport {
	for end := c.clock + d; c.clock < end; c.clock += 200 * time.Millisecond {
		c.setup.Step()
		c.write(c.said)
		c.said = ""
	}
	return c.setup.Report()
}

// TestSetupBytes holds what is sent byte by byte: by the interface descriptions
// of u-blox 8 and of M10.
func TestSetupBytes(t *testing.T) {
	message := func(i int) string {
		return []string{"0107", "0103", "f004", "f000", "f00d", "f001", "f002", "f003", "f005", "f007", "f009", "f008"}[i] + map[bool]string{true: "01", false: "00"}[i == 0 || i == 2]
	}
	key := func(i int) string {
		return []string{"07009120", "1b009120", "ac009120", "bb009120", "b6009120", "ca009120", "c0009120", "c5009120", "b1009120", "d4009120", "de009120", "d9009120"}[i] + map[bool]string{true: "01", false: "00"}[i == 0 || i == 2]
	}
	var older, newer []string
	for i := range 12 {
		older = append(older, "0601 "+message(i))
		newer = append(newer, "068a 00010000"+key(i))
	}
	older = append(older, "0608 640001000100", "0624 01000400"+strings.Repeat("00", 32),
		"063e 0000ff04"+"0008100001000100"+"0204080001000100"+"0308100000000100"+"06080e0000000100")
	newer = append(newer, "068a 00010000"+"010021306400"+"020021300100", "068a 00010000"+"2100112004",
		"068a 00010000"+"1f00311001"+"2100311001"+"2200311000"+"2500311000")

	c := newChip(t, old)
	c.setup.Start()
	require.Equal(t, gnss.SetupReport{Settings: settings, Acknowledged: settings}, c.run(10*time.Second))
	require.Equal(t, older, c.heard)

	c = newChip(t, recent)
	c.setup.Start()
	require.Equal(t, gnss.SetupReport{Settings: settings, Acknowledged: settings}, c.run(10*time.Second))
	require.Equal(t, append(older[:1:1], newer...), c.heard, "the form that did is tried first from then on")
}

// TestSetupAnswers: what receivers and lines make of it.
func TestSetupAnswers(t *testing.T) {
	tests := []struct {
		name         string
		says         func() func(uint16, []byte) string
		acknowledged int
		refused      []string
		unanswered   int
		heard        int // commands
	}{
		{"one is refused in both forms", func() func(uint16, []byte) string {
			return func(id uint16, p []byte) string { return answer(id, id != 0x0608 && id != valset) }
		}, settings - 1, []string{"rate 10Hz"}, 0, settings + 1},
		{"one is refused, and its other form not answered", func() func(uint16, []byte) string {
			return func(id uint16, p []byte) string {
				if id == valset {
					return ""
				}
				return answer(id, id != 0x0608)
			}
		}, settings - 1, []string{"rate 10Hz"}, 0, settings + 3},
		{"all are refused", func() func(uint16, []byte) string {
			return func(id uint16, p []byte) string { return answer(id, false) }
		}, 0, []string{"message NAV-PVT", "message NAV-STATUS", "message RMC", "message GGA", "message GNS", "message GLL", "message GSA", "message GSV",
			"message VTG", "message GST", "message GBS", "message ZDA", "rate 10Hz", "model", "constellations"}, 0, 2 * settings},
		{"no u-blox", func() func(uint16, []byte) string { return silent }, 0, nil, settings, 6},
		{"an echo", func() func(uint16, []byte) string {
			return func(id uint16, p []byte) string { return ubxOf(byte(id>>8), byte(id), string(p)) }
		}, 0, nil, settings, 6},
		{"falls silent midway", func() func(uint16, []byte) string {
			n := 0
			return func(id uint16, p []byte) string {
				if n++; n > 4 {
					return ""
				}
				return answer(id, true)
			}
		}, 4, nil, settings - 4, 4 + 6},
		{"each first answer is lost", func() func(uint16, []byte) string {
			n := 0
			return func(id uint16, p []byte) string {
				if n++; n%2 == 1 {
					return ""
				}
				return answer(id, true)
			}
		}, settings, nil, 0, 2 * settings},
		{"answers to other commands", func() func(uint16, []byte) string {
			return func(id uint16, p []byte) string { return answer(0x0600, false) + answer(id, true) + answer(id, false) }
		}, settings, nil, 0, settings},
		{"an answer too short, one too long, one damaged", func() func(uint16, []byte) string {
			return func(id uint16, p []byte) string {
				damaged := []byte(answer(id, false))
				damaged[7] ^= 1
				return ubxOf(5, 0, "\x06") + ubxOf(5, 0, string([]byte{byte(id >> 8), byte(id), 0})) + string(damaged) + answer(id, true)
			}
		}, settings, nil, 0, settings},
		{"answers among sentences and noise", func() func(uint16, []byte) string {
			return func(id uint16, p []byte) string {
				return sentence(rmcBody)[:20] + "\xB5" + answer(id, true) + "\xB5\x62$" + sentence(ggaBody)
			}
		}, settings, nil, 0, settings},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			c := newChip(t, tt.says())
			require.Equal(t, gnss.SetupReport{Settings: settings}, c.run(time.Minute), "nothing before the port is open")
			require.Empty(t, c.heard)
			c.setup.Start()
			report := c.run(5 * time.Minute)
			require.Equal(t, tt.acknowledged, report.Acknowledged)
			require.Equal(t, tt.refused, report.Refused)
			require.Len(t, report.Unanswered, tt.unanswered)
			require.Len(t, c.heard, tt.heard)
			again := len(c.heard)
			c.run(time.Hour)
			require.Len(t, c.heard, again, "it ends")
		})
	}
}

// TestSetupLateAnswers: an answer says the kind of its command only. That to an
// earlier try is not taken for that to the next command of the same kind, which
// is refused here.
func TestSetupLateAnswers(t *testing.T) {
	n, late := 0, ""
	c := newChip(t, nil)
	c.says = func(id uint16, _ []byte) (say string) {
		n++
		switch {
		case n == 1:
			late = answer(id, true) // comes after the second try's
			return ""
		case n == 2:
			return answer(id, true)
		}
		return answer(id, false)
	}
	c.setup.Start()
	c.run(3 * time.Second) // 2 s, then the second try
	require.Equal(t, 2, n)
	c.write(late)
	report := c.run(time.Minute)
	require.Equal(t, 1, report.Acknowledged)
	require.Len(t, report.Refused, settings-1)
}

// TestSetupAnswerFlipped flips each bit of an answer: none that changed counts.
func TestSetupAnswerFlipped(t *testing.T) {
	clean := answer(0x0601, true)
	for i := range len(clean) * 8 {
		c := newChip(t, silent)
		c.setup.Start()
		c.setup.Step()
		changed := []byte(clean)
		changed[i/8] ^= 1 << (i % 8)
		_, _ = c.Write(changed)
		c.Flush()
		require.Equal(t, gnss.SetupReport{Settings: settings}, c.setup.Report(), "bit %d", i)
		c.write(clean)
		require.Equal(t, 1, c.setup.Report().Acknowledged)
	}
}

// TestSetupLine: a line that takes little at a time, nothing, or is lost midway.
func TestSetupLine(t *testing.T) {
	c := newChip(t, old)
	c.takes = func(p []byte) (int, error) { return min(len(p), 3), nil }
	c.setup.Start()
	require.Equal(t, settings, c.run(time.Minute).Acknowledged)

	full := newChip(t, old)
	full.takes = func([]byte) (int, error) { return 0, nil }
	full.setup.Start()
	require.Len(t, full.run(10*time.Second).Unanswered, settings, "not tried again: its end would be taken for the begin of the next")

	stuck := newChip(t, old)
	stuck.takes = func(p []byte) (int, error) { return min(len(p), max(20-len(stuck.half), 0)), nil }
	stuck.setup.Start()
	require.Equal(t, settings-stuck.run(time.Minute).Acknowledged, len(stuck.setup.Report().Unanswered))

	lost := newChip(t, old)
	lost.takes = func(p []byte) (int, error) {
		if len(lost.heard) == 4 {
			return 5, errors.New("hung up")
		}
		return len(p), nil
	}
	lost.setup.Start()
	lost.run(time.Second)
	lost.setup.Stop()
	lost.half, lost.takes = nil, nil
	before := lost.run(time.Minute)
	require.Equal(t, 4, before.Acknowledged)
	require.Len(t, lost.heard, 4, "nothing while there is no port")
	lost.setup.Start()
	require.Equal(t, gnss.SetupReport{Settings: settings}, lost.setup.Report())
	require.Equal(t, settings, lost.run(time.Minute).Acknowledged)
	require.Equal(t, 4, before.Acknowledged, "a report stays what it was")
}

// TestNothingElseIsSent: of all that can be configured, only the commands of the
// list, and of the newer one only RAM and keys of rate, messages, model and
// constellations.
func TestNothingElseIsSent(t *testing.T) {
	groups := map[uint32]bool{0x21: true, 0x91: true, 0x11: true, 0x31: true}
	ids := map[uint16]bool{0x0601: true, 0x0608: true, 0x0624: true, 0x063E: true, valset: true}
	say := func(id uint16, p []byte) string {
		require.True(t, ids[id], "%04x", id)
		if id == valset {
			require.Equal(t, []byte{0, 1, 0, 0}, p[:4], "version, RAM alone")
			for p = p[4:]; len(p) > 0; {
				key := binary.LittleEndian.Uint32(p)
				require.True(t, groups[key>>16&0xFF], "%08x", key)
				p = p[4+map[uint32]int{1: 1, 2: 1, 3: 2}[key>>28]:]
			}
		}
		return answer(id, false) // so that both forms come
	}
	c := newChip(t, say)
	c.setup.Start()
	require.Len(t, c.run(time.Minute).Refused, settings)
	require.Len(t, c.heard, 2*settings)

	none := gnss.NewSetup(gnss.SetupOptions{Now: func() time.Duration { return 0 }, Write: func([]byte) (int, error) {
		require.Fail(t, "nothing is configured")
		return 0, nil
	}})
	none.Start()
	none.Step()
	require.Zero(t, none.Report())
}

// TestSettingNames: each name is read, and what is none is explained.
func TestSettingNames(t *testing.T) {
	var (
		r gnss.Rate
		m gnss.Model
		s gnss.Message
		c gnss.Constellation
	)
	for _, text := range []string{"", "10", "10 Hz", "3Hz", "0Hz", "100Hz", "-1Hz", "010Hz", "10hz"} {
		require.ErrorContains(t, r.UnmarshalText([]byte(text)), `"10Hz"`, text)
	}
	require.ErrorContains(t, m.UnmarshalText([]byte("4")), "automotive")
	require.ErrorContains(t, s.UnmarshalText([]byte("rmc")), "expected one of NAV-PVT, NAV-STATUS, RMC")
	require.ErrorContains(t, c.UnmarshalText([]byte("GPS")), `"gps"`)
	makes := 0
	for _, name := range strings.Split("NAV-PVT NAV-STATUS RMC GGA GNS GLL GSA GSV VTG GST GBS ZDA", " ") {
		require.NoError(t, s.UnmarshalText([]byte(name)))
		if s.MakesFixes() {
			makes++
		}
	}
	require.Equal(t, 2, makes)
}
