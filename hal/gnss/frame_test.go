package gnss_test

import (
	"bytes"
	"math/big"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"roadseal/hal/gnss"
)

// ubx frames a payload as a UBX message of class 2, id 21: raw measurements.
func ubx(payload string) string { return ubxOf(2, 0x15, payload) }

func ubxOf(class, id byte, payload string) string {
	b := append([]byte{0xB5, 0x62, class, id, byte(len(payload)), byte(len(payload) >> 8)}, payload...)
	var x, y byte
	for _, c := range b[2:] {
		x += c
		y += x
	}
	return string(append(b, x, y))
}

// rtcm frames a payload as RTCM 3. Its CRC-24Q is the remainder of a division,
// here of the whole frame as one number.
func rtcm(payload string) string {
	s := "\xD3" + string([]byte{byte(len(payload) >> 8), byte(len(payload))}) + payload
	rest := new(big.Int).Lsh(new(big.Int).SetBytes([]byte(s)), 24)
	for rest.BitLen() > 24 {
		rest.Xor(rest, new(big.Int).Lsh(big.NewInt(0x1864CFB), uint(rest.BitLen()-25)))
	}
	return s + string(rest.FillBytes(make([]byte, 3)))
}

// recordedRTCM is message 1005 of the standard's own example.
const recordedRTCM = "\xD3\x00\x13\x3E\xD7\xD3\x02\x02\x98\x0E\xDE\xEF\x34\xB4\xBD\x62\xAC\x09\x41\x98\x6F\x33\x36\x0B\x98"

// spoil changes the last byte.
func spoil(s string) string { return s[:len(s)-1] + string(rune(s[len(s)-1]^1&0x7F)) }

// A framed stream, and what comes of it.
type framed struct {
	name   string
	stream string
	fixes  int
	stats  gnss.Stats
}

// requireFramed writes each stream whole, byte by byte and in threes.
func requireFramed(t *testing.T, tests []framed) {
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			for _, piece := range []int{1, 3, len(tt.stream)} {
				fixes, stats := decode([]byte(tt.stream), piece)
				require.Len(t, fixes, tt.fixes, "pieces of %d", piece)
				stats.Fixes, stats.NoFix = 0, 0
				require.Equal(t, tt.stats, stats, "pieces of %d", piece)
			}
		})
	}
}

// TestFraming puts all kinds of bytes before, between and inside sentences.
func TestFraming(t *testing.T) {
	rmc, gga := sentence(rmcBody), sentence(ggaBody)
	next := sentence(strings.Replace(rmcBody, "120000.50", "120001.50", 1))
	checksum := strings.TrimRight(rmc, "\r\n")
	lower := checksum[:len(checksum)-2] + strings.ToLower(checksum[len(checksum)-2:])
	bad := checksum[:len(checksum)-1] + "!" // no digit
	requireFramed(t, []framed{
		{"plain", rmc + gga + next, 2, gnss.Stats{Sentences: 3}},
		{"lower-case checksum", lower, 1, gnss.Stats{Sentences: 1}},
		{"no line ends", strings.ReplaceAll(rmc+gga+next, "\r\n", ""), 2, gnss.Stats{Sentences: 3}},
		{"no checksum", rmc[:len(rmc)-5] + "\r\n" + next, 1, gnss.Stats{Sentences: 1, Unchecked: 1}},
		{"checksum of no digits", bad + "\r\n" + next, 1, gnss.Stats{Sentences: 1, BadChecksum: 1}},
		{"checksum of one digit", checksum[:len(checksum)-1] + "\r\n" + next, 1, gnss.Stats{Sentences: 1, BadChecksum: 1}},
		{"star and no checksum", checksum[:len(checksum)-2] + "\r\n" + next, 1, gnss.Stats{Sentences: 1, BadChecksum: 1}},
		{"wrong checksum", strings.Replace(rmc, "4807", "4808", 1) + next, 1, gnss.Stats{Sentences: 1, BadChecksum: 1}},
		{"empty sentences", "$*00$*\r\n$\r\n" + rmc, 1, gnss.Stats{Sentences: 2, Ignored: 1, BadChecksum: 1, Unchecked: 1}},
		{"two dollars", "$" + rmc + "$" + next, 2, gnss.Stats{Sentences: 2}},
		{"sentence cut by a sentence", rmc[:30] + next, 1, gnss.Stats{Sentences: 1, Broken: 1}},
		{"sentence cut by a line end", rmc[:30] + "\r\n" + next, 1, gnss.Stats{Sentences: 1, Unchecked: 1}},
		{"NUL inside", rmc[:30] + "\x00" + rmc[30:] + next, 1, gnss.Stats{Sentences: 1, Broken: 1}},
		{"NULs between", "\x00\x00" + rmc + "\x00\x00" + next + "\x00", 2, gnss.Stats{Sentences: 2}},
		{"text before", "1627814400000]" + rmc + "[x]" + next, 2, gnss.Stats{Sentences: 2}},
		{"too long", "$GPTXT," + strings.Repeat("x", 300) + "*00\r\n" + next, 1, gnss.Stats{Sentences: 1, TooLong: 1}},
		{"too long, no end, then a sentence", "$" + strings.Repeat("x", 300) + next, 1, gnss.Stats{Sentences: 1, TooLong: 1}},
		{"as long as may be", sentence("GPTXT,"+strings.Repeat("x", 246)) + next, 1, gnss.Stats{Sentences: 2, Ignored: 1}},
		{"UBX between", rmc + ubx("abc") + next + ubx(""), 2, gnss.Stats{Sentences: 2, Frames: 2}},
		{"UBX with $ inside", rmc + ubx("\x00$GP$*$") + next, 2, gnss.Stats{Sentences: 2, Frames: 1}},
		{"UBX that ends in $", ubx("$GPRMC,1200$") + next, 1, gnss.Stats{Sentences: 1, Frames: 1}},
		{"UBX with a sentence inside", ubx(rmc) + next, 1, gnss.Stats{Sentences: 1, Frames: 1}},
		{"UBX inside a sentence", rmc[:30] + ubx("abc") + rmc[30:] + next, 1, gnss.Stats{Sentences: 1, Broken: 1, Frames: 1}},
		{"UBX of bad checksum", rmc + spoil(ubx("\x00$abc\x00")) + next, 2, gnss.Stats{Sentences: 2, Broken: 1}},
		{"UBX cut short by sentences", rmc + ubx(strings.Repeat("a", 200))[:50] + strings.Repeat(next, 4), 5, gnss.Stats{Sentences: 5}},
		{"UBX longer than any", rmc + "\xB5\x62\x01\x07\xFF\xFF" + next, 2, gnss.Stats{Sentences: 2}},
		{"UBX longer than any, and no silence", "\xB5\x62\x01\x07\xFF\xFF" + strings.Repeat(next, 300), 300, gnss.Stats{Sentences: 300}},
		{"UBX as long as may be", rmc + ubx(strings.Repeat("$", 4096)) + next, 2, gnss.Stats{Sentences: 2, Frames: 1}},
		{"sync and no frame, then silence", rmc + "\xB5\x62\x01\x07\x00\x0F" + next, 2, gnss.Stats{Sentences: 2}},
		{"half a sync", rmc + "\xB5" + next + "\xB5", 2, gnss.Stats{Sentences: 2}},
		{"sync of a sync", rmc + "\xB5" + ubx("$abc") + next, 2, gnss.Stats{Sentences: 2, Frames: 1}},
		{"a false sync around a frame", rmc + "\xB5\x62\x01\x07\x05\x00" + ubx(rmc) + next, 2, gnss.Stats{Sentences: 2, Frames: 1}},
	})
}

// TestFramingRTCM does the same with the frames of corrections.
func TestFramingRTCM(t *testing.T) {
	rmc, next := sentence(rmcBody), sentence(at("01.50", rmcBody))
	requireFramed(t, []framed{
		{"RTCM with a sentence inside", rmc + rtcm(rmc) + next, 2, gnss.Stats{Sentences: 2, Frames: 1}},
		{"RTCM as long as may be", rmc + rtcm(strings.Repeat("$", 1023)) + next, 2, gnss.Stats{Sentences: 2, Frames: 1}},
		{"RTCM empty", rtcm("") + next, 1, gnss.Stats{Sentences: 1, Frames: 1}},
		{"RTCM, recorded", recordedRTCM + next, 1, gnss.Stats{Sentences: 1, Frames: 1}},
		{"RTCM of bad checksum", rmc + spoil(rtcm("\x00$abc\x00")) + next, 2, gnss.Stats{Sentences: 2, Broken: 1}},
		{"RTCM and UBX in turn", rtcm("$a") + ubx("$b") + rtcm("$c") + next, 1, gnss.Stats{Sentences: 1, Frames: 3}},
		{"sync of RTCM and no frame", rmc + "\xD3\x03\xFF" + next + "\xD3", 2, gnss.Stats{Sentences: 2}},
		{"RTCM of no checksum", rmc + "\xD3\x00\x04$GP*ab\xFF" + next, 2, gnss.Stats{Sentences: 2, BadChecksum: 1}},
	})
}

// TestEndlessLine: 10 MB without a line end cost no memory and lose nothing.
func TestEndlessLine(t *testing.T) {
	b := newBench()
	b.write("$GPTXT,")
	junk := bytes.Repeat([]byte("x"), 1<<20)
	for range 10 {
		_, _ = b.Write(junk)
	}
	b.fix(t, rmcBody)
	require.Equal(t, int64(1), b.Stats().TooLong)
}

// TestFalseSync: until silence or the bytes themselves tell that a frame is
// none, the sentences behind it wait; Flush lets them through.
func TestFalseSync(t *testing.T) {
	b := newBench()
	b.write("\xB5\x62\x01\x07\x00\x0F") // says 3,840 bytes
	b.say(rmcBody)
	require.Zero(t, b.Stats().Sentences)
	b.Flush()
	require.Len(t, b.fixes, 1)
}

// TestFlipped flips each bit of a sentence in turn: no changed sentence is
// believed.
func TestFlipped(t *testing.T) {
	clean := sentence(rmcBody)
	want := newBench().fix(t, rmcBody)
	for i := range (len(clean) - 2) * 8 {
		s := []byte(clean)
		s[i/8] ^= 1 << (i % 8)
		fixes, _ := decode(s, len(s))
		for _, f := range fixes { // such as `*5b` for `*5B`
			require.Equal(t, plain(want), plain(f), "bit %d: %q", i, s)
		}
	}
}
