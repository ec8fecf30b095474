package trip_test

import (
	"fmt"
	"io/fs"
	"path"
	"strings"
	"testing"
	"unicode"
	"unicode/utf8"

	"github.com/stretchr/testify/require"

	"roadseal/cmd/internal/trip"
	"roadseal/crypto/open"
	"roadseal/crypto/record"
	"roadseal/hal/red"
)

func sprint(a ...any) string { return fmt.Sprintf("%v %+v %#v", a, a, a) }

func place(stream, file, media string) string {
	r := record.Record{Stream: stream, File: red.Text(file), MediaType: media, Boot: 12, Sequence: 34}
	return trip.Place(&trip.Entry{Object: &open.Object{Record: r}})
}

const short = "-000000000000"

func TestPlace(t *testing.T) {
	tests := []struct{ stream, file, media, want string }{
		{"event", "Record/20260203_040506_EF.mp4", "video/mp4", "event/20260203_040506_EF" + short + ".mp4"},
		{"event", "EV/Front/EV20260203-040506-000001F.MP4", "video/mp4", "event/EV20260203-040506-000001F" + short + ".MP4"},
		{"track", "", "text/csv", "track/000012-000034" + short + ".csv"},
		{"video", "", "video/mp4", "video/000012-000034" + short + ".mp4"},
		{"video", "", "video/quicktime", "video/000012-000034" + short + ".mov"},
		{"video", "", "video/mp2t", "video/000012-000034" + short + ".ts"},
		{"health", "", "application/octet-stream", "health/000012-000034" + short + ".bin"},
		{"health", "", "application/unheard-of", "health/000012-000034" + short},
		{"x", "clip", "video/mp4", "x/clip" + short + ".mp4"},
		{"..", "..", "", "%2E%2E/%2E%2E" + short},
		{".", "/", "", "%2E/000012-000034" + short},
		{"a/b", `C:\DCIM\x.ts`, "", "a%2Fb/x" + short + ".ts"},
		{"-x", "a.b c.mp4 ", "", "%2Dx/a.b c.mp4%20" + short},
		{"ÄÖ", "日本.mp4", "", "ÄÖ/日本" + short + ".mp4"},
		{"a", "\x00\n\t\x7f\u200f.mp4", "", "a/%00%0A%09%7F%E2%80%8F" + short + ".mp4"},
		{"a", "100%.mp4", "", "a/100%25" + short + ".mp4"},
	}
	for _, tt := range tests {
		require.Equal(t, tt.want, place(tt.stream, tt.file, tt.media), "%q %q", tt.stream, tt.file)
	}
}

// Whatever a record says, the place is one folder and one file in it.
func FuzzPlace(f *testing.F) {
	for _, s := range []string{"../../etc/passwd", "/", "a\nb", "\x00", "", ".", "..", "-rf", strings.Repeat("a", 255), strings.Repeat("'", 255),
		strings.Repeat("é", 127) + ".mp4", "a\\..\\b", "\xff\xfe", "\u202ecod.exe", "x.tmp", ".mp4", "a." + strings.Repeat("m", 300),
		" " + strings.Repeat("!", 58) + "  "} { // the cut falls behind a space
		f.Add(s, s)
	}
	f.Fuzz(func(t *testing.T, stream, file string) {
		got := place(stream, file, "video/mp4")
		require.True(t, fs.ValidPath(got), "%q", got)
		dir, base := path.Split(got)
		require.Equal(t, 1, strings.Count(got, "/"), "%q", got)
		for _, part := range []string{strings.TrimSuffix(dir, "/"), base} {
			require.NotEmpty(t, part)
			require.LessOrEqual(t, len(part)+len(".tmp"), 255)
			require.True(t, utf8.ValidString(part))
			require.NotContains(t, []byte{'.', '-', ' '}, part[0], "%q", part)
			require.NotContains(t, []byte{'.', ' '}, part[len(part)-1], "%q", part)
			require.False(t, strings.ContainsFunc(part, func(r rune) bool { return !unicode.IsGraphic(r) || strings.ContainsRune(`\:*?"'<>|$&;!~#`+"`", r) }), "%q", part)
		}
		require.Contains(t, base, short)
	})
}

func TestPrintable(t *testing.T) {
	for in, want := range map[string]string{
		"store/pool/1/ab": "store/pool/1/ab", "Ä 日本": "Ä 日本", "a\nb": "a%0Ab", "\x1b[2J": "%1B[2J",
		"\xff": "%FF", "\u202ex": "%E2%80%AEx", "\ufffd": "\ufffd", "": "",
	} {
		require.Equal(t, want, trip.Printable(in))
	}
}
