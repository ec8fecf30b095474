package record_test

import (
	"bytes"
	"fmt"
	"os"
	"strings"
	"testing"
	"time"
	"unicode/utf8"

	"github.com/stretchr/testify/require"

	"roadseal/crypto/envelope"
	"roadseal/crypto/record"
	"roadseal/hal/red"
)

func sample() record.Record {
	start := time.Date(2026, 1, 31, 23, 59, 0, 0, time.UTC)
	return record.Record{
		Length: 15_728_640, MediaType: "video/mp4", Stream: "event", Kind: "event",
		Source: "camera front", Channel: "F", Vehicle: "van 7",
		Start: start, End: start.Add(59*time.Second + 40*time.Millisecond), Clock: "name",
		Boot: 12, Sequence: 345, Flags: []string{"late-key"},
		File:  "Record/20260131_235900_EF.mp4",
		Nonce: [16]byte{0xca, 0xfe, 15: 0x01},
	}
}

const sampleText = `roadseal/1
length: 15728640
media-type: video/mp4
stream: event
kind: event
source: camera front
channel: F
vehicle: van 7
start: 2026-01-31T23:59:00.000Z
end: 2026-01-31T23:59:59.040Z
clock: name
boot: 12
sequence: 345
flags: late-key
file: Record/20260131_235900_EF.mp4
nonce: cafe0000000000000000000000000001
`

func fill(text string) []byte {
	return append([]byte(text), bytes.Repeat([]byte("\n"), max(0, envelope.RecordSize-len(text)))...)
}

func TestFormat(t *testing.T) {
	b, err := sample().Marshal()
	require.NoError(t, err)
	require.Equal(t, string(fill(sampleText)), string(b))
	r, err := record.Parse(b)
	require.NoError(t, err)
	require.Equal(t, sample(), r)
}

// FORMAT.md shows a frozen record as its example.
func TestDocumentedExample(t *testing.T) {
	b, err := os.ReadFile("../../testdata/vectors/sealed-v1/event.record")
	require.NoError(t, err)
	_, err = record.Parse(b)
	require.NoError(t, err)
	doc, err := os.ReadFile("../envelope/FORMAT.md")
	require.NoError(t, err)
	require.Contains(t, string(doc), "```\n"+strings.TrimRight(string(b), "\n")+"\n```\n")
}

func TestLeastRecord(t *testing.T) {
	b, err := record.Record{MediaType: "text/csv", Stream: "track", Source: "gnss", Clock: "none"}.Marshal()
	require.NoError(t, err)
	require.Equal(t, `roadseal/1
length: 0
media-type: text/csv
stream: track
source: gnss
clock: none
boot: 0
sequence: 0
nonce: 00000000000000000000000000000000`, strings.TrimRight(string(b), "\n"))
	require.Len(t, b, 1024)
}

// A file name is whatever bytes the recorder's file system holds.
func TestAnyBytesSurvive(t *testing.T) {
	for text, written := range map[string]string{
		"a:b: c":                 "a:b: c",
		" spaces ":               " spaces ",
		"100%.mp4":               "100%25.mp4",
		"%41":                    "%2541",
		"two\nlines\r\n":         "two%0Alines%0D%0A",
		"tab\tnul\x00esc\x1b[2J": "tab%09nul%00esc%1B[2J",
		"\x7f":                   "%7F",
		"Größe 日本.mp4":           "Größe 日本.mp4",
		"latin1 \xe4\xff":        "latin1 %E4%FF",
		"\u0085\u009b":           "%C2%85%C2%9B",
		"\u202egpj.exe\u2066":    "%E2%80%AEgpj.exe%E2%81%A6",
		"\u2028\u061c\u200e":     "%E2%80%A8%D8%9C%E2%80%8E",
		"\ufeff\ufffd":           "%EF%BB%BF\ufffd",
		"\xe2\x82":               "%E2%82",
		"\xed\xa0\x80":           "%ED%A0%80",
	} {
		r := sample()
		r.File, r.Vehicle, r.Channel = red.Text(text), red.Text(text), text
		b, err := r.Marshal()
		require.NoError(t, err)
		require.Contains(t, string(b), "\nfile: "+written+"\n")
		require.True(t, utf8.Valid(b))
		back, err := record.Parse(b)
		require.NoError(t, err, "%q", text)
		require.Equal(t, r, back)
	}
}

func TestTimes(t *testing.T) {
	r := sample()
	r.Start = time.Date(2026, 2, 1, 0, 59, 0, 999_999, time.FixedZone("", 3600))
	r.End = time.Time{}.Add(time.Microsecond) // rounds to unknown
	b, err := r.Marshal()
	require.NoError(t, err)
	back, err := record.Parse(b)
	require.NoError(t, err)
	require.Equal(t, sample().Start, back.Start)
	require.True(t, back.End.IsZero())
}

func TestLongValuesAreCut(t *testing.T) {
	long := strings.Repeat("é%\x00x", 100)
	r := sample()
	r.Stream, r.Kind, r.Source, r.Channel, r.Vehicle = long, long, long, long, red.Text(long)
	r.Flags = append(make([]string, 0, 20), "one-of-24-characters-000", "one-of-24-characters-001", "one-of-24-characters-002", "a", "b", "c")
	r.File = red.Text(strings.Repeat("dir/", 200) + "20260131_235900_EF.mp4")
	r.MediaType = "video/" + strings.Repeat("x", 58)
	r.Length, r.Boot, r.Sequence = 1<<63-1, 1<<32-1, 1<<32-1
	before := append([]string{}, r.Flags...)

	b, err := r.Marshal()
	require.NoError(t, err)
	require.Len(t, b, envelope.RecordSize)
	require.Equal(t, append(before, ""), r.Flags[:7], "the caller's flags are left alone, and what lies behind them")
	back, err := record.Parse(b)
	require.NoError(t, err)
	require.Equal(t, append(before, "stream-truncated", "kind-truncated", "source-truncated", "channel-truncated", "vehicle-truncated", "file-truncated"), back.Flags)
	require.True(t, strings.HasSuffix(back.File.Reveal(), "/20260131_235900_EF.mp4"), "the end of a path is what is kept")
	require.True(t, strings.HasPrefix(long, back.Channel))
	require.Greater(t, len(back.Channel), 30)
	require.Equal(t, byte('\n'), b[len(b)-1])

	again, err := back.Marshal()
	require.NoError(t, err)
	require.Equal(t, b, again)
}

// A name is cut when it must be and not a byte before, at every length.
func TestFileUsesAllTheRoom(t *testing.T) {
	for n := range 1000 {
		r := sample()
		r.File = red.Text(strings.Repeat("n", n))
		b, err := r.Marshal()
		require.NoError(t, err)
		back, err := record.Parse(b)
		require.NoError(t, err)
		room := envelope.RecordSize - (len(sampleText) - len(sample().File.Reveal()))
		if n <= room {
			require.Equal(t, r, back)
			continue
		}
		require.Contains(t, back.Flags, "file-truncated")
		require.Len(t, back.File.Reveal(), room-len(" file-truncated"))
		require.NotEqual(t, byte('\n'), b[envelope.RecordSize-2], "nothing is left free")
	}
}

func TestMarshalErrors(t *testing.T) {
	const mediaType, clock, year = "media-type: expected type/subtype", "clock: expected a word", "the year does not have four digits"
	for _, c := range []struct {
		want  string
		spoil func(*record.Record)
	}{
		{"length: negative", func(r *record.Record) { r.Length = -1 }},
		{"stream: missing", func(r *record.Record) { r.Stream = "" }},
		{"source: missing", func(r *record.Record) { r.Source = "" }},
		{mediaType, func(r *record.Record) { r.MediaType = "" }},
		{mediaType, func(r *record.Record) { r.MediaType = "video" }},
		{mediaType, func(r *record.Record) { r.MediaType = "a/b%20" }},
		{mediaType, func(r *record.Record) { r.MediaType = "a/b\n" }},
		{mediaType, func(r *record.Record) { r.MediaType = "a/é" }},
		{mediaType, func(r *record.Record) { r.MediaType = "a/" + strings.Repeat("x", 63) }},
		{clock, func(r *record.Record) { r.Clock = "" }},
		{clock, func(r *record.Record) { r.Clock = "GNSS" }},
		{clock, func(r *record.Record) { r.Clock = strings.Repeat("x", 25) }},
		{year, func(r *record.Record) { r.Start = time.Date(10000, 1, 1, 0, 0, 0, 0, time.UTC) }},
		{year, func(r *record.Record) { r.End = time.Date(-1, 1, 1, 0, 0, 0, 0, time.UTC) }},
		{"flags: number 2 is not a word", func(r *record.Record) { r.Flags = []string{"a", "b c"} }},
		{"flags: number 1 is not a word", func(r *record.Record) { r.Flags = []string{""} }},
		{"flags: number 1 is not a word", func(r *record.Record) { r.Flags = []string{strings.Repeat("x", 25)} }},
		{"flags: number 3 is there twice", func(r *record.Record) { r.Flags = []string{"a", "b", "a"} }},
		{"flags: more than 6", func(r *record.Record) { r.Flags = strings.Split("a b c d e f g", " ") }},
		{"flags: more than 6", func(r *record.Record) { r.Flags = strings.Split("1 2 3 4 5 6 7 a-truncated", " ") }},
		{"flags: more than 6", func(r *record.Record) {
			for range 7 {
				r.Flags = append(r.Flags, strings.Repeat("x", 1+len(r.Flags))+"-truncated")
			}
		}},
	} {
		r := sample()
		c.spoil(&r)
		_, err := r.Marshal()
		require.ErrorContains(t, err, "cannot write the record: ")
		require.ErrorContains(t, err, c.want)
		require.NotContains(t, err.Error(), "van 7")
	}
}

func TestParseErrors(t *testing.T) {
	edit := func(old, new string) string {
		require.Contains(t, sampleText, old)
		return strings.Replace(sampleText, old, new, 1)
	}
	const form = "one form"
	for name, c := range map[string]struct{ text, want string }{
		"nothing":             {"", "no roadseal record"},
		"other text":          {"hello", "no roadseal record"},
		"newer version":       {edit("roadseal/1\n", "roadseal/2\n"), "newer program"},
		"version 10":          {edit("roadseal/1\n", "roadseal/10\n"), "newer program"},
		"carriage return":     {edit("roadseal/1\n", "roadseal/1\r\n"), "newer program"},
		"only the first line": {"roadseal/1\n", "line 2: expected"},
		"no colon":            {edit("stream: event", "stream event"), "line 4: expected"},
		"no space":            {edit("stream: event", "stream:event"), "line 4: expected"},
		"unknown key":         {edit("stream: event", "color: event"), "line 4: unknown key"},
		"upper-case key":      {edit("stream: event", "Stream: event"), "line 4: unknown key"},
		"empty line inside":   {edit("stream: event", "\nstream: event"), "line 4: expected"},
		"order":               {edit("boot: 12\nsequence: 345", "sequence: 345\nboot: 12"), form},
		"twice":               {edit("boot: 12\n", "boot: 12\nboot: 12\n"), form},
		"missing boot":        {edit("boot: 12\n", ""), form},
		"missing length":      {edit("length: 15728640\n", ""), form},
		"missing nonce":       {edit("nonce: cafe0000000000000000000000000001\n", ""), form},
		"missing stream":      {edit("stream: event\n", ""), "stream: missing"},
		"empty kind":          {edit("kind: event", "kind: "), form},
		"negative length":     {edit("15728640", "-1"), "negative"},
		"long length":         {edit("15728640", "9223372036854775808"), "length: not a number"},
		"length, zeros":       {edit("15728640", "015728640"), form},
		"length, plus":        {edit("15728640", "+15728640"), form},
		"length, text":        {edit("15728640", "15 MB"), "line 2: length: not a number"},
		"boot too big":        {edit("boot: 12", "boot: 4294967296"), "boot: not a number"},
		"boot, zeros":         {edit("boot: 12", "boot: 012"), form},
		"start, zone":         {edit("23:59:00.000Z", "23:59:00.000+00:00"), "start: not a time"},
		"start, no fraction":  {edit("23:59:00.000Z", "23:59:00Z"), "start: not a time"},
		"start, comma":        {edit("23:59:00.000Z", "23:59:00,000Z"), form},
		"start, 30 February":  {edit("2026-01-31T23:59:00", "2026-02-30T23:59:00"), "start: not a time"},
		"start, year 1":       {edit("2026-01-31T23:59:00", "0001-01-01T00:00:00"), form},
		"escape, lower case":  {edit("van 7", "van%0a7"), "vehicle: % without"},
		"escape, cut":         {edit("van 7", "van%0"), "vehicle: % without"},
		"escape, needless":    {edit("van 7", "van%207"), form},
		"raw control":         {edit("van 7", "van\t7"), form},
		"raw direction":       {edit("van 7", "van\u202e7"), form},
		"not UTF-8":           {edit("van 7", "van\xff7"), form},
		"value too long":      {edit("van 7", strings.Repeat("v", 65)), form},
		"flag twice":          {edit("late-key", "late-key late-key"), "flags: number 2"},
		"flags, two spaces":   {edit("late-key", "late-key  b"), "flags: number 2"},
		"nonce, upper case":   {edit("cafe", "CAFE"), form},
		"nonce, short":        {edit("cafe0000", "cafe"), "nonce: not 32"},
		"nonce, long":         {edit("cafe0000", "cafe000000"), "nonce: not 32"},
		"bytes in the tail":   {sampleText + "\n\nx", "expected `key: value`"},
		"NUL in the tail":     {sampleText + strings.Repeat("\n", 10) + "\x00", "expected `key: value`"},
	} {
		t.Run(name, func(t *testing.T) {
			_, err := record.Parse(fill(c.text))
			require.ErrorContains(t, err, c.want)
			require.NotContains(t, err.Error(), "van", "an error shows no value")
		})
	}
	b := fill(sampleText)
	for _, wrong := range [][]byte{nil, b[:1023], append(bytes.Clone(b), '\n')} {
		_, err := record.Parse(wrong)
		require.ErrorIs(t, err, record.ErrNone)
	}
}

// Whatever prints a record shows neither the vehicle nor the file name.
func TestPrivate(t *testing.T) {
	out := fmt.Sprintf("%v %+v %#v", sample(), sample(), sample())
	require.NotContains(t, out, "van 7")
	require.NotContains(t, out, "20260131_235900")
}

func FuzzParse(f *testing.F) {
	f.Add(fill(sampleText))
	f.Add(fill("roadseal/1\n"))
	f.Fuzz(func(t *testing.T, b []byte) {
		r, err := record.Parse(b)
		if err != nil {
			return
		}
		again, err := r.Marshal()
		if err != nil || !bytes.Equal(again, b) {
			t.Fatalf("%q comes back as %q, %v", b, again, err)
		}
	})
}

// FuzzParseText is FuzzParse without the burden of the exact length.
func FuzzParseText(f *testing.F) {
	f.Add(strings.TrimPrefix(sampleText, "roadseal/1\n"))
	f.Fuzz(func(t *testing.T, text string) {
		b := fill("roadseal/1\n" + text)
		if r, err := record.Parse(b); err == nil {
			again, err := r.Marshal()
			require.NoError(t, err)
			require.Equal(t, string(b), string(again))
		}
	})
}

// FuzzMarshal writes any texts: a record always fits, reads back, and holds
// them whole or says that it does not.
func FuzzMarshal(f *testing.F) {
	f.Add("F", "van 7", "Record/x.mp4", "event", int64(1), uint32(2), int64(3))
	f.Add("\xff\x00%", strings.Repeat("\u202e", 30), strings.Repeat("é", 500), "", int64(1)<<62, uint32(1)<<31, int64(-62135596800))
	f.Fuzz(func(t *testing.T, channel, vehicle, file, kind string, length int64, counter uint32, unix int64) {
		r := record.Record{
			Length: max(0, length), MediaType: "video/mp4", Stream: "video", Kind: kind, Source: "camera " + channel, Channel: channel,
			Vehicle: red.Text(vehicle), File: red.Text(file), Clock: "none", Boot: counter, Sequence: counter,
			Start: time.UnixMilli(unix % 200_000_000_000_000),
		}
		b, err := r.Marshal()
		require.NoError(t, err)
		back, err := record.Parse(b)
		require.NoError(t, err)
		whole := func(flag, want, got string) {
			if want != got {
				require.Contains(t, back.Flags, flag)
				require.Contains(t, want, got)
			}
		}
		whole("channel-truncated", channel, back.Channel)
		whole("source-truncated", r.Source, back.Source)
		whole("kind-truncated", kind, back.Kind)
		whole("vehicle-truncated", vehicle, back.Vehicle.Reveal())
		whole("file-truncated", file, back.File.Reveal())
	})
}
