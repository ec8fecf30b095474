package open_test

import (
	"bytes"
	"fmt"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"roadseal/crypto/envelope"
	"roadseal/crypto/open"
)

// TestBothOpenersTakeOddRecords: records that no vehicle writes, and that are
// in order all the same.
func TestBothOpenersTakeOddRecords(t *testing.T) {
	id := newIdentity(t)
	var objects [][]byte
	for _, c := range []struct{ old, new string }{
		{"video/mp4", "/"},
		{"video/mp4", "a/b/c; d= \"e\" "},
		{"van 7", " van  7 "},
		{"van 7", xs(64)},
		{"van 7", "%25%E2%80%AE%ED%A0%80%C3"},
		{"van 7", "\u202f\u00e9\U0001f697\ufffd"},
		{"van 7", "a: b"},
		{"clock: name", "clock: -"},
		{"clock: name", "start: 0000-02-29T00:00:00.000Z\nend: 9999-12-31T23:59:59.999Z\nclock: name"},
		{"clock: name", "end: 0001-01-01T00:00:00.001Z\nclock: name"},
		{"late-key", "a-truncated late-key -truncated"},
		{"late-key", "1 2 3 4 5 6 a-truncated b-truncated c-truncated d-truncated e-truncated f-truncated"},
		{"file: Record/x.mp4\n", ""},
		{"file: Record/x.mp4", "file: ../../%00"},
		{"file: Record/x.mp4", "file: " + xs(envelope.RecordSize-len(recordText(t))+len("Record/x.mp4"))}, // full to the last byte
	} {
		objects = append(objects, byAge(t, editedRecord(t, c.old, c.new), id))
	}
	for i, v := range second(t, keyFile(t, id), objects) {
		_, _, err := opened(objects[i], id)
		require.NoError(t, err, i)
		same(t, fmt.Sprint("record ", i), objects[i], v, id)
	}
}

// recordText is the record of an empty clip, without what fills it up.
func recordText(t *testing.T) string {
	t.Helper()
	rec := video()
	rec.Flags = []string{"late-key"}
	b, err := rec.Marshal()
	require.NoError(t, err)
	return strings.TrimRight(string(b), "\n") + "\n"
}

// editedRecord is a whole plaintext.
func editedRecord(t *testing.T, old, new string) []byte {
	t.Helper()
	text := recordText(t)
	require.Equal(t, 1, strings.Count(text, old), "%q", old)
	b := []byte(strings.Replace(text, old, new, 1))
	b = append(b, bytes.Repeat([]byte{'\n'}, max(0, envelope.RecordSize-len(b)))...)
	require.Len(t, b, envelope.RecordSize, "%q", old)
	return b
}

// Each record has one fault; the rest of the object is in order.
func spoiltRecords(t *testing.T, id open.Identity) (all []spoilt) {
	for _, c := range recordFaults {
		all = append(all, spoilt{fmt.Sprintf("record with %q for %q", c.new, c.old), c.ours, c.theirs, byAge(t, editedRecord(t, c.old, c.new), id)})
	}
	return all
}

// recordFaults are pieces of the record that video seals, and what makes it
// malformed. What our opener says without a reason of its own, it saw by writing
// the record again.
var recordFaults = []struct{ old, new, ours, theirs string }{
	{"roadseal/1\n", "roadseal/2\n", "version", "another version"},
	{"roadseal/1\n", "roadseal/10\n", "version", "another version"},
	{"roadseal/1\n", "roadseal/1\r\n", "version", "another version"},
	{"roadseal/1\n", "Roadseal/1\n", "no record", "no record"},
	{"length: 0\n", "", oneForm, "length: missing"},
	{"length: 0", "length: 00", oneForm, "length: not"},
	{"length: 0", "length: -0", oneForm, "length: not"},
	{"length: 0", "length: +0", oneForm, "length: not"},
	{"length: 0", "length: 0x0", "length: not", "length: not"},
	{"length: 0", "length: 9223372036854775808", "length: not", "length: not"},
	{"length: 0", "length: ", "length: not", "length: not"},
	{"length: 0", "length:0", "expected", "a line that"},
	{"length: 0", "length: 0 ", "length: not", "length: not"},
	{"length: 0", "length: \u0660", "length: not", "length: not"}, // a digit to Unicode
	{"media-type: video/mp4\n", "", "media-type", "media-type: missing"},
	{"video/mp4", "video", "media-type", "media-type: not"},
	{"video/mp4", "video%2Fmp4", oneForm, "media-type: not"},
	{"video/mp4", "video/mp\u00e9", "media-type", "media-type: not"},
	{"video/mp4", "video/" + xs(59), "media-type", "media-type: not"},
	{"stream: event\n", "", "stream: missing", "stream: missing"},
	{"stream: event", "stream: ", "stream: missing", "stream: not"},
	{"stream: event", "stream: " + xs(65), oneForm, "stream: not"},
	{"stream: event\n", "stream: event\nstream: event\n", oneForm, "a line that"},
	{"stream: event\nkind: event\n", "kind: event\nstream: event\n", oneForm, "a line that"},
	{"stream: event\n", "color: red\nstream: event\n", "unknown key", "a line that"},
	{"stream: event\n", "Stream: event\n", "unknown key", "a line that"},
	{"stream: event\n", "\nstream: event\n", "expected", "a line that"},
	{"stream: event\n", " stream: event\n", "unknown key", "a line that"},
	{"kind: event", "kind: ", oneForm, "kind: not"},
	{"source: camera front\n", "", "source: missing", "source: missing"},
	{"channel: F", "channel: " + xs(65), oneForm, "channel: not"},
	{"van 7", "van%207", oneForm, "vehicle: not"},
	{"van 7", "van%0a7", "vehicle: %", "vehicle: not"},
	{"van 7", "van%", "vehicle: %", "vehicle: not"},
	{"van 7", "van%2", "vehicle: %", "vehicle: not"},
	{"van 7", "van\t7", oneForm, "vehicle: not"},
	{"van 7", "van\r7", oneForm, "vehicle: not"},
	{"van 7", "van\u00857", oneForm, "vehicle: not"},
	{"van 7", "van\u20287", oneForm, "vehicle: not"},
	{"van 7", "van\u202e7", oneForm, "vehicle: not"},
	{"van 7", "van\u061c7", oneForm, "vehicle: not"},
	{"van 7", "van\ufeff7", oneForm, "vehicle: not"},
	{"van 7", "van\xff7", oneForm, "vehicle: not"},
	{"van 7", "van\xed\xa0\x807", oneForm, "vehicle: not"}, // a surrogate
	{"van 7", "van\xc0\x8d7", oneForm, "vehicle: not"},     // overlong
	{"van 7", "%C3%A9", oneForm, "vehicle: not"},           // \u00e9 needs no escape
	{"van 7", "%C3\xa9", oneForm, "vehicle: not"},
	{"van 7", "%E2%80%AF", oneForm, "vehicle: not"}, // U+202F is not on the list
	{"clock: name\n", "", "clock: expected", "clock: missing"},
	{"clock: name", "clock: Name", "clock: expected", "clock: not"},
	{"clock: name", "clock: " + xs(25), "clock: expected", "clock: not"},
	{"clock: name", "start: 2026-02-29T00:00:00.000Z\nclock: name", "start: not", "start: not"},
	{"clock: name", "start: 2100-02-29T00:00:00.000Z\nclock: name", "start: not", "start: not"},
	{"clock: name", "start: 2026-04-31T00:00:00.000Z\nclock: name", "start: not", "start: not"},
	{"clock: name", "start: 2026-00-01T00:00:00.000Z\nclock: name", "start: not", "start: not"},
	{"clock: name", "start: 2026-13-01T00:00:00.000Z\nclock: name", "start: not", "start: not"},
	{"clock: name", "start: 2026-01-01T24:00:00.000Z\nclock: name", "start: not", "start: not"},
	{"clock: name", "start: 2026-12-31T23:59:60.000Z\nclock: name", "start: not", "start: not"},
	{"clock: name", "start: 2026-01-01T00:00:00Z\nclock: name", "start: not", "start: not"},
	{"clock: name", "start: 2026-01-01T00:00:00,000Z\nclock: name", oneForm, "start: not"},
	{"clock: name", "start: 2026-01-01T00:00:00.0000Z\nclock: name", "start: not", "start: not"},
	{"clock: name", "start: 2026-01-01t00:00:00.000z\nclock: name", "start: not", "start: not"},
	{"clock: name", "start: 0001-01-01T00:00:00.000Z\nclock: name", oneForm, "start: not"},
	{"clock: name", "end: 2026-01-01T00:00:00.000+00:00\nclock: name", "end: not", "end: not"},
	{"boot: 1\n", "", oneForm, "boot: missing"},
	{"boot: 1", "boot: 01", oneForm, "boot: not"},
	{"boot: 1", "boot: 4294967296", "boot: not", "boot: not"},
	{"sequence: 2\n", "", oneForm, "sequence: missing"},
	{"flags: late-key", "flags: ", "flags", "flags: not"},
	{"late-key", "late-key late-key", "flags: number 2", "flags: not"},
	{"late-key", "late-key  x", "flags: number 2", "flags: not"},
	{"late-key", "late-key ", "flags: number 2", "flags: not"},
	{"late-key", "Late-key", "flags: number 1", "flags: not"},
	{"late-key", xs(25), "flags: number 1", "flags: not"},
	{"late-key", "a b c d e f g", "flags: more", "flags: not"},
	{"late-key", "a-truncated b-truncated c-truncated d-truncated e-truncated f-truncated g-truncated", "flags: more", "flags: not"},
	{"file: Record/x.mp4", "file: ", oneForm, "file: not"},
	{"nonce: 000", "nonce: 00", "nonce: not", "nonce: not"},
	{"nonce: 000", "nonce: 0000", "nonce: not", "nonce: not"},
	{"nonce: 000", "nonce: A00", oneForm, "nonce: not"},
	{"nonce: 00000000000000000000000000000000\n", "", oneForm, "nonce: missing"},
	{"nonce: 00000000000000000000000000000000\n", "nonce: 00000000000000000000000000000000\n\nx\n", "expected", "a line that"},
	{"nonce: 00000000000000000000000000000000\n", "nonce: 00000000000000000000000000000000\n\x00", "expected", "a line that"},
}

const oneForm = "not in the one form"

func xs(n int) string { return strings.Repeat("x", n) }
